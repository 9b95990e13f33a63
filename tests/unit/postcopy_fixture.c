/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_fixture.c - a guest's memory that follows it: a block of any kind, a source that answers, pages that tell */
#include "postcopy_fixture.h"

#include "userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HUGE_BYTES  (UINT64_C(2) << 20)
#define HUGE_WANTED 12
#define HUGE_FILE   "/proc/sys/vm/nr_hugepages"
#define HUGE_LOCK   "/tmp/ferry-test-hugepages.lock"

const char *const memory_kind_names[MEMORY_KINDS] = { "private", "shared", "private-file", "huge", "huge-shared" };

/* ---- huge pages -------------------------------------------------------------------------------------------------- */

/* Change how many the system keeps; several tests may do so at once. */
static void huge_change(long by)
{
    int fd = open(HUGE_FILE, O_RDWR | O_CLOEXEC);
    char text[32] = "";

    if (fd < 0)
        return;
    flock(fd, LOCK_EX);
    if (pread(fd, text, sizeof(text) - 1, 0) > 0) {
        int bytes = snprintf(text, sizeof(text), "%ld\n", atol(text) + by);

        if (pwrite(fd, text, (size_t)bytes, 0) != bytes)
            fprintf(stderr, "%s: not changed\n", HUGE_FILE);
    }
    close(fd);
}

static void huge_give_back(void)
{
    huge_change(-HUGE_WANTED);
}

static bool huge_can(void)
{
    void *memory =
        mmap(NULL, HUGE_WANTED * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

    if (memory != MAP_FAILED)
        munmap(memory, HUGE_WANTED * HUGE_BYTES);
    return memory != MAP_FAILED;
}

/* One test at a time: the pages that one finds free may be those that another is about to give back.  Until the end of
 * this process, and behind what it does there. */
static void huge_lock(void)
{
    int fd = open(HUGE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    if (fd >= 0)
        flock(fd, LOCK_EX);
}

static bool huge_get(void)
{
    huge_lock();
    if (huge_can())
        return true;
    huge_change(HUGE_WANTED);
    if (huge_can()) {
        atexit(huge_give_back);
        return true;
    }
    huge_change(-HUGE_WANTED);
    return false;
}

int postcopy_can(enum memory_kind kind)
{
    struct ferry_error err = { 0 };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, &err);

    if (fd < 0) {
        printf("SKIP: needs userfaultfd-kernel: %s\n", ferry_error_text(&err));
        return 77;
    }
    close(fd);
    if (kind < MEMORY_HUGE || huge_get())
        return 0;
    printf("SKIP: needs hugepages: %d pages of 2 MiB, and none can be reserved\n", HUGE_WANTED);
    return 77;
}

/* ---- the scene --------------------------------------------------------------------------------------------------- */

static int scene_request(void *opaque, const struct ram_block *block, uint64_t page, uint64_t count)
{
    struct postcopy_scene *scene = opaque;
    struct requests *requests = &scene->requests;
    int ret;

    pthread_mutex_lock(&requests->lock);
    ret = requests->count < REQUESTS_MAX ? requests->refuse : -ENOSPC;
    if (ret == 0) {
        requests->asked[requests->count].block = block;
        requests->asked[requests->count].page = page;
        requests->asked[requests->count++].count = count;
        pthread_cond_broadcast(&requests->more);
    }
    pthread_mutex_unlock(&requests->lock);
    return ret;
}

const struct postcopy_ram_ops postcopy_scene_ops = { .request = scene_request };

static void *scene_map(struct postcopy_scene *scene, enum memory_kind kind, uint64_t bytes)
{
    int flags = kind == MEMORY_SHARED || kind == MEMORY_HUGE_SHARED ? MAP_SHARED : MAP_PRIVATE;
    bool huge = kind >= MEMORY_HUGE;
    uint8_t *all, *host;

    scene->fd = -1;
    if (kind != MEMORY_PRIVATE && kind != MEMORY_HUGE) {
        scene->fd = memfd_create("ram", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0));
        assert_true(scene->fd >= 0);
        assert_int_equal(ftruncate(scene->fd, (off_t)bytes), 0);
    } else {
        flags |= MAP_ANONYMOUS;
    }
    if (huge) {
        host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | (scene->fd < 0 ? MAP_HUGETLB : 0), scene->fd, 0);
        assert_ptr_not_equal(host, MAP_FAILED);
        return host;
    }
    /* With a page at each side that is nobody's, so that mappings do not merge. */
    all = mmap(NULL, bytes + 2 * FERRY_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(all, MAP_FAILED);
    host = mmap(all + FERRY_PAGE_BYTES, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, scene->fd, 0);
    assert_ptr_not_equal(host, MAP_FAILED);
    return host;
}

