/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_kvm_test.c - KVM's two dirty logs report every page that a vCPU changed, and no page that it only read
 *
 * The machine is as small as can be: a vCPU that takes a range of pages from two ports and adds
 * one to a byte of each, or reads it.  Its memory is one block of two slots, which do not meet at a multiple of 64
 * pages.
 */
#include "bits.h"
#include "tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <ferry/kvm.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES        3000
#define FIRST_SLOT   1003 /* pages */
#define BLOCK_BEFORE 5    /* pages of the mapping before the block */
#define RING_ENTRIES 1024
#define READS        0x80000000u /* in the count: only read */

/* begin: in eax, 0x10 (count); mov ecx, eax; in eax, 0x14 (address); test ecx, ecx; js reads
 * writes: inc byte [rax]; add eax, 4096; dec ecx; jnz writes; jmp begin
 * reads: and ecx, 0x7fffffff; again: mov dl, [rax]; add eax, 4096; dec ecx; jnz again; jmp begin */
static const uint8_t program[] = {
    0xe5, 0x10, 0x89, 0xc1, 0xe5, 0x14, 0x85, 0xc9, 0x78, 0x0d, 0xfe, 0x00, 0x05, 0x00,
    0x10, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xf5, 0xeb, 0xe9, 0x81, 0xe1, 0xff, 0xff, 0xff,
    0x7f, 0x8a, 0x10, 0x05, 0x00, 0x10, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xf5, 0xeb, 0xd6,
};

/* Pages of the machine: the program, three levels of tables, the task state segment; the rest is to be written. */
enum { PAGE_PROGRAM, PAGE_TABLES, PAGE_TSS = PAGE_TABLES + 3, PAGE_FREE };

enum log { LOG_BITMAP, LOG_RING };

struct machine {
    enum log log;
    int kvm, vm, vcpu;
    struct kvm_run *run;
    size_t run_bytes;
    uint8_t *ram;
    void *mapping;
    struct ferry_kvm_slot slots[2];
    struct ferry_kvm_log *bitmap;
    struct ferry_kvm_ring *ring;
    struct tracker tracker;
    struct ferry_block block;
    uint64_t *report;
    unsigned full; /* how often the ring was */
};

static void check(int rc, const char *what)
{
    if (rc < 0)
        fail_msg("%s: %s", what, strerror(errno));
}

/* All memory one to one, for CPL 3; and ports 0 to 63 are open to it. */
static void fill_memory(struct machine *m)
{
    uint64_t *table = (uint64_t *)(void *)(m->ram + PAGE_TABLES * FERRY_PAGE_BYTES);
    uint8_t *tss = m->ram + PAGE_TSS * FERRY_PAGE_BYTES;

    memcpy(m->ram + PAGE_PROGRAM * FERRY_PAGE_BYTES, program, sizeof(program));
    table[0] = (PAGE_TABLES + 1) * FERRY_PAGE_BYTES | 0x27;
    table[512] = (PAGE_TABLES + 2) * FERRY_PAGE_BYTES | 0x27;
    for (uint64_t i = 0; i < 512; i++)
        table[1024 + i] = i << 21 | 0xe7;
    tss[102] = 104;
    tss[104 + 8] = 0xff;
}

