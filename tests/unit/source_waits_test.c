/* SPDX-License-Identifier: BSD-3-Clause */
/* source_waits_test.c - a peer or a page channel that has timed out is not one that needs more time */
#include "channel.h"
#include "clock.h"
#include "guest_parts.h"
#include "source_pages.h"
#include "source_peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ENOUGH 1000 /* looks after which it counts as hung */

/* ---- the word of the destination --------------------------------------------------------------------------------- */

static int look(void *opaque, struct ferry_error *err)
{
    unsigned *looks = opaque;

    return ++*looks < ENOUGH ? 0 : ferry_error_set(err, -ELOOP, "this never ends");
}

static void a_peer_that_is_lost_is_not_waited_for(void **state)
{
    struct ferry_error silent = { 0 }, err = { 0 };
    struct source_peer peer = { .meanwhile = look };
    struct ferry_channel *pair[2];
    unsigned looks = 0;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    peer.meanwhile_opaque = &looks;
    peer.link = link_new(pair[0], NULL);
    assert_non_null(peer.link);
    pthread_mutex_init(&peer.stream_lock, NULL);
    source_peer_claim(&peer);
    assert_int_equal(source_peer_wait(&peer, LINK_READY, clock_now_ns() + 5 * NS_PER_MS, &err), -ETIMEDOUT);
    assert_int_equal(link_status(peer.link, NULL), 0);
    ferry_error_set_code(&silent, FERRY_E_PEER_SILENT, -ETIMEDOUT, "nothing is heard");
    link_break(peer.link, &silent);
    assert_int_equal(source_peer_wait(&peer, LINK_READY, FERRY_NO_DEADLINE, &err), -ETIMEDOUT);
    assert_int_equal(err.code, FERRY_E_PEER_SILENT);
    source_peer_lend(&peer);
    pthread_mutex_destroy(&peer.stream_lock);
    link_free(peer.link);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

static int say_running(void *opaque, struct ferry_error *err)
{
    static const uint8_t token[RETURN_PATH_TOKEN_BYTES];

    assert_int_equal(return_path_token(opaque, RETURN_PATH_RUNNING, token, 0, NULL), 0);
    return ferry_error_set(err, -EIO, "a page channel broke");
}

/* Once the right to run was given away, a page channel that breaks says nothing of who has it. */
static void only_the_destinations_word_ends_it(void **state)
{
    static const uint8_t token[RETURN_PATH_TOKEN_BYTES];

    for (int committed = 0; committed < 2; committed++) {
        struct source_peer peer = { .meanwhile = say_running, .committed = committed };
        struct ferry_channel *pair[2];
        struct ferry_reader *reader;
        struct ferry_error err = { 0 };

        assert_int_equal(ferry_channel_pair(pair, NULL), 0);
        reader = ferry_reader_new(pair[1], NULL);
        peer.meanwhile_opaque = return_path_open(reader, NULL);
        assert_non_null(peer.meanwhile_opaque);
        peer.link = link_new(pair[0], NULL);
        assert_non_null(peer.link);
        link_expect_token(peer.link, token);
        pthread_mutex_init(&peer.stream_lock, NULL);
        source_peer_claim(&peer);
        assert_int_equal(source_peer_wait(&peer, LINK_RUNNING, clock_now_ns() + 60 * NS_PER_SEC, &err),
                         committed ? 0 : -EIO);
        source_peer_lend(&peer);
        pthread_mutex_destroy(&peer.stream_lock);
        link_free(peer.link);
        return_path_free(peer.meanwhile_opaque);
        ferry_reader_free(reader);
        ferry_channel_unref(pair[0]);
        ferry_channel_unref(pair[1]);
    }
}

/* ---- a page channel ---------------------------------------------------------------------------------------------- */

static ssize_t time_out(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    return channel_errno("dead", -ETIMEDOUT, err);
}

static const struct channel_ops dead_ops = { .writev = time_out };

static void a_page_channel_that_timed_out_has_failed(void **state)
{
    struct ferry_block block = { .name = "ram", .length = 16 * FERRY_PAGE_BYTES, .page_size = FERRY_PAGE_BYTES };
    struct page_terms terms = { .format = &packet_v2, .batch_pages = BATCH_PAGES };
    struct ferry_session session = { 0 };
    struct source_pages pages = { .session = &session, .count = 1 };
    struct ferry_channel *chan;
    struct ferry_error err = { 0 };
    struct page_walk walk;
    struct ram_map map;
    unsigned looks = 0;
    bool more;
    int ret;

    block.host = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    memset(block.host, 1, block.length);
    ram_map_init(&map);
    assert_int_equal(ram_map_add(&map, &block, NULL), 0);
    assert_int_equal(walk_init(&walk, &map, NULL), 0);
    chan = channel_new(sizeof(*chan), &dead_ops, FERRY_WRITE, "dead", NULL);
    assert_non_null(chan);
    pages.senders = page_senders_new(&walk, &chan, 1, &terms, NULL);
    assert_non_null(pages.senders);
    do
        ret = source_pages_work(&pages, 10 * NS_PER_MS, &more, &err);
    while (ret == 0 && more && ++looks < ENOUGH);
    assert_int_equal(ret, -ETIMEDOUT);
    assert_non_null(strstr(err.text, "page channel 0"));
    memset(&err, 0, sizeof(err));
    assert_int_equal(source_pages_status(&pages, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "page channel 0"));
    source_pages_close(&pages);
    ferry_channel_unref(chan);
    walk_clear(&walk);
    ram_map_clear(&map);
    munmap(block.host, block.length);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_is_lost_is_not_waited_for),
        cmocka_unit_test(only_the_destinations_word_ends_it),
        cmocka_unit_test(a_page_channel_that_timed_out_has_failed),
    };

    return cmocka_run_group_tests_name("source_waits", tests, NULL, NULL);
}