void postcopy_scene_open(struct postcopy_scene *scene, enum memory_kind kind, uint64_t pages)
{
    struct ferry_block info = { .name = "ram", .page_size = FERRY_PAGE_BYTES };
    struct ferry_error err = { 0 };

    memset(scene, 0, sizeof(*scene));
    if (kind >= MEMORY_HUGE)
        info.page_size = HUGE_BYTES;
    if (kind == MEMORY_PRIVATE || kind == MEMORY_HUGE)
        info.flags = FERRY_BLOCK_PRIVATE;
    scene->host_pages = info.page_size / FERRY_PAGE_BYTES;
    info.length = (pages + scene->host_pages - 1) / scene->host_pages * info.page_size;
    info.host = scene_map(scene, kind, info.length);
    ram_map_init(&scene->map);
    assert_int_equal(ram_map_add(&scene->map, &info, NULL), 0);
    scene->block = scene->map.blocks[0];
    pthread_mutex_init(&scene->requests.lock, NULL);
    pthread_cond_init(&scene->requests.more, NULL);
    scene->ram = postcopy_ram_new(&scene->map, &postcopy_scene_ops, scene, -1, &err);
    if (!scene->ram)
        fail_msg("%s", ferry_error_text(&err));
}

void postcopy_scene_close(struct postcopy_scene *scene)
{
    size_t edge = scene->host_pages == 1 ? FERRY_PAGE_BYTES : 0;

    postcopy_ram_free(scene->ram);
    munmap(scene->block->host - edge, scene->block->info.length + 2 * edge);
    if (scene->fd >= 0)
        close(scene->fd);
    ram_map_clear(&scene->map);
    pthread_cond_destroy(&scene->requests.more);
    pthread_mutex_destroy(&scene->requests.lock);
}

bool requests_wait(struct postcopy_scene *scene, unsigned i, uint64_t *page, uint64_t *count)
{
    struct requests *requests = &scene->requests;
    bool there;

    pthread_mutex_lock(&requests->lock);
    while (i >= requests->count && !requests->ended)
        pthread_cond_wait(&requests->more, &requests->lock);
    there = i < requests->count;
    if (there) {
        *page = requests->asked[i].page;
        *count = requests->asked[i].count;
    }
    pthread_mutex_unlock(&requests->lock);
    return there;
}

void requests_end(struct postcopy_scene *scene)
{
    pthread_mutex_lock(&scene->requests.lock);
    scene->requests.ended = true;
    pthread_cond_broadcast(&scene->requests.more);
    pthread_mutex_unlock(&scene->requests.lock);
}

unsigned requests_count(struct postcopy_scene *scene)
{
    unsigned count;

    pthread_mutex_lock(&scene->requests.lock);
    count = scene->requests.count;
    pthread_mutex_unlock(&scene->requests.lock);
    return count;
}

void requests_refuse(struct postcopy_scene *scene, int refuse)
{
    pthread_mutex_lock(&scene->requests.lock);
    scene->requests.refuse = refuse;
    pthread_mutex_unlock(&scene->requests.lock);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static uint64_t word_of(uint64_t page, unsigned version, unsigned word)
{
    return version ? page << 24 | (uint64_t)version << 16 | word : 0;
}

void page_write(void *to, uint64_t page, unsigned version)
{
    uint64_t *words = to;

    for (unsigned word = 0; word < FERRY_PAGE_BYTES / sizeof(*words); word++)
        words[word] = word_of(page, version, word);
}

bool page_is(const void *at, uint64_t page, unsigned version)
{
    const volatile uint64_t *words = at;

    for (unsigned word = 0; word < FERRY_PAGE_BYTES / sizeof(*words); word++)
        if (words[word] != word_of(page, version, word))
            return false;
    return true;
}

int page_arrives(struct postcopy_scene *scene, struct placer *placer, uint64_t page, uint64_t count, unsigned version,
                 struct ferry_error *err)
{
    uint64_t first = page, left = count;

    if (version == 0)
        return placer->ops->zero(placer, scene->block, page, count, err);
    while (left > 0) {
        uint64_t got;
        uint8_t *to = placer->ops->prepare(placer, scene->block, first, left, &got);

        for (uint64_t i = 0; i < got; i++)
            page_write(to + (i << FERRY_PAGE_SHIFT), first + i, version);
        first += got;
        left -= got;
    }
    return placer->ops->commit(placer, scene->block, page, count, err);
}
