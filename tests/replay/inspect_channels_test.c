/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_channels_test.c - memory that came over several connections is put together in the order that SYNCs and marks
 * give, whoever is first; what does not fit is told with its connection */
#include "inspect_fixture.h"

#include "inspect_print.h"
#include "packet.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNELS_MAX 4
#define PACKET_BYTES 1344

static struct ram_block block = { .info = { .name = "r", .length = 0x2000 }, .pages = 2 };

/* Streams in memory: the main one, and one per channel. */
struct streams {
    struct made main, channel[CHANNELS_MAX];
    unsigned channels;
};

/* ---- making them ----------------------------------------------------------------------------------------------- */

static void put_packet(struct made *made, const struct packet *packet)
{
    uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];

    ferry_put_bytes(made->to, header, packet_v1.encode(packet, header));
}

static void put_sync(struct made *made)
{
    struct packet packet = { .kind = PACKET_SYNC };

    put_packet(made, &packet);
}

/* One page, filled with @value; 0: as a zero page. */
static void put_page(struct made *made, uint64_t page, uint8_t value, bool sync)
{
    struct packet packet = {
        .kind = PACKET_PAGES,
        .block = &block,
        .run = { { page, 1 } },
        .runs = 1,
        .content_runs = value != 0,
        .content_pages = value != 0,
        .zero_pages = value == 0,
        .payload_bytes = value ? FERRY_PAGE_BYTES : 0,
        .sync = sync,
    };

    put_packet(made, &packet);
    for (unsigned i = 0; value && i < FERRY_PAGE_BYTES; i++)
        ferry_put_u8(made->to, value);
}

static void put_mark(struct made *made)
{
    put_hex(made->to, "0000000000000200");
}

static void put_section(struct made *made, const char *head, bool mark)
{
    put_hex(made->to, head);
    if (mark)
        put_mark(made);
    put_hex(made->to, "0000000000000010"
                      "7e00000002");
}

/* Two channels; the page's second copy comes by the other one. */
static void streams_begin(struct streams *streams, bool records)
{
    uint8_t greeting[PACKET_V1_GREETING_BYTES];
    static const uint8_t uuid[16];

    memset(streams, 0, sizeof(*streams));
    made_begin(&streams->main);
    put_prologue(streams->main.to);
    put_section(&streams->main,
                "01000000020372616d0000000000000004"
                "0000000000002004"
                "01720000000000002000",
                records);
    put_section(&streams->main, "0200000002", records);
    put_section(&streams->main, "0300000002", records);
    put_full(streams->main.to, GOLDEN_BODY);
    put_end(streams->main.to, GOLDEN);
    for (unsigned i = 0; i < CHANNELS_MAX; i++) {
        made_begin(&streams->channel[i]);
        packet_v1_put_greeting(greeting, uuid, i);
        ferry_put_bytes(streams->channel[i].to, greeting, sizeof(greeting));
    }
    streams->channels = 2;
}

static void put_good(struct streams *streams)
{
    struct made *a = &streams->channel[0], *b = &streams->channel[1];

    put_sync(a);
    put_sync(b);
    put_page(a, 0, 0x11, false);
    put_page(a, 1, 0x33, false);
    put_sync(a);
    put_sync(b);
    put_page(b, 0, 0x22, true);
    put_sync(a);
}

static void streams_drop(struct streams *streams)
{
    made_drop(&streams->main);
    for (unsigned i = 0; i < CHANNELS_MAX; i++)
        made_drop(&streams->channel[i]);
}

/* ---- looking at them ------------------------------------------------------------------------------------------- */

static struct ferry_channel *open_made(struct made *made, size_t cut)
{
    size_t bytes;
    const uint8_t *data = made_finish(made, &bytes);
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes < cut ? bytes : cut, NULL);

    assert_non_null(chan);
    return chan;
}

static void show(struct seen *seen, struct ferry_reader *reader, struct inspect_channels *channels)
{
    struct inspect_options options = { .channels = channels };
    size_t bytes;
    FILE *to;

    assert_non_null(reader);
    seen->result = inspect_stream(reader, &options, &seen->ram, &seen->report);
    inspect_channels_free(channels);
    to = open_memstream(&seen->words, &bytes);
    inspect_print(to, &seen->report, &seen->ram, false);
    fclose(to);
    assert_int_equal(seen->result, seen->report.error.errnum);
}

