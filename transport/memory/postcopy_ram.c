/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_ram.c - the destination's memory while the guest runs and its pages are still to come */
#include "postcopy_ram.h"

#include <errno.h>
#include <string.h>

struct postcopy_ram *postcopy_ram_new(const struct ram_map *map, const struct postcopy_ram_ops *ops, void *opaque,
                                      int fd, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_POSTCOPY_UNSUPPORTED, -ENOTSUP, "postcopy is not built in");
    return NULL;
}

int postcopy_ram_discard(struct postcopy_ram *ram, const struct ram_block *block, uint64_t first, uint64_t count,
                         struct ferry_error *err)
{
    return -ENOTSUP;
}

int postcopy_ram_listen(struct postcopy_ram *ram, struct ferry_error *err)
{
    return -ENOTSUP;
}

struct placer *postcopy_ram_placer(struct postcopy_ram *ram, struct ferry_error *err)
{
    return NULL;
}

uint64_t postcopy_ram_missing(struct postcopy_ram *ram)
{
    return 0;
}

const _Atomic(uint64_t) *postcopy_ram_received(struct postcopy_ram *ram, const struct ram_block *block)
{
    return NULL;
}

int postcopy_ram_ask_again(struct postcopy_ram *ram)
{
    return -ENOTSUP;
}

void postcopy_ram_figures(struct postcopy_ram *ram, struct postcopy_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
}

int postcopy_ram_finish(struct postcopy_ram *ram, struct ferry_error *err)
{
    return -ENOTSUP;
}

void postcopy_ram_free(struct postcopy_ram *ram)
{
}
