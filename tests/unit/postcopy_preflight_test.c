/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_preflight_test.c - where postcopy cannot be had, it is said before anything was changed, and exactly why */
#include "postcopy_fixture.h"

#include "userfault.h"
#include "userfault_why.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES (UINT64_C(64) * FERRY_PAGE_BYTES)

static void *map_memory(int flags)
{
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* One block of it is refused with a sentence that has @text and names the block. */
static void refused(void *host, const char *text, const char *hint)
{
    struct ferry_block info = { .name = "ram", .host = host, .length = BYTES, .page_size = FERRY_PAGE_BYTES };
    struct ferry_error err = { 0 };
    struct ram_map map;

    ram_map_init(&map);
    assert_int_equal(ram_map_add(&map, &info, NULL), 0);
    assert_null(postcopy_ram_new(&map, &postcopy_scene_ops, NULL, -1, &err));
    assert_int_equal(err.code, FERRY_E_POSTCOPY_UNSUPPORTED);
    if (!strstr(err.text, text) || !strstr(ferry_error_advice(&err), hint))
        fail_msg("'%s' (%s)", err.text, ferry_error_advice(&err));
    ram_map_clear(&map);
}

static void locked_memory(void **state)
{
    void *memory = map_memory(0);

    if (syscall(SYS_mlock, memory, FERRY_PAGE_BYTES) < 0) { /* the sanitizers' mlock() does nothing */
        munmap(memory, BYTES);
        skip();
    }
    refused(memory, "block 'ram': its memory is locked", "unlock");
    munmap(memory, BYTES);
}

static void memory_that_is_not_there(void **state)
{
    void *memory = map_memory(0);

    munmap(memory, BYTES);
    refused(memory, "block 'ram': nothing is mapped", "");
}

static void memory_that_may_not_be_written(void **state)
{
    void *memory = map_memory(0);

    assert_int_equal(mprotect(memory, BYTES, PROT_READ), 0);
    refused(memory, "block 'ram': it is read-only", "");
    munmap(memory, BYTES);
}

static void a_file_that_cannot_be_watched(void **state)
{
    FILE *file = fopen("/proc/self/exe", "re");
    void *memory;

    assert_non_null(file);
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    refused(memory, "block 'ram': userfaultfd does not take its memory, a file of its kind cannot be watched", "");
    munmap(memory, BYTES);
    fclose(file);
}

static void memory_that_another_descriptor_has(void **state)
{
    void *memory = map_memory(0);
    struct ferry_block block = { .name = "ram", .host = memory, .length = BYTES };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);

    assert_int_equal(userfault_register(fd, &block, UFFDIO_REGISTER_MODE_MISSING, 0, NULL), 0);
    refused(memory, "another one has it", "");
    close(fd);
    munmap(memory, BYTES);
}

static void a_descriptor_that_is_handed_in(void **state)
{
    struct ferry_block info = { .name = "ram", .host = map_memory(0), .length = BYTES, .page_size = FERRY_PAGE_BYTES };
    struct ferry_error err = { 0 };
    struct postcopy_ram *ram;
    struct ram_map map;
    int used = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    int fresh = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

    ram_map_init(&map);
    assert_int_equal(ram_map_add(&map, &info, NULL), 0);
    assert_null(postcopy_ram_new(&map, &postcopy_scene_ops, NULL, used, &err));
    assert_int_equal(err.code, FERRY_E_POSTCOPY_UNSUPPORTED);
    assert_non_null(strstr(err.text, "is in use already"));
    assert_int_equal(close(used), 0); /* still ours */
    if (fresh >= 0) {
        ram = postcopy_ram_new(&map, &postcopy_scene_ops, NULL, fresh, &err);
        assert_non_null(ram);
        assert_int_equal(postcopy_ram_discard(ram, map.blocks[0], 0, 1, NULL), 0);
        assert_int_equal(postcopy_ram_listen(ram, NULL), 0);
        postcopy_ram_free(ram);
        assert_int_equal(close(fresh), -1); /* it was taken */
    }
    munmap(info.host, BYTES);
    ram_map_clear(&map);
}

static void a_kernel_without_a_feature(void **state)
{
    struct ferry_error err = { 0 };
    char text[256];

    /* No kernel has the last one. */
    assert_int_equal(userfault_open(USERFAULT_KERNEL_TOO, UFFD_FEATURE_THREAD_ID | UINT64_C(1) << 63, &err), -ENOTSUP);
    assert_string_equal(err.text, "userfaultfd: this kernel lacks 0x8000000000000000");
    assert_string_equal(
        userfault_feature_names(UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_THREAD_ID, text, sizeof(text)),
        "missing faults in shared memory (Linux 4.11), thread ids (Linux 4.14)");
    userfault_feature_names(UINT64_MAX, text, 20);
    assert_int_equal(strlen(text), 19);
}

/* What a container's profile does: the call is EPERM, and the device cannot be asked. */
static int forbid_userfaultfd(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, USERFAULTFD_IOC_NEW, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void a_sandbox_takes_it_away(void **state)
{
    void *memory = map_memory(0);
    pid_t child;
    int status;

    ((uint8_t *)memory)[0] = 7;
    child = fork();
    if (child == 0) {
        struct ferry_block info = { .name = "ram", .host = memory, .length = BYTES, .page_size = FERRY_PAGE_BYTES };
        struct ferry_error err = { 0 };
        struct ram_map map;
        bool right;

        if (forbid_userfaultfd() < 0)
            _exit(2);
        ram_map_init(&map);
        ram_map_add(&map, &info, NULL);
        right = !postcopy_ram_new(&map, &postcopy_scene_ops, NULL, -1, &err) &&
                err.code == FERRY_E_POSTCOPY_UNSUPPORTED && strstr(err.text, "seccomp") &&
                strstr(err.hint, "seccomp") && strstr(err.text, "/dev/userfaultfd") && ((uint8_t *)memory)[0] == 7;
        if (!right)
            fprintf(stderr, "'%s' (%s)\n", err.text, err.hint);
        ram_map_clear(&map);
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip();
    assert_int_equal(status, 0);
    munmap(memory, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_memory),
        cmocka_unit_test(memory_that_is_not_there),
        cmocka_unit_test(memory_that_may_not_be_written),
        cmocka_unit_test(a_file_that_cannot_be_watched),
        cmocka_unit_test(memory_that_another_descriptor_has),
        cmocka_unit_test(a_descriptor_that_is_handed_in),
        cmocka_unit_test(a_kernel_without_a_feature),
        cmocka_unit_test(a_sandbox_takes_it_away),
    };

    if (postcopy_can(MEMORY_PRIVATE))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
