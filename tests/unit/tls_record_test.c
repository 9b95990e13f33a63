/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_record_test.c - records: what is sealed is opened, what was changed is not, and nothing else is believed */
#include "record.h"

#include "bytes.h"
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (RECORD_CONTENT + RECORD_OVERHEAD)

static const char *const ciphers[] = { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305" };

struct halves {
    struct record_half seals, opens;
};

static void start(struct halves *halves, const char *cipher, bool old)
{
    struct record_secret secret = { .suite = suite_of_evp(cipher), .old = old };
    struct ferry_error err;

    assert_non_null(secret.suite);
    secret.sha384 = secret.suite->sha384;
    secret.count = secret.sha384 ? 48 : 32;
    if (old)
        secret.count = secret.suite->key_bytes + (secret.suite->explicit_nonce ? 4 : SUITE_NONCE);
    for (size_t i = 0; i < secret.count; i++)
        secret.bytes[i] = (uint8_t)(i * 7 + 1);
    memset(halves, 0, sizeof(*halves));
    assert_int_equal(record_start(&halves->seals, &secret, true, old, &err), 0);
    assert_int_equal(record_start(&halves->opens, &secret, false, old, &err), 0);
}

static void stop(struct halves *halves)
{
    record_stop(&halves->seals);
    record_stop(&halves->opens);
}

static size_t seal(struct halves *halves, enum record_type type, const void *data, size_t bytes, uint8_t *out)
{
    struct iovec iov = { (void *)(uintptr_t)data, bytes };
    struct record_place from = { &iov, 1, 0 };
    ssize_t done = record_seal(&halves->seals, type, &from, bytes, out, NULL);

    assert_true(done > 0);
    assert_int_equal(record_length(&halves->opens, out, NULL), done);
    return (size_t)done;
}

/* Pieces of odd sizes, some of them empty. */
static int cut(struct iovec *iov, uint8_t *data, size_t bytes, unsigned seed)
{
    int count = 0;

    for (size_t done = 0; done < bytes; count++) {
        size_t part = (size_t)rand_r(&seed);

        part = part % 5 == 0 ? 0 : part % 5 == 1 ? part % 10 : part % 5 == 2 ? 4096 : part % 700;
        part = part < bytes - done ? part : bytes - done;
        iov[count] = (struct iovec){ data + done, part };
        done += part;
    }
    return count;
}

static void what_is_sealed_is_opened(void **state)
{
    static struct iovec pieces[RECORD_CONTENT];
    static uint8_t data[RECORD_CONTENT], back[RECORD_CONTENT], out[ROOM], spare[RECORD_BODY_MAX];
    struct record_opened opened;
    struct halves halves;
    unsigned seed = 3;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    for (int kind = 0; kind < 6; kind++) {
        start(&halves, ciphers[kind / 2], kind % 2);
        for (int round = 0; round < 200; round++) {
            size_t bytes = round < 3 ? RECORD_CONTENT - (size_t)round : 1 + (size_t)rand_r(&seed) % RECORD_CONTENT;
            size_t room = round % 2 ? bytes : 1 + (size_t)rand_r(&seed) % bytes;
            struct record_place from = { pieces, cut(pieces, data, bytes, seed), 0 }, to;
            ssize_t record = record_seal(&halves.seals, RECORD_DATA, &from, bytes, out, NULL);

            assert_true(record > (ssize_t)bytes && record <= (ssize_t)bytes + RECORD_OVERHEAD);
            assert_int_equal(record_length(&halves.opens, out, NULL), record);
            memset(back, 0xee, sizeof(back));
            to = (struct record_place){ pieces, cut(pieces, back, room, seed + 1), 0 };
            assert_int_equal(record_open(&halves.opens, out, (size_t)record, &to, room, spare, &opened, NULL), 0);
            assert_int_equal(opened.type, RECORD_DATA);
            assert_int_equal(opened.placed + opened.spare, bytes);
            assert_true(opened.placed <= room);
            assert_memory_equal(back, data, opened.placed);
            assert_memory_equal(spare, data + opened.placed, opened.spare);
            if (opened.placed < sizeof(back))
                assert_int_equal(back[opened.placed], 0xee);
        }
        stop(&halves);
    }
}

static void a_changed_record_leaves_zeros_and_an_error(void **state)
{
    static uint8_t data[3000], back[3000], out[ROOM], spare[RECORD_BODY_MAX];
    struct iovec iov = { back, sizeof(back) };
    struct ferry_error err;
    struct halves halves;

    memset(data, 0x5a, sizeof(data));
    for (int kind = 0; kind < 6; kind++) {
        size_t bytes;

        start(&halves, ciphers[kind / 2], kind % 2);
        bytes = seal(&halves, RECORD_DATA, data, sizeof(data), out);
        for (size_t at = RECORD_HEAD; at < bytes; at += at < 64 || at + 64 > bytes ? 1 : 37) {
            struct record_place to = { &iov, 1, 0 };
            struct record_opened opened;

            memset(back, 0xee, sizeof(back));
            out[at] ^= 0x10;
            assert_int_equal(record_open(&halves.opens, out, bytes, &to, sizeof(back), spare, &opened, &err), -EBADMSG);
            assert_int_equal(err.code, FERRY_E_TLS_BROKEN);
            for (size_t i = 0; i < sizeof(back); i++)
                assert_int_equal(back[i], 0);
            assert_int_equal(to.skip, 0);
            out[at] ^= 0x10;
        }
        stop(&halves);
    }
}

static void a_record_comes_once_and_in_order(void **state)
{
    static uint8_t first[ROOM], second[ROOM], back[100], spare[RECORD_BODY_MAX];
    struct iovec iov = { back, sizeof(back) };
    struct record_place to = { &iov, 1, 0 };
    struct record_opened opened;
    struct halves halves;
    size_t one, two;

    start(&halves, ciphers[0], false);
    one = seal(&halves, RECORD_DATA, "first", 5, first);
    two = seal(&halves, RECORD_DATA, "second", 6, second);
    assert_int_equal(record_open(&halves.opens, second, two, &to, 100, spare, &opened, NULL), -EBADMSG);
    assert_int_equal(record_open(&halves.opens, first, one, &to, 100, spare, &opened, NULL), 0);
    assert_int_equal(record_open(&halves.opens, first, one, &to, 100, spare, &opened, NULL), -EBADMSG);
    assert_int_equal(record_open(&halves.opens, second, two, &to, 100, spare, &opened, NULL), 0);
    assert_memory_equal(spare, "second", 6);
    stop(&halves);
}

static void heads_that_cannot_be_are_refused(void **state)
{
    static const uint8_t heads[][RECORD_HEAD] = {
        { 20, 3, 3, 0, 1 },       /* a change of cipher */
        { 22, 3, 3, 0, 40 },      /* not sealed */
        { 21, 3, 3, 0, 2 },       /* an alert in the clear */
        { 23, 3, 3, 0, 16 },      /* not even a type */
        { 23, 3, 3, 0x41, 0x01 }, /* one more than fits */
        { 23, 3, 3, 0xff, 0xff }, { 'G', 'E', 'T', ' ', '/' }, { 0 },
    };
    struct halves halves;
    struct ferry_error err;

    start(&halves, ciphers[0], false);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        assert_int_equal(record_length(&halves.opens, heads[i], &err), -EBADMSG);
    assert_int_equal(record_length(&halves.opens, (uint8_t[]){ 23, 3, 3, 0x41, 0 }, &err), RECORD_HEAD + 0x4100);
    stop(&halves);
}

/* Content, its type, and zeros: the other end may add these (RFC 8446, 5.4). */
static void zeros_that_were_added_are_taken_off(void **state)
{
    static uint8_t data[9000], back[9000], out[ROOM], spare[RECORD_BODY_MAX];
    struct iovec iov = { back, sizeof(back) };
    struct record_opened opened;
    struct halves halves;

    memset(data, 0x5a, 5000);
    data[5000] = RECORD_DATA;
    start(&halves, ciphers[1], false);
    for (int room = 1; room < 9000; room += 2999) {
        struct record_place to = { &iov, 1, 0 };
        size_t bytes = seal(&halves, 0, data, sizeof(data), out); /* its own type is one more zero */

        memset(back, 0, sizeof(back));
        assert_int_equal(record_open(&halves.opens, out, bytes, &to, (size_t)room, spare, &opened, NULL), 0);
        assert_int_equal(opened.type, RECORD_DATA);
        assert_int_equal(opened.placed, 0);
        assert_int_equal(opened.spare, 5000);
        assert_memory_equal(spare, data, 5000);
        for (size_t i = 0; i < sizeof(back); i++)
            assert_int_equal(back[i], 0);
    }
    memset(data, 0, sizeof(data));
    {
        struct record_place to = { &iov, 1, 0 };
        size_t bytes = seal(&halves, 0, data, sizeof(data), out);

        assert_int_equal(record_open(&halves.opens, out, bytes, &to, 10, spare, &opened, NULL), -EBADMSG);
    }
    stop(&halves);
}

static void what_is_not_data_never_reaches_the_reader(void **state)
{
    static uint8_t data[5000], back[5000], out[ROOM], spare[RECORD_BODY_MAX];
    struct iovec iov = { back, sizeof(back) };
    struct record_opened opened;
    struct halves halves;

    memset(data, 0x5a, sizeof(data));
    for (int old = 0; old < 2; old++) {
        struct record_place to = { &iov, 1, 0 };
        size_t bytes;

        start(&halves, ciphers[2], old);
        bytes = seal(&halves, RECORD_HANDSHAKE, data, sizeof(data), out);
        memset(back, 0, sizeof(back));
        assert_int_equal(record_open(&halves.opens, out, bytes, &to, sizeof(back), spare, &opened, NULL), 0);
        assert_int_equal(opened.type, RECORD_HANDSHAKE);
        assert_int_equal(opened.placed, 0);
        assert_int_equal(opened.spare, sizeof(data));
        for (size_t i = 0; i < sizeof(back); i++)
            assert_int_equal(back[i], 0);
        stop(&halves);
    }
}

static void new_keys_follow_from_the_old(void **state)
{
    static uint8_t old[ROOM], out[ROOM], spare[RECORD_BODY_MAX], back[8];
    struct iovec iov = { back, sizeof(back) };
    struct record_place to = { &iov, 1, 0 };
    struct record_opened opened;
    struct halves halves;
    size_t bytes;

    start(&halves, ciphers[1], false);
    bytes = seal(&halves, RECORD_DATA, "ferry", 5, old);
    assert_int_equal(record_open(&halves.opens, old, bytes, &to, 8, spare, &opened, NULL), 0);
    assert_int_equal(record_next_keys(&halves.seals, NULL), 0);
    bytes = seal(&halves, RECORD_DATA, "ferry", 5, out);
    assert_memory_not_equal(old, out, bytes);
    assert_int_equal(record_open(&halves.opens, out, bytes, &to, 8, spare, &opened, NULL), -EBADMSG);
    assert_int_equal(record_next_keys(&halves.opens, NULL), 0);
    assert_int_equal(record_open(&halves.opens, out, bytes, &to, 8, spare, &opened, NULL), 0);
    stop(&halves);
}

/* RFC 8448, section 3: keys of the server's application data. */
static void keys_are_those_of_the_published_trace(void **state)
{
    static const uint8_t secret[32] = { 0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad, 0x47, 0x11,
                                        0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb,
                                        0x6b, 0x3a, 0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43 };
    static const uint8_t key[16] = { 0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef,
                                     0xc2, 0x6b, 0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56 };
    static const uint8_t iv[12] = { 0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84 };
    uint8_t made[16];

    assert_int_equal(keys_expand(false, secret, 32, "key", made, 16), 0);
    assert_memory_equal(made, key, 16);
    assert_int_equal(keys_expand(false, secret, 32, "iv", made, 12), 0);
    assert_memory_equal(made, iv, 12);
}

struct scribbler {
    _Atomic(uint8_t) *page;
    size_t bytes;
    atomic_bool stop;
};

static void *scribble(void *opaque)
{
    struct scribbler *scribbler = opaque;

    for (unsigned seed = 1; !atomic_load(&scribbler->stop);)
        atomic_store_explicit(&scribbler->page[(size_t)rand_r(&seed) % scribbler->bytes], (uint8_t)seed,
                              memory_order_relaxed);
    return NULL;
}

static void memory_that_changes_meanwhile_is_sealed_all_the_same(void **state)
{
    static _Atomic(uint8_t) page[RECORD_CONTENT];
    static uint8_t out[ROOM], back[RECORD_CONTENT], spare[RECORD_BODY_MAX];
    struct scribbler scribbler = { page, sizeof(page), false };
    struct record_opened opened;
    struct halves halves;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler), 0);
    for (int kind = 0; kind < 3; kind++) {
        start(&halves, ciphers[kind], false);
        for (int round = 0; round < 500; round++) {
            struct iovec iov = { back, sizeof(back) };
            struct record_place to = { &iov, 1, 0 };
            size_t bytes = seal(&halves, RECORD_DATA, page, sizeof(page), out);

            assert_int_equal(record_open(&halves.opens, out, bytes, &to, sizeof(back), spare, &opened, NULL), 0);
        }
        stop(&halves);
    }
    atomic_store(&scribbler.stop, true);
    pthread_join(thread, NULL);
}

