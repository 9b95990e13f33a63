/* SPDX-License-Identifier: BSD-3-Clause */
/* record_door.c - a userfaultfd of another process, as a descriptor of this one
 *
 *      process   ... read() | userfaultfd() | close() | read() ...      its first thread, held by ptrace
 *      here                        '-- pidfd_getfd() --> a descriptor that is about the process's memory
 *
 * Only registers are changed, and put back.  The thread is held with all signals blocked, and let go out of a stop in
 * which the kernel looks whether a system call was interrupted: that one begins again.
 */
#include "record_target.h"

#include <errno.h>
#include <string.h>

#ifdef __x86_64__

#include "pagemap.h"
#include "userfault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE_64_BIT  0x33 /* of register cs */
#define STOPS_MAX    100
#define SYSCALL_CODE "\x0f\x05"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

struct held {
    pid_t pid;
    uint64_t instruction; /* where a system call can be done */
    struct user_regs_struct regs;
    uint64_t mask; /* of signals */
};

static bool is_filtered(pid_t pid)
{
    char path[64], line[256];
    bool filtered = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, "Seccomp:", 8))
            filtered = strtol(line + 8, NULL, 10) != 0;
    if (file)
        fclose(file);
    return filtered;
}

/* In the pages that the kernel gives to every process. */
static uint64_t find_instruction(pid_t pid)
{
    char path[64], line[512], code[2 * FERRY_PAGE_BYTES];
    unsigned long start = 0, end = 0;
    struct iovec here, there;
    const char *found;
    ssize_t got;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    while (maps && !start && fgets(line, sizeof(line), maps))
        if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &start, &end) != 2)
            start = 0;
    if (maps)
        fclose(maps);
    if (!start || end <= start)
        return 0;
    here = (struct iovec){ code, end - start < sizeof(code) ? end - start : sizeof(code) };
    there = (struct iovec){ (void *)(uintptr_t)start, here.iov_len };
    got = process_vm_readv(pid, &here, 1, &there, 1, 0);
    found = got > 0 ? memmem(code, (size_t)got, SYSCALL_CODE, 2) : NULL;
    return found ? start + (uint64_t)(found - code) : 0;
}

/* Until it stands still; @signal: for this reason.  Stops for others are passed over. */
static int wait_stop(pid_t pid, int signal, enum __ptrace_request go_on)
{
    int status;

    for (int i = 0; i < STOPS_MAX; i++) {
        if (waitpid(pid, &status, __WALL) < 0)
            return -errno;
        if (!WIFSTOPPED(status))
            return -ESRCH;
        if (WSTOPSIG(status) == signal || signal == 0)
            return 0;
        if (ptrace(go_on, pid, NULL, NULL) < 0)
            return -errno;
    }
    return -EBUSY;
}

static int hold(struct held *held, struct ferry_error *err)
{
    static const uint64_t all_but_trap = ~(UINT64_C(1) << (SIGTRAP - 1));
    int ret;

    if (ptrace(PTRACE_SEIZE, held->pid, NULL, NULL) < 0)
        return ferry_error_set(err, -errno, "process %d cannot be held: %s", (int)held->pid, strerror(errno));
    ret = ptrace(PTRACE_INTERRUPT, held->pid, NULL, NULL) < 0 ? -errno : wait_stop(held->pid, 0, PTRACE_CONT);
    if (ret == 0 && (ptrace(PTRACE_GETREGS, held->pid, NULL, &held->regs) < 0 ||
                     ptrace(PTRACE_GETSIGMASK, held->pid, (void *)sizeof(held->mask), &held->mask) < 0 ||
                     ptrace(PTRACE_SETSIGMASK, held->pid, (void *)sizeof(all_but_trap), &all_but_trap) < 0))
        ret = -errno;
    if (ret == 0 && held->regs.cs != CODE_64_BIT)
        ret = -ENOTSUP;
    if (ret < 0)
        ferry_error_set(err, ret, "process %d cannot be held: %s", (int)held->pid, strerror(-ret));
    return ret;
}

/* In its stead; returns what the system call returned. */
static long call(const struct held *held, long number, long argument)
{
    struct user_regs_struct regs = held->regs;
    int ret;

    regs.rip = held->instruction;
    regs.rax = (unsigned long)number;
    regs.rdi = (unsigned long)argument;
    regs.orig_rax = (unsigned long)-1; /* none was interrupted */
    if (ptrace(PTRACE_SETREGS, held->pid, NULL, &regs) < 0 || ptrace(PTRACE_SINGLESTEP, held->pid, NULL, NULL) < 0)
        return -errno;
    ret = wait_stop(held->pid, SIGTRAP, PTRACE_SINGLESTEP);
    if (ret == 0 && ptrace(PTRACE_GETREGS, held->pid, NULL, &regs) < 0)
        ret = -errno;
    return ret < 0 ? ret : (long)regs.rax;
}

static void let_go(const struct held *held)
{
    if (held->regs.rip != 0) {
        (void)ptrace(PTRACE_SETREGS, held->pid, NULL, &held->regs);
        (void)ptrace(PTRACE_SETSIGMASK, held->pid, (void *)sizeof(held->mask), &held->mask);
    }
    (void)ptrace(PTRACE_DETACH, held->pid, NULL, NULL);
}

static int make_there(const struct record_target *target, struct held *held, struct ferry_error *err)
{
    long there = call(held, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    int fd = there < 0 ? (int)there : (int)syscall(SYS_pidfd_getfd, target->pidfd, (int)there, 0);

    if (fd < 0 && there >= 0)
        fd = -errno;
    if (there >= 0)
        (void)call(held, SYS_close, there);
    return fd >= 0 ? fd
                   : ferry_error_set(err, fd, "process %d gets no userfaultfd: %s", (int)target->pid, strerror(-fd));
}

int record_door(const struct record_target *target, struct ferry_error *err)
{
    struct held held = { .pid = target->pid };
    int ret;

    if (is_filtered(target->pid))
        return ferry_error_set(err, -EPERM, "process %d has a seccomp filter, which might kill it", (int)target->pid);
    held.instruction = find_instruction(target->pid);
    if (!held.instruction)
        return ferry_error_set(err, -ENOTSUP, "process %d has no place for a system call", (int)target->pid);
    ret = hold(&held, err);
    if (ret == 0)
        ret = make_there(target, &held, err);
    let_go(&held);
    return ret;
}

#else

int record_door(const struct record_target *target, struct ferry_error *err)
{
    return ferry_error_set(err, -ENOTSUP, "no userfaultfd is made in other processes on this kind of processor");
}

#endif
