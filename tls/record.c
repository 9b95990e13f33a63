/* SPDX-License-Identifier: BSD-3-Clause */
/* record.c - one direction of TLS after the handshake: records sealed and opened in memory
 *
 * OpenSSL's own record layer copies the content once on its way out and once on its way in, and moves its whole input
 * buffer for every record: half of what the cipher costs.  Here the cipher reads the caller's memory and writes the
 * caller's memory.  Pieces below SMALL_BYTES are brought together first, since each call costs as much as they do.
 *
 * Opening straight into place means that bytes are there before the tag was seen to fit.  Where it does not, they are
 * overwritten with zeros.
 */
#include "record.h"

#include "bytes.h"
#include "keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define SMALL_BYTES  256
#define STAGE_BYTES  2048
#define DIRECT_BYTES 1024 /* below, a record goes through the spare room: it is an alert, or cheap */

/* --- places ------------------------------------------------------------------------------------------------------- */

/* How much lies in one piece from here on; 0 at the end. */
static size_t place_run(struct record_place *place)
{
    while (place->count > 0 && place->skip == place->iov->iov_len) {
        place->iov++;
        place->count--;
        place->skip = 0;
    }
    return place->count > 0 ? place->iov->iov_len - place->skip : 0;
}

/* @bytes at most what place_run() said. */
static uint8_t *place_take(struct record_place *place, size_t bytes)
{
    uint8_t *at = (uint8_t *)place->iov->iov_base + place->skip;

    place->skip += bytes;
    return at;
}

size_t record_copy(struct record_place *to, const uint8_t *from, size_t bytes)
{
    size_t done = 0, run;

    while (done < bytes && (run = place_run(to)) > 0) {
        run = run < bytes - done ? run : bytes - done;
        memcpy(place_take(to, run), from + done, run);
        done += run;
    }
    return done;
}

static void place_wipe(struct record_place place, size_t bytes)
{
    size_t run;

    while (bytes > 0 && (run = place_run(&place)) > 0) {
        run = run < bytes ? run : bytes;
        memset(place_take(&place, run), 0, run);
        bytes -= run;
    }
}

static void place_copy_out(struct record_place place, uint8_t *to, size_t bytes)
{
    size_t run;

    while (bytes > 0 && (run = place_run(&place)) > 0) {
        run = run < bytes ? run : bytes;
        memcpy(to, place_take(&place, run), run);
        to += run;
        bytes -= run;
    }
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static int library_failed(struct ferry_error *err)
{
    return ferry_error_set(err, -EIO, "the cipher failed");
}

static int set_keys(struct record_half *half, struct ferry_error *err)
{
    const struct record_secret *secret = &half->secret;
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, secret->suite->evp, NULL);
    uint8_t key[SUITE_KEY_MAX];
    size_t key_bytes = secret->suite->key_bytes;
    int ret = cipher ? 0 : -EIO;

    if (ret == 0 && secret->old) {
        memcpy(key, secret->bytes, key_bytes);
        memcpy(half->nonce, secret->bytes + key_bytes, secret->count - key_bytes);
    } else if (ret == 0) {
        ret = keys_expand(secret->sha384, secret->bytes, secret->count, "key", key, key_bytes);
        if (ret == 0)
            ret = keys_expand(secret->sha384, secret->bytes, secret->count, "iv", half->nonce, SUITE_NONCE);
    }
    if (ret == 0 && EVP_CipherInit_ex(half->ctx, cipher, NULL, key, half->nonce, half->seals) != 1)
        ret = -EIO;
    OPENSSL_cleanse(key, sizeof(key));
    EVP_CIPHER_free(cipher);
    return ret < 0 ? library_failed(err) : 0;
}

int record_start(struct record_half *half, const struct record_secret *secret, bool seals, uint64_t sequence,
                 struct ferry_error *err)
{
    half->secret = *secret;
    half->seals = seals;
    half->sequence = sequence;
    half->ctx = EVP_CIPHER_CTX_new();
    return half->ctx ? set_keys(half, err) : ferry_error_set(err, -ENOMEM, "no memory for a cipher");
}

void record_stop(struct record_half *half)
{
    EVP_CIPHER_CTX_free(half->ctx);
    half->ctx = NULL;
    OPENSSL_cleanse(&half->secret, sizeof(half->secret));
    OPENSSL_cleanse(half->nonce, sizeof(half->nonce));
}

