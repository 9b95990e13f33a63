/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault_why.c - why this process gets no userfaultfd, in words
 *
 * EPERM has many fathers.  What the process has is looked up in /proc, so that the sentence names the one that it is:
 *
 *      CAP_SYS_PTRACE held, or the sysctl is 1          then only a filter (seccomp, a security module) can refuse
 *      neither                                          the ordinary case: no privilege
 */
#include "userfault_why.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAP_SYS_PTRACE_BIT 19

struct rights {
    int sysctl;   /* vm.unprivileged_userfaultfd; -1: unknown */
    bool ptrace;  /* CAP_SYS_PTRACE */
    bool seccomp; /* a filter is in force */
};

static ssize_t read_text(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, bytes - 1);

    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static struct rights rights_now(void)
{
    struct rights rights = { .sysctl = -1 };
    char text[4096];
    const char *at;

    if (read_text("/proc/sys/vm/unprivileged_userfaultfd", text, sizeof(text)) > 0)
        rights.sysctl = atoi(text);
    if (read_text("/proc/thread-self/status", text, sizeof(text)) > 0) {
        at = strstr(text, "\nCapEff:");
        rights.ptrace = at && strtoull(at + 8, NULL, 16) >> CAP_SYS_PTRACE_BIT & 1;
        at = strstr(text, "\nSeccomp:");
        rights.seccomp = at && atoi(at + 9) == 2;
    }
    return rights;
}

static const char *call_reason(const struct rights *rights, enum userfault_scope scope)
{
    bool enough = rights->ptrace || rights->sysctl == 1 || scope == USERFAULT_USER_ONLY;

    if (rights->seccomp)
        return enough ? "a seccomp filter forbids it"
                      : "no CAP_SYS_PTRACE, vm.unprivileged_userfaultfd is 0, and a seccomp filter is in force";
    return enough ? "a security module forbids it" : "no CAP_SYS_PTRACE, and vm.unprivileged_userfaultfd is 0";
}

static const char *device_reason(int device, const struct rights *rights)
{
    if (device == ENOENT)
        return "is not there (Linux 6.1, or not in this container)";
    if (device == EACCES)
        return "may not be opened by this user";
    if (device == EPERM && rights->seccomp)
        return "is forbidden, too";
    return strerror(device);
}

int userfault_refused(enum userfault_scope scope, int call, int device, struct ferry_error *err)
{
    struct rights rights = rights_now();

    if (call == ENOSYS && !rights.seccomp)
        return ferry_error_set(err, -ENOENT, "userfaultfd: this kernel was built without it");
    if (call != EPERM && call != EACCES && call != ENOSYS)
        return ferry_error_set(err, -call, "userfaultfd: %s", strerror(call));
    ferry_error_set(err, -EPERM, "userfaultfd: not permitted: %s; /dev/userfaultfd %s", call_reason(&rights, scope),
                    device_reason(device, &rights));
    if (rights.seccomp)
        ferry_error_hint(err, "let the sandbox (seccomp profile of the container or service) allow userfaultfd, or "
                              "/dev/userfaultfd with its ioctl");
    else
        ferry_error_hint(err, "allow it with sysctl vm.unprivileged_userfaultfd=1, or give this user access to "
                              "/dev/userfaultfd");
    return -EPERM;
}

static const struct {
    uint64_t feature;
    const char *name;
} features_known[] = {
    { UFFD_FEATURE_PAGEFAULT_FLAG_WP, "write-protection (Linux 5.7)" },
    { UFFD_FEATURE_MISSING_HUGETLBFS, "missing faults in huge pages (Linux 4.11)" },
    { UFFD_FEATURE_MISSING_SHMEM, "missing faults in shared memory (Linux 4.11)" },
    { UFFD_FEATURE_THREAD_ID, "thread ids (Linux 4.14)" },
    { UFFD_FEATURE_MINOR_SHMEM, "minor faults in shared memory (Linux 5.14)" },
    { UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "write-protection of shared memory (Linux 5.19)" },
    { UFFD_FEATURE_WP_UNPOPULATED, "write-protection of untouched memory (Linux 6.4)" },
    { UFFD_FEATURE_WP_ASYNC, "asynchronous write-protection (Linux 6.7)" },
};

const char *userfault_feature_names(uint64_t features, char *text, size_t bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(features_known) / sizeof(features_known[0]); i++) {
        if ((features & features_known[i].feature) && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", features_known[i].name);
    }
    if (used == 0)
        snprintf(text, bytes, "0x%llx", (unsigned long long)features);
    return text;
}