/* CPL 3 in long mode: what a KVM without hardware runs natively, as any other does. */
static void set_registers(struct machine *m)
{
    struct kvm_segment flat = { .limit = UINT32_MAX, .selector = 0x33, .present = 1, .dpl = 3, .s = 1, .g = 1 };
    struct kvm_regs regs = { .rip = PAGE_PROGRAM * FERRY_PAGE_BYTES, .rflags = 2 };
    struct kvm_sregs sregs;

    check(ioctl(m->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    flat.type = 11;
    flat.l = 1;
    sregs.cs = flat;
    flat.type = 3;
    flat.l = 0;
    flat.db = 1;
    flat.selector = 0x2b;
    sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = flat;
    sregs.tr = (struct kvm_segment){
        .base = PAGE_TSS * FERRY_PAGE_BYTES, .limit = 112, .selector = 0x40, .type = 11, .present = 1
    };
    sregs.cr0 = 0x80050033;
    sregs.cr3 = PAGE_TABLES * FERRY_PAGE_BYTES;
    sregs.cr4 = 0x620;
    sregs.efer = 0xd00;
    check(ioctl(m->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    check(ioctl(m->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void add_slot(struct machine *m, unsigned slot, uint64_t first, uint64_t pages)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = first * FERRY_PAGE_BYTES,
        .memory_size = pages * FERRY_PAGE_BYTES,
        .userspace_addr = (uintptr_t)m->ram + first * FERRY_PAGE_BYTES,
    };

    check(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    m->slots[slot] = (struct ferry_kvm_slot){ .slot = slot,
                                              .guest_address = region.guest_phys_addr,
                                              .length = region.memory_size,
                                              .host = m->ram + first * FERRY_PAGE_BYTES };
}

static void machine_make(struct machine *m, enum log log)
{
    struct ferry_error err = { 0 };
    int entries = RING_ENTRIES;

    *m = (struct machine){ .log = log };
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    check(m->vm, "KVM_CREATE_VM");
    if (log == LOG_RING) {
        entries = ferry_kvm_ring_enable(m->vm, RING_ENTRIES, &err);
        if (entries == -ENOTSUP) {
            print_message("%s\n", err.text);
            skip();
        }
        assert_int_equal(entries, RING_ENTRIES);
    }
    m->mapping = mmap(NULL, (PAGES + BLOCK_BEFORE) * FERRY_PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(m->mapping, MAP_FAILED);
    m->ram = (uint8_t *)m->mapping + BLOCK_BEFORE * FERRY_PAGE_BYTES;
    fill_memory(m);
    add_slot(m, 0, 0, FIRST_SLOT);
    add_slot(m, 1, FIRST_SLOT, PAGES - FIRST_SLOT);
    m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    check(m->vcpu, "KVM_CREATE_VCPU");
    m->run_bytes = (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    m->run = mmap(NULL, m->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    assert_ptr_not_equal(m->run, MAP_FAILED);
    set_registers(m);
    if (log == LOG_RING) {
        m->ring = ferry_kvm_ring_new(m->vm, &m->vcpu, 1, (unsigned)entries, m->slots, 2, &err);
        m->tracker = (struct tracker){ &ferry_kvm_ring_ops, m->ring };
    } else {
        m->bitmap = ferry_kvm_log_new(m->vm, m->slots, 2, &err);
        m->tracker = (struct tracker){ &ferry_kvm_log_ops, m->bitmap };
    }
    if (!m->tracker.opaque)
        fail_msg("%s", err.text);
    m->block =
        (struct ferry_block){ .name = "ram", .host = m->ram, .length = PAGES * FERRY_PAGE_BYTES, .page_size = 4096 };
    m->report = calloc(bits_words(PAGES), sizeof(uint64_t));
    assert_non_null(m->report);
}

static void machine_free(struct machine *m)
{
    ferry_kvm_log_free(m->bitmap);
    ferry_kvm_ring_free(m->ring);
    munmap(m->run, m->run_bytes);
    close(m->vcpu);
    close(m->vm);
    close(m->kvm);
    munmap(m->mapping, (PAGES + BLOCK_BEFORE) * FERRY_PAGE_BYTES);
    free(m->report);
}

/* Until it asks for work, which is then given. */
static void order(struct machine *m, uint64_t first, uint32_t count)
{
    const uint32_t answers[] = { count, (uint32_t)(first * FERRY_PAGE_BYTES) };

    for (unsigned asked = 0; asked < 2;) {
        check(ioctl(m->vcpu, KVM_RUN, 0), "KVM_RUN");
        if (m->run->exit_reason == KVM_EXIT_DIRTY_RING_FULL) {
            m->full++;
            assert_int_equal(ferry_kvm_ring_full(m->ring, NULL), 0);
            continue;
        }
        if (m->run->exit_reason != KVM_EXIT_IO)
            fail_msg("exit reason %u", m->run->exit_reason);
        memcpy((char *)m->run + m->run->io.data_offset, &answers[m->run->io.port == 0x14], sizeof(answers[0]));
        asked += m->run->io.port == 0x14 ? 2 : 0;
    }
}

/* Has it done and waits until it is done: the next question comes behind it. */
static void run(struct machine *m, uint64_t first, uint32_t count)
{
    order(m, first, count);
    order(m, PAGE_FREE, READS | 1);
}

static void start(struct machine *m)
{
    struct ferry_error err = { 0 };

    if (m->tracker.ops->start(m->tracker.opaque, &m->block, &err) < 0)
        fail_msg("%s", err.text);
}

static void sync_now(struct machine *m)
{
    struct ferry_error err = { 0 };

    memset(m->report, 0, bits_words(PAGES) * sizeof(uint64_t));
    if (m->tracker.ops->sync(m->tracker.opaque, &m->block, m->report, &err) < 0)
        fail_msg("%s", err.text);
}

static bool reported(const struct machine *m, uint64_t page)
{
    return m->report[page / 64] >> page % 64 & 1;
}

static void expect(struct machine *m, uint64_t first, uint64_t count)
{
    sync_now(m);
    for (uint64_t page = 0; page < PAGES; page++)
        if (reported(m, page) != (page >= first && page < first + count))
            fail_msg("page %d is %sreported", (int)page, reported(m, page) ? "" : "not ");
    for (uint64_t bit = PAGES; bit < bits_words(PAGES) * 64; bit++)
        assert_false(reported(m, bit));
}

static void exactly_what_was_written_is_reported(void **state)
{
    struct machine m;

    machine_make(&m, *(enum log *)*state);
    run(&m, 10, 100); /* before anybody watches */
    start(&m);
    expect(&m, 0, 0);
    run(&m, 700, 1);
    expect(&m, 700, 1);
    expect(&m, 0, 0);
    run(&m, 700, 1); /* again */
    run(&m, 702, 130);
    sync_now(&m);
    assert_true(reported(&m, 700) && !reported(&m, 701) && reported(&m, 702) && reported(&m, 831));
    run(&m, FIRST_SLOT - 70, 140); /* in both slots */
    expect(&m, FIRST_SLOT - 70, 140);
    run(&m, PAGES - 1, 1);
    expect(&m, PAGES - 1, 1);
    run(&m, 200, READS | 2000);
    expect(&m, 0, 0);
    m.tracker.ops->stop(m.tracker.opaque, &m.block);
    machine_free(&m);
}

static void watching_may_end_and_begin_again(void **state)
{
    struct machine m;

    machine_make(&m, *(enum log *)*state);
    for (int i = 0; i < 3; i++) {
        start(&m);
        expect(&m, 0, 0);
        run(&m, 100, 900);
        m.tracker.ops->stop(m.tracker.opaque, &m.block);
        run(&m, 1000, 1500);
    }
    start(&m);
    run(&m, 50, 5);
    expect(&m, 50, 5);
    m.tracker.ops->stop(m.tracker.opaque, &m.block);
    machine_free(&m);
}

/* ---- a migration in little: what is reported is copied, while the vCPU goes on ----------------------------------- */

struct worker {
    struct machine *m;
    atomic_bool quit;
};

static void *worker_main(void *opaque)
{
    struct worker *worker = opaque;
    uint64_t random = 88172645463325252u;

    while (!atomic_load(&worker->quit)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order(worker->m, PAGE_FREE + random % (PAGES - 70), 1 + (uint32_t)(random >> 40) % 60);
    }
    run(worker->m, PAGE_FREE, PAGES - PAGE_FREE); /* and all at once: more than a ring holds */
    return NULL;
}

/* The vCPU writes while we read: that is the point of it. */
__attribute__((no_sanitize("thread"))) static void copy_page(uint8_t *to, const uint8_t *from)
{
    for (unsigned i = 0; i < FERRY_PAGE_BYTES; i += 8)
        *(uint64_t *)(void *)(to + i) = *(const volatile uint64_t *)(const void *)(from + i);
}

static void copy_reported(struct machine *m, uint8_t *copy)
{
    sync_now(m);
    for (uint64_t page = 0; page < PAGES; page++)
        if (reported(m, page))
            copy_page(copy + page * FERRY_PAGE_BYTES, m->ram + page * FERRY_PAGE_BYTES);
}

static void no_write_is_lost_in_a_race(void **state)
{
    uint8_t *copy = malloc(PAGES * FERRY_PAGE_BYTES);
    struct machine m;
    struct worker worker = { .m = &m };
    pthread_t thread;

    assert_non_null(copy);
    machine_make(&m, *(enum log *)*state);
    start(&m);
    memcpy(copy, m.ram, PAGES * FERRY_PAGE_BYTES);
    assert_int_equal(pthread_create(&thread, NULL, worker_main, &worker), 0);
    for (int round = 0; round < 100; round++)
        copy_reported(&m, copy);
    atomic_store(&worker.quit, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    copy_reported(&m, copy);
    for (uint64_t page = 0; page < PAGES; page++)
        if (memcmp(copy + page * FERRY_PAGE_BYTES, m.ram + page * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES))
            fail_msg("a write to page %d was lost", (int)page);
    assert_true(m.log == LOG_BITMAP || m.full > 0);
    m.tracker.ops->stop(m.tracker.opaque, &m.block);
    machine_free(&m);
    free(copy);
}

static void slots_that_do_not_fit_are_refused(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_kvm_slot bad;
    struct ferry_kvm_log *log;
    struct machine m;

    machine_make(&m, LOG_BITMAP);
    bad = m.slots[1];
    bad.length = 0;
    assert_null(ferry_kvm_log_new(m.vm, &bad, 1, &err));
    bad.length = 4097;
    assert_null(ferry_kvm_log_new(m.vm, &bad, 1, &err));
    bad = m.slots[0];
    bad.slot = 1;
    assert_null(ferry_kvm_log_new(m.vm, (struct ferry_kvm_slot[]){ m.slots[0], bad }, 2, &err));
    assert_string_equal(err.text, "memory slots 0 and 1 are the same memory");
    log = ferry_kvm_log_new(m.vm, m.slots, 1, &err);
    assert_non_null(log);
    assert_int_equal(ferry_kvm_log_ops.start(log, &m.block, &err), -EINVAL);
    ferry_kvm_log_free(log);
    assert_int_equal(ferry_kvm_ring_enable(m.vm, 1000, NULL) < 0, 1);
    machine_free(&m);
}

int main(void)
{
    static enum log bitmap = LOG_BITMAP, ring = LOG_RING;
#define BOTH(test)                                    \
    { #test " (bitmap)", test, NULL, NULL, &bitmap }, \
    {                                                 \
#test " (ring)", test, NULL, NULL, &ring      \
    }
    const struct CMUnitTest tests[] = {
        BOTH(exactly_what_was_written_is_reported),
        BOTH(watching_may_end_and_begin_again),
        BOTH(no_write_is_lost_in_a_race),
        cmocka_unit_test(slots_that_do_not_fit_are_refused),
    };
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version = fd < 0 ? -1 : ioctl(fd, KVM_GET_API_VERSION, 0);

    if (fd >= 0)
        close(fd);
    if (version != KVM_API_VERSION) {
        printf("SKIP: needs kvm: /dev/kvm: %s\n", strerror(errno));
        return 77;
    }
    return cmocka_run_group_tests_name("tracker_kvm", tests, NULL, NULL);
}