/* Channel 0 is read up to its byte @cut. */
static void look_at(struct seen *seen, struct streams *streams, size_t cut)
{
    struct inspect_channels *channels;
    struct ferry_channel *chan;
    struct ferry_reader *reader;

    memset(seen, 0, sizeof(*seen));
    inspect_report_init(&seen->report);
    assert_int_equal(inspect_ram_init(&seen->ram, true, 1 << 20, NULL), 0);
    channels = inspect_channels_new(&seen->ram, NULL);
    assert_non_null(channels);
    for (unsigned i = 0; i < streams->channels; i++) {
        chan = open_made(&streams->channel[i], i == 0 ? cut : SIZE_MAX);
        assert_int_equal(inspect_channels_add(channels, chan, NULL), 0);
        ferry_channel_unref(chan);
    }
    chan = open_made(&streams->main, SIZE_MAX);
    reader = ferry_reader_new(chan, NULL);
    ferry_channel_unref(chan);
    show(seen, reader, channels);
}

static void assert_good(const struct seen *seen)
{
    const uint8_t *memory;

    assert_string_equal(ferry_error_text(&seen->report.error), "no error");
    memory = seen->ram.blocks[0]->block.host;
    for (unsigned i = 0; i < FERRY_PAGE_BYTES; i++) {
        assert_int_equal(memory[i], 0x22);
        assert_int_equal(memory[FERRY_PAGE_BYTES + i], 0x33);
    }
    assert_int_equal(seen->report.connection_count, 2);
    assert_int_equal(seen->report.connections[0].normal + seen->report.connections[1].normal, 3);
    assert_int_equal(seen->report.connections[0].syncs, 3);
    assert_int_equal(seen->report.connections[1].syncs, 3);
    assert_int_equal(seen->ram.blocks[0]->missing, 0);
}

static void assert_stopped(struct streams *streams, const char *says)
{
    struct seen seen;

    look_at(&seen, streams, SIZE_MAX);
    assert_true(seen.result < 0);
    assert_says(seen.words, says);
    look_away(&seen);
    streams_drop(streams);
}

/* ---- what must hold -------------------------------------------------------------------------------------------- */

static void pages_are_applied_in_the_order_of_marks(void **state)
{
    for (unsigned i = 0; i < 40; i++) {
        struct streams streams;
        struct seen seen;

        streams_begin(&streams, i % 2);
        put_good(&streams);
        look_at(&seen, &streams, SIZE_MAX);
        assert_good(&seen);
        assert_says(seen.words, "page channel 1");
        look_away(&seen);
        streams_drop(&streams);
    }
}

static void zero_pages_undo_what_was_there(void **state)
{
    struct streams streams;
    struct seen seen;

    streams_begin(&streams, true);
    put_sync(&streams.channel[0]);
    put_page(&streams.channel[0], 0, 0x11, false);
    put_page(&streams.channel[0], 1, 0, true);
    put_page(&streams.channel[0], 0, 0, true);
    for (unsigned i = 0; i < 3; i++)
        put_sync(&streams.channel[1]);
    look_at(&seen, &streams, SIZE_MAX);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.ram.blocks[0]->block.host[0], 0);
    assert_int_equal(seen.report.connections[0].zero, 2);
    assert_int_equal(seen.ram.blocks[0]->missing, 0);
    look_away(&seen);
    streams_drop(&streams);
}

static void a_channel_cut_anywhere_ends_with_a_sentence(void **state)
{
    struct streams streams;
    struct seen seen;
    size_t bytes;

    streams_begin(&streams, true);
    put_good(&streams);
    made_finish(&streams.channel[0], &bytes);
    for (size_t cut = 0; cut < bytes; cut += cut < 80 ? 1 : 61) {
        look_at(&seen, &streams, cut);
        assert_true(seen.result < 0);
        assert_says(seen.words, "stopped: ");
        look_away(&seen);
    }
    streams_drop(&streams);
}

static void a_sync_too_few_or_too_many_is_told(void **state)
{
    struct streams streams;

    streams_begin(&streams, true);
    put_sync(&streams.channel[0]);
    put_sync(&streams.channel[1]);
    put_sync(&streams.channel[1]);
    put_sync(&streams.channel[1]);
    assert_stopped(&streams, "the page channel ends with 1 SYNCs, the main stream has 2 marks");
    streams_begin(&streams, true);
    put_good(&streams);
    put_sync(&streams.channel[1]);
    assert_stopped(&streams, "a SYNC more than the 3 marks");
}

static void what_is_no_packet_is_told_with_its_place(void **state)
{
    struct streams streams;

    streams_begin(&streams, true);
    put_sync(&streams.channel[0]);
    put_good(&streams);
    put_hex(streams.channel[1].to, "deadbeef0000000000000000");
    assert_stopped(&streams, "the packet at byte");
    streams_begin(&streams, true);
    put_page(&streams.channel[0], 2, 0x11, false);
    put_good(&streams);
    assert_stopped(&streams, "the packet at byte 64: block 'r': offset 0x2000 is that of none of the 2 pages");
}

