/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_channel_test.c - the channel that encrypts another, at work and when it is cut off */
#include "channel_ends.h"
#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DUPLEX_BYTES (24 * 1024 * 1024 + 4321)
#define UPDATE_BYTES (3 * 1024 * 1024)
#define PAGES        16

static char folder[64];
static struct tls_credentials *client, *server;

static int set_up(void **state)
{
    struct tls_terms terms = { .folder = folder };

    fixture_folder(folder);
    fixture_fill(folder);
    client = fixture_credentials(TLS_CLIENT, &terms);
    server = fixture_credentials(TLS_SERVER, &terms);
    return 0;
}

static int tear_down(void **state)
{
    tls_credentials_unref(client);
    tls_credentials_unref(server);
    fixture_remove(folder);
    return 0;
}

/* --- data --------------------------------------------------------------------------------------------------------- */

struct flow {
    pthread_t thread;
    struct ferry_channel *chan;
    size_t bytes;
    struct ferry_error err;
    int result;
};

static void *send_flow(void *opaque)
{
    struct flow *flow = opaque;
    uint8_t *chunk = malloc(1 << 20);
    unsigned seed = 5;

    for (size_t done = 0; chunk && flow->result == 0 && done < flow->bytes;) {
        size_t bytes = 1 + (size_t)rand_r(&seed) % (done % 3 ? 40000 : 1 << 20);
        struct iovec iov[3];

        bytes = bytes < flow->bytes - done ? bytes : flow->bytes - done;
        ends_fill(chunk, bytes, done);
        iov[0] = (struct iovec){ chunk, bytes < 9 ? bytes : 9 };
        iov[1] = (struct iovec){ chunk, 0 };
        iov[2] = (struct iovec){ chunk + iov[0].iov_len, bytes - iov[0].iov_len };
        flow->result = ferry_channel_writev_all(flow->chan, iov, 3, &flow->err);
        done += bytes;
    }
    if (flow->result == 0)
        flow->result = ferry_channel_finish(flow->chan, &flow->err);
    free(chunk);
    return NULL;
}

static void start_flow(struct flow *flow, struct ferry_channel *chan, size_t bytes)
{
    *flow = (struct flow){ .chan = chan, .bytes = bytes };
    assert_int_equal(pthread_create(&flow->thread, NULL, send_flow, flow), 0);
}

static void *receive_flow(void *opaque)
{
    struct flow *flow = opaque;
    uint8_t *chunk = malloc(1 << 20);
    unsigned seed = 6;
    size_t done = 0;

    while (chunk) {
        size_t want = 1 + (size_t)rand_r(&seed) % (done % 2 ? 5000 : 1 << 20);
        ssize_t got;

        ferry_channel_expect(flow->chan, flow->bytes - done < want ? flow->bytes - done : want);
        got = ends_read_some(flow->chan, chunk, want, &flow->err);
        flow->result = got < 0 ? (int)got : 0;
        if (got <= 0)
            break;
        ends_assert_filled(chunk, (size_t)got, done);
        done += (size_t)got;
    }
    free(chunk);
    if (flow->result == 0 && done != flow->bytes)
        flow->result = -EIO;
    return NULL;
}

static void join(struct flow *flow)
{
    pthread_join(flow->thread, NULL);
    if (flow->result < 0)
        fail_msg("%s", ferry_error_text(&flow->err));
}

/* Both ends write and read at once; returns with both at their end. */
static void exchange(struct fixture_pair *pair, size_t bytes)
{
    struct flow out[2], in;

    start_flow(&out[0], pair->client, bytes);
    start_flow(&out[1], pair->server, bytes);
    in = (struct flow){ .chan = pair->client, .bytes = bytes };
    assert_int_equal(pthread_create(&in.thread, NULL, receive_flow, &in), 0);
    {
        struct flow here = { .chan = pair->server, .bytes = bytes };

        receive_flow(&here);
        if (here.result < 0)
            fail_msg("%s", ferry_error_text(&here.err));
    }
    join(&in);
    join(&out[0]);
    join(&out[1]);
}

