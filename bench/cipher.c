/* SPDX-License-Identifier: BSD-3-Clause */
/* cipher.c - keys for a benchmark, and OpenSSL's ciphers by themselves */
#include "cipher.h"

#include "clock.h"
#include "make_keys.h"
#include "mapping.h"
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES  (UINT64_C(64) << 20) /* of which no cache holds much */
#define BUFFER_PIECES 32
#define TAG_BYTES     16

const char *const cipher_names[CIPHER_COUNT] = { "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305" };

int cipher_keys_make(char folder[64], struct ferry_error *err)
{
    static const char *const hosts[] = { "localhost" };
    struct make_terms terms = {
        .folder = folder, .layout = NAMES_QEMU, .hosts = hosts, .host_count = 1, .client = "bench", .days = 1
    };
    struct file_set made = { 0 };
    int ret;

    snprintf(folder, 64, "/tmp/ferry-bench-XXXXXX");
    if (!mkdtemp(folder)) {
        ret = -errno;
        folder[0] = '\0';
        return ferry_error_set(err, ret, "no folder for certificates: %s", strerror(-ret));
    }
    ret = make_x509(&terms, &made, err);
    file_set_clear(&made);
    return ret;
}

void cipher_keys_remove(const char *folder)
{
    DIR *dir = *folder ? opendir(folder) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (*folder)
        (void)rmdir(folder);
}

struct cipher_half {
    EVP_CIPHER_CTX *ctx;
    uint64_t sequence;
    bool seals;
};

struct cipher_half *cipher_half_new(const char *name, bool seals, struct ferry_error *err)
{
    static const uint8_t key[32] = { 1 };
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    struct cipher_half *half = calloc(1, sizeof(*half));
    bool good = half && cipher && (half->ctx = EVP_CIPHER_CTX_new()) &&
                EVP_CipherInit_ex(half->ctx, cipher, NULL, key, NULL, seals) == 1;

    EVP_CIPHER_free(cipher);
    if (good) {
        half->seals = seals;
        return half;
    }
    cipher_half_free(half);
    ferry_error_set(err, -EINVAL, "'%s' is no cipher of this OpenSSL", name);
    return NULL;
}

void cipher_half_free(struct cipher_half *half)
{
    if (half)
        EVP_CIPHER_CTX_free(half->ctx);
    free(half);
}

bool cipher_half_work(struct cipher_half *half, const uint8_t *from, uint8_t *to)
{
    uint8_t nonce[12] = { 0 },
            *tag = half->seals ? to + CIPHER_PIECE_BYTES : (uint8_t *)(uintptr_t)from + CIPHER_PIECE_BYTES;
    int done;

    memcpy(nonce, &half->sequence, sizeof(half->sequence));
    half->sequence++;
    if (EVP_CipherInit_ex(half->ctx, NULL, NULL, NULL, nonce, half->seals) != 1 ||
        (!half->seals && EVP_CIPHER_CTX_ctrl(half->ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1) ||
        EVP_CipherUpdate(half->ctx, to, &done, from, CIPHER_PIECE_BYTES) != 1 ||
        EVP_CipherFinal_ex(half->ctx, to + CIPHER_PIECE_BYTES, &done) != 1)
        return false;
    return !half->seals || EVP_CIPHER_CTX_ctrl(half->ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
}

/* Sealing reads all of @memory and writes a buffer that would go to a socket next; opening the other way round, where
 * finding that a tag is wrong costs as much as finding it right. */
static bool work_all(struct cipher_half *half, uint8_t *memory, uint8_t *buffer)
{
    bool good = true;

    for (uint64_t at = 0; at < MEMORY_BYTES; at += CIPHER_PIECE_BYTES) {
        uint8_t *near = buffer + at / CIPHER_PIECE_BYTES % BUFFER_PIECES * CIPHER_SEALED_BYTES;

        if (half->seals)
            good = cipher_half_work(half, memory + at, near) && good;
        else
            cipher_half_work(half, near, memory + at);
    }
    return good;
}

int cipher_speed(const char *name, bool seals, double *rate, struct ferry_error *err)
{
    struct cipher_half *half = cipher_half_new(name, seals, err);
    uint8_t *buffer = calloc(BUFFER_PIECES, CIPHER_SEALED_BYTES);
    struct mapping memory = { 0 };
    int ret = half && buffer ? mapping_map(&memory, MEMORY_BYTES, MAPPING_HUGE, err) : -EINVAL;
    int64_t began;

    if (ret == 0) {
        memset(memory.host, 0x5a, MEMORY_BYTES);
        began = clock_now_ns();
        if (!work_all(half, memory.host, buffer))
            ret = ferry_error_set(err, -EIO, "%s: OpenSSL did not seal", name);
        *rate = measure_rate(MEMORY_BYTES, clock_now_ns() - began);
    }
    mapping_unmap(&memory);
    free(buffer);
    cipher_half_free(half);
    return ret;
}
