/* SPDX-License-Identifier: BSD-3-Clause */
/* page_urgent_test.c - what is asked for arrives on the urgent channel, as packets and as records, while others send */
#include "page_receivers.h"
#include "page_urgent.h"
#include "records_receiver.h"
#include "staged_placer.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE   ((uint64_t)FERRY_PAGE_BYTES)
#define HUGE   (512 * PAGE)
#define BLOCKS 2 /* of small pages, and of huge ones */
#define BYTES  (8 * HUGE)

struct scene {
    struct ram_map from, to;
    uint8_t *at[2][BLOCKS];
    struct staged staged;
    struct page_walk walk;
    struct page_requests *requests;
    struct ferry_channel *pair[2];
    struct page_urgent *urgent;
    struct ram_loader main; /* knows the blocks */
    struct records_receiver *records;
    struct page_receivers *receivers;
    atomic_uint failures, sent;
};

static void make_map(struct ram_map *map, uint8_t *at[BLOCKS], bool filled)
{
    uint64_t x = 88172645463325252u;

    ram_map_init(map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct ferry_block info = {
            .name = i ? "huge" : "small",
            .host = aligned_alloc(HUGE, BYTES),
            .length = BYTES,
            .page_size = i ? HUGE : FERRY_PAGE_BYTES,
        };

        assert_non_null(info.host);
        memset(info.host, 0, BYTES);
        for (uint64_t *word = info.host; filled && word < (uint64_t *)info.host + BYTES / 8; word++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            *word = (uint64_t)((uint8_t *)word - (uint8_t *)info.host) / PAGE % 7 == 3 ? 0 : x;
        }
        at[i] = info.host;
        assert_int_equal(ram_map_add(map, &info, NULL), 0);
    }
}

static void note_failure(void *opaque)
{
    struct scene *scene = opaque;

    atomic_fetch_add(&scene->failures, 1);
}

static int discard(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count)
{
    struct scene *scene = opaque;

    staged_discard(&scene->staged, scene->to.blocks[block->index], first, count);
    return 0;
}

static void scene_make(struct scene *scene, unsigned prefetch)
{
    memset(scene, 0, sizeof(*scene));
    make_map(&scene->from, scene->at[0], true);
    make_map(&scene->to, scene->at[1], false);
    staged_make(&scene->staged, &scene->to);
    assert_int_equal(walk_init(&scene->walk, &scene->from, NULL), 0);
    walk_begin_postcopy(&scene->walk);
    assert_int_equal(walk_each_dirty_run(&scene->walk, discard, scene), 0);
    scene->requests = page_requests_new(&scene->walk, prefetch, NULL);
    assert_non_null(scene->requests);
    assert_int_equal(ferry_channel_pair(scene->pair, NULL), 0);
}

static void scene_start(struct scene *scene, const struct page_urgent_terms *terms)
{
    struct placer *view = &scene->staged.view[0].base;
    struct ferry_error err = { 0 };

    if (terms->format) {
        const struct page_terms page_terms = { .format = terms->format, .batch_pages = terms->batch_pages };
        const struct page_receivers_events events = { note_failure, scene };

        scene->receivers =
            page_receivers_new_postcopy(&scene->to, &view, &scene->pair[1], 1, &page_terms, &events, &err);
    } else {
        const struct records_receiver_events events = { note_failure, scene };

        scene->main.blocks = scene->to.blocks;
        scene->main.count = scene->to.count;
        scene->records = records_receiver_new(&scene->main, view, scene->pair[1], &events, &err);
    }
    scene->urgent = page_urgent_new(scene->requests, scene->pair[0], terms, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
}

static void scene_clear(struct scene *scene)
{
    page_urgent_free(scene->urgent);
    page_receivers_free(scene->receivers);
    records_receiver_free(scene->records);
    for (unsigned i = 0; i < 2; i++)
        ferry_channel_unref(scene->pair[i]);
    page_requests_free(scene->requests);
    walk_clear(&scene->walk);
    staged_clear(&scene->staged);
    ram_map_clear(&scene->from);
    ram_map_clear(&scene->to);
    for (unsigned i = 0; i < 2 * BLOCKS; i++)
        free(scene->at[i / BLOCKS][i % BLOCKS]);
}

static void push(struct scene *scene, unsigned block, uint64_t page)
{
    const struct ram_block *of = scene->from.blocks[block];
    uint64_t bytes = of->info.page_size;

    assert_int_equal(page_requests_push(scene->requests, of, page * PAGE / bytes * bytes, bytes, NULL), 0);
}

/* As page channels do, but without a wire. */
static void *background(void *opaque)
{
    struct scene *scene = opaque;
    struct placer *placer = &scene->staged.view[1 + atomic_fetch_add(&scene->sent, 1)].base;
    struct walk_claim claim = { 0 };
    struct page_batch batch;

    batch.limit = BATCH_PAGES;
    while (walk_take(&scene->walk, &claim, &batch)) {
        const struct ram_block *to = scene->to.blocks[batch.block->index];
        bool failed = false;

        for (unsigned i = 0; i < batch.count; i++) {
            uint64_t got;

            memcpy(placer->ops->prepare(placer, to, batch.pages[i], 1, &got), batch.block->host + batch.pages[i] * PAGE,
                   PAGE);
            failed |= placer->ops->commit(placer, to, batch.pages[i], 1, NULL) < 0;
        }
        if (failed)
            note_failure(scene);
    }
    return NULL;
}

static void assert_all_arrived(const struct scene *scene)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_memory_equal(scene->at[0][i], scene->at[1][i], BYTES);
}