static void ciphers_are_chosen_by_name_and_by_speed(void **state)
{
    struct suite_order order;
    struct ferry_error err;
    char list[SUITE_LIST_SIZE];
    int count = 0;

    assert_int_equal(suite_parse("aes-256-gcm:TLS_CHACHA20_POLY1305_SHA256:aes-256-gcm", &order, &err), 0);
    suite_list(&order, SUITE_TLS13, list);
    assert_string_equal(list, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    suite_keep_sha256(&order);
    suite_list(&order, SUITE_TLS13, list);
    assert_string_equal(list, "TLS_CHACHA20_POLY1305_SHA256");
    assert_int_equal(suite_parse("aes-256-gcm:rc4", &order, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'rc4'"));
    assert_int_equal(suite_parse("", &order, &err), -EINVAL);
    suite_measure(&order);
    while (order.suites[count])
        count++;
    assert_int_equal(count, SUITE_COUNT);
    assert_ptr_not_equal(order.suites[0], order.suites[1]);
    assert_ptr_not_equal(order.suites[1], order.suites[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_opened),
        cmocka_unit_test(a_changed_record_leaves_zeros_and_an_error),
        cmocka_unit_test(a_record_comes_once_and_in_order),
        cmocka_unit_test(heads_that_cannot_be_are_refused),
        cmocka_unit_test(zeros_that_were_added_are_taken_off),
        cmocka_unit_test(what_is_not_data_never_reaches_the_reader),
        cmocka_unit_test(new_keys_follow_from_the_old),
        cmocka_unit_test(keys_are_those_of_the_published_trace),
        cmocka_unit_test(memory_that_changes_meanwhile_is_sealed_all_the_same),
        cmocka_unit_test(ciphers_are_chosen_by_name_and_by_speed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
