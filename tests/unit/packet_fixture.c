/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_fixture.c - packets made, sent over memory, and looked at */
#include "packet_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t memory[32 * FERRY_PAGE_BYTES];
struct ram_block first = { .info = { .name = "pc.ram" }, .host = memory, .pages = UINT64_C(1) << 34 };
struct ram_block second = { .info = { .name = "pc.rom" }, .host = memory, .pages = 32, .index = 1 };
static struct ram_block *blocks[] = { &first, &second };
static const struct ram_map map = { .blocks = blocks, .count = 2 };

struct packet out, back;
uint8_t header[HEADER_MAX];

static struct page_batch batch_of(const struct ram_block *block, const char *pages)
{
    struct page_batch batch;
    unsigned page;
    int used;

    batch = (struct page_batch){ .block = block, .limit = BATCH_PAGES };
    for (bool zero = false; *pages; pages += used) {
        if (*pages == '|') {
            zero = true;
            used = 1;
        } else {
            assert_int_equal(sscanf(pages, "%u%n", &page, &used), 1);
            batch.pages[batch.count++] = page;
            batch.normal += !zero;
        }
        used += pages[used] == ' ';
    }
    return batch;
}

void make(const struct ram_block *block, const char *pages)
{
    struct page_batch batch = batch_of(block, pages);

    packet_from_batch(&out, &batch);
    out.payload_bytes = (uint32_t)out.content_pages * FERRY_PAGE_BYTES;
}

/* From memory of exactly the length that the head asks for, so that a sanitizer sees a step too far. */
int decode(const struct packet_format *format, const uint8_t *from, size_t bytes, struct ferry_error *err)
{
    size_t rest = SIZE_MAX;
    uint8_t *exact = malloc(format->head_bytes);
    int ret;

    memset(&back, 0xaa, sizeof(back));
    memcpy(exact, from, format->head_bytes);
    ret = format->decode_head(&back, exact, &rest, err);
    if (ret == 0) {
        assert_true(rest <= PACKET_REST_MAX);
        exact = realloc(exact, format->head_bytes + rest);
        memset(exact + format->head_bytes, 0, rest);
        memcpy(exact, from, bytes < format->head_bytes + rest ? bytes : format->head_bytes + rest);
        ret = format->decode(&back, &map, exact, err);
    }
    free(exact);
    return ret;
}

static void assert_same(void)
{
    assert_int_equal(back.kind, out.kind);
    assert_int_equal(back.sync, out.sync);
    assert_int_equal(back.codec, out.codec);
    assert_int_equal(back.sequence, out.sequence);
    assert_int_equal(back.round, out.round);
    assert_ptr_equal(back.block, out.block);
    assert_int_equal(back.runs, out.runs);
    assert_int_equal(back.content_runs, out.content_runs);
    assert_memory_equal(back.run, out.run, out.runs * sizeof(out.run[0]));
    assert_int_equal(back.content_pages, out.content_pages);
    assert_int_equal(back.zero_pages, out.zero_pages);
    assert_int_equal(back.payload_bytes, out.payload_bytes);
    assert_int_equal(back.summed, out.summed);
    if (out.summed)
        assert_memory_equal(back.sum, out.sum, out.content_pages * sizeof(out.sum[0]));
    assert_string_equal(back.device, out.device);
    assert_int_equal(back.instance, out.instance);
}

size_t cross(const struct packet_format *format)
{
    size_t bytes = format->encode(&out, header);

    assert_in_range(bytes, format->head_bytes, HEADER_MAX);
    assert_int_equal(decode(format, header, bytes, NULL), 0);
    assert_same();
    return bytes;
}

void assert_refused(const struct packet_format *format, size_t bytes, const char *why)
{
    struct ferry_error err = { 0 };
    int ret = decode(format, header, bytes, &err);

    assert_true(ret < 0);
    assert_int_equal(err.errnum, ret);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

void put_wrong(const struct wrong *wrong)
{
    uint8_t value[8];

    store_be64(value, wrong->value);
    memcpy(header + wrong->at, value + 8 - wrong->bytes, wrong->bytes);
}
