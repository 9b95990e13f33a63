/* SPDX-License-Identifier: BSD-3-Clause */
/* scan.c - how long does it take to find the pages that are to be sent, beside what the kernel takes to tell?
 *
 *      untouched   populated_scan()                     | PAGEMAP_SCAN, one large answer, nothing done with it
 *      first       walk: look, hand out all pages        | PAGEMAP_SCAN, and reading one word of each touched page
 *      dirty       tracker: find what was written since  | PAGEMAP_SCAN that protects again
 *
 * The memory is as large as a guest's; of it one page in so many is touched or written, each by itself, which is the
 * worst case: every one of them is a range of its own.
 */
#include "mapping.h"
#include "measure.h"
#include "page_walk.h"
#include "pagemap.h"
#include "populated.h"
#include "tracker.h"
#include "userfault.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static uint64_t size = UINT64_C(4) << 30, runs = 5;

/* Which share of the pages, in pages per page: none, 1 %, 10 %. */
static const uint64_t every[] = { 0, 100, 10 };

/* As the kernel has it (linux/fs.h, from 6.7 on). */
struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, all, any, want;
};

struct scan_region {
    uint64_t start, end, categories;
};

#define SCAN         _IOWR('f', 16, struct scan_arg)
#define SCAN_PROTECT 3 /* protect what matches, which must be watched */

struct scene {
    struct mapping memory;
    struct ram_map map;
    const struct ram_block *block;
    int pagemap;
    struct scan_region *regions; /* one for each page: room for any answer */
    uint64_t step;               /* one page in so many; 0: none */
};

static uint64_t expected(const struct scene *scene)
{
    return scene->step ? (scene->block->pages + scene->step - 1) / scene->step : 0;
}

static void touch(const struct scene *scene)
{
    for (uint64_t page = 0; scene->step && page < scene->block->pages; page += scene->step)
        ((volatile uint8_t *)scene->block->host)[page * FERRY_PAGE_BYTES]++;
}

static int check(const struct scene *scene, const char *what, uint64_t found, struct ferry_error *err)
{
    if (found == expected(scene))
        return 0;
    return ferry_error_set(err, -EIO, "%s: %" PRIu64 " pages were found, not %" PRIu64, what, found, expected(scene));
}

/* ---- what the kernel takes -------------------------------------------------------------------------------------- */

/* One call for the whole block.  Returns how many ranges, or a negative errno. */
static int bare_scan(const struct scene *scene, const struct pagemap_query *query, struct ferry_error *err)
{
    struct scan_arg arg = {
        .size = sizeof(arg),
        .flags = query->write_protect ? SCAN_PROTECT : 0,
        .start = (uintptr_t)scene->block->host,
        .end = (uintptr_t)scene->block->host + scene->block->info.length,
        .vec = (uintptr_t)scene->regions,
        .vec_len = scene->block->pages,
        .all = query->all,
        .any = query->any,
        .want = query->want,
    };
    int count = ioctl(scene->pagemap, SCAN, &arg);

    return count < 0 ? ferry_error_set(err, -errno, "PAGEMAP_SCAN: %s", strerror(errno)) : count;
}

static const struct pagemap_query present = { .any = PAGEMAP_PRESENT | PAGEMAP_SWAPPED, .want = PAGEMAP_ZERO };

static int bare_look(const struct scene *scene, bool read, double *ns, struct ferry_error *err)
{
    int64_t began = clock_now_ns();
    int count = bare_scan(scene, &present, err);
    volatile uint8_t sink;
    uint64_t pages = 0;

    for (int i = 0; i < count; i++)
        pages += (scene->regions[i].end - scene->regions[i].start) / FERRY_PAGE_BYTES;
    for (int i = 0; read && i < count; i++)
        for (uint64_t at = scene->regions[i].start; at < scene->regions[i].end; at += FERRY_PAGE_BYTES)
            sink = *(volatile uint8_t *)(uintptr_t)at;
    (void)sink;
    *ns = (double)(clock_now_ns() - began);
    return count < 0 ? count : check(scene, "PAGEMAP_SCAN", pages, err);
}

