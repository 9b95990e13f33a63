/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy.c - how fast do pages reach a guest that runs already, and how long does it wait for one that it touches?
 *
 *      install    placer: prepare, commit                    | the same UFFDIO_COPY calls and nothing else
 *      fresh      placer                                     | memcpy() to memory that was never touched
 *      fault      touch -> fault thread -> another thread    | touch -> one thread that reads the fault and
 *                 -> placer -> goes on                       |          answers with UFFDIO_COPY -> goes on
 *
 * The other thread takes the place of the network and the source: it has the page already.  With load, a third thread
 * installs other pages meanwhile, 512 KiB at a time.  Times of faults are taken by the thread that touches.
 */
#include "latency.h"
#include "measure.h"
#include "postcopy_ram.h"
#include "userfault.h"
#include "userfault_place.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t size = UINT64_C(256) << 20, runs = 5, touches = 2000;
static const char *questions;

#define BACKGROUND_PAGES 128
#define HUGE_2M          (UINT64_C(2) << 20)
#define HUGE_1G          (UINT64_C(1) << 30)

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

struct scene {
    struct ram_map map;
    struct ram_block *block;
    uint64_t page_bytes;
    struct postcopy_ram *ram;
    /* What was asked for, for the thread that answers. */
    sem_t asked;
    _Atomic(uint64_t) page;
    atomic_bool end;
    atomic_bool loaded;
};

static int request(void *opaque, const struct ram_block *block, uint64_t page, uint64_t count)
{
    struct scene *scene = opaque;

    atomic_store(&scene->page, page);
    sem_post(&scene->asked);
    return 0;
}

static const struct postcopy_ram_ops ops = { .request = request };

static int scene_open(struct scene *scene, uint64_t bytes, uint64_t page_bytes, struct ferry_error *err)
{
    struct ferry_block info = { .name = "ram", .length = bytes, .page_size = (uint32_t)page_bytes };
    unsigned flags = 0;
    uint8_t *all;

    if (page_bytes > FERRY_PAGE_BYTES)
        flags = MAP_HUGETLB | (unsigned)__builtin_ctzll(page_bytes) << MAP_HUGE_SHIFT;
    memset(scene, 0, sizeof(*scene));
    all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (int)flags, -1, 0);
    if (all == MAP_FAILED)
        return ferry_error_set(err, -errno, "no memory with pages of %llu bytes: %s", (unsigned long long)page_bytes,
                               strerror(errno));
    if (flags == 0)
        madvise(all, bytes, MADV_NOHUGEPAGE);
    info.host = all;
    scene->page_bytes = page_bytes;
    sem_init(&scene->asked, 0, 0);
    ram_map_init(&scene->map);
    (void)ram_map_add(&scene->map, &info, NULL);
    scene->block = scene->map.blocks[0];
    return 0;
}

static void scene_close(struct scene *scene)
{
    munmap(scene->block->host, scene->block->info.length);
    ram_map_clear(&scene->map);
    sem_destroy(&scene->asked);
}

/* Warm, then all of it missing. */
static int scene_listen(struct scene *scene, struct ferry_error *err)
{
    int ret;

    memset(scene->block->host, 1, scene->block->info.length);
    atomic_store(&scene->end, false);
    atomic_store(&scene->loaded, false);
    scene->ram = postcopy_ram_new(&scene->map, &ops, scene, -1, err);
    if (!scene->ram)
        return -ENOTSUP;
    ret = postcopy_ram_discard(scene->ram, scene->block, 0, scene->block->pages, err);
    return ret < 0 ? ret : postcopy_ram_listen(scene->ram, err);
}

/* Warm, then registered with a descriptor of our own. */
static int bare_open(struct scene *scene, struct ferry_error *err)
{
    struct ferry_block *info = &scene->block->info;
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, err);

    memset(info->host, 1, info->length);
    madvise(info->host, info->length, MADV_DONTNEED);
    return fd < 0 ? fd : userfault_register(fd, info, UFFDIO_REGISTER_MODE_MISSING, 0, err) < 0 ? -EINVAL : fd;
}

