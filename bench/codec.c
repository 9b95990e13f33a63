/* SPDX-License-Identifier: BSD-3-Clause */
/* codec.c - what does a codec cost for each byte of memory, beside the library that it calls?
 *
 *      ours    128 pages -> encoder -> payload -> decoder -> 128 pages
 *      limit   512 KiB   -> library -> payload -> library -> 512 KiB        the same bytes, in one piece
 *
 * xbzrle is asked about memory of which every page was sent before and has changed in one word of 64 since.
 */
#include "codec.h"

#include "bare_codec.h"
#include "batch.h"
#include "clock.h"
#include "content.h"
#include "mapping.h"
#include "measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (BATCH_PAGES * FERRY_PAGE_BYTES)
#define BATCHES_MAX 4096

static uint64_t size = UINT64_C(4) << 20, runs = 3, level;
static const char *wanted_codecs, *wanted_contents;

static const struct question {
    enum codec_id id;
    int level;
} questions[] = {
    { CODEC_ZLIB, 1 }, { CODEC_ZLIB, 6 }, { CODEC_ZSTD, 1 }, { CODEC_ZSTD, 3 }, { CODEC_LZ4, 1 }, { CODEC_XBZRLE, 0 },
};

static const struct {
    const char *name;
    uint8_t kind;
} contents[] = { { "random", SPEC_RANDOM }, { "text", SPEC_TEXT }, { "mixed", SPEC_MIXED } };

struct scene {
    unsigned batches;
    size_t room; /* for a payload */
    struct mapping from, to, before, payload;
    size_t bytes[BATCHES_MAX]; /* of each payload; 0: it does not pay */
    struct encoder *encoder;
    struct decoder *decoder;
    struct bare_codec bare;
    struct pairs encode, decode; /* ns per byte */
    double size, bare_size;      /* of what comes out, beside what went in */
};

/* The pages of a batch as a codec is told of them. */
struct pages {
    uint8_t *at[BATCH_PAGES];
    uint64_t key[BATCH_PAGES];
    struct codec_pages pages;
};

static void pages_of(struct pages *pages, uint8_t *memory, unsigned batch)
{
    for (unsigned i = 0; i < BATCH_PAGES; i++) {
        pages->key[i] = (uint64_t)batch * BATCH_PAGES + i;
        pages->at[i] = memory + pages->key[i] * FERRY_PAGE_BYTES;
    }
    pages->pages = (struct codec_pages){ pages->at, pages->key, BATCH_PAGES, FERRY_PAGE_BYTES };
}

static void fill(const struct scene *scene, uint8_t kind)
{
    struct content content;
    struct guest_spec spec = { .seed = 1, .content = kind };

    content_init(&content, &spec);
    for (uint64_t page = 0; page < (uint64_t)scene->batches * BATCH_PAGES; page++)
        content_write(&content, scene->from.host + page * FERRY_PAGE_BYTES, page, 0);
}

static void change_words(const struct scene *scene)
{
    uint64_t *words = (uint64_t *)(void *)scene->from.host;

    for (uint64_t i = 0; i < scene->batches * BATCH_BYTES / sizeof(*words); i += BARE_CHANGED_EVERY / sizeof(*words))
        words[i]++;
}

static int our_encode(struct scene *scene, double *ns, struct ferry_error *err)
{
    int64_t began = clock_now_ns();
    uint64_t total = 0;
    struct pages pages;

    for (unsigned i = 0; i < scene->batches; i++) {
        ssize_t done;

        pages_of(&pages, scene->from.host, i);
        done = encoder_encode(scene->encoder, &pages.pages, scene->payload.host + i * scene->room, err);
        if (done < 0)
            return (int)done;
        scene->bytes[i] = (size_t)done;
        total += done > 0 ? (uint64_t)done : BATCH_BYTES;
    }
    *ns = (double)(clock_now_ns() - began);
    scene->size = (double)total / ((double)scene->batches * BATCH_BYTES);
    return 0;
}

