/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_v1_test.c - packets as QEMU writes them, byte by byte; whatever else comes is refused */
#include "packet_fixture.h"

#include <errno.h>
#include <string.h>

#define V1_BYTES 1344

static void v1_is_what_qemu_writes(void **state)
{
    uint8_t want[V1_BYTES] = {
        0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 128, 0, 0, 0, 3, 0, 0, 7, 0xd0
    };

    make(&second, "3 4 9|5 6");
    out.codec = CODEC_ZSTD;
    out.payload_bytes = 2000;
    out.sequence = 0x0102030405060708;
    memcpy(want + 24, "\1\2\3\4\5\6\7\10\0\0\0\2", 12);
    memcpy(want + 64, "pc.rom", 6);
    for (unsigned i = 0; i < 5; i++)
        store_be64(want + 320 + i * 8, (const uint64_t[]){ 0x3000, 0x4000, 0x9000, 0x5000, 0x6000 }[i]);
    assert_int_equal(cross(&packet_v1), sizeof(want));
    assert_memory_equal(header, want, sizeof(want));
}

static void v1_sync_is_what_qemu_10_writes(void **state)
{
    uint8_t want[V1_BYTES] = { 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0, 0, 0, 1 };

    out = (struct packet){ .kind = PACKET_SYNC, .sequence = 77 };
    want[31] = 77;
    assert_int_equal(cross(&packet_v1), sizeof(want));
    assert_memory_equal(header, want, sizeof(want));
}

static void v1_device_state_has_a_header_of_its_own(void **state)
{
    uint8_t want[276] = { 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0, 0, 0, 0x40, 'v', 'f', 'i', 'o' };

    out = (struct packet){ .kind = PACKET_DEVICE, .device = "vfio", .instance = 5, .payload_bytes = 70000 };
    memcpy(want + 268, "\0\0\0\5\0\1\x11\x70", 8);
    assert_int_equal(cross(&packet_v1), sizeof(want));
    assert_memory_equal(header, want, sizeof(want));
}

static void v1_has_no_end(void **state)
{
    out = (struct packet){ .kind = PACKET_END };
    assert_int_equal(packet_v1.encode(&out, header), 0);
}

/* What 7.2 leaves in a packet without pages: everything that was there before. */
static void v1_stale_fields_mean_nothing(void **state)
{
    make(&first, "1 2 3");
    packet_v1.encode(&out, header);
    store_be32(header + 16, 0);
    memset(header + 64, 0xff, 256);
    memset(header + 320, 0xff, 1024);
    assert_int_equal(decode(&packet_v1, header, V1_BYTES, NULL), 0);
    assert_int_equal(back.kind, PACKET_NOTHING);
    assert_int_equal(back.payload_bytes, 0);
    store_be32(header + 8, 1);
    assert_int_equal(decode(&packet_v1, header, V1_BYTES, NULL), 0);
    assert_int_equal(back.kind, PACKET_SYNC);
    assert_int_equal(back.payload_bytes, 0);
}

static void v1_a_sync_may_ride_on_pages(void **state)
{
    make(&first, "7 8 9|11");
    out.sync = true;
    out.codec = CODEC_ZLIB;
    cross(&packet_v1);
    assert_int_equal(load_be32(header + 8), 3);
    assert_true(back.sync);
    assert_int_equal(back.kind, PACKET_PAGES);
}

static void v1_pages_may_come_in_any_order(void **state)
{
    make(&first, "9 3 4 1|0 2");
    cross(&packet_v1);
    assert_int_equal(back.run[0].first, 9);
    assert_int_equal(back.run[1].first, 3);
    assert_int_equal(back.run[1].count, 2);
}

