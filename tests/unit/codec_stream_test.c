/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_stream_test.c - the streams of a channel are those that QEMU makes and reads with the bare libraries
 *
 *      our encoder --> zlib, zstd     as QEMU's destination calls them
 *      zlib, zstd --> our decoder     as QEMU's source calls them: page by page, flushed with the last
 */
#include "codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define PAGE    4096u
#define PAGES   128u
#define BATCHES 40u
#define ROOM    (1u << 20)

struct ends {
    struct encoder *encoder;
    struct decoder *decoder;
    uint8_t *memory, *arrived, *payload;
    uint8_t *from[PAGES], *to[PAGES];
};

static void open_ends(struct ends *ends, enum codec_id id, int level)
{
    const struct codec_terms terms = { id, CODEC_STREAM, level, PAGES, PAGE };

    ends->encoder = encoder_new(&terms, NULL);
    ends->decoder = decoder_new(&terms, NULL);
    ends->memory = malloc(PAGES * PAGE);
    ends->arrived = malloc(PAGES * PAGE);
    ends->payload = malloc(ROOM);
    assert_true(ends->encoder && ends->decoder && ends->memory && ends->arrived && ends->payload);
    assert_true(encoder_bound(ends->encoder) <= ROOM); /* the most that a QEMU takes */
    for (unsigned i = 0; i < PAGES; i++) {
        ends->from[i] = ends->memory + (size_t)i * PAGE;
        ends->to[i] = ends->arrived + (size_t)i * PAGE;
    }
}

static void close_ends(struct ends *ends)
{
    encoder_free(ends->encoder);
    decoder_free(ends->decoder);
    free(ends->memory);
    free(ends->arrived);
    free(ends->payload);
}

/* Words, random bytes, and words again that were there some batches ago.  Returns how many pages. */
static unsigned fill(struct ends *ends, unsigned batch, unsigned *seed)
{
    unsigned count = batch % 4 == 3 ? 1 + (unsigned)rand_r(seed) % PAGES : PAGES, words = batch / 3;

    for (size_t i = 0; i < (size_t)count * PAGE; i++) {
        bool random = batch % 3 == 1 || (batch % 3 == 2 && (i / PAGE) % 2);

        ends->memory[i] =
            random ? (uint8_t)rand_r(seed) : (uint8_t)("pages go through a stream "[(i + words * i / 7) % 26]);
    }
    return count;
}

static size_t encode(struct ends *ends, unsigned count)
{
    const struct codec_pages pages = { ends->from, NULL, count, PAGE };
    ssize_t bytes = encoder_encode(ends->encoder, &pages, ends->payload, NULL);

    assert_true(bytes > 0 && bytes <= (ssize_t)ROOM);
    return (size_t)bytes;
}

static void decode(struct ends *ends, size_t bytes, unsigned count)
{
    const struct codec_pages pages = { ends->to, NULL, count, PAGE };

    assert_int_equal(decoder_decode(ends->decoder, ends->payload, bytes, &pages, NULL), 0);
    assert_memory_equal(ends->arrived, ends->memory, count * PAGE);
}

static const int zlib_levels[] = { 0, CODEC_LEVEL_ZERO, 6, 9 };
static const int zstd_levels[] = { 0, 7 };

static void zlib_reads_what_we_write(void **state)
{
    for (unsigned l = 0; l < 4; l++) {
        z_stream zlib = { 0 };
        unsigned seed = 1;
        struct ends ends;

        open_ends(&ends, CODEC_ZLIB, zlib_levels[l]);
        assert_int_equal(inflateInit(&zlib), Z_OK);
        for (unsigned batch = 0; batch < BATCHES; batch++) {
            unsigned count = fill(&ends, batch, &seed);
            size_t bytes = encode(&ends, count);

            if (batch == 0)
                assert_memory_equal(ends.payload,
                                    zlib_levels[l] == 6 ? "\x78\x9c"
                                    : l == 3            ? "\x78\xda"
                                                        : "\x78\x01",
                                    2);
            assert_memory_equal(ends.payload + bytes - 4, "\0\0\xff\xff", 4);
            zlib.next_in = ends.payload;
            zlib.avail_in = (uInt)bytes;
            zlib.next_out = ends.arrived;
            zlib.avail_out = count * PAGE;
            assert_int_equal(inflate(&zlib, Z_SYNC_FLUSH), Z_OK);
            assert_int_equal(zlib.avail_out, 0);
            assert_memory_equal(ends.arrived, ends.memory, count * PAGE);
            /* QEMU leaves the rest of a payload for the next one: it is an empty block. */
            assert_true(zlib.avail_in <= 5);
            zlib.avail_out = 1;
            (void)inflate(&zlib, Z_SYNC_FLUSH);
            assert_int_equal(zlib.avail_in, 0);
            assert_int_equal(zlib.avail_out, 1);
        }
        inflateEnd(&zlib);
        close_ends(&ends);
    }
}