static void *request_many(void *opaque)
{
    struct scene *scene = opaque;
    uint64_t x = 1234567891234567u;

    for (unsigned i = 0; i < 2000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        push(scene, x % 16 == 0, x / 16 % (BYTES / PAGE));
    }
    return NULL;
}

static int finish_receiving(struct scene *scene, bool await_end, struct ferry_error *err)
{
    return scene->receivers ? page_receivers_finish(scene->receivers, err)
                            : records_receiver_finish(scene->records, await_end, err);
}

static void cross(const struct page_urgent_terms *terms, unsigned prefetch)
{
    struct page_figures out, in;
    struct ferry_error err = { 0 };
    struct scene scene;
    pthread_t threads[3];

    scene_make(&scene, prefetch);
    scene_start(&scene, terms);
    push(&scene, 0, 77);
    staged_await(&scene.staged, 1);
    assert_memory_equal(scene.at[1][0] + 77 * PAGE, scene.at[0][0] + 77 * PAGE, PAGE);
    push(&scene, 1, 700);
    staged_await(&scene.staged, 1 + 512);
    if (prefetch == 0) /* else some of these are neighbours of the first */
        assert_memory_equal(scene.at[1][1] + HUGE, scene.at[0][1] + HUGE, HUGE);

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i ? background : request_many, &scene), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(page_urgent_finish(scene.urgent, &err), 0);
    assert_int_equal(finish_receiving(&scene, true, &err), 0);
    assert_int_equal(atomic_load(&scene.failures), 0);
    staged_assert_once(&scene.staged);
    assert_all_arrived(&scene);

    page_urgent_figures(scene.urgent, &out);
    assert_true(out.content_pages > 0 && out.zero_pages > 0);
    if (scene.receivers)
        page_receivers_figures(scene.receivers, 0, &in);
    else
        records_receiver_figures(scene.records, &in);
    assert_int_equal(in.bytes, out.bytes);
    assert_int_equal(in.content_pages, out.content_pages);
    assert_int_equal(in.zero_pages, out.zero_pages);
    scene_clear(&scene);
}

static void packets_carry_what_is_asked_for(void **state)
{
    struct page_urgent_terms terms = { .format = &packet_v2, .batch_pages = BATCH_PAGES, .round = 7 };

    cross(&terms, 0);
    terms.batch_pages = BATCH_PAGES_MAX;
    terms.sums = true;
    cross(&terms, 64);
}

static void records_carry_what_is_asked_for(void **state)
{
    struct page_urgent_terms terms = { .end_with_eos = true };

    cross(&terms, 0);
    terms.end_with_eos = false;
    cross(&terms, 64);
}

/* It may carry nothing in its whole life. */
static void nothing_need_be_asked_for(void **state)
{
    struct page_urgent_terms all[] = { { .format = &packet_v2, .batch_pages = BATCH_PAGES },
                                       { .end_with_eos = true },
                                       { .end_with_eos = false } };

    for (unsigned i = 0; i < 3; i++) {
        struct page_figures figures;
        struct scene scene;

        scene_make(&scene, 64);
        scene_start(&scene, &all[i]);
        assert_int_equal(page_urgent_finish(scene.urgent, NULL), 0);
        assert_int_equal(finish_receiving(&scene, true, NULL), 0);
        page_urgent_figures(scene.urgent, &figures);
        assert_true(i == 2 ? figures.bytes == 0 : figures.bytes > 0);
        scene_clear(&scene);
    }
}

/* A QEMU source closes only when it has heard that all is well. */
static void a_destination_need_not_wait_for_the_end(void **state)
{
    const struct page_urgent_terms terms = { 0 };
    struct scene scene;

    scene_make(&scene, 0);
    scene_start(&scene, &terms);
    push(&scene, 0, 5);
    staged_await(&scene.staged, 1);
    assert_int_equal(records_receiver_finish(scene.records, false, NULL), 0);
    assert_int_equal(atomic_load(&scene.failures), 0);
    scene_clear(&scene);
}

static void a_channel_that_dies_is_told_of(void **state)
{
    struct page_urgent_terms terms = { .format = &packet_v2, .batch_pages = BATCH_PAGES };
    struct ferry_error err = { 0 };
    struct scene scene;

    for (unsigned i = 0; i < 2; i++, terms.format = NULL) {
        scene_make(&scene, 0);
        scene_start(&scene, &terms);
        ferry_channel_shutdown(scene.pair[1], FERRY_READ_WRITE);
        for (unsigned page = 0; page_urgent_status(scene.urgent, &err) == 0; page = (page + 1) % 4096) {
            push(&scene, 0, page);
            sched_yield();
        }
        assert_non_null(strstr(err.text, "urgent channel"));
        assert_true(page_urgent_finish(scene.urgent, &err) < 0);
        scene_clear(&scene);
    }
}