int record_next_keys(struct record_half *half, struct ferry_error *err)
{
    struct record_secret *secret = &half->secret;
    uint8_t next[RECORD_SECRET_MAX];

    if (keys_expand(secret->sha384, secret->bytes, secret->count, "traffic upd", next, secret->count) < 0)
        return library_failed(err);
    memcpy(secret->bytes, next, secret->count);
    OPENSSL_cleanse(next, sizeof(next));
    half->sequence = 0;
    return set_keys(half, err);
}

/* --- what both directions do -------------------------------------------------------------------------------------- */

static size_t explicit_bytes(const struct record_half *half)
{
    return half->secret.old && half->secret.suite->explicit_nonce ? 8 : 0;
}

/* Nonce and additional data of the next record, whose head is @head and which carries @content bytes. */
static bool begin(struct record_half *half, const uint8_t *head, size_t content)
{
    uint8_t nonce[SUITE_NONCE], sequence[8], aad[13];
    size_t aad_bytes = RECORD_HEAD;
    int done;

    memcpy(nonce, half->nonce, SUITE_NONCE);
    store_be64(sequence, half->sequence);
    if (explicit_bytes(half))
        memcpy(nonce + SUITE_NONCE - 8, head + RECORD_HEAD, 8);
    else
        for (int i = 0; i < 8; i++)
            nonce[SUITE_NONCE - 8 + i] ^= sequence[i];
    memcpy(aad, head, RECORD_HEAD);
    if (half->secret.old) {
        memcpy(aad, sequence, 8);
        memcpy(aad + 8, head, 3);
        store_be16(aad + 11, (uint16_t)content);
        aad_bytes = 13;
    }
    return EVP_CipherInit_ex(half->ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
           EVP_CipherUpdate(half->ctx, NULL, &done, aad, (int)aad_bytes) == 1;
}

static bool crypt(struct record_half *half, uint8_t *to, const uint8_t *from, size_t bytes)
{
    int done;

    return bytes == 0 || EVP_CipherUpdate(half->ctx, to, &done, from, (int)bytes) == 1;
}

/* --- sealing ------------------------------------------------------------------------------------------------------ */

static bool seal_content(struct record_half *half, struct record_place *from, size_t bytes, uint8_t *out)
{
    uint8_t stage[STAGE_BYTES];
    size_t staged = 0;
    bool good = true;

    while (good && bytes > 0) {
        size_t run = place_run(from);

        run = run < bytes ? run : bytes;
        if (run == 0)
            return false;
        if (staged > 0 && (run >= SMALL_BYTES || staged + run > STAGE_BYTES)) {
            good = crypt(half, out, stage, staged);
            out += staged;
            staged = 0;
        }
        if (run >= SMALL_BYTES) {
            good = good && crypt(half, out, place_take(from, run), run);
            out += run;
        } else {
            memcpy(stage + staged, place_take(from, run), run);
            staged += run;
        }
        bytes -= run;
    }
    return good && crypt(half, out, stage, staged);
}

ssize_t record_seal(struct record_half *half, enum record_type type, struct record_place *from, size_t bytes,
                    uint8_t *out, struct ferry_error *err)
{
    size_t extra = explicit_bytes(half), tail = half->secret.old ? 0 : 1;
    uint8_t *content = out + RECORD_HEAD + extra, inner_type = (uint8_t)type;
    int done;

    out[0] = (uint8_t)(half->secret.old ? type : RECORD_DATA);
    store_be16(out + 1, 0x0303);
    store_be16(out + 3, (uint16_t)(extra + bytes + tail + SUITE_TAG));
    if (extra)
        store_be64(out + RECORD_HEAD, half->sequence);
    if (!begin(half, out, bytes) || !seal_content(half, from, bytes, content) ||
        !crypt(half, content + bytes, &inner_type, tail) ||
        EVP_CipherFinal_ex(half->ctx, content + bytes + tail, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(half->ctx, EVP_CTRL_AEAD_GET_TAG, SUITE_TAG, content + bytes + tail) != 1)
        return library_failed(err);
    half->sequence++;
    return (ssize_t)(RECORD_HEAD + extra + bytes + tail + SUITE_TAG);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int malformed(struct ferry_error *err, const char *what)
{
    return ferry_error_set_code(err, FERRY_E_TLS_BROKEN, -EBADMSG, "%s", what);
}

ssize_t record_length(const struct record_half *half, const uint8_t *head, struct ferry_error *err)
{
    size_t least = explicit_bytes(half) + SUITE_TAG + (half->secret.old ? 0 : 1);
    size_t body = load_be16(head + 3);

    if (head[0] == RECORD_CHANGE_CIPHER)
        return malformed(err, "the other end changes the cipher after the handshake");
    if (head[0] < RECORD_CHANGE_CIPHER || head[0] > RECORD_DATA || head[1] != 3 ||
        (!half->secret.old && head[0] != RECORD_DATA))
        return malformed(err, "what came is no TLS record");
    if (body < least || body > RECORD_BODY_MAX)
        return malformed(err, "a TLS record has a length that cannot be");
    return (ssize_t)(RECORD_HEAD + body);
}

static bool open_content(struct record_half *half, const uint8_t *from, size_t bytes, struct record_place *to)
{
    uint8_t stage[STAGE_BYTES];
    bool good = true;

    while (good && bytes > 0) {
        size_t run = place_run(to);

        run = run < bytes ? run : bytes;
        if (run == 0)
            return false;
        if (run >= SMALL_BYTES || run == bytes) {
            good = crypt(half, place_take(to, run), from, run);
        } else {
            struct record_place ahead = *to;
            size_t next = run;

            /* Further small pieces, together; the first large one ends it. */
            for (run = 0; next > 0 && next < SMALL_BYTES && run + next <= STAGE_BYTES;) {
                place_take(&ahead, next);
                run += next;
                next = place_run(&ahead);
                next = next < bytes - run ? next : bytes - run;
            }
            good = crypt(half, stage, from, run);
            if (good)
                record_copy(to, stage, run);
        }
        from += run;
        bytes -= run;
    }
    return good;
}

static bool authentic(struct record_half *half, const uint8_t *tag)
{
    uint8_t none[SUITE_TAG];
    int done;

    return EVP_CIPHER_CTX_ctrl(half->ctx, EVP_CTRL_AEAD_SET_TAG, SUITE_TAG, (void *)(uintptr_t)tag) == 1 &&
           EVP_CipherFinal_ex(half->ctx, none, &done) == 1;
}

/* The type is the last byte that is not 0.  Where zeros were added, or it is not data, all goes to the spare room. */
static int judge(struct record_place start, size_t placed, uint8_t *spare, size_t behind, struct record_opened *opened,
                 struct ferry_error *err)
{
    if (spare[behind - 1] == RECORD_DATA) {
        *opened = (struct record_opened){ RECORD_DATA, placed, behind - 1 };
        return 0;
    }
    memmove(spare + placed, spare, behind);
    place_copy_out(start, spare, placed);
    place_wipe(start, placed);
    behind += placed;
    while (behind > 0 && spare[behind - 1] == 0)
        behind--;
    if (behind == 0)
        return malformed(err, "a TLS record carries nothing but zeros");
    *opened = (struct record_opened){ spare[behind - 1], 0, behind - 1 };
    return 0;
}

int record_open(struct record_half *half, const uint8_t *record, size_t bytes, struct record_place *to, size_t room,
                uint8_t *spare, struct record_opened *opened, struct ferry_error *err)
{
    size_t extra = explicit_bytes(half), tail = half->secret.old ? 0 : 1;
    const uint8_t *sealed = record + RECORD_HEAD + extra;
    size_t inner = bytes - RECORD_HEAD - extra - SUITE_TAG, content = inner - tail;
    size_t placed = content < room ? content : room;
    struct record_place start = *to, moved = *to;
    int ret = 0;

    if (content > RECORD_CONTENT)
        return malformed(err, "a TLS record carries more than it may");
    if (content < DIRECT_BYTES || (half->secret.old && record[0] != RECORD_DATA))
        placed = 0;
    if (!begin(half, record, content) || !open_content(half, sealed, placed, &moved) ||
        !crypt(half, spare, sealed + placed, inner - placed) || !authentic(half, sealed + inner)) {
        place_wipe(start, placed);
        OPENSSL_cleanse(spare, inner - placed);
        return malformed(err, "a TLS record was changed on its way: its tag does not fit");
    }
    half->sequence++;
    if (half->secret.old)
        *opened = (struct record_opened){ record[0], placed, content - placed };
    else
        ret = judge(start, placed, spare, inner - placed, opened, err);
    if (ret == 0 && opened->placed)
        *to = moved;
    return ret;
}
