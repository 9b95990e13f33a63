/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault.c - opening a userfaultfd and handing memory to it
 *
 * There are two doors: the system call, for which the administrator may want a privilege, and /dev/userfaultfd (6.1),
 * for which file permissions decide.  Which features there are is asked in the same call that switches them on; where
 * it is refused, asking for none tells which there are.
 */
#include "userfault.h"

#include "userfault_why.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int userfault_open_device(int flags)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int fd, error;

    if (device < 0)
        return -errno;
    fd = ioctl(device, USERFAULTFD_IOC_NEW, flags);
    error = errno;
    close(device);
    return fd < 0 ? -error : fd;
}

static int userfault_open_any(enum userfault_scope scope, struct ferry_error *err)
{
    int flags = O_CLOEXEC | O_NONBLOCK | (scope == USERFAULT_USER_ONLY ? UFFD_USER_MODE_ONLY : 0);
    int fd = (int)syscall(SYS_userfaultfd, flags);
    int call = errno;

    if (fd >= 0)
        return fd;
    fd = userfault_open_device(flags);
    return fd >= 0 ? fd : userfault_refused(scope, call, -fd, err);
}

int userfault_agree(int fd, uint64_t features, struct ferry_error *err)
{
    struct uffdio_api api = { .api = UFFD_API, .features = features }, ask = { .api = UFFD_API };
    char text[256];
    int error;

    if (ioctl(fd, UFFDIO_API, &api) == 0)
        return 0;
    error = errno;
    if (error != EINVAL)
        return ferry_error_set(err, -error, "userfaultfd: %s", strerror(error));
    if (ioctl(fd, UFFDIO_API, &ask) < 0)
        return ferry_error_set(err, -EINVAL, "userfaultfd: descriptor %d is in use already", fd);
    return ferry_error_set(err, -ENOTSUP, "userfaultfd: this kernel lacks %s",
                           userfault_feature_names(features & ~ask.features, text, sizeof(text)));
}

int userfault_open(enum userfault_scope scope, uint64_t features, struct ferry_error *err)
{
    int fd = userfault_open_any(scope, err);
    int ret = fd < 0 ? fd : userfault_agree(fd, features, err);

    if (ret < 0 && fd >= 0)
        close(fd);
    return ret < 0 ? ret : fd;
}

int userfault_register(int fd, const struct ferry_block *block, uint64_t mode, uint64_t ioctls, struct ferry_error *err)
{
    struct uffdio_register reg = { .range = { (uintptr_t)block->host, block->length }, .mode = mode };

    if (ioctl(fd, UFFDIO_REGISTER, &reg) < 0)
        return ferry_error_set(err, -errno, "block '%s': userfaultfd does not take its memory: %s", block->name,
                               strerror(errno));
    if ((reg.ioctls & ioctls) == ioctls)
        return 0;
    userfault_unregister(fd, block);
    return ferry_error_set(err, -ENOTSUP, "block '%s': userfaultfd cannot do all it should with memory of this kind",
                           block->name);
}

void userfault_unregister(int fd, const struct ferry_block *block)
{
    struct uffdio_range range = { (uintptr_t)block->host, block->length };

    (void)ioctl(fd, UFFDIO_UNREGISTER, &range);
}

int userfault_protect(int fd, uint64_t start, uint64_t bytes, uint64_t mode)
{
    struct uffdio_writeprotect protect = { .range = { start, bytes }, .mode = mode };

    while (ioctl(fd, UFFDIO_WRITEPROTECT, &protect) < 0) {
        /* EAGAIN: mappings of this process are just being changed. */
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return 0;
}

void userfault_wake(int fd, uint64_t start, uint64_t bytes)
{
    struct uffdio_range range = { start, bytes };

    (void)ioctl(fd, UFFDIO_WAKE, &range);
}
