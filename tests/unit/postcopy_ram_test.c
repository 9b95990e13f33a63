/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_ram_test.c - a guest that runs while its memory comes reads every page as the source had it, once it came */
#include "postcopy_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define OLD 1
#define NEW 2

static enum memory_kind kind; /* of the group that runs */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *seed >> 33;
}

/* ---- everything at once -------------------------------------------------------------------------------------------
 */

/* What each host page is: by its number. */
static unsigned version_of(const struct postcopy_scene *scene, uint64_t page)
{
    uint64_t host_page = page / scene->host_pages;

    return host_page % 4 == 3 ? OLD : host_page % 4 == 1 ? 0 : NEW;
}

/* Of each eight host pages: old ones that stay, ones that nobody ever wrote (zero at both ends), and the rest missing.
 */
static bool is_missing(const struct postcopy_scene *scene, uint64_t page)
{
    uint64_t host_page = page / scene->host_pages;

    return host_page % 4 != 3 && host_page % 8 != 1;
}

struct worker {
    struct postcopy_scene *scene;
    pthread_t thread;
    unsigned number, of;
    uint64_t wrong;
};

static void *touch(void *opaque)
{
    struct worker *worker = opaque;
    struct postcopy_scene *scene = worker->scene;
    uint64_t seed = worker->number + 1, pages = scene->block->pages;

    for (uint64_t i = 0; i < 2 * pages; i++) {
        uint64_t page = i < pages ? next_random(&seed) % pages : i - pages;

        worker->wrong += !page_is(scene_page(scene, page), page, version_of(scene, page));
    }
    return NULL;
}

/* A page channel: its share of the missing pages, in runs, with zero pages among them. */
static void *bring(void *opaque)
{
    struct worker *worker = opaque;
    struct postcopy_scene *scene = worker->scene;
    struct placer *placer = postcopy_ram_placer(scene->ram, NULL);
    uint64_t pages = scene->block->pages, run = scene->host_pages;

    if (!placer)
        return NULL;
    for (uint64_t page = worker->number * run; page < pages; page += worker->of * run) {
        if (is_missing(scene, page) && page_arrives(scene, placer, page, run, version_of(scene, page), NULL) < 0)
            worker->wrong++;
    }
    placer_free(placer);
    return NULL;
}

/* The urgent channel. */
static void *answer(void *opaque)
{
    struct worker *worker = opaque;
    struct postcopy_scene *scene = worker->scene;
    struct placer *placer = postcopy_ram_placer(scene->ram, NULL);
    uint64_t page, count;

    for (unsigned i = 0; placer && requests_wait(scene, i, &page, &count); i++) {
        if (!is_missing(scene, page) || count != scene->host_pages ||
            page_arrives(scene, placer, page, count, version_of(scene, page), NULL) < 0)
            worker->wrong++;
    }
    placer_free(placer);
    return NULL;
}

static void start(struct postcopy_scene *scene, struct worker *worker, unsigned count, void *(*run)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        worker[i] = (struct worker){ .scene = scene, .number = i, .of = count };
        assert_int_equal(pthread_create(&worker[i].thread, NULL, run, &worker[i]), 0);
    }
}

static void join(struct worker *worker, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_join(worker[i].thread, NULL);
        assert_int_equal(worker[i].wrong, 0);
    }
}

static void a_running_guest_finds_every_page(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    struct worker touching[3], bringing[2], answering;
    uint64_t missing = 0;

    postcopy_scene_open(&scene, kind, 4096);
    for (uint64_t page = 0; page < scene.block->pages; page++)
        if (page / scene.host_pages % 8 != 1 || page / scene.host_pages % 4 == 3)
            page_write(scene_page(&scene, page), page, OLD);
    for (uint64_t page = 0; page < scene.block->pages; page += scene.host_pages) {
        if (!is_missing(&scene, page))
            continue;
        assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, page, scene.host_pages, NULL), 0);
        missing += scene.host_pages;
    }
    assert_int_equal(postcopy_ram_missing(scene.ram), missing);
    assert_int_equal(postcopy_ram_listen(scene.ram, NULL), 0);
    start(&scene, &answering, 1, answer);
    start(&scene, touching, 3, touch);
    start(&scene, bringing, 2, bring);
    join(bringing, 2);
    join(touching, 3);
    requests_end(&scene);
    join(&answering, 1);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);

    postcopy_ram_figures(scene.ram, &figures);
    assert_int_equal(figures.missing, 0);
    assert_int_equal(figures.received, missing);
    assert_int_equal(figures.discarded, missing);
    assert_int_equal(figures.copied_bytes + figures.zeroed_bytes, missing * FERRY_PAGE_BYTES);
    assert_true(figures.zeroed_bytes > 0);
    assert_int_equal(figures.requested, requests_count(&scene));
    assert_int_equal(figures.blocked, 0);
    assert_true(figures.latency.count >= figures.requested);
    for (uint64_t page = 0; page < scene.block->pages; page++)
        assert_true(page_is(scene_page(&scene, page), page, version_of(&scene, page)));
    postcopy_scene_close(&scene);
}

