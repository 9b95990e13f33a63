/* SPDX-License-Identifier: BSD-3-Clause */
/* size.c - the visitor that only counts what a save would put */
#include "size.h"

#include "fields.h"
#include "scratch.h"
#include <stdlib.h>
#include <string.h>

static int size_add(struct ferry_visitor *visitor, uint64_t bytes)
{
    ((struct size_visitor *)visitor)->bytes += bytes;
    return 0;
}

static int size_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                       struct ferry_error *err)
{
    return size_add(visitor, kind_bytes(kind));
}

static int size_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                      struct ferry_error *err)
{
    return size_add(visitor, bytes);
}

static int size_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    return size_add(visitor, bytes);
}

static int size_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                       struct ferry_error *err)
{
    return size_add(visitor, (bits + 63) / 64 * 8);
}

static int size_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom, void *value,
                       size_t size, struct ferry_error *err)
{
    uint8_t *data;
    size_t bytes;
    int rc = scratch_put(custom, value, size, &data, &bytes, err);

    if (rc < 0)
        return rc;
    free(data);
    return size_add(visitor, bytes);
}

static int size_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    return size_add(visitor, 1);
}

static int size_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    return size_add(visitor, 1);
}

static int size_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    return size_add(visitor, 4);
}

static int size_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                           const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    return *which ? size_add(visitor, 1 + 1 + strlen((*which)->name) + 4) : 0;
}

static const struct visitor_ops size_ops = {
    .scalar = size_scalar,
    .bytes = size_bytes,
    .unused = size_unused,
    .bitmap = size_bitmap,
    .custom = size_custom,
    .null = size_null,
    .more = size_more,
    .count = size_count,
    .subsection = size_subsection,
};

void size_visitor_init(struct size_visitor *size)
{
    *size = (struct size_visitor){ .visitor.ops = &size_ops };
}