/* Of the payloads that pay. */
static int our_decode(struct scene *scene, double *ns, struct ferry_error *err)
{
    int64_t began = clock_now_ns();
    struct pages pages;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < scene->batches; i++) {
        pages_of(&pages, scene->to.host, i);
        if (scene->bytes[i] > 0)
            ret = decoder_decode(scene->decoder, scene->payload.host + i * scene->room, scene->bytes[i], &pages.pages,
                                 err);
    }
    *ns = (double)(clock_now_ns() - began);
    for (unsigned i = 0; ret == 0 && i < scene->batches; i++)
        if (scene->bytes[i] > 0 &&
            memcmp(scene->from.host + i * BATCH_BYTES, scene->to.host + i * BATCH_BYTES, BATCH_BYTES))
            ret = ferry_error_set(err, -EIO, "batch %u came out as something else", i);
    return ret;
}

/* Of all; *decode_ns of those that pay for us, too. */
static int bare_both(struct scene *scene, double *encode_ns, double *decode_ns, struct ferry_error *err)
{
    size_t bytes[BATCHES_MAX];
    int64_t began = clock_now_ns();
    uint64_t total = 0;

    for (unsigned i = 0; i < scene->batches; i++) {
        bytes[i] = bare_encode(&scene->bare, scene->from.host + i * BATCH_BYTES, scene->before.host + i * BATCH_BYTES,
                               BATCH_BYTES, scene->payload.host + i * scene->room, scene->room);
        if (bytes[i] == 0)
            return ferry_error_set(err, -EIO, "the library did not encode batch %u", i);
        total += bytes[i];
    }
    *encode_ns = (double)(clock_now_ns() - began);
    scene->bare_size = (double)total / ((double)scene->batches * BATCH_BYTES);
    began = clock_now_ns();
    for (unsigned i = 0; i < scene->batches; i++)
        if (scene->bytes[i] > 0 &&
            !bare_decode(&scene->bare, scene->payload.host + i * scene->room, bytes[i],
                         scene->bare.id == CODEC_XBZRLE ? scene->before.host : scene->to.host + i * BATCH_BYTES,
                         BATCH_BYTES))
            return ferry_error_set(err, -EIO, "the library did not decode batch %u", i);
    *decode_ns = (double)(clock_now_ns() - began);
    return 0;
}

static int once(struct scene *scene, bool note, struct ferry_error *err)
{
    double encode = 0, decode = 0, bare_encoded = 0, bare_decoded = 0, all = 0, paid = 0;
    int ret = our_encode(scene, &encode, err);

    for (unsigned i = 0; i < scene->batches; i++) {
        all += BATCH_BYTES;
        paid += scene->bytes[i] > 0 ? BATCH_BYTES : 0;
    }
    if (ret == 0)
        ret = our_decode(scene, &decode, err);
    if (ret == 0)
        ret = bare_both(scene, &bare_encoded, &bare_decoded, err);
    if (ret == 0 && note)
        pairs_add(&scene->encode, encode / all, bare_encoded / all);
    if (ret == 0 && note && paid > 0)
        pairs_add(&scene->decode, decode / paid, bare_decoded / paid);
    return ret;
}