/* ---- one thing at a time ------------------------------------------------------------------------------------------
 */

/* A listening scene with all of @missing host pages at the start missing and the rest old. */
static struct placer *listening(struct postcopy_scene *scene, uint64_t host_pages, uint64_t missing)
{
    struct placer *placer;

    postcopy_scene_open(scene, kind, host_pages * (kind >= MEMORY_HUGE ? 512 : 1));
    for (uint64_t page = 0; page < scene->block->pages; page++)
        page_write(scene_page(scene, page), page, OLD);
    assert_int_equal(postcopy_ram_discard(scene->ram, scene->block, 0, missing * scene->host_pages, NULL), 0);
    assert_int_equal(postcopy_ram_listen(scene->ram, NULL), 0);
    placer = postcopy_ram_placer(scene->ram, NULL);
    assert_non_null(placer);
    return placer;
}

static void the_kernel_may_touch_missing_pages(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = listening(&scene, 4, 3);
    uint64_t bytes = scene.host_pages * FERRY_PAGE_BYTES;
    struct worker answering;
    static uint8_t copy[FERRY_PAGE_BYTES];
    int file = memfd_create("file", MFD_CLOEXEC);

    placer_free(placer);
    start(&scene, &answering, 1, answer);
    /* is_missing() and version_of() say: the first is new, the second zeros. */
    assert_int_equal(write(file, scene_page(&scene, 0), FERRY_PAGE_BYTES), FERRY_PAGE_BYTES);
    assert_int_equal(pread(file, copy, sizeof(copy), 0), sizeof(copy));
    assert_true(page_is(copy, 0, NEW));
    assert_int_equal(pread(file, scene_page(&scene, 2 * scene.host_pages) + 100, 50, 0), 50);
    assert_memory_equal(scene_page(&scene, 2 * scene.host_pages) + 100, copy, 50);
    assert_true(page_is(scene_page(&scene, 3 * scene.host_pages), 3 * scene.host_pages, OLD));
    assert_int_equal(requests_count(&scene), 2);
    requests_end(&scene);
    join(&answering, 1);
    assert_true(bytes > 0);
    close(file);
    postcopy_scene_close(&scene);
}

static void what_has_come_is_not_overwritten(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    struct placer *placer = listening(&scene, 4, 2);
    struct placer *other = postcopy_ram_placer(scene.ram, NULL);
    uint64_t host = scene.host_pages;

    assert_int_equal(page_arrives(&scene, placer, 0, host, NEW, NULL), 0);
    assert_int_equal(page_arrives(&scene, other, 0, 2 * host, 3, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, 0, 2 * host, 0, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, 0, 2 * host, 4, NULL), 0);
    for (uint64_t page = 0; page < host; page++)
        assert_true(page_is(scene_page(&scene, page), page, NEW));
    for (uint64_t page = host; page < 2 * host; page++)
        assert_true(page_is(scene_page(&scene, page), page, 3));
    postcopy_ram_figures(scene.ram, &figures);
    assert_int_equal(figures.duplicates, 5 * host);
    assert_int_equal(figures.received, 2 * host);
    placer_free(placer);
    placer_free(other);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);
    postcopy_scene_close(&scene);
}

static void untouched_memory_reads_as_zero_at_once(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    uint64_t host;

    postcopy_scene_open(&scene, kind, 4 * (kind >= MEMORY_HUGE ? 512 : 1));
    host = scene.host_pages;
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, 0, host, NULL), 0);
    assert_int_equal(postcopy_ram_listen(scene.ram, NULL), 0);
    assert_true(page_is(scene_page(&scene, 2 * host), 0, 0));
    scene_page(&scene, host)[5] = 7;
    assert_int_equal(scene_page(&scene, host)[5], 7);
    postcopy_ram_figures(scene.ram, &figures);
    assert_int_equal(requests_count(&scene), 0);
    assert_in_range(figures.local, 1, 2);
    assert_int_equal(figures.latency.count, 0);
    postcopy_scene_close(&scene);
}

