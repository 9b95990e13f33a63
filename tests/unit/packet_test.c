/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_test.c - a batch becomes a packet and comes back as it was, in both formats */
#include "packet_fixture.h"

#include "packet_parts.h"

#include <stdlib.h>
#include <string.h>

static void a_batch_becomes_runs(void **state)
{
    struct iovec pieces[8];
    uint8_t *pages[8];

    make(&second, "3 4 5 9|0 6 7");
    assert_int_equal(out.kind, PACKET_PAGES);
    assert_int_equal(out.runs, 4);
    assert_int_equal(out.content_runs, 2);
    assert_int_equal(out.content_pages, 4);
    assert_int_equal(out.zero_pages, 3);
    assert_int_equal(out.run[3].first, 6);
    assert_int_equal(out.run[3].count, 2);
    assert_int_equal(packet_pieces(&out, pieces, 8), 2);
    assert_ptr_equal(pieces[0].iov_base, memory + 3 * FERRY_PAGE_BYTES);
    assert_int_equal(pieces[0].iov_len, 3 * FERRY_PAGE_BYTES);
    assert_ptr_equal(pieces[1].iov_base, memory + 9 * FERRY_PAGE_BYTES);
    assert_int_equal(pieces[1].iov_len, FERRY_PAGE_BYTES);
    assert_int_equal(packet_addresses(&out, pages), 4);
    assert_ptr_equal(pages[2], memory + 5 * FERRY_PAGE_BYTES);
    assert_ptr_equal(pages[3], memory + 9 * FERRY_PAGE_BYTES);
}

static void checksums_are_crc32c(void **state)
{
    static const uint8_t zeros[32];

    assert_int_equal(packet_sum("123456789", 9), 0xe3069283);
    assert_int_equal(packet_sum(zeros, sizeof(zeros)), 0x8a9136aa);
    assert_int_equal(packet_sum("", 0), 0);
}

static void every_way_to_sum_gives_the_same(void **state)
{
    uint8_t data[4200];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * i >> 3 ^ i);
    for (size_t bytes = 0; bytes < sizeof(data) - 8; bytes = bytes * 9 / 8 + 1) {
        for (size_t at = 0; at < 8; at++) {
            uint32_t plain = packet_sum_by(SUM_PLAIN, (uint32_t)bytes, data + at, bytes);

            assert_int_equal(packet_sum_by(SUM_WORDS, (uint32_t)bytes, data + at, bytes), plain);
            assert_int_equal(packet_sum_by(SUM_ISAL, (uint32_t)bytes, data + at, bytes), plain);
        }
    }
}

/* Some pages, scattered; which of them are zero is a matter of chance. */
static struct page_batch random_batch(unsigned limit)
{
    uint64_t zero[BATCH_PAGES_MAX], page = (uint64_t)rand() << 2;
    struct page_batch batch;
    unsigned zeros = 0;

    batch = (struct page_batch){ .block = &first, .limit = BATCH_PAGES };
    batch.count = 1 + (unsigned)rand() % limit;
    for (unsigned i = 0; i < batch.count; i++) {
        page += 1 + (rand() % 4 == 0 ? (uint64_t)rand() % 100 : 0);
        if (rand() % 3 == 0)
            zero[zeros++] = page;
        else
            batch.pages[batch.normal++] = page;
    }
    memcpy(batch.pages + batch.normal, zero, zeros * sizeof(zero[0]));
    return batch;
}

static void batches_of_every_shape_cross(void **state)
{
    static const struct packet_format *const formats[] = { &packet_v1, &packet_v2 };

    srand(1);
    for (unsigned i = 0; i < 1000; i++) {
        struct page_batch batch = random_batch(formats[i % 2]->batch_pages);

        packet_from_batch(&out, &batch);
        out.payload_bytes = (uint32_t)out.content_pages * FERRY_PAGE_BYTES;
        out.sequence = (uint64_t)rand() << 33;
        cross(formats[i % 2]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_becomes_runs),
        cmocka_unit_test(checksums_are_crc32c),
        cmocka_unit_test(every_way_to_sum_gives_the_same),
        cmocka_unit_test(batches_of_every_shape_cross),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
