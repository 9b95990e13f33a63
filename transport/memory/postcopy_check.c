/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_check.c - can this guest's memory follow it here?  All that is known before anything was changed
 *
 *      the list of mappings     mapped at all, writable, ordinary, not locked, shared or not, page size as declared
 *      a trial registration     the kernel takes it, and can do there what will be needed
 */
#include "mappings.h"
#include "postcopy_parts.h"
#include "userfault.h"
#include "userfault_place.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

bool postcopy_over_file(const struct postcopy_block *at)
{
    return at->file && !at->shared;
}

uint64_t postcopy_mode(const struct postcopy_block *at)
{
    return UFFDIO_REGISTER_MODE_MISSING | (postcopy_over_file(at) ? UFFDIO_REGISTER_MODE_MINOR : 0);
}

struct check {
    struct postcopy_ram *ram;
    struct ferry_error *err;
};

static int about(const struct postcopy_block *at, struct ferry_error *err)
{
    ferry_error_object(err, "%s", at->block->info.name);
    return ferry_error_code(err, FERRY_E_POSTCOPY_UNSUPPORTED);
}

static int check_mapping(struct postcopy_block *at, const struct mapping_facts *facts, struct ferry_error *err)
{
    const struct ferry_block *info = &at->block->info;
    uint64_t page_bytes = info->page_size;

    if (facts->locked) {
        ferry_error_set(err, -ENOTSUP, "block '%s': its memory is locked (mlock), so no page of it can be dropped",
                        info->name);
        ferry_error_hint(err, "unlock the guest's memory until postcopy is over, or migrate without postcopy");
        return -ENOTSUP;
    }
    if (facts->device || !facts->writable)
        return ferry_error_set(err, -ENOTSUP, "block '%s': %s", info->name,
                               facts->device ? "memory of a device cannot be watched for touches" : "it is read-only");
    if (facts->page_bytes > page_bytes)
        return ferry_error_set(err, -EINVAL,
                               "block '%s': declared with pages of %" PRIu64 " bytes, backed with %" PRIu64, info->name,
                               page_bytes, facts->page_bytes);
    if (at->mapped && at->shared != facts->shared)
        return ferry_error_set(err, -ENOTSUP, "block '%s': a part of it is shared memory, another is not", info->name);
    at->mapped = true;
    at->shared = facts->shared;
    at->file |= facts->file && facts->page_bytes == FERRY_PAGE_BYTES;
    at->huge = facts->huge_wanted ? HUGE_WANTED : facts->huge_refused ? HUGE_REFUSED : HUGE_BY_DEFAULT;
    return 0;
}

static int seen(void *opaque, const struct mapping_facts *facts)
{
    struct check *check = opaque;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < check->ram->count; i++) {
        struct postcopy_block *at = &check->ram->blocks[i];
        uint64_t start = postcopy_address(at, 0), end = start + at->block->info.length;

        if (facts->start < end && start < facts->end)
            ret = check_mapping(at, facts, check->err);
        if (ret < 0)
            about(at, check->err);
    }
    return ret;
}

/* Without /proc there is only what the embedder said. */
static void believe(struct postcopy_ram *ram)
{
    for (unsigned i = 0; i < ram->count; i++) {
        struct postcopy_block *at = &ram->blocks[i];

        at->mapped = true;
        at->shared = !(at->block->info.flags & FERRY_BLOCK_PRIVATE);
        at->file = at->shared && at->host_pages == 1;
    }
}

static int try_block(struct postcopy_ram *ram, struct postcopy_block *at, struct ferry_error *err)
{
    const struct ferry_block *info = &at->block->info;
    struct uffdio_range range = { (uintptr_t)info->host, info->length };
    struct uffdio_register reg = { .range = range, .mode = postcopy_mode(at) };
    uint64_t needed = UINT64_C(1) << _UFFDIO_COPY | UINT64_C(1) << _UFFDIO_WAKE;

    if (postcopy_over_file(at))
        needed |= UINT64_C(1) << _UFFDIO_CONTINUE;
    if (!at->mapped)
        return ferry_error_set(err, -EINVAL, "block '%s': nothing is mapped at %p", info->name, info->host);
    if (ioctl(ram->fd, UFFDIO_REGISTER, &reg) < 0) {
        int error = errno;

        return ferry_error_set(err, -ENOTSUP, "block '%s': userfaultfd does not take its memory%s: %s", info->name,
                               error == EBUSY   ? ", another one has it"
                               : error == EPERM ? ", its file is sealed or not open for writing"
                               : at->file       ? ", a file of its kind cannot be watched"
                                                : "",
                               strerror(error));
    }
    userfault_unregister(ram->fd, info);
    at->ioctls = reg.ioctls;
    if ((reg.ioctls & needed) != needed)
        return ferry_error_set(err, -ENOTSUP, "block '%s': userfaultfd cannot install pages in memory of this kind",
                               info->name);
    return 0;
}

int postcopy_look(struct postcopy_ram *ram, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct check check = { ram, &why };
    int ret = mappings_each(seen, &check, &why);

    if (ret < 0 && why.code == FERRY_E_POSTCOPY_UNSUPPORTED) {
        if (err)
            *err = why;
        return ret;
    }
    if (ret < 0) {
        log_info(LOG_MEMORY, "what kind the guest's memory is, is not looked up: %s", ferry_error_text(&why));
        believe(ram);
    }
    return 0;
}

int postcopy_try(struct postcopy_ram *ram, struct ferry_error *err)
{
    for (unsigned i = 0; i < ram->count; i++) {
        int ret = try_block(ram, &ram->blocks[i], err);

        if (ret < 0) {
            about(&ram->blocks[i], err);
            return ret;
        }
    }
    return 0;
}
