/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_poison_test.c - what never came is never read: who touches it gets SIGBUS, and who waited for it, too */
#include "postcopy_fixture.h"

#include "userfault.h"
#include "userfault_place.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static enum memory_kind kind;

static __thread sigjmp_buf back;

static void on_bus(int signum)
{
    siglongjmp(back, signum);
}

/* May the page be read? */
static bool readable(const uint8_t *at)
{
    if (sigsetjmp(back, 1))
        return false;
    (void)*(const volatile uint8_t *)at;
    return true;
}

struct toucher {
    pthread_t thread;
    const uint8_t *at;
    bool was_readable;
};

static void *touch(void *opaque)
{
    struct toucher *toucher = opaque;

    toucher->was_readable = readable(toucher->at);
    return NULL;
}

static void missing_pages_are_poisoned(void **state)
{
    static struct postcopy_scene scene;
    static struct postcopy_figures figures;
    struct sigaction action = { .sa_handler = on_bus };
    struct toucher toucher = { 0 };
    struct placer *placer;
    uint64_t host;

    sigaction(SIGBUS, &action, NULL); /* until the test ends, when cmocka puts its own back */
    postcopy_scene_open(&scene, kind, 6 * (kind >= MEMORY_HUGE ? 512 : 1));
    host = scene.host_pages;
    page_write(scene_page(&scene, 5 * host), 5 * host, 1);
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, host, 3 * host, NULL), 0);
    assert_int_equal(postcopy_ram_listen(scene.ram, NULL), 0);
    placer = postcopy_ram_placer(scene.ram, NULL);
    assert_int_equal(page_arrives(&scene, placer, 2 * host, host, 2, NULL), 0);
    placer_free(placer);
    toucher.at = scene_page(&scene, host);
    toucher.was_readable = true;
    assert_int_equal(pthread_create(&toucher.thread, NULL, touch, &toucher), 0);
    do {
        usleep(200);
        postcopy_ram_figures(scene.ram, &figures);
    } while (figures.blocked == 0);

    postcopy_ram_free(scene.ram);
    scene.ram = NULL;
    pthread_join(toucher.thread, NULL);
    assert_false(toucher.was_readable);
    assert_false(readable(scene_page(&scene, host)));
    assert_false(readable(scene_page(&scene, 3 * host)));
    assert_true(page_is(scene_page(&scene, 2 * host), 2 * host, 2));
    assert_true(page_is(scene_page(&scene, 5 * host), 5 * host, 1));
    assert_true(page_is(scene_page(&scene, 0), 0, 0));
    assert_true(page_is(scene_page(&scene, 4 * host), 4 * host, 0));
    postcopy_scene_close(&scene);
}

/* Linux 6.6 */
static bool can_poison(void)
{
    void *page = mmap(NULL, FERRY_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct ferry_block block = { .name = "page", .host = page, .length = FERRY_PAGE_BYTES };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    int ret = userfault_register(fd, &block, UFFDIO_REGISTER_MODE_MISSING, UINT64_C(1) << _UFFDIO_POISON, NULL);

    close(fd);
    munmap(page, FERRY_PAGE_BYTES);
    return ret == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(missing_pages_are_poisoned) };
    int failed = 0;

    if (postcopy_can(MEMORY_PRIVATE))
        return 77;
    if (!can_poison()) {
        printf("SKIP: needs uffd-poison: this kernel cannot poison pages (Linux 6.6)\n");
        return 77;
    }
    for (kind = MEMORY_PRIVATE; kind < MEMORY_KINDS; kind++) {
        if (kind == MEMORY_HUGE && postcopy_can(kind))
            break;
        failed += cmocka_run_group_tests_name(memory_kind_names[kind], tests, NULL, NULL);
    }
    return failed;
}
