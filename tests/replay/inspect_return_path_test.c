/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_return_path_test.c - what a destination sent back is read whole and no further than it makes sense; each
 * request finds the page that answered it */
#include "inspect_fixture.h"

#include "return_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_R1                       \
    "0003000e00000000000010000000100001" \
    "72"
#define REQUEST_R0 "0004000c000000000000000000001000"
#define BITMAP_R       \
    "00050002"         \
    "0172"             \
    "0000000000000008" \
    "0300000000000000" \
    "0123456789abcdef"

/* Two blocks, as the golden stream has them. */
static struct ram_block r = { .info = { .name = "r", .length = 0x2000, .page_size = 4096 }, .pages = 2 };
static struct ram_block s = { .info = { .name = "s", .length = 0x1000, .page_size = 4096 }, .pages = 1, .index = 1 };
static struct ram_block *const blocks[] = { &r, &s };

static void read_bytes(struct report_returns *returns, const uint8_t *data, size_t bytes)
{
    uint8_t *exact = malloc(bytes + 1); /* so that a sanitizer sees a step too far */
    struct ferry_channel *chan;

    memcpy(exact, data, bytes);
    chan = ferry_channel_buffer_reader(exact, bytes, NULL);
    assert_non_null(chan);
    returns->count = 0;
    assert_int_equal(returns_add(returns, chan, NULL), 0);
    assert_int_equal(returns_sort(returns, blocks, 2, NULL), 0);
    ferry_channel_unref(chan);
    free(exact);
}

static void read_hex(struct report_returns *returns, const char *hex)
{
    struct made made;
    const uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_hex(made.to, hex);
    data = made_finish(&made, &bytes);
    read_bytes(returns, data, bytes);
    made_drop(&made);
}

static void each_request_finds_its_page(void **state)
{
    struct report_returns returns;
    struct return_message *messages;

    read_hex(&returns, "00020004"
                       "00000001" REQUEST_R1 REQUEST_R0 BITMAP_R "00060004"
                       "00000001"
                       "00010004"
                       "00000000");
    assert_int_equal(returns.all[0]->error.errnum, 0);
    assert_int_equal(returns.all[0]->count, 6);
    messages = returns.all[0]->messages;
    assert_true(returns_came(&returns, 0, 0, 0, 3, 400, 7));
    assert_false(returns_came(&returns, 0, 1, 0, 3, 500, 8));
    assert_true(returns_came(&returns, 0, 0, 1, 2, 600, 9));
    assert_true(returns_came(&returns, 0, 0, 1, 2, 700, 10));
    assert_int_equal(messages[1].order, 9);
    assert_int_equal(messages[1].came, 2);
    assert_int_equal(messages[1].wire, 2);
    assert_int_equal(messages[2].order, 7);
    assert_int_equal(messages[2].answered, 400);
    assert_non_null(returns_bitmap(&returns, 0, "r"));
    assert_int_equal(returns_bitmap(&returns, 0, "r")->bits[0], 3);
    assert_null(returns_bitmap(&returns, 0, "s"));
    assert_null(returns_bitmap(&returns, 1, "r"));
    returns_clear(&returns);
}

static const struct {
    const char *hex, *says;
} faults[] = {
    { "000000040000", "a message of unknown type 0x0000" },
    { "00080000", "a message of unknown type 0x0008" },
    { "0002000500000000", "pong with 5 bytes instead of 4 to 4" },
    { "00020004"
      "0000",
      "the stream ends here" },
    { "0003ffff", "req-pages-id with 65535 bytes" },
    { REQUEST_R0, "req-pages, but no req-pages-id came before" },
    { "0003000e0000000000001000000010000272", "a broken block name" },
    { "0003000e00000000000010000000100001"
      "78",
      "a request for block 'x', which is not in the block list" },
    { "0003000e00000000000020000000100001"
      "72",
      "a request for 4096 bytes at 0x2000 of block 'r'" },
    { "0003000e00000000000010000000200001"
      "72",
      "a request for 8192 bytes at 0x1000 of block 'r'" },
    { "0003000e00000000000008000000100001"
      "72",
      "a request for 4096 bytes at 0x800 of block 'r'" },
    { "0003000e00000000000000000000000001"
      "72",
      "a request for 0 bytes" },
    { "0003000efffffffffffff0000000200001"
      "72",
      "at 0xfffffffffffff000 of block 'r'" },
    { "00060004"
      "00000002",
      "resume-ack with 2 instead of 1" },
    { "00050002"
      "0172"
      "ffffffffffffffff",
      "a bitmap of 18446744073709551615 bytes" },
    { "00050002"
      "0172"
      "0000000000000004",
      "a bitmap of 4 bytes" },
    { "00050002"
      "0172"
      "0000000002000000",
      "the stream ends here" },
    { "00050002"
      "0172"
      "0000000000000008"
      "0000000000000000"
      "ff23456789abcdef",
      "ends with 0xff23456789abcdef" },
};

static void faults_are_told(void **state)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct report_returns returns;

        read_hex(&returns, faults[i].hex);
        assert_true(returns.all[0]->error.errnum < 0);
        assert_says(returns.all[0]->error.text, faults[i].says);
        assert_says(returns.all[0]->error.text, "byte ");
        assert_true(returns.all[0]->error.offset >= 0);
        returns_clear(&returns);
    }
}

static void any_damage_is_survived(void **state)
{
    struct made made;
    uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_hex(made.to, "00020004"
                     "00000001" REQUEST_R1 REQUEST_R0 BITMAP_R "00010004"
                     "00000000");
    data = (uint8_t *)made_finish(&made, &bytes);
    for (size_t cut = 0; cut <= bytes; cut++) {
        struct report_returns returns;

        read_bytes(&returns, data, cut);
        assert_int_equal(returns.all[0]->bytes > cut, 0);
        returns_clear(&returns);
    }
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        struct report_returns returns;

        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        read_bytes(&returns, data, bytes);
        (void)returns_came(&returns, 0, 0, 1, 0, 0, 1);
        assert_true(returns.all[0]->error.errnum == 0 || returns.all[0]->error.text[0]);
        returns_clear(&returns);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    made_drop(&made);
}

/* Many requests for one place take no time to speak of. */
static void many_requests_for_one_place_cost_little(void **state)
{
    struct report_returns returns;
    struct made made;
    const uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_hex(made.to, REQUEST_R1);
    for (unsigned i = 0; i < 100000; i++)
        put_hex(made.to, "0004000c000000000000100000001000");
    data = made_finish(&made, &bytes);
    read_bytes(&returns, data, bytes);
    assert_int_equal(returns.all[0]->request_count, 100001);
    for (unsigned i = 0; i < 100000; i++)
        assert_true(returns_came(&returns, 0, 0, 1, 0, 0, i + 1));
    returns_clear(&returns);
    made_drop(&made);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_finds_its_page),
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(any_damage_is_survived),
        cmocka_unit_test(many_requests_for_one_place_cost_little),
    };

    return cmocka_run_group_tests_name("inspect return path", tests, NULL, NULL);
}