static void two_channels_of_one_number_are_refused(void **state)
{
    struct streams streams;

    streams_begin(&streams, true);
    put_good(&streams);
    made_drop(&streams.channel[2]);
    made_begin(&streams.channel[2]);
    put_hex(streams.channel[2].to, "1122334400000001");
    for (unsigned i = 0; i < 56; i++)
        ferry_put_u8(streams.channel[2].to, 0);
    streams.channels = 3;
    assert_stopped(&streams, "a second page channel 0");
}

static void what_is_no_page_channel_is_refused(void **state)
{
    struct streams streams;

    streams_begin(&streams, true);
    put_good(&streams);
    made_drop(&streams.channel[2]);
    made_begin(&streams.channel[2]);
    put_golden(streams.channel[2].to);
    streams.channels = 3;
    assert_stopped(&streams, "does not begin as a page channel does");
}

static void channels_without_any_mark_are_told(void **state)
{
    struct streams streams;

    streams_begin(&streams, true);
    put_good(&streams);
    made_drop(&streams.main);
    made_begin(&streams.main);
    put_prologue(streams.main.to);
    put_full(streams.main.to, GOLDEN_BODY);
    put_end(streams.main.to, GOLDEN);
    assert_stopped(&streams, "a SYNC more than the 0 marks");
}

/* ---- where they connect ---------------------------------------------------------------------------------------- */

struct source {
    const char *address;
    struct streams *streams;
    const char *order; /* who connects: digits, m for the main stream, x for a stranger */
};

static void *source_run(void *opaque)
{
    static char stranger[] = "GET /";
    struct source *source = opaque;
    struct ferry_channel *chans[8];
    size_t count = strlen(source->order), bytes;

    /* As QEMU does, which sends when all are connected. */
    for (size_t i = 0; i < count; i++) {
        chans[i] = ferry_channel_connect(source->address, 1000, NULL);
        assert_non_null(chans[i]);
    }
    for (size_t i = 0; i < count; i++) {
        char who = source->order[i];
        struct made *made = who == 'm' ? &source->streams->main : &source->streams->channel[(who - '0') % CHANNELS_MAX];
        struct iovec iov = { stranger, strlen(stranger) };

        if (who != 'x') {
            iov.iov_base = (void *)(uintptr_t)made_finish(made, &bytes);
            iov.iov_len = bytes;
        }
        assert_int_equal(ferry_channel_writev_all(chans[i], &iov, 1, NULL), 0);
    }
    while (count > 0)
        ferry_channel_unref(chans[--count]);
    return NULL;
}

static void look_at_connections(const char *order)
{
    struct ferry_listener *listener;
    struct inspect_channels *channels;
    struct streams streams;
    struct source source;
    pthread_t thread;
    char uri[64];
    struct seen seen;

    streams_begin(&streams, true);
    put_good(&streams);
    memset(&seen, 0, sizeof(seen));
    inspect_report_init(&seen.report);
    assert_int_equal(inspect_ram_init(&seen.ram, true, 1 << 20, NULL), 0);
    snprintf(uri, sizeof(uri), "unix:@ferry-inspect-channels-%d", getpid());
    listener = ferry_listener_open(uri, NULL);
    assert_non_null(listener);
    source = (struct source){ ferry_listener_address(listener), &streams, order };
    assert_int_equal(pthread_create(&thread, NULL, source_run, &source), 0);
    channels = inspect_channels_new(&seen.ram, NULL);
    show(&seen, inspect_channels_accept(channels, listener, NULL, NULL), channels);
    pthread_join(thread, NULL);
    ferry_listener_free(listener);
    assert_good(&seen);
    look_away(&seen);
    streams_drop(&streams);
}

static void connections_may_come_in_any_order(void **state)
{
    look_at_connections("m01");
    look_at_connections("1m0");
    look_at_connections("10m");
}

static void a_stranger_does_no_harm(void **state)
{
    look_at_connections("m0x1");
    look_at_connections("xm01");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_applied_in_the_order_of_marks),
        cmocka_unit_test(zero_pages_undo_what_was_there),
        cmocka_unit_test(a_channel_cut_anywhere_ends_with_a_sentence),
        cmocka_unit_test(a_sync_too_few_or_too_many_is_told),
        cmocka_unit_test(what_is_no_packet_is_told_with_its_place),
        cmocka_unit_test(two_channels_of_one_number_are_refused),
        cmocka_unit_test(what_is_no_page_channel_is_refused),
        cmocka_unit_test(channels_without_any_mark_are_told),
        cmocka_unit_test(connections_may_come_in_any_order),
        cmocka_unit_test(a_stranger_does_no_harm),
    };

    return cmocka_run_group_tests_name("inspect channels", tests, NULL, NULL);
}