static void both_ways_at_once_with_new_keys_every_few_mib(void **state)
{
    struct tls_terms terms = { .folder = folder, .update_bytes = UPDATE_BYTES };
    static const char *const ciphers[] = { "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305" };

    for (int i = 0; i < 3; i++) {
        struct tls_credentials *ends[2];
        struct fixture_pair pair;
        struct tls_facts facts;

        terms.ciphers = ciphers[i];
        ends[0] = fixture_credentials(TLS_CLIENT, &terms);
        ends[1] = fixture_credentials(TLS_SERVER, &terms);
        fixture_connect(&pair, ends[0], ends[1]);
        exchange(&pair, DUPLEX_BYTES);
        tls_channel_facts(pair.server, &facts);
        assert_string_equal(facts.version, "1.3");
        assert_string_equal(facts.cipher, ciphers[i]);
        assert_int_equal(facts.sent_bytes, DUPLEX_BYTES);
        assert_int_equal(facts.received_bytes, DUPLEX_BYTES);
        /* A batch may be up to 512 KiB late. */
        assert_in_range(facts.key_updates, 2 * (DUPLEX_BYTES / (UPDATE_BYTES + 512 * 1024)) - 1,
                        2 * (DUPLEX_BYTES / UPDATE_BYTES));
        fixture_drop(&pair);
        tls_credentials_unref(ends[0]);
        tls_credentials_unref(ends[1]);
    }
}

static void older_tls_where_asked_for(void **state)
{
    struct tls_terms old = { .folder = folder, .least = TLS_LEAST_1_2 },
                     psk = { .psk = folder, .least = TLS_LEAST_1_2 };
    static const char *const ciphers[] = { "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305" };

    /* Two of our ends meet at 1.3 all the same; at 1.2 there is only what 1.3 cannot do: AES-256 by a key of a file. */
    for (int i = 0; i < 3; i++) {
        struct tls_terms *terms = i == 1 ? &psk : &old;
        struct tls_credentials *ends[2];
        struct fixture_pair pair;
        struct tls_facts facts;

        terms->ciphers = ciphers[i];
        ends[0] = fixture_credentials(TLS_CLIENT, terms);
        ends[1] = fixture_credentials(TLS_SERVER, terms);
        fixture_connect(&pair, ends[0], ends[1]);
        exchange(&pair, DUPLEX_BYTES / 4);
        tls_channel_facts(pair.client, &facts);
        assert_string_equal(facts.version, i == 1 ? "1.2" : "1.3");
        assert_string_equal(facts.cipher, ciphers[i]);
        assert_int_equal(facts.proof, i == 1 ? TLS_PROOF_PSK : TLS_PROOF_CERTIFICATE);
        fixture_drop(&pair);
        tls_credentials_unref(ends[0]);
        tls_credentials_unref(ends[1]);
    }
}

static void records_are_full_whatever_the_pieces(void **state)
{
    enum { PIECES = 3 * 250 };
    struct flow in = { .bytes = PIECES / 3 * (9 + 4096 + 4096) };
    uint8_t *data = ends_must_alloc(in.bytes);
    struct iovec iov[PIECES];
    struct fixture_pair pair;
    struct tls_facts facts;
    struct ferry_error err;
    size_t at = 0;

    ends_fill(data, in.bytes, 0);
    for (int i = 0; i < PIECES; i++) {
        iov[i] = (struct iovec){ data + at, i % 3 ? 4096 : 9 };
        at += iov[i].iov_len;
    }
    fixture_connect(&pair, client, server);
    in.chan = pair.server;
    assert_int_equal(pthread_create(&in.thread, NULL, receive_flow, &in), 0);
    assert_int_equal(ferry_channel_writev_all(pair.client, iov, PIECES, &err), 0);
    ends_finish(pair.client);
    join(&in);
    tls_channel_facts(pair.client, &facts);
    assert_int_equal(facts.sent_bytes, in.bytes);
    assert_int_equal(facts.sent_records, (in.bytes + 16383) / 16384);
    tls_channel_facts(pair.server, &facts);
    assert_int_equal(facts.received_records, (in.bytes + 16383) / 16384);
    fixture_drop(&pair);
    free(data);
}