static int report(const struct scene *scene, const struct question *question, const char *content, json_t *results)
{
    json_t *row =
        json_pack("{s:s, s:i, s:s, s:f, s:o, s:o}", "codec", codec_name(question->id), "level", question->level,
                  "content", content, "size", scene->size, "encode", pairs_json(&scene->encode, "ns"), "decode",
                  scene->decode.ours.count > 0 ? pairs_json(&scene->decode, "ns") : json_null());

    if (row && question->id != CODEC_XBZRLE)
        json_object_set_new(row, "limit_size", json_real(scene->bare_size));
    return row && json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

/* Memory and states for one codec. */
static int scene_open(struct scene *scene, const struct question *question, struct ferry_error *err)
{
    const struct codec_terms terms = { .id = question->id,
                                       .framing = CODEC_FRAMED,
                                       .level = question->level,
                                       .pages_max = BATCH_PAGES,
                                       .page_bytes = FERRY_PAGE_BYTES,
                                       .cache_bytes = 16 * size };
    uint64_t bytes = scene->batches * BATCH_BYTES;
    int ret;

    scene->encoder = encoder_new(&terms, err);
    scene->decoder = scene->encoder ? decoder_new(&terms, err) : NULL;
    if (!scene->decoder)
        return -EINVAL;
    scene->room = encoder_bound(scene->encoder);
    ret = bare_codec_open(&scene->bare, question->id, question->level, err);
    if (ret == 0)
        ret = mapping_map(&scene->payload, (scene->batches * scene->room + FERRY_PAGE_BYTES) & ~UINT64_C(4095),
                          MAPPING_HUGE, err);
    if (ret == 0)
        ret = mapping_map(&scene->from, bytes, MAPPING_HUGE, err);
    if (ret == 0)
        ret = mapping_map(&scene->to, bytes, MAPPING_HUGE, err);
    return ret == 0 ? mapping_map(&scene->before, bytes, MAPPING_HUGE, err) : ret;
}

static void scene_close(struct scene *scene)
{
    encoder_free(scene->encoder);
    decoder_free(scene->decoder);
    bare_codec_close(&scene->bare);
    mapping_unmap(&scene->payload);
    mapping_unmap(&scene->from);
    mapping_unmap(&scene->to);
    mapping_unmap(&scene->before);
}

static int ask(const struct question *question, unsigned content, json_t *results, struct ferry_error *err)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    int ret;

    if (!scene)
        return -ENOMEM;
    scene->batches = (unsigned)(size / BATCH_BYTES);
    ret = scene_open(scene, question, err);
    if (ret == 0) {
        fill(scene, contents[content].kind);
        ret = once(scene, false, err); /* memory and caches are warm from here on */
    }
    for (uint64_t i = 0; ret == 0 && i < runs; i++) {
        if (question->id == CODEC_XBZRLE)
            change_words(scene);
        ret = once(scene, true, err);
    }
    if (ret == 0)
        ret = report(scene, question, contents[content].name, results);
    scene_close(scene);
    free(scene);
    return ret;
}

static int run(json_t *results, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < sizeof(questions) / sizeof(questions[0]); i++) {
        struct question question = questions[i];

        if (!measure_wanted(wanted_codecs, codec_name(question.id)) ||
            (level > 0 && i > 0 && questions[i - 1].id == question.id))
            continue;
        if (level > 0 && question.id != CODEC_XBZRLE)
            question.level = (int)level;
        for (unsigned k = 0; ret == 0 && k < sizeof(contents) / sizeof(contents[0]); k++)
            if (measure_wanted(wanted_contents, contents[k].name))
                ret = ask(&question, k, results, err);
    }
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, BATCH_BYTES, (uint64_t)BATCHES_MAX *BATCH_BYTES,
      "memory that is encoded, in batches of 512 KiB" },
    { "codec", MEASURE_TEXT, &wanted_codecs, 0, 0, "of zlib,zstd,lz4,xbzrle" },
    { "level", MEASURE_COUNT, &level, 0, 22, "of them all; 0: the usual ones of each" },
    { "content", MEASURE_TEXT, &wanted_contents, 0, 0, "of random,text,mixed" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure codec = {
    .name = "codec",
    .about = "What does a codec cost for each byte of memory (`ns`), in batches of 128 pages?\n"
             "`limit`: the library called with the same 512 KiB in one piece (zlib's format of level\n"
             "1, and reading it, by ISA-L where this build has it); for xbzrle copy, compare, set.\n"
             "`size`: of what comes out, beside what went in. `decode` is null where nothing pays.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&codec, argc, argv);
}