static void *touch_first(void *opaque)
{
    struct worker *worker = opaque;

    worker->wrong = !page_is(scene_page(worker->scene, 0), 0, NEW);
    return NULL;
}

static void wait_blocked(struct postcopy_scene *scene, unsigned count)
{
    static struct postcopy_figures figures;

    do {
        usleep(200);
        postcopy_ram_figures(scene->ram, &figures);
    } while (figures.blocked != count);
}

static void many_who_wait_ask_once_and_are_counted(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    struct placer *placer = listening(&scene, 2, 1);
    struct worker touching[3];

    start(&scene, touching, 3, touch_first);
    wait_blocked(&scene, 3);
    assert_int_equal(page_arrives(&scene, placer, 0, scene.host_pages, NEW, NULL), 0);
    join(touching, 3);
    postcopy_ram_figures(scene.ram, &figures);
    assert_int_equal(requests_count(&scene), 1);
    assert_int_equal(figures.requested, 1);
    assert_int_equal(figures.repeated, 2);
    assert_int_equal(figures.latency.count, 3);
    assert_int_equal(figures.threads, 3);
    assert_true(figures.all_blocked_ns > 0);
    assert_true(figures.all_blocked_ns <= figures.latency.total_ns);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(figures.thread[i].faults, 1);
        assert_false(figures.thread[i].blocked);
        assert_true(figures.thread[i].blocked_ns > 0);
        assert_true(figures.thread[i].blocked_ns <= figures.latency.max_ns);
    }
    placer_free(placer);
    postcopy_scene_close(&scene);
}

static void what_could_not_be_asked_is_asked_again(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    struct placer *placer = listening(&scene, 2, 1);
    struct worker touching;

    requests_refuse(&scene, -EPIPE);
    start(&scene, &touching, 1, touch_first);
    wait_blocked(&scene, 1);
    do {
        usleep(200);
        postcopy_ram_figures(scene.ram, &figures);
    } while (figures.unasked == 0);
    assert_int_equal(postcopy_ram_ask_again(scene.ram), -EPIPE);
    requests_refuse(&scene, 0);
    assert_int_equal(postcopy_ram_ask_again(scene.ram), 1);
    assert_int_equal(requests_count(&scene), 1);
    assert_int_equal(page_arrives(&scene, placer, 0, scene.host_pages, NEW, NULL), 0);
    join(&touching, 1);
    placer_free(placer);
    postcopy_scene_close(&scene);
}

static void received_pages_can_be_told(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = listening(&scene, 4, 2);
    const _Atomic(uint64_t) *received = postcopy_ram_received(scene.ram, scene.block);
    uint64_t host = scene.host_pages;

    assert_int_equal(atomic_load(&received[0]) & 1, 0);
    assert_int_equal(atomic_load(&received[(2 * host) / 64]) >> (2 * host) % 64 & 1, 1);
    assert_true(placer_untouched(placer, scene.block, 0));
    assert_false(placer_untouched(placer, scene.block, 2 * host));
    assert_int_equal(page_arrives(&scene, placer, 0, host, NEW, NULL), 0);
    assert_int_equal(atomic_load(&received[0]) & 1, 1);
    assert_int_equal(atomic_load(&received[host / 64]) >> host % 64 & 1, 0);
    assert_false(placer_untouched(placer, scene.block, 0));
    placer_free(placer);
    postcopy_scene_close(&scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_guest_finds_every_page),
        cmocka_unit_test(the_kernel_may_touch_missing_pages),
        cmocka_unit_test(what_has_come_is_not_overwritten),
        cmocka_unit_test(untouched_memory_reads_as_zero_at_once),
        cmocka_unit_test(many_who_wait_ask_once_and_are_counted),
        cmocka_unit_test(what_could_not_be_asked_is_asked_again),
        cmocka_unit_test(received_pages_can_be_told),
    };

    while (argc > 1 && kind < MEMORY_KINDS && strcmp(argv[1], memory_kind_names[kind]) != 0)
        kind++;
    if (kind == MEMORY_KINDS || postcopy_can(kind))
        return kind == MEMORY_KINDS ? 1 : 77;
    return cmocka_run_group_tests_name(memory_kind_names[kind], tests, NULL, NULL);
}