/* ---- installing ---------------------------------------------------------------------------------------------------
 */

struct installer {
    pthread_t thread;
    struct scene *scene;
    int fd;     /* bare: -1 through a placer */
    bool fresh; /* memcpy() to untouched memory */
    uint64_t first, pages, run;
    int ret;
};

static void install_ours(struct installer *installer)
{
    struct placer *placer = postcopy_ram_placer(installer->scene->ram, NULL);
    const struct ram_block *block = installer->scene->block;
    uint64_t end = installer->first + installer->pages, got;

    installer->ret = placer ? 0 : -ENOMEM;
    for (uint64_t page = installer->first; installer->ret == 0 && page < end; page += installer->run) {
        placer->ops->prepare(placer, block, page, installer->run, &got);
        installer->ret = placer->ops->commit(placer, block, page, installer->run, NULL);
    }
    placer_free(placer);
}

static void *install(void *opaque)
{
    struct installer *installer = opaque;
    uint64_t bytes = installer->run << FERRY_PAGE_SHIFT, done;
    uint8_t *to = installer->scene->block->host + (installer->first << FERRY_PAGE_SHIFT);
    uint8_t *end = to + (installer->pages << FERRY_PAGE_SHIFT), *from;

    if (installer->fd < 0 && !installer->fresh) {
        install_ours(installer);
        return NULL;
    }
    from = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    for (installer->ret = 0; installer->ret == 0 && to < end; to += bytes) {
        if (installer->fresh)
            memcpy(to, from, bytes);
        else
            installer->ret = userfault_copy(installer->fd, (uintptr_t)to, from, bytes, &done);
    }
    munmap(from, bytes);
    return NULL;
}

/* @threads of them, each its part.  Returns bytes per second, or 0. */
static double time_install(struct scene *scene, int fd, bool fresh, uint64_t run, unsigned threads)
{
    struct installer installer[2];
    uint64_t each = scene->block->pages / threads;
    int64_t began = clock_now_ns();
    int ret = 0;

    for (unsigned i = 0; i < threads; i++) {
        installer[i] = (struct installer){
            .scene = scene, .fd = fd, .fresh = fresh, .first = i * each, .pages = each, .run = run
        };
        if (pthread_create(&installer[i].thread, NULL, install, &installer[i]))
            abort();
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(installer[i].thread, NULL);
        ret |= installer[i].ret;
    }
    return ret ? 0 : measure_rate(size, clock_now_ns() - began);
}

static int install_once(struct scene *scene, uint64_t run, unsigned threads, struct pairs *bare, struct pairs *fresh,
                        struct ferry_error *err)
{
    double ours, limit;
    int ret = scene_listen(scene, err), fd;

    if (ret < 0)
        return ret;
    ours = time_install(scene, -1, false, run, threads);
    ret = postcopy_ram_finish(scene->ram, err);
    postcopy_ram_free(scene->ram);
    fd = ret < 0 ? ret : bare_open(scene, err);
    if (fd < 0)
        return fd;
    limit = time_install(scene, fd, false, run, threads);
    close(fd);
    pairs_add(bare, ours, limit);
    madvise(scene->block->host, size, MADV_DONTNEED);
    pairs_add(fresh, ours, time_install(scene, -1, true, run, threads));
    return 0;
}

static int measure_install(json_t *results, uint64_t run, unsigned threads, struct ferry_error *err)
{
    struct pairs bare = { 0 }, fresh = { 0 };
    struct scene scene;
    int ret = scene_open(&scene, size, FERRY_PAGE_BYTES, err);

    for (uint64_t i = 0; ret == 0 && i < runs; i++)
        ret = install_once(&scene, run, threads, &bare, &fresh, err);
    for (unsigned i = 0; ret == 0 && i < 2; i++) {
        json_t *row = pairs_json(i ? &fresh : &bare, "rate");

        json_object_set_new(row, "question", json_string(i ? "fresh" : "install"));
        json_object_set_new(row, "run_bytes", json_integer((json_int_t)(run << FERRY_PAGE_SHIFT)));
        json_object_set_new(row, "threads", json_integer(threads));
        json_array_append_new(results, row);
    }
    scene_close(&scene);
    return ret;
}

