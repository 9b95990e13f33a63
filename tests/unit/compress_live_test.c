/* SPDX-License-Identifier: BSD-3-Clause */
/* compress_live_test.c - what pages go through can be changed while they go, where each packet says it */
#include "clock.h"

#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define PAGES    8192
#define CHANNELS 2
#define BATCH    128

static int nothing_to_do(void *opaque, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_guest_ops machine_ops = { .stop = nothing_to_do, .start = nothing_to_do };

struct machine {
    struct ferry_guest *guest;
    uint8_t *memory;
};

static void machine_open(struct machine *machine)
{
    struct ferry_block block = {
        .name = "ram", .length = PAGES * FERRY_PAGE_BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
    };

    machine->guest = ferry_guest_new("test", &machine_ops, machine, NULL);
    assert_non_null(machine->guest);
    block.host = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->memory = block.host;
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
}

static void machine_close(struct machine *machine)
{
    ferry_guest_free(machine->guest);
    munmap(machine->memory, PAGES * FERRY_PAGE_BYTES);
}

/* A quarter of each page looks random: it pays to compress it, and takes some time to send it. */
static void write_memory(struct machine *machine)
{
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; i < PAGES * FERRY_PAGE_BYTES; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memset(machine->memory + i, 7, sizeof(x));
        if (i % 32 == 0)
            memcpy(machine->memory + i, &x, sizeof(x));
    }
}

struct pair {
    struct machine here, there;
    struct ferry_session *source, *destination;
};

static struct ferry_options *slowly(const char *peer, const char *channels, const char *compress)
{
    struct ferry_options *options = ferry_options_new();

    assert_non_null(options);
    assert_int_equal(ferry_options_set(options, "max-bandwidth", "3MiB/s", NULL), 0);
    assert_int_equal(ferry_options_set(options, "channels", channels, NULL), 0);
    assert_int_equal(ferry_options_set(options, "peer", peer, NULL), 0);
    assert_int_equal(ferry_options_set(options, "compress", compress, NULL), 0);
    return options;
}

static void pair_start(struct pair *pair, struct ferry_options *options)
{
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    char uri[256];

    machine_open(&pair->here);
    machine_open(&pair->there);
    write_memory(&pair->here);
    assert_non_null(listener);
    snprintf(uri, sizeof(uri), "%s", ferry_listener_address(listener));
    pair->destination = ferry_destination_listen(pair->there.guest, listener, FERRY_NO_DEADLINE, options, NULL);
    pair->source = ferry_source_connect(pair->here.guest, uri, options, NULL);
    assert_non_null(pair->destination);
    assert_non_null(pair->source);
    ferry_options_free(options);
}

static void pair_succeeds(struct pair *pair)
{
    struct ferry_error err = { 0 };

    assert_int_equal(ferry_session_set_option(pair->source, "max-bandwidth", "unlimited", NULL), 0);
    if (ferry_session_wait(pair->source, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(pair->destination, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    assert_memory_equal(pair->here.memory, pair->there.memory, PAGES * FERRY_PAGE_BYTES);
}

static void pair_free(struct pair *pair)
{
    ferry_session_free(pair->source);
    ferry_session_free(pair->destination);
    machine_close(&pair->here);
    machine_close(&pair->there);
}

/* Returns how many have gone: more than @pages. */
static uint64_t await_pages(struct ferry_session *session, uint64_t pages)
{
    struct ferry_stats stats;

    do {
        nanosleep(&(struct timespec){ .tv_nsec = NS_PER_MS }, NULL);
        ferry_session_stats(session, &stats);
        assert_int_not_equal(stats.phase, FERRY_PHASE_COMPLETED);
        assert_int_not_equal(stats.phase, FERRY_PHASE_FAILED);
    } while (stats.ram.normal_pages <= pages);
    return stats.ram.normal_pages;
}

static void change(struct ferry_session *session, const char *codec)
{
    assert_int_equal(ferry_session_set_option(session, "compress", codec, NULL), 0);
}

/* None, then zstd, then auto: the report says that there were several. */
static void the_codec_can_be_changed_while_pages_go(void **state)
{
    struct ferry_channel_stats channels[1 + CHANNELS];
    bool raw = false, zstd = false;
    struct pair pair;
    uint64_t gone;

    pair_start(&pair, slowly("ferry", "2", "none"));
    gone = await_pages(pair.source, 0);
    change(pair.source, "zstd");
    gone = await_pages(pair.source, gone + 4 * CHANNELS * BATCH);
    change(pair.source, "auto");
    await_pages(pair.source, gone + CHANNELS * BATCH);
    pair_succeeds(&pair);
    assert_int_equal(ferry_session_channels(pair.source, channels, 1 + CHANNELS), 1 + CHANNELS);
    for (unsigned i = 1; i <= CHANNELS; i++) {
        raw = raw || strstr(channels[i].codecs, "none");
        zstd = zstd || strstr(channels[i].codecs, "zstd");
    }
    assert_true(raw);
    assert_true(zstd);
    pair_free(&pair);
}

static void refused(struct ferry_session *session, const char *why)
{
    struct ferry_error err = { 0 };

    assert_int_equal(ferry_session_set_option(session, "compress", "zstd", &err), -EPERM);
    assert_non_null(strstr(err.text, why));
}

static void a_stream_of_the_plain_dialect_keeps_its_codec(void **state)
{
    struct pair pair;

    pair_start(&pair, slowly("qemu", "2", "none"));
    await_pages(pair.source, 0);
    refused(pair.source, "qemu dialect");
    pair_succeeds(&pair);
    pair_free(&pair);
}

static void without_page_channels_nothing_can_be_compressed(void **state)
{
    struct pair pair;

    pair_start(&pair, slowly("ferry", "0", "none"));
    await_pages(pair.source, 0);
    refused(pair.source, "there are none");
    refused(pair.destination, "the source");
    pair_succeeds(&pair);
    pair_free(&pair);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_codec_can_be_changed_while_pages_go),
        cmocka_unit_test(a_stream_of_the_plain_dialect_keeps_its_codec),
        cmocka_unit_test(without_page_channels_nothing_can_be_compressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
