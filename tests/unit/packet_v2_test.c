/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_v2_test.c - packets as documented, byte by byte; damage is noticed, and what cannot be is refused */
#include "packet_fixture.h"

#include <string.h>

#define V2_HEAD 36
#define V2_CRC  32

static void v2_is_what_is_documented(void **state)
{
    uint8_t want[V2_HEAD + 3 * 8 + 3 * 4] = { 'F', 'R', 'P', 'K', 2, 1, 2, 1, 0, 0, 0, 9, 0, 0, 7, 0xd0 };

    make(&second, "3 4 9|5 6");
    out.codec = CODEC_ZSTD;
    out.payload_bytes = 2000;
    out.sequence = 0x0102030405060708;
    out.round = 9;
    out.summed = true;
    for (unsigned i = 0; i < 3; i++)
        out.sum[i] = 0x10203040 + i;
    memcpy(want + 16, "\1\2\3\4\5\6\7\10\0\1\0\3\0\2\0\1", 16);
    memcpy(want + 36, "\0\0\0\0\3\0\0\1\0\0\0\0\11\0\0\0\0\0\0\0\5\0\0\1", 24);
    memcpy(want + 60, "\x10\x20\x30\x40\x10\x20\x30\x41\x10\x20\x30\x42", 12);
    assert_int_equal(cross(&packet_v2), sizeof(want));
    store_be32(want + V2_CRC, load_be32(header + V2_CRC));
    assert_memory_equal(header, want, sizeof(want));
    memmove(want + V2_CRC, want + V2_HEAD, sizeof(want) - V2_HEAD);
    assert_int_equal(load_be32(header + V2_CRC), packet_sum(want, sizeof(want) - 4));
}

static void v2_every_kind_crosses(void **state)
{
    out = (struct packet){ .kind = PACKET_SYNC, .sequence = 1, .round = UINT32_MAX };
    assert_int_equal(cross(&packet_v2), V2_HEAD);
    assert_int_equal(header[5], 2);
    out = (struct packet){ .kind = PACKET_DEVICE, .device = "nvme", .instance = 3, .payload_bytes = 1 };
    assert_int_equal(cross(&packet_v2), V2_HEAD + 4);
    assert_int_equal(header[5], 3);
    memset(out.device, 'd', sizeof(out.device) - 1);
    out.payload_bytes = PACKET_DEVICE_MAX;
    assert_int_equal(cross(&packet_v2), V2_HEAD + 255);
    out = (struct packet){ .kind = PACKET_END, .sequence = UINT64_MAX };
    assert_int_equal(cross(&packet_v2), V2_HEAD);
    assert_int_equal(header[5], 4);
}

static void v2_every_codec_has_its_number(void **state)
{
    static const enum codec_id codecs[] = { CODEC_NONE, CODEC_ZLIB, CODEC_ZSTD, CODEC_LZ4, CODEC_XBZRLE };

    make(&first, "1");
    for (unsigned i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        out.codec = codecs[i];
        cross(&packet_v2);
        assert_int_equal(header[6], i);
    }
    assert_int_equal(CODEC_COUNT, sizeof(codecs) / sizeof(codecs[0]));
}

static void v2_untouched_memory_costs_next_to_nothing(void **state)
{
    uint64_t pages = first.pages, packets = 0, bytes = 0;

    assert_int_equal(packet_from_zeros(&out, &first, 5, UINT64_C(1) << 24), UINT64_C(1) << 24);
    assert_int_equal(cross(&packet_v2), V2_HEAD + 8);
    while (pages > 0) {
        uint64_t part = packet_from_zeros(&out, &first, first.pages - pages, pages);

        assert_in_range(part, 1, pages);
        bytes += cross(&packet_v2);
        pages -= part;
        packets++;
    }
    assert_int_equal(packets, 2); /* 64 TiB */
    assert_int_equal(bytes, 2 * V2_HEAD + 1024 * 8);
}

static void v2_the_largest_packet_fits(void **state)
{
    struct page_batch batch;

    batch = (struct page_batch){ .block = &first, .limit = BATCH_PAGES };
    for (batch.count = 0; batch.count < BATCH_PAGES_MAX; batch.count++)
        batch.pages[batch.count] = batch.count * 2;
    batch.normal = batch.count;
    packet_from_batch(&out, &batch);
    out.summed = true;
    out.codec = CODEC_LZ4;
    out.payload_bytes = PACKET_PAYLOAD_MAX;
    assert_int_equal(cross(&packet_v2), V2_HEAD + BATCH_PAGES_MAX * 12);
}

static void v2_any_bit_that_flips_is_noticed(void **state)
{
    size_t bytes;

    make(&second, "3 4 9|5 6");
    out.codec = CODEC_LZ4;
    out.summed = true;
    bytes = packet_v2.encode(&out, header);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(&packet_v2, bytes, "");
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(decode(&packet_v2, header, bytes, NULL), 0);
}

/* The checksum of the header made right again: only what it says can be wrong. */
static void seal(size_t bytes)
{
    uint8_t covered[HEADER_MAX];

    memcpy(covered, header, V2_CRC);
    memcpy(covered + V2_CRC, header + V2_HEAD, bytes - V2_HEAD);
    store_be32(header + V2_CRC, packet_sum(covered, bytes - 4));
}

