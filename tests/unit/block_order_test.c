/* SPDX-License-Identifier: BSD-3-Clause */
/* block_order_test.c - memory crosses page channels between guests that made their blocks in different orders
 *
 *      source       0 "low"   1 "high"  2 "video"         a packet says "block 1", which is "high" by the list
 *      destination  0 "video" 1 "low"   2 "high"          that the source announced, whatever is 1 here
 */
#include <ferry/session.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BLOCKS 3

/* Those of one length could stand in for each other unnoticed. */
static const struct {
    const char *name;
    size_t pages;
} blocks[BLOCKS] = { { "low", 700 }, { "high", 700 }, { "video", 90 } };

struct machine {
    struct ferry_guest *guest;
    uint8_t *at[BLOCKS]; /* by the table above */
};

static int nothing_to_do(void *opaque, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_guest_ops machine_ops = { .stop = nothing_to_do, .start = nothing_to_do };

static void machine_open(struct machine *machine, const unsigned order[BLOCKS])
{
    machine->guest = ferry_guest_new("test", &machine_ops, machine, NULL);
    assert_non_null(machine->guest);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t bytes = blocks[order[i]].pages * FERRY_PAGE_BYTES;
        struct ferry_block block = {
            .name = blocks[order[i]].name, .length = bytes, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
        };

        block.host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(block.host != MAP_FAILED);
        machine->at[order[i]] = block.host;
        assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
    }
}

static void machine_close(struct machine *machine)
{
    ferry_guest_free(machine->guest);
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(machine->at[i], blocks[i].pages * FERRY_PAGE_BYTES);
}

/* Every page says which it is; every fifth is zero. */
static void write_memory(struct machine *machine)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        for (size_t page = 0; page < blocks[i].pages; page++)
            if (page % 5)
                snprintf((char *)machine->at[i] + page * FERRY_PAGE_BYTES, 64, "%s %zu", blocks[i].name, page);
}

static struct ferry_options *with_channels(const char *peer, const char *compress, const char *sums)
{
    struct ferry_options *options = ferry_options_new();

    assert_non_null(options);
    assert_int_equal(ferry_options_set(options, "channels", "2", NULL), 0);
    assert_int_equal(ferry_options_set(options, "peer", peer, NULL), 0);
    assert_int_equal(ferry_options_set(options, "compress", compress, NULL), 0);
    assert_int_equal(ferry_options_set(options, "page-sums", sums, NULL), 0);
    return options;
}

static void cross(const char *peer, const char *compress, const char *sums)
{
    static const unsigned order_here[BLOCKS] = { 0, 1, 2 }, order_there[BLOCKS] = { 2, 0, 1 };
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    struct ferry_options *options = with_channels(peer, compress, sums);
    struct ferry_session *source, *destination;
    struct ferry_error err = { 0 };
    struct machine here, there;
    char uri[256];

    machine_open(&here, order_here);
    machine_open(&there, order_there);
    write_memory(&here);
    assert_non_null(listener);
    snprintf(uri, sizeof(uri), "%s", ferry_listener_address(listener));
    destination = ferry_destination_listen(there.guest, listener, FERRY_NO_DEADLINE, options, NULL);
    source = ferry_source_connect(here.guest, uri, options, NULL);
    assert_non_null(destination);
    assert_non_null(source);
    if (ferry_session_wait(source, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(destination, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_memory_equal(here.at[i], there.at[i], blocks[i].pages * FERRY_PAGE_BYTES);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_options_free(options);
    machine_close(&here);
    machine_close(&there);
}

static void blocks_are_called_by_the_source_s_numbers(void **state)
{
    cross("ferry", "none", "off");
}

static void so_are_pages_with_a_codec_and_checksums(void **state)
{
    cross("ferry", "lz4", "on");
    cross("ferry", "xbzrle", "on");
}

static void in_the_plain_dialect_they_have_names(void **state)
{
    cross("qemu", "none", "off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_called_by_the_source_s_numbers),
        cmocka_unit_test(so_are_pages_with_a_codec_and_checksums),
        cmocka_unit_test(in_the_plain_dialect_they_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