static void a_small_message_goes_out_at_once(void **state)
{
    struct fixture_pair pair;
    char word[6] = "";

    fixture_connect(&pair, client, server);
    for (int i = 0; i < 100; i++) {
        ends_write_whole(pair.client, "ping", 4);
        ends_read_whole(pair.server, word, 4);
        assert_string_equal(word, "ping");
        ends_write_whole(pair.server, "pong", 4);
        ends_read_whole(pair.client, word, 4);
        assert_string_equal(word, "pong");
    }
    assert_true(ferry_channel_answers(pair.client));
    assert_string_equal(ferry_channel_label(pair.client), "tls(socketpair:0)");
    fixture_drop(&pair);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* As fixture_connect(), keeping the inner channel of the client. */
static struct ferry_channel *connect_and_keep(struct fixture_pair *pair)
{
    struct ferry_channel *inner[2];

    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    ferry_channel_ref(inner[0]);
    fixture_shake(pair, inner, client, FIXTURE_HOST, server);
    assert_non_null(pair->client);
    assert_non_null(pair->server);
    return inner[0];
}

static void expect_broken(struct fixture_pair *pair, int errnum, enum ferry_code code, const char *text)
{
    struct ferry_error err = { 0 };
    char word[16];

    ends_read_whole(pair->server, word, 5);
    for (int i = 0; i < 2; i++) {
        ends_assert_error(pair->server, &err, ends_read_some(pair->server, word, sizeof(word), &err), errnum);
        assert_int_equal(err.code, code);
        if (!strstr(err.text, text))
            fail_msg("'%s' does not say '%s'", err.text, text);
    }
}

static void an_end_without_goodbye_is_no_end(void **state)
{
    struct fixture_pair pair;
    struct ferry_channel *inner = connect_and_keep(&pair);

    ends_write_whole(pair.client, "ferry", 5);
    ends_finish(inner);
    expect_broken(&pair, -EPIPE, FERRY_E_STREAM_ENDED, "cut off");
    ferry_channel_unref(inner);
    fixture_drop(&pair);
}

static void an_end_in_a_record_is_no_end_even_where_forgiven(void **state)
{
    struct fixture_pair pair;
    struct ferry_channel *inner = connect_and_keep(&pair);

    tls_channel_forgive_end(pair.server);
    ends_write_whole(pair.client, "ferry", 5);
    ends_write_whole(inner, "\x17\x03\x03\x40\x11half", 9);
    ends_finish(inner);
    expect_broken(&pair, -EPIPE, FERRY_E_STREAM_ENDED, "in the middle of a record");
    ferry_channel_unref(inner);
    fixture_drop(&pair);
}

static void an_end_that_is_forgiven_is_one(void **state)
{
    struct fixture_pair pair;
    struct ferry_channel *inner = connect_and_keep(&pair);
    char word[5];

    tls_channel_forgive_end(pair.server);
    ends_write_whole(pair.client, "ferry", 5);
    ends_finish(inner);
    ends_read_whole(pair.server, word, 5);
    ends_assert_at_end(pair.server);
    ferry_channel_unref(inner);
    fixture_drop(&pair);
}

static void what_somebody_else_put_in_is_found(void **state)
{
    struct fixture_pair pair;
    struct ferry_channel *inner = connect_and_keep(&pair);

    ends_write_whole(pair.client, "ferry", 5);
    ends_write_whole(inner, "\x17\x03\x03\x00\x20 thirty-two bytes of no meaning!!", 37);
    expect_broken(&pair, -EBADMSG, FERRY_E_TLS_BROKEN, "changed on its way");
    ferry_channel_unref(inner);
    fixture_drop(&pair);
}

static void plain_text_behind_the_handshake_is_found(void **state)
{
    struct fixture_pair pair;
    struct ferry_channel *inner = connect_and_keep(&pair);

    ends_write_whole(pair.client, "ferry", 5);
    ends_write_whole(inner, "QEVM\0\0\0\3", 8);
    expect_broken(&pair, -EBADMSG, FERRY_E_TLS_BROKEN, "no TLS record");
    ferry_channel_unref(inner);
    fixture_drop(&pair);
}

static void *shake_alone(void *opaque)
{
    struct flow *flow = opaque;
    struct ferry_channel *chan = tls_channel_new(flow->chan, client, FIXTURE_HOST, &flow->err);

    flow->result = chan ? 0 : flow->err.errnum;
    ferry_channel_unref(chan);
    return NULL;
}

static void a_handshake_is_woken_by_shutting_the_inner_channel_down(void **state)
{
    struct ferry_channel *inner[2];
    struct flow flow;
    char byte;

    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    flow = (struct flow){ .chan = inner[0] };
    assert_int_equal(pthread_create(&flow.thread, NULL, shake_alone, &flow), 0);
    /* Its hello is here: now it waits, or is about to. */
    ends_read_whole(inner[1], &byte, 1);
    ferry_channel_shutdown(inner[0], FERRY_READ_WRITE);
    pthread_join(flow.thread, NULL);
    ends_assert_error(inner[0], &flow.err, flow.result, -ESHUTDOWN);
    ferry_channel_unref(inner[0]);
    ferry_channel_unref(inner[1]);
}

static void what_cannot_answer_cannot_be_encrypted(void **state)
{
    struct ferry_channel *writer = ferry_channel_buffer_writer(1000, NULL);
    struct ferry_error err = { 0 };

    assert_null(tls_channel_new(writer, client, FIXTURE_HOST, &err));
    assert_int_equal(err.code, FERRY_E_ONE_WAY_CHANNEL);
    ferry_channel_unref(writer);
}

/* --- further connections of a session ----------------------------------------------------------------------------- */

static void sixteen_connections_cost_one_full_handshake(void **state)
{
    static const char *const ciphers[] = { "aes-128-gcm", "aes-256-gcm" };

    for (int i = 0; i < 2; i++) {
        struct tls_terms terms = { .folder = folder, .ciphers = ciphers[i] };
        struct tls_credentials *ends[2] = { fixture_credentials(TLS_CLIENT, &terms),
                                            fixture_credentials(TLS_SERVER, &terms) };
        struct fixture_pair main, other, pages[PAGES];
        struct tls_credentials *bound;
        struct tls_facts facts;

        fixture_connect(&main, ends[0], ends[1]);
        fixture_connect(&other, ends[0], ends[1]);
        bound = tls_channel_bound(main.client, NULL);
        assert_non_null(bound);
        for (int p = 0; p < PAGES; p++) {
            fixture_connect(&pages[p], bound, ends[1]);
            assert_true(tls_channel_is_of(pages[p].server, main.server));
            assert_false(tls_channel_is_of(pages[p].server, other.server));
            tls_channel_facts(pages[p].server, &facts);
            assert_int_equal(facts.proof, TLS_PROOF_SESSION);
            assert_string_equal(facts.cipher, ciphers[i]);
            assert_string_equal(facts.peer, "CN=source.example.com,O=Ferry");
            tls_channel_facts(pages[p].client, &facts);
            assert_int_equal(facts.proof, TLS_PROOF_SESSION);
            assert_string_equal(facts.peer, "CN=" FIXTURE_HOST ",O=Ferry");
        }
        exchange(&pages[3], 100000);
        tls_channel_facts(main.server, &facts);
        assert_int_equal(facts.proof, TLS_PROOF_CERTIFICATE);
        assert_false(tls_channel_is_of(other.server, main.server));
        assert_false(tls_channel_is_of(main.server, main.server));
        for (int p = 0; p < PAGES; p++)
            fixture_drop(&pages[p]);
        fixture_drop(&main);
        fixture_drop(&other);
        tls_credentials_unref(bound);
        tls_credentials_unref(ends[0]);
        tls_credentials_unref(ends[1]);
    }
}

static void a_session_by_psk_has_a_key_of_its_own(void **state)
{
    struct tls_terms terms = { .psk = folder };
    struct tls_credentials *ends[2] = { fixture_credentials(TLS_CLIENT, &terms),
                                        fixture_credentials(TLS_SERVER, &terms) };
    struct fixture_pair main, page;
    struct tls_credentials *bound;
    struct tls_facts facts;

    fixture_connect(&main, ends[0], ends[1]);
    tls_channel_facts(main.server, &facts);
    assert_int_equal(facts.proof, TLS_PROOF_PSK);
    assert_string_equal(facts.peer, "qemu");
    bound = tls_channel_bound(main.client, NULL);
    fixture_connect(&page, bound, ends[1]);
    assert_true(tls_channel_is_of(page.server, main.server));
    exchange(&page, 100000);
    fixture_drop(&page);
    /* By the key of the file alone nobody is of the session. */
    fixture_connect(&page, ends[0], ends[1]);
    assert_false(tls_channel_is_of(page.server, main.server));
    fixture_drop(&page);
    fixture_drop(&main);
    tls_credentials_unref(bound);
    tls_credentials_unref(ends[0]);
    tls_credentials_unref(ends[1]);
}

static void the_key_is_gone_with_the_main_connection(void **state)
{
    struct ferry_channel *inner[2];
    struct fixture_pair main, page;
    struct tls_credentials *bound;

    fixture_connect(&main, client, server);
    bound = tls_channel_bound(main.client, NULL);
    fixture_drop(&main);
    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    fixture_shake(&page, inner, bound, FIXTURE_HOST, server);
    assert_null(page.client);
    assert_null(page.server);
    assert_int_equal(page.client_error.code, FERRY_E_TLS_UNTRUSTED);
    assert_non_null(strstr(page.client_error.text, "does not know our key"));
    tls_credentials_unref(bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_at_once_with_new_keys_every_few_mib),
        cmocka_unit_test(older_tls_where_asked_for),
        cmocka_unit_test(records_are_full_whatever_the_pieces),
        cmocka_unit_test(a_small_message_goes_out_at_once),
        cmocka_unit_test(an_end_without_goodbye_is_no_end),
        cmocka_unit_test(an_end_in_a_record_is_no_end_even_where_forgiven),
        cmocka_unit_test(an_end_that_is_forgiven_is_one),
        cmocka_unit_test(what_somebody_else_put_in_is_found),
        cmocka_unit_test(plain_text_behind_the_handshake_is_found),
        cmocka_unit_test(a_handshake_is_woken_by_shutting_the_inner_channel_down),
        cmocka_unit_test(what_cannot_answer_cannot_be_encrypted),
        cmocka_unit_test(sixteen_connections_cost_one_full_handshake),
        cmocka_unit_test(a_session_by_psk_has_a_key_of_its_own),
        cmocka_unit_test(the_key_is_gone_with_the_main_connection),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