static void v1_what_cannot_be_is_refused(void **state)
{
    static const struct wrong wrong[] = {
        { 0, 0x11223345, 4, "begins with 0x11223345" },
        { 4, 2, 4, "version 2" },
        { 8, 0x80, 4, "flags 0x80" },
        { 8, 0x41, 4, "flags 0x41" },
        { 8, 0x40, 4, "name" },
        { 8, 0x06, 4, "method 0x6" },
        { 8, 0x08, 4, "method 0x8" },
        { 8, 0x10, 4, "method 0x10" },
        { 8, 0x02, 4, NULL },
        { 12, 129, 4, "at most 128" },
        { 12, 4, 4, "in room for 4" },
        { 16, UINT32_MAX, 4, "at most 128" },
        { 16, 127, 4, "at most 128" },
        { 16, 2, 4, "12288 bytes of payload for 2 pages" },
        { 20, 12287, 4, "12287 bytes" },
        { 20, 0, 4, "0 bytes" },
        { 32, UINT32_MAX, 4, "at most 128" },
        { 32, 126, 4, "at most 128" },
        { 64, 0x7063007261006d00, 8, "block 'pc'" },
        { 320, 32 * 4096, 8, "offset 0x20000 is that of none of the 32 pages" },
        { 328, 0x4001, 8, "offset 0x4001" },
        { 328, UINT64_MAX, 8, "offset 0xffffffffffffffff" },
        { 328, 0x3000, 8, "twice" },
        { 344, 0x9000, 8, "twice" },
        { 352, 0x20000, 8, "offset 0x20000" },
    };

    make(&second, "3 4 9|5 6");
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        packet_v1.encode(&out, header);
        put_wrong(&wrong[i]);
        if (wrong[i].at == 8 && wrong[i].value == 0x40)
            memset(header + 12, 0, 256);
        if (wrong[i].why)
            assert_refused(&packet_v1, V1_BYTES, wrong[i].why);
        else
            assert_int_equal(decode(&packet_v1, header, V1_BYTES, NULL), 0);
    }
    packet_v1.encode(&out, header);
    memset(header + 64, 'x', 256);
    assert_refused(&packet_v1, V1_BYTES, "no end");
}

static void v1_compressed_payload_has_its_bound(void **state)
{
    make(&first, "3 4 9|5 6");
    out.codec = CODEC_ZLIB;
    out.payload_bytes = 1 << 20;
    cross(&packet_v1);
    out.payload_bytes++;
    packet_v1.encode(&out, header);
    assert_refused(&packet_v1, V1_BYTES, "1048577 bytes");
    out.payload_bytes = 0;
    packet_v1.encode(&out, header);
    assert_refused(&packet_v1, V1_BYTES, "0 bytes");
}

static void v1_device_state_has_its_bound(void **state)
{
    out = (struct packet){ .kind = PACKET_DEVICE, .device = "vfio", .payload_bytes = PACKET_DEVICE_MAX };
    cross(&packet_v1);
    store_be32(header + 272, PACKET_DEVICE_MAX + 1);
    assert_refused(&packet_v1, 276, "device 'vfio'");
    store_be32(header + 272, 0);
    assert_refused(&packet_v1, 276, "device 'vfio'");
    memset(header + 12, 'v', 256);
    assert_refused(&packet_v1, 276, "no end");
}

static void v1_greeting_is_what_qemu_writes(void **state)
{
    static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }, none[16];
    uint8_t greeting[64], want[64] = { 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1 };
    unsigned channel = 0;

    packet_v1_put_greeting(greeting, uuid, 3);
    memcpy(want + 8, uuid, 16);
    want[24] = 3;
    assert_memory_equal(greeting, want, sizeof(want));
    assert_int_equal(packet_v1_get_greeting(greeting, uuid, &channel, NULL), 0);
    assert_int_equal(channel, 3);
    assert_int_equal(packet_v1_get_greeting(greeting, NULL, &channel, NULL), 0);
    assert_int_equal(packet_v1_get_greeting(greeting, none, &channel, NULL), -EACCES);
    greeting[7]++;
    assert_int_equal(packet_v1_get_greeting(greeting, uuid, &channel, NULL), -EPROTO);
    greeting[0]++;
    assert_int_equal(packet_v1_get_greeting(greeting, uuid, &channel, NULL), -EPROTO);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_is_what_qemu_writes),
        cmocka_unit_test(v1_sync_is_what_qemu_10_writes),
        cmocka_unit_test(v1_device_state_has_a_header_of_its_own),
        cmocka_unit_test(v1_has_no_end),
        cmocka_unit_test(v1_stale_fields_mean_nothing),
        cmocka_unit_test(v1_a_sync_may_ride_on_pages),
        cmocka_unit_test(v1_pages_may_come_in_any_order),
        cmocka_unit_test(v1_what_cannot_be_is_refused),
        cmocka_unit_test(v1_compressed_payload_has_its_bound),
        cmocka_unit_test(v1_device_state_has_its_bound),
        cmocka_unit_test(v1_greeting_is_what_qemu_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