/* ---- faults -------------------------------------------------------------------------------------------------------
 */

/* The source and the network. */
static void *answer(void *opaque)
{
    struct scene *scene = opaque;
    struct placer *placer = postcopy_ram_placer(scene->ram, NULL);
    uint64_t host_pages = scene->page_bytes >> FERRY_PAGE_SHIFT;
    static uint8_t source[HUGE_2M];

    while (placer && sem_wait(&scene->asked) == 0 && !atomic_load(&scene->end)) {
        uint64_t page = atomic_load(&scene->page), left = host_pages;

        while (left > 0) {
            uint64_t got, now = left < BACKGROUND_PAGES ? left : BACKGROUND_PAGES;
            uint8_t *to = placer->ops->prepare(placer, scene->block, page, now, &got);

            memcpy(to, source, got << FERRY_PAGE_SHIFT);
            placer->ops->commit(placer, scene->block, page, got, NULL);
            page += got;
            left -= got;
        }
    }
    placer_free(placer);
    return NULL;
}

static void *answer_bare(void *opaque)
{
    struct installer *installer = opaque;
    struct scene *scene = installer->scene;
    struct pollfd polled = { .fd = installer->fd, .events = POLLIN };
    uint8_t *from = mmap(NULL, scene->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffd_msg message;
    uint64_t done;

    while (!atomic_load(&scene->end)) {
        if (poll(&polled, 1, 10) > 0 && read(installer->fd, &message, sizeof(message)) == sizeof(message))
            userfault_copy(installer->fd, message.arg.pagefault.address & ~(scene->page_bytes - 1), from,
                           scene->page_bytes, &done);
    }
    munmap(from, scene->page_bytes);
    return NULL;
}

/* Installs the upper half. */
static void *load(void *opaque)
{
    struct installer *installer = opaque;

    install_ours(installer);
    atomic_store(&installer->scene->loaded, true);
    return NULL;
}

/* Touch pages from the first on, each once, here and there; as long as the load lasts, where there is one. */
static void touch(struct scene *scene, uint64_t pages, bool loaded, struct latency *latency)
{
    uint64_t step = pages / 2 | 1, page = 0;

    for (uint64_t i = 0; i < pages && i < touches && !(loaded && atomic_load(&scene->loaded)); i++) {
        int64_t began = clock_now_ns();

        (void)*(volatile uint8_t *)(scene->block->host + page * scene->page_bytes);
        latency_add(latency, clock_now_ns() - began);
        page = (page + step) % pages;
    }
}

static int fault_once(struct scene *scene, bool loaded, struct latency *ours, struct latency *bare,
                      struct ferry_error *err)
{
    uint64_t pages = scene->block->info.length / scene->page_bytes, half = loaded ? pages / 2 : pages;
    struct installer loading = { .scene = scene, .fd = -1, .first = half, .pages = half, .run = BACKGROUND_PAGES };
    struct installer answering = { .scene = scene };
    pthread_t thread;
    int ret = scene_listen(scene, err);

    if (ret < 0 || pthread_create(&thread, NULL, answer, scene))
        return ret < 0 ? ret : -EAGAIN;
    if (loaded && pthread_create(&loading.thread, NULL, load, &loading))
        abort();
    touch(scene, half, loaded, ours);
    if (loaded)
        pthread_join(loading.thread, NULL);
    atomic_store(&scene->end, true);
    sem_post(&scene->asked);
    pthread_join(thread, NULL);
    postcopy_ram_free(scene->ram);
    /* What did not come is poisoned. */
    madvise(scene->block->host, scene->block->info.length, MADV_DONTNEED);

    ret = answering.fd = bare_open(scene, err);
    atomic_store(&scene->end, false);
    if (ret < 0 || pthread_create(&thread, NULL, answer_bare, &answering))
        return ret < 0 ? ret : -EAGAIN;
    touch(scene, half, false, bare);
    atomic_store(&scene->end, true);
    pthread_join(thread, NULL);
    close(answering.fd);
    return 0;
}

static void add_latency(json_t *row, const char *name, const struct latency *latency)
{
    struct ferry_latency summary;

    latency_summary(latency, &summary);
    json_object_set_new(row, name,
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)summary.count, "p50",
                                  (json_int_t)summary.p50_ns, "p90", (json_int_t)summary.p90_ns, "p99",
                                  (json_int_t)summary.p99_ns, "max", (json_int_t)summary.max_ns));
}