/* Watches, writes, and asks once: as a tracker does. */
static int bare_dirty(const struct scene *scene, double *ns, struct ferry_error *err)
{
    const struct pagemap_query query = {
        .all = PAGEMAP_WRITTEN, .any = PAGEMAP_PRESENT | PAGEMAP_SWAPPED, .want = PAGEMAP_ZERO, .write_protect = true
    };
    int uffd = userfault_open(
        USERFAULT_USER_ONLY, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC, err);
    int ret = uffd;

    if (ret >= 0)
        ret = userfault_register(uffd, &scene->block->info, UFFDIO_REGISTER_MODE_WP,
                                 UINT64_C(1) << _UFFDIO_WRITEPROTECT, err);
    if (ret >= 0)
        ret = bare_scan(scene, &query, err);
    if (ret >= 0) {
        int64_t began;

        touch(scene);
        began = clock_now_ns();
        ret = bare_scan(scene, &query, err);
        *ns = (double)(clock_now_ns() - began);
    }
    if (uffd >= 0)
        close(uffd);
    return ret < 0 ? ret : check(scene, "PAGEMAP_SCAN", (uint64_t)ret, err);
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

static int our_populated(const struct scene *scene, double *ns, struct ferry_error *err)
{
    struct dirty_map map;
    int64_t began;
    int ret = dirty_init(&map, scene->block->pages);

    if (ret < 0)
        return ret;
    began = clock_now_ns();
    ret = populated_scan(scene->block, &map, err);
    *ns = (double)(clock_now_ns() - began);
    if (ret == 0)
        ret = check(scene, "populated_scan", map.count, err);
    dirty_clear_memory(&map);
    return ret;
}

/* The first round, from the list of what was touched to the last page handed out. */
static int our_walk(const struct scene *scene, bool runs_of_zeros, double *ns, struct ferry_error *err)
{
    struct page_batch batch = { .limit = BATCH_PAGES };
    uint64_t first, count, pages = 0, normal = 0;
    const struct ram_block *block;
    struct page_walk walk;
    int64_t began = clock_now_ns();
    int ret = walk_init(&walk, &scene->map, err);

    if (ret == 0)
        ret = walk_look_untouched(&walk, err);
    while (ret == 0 && runs_of_zeros && walk_take_untouched(&walk, &block, &first, &count))
        pages += count;
    while (ret == 0 && walk_take(&walk, NULL, &batch)) {
        pages += batch.count;
        normal += batch.normal;
    }
    *ns = (double)(clock_now_ns() - began);
    walk_clear(&walk);
    if (ret == 0 && pages != scene->block->pages)
        ret = ferry_error_set(err, -EIO, "%" PRIu64 " pages were handed out, not all", pages);
    return ret == 0 ? check(scene, "walk", normal, err) : ret;
}

/* A bitmap that is empty, as after a round. */
static int our_dirty(const struct scene *scene, double *ns, struct ferry_error *err)
{
    struct tracker tracker = { 0 };
    struct tracker_set *set = NULL;
    struct dirty_map map = { 0 };
    uint64_t changed = 0;
    int64_t began;
    int ret = tracker_uffd_async_new(&tracker, err);

    if (ret == 0) {
        set = tracker_set_new(&scene->map, &tracker, 1, err);
        ret = set ? dirty_init(&map, scene->block->pages) : -EIO;
    }
    if (ret == 0) {
        touch(scene);
        began = clock_now_ns();
        ret = tracker_set_sync(set, scene->block, &map, &changed, err);
        *ns = (double)(clock_now_ns() - began);
    }
    tracker_set_free(set);
    if (tracker.ops)
        tracker_uffd_async_free(&tracker);
    dirty_clear_memory(&map);
    return ret == 0 ? check(scene, "tracker", changed, err) : ret;
}

/* ---- together ---------------------------------------------------------------------------------------------------- */

enum question {
    POPULATED,
    WALK_RUNS,
    WALK_PAGES,
    DIRTY,
    QUESTIONS,
};

static const char *const names[QUESTIONS] = { "populated", "walk-runs", "walk-pages", "tracker" };

static int once(const struct scene *scene, enum question question, struct pairs *pairs, struct ferry_error *err)
{
    double ours = 0, limit = 0;
    int ret;

    if (question == POPULATED)
        ret = our_populated(scene, &ours, err);
    else if (question == DIRTY)
        ret = our_dirty(scene, &ours, err);
    else
        ret = our_walk(scene, question == WALK_RUNS, &ours, err);
    if (ret == 0 && question == DIRTY)
        ret = bare_dirty(scene, &limit, err);
    else if (ret == 0)
        ret = bare_look(scene, question != POPULATED, &limit, err);
    pairs_add(pairs, ours, limit);
    return ret;
}

static int ask(const struct scene *scene, enum question question, json_t *results, struct ferry_error *err)
{
    struct pairs pairs = { 0 };
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        int ret = once(scene, question, &pairs, err);

        if (ret < 0)
            return ret;
    }
    row = pairs_json(&pairs, "ns");
    json_object_set_new(row, "question", json_string(names[question]));
    json_object_set_new(row, "pages", json_integer((json_int_t)expected(scene)));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

/* Fresh memory of which one page in @step is touched, all others never. */
static int ask_all(json_t *results, uint64_t step, struct ferry_error *err)
{
    struct ferry_block info = { .name = "scan.ram", .page_size = FERRY_PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE };
    struct scene scene = { .step = step, .pagemap = -1 };
    int ret = mapping_map(&scene.memory, size, MAPPING_LAZY, err);

    ram_map_init(&scene.map);
    info.host = scene.memory.host;
    info.length = size;
    if (ret == 0)
        ret = ram_map_add(&scene.map, &info, err);
    if (ret == 0)
        ret = scene.pagemap = pagemap_open(err);
    if (ret >= 0) {
        scene.block = scene.map.blocks[0];
        scene.regions = calloc(scene.block->pages, sizeof(*scene.regions));
        ret = scene.regions ? 0 : -ENOMEM;
        touch(&scene);
    }
    for (unsigned i = 0; ret == 0 && i < QUESTIONS; i++)
        ret = ask(&scene, i, results, err);
    free(scene.regions);
    if (scene.pagemap >= 0)
        close(scene.pagemap);
    ram_map_clear(&scene.map);
    mapping_unmap(&scene.memory);
    return ret;
}

static int run(json_t *results, struct ferry_error *err)
{
    int ret = 0;

    size -= size % FERRY_PAGE_BYTES;
    for (unsigned i = 0; ret == 0 && i < sizeof(every) / sizeof(every[0]); i++)
        ret = ask_all(results, every[i], err);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, FERRY_PAGE_BYTES, UINT64_C(1) << 40, "memory that is looked through" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure scan = {
    .name = "scan",
    .about = "How long does it take to find the pages that are to be sent, where none, 1 % and 10 %\n"
             "(`pages`, each by itself) were touched? `ns` for all of the memory:\n"
             "  populated   which pages were ever touched; `limit`: one PAGEMAP_SCAN\n"
             "  walk-runs   hand out all pages, untouched ones as runs (page channels)\n"
             "  walk-pages  hand out all pages one by one (one connection); `limit` of both: one\n"
             "              PAGEMAP_SCAN, and a look at each page that was touched\n"
             "  tracker     which pages were written since; `limit`: one PAGEMAP_SCAN that protects\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&scan, argc, argv);
}
