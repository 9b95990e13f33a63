/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_ram_test.c - the header and bitmap of a mapped-ram file: QEMU's bytes, and nothing hostile gets through */
#include "mapped_ram.h"

#include "bytes.h"

#include <errno.h>
#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void a_plain_header_has_qemus_bytes(void **state)
{
    struct mapped_place place = mapped_place_at(0x108e - MAPPED_HEAD_BYTES, 4096, false);
    uint8_t header[MAPPED_HEADER_MAX_BYTES];

    assert_int_equal(place.version, 1);
    assert_int_equal(place.bitmap_offset, 0x108e);
    assert_int_equal(place.pages_offset, MIB);
    assert_int_equal(mapped_header_encode(&place, header), MAPPED_HEAD_BYTES);
    assert_int_equal(load_be32(header), 1);
    assert_int_equal(load_be64(header + 4), 4096);
    assert_int_equal(load_be64(header + 12), 0x108e);
    assert_int_equal(load_be64(header + 20), MIB);
}

/* What was laid out is what is read, and passes the check to the byte. */
static void cross(uint64_t position, uint64_t pages, bool sums)
{
    struct mapped_place place = mapped_place_at(position, pages, sums), back;
    uint8_t header[MAPPED_HEADER_MAX_BYTES];
    size_t bytes = mapped_header_encode(&place, header);
    uint64_t end = place.pages_offset + pages * FERRY_PAGE_BYTES;
    struct ferry_error err;

    assert_int_equal(place.bitmap_offset, position + bytes);
    assert_int_equal(place.pages_offset % MIB, 0);
    assert_int_equal(mapped_head_decode(header, &back, &err), 0);
    if (sums) {
        assert_int_equal(load_be32(header + MAPPED_HEAD_BYTES), bytes - MAPPED_HEAD_BYTES - 4);
        assert_int_equal(
            mapped_extensions_decode(header + MAPPED_HEAD_BYTES + 4, bytes - MAPPED_HEAD_BYTES - 4, &back, &err), 0);
    }
    assert_int_equal(back.version, place.version);
    assert_int_equal(back.bitmap_offset, place.bitmap_offset);
    assert_int_equal(back.sums_offset, place.sums_offset);
    assert_int_equal(back.pages_offset, place.pages_offset);
    assert_int_equal(mapped_place_check(&back, pages, position + bytes, end, &err), 0);
    assert_int_equal(mapped_place_check(&back, pages, position + bytes, end - 1, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_STREAM_ENDED);
    assert_int_equal(mapped_place_check(&back, pages, position + bytes + 1, end, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_STREAM_BROKEN);
}

static void every_layout_passes_its_own_check(void **state)
{
    static const uint64_t sizes[] = { 1, 63, 64, 65, 4096, 262144, 300001, FERRY_RAM_BYTES_MAX >> FERRY_PAGE_SHIFT };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cross(0, sizes[i], false);
        cross(4097, sizes[i], false);
        cross(77, sizes[i], true);
        cross(3 * MIB - 28, sizes[i], true);
    }
}

static void headers_of_others_are_refused_by_name(void **state)
{
    struct mapped_place place = mapped_place_at(0, 8, false);
    uint8_t header[MAPPED_HEADER_MAX_BYTES], extension[32];
    struct ferry_error err;

    mapped_header_encode(&place, header);
    store_be32(header, 0);
    assert_int_equal(mapped_head_decode(header, &place, &err), -EPROTO);
    store_be32(header, 3);
    assert_int_equal(mapped_head_decode(header, &place, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_STREAM_VERSION);
    store_be32(header, 1);
    store_be64(header + 4, 0);
    assert_int_equal(mapped_head_decode(header, &place, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_PAGE_SIZE);
    store_be64(header + 4, 16384);
    assert_int_equal(mapped_head_decode(header, &place, &err), -EPROTO);

    memset(extension, 0, sizeof(extension));
    store_be16(extension, MAPPED_COMPRESSION);
    assert_int_equal(mapped_extensions_decode(extension, 8, &place, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "compression"));
    store_be16(extension, MAPPED_ENCRYPTION);
    assert_int_equal(mapped_extensions_decode(extension, 8, &place, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "encryption"));
    store_be16(extension, 4);
    assert_int_equal(mapped_extensions_decode(extension, 8, &place, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "extension 4"));
    store_be16(extension, MAPPED_EXTENSION_OPTIONAL);
    assert_int_equal(mapped_extensions_decode(extension, 8, &place, &err), 0);
}

static void no_offset_reaches_outside(void **state)
{
    static const uint64_t values[] = { 0,         1,       4095,    4096,      MIB - 1,
                                       MIB,       MIB + 1, 2 * MIB, INT64_MAX, UINT64_MAX - 4095,
                                       UINT64_MAX };
    size_t count = sizeof(values) / sizeof(values[0]);
    struct ferry_error err;

    for (size_t b = 0; b < count; b++) {
        for (size_t p = 0; p < count; p++) {
            for (size_t s = 0; s < count; s++) {
                struct mapped_place place = { 2, values[b], values[s], values[p] };
                int ret = mapped_place_check(&place, 256, 100, 2 * MIB, &err);

                if (ret < 0)
                    continue;
                assert_true(place.bitmap_offset >= 100);
                assert_true(place.bitmap_offset + 32 <= place.pages_offset);
                assert_true(place.pages_offset % 4096 == 0 && place.pages_offset + MIB <= 2 * MIB);
                if (place.sums_offset)
                    assert_true(place.sums_offset >= place.bitmap_offset + 32 &&
                                place.sums_offset + 1024 <= place.pages_offset);
            }
        }
    }
    assert_int_equal(mapped_place_check(&(struct mapped_place){ 1, 100, 0, MIB }, UINT64_MAX, 0, INT64_MAX, &err),
                     -EPROTO);
}

/* Any bytes: refused or understood, and never read past (the sanitizer looks). */
static void any_bytes_are_survived(void **state)
{
    struct mapped_place place;
    struct ferry_error err;

    srand(5);
    for (unsigned i = 0; i < 200000; i++) {
        size_t bytes = (size_t)rand() % 64;
        uint8_t *from = malloc(bytes ? bytes : 1);
        uint8_t head[MAPPED_HEAD_BYTES];

        for (size_t n = 0; n < bytes; n++)
            from[n] = rand() % 4 ? (uint8_t)(rand() % 4) : (uint8_t)rand();
        for (size_t n = 0; n < sizeof(head); n++)
            head[n] = (uint8_t)(rand() % 3);
        (void)!mapped_head_decode(head, &place, &err);
        memset(&place, 0, sizeof(place));
        if (mapped_extensions_decode(from, bytes, &place, &err) < 0)
            assert_true(err.text[0]);
        free(from);
    }
}

static void bitmaps_are_little_endian_and_end_with_the_block(void **state)
{
    uint64_t words[2] = { 0x8000000000000001, 0x3 }, file[2], back[2];
    const uint8_t *bytes = (const uint8_t *)file;
    struct ferry_error err;

    assert_int_equal(mapped_bitmap_bytes(66), 16);
    mapped_bitmap_encode(words, 66, file);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[7], 0x80);
    assert_int_equal(bytes[8], 3);
    assert_int_equal(mapped_bitmap_decode(file, 66, back, &err), 0);
    assert_memory_equal(back, words, sizeof(words));
    assert_int_equal(mapped_bitmap_decode(file, 65, back, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_STREAM_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_header_has_qemus_bytes),
        cmocka_unit_test(every_layout_passes_its_own_check),
        cmocka_unit_test(headers_of_others_are_refused_by_name),
        cmocka_unit_test(no_offset_reaches_outside),
        cmocka_unit_test(any_bytes_are_survived),
        cmocka_unit_test(bitmaps_are_little_endian_and_end_with_the_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