static int measure_fault(json_t *results, uint64_t page_bytes, uint64_t bytes, bool loaded, struct ferry_error *err)
{
    static struct latency all[2];
    struct pairs pairs = { 0 };
    struct scene scene;
    int ret = scene_open(&scene, bytes, page_bytes, err);
    json_t *row;

    if (ret < 0 && page_bytes > FERRY_PAGE_BYTES)
        return 0; /* no such pages on this machine: no row */
    memset(all, 0, sizeof(all));
    for (uint64_t i = 0; ret == 0 && i < runs; i++) {
        struct latency one = { 0 }, other = { 0 };

        ret = fault_once(&scene, loaded, &one, &other, err);
        pairs_add(&pairs, (double)latency_permille(&one, 500), (double)latency_permille(&other, 500));
        latency_merge(&all[0], &one);
        latency_merge(&all[1], &other);
    }
    if (ret == 0) {
        row = pairs_json(&pairs, "ns");
        json_object_set_new(row, "question", json_string(loaded ? "fault, with load" : "fault"));
        json_object_set_new(row, "page_bytes", json_integer((json_int_t)page_bytes));
        add_latency(row, "ours_ns", &all[0]);
        add_latency(row, "limit_ns", &all[1]);
        json_array_append_new(results, row);
    }
    scene_close(&scene);
    return ret;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static int run(json_t *results, struct ferry_error *err)
{
    static const uint64_t run_pages[] = { 1, 16, 128, 512 };
    bool installs = measure_wanted(questions, "install"), faults = measure_wanted(questions, "fault");
    int ret = 0;

    size -= size % (2 * HUGE_2M);
    for (unsigned threads = 1; installs && threads <= 2; threads++)
        for (size_t i = 0; ret == 0 && i < sizeof(run_pages) / sizeof(run_pages[0]); i++)
            ret = measure_install(results, run_pages[i], threads, err);
    for (unsigned loaded = 0; ret == 0 && faults && loaded < 2; loaded++)
        ret = measure_fault(results, FERRY_PAGE_BYTES, size, loaded > 0, err);
    if (ret == 0 && measure_wanted(questions, "huge"))
        ret = measure_fault(results, HUGE_2M, 16 * HUGE_2M, false, err);
    if (ret == 0 && measure_wanted(questions, "giant"))
        ret = measure_fault(results, HUGE_1G, HUGE_1G, false, err);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, 4 * HUGE_2M, UINT64_C(1) << 36, "memory that follows" },
    { "touches", MEASURE_COUNT, &touches, 1, 1000000, "faults of each run" },
    { "questions", MEASURE_TEXT, &questions, 0, 0, "of install,fault,huge,giant; all" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure postcopy = {
    .name = "postcopy",
    .about = "How fast do pages reach a guest that runs already (`rate`), by the length of the runs in\n"
             "which they come; `limit` is the kernel's call alone, or a copy to fresh memory. And how\n"
             "long does a touch of a missing page take (`ns`, median) when the source answers at once;\n"
             "`limit` is one thread that does nothing else. Huge: of pages of 2 MiB, where the system has 16\n"
             "of them; giant: of one of 1 GiB.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&postcopy, argc, argv);
}