static void v2_what_cannot_be_is_refused(void **state)
{
    static const struct wrong wrong[] = {
        { 0, 0x4652504a, 4, "begins with 0x4652504a" },
        { 4, 1, 1, "version 1" },
        { 5, 0, 1, "kind 0" },
        { 5, 5, 1, "kind 5" },
        { 5, 2, 1, "without pages" },
        { 5, 4, 1, "without pages" },
        { 6, 5, 1, "codec 5" },
        { 6, 1, 1, NULL },
        { 7, 2, 1, "flags 0x02" },
        { 12, 3 * 4096 + 1, 4, "12289 bytes of payload for 3 pages" },
        { 12, 0, 4, "0 bytes of payload" },
        { 12, UINT32_MAX, 4, "bytes of payload" },
        { 24, 2, 2, "block 2 of 2" },
        { 26, 4, 2, "runs of 3 pages in a packet of 4" },
        { 26, 2, 2, "runs of 3 pages in a packet of 2" },
        { 26, 0, 2, "0 pages in 2 runs" },
        { 26, 513, 2, "513 pages" },
        { 28, UINT16_MAX, 2, "65535 runs" },
        { 30, 511, 2, "511 runs of zero pages" },
        { 30, UINT16_MAX, 2, "65535 runs of zero pages" },
        { 36, UINT64_C(32) << 24 | 1, 8, "block 'pc.rom': 2 pages from 32 on, of 32" },
        { 36, UINT64_C(31) << 24 | 1, 8, "2 pages from 31 on, of 32" },
        { 36, UINT64_MAX, 8, "16777216 pages from 1099511627775 on" },
        { 36, UINT64_C(9) << 24 | 1, 8, "do not ascend" },
        { 36, UINT64_C(8) << 24 | 1, 8, "do not ascend" },
        { 44, UINT64_C(3) << 24, 8, "do not ascend" },
        { 44, UINT64_C(4) << 24, 8, "do not ascend" },
        { 44, UINT64_C(9) << 24 | 1, 8, "runs of 4 pages" },
        { 52, UINT64_C(4) << 24, 8, "do not ascend" },
        { 52, UINT64_C(2) << 24 | 1, 8, "do not ascend" },
        { 52, UINT64_C(30) << 24 | 2, 8, "3 pages from 30 on, of 32" },
    };
    size_t bytes;

    make(&second, "3 4 9|5 6");
    bytes = packet_v2.encode(&out, header);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t length = bytes;

        packet_v2.encode(&out, header);
        put_wrong(&wrong[i]);
        if (wrong[i].at == 5)
            length = V2_HEAD;
        seal(length);
        if (wrong[i].why)
            assert_refused(&packet_v2, length, wrong[i].why);
        else
            assert_int_equal(decode(&packet_v2, header, length, NULL), 0);
    }
}

static void v2_compressed_payload_has_its_bound(void **state)
{
    make(&second, "3 4 9");
    out.codec = CODEC_ZLIB;
    out.payload_bytes = 3 * 8192;
    cross(&packet_v2);
    out.payload_bytes++;
    packet_v2.encode(&out, header);
    assert_refused(&packet_v2, HEADER_MAX, "24577 bytes of payload for 3 pages, compressed");
    out.payload_bytes = 0;
    packet_v2.encode(&out, header);
    assert_refused(&packet_v2, HEADER_MAX, "0 bytes");
}

static void v2_without_content_there_is_nothing_to_compress_or_sum(void **state)
{
    make(&second, "|5 6");
    assert_int_equal(packet_v2.encode(&out, header), V2_HEAD + 8);
    header[6] = 2;
    seal(V2_HEAD + 8);
    assert_refused(&packet_v2, V2_HEAD + 8, "codec 2");
    header[6] = 0;
    header[7] = 1;
    seal(V2_HEAD + 8);
    assert_refused(&packet_v2, V2_HEAD + 8, "flags 0x01");
    header[7] = 0;
    store_be32(header + 12, 1);
    seal(V2_HEAD + 8);
    assert_refused(&packet_v2, V2_HEAD + 8, "1 bytes of payload for 0 pages");
    store_be32(header + 12, 0);
    store_be16(header + 30, 0);
    seal(V2_HEAD);
    assert_refused(&packet_v2, V2_HEAD, "0 pages in 0 runs, and 0 runs");
}

static void v2_device_state_is_checked(void **state)
{
    out = (struct packet){ .kind = PACKET_DEVICE, .device = "nvme", .payload_bytes = PACKET_DEVICE_MAX + 1 };
    packet_v2.encode(&out, header);
    assert_refused(&packet_v2, V2_HEAD + 4, "device 'nvme'");
    out.payload_bytes = 0;
    packet_v2.encode(&out, header);
    assert_refused(&packet_v2, V2_HEAD + 4, "device 'nvme'");
    out.payload_bytes = 1;
    packet_v2.encode(&out, header);
    header[V2_HEAD + 1] = 0;
    seal(V2_HEAD + 4);
    assert_refused(&packet_v2, V2_HEAD + 4, "malformed");
    store_be16(header + 28, 0);
    seal(V2_HEAD);
    assert_refused(&packet_v2, V2_HEAD, "malformed");
    store_be16(header + 28, 256);
    seal(V2_HEAD);
    assert_refused(&packet_v2, V2_HEAD, "name of 256 bytes");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_is_what_is_documented),
        cmocka_unit_test(v2_every_kind_crosses),
        cmocka_unit_test(v2_every_codec_has_its_number),
        cmocka_unit_test(v2_untouched_memory_costs_next_to_nothing),
        cmocka_unit_test(v2_the_largest_packet_fits),
        cmocka_unit_test(v2_any_bit_that_flips_is_noticed),
        cmocka_unit_test(v2_what_cannot_be_is_refused),
        cmocka_unit_test(v2_compressed_payload_has_its_bound),
        cmocka_unit_test(v2_without_content_there_is_nothing_to_compress_or_sum),
        cmocka_unit_test(v2_device_state_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
