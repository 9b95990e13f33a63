/* SPDX-License-Identifier: BSD-3-Clause */
/* suite.c - the ciphers that are used, their names everywhere, and which of them is fast here */
#include "suite.h"

#include "clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PROBE_BYTES  (16 * 1024)
#define PROBE_ROUNDS 6
#define PROBE_TURNS  4
#define GCM_RECORDS  (UINT64_C(1) << 22)
#define NEARLY       8 / 10 /* of the time that an earlier one takes: from there on it is worth a change of order */

static const struct suite suites[SUITE_COUNT] = {
    { "aes-128-gcm", "AES-128-GCM", "TLS_AES_128_GCM_SHA256",
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "DHE-PSK-AES128-GCM-SHA256", 16, GCM_RECORDS, true,
      false },
    { "aes-256-gcm", "AES-256-GCM", "TLS_AES_256_GCM_SHA384",
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384", "DHE-PSK-AES256-GCM-SHA384", 32, GCM_RECORDS, true,
      true },
    { "chacha20-poly1305", "ChaCha20-Poly1305", "TLS_CHACHA20_POLY1305_SHA256",
      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
      "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-CHACHA20-POLY1305", 32, 0, false, false },
};

const struct suite *suite_of_evp(const char *evp)
{
    for (size_t i = 0; i < SUITE_COUNT; i++)
        if (!strcasecmp(evp, suites[i].evp))
            return &suites[i];
    return NULL;
}

static const struct suite *suite_named(const char *name, size_t bytes)
{
    for (size_t i = 0; i < SUITE_COUNT; i++)
        if ((strlen(suites[i].name) == bytes && !strncasecmp(name, suites[i].name, bytes)) ||
            (strlen(suites[i].tls13) == bytes && !strncasecmp(name, suites[i].tls13, bytes)))
            return &suites[i];
    return NULL;
}

static bool has(const struct suite_order *order, const struct suite *suite)
{
    for (int i = 0; order->suites[i]; i++)
        if (order->suites[i] == suite)
            return true;
    return false;
}

int suite_parse(const char *text, struct suite_order *order, struct ferry_error *err)
{
    int used = 0;

    *order = (struct suite_order){ 0 };
    for (const char *at = text;; at++) {
        size_t bytes = strcspn(at, ":");
        const struct suite *suite = suite_named(at, bytes);

        if (!suite)
            return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                        "'%.*s' is no cipher: there are aes-128-gcm, aes-256-gcm and chacha20-poly1305",
                                        (int)(bytes < 64 ? bytes : 64), at);
        if (!has(order, suite))
            order->suites[used++] = suite;
        at += bytes;
        if (!*at)
            return 0;
    }
}

/* How long the best of some records takes; INT64_MAX where the library does not have the cipher. */
static int64_t probe(const struct suite *suite, uint8_t *data)
{
    static const uint8_t key[SUITE_KEY_MAX], nonce[SUITE_NONCE];
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->evp, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int64_t best = INT64_MAX;
    int done;

    for (int i = 0; cipher && ctx && i < PROBE_ROUNDS; i++) {
        int64_t began = clock_now_ns(), took;

        if (EVP_EncryptInit_ex(ctx, i ? NULL : cipher, NULL, i ? NULL : key, nonce) != 1 ||
            EVP_EncryptUpdate(ctx, data, &done, data, PROBE_BYTES) != 1 ||
            EVP_EncryptFinal_ex(ctx, data + done, &done) != 1)
            break;
        took = clock_now_ns() - began;
        best = took < best ? took : best;
    }
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return best;
}

/* In turns, so that a moment in which the processor is somebody else's hits all of them. */
static void probe_all(uint8_t *data, int64_t best[SUITE_COUNT])
{
    for (int turn = 0; turn < PROBE_TURNS; turn++) {
        for (int i = 0; i < SUITE_COUNT; i++) {
            int64_t took = probe(&suites[i], data);

            best[i] = turn > 0 && best[i] < took ? best[i] : took;
        }
    }
}

void suite_measure(struct suite_order *order)
{
    uint8_t data[PROBE_BYTES + 64] = { 0 };
    int64_t best[SUITE_COUNT], took[SUITE_COUNT];

    *order = (struct suite_order){ 0 };
    probe_all(data, best);
    for (int i = 0; i < SUITE_COUNT; i++) {
        int64_t mine = best[i];
        int place = i;

        for (; place > 0 && mine < took[place - 1] * NEARLY; place--) {
            took[place] = took[place - 1];
            order->suites[place] = order->suites[place - 1];
        }
        took[place] = mine;
        order->suites[place] = &suites[i];
    }
}

void suite_keep_sha256(struct suite_order *order)
{
    int used = 0;

    for (int i = 0; order->suites[i]; i++)
        if (!order->suites[i]->sha384)
            order->suites[used++] = order->suites[i];
    order->suites[used] = NULL;
}

void suite_list(const struct suite_order *order, enum suite_kind kind, char to[SUITE_LIST_SIZE])
{
    size_t used = 0;

    to[0] = '\0';
    for (int i = 0; order->suites[i]; i++) {
        const struct suite *suite = order->suites[i];
        const char *names = kind == SUITE_TLS13        ? suite->tls13
                            : kind == SUITE_X509_TLS12 ? suite->x509_tls12
                                                       : suite->psk_tls12;

        used += (size_t)snprintf(to + used, SUITE_LIST_SIZE - used, "%s%s", i ? ":" : "", names);
    }
}
