/* SPDX-License-Identifier: BSD-3-Clause */
/* iov.c - arithmetic on struct iovec arrays */
#include "iov.h"

#include <stdint.h>
#include <string.h>

size_t iov_bytes(const struct iovec *iov, int count)
{
    size_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return sum;
}

void iov_consume(struct iovec **iov, int *count, size_t bytes)
{
    while (*count > 0 && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}

int iov_limit(struct iovec *iov, int count, size_t limit, size_t *cut)
{
    int used = 0;

    *cut = 0;
    while (used < count && limit > 0) {
        if (iov[used].iov_len > limit) {
            *cut = iov[used].iov_len;
            iov[used].iov_len = limit;
        }
        limit -= iov[used].iov_len;
        used++;
    }
    return used;
}

void iov_uncut(struct iovec *iov, int limited, size_t cut)
{
    if (limited > 0 && cut)
        iov[limited - 1].iov_len = cut;
}

size_t iov_copy_from(void *to, size_t bytes, const struct iovec *iov, int count, size_t offset)
{
    size_t done = 0;

    for (int i = 0; i < count && done < bytes; i++) {
        size_t part;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        part = iov[i].iov_len - offset;
        if (part > bytes - done)
            part = bytes - done;
        memcpy((uint8_t *)to + done, (const uint8_t *)iov[i].iov_base + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}
