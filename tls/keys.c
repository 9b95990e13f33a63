/* SPDX-License-Identifier: BSD-3-Clause */
/* keys.c - keys made from secrets, as TLS 1.3 and TLS 1.2 make them */
#include "keys.h"

#include "bytes.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define LABEL_MAX 32

static OSSL_PARAM octets(const char *name, const void *from, size_t bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)from, bytes);
}

static int derive(const char *function, OSSL_PARAM *params, uint8_t *to, size_t bytes)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, function, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int ret = ctx && EVP_KDF_derive(ctx, to, bytes, params) == 1 ? 0 : -EIO;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ret;
}

static OSSL_PARAM digest_of(bool sha384)
{
    const char *name = sha384 ? "SHA384" : "SHA256";

    return OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)name, 0);
}

int keys_expand(bool sha384, const uint8_t *secret, size_t secret_bytes, const char *label, uint8_t *to, size_t bytes)
{
    uint8_t info[4 + 6 + LABEL_MAX];
    size_t label_bytes = strlen(label), used = 0;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[5];

    if (label_bytes > LABEL_MAX)
        return -EIO;
    store_be16(info, (uint16_t)bytes);
    info[2] = (uint8_t)(6 + label_bytes);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_bytes);
    used = 9 + label_bytes;
    info[used++] = 0; /* no context */
    params[0] = digest_of(sha384);
    params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[2] = octets(OSSL_KDF_PARAM_KEY, secret, secret_bytes);
    params[3] = octets(OSSL_KDF_PARAM_INFO, info, used);
    params[4] = OSSL_PARAM_construct_end();
    return derive("HKDF", params, to, bytes);
}

int keys_block(bool sha384, const uint8_t *master, size_t master_bytes, const uint8_t randoms[64], uint8_t *to,
               size_t bytes)
{
    OSSL_PARAM params[5];

    params[0] = digest_of(sha384);
    params[1] = octets(OSSL_KDF_PARAM_SECRET, master, master_bytes);
    params[2] = octets(OSSL_KDF_PARAM_SEED, "key expansion", 13);
    params[3] = octets(OSSL_KDF_PARAM_SEED, randoms, 64);
    params[4] = OSSL_PARAM_construct_end();
    return derive("TLS1-PRF", params, to, bytes);
}