static void we_read_what_zlib_writes(void **state)
{
    for (unsigned l = 0; l < 4; l++) {
        z_stream zlib = { 0 };
        unsigned seed = 2;
        struct ends ends;

        open_ends(&ends, CODEC_ZLIB, 0);
        assert_int_equal(deflateInit(&zlib, zlib_levels[l] == CODEC_LEVEL_ZERO ? 0 : zlib_levels[l] + (l == 0)), Z_OK);
        for (unsigned batch = 0; batch < BATCHES; batch++) {
            unsigned count = fill(&ends, batch, &seed);

            zlib.next_out = ends.payload;
            zlib.avail_out = ROOM;
            for (unsigned i = 0; i < count; i++) {
                zlib.next_in = ends.from[i];
                zlib.avail_in = PAGE;
                assert_int_equal(deflate(&zlib, i == count - 1 ? Z_SYNC_FLUSH : Z_NO_FLUSH), Z_OK);
            }
            decode(&ends, ROOM - zlib.avail_out, count);
        }
        deflateEnd(&zlib);
        close_ends(&ends);
    }
}

static void zstd_reads_what_we_write(void **state)
{
    for (unsigned l = 0; l < 2; l++) {
        ZSTD_DStream *zstd = ZSTD_createDStream();
        unsigned seed = 3;
        struct ends ends;

        assert_non_null(zstd);
        open_ends(&ends, CODEC_ZSTD, zstd_levels[l]);
        for (unsigned batch = 0; batch < BATCHES; batch++) {
            unsigned count = fill(&ends, batch, &seed);
            ZSTD_inBuffer in = { ends.payload, encode(&ends, count), 0 };

            assert_int_equal(memcmp(ends.payload, "\x28\xb5\x2f\xfd", 4) == 0, batch == 0);
            for (unsigned i = 0; i < count; i++) {
                ZSTD_outBuffer out = { ends.to[i], PAGE, 0 };
                size_t ret;

                do {
                    ret = ZSTD_decompressStream(zstd, &out, &in);
                } while (!ZSTD_isError(ret) && ret > 0 && in.pos < in.size && out.pos < PAGE);
                assert_false(ZSTD_isError(ret));
                assert_int_equal(out.pos, PAGE);
            }
            assert_int_equal(in.pos, in.size);
            assert_memory_equal(ends.arrived, ends.memory, count * PAGE);
        }
        ZSTD_freeDStream(zstd);
        close_ends(&ends);
    }
}

static void we_read_what_zstd_writes(void **state)
{
    for (int level = 1; level <= 20; level += 19) {
        ZSTD_CStream *zstd = ZSTD_createCStream();
        unsigned seed = 4;
        struct ends ends;

        assert_non_null(zstd);
        assert_false(ZSTD_isError(ZSTD_initCStream(zstd, level)));
        open_ends(&ends, CODEC_ZSTD, 0);
        for (unsigned batch = 0; batch < (level > 9 ? 4 : BATCHES); batch++) {
            unsigned count = fill(&ends, batch, &seed);
            ZSTD_outBuffer out = { ends.payload, ROOM, 0 };

            for (unsigned i = 0; i < count; i++) {
                ZSTD_inBuffer in = { ends.from[i], PAGE, 0 };
                size_t left;

                do {
                    left = ZSTD_compressStream2(zstd, &out, &in, i == count - 1 ? ZSTD_e_flush : ZSTD_e_continue);
                } while (!ZSTD_isError(left) && (in.pos < in.size || (i == count - 1 && left > 0)));
                assert_false(ZSTD_isError(left));
            }
            decode(&ends, out.pos, count);
        }
        ZSTD_freeCStream(zstd);
        close_ends(&ends);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(zlib_reads_what_we_write),
        cmocka_unit_test(we_read_what_zlib_writes),
        cmocka_unit_test(zstd_reads_what_we_write),
        cmocka_unit_test(we_read_what_zstd_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