static void pair_over_tcp(int fds[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, bytes), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&at, bytes), 0);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
}

/* The destination has its last word and is gone; bytes that it did not read any more, as a goodbye of TLS, make its
 * system reset the connection. */
static void a_destination_may_hang_up_first(void **state)
{
    const struct page_urgent_terms terms = { .end_with_eos = false };
    const struct linger reset = { 1, 0 };
    struct pollfd gone;
    struct ferry_error err = { 0 };
    struct scene scene;
    int fds[2];

    scene_make(&scene, 0);
    ferry_channel_unref(scene.pair[0]);
    pair_over_tcp(fds);
    scene.pair[0] = ferry_channel_from_fd(fds[0], "tcp:urgent", &err);
    assert_non_null(scene.pair[0]);
    scene.urgent = page_urgent_new(scene.requests, scene.pair[0], &terms, &err);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fds[1]);
    gone = (struct pollfd){ .fd = fds[0] };
    assert_int_equal(poll(&gone, 1, -1), 1);
    assert_int_equal(page_urgent_finish(scene.urgent, &err), 0);
    scene_clear(&scene);
}

static void stopping_wakes_everybody(void **state)
{
    const struct page_urgent_terms terms = { .format = &packet_v2, .batch_pages = BATCH_PAGES };
    struct ferry_error err = { 0 };
    struct scene scene;

    scene_make(&scene, 64);
    scene_start(&scene, &terms);
    page_urgent_stop(scene.urgent);
    assert_int_equal(page_urgent_finish(scene.urgent, &err), -ESHUTDOWN);
    page_receivers_stop(scene.receivers);
    scene_clear(&scene);

    scene_make(&scene, 64);
    scene_start(&scene, &(struct page_urgent_terms){ 0 });
    records_receiver_stop(scene.records);
    assert_int_equal(records_receiver_finish(scene.records, true, &err), -ESHUTDOWN);
    scene_clear(&scene); /* frees an urgent channel that was never finished */
}

static void send_bytes(struct scene *scene, const void *data, size_t bytes)
{
    struct iovec iov = { (void *)(uintptr_t)data, bytes };

    assert_int_equal(ferry_channel_writev_all(scene->pair[0], &iov, 1, NULL), 0);
    assert_int_equal(ferry_channel_finish(scene->pair[0], NULL), 0);
}

static void hostile_records_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } bad[] = {
        { "\0\0\0\0\0\0\x10\x22\0", 9 },               /* continues a block, but none came before */
        { "\0\0\0\0\0\0\x10\x02\5other\0", 15 },       /* a block that is not there */
        { "\0\0\0\0\x7f\0\x10\x02\5small\0", 15 },     /* a page that is not there */
        { "\0\0\0\0\0\0\x10\x02\5small\1", 15 },       /* a zero page filled with ones */
        { "\0\0\0\0\0\0\x10\x40\5small\1\0\1\0", 18 }, /* a delta */
        { "\0\0\0\0\0\0\x10\x04", 8 },                 /* a block list */
        { "\0\0\0\0\0\0\2\0", 8 },                     /* a mark */
        { "\0\0\0\0\0\0\x10\x08\5small1234", 18 },     /* a page that is cut off */
        { "\0\0\0\0", 4 },
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ferry_error err = { 0 };
        struct scene scene;
        struct placer *view;

        scene_make(&scene, 0);
        view = &scene.staged.view[0].base;
        scene.main.blocks = scene.to.blocks;
        scene.main.count = scene.to.count;
        scene.records = records_receiver_new(&scene.main, view, scene.pair[1],
                                             &(struct records_receiver_events){ note_failure, &scene }, NULL);
        send_bytes(&scene, bad[i].bytes, bad[i].count);
        assert_true(records_receiver_finish(scene.records, true, &err) < 0);
        assert_non_null(strstr(err.text, "urgent channel"));
        assert_int_equal(atomic_load(&scene.failures), 1);
        assert_int_equal(atomic_load(&scene.staged.placed), 0);
        scene_clear(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_carry_what_is_asked_for), cmocka_unit_test(records_carry_what_is_asked_for),
        cmocka_unit_test(nothing_need_be_asked_for),       cmocka_unit_test(a_destination_need_not_wait_for_the_end),
        cmocka_unit_test(a_channel_that_dies_is_told_of),  cmocka_unit_test(a_destination_may_hang_up_first),
        cmocka_unit_test(stopping_wakes_everybody),        cmocka_unit_test(hostile_records_are_refused),
    };

    return cmocka_run_group_tests_name("page_urgent", tests, NULL, NULL);
}
