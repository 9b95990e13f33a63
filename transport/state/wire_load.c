/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_load.c - takes values off the wire
 *
 * Subsections are found by looking ahead.  A 05 may also be the next field of an outer description, so whatever does
 * not look like a subsection of this one is left for others, without an error:
 *
 *     05 | length | name ...       name must begin with the description's name and be longer; then it is ours, and
 *                                  must be known
 */
#include "fields.h"
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

static struct ferry_reader *wire_reader(struct ferry_visitor *visitor)
{
    return ((struct wire_load *)visitor)->reader;
}

/* Passes a getter's status on, with its sentence. */
static int wire_status(struct ferry_visitor *visitor, int rc, struct ferry_error *err)
{
    if (rc < 0)
        ferry_reader_status(wire_reader(visitor), err);
    return rc;
}

static int wire_get_bits(struct ferry_reader *reader, size_t bytes, uint64_t *bits)
{
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    int rc;

    switch (bytes) {
    case 1:
        rc = ferry_get_u8(reader, &u8);
        *bits = u8;
        return rc;
    case 2:
        rc = ferry_get_be16(reader, &u16);
        *bits = u16;
        return rc;
    case 4:
        rc = ferry_get_be32(reader, &u32);
        *bits = u32;
        return rc;
    default:
        return ferry_get_be64(reader, bits);
    }
}

static int wire_get_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                           struct ferry_error *err)
{
    uint64_t bits;
    int rc = wire_get_bits(wire_reader(visitor), kind_bytes(kind), &bits);

    if (rc == 0)
        scalar_store(kind, value, bits);
    return wire_status(visitor, rc, err);
}

static int wire_get_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                          struct ferry_error *err)
{
    return wire_status(visitor, bytes ? ferry_get_bytes(wire_reader(visitor), data, bytes) : 0, err);
}

static int wire_get_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    return wire_status(visitor, ferry_reader_skip(wire_reader(visitor), bytes), err);
}

static int wire_get_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                           struct ferry_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < (bits + 63) / 64; i++)
        rc = ferry_get_be64(wire_reader(visitor), &words[i]);
    return wire_status(visitor, rc, err);
}

static int wire_get_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom,
                           void *value, size_t size, struct ferry_error *err)
{
    int rc = custom->get(wire_reader(visitor), value, size, err);

    /* A get that ignored a failing getter has loaded nonsense. */
    return rc < 0 ? rc : wire_status(visitor, ferry_reader_status(wire_reader(visitor), NULL), err);
}

static int wire_get_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    uint8_t mark = 0;
    int rc = ferry_get_u8(wire_reader(visitor), &mark);

    if (rc < 0)
        return wire_status(visitor, rc, err);
    if (mark != WIRE_NULL)
        return ferry_error_set(err, -EPROTO, "0x%02x where this pointer is NULL here, so 0x%02x must come", mark,
                               WIRE_NULL);
    return 0;
}

static int wire_get_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    uint8_t mark = 0;
    int rc = ferry_get_u8(wire_reader(visitor), &mark);

    *more = mark != 0;
    return wire_status(visitor, rc, err);
}

static int wire_get_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    return wire_status(visitor, ferry_get_be32(wire_reader(visitor), count), err);
}

/* Bytes of a subsection's mark and name, with *name set; 0: no subsection of @parent follows. */
static ssize_t wire_peek_subsection(struct ferry_reader *reader, const struct ferry_state_desc *parent,
                                    const uint8_t **name)
{
    size_t parent_bytes = strlen(parent->name), name_bytes;
    const uint8_t *ahead;
    ssize_t got = ferry_reader_peek(reader, 2, &ahead);

    if (got < 2 || ahead[0] != WIRE_SUBSECTION || ahead[1] <= parent_bytes)
        return got < 0 ? got : 0;
    name_bytes = ahead[1];
    got = ferry_reader_peek(reader, 2 + name_bytes, &ahead);
    if (got < 0 || (size_t)got < 2 + name_bytes || memcmp(ahead + 2, parent->name, parent_bytes) != 0)
        return got < 0 ? got : 0;
    *name = ahead + 2;
    return got;
}

static int wire_get_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                               const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    struct ferry_reader *reader = wire_reader(visitor);
    const uint8_t *name = NULL;
    uint32_t number = 0;
    ssize_t bytes = wire_peek_subsection(reader, parent, &name);
    int rc;

    *which = NULL;
    if (bytes <= 0)
        return wire_status(visitor, (int)bytes, err);
    *which = field_find_subsection(parent, (const char *)name, (size_t)bytes - 2);
    if (!*which)
        return ferry_error_set(err, -ENOENT, "the subsection '%.*s' is not known here", (int)bytes - 2,
                               (const char *)name);
    rc = ferry_reader_skip(reader, (uint64_t)bytes);
    if (rc == 0)
        rc = ferry_get_be32(reader, &number);
    if (rc < 0)
        return wire_status(visitor, rc, err);
    if (number > INT_MAX)
        return ferry_error_set(err, -EPROTO, "%s: version %" PRIu32, (*which)->name, number);
    *version = (int)number;
    return 0;
}

static int wire_get_old(struct ferry_visitor *visitor, const struct ferry_state_desc *desc, void *copy, int version,
                        struct ferry_error *err)
{
    int rc = desc->hooks.load_old(wire_reader(visitor), copy, version, err);

    return rc < 0 ? rc : wire_status(visitor, ferry_reader_status(wire_reader(visitor), NULL), err);
}

static const struct visitor_ops wire_load_ops = {
    .loading = true,
    .scalar = wire_get_scalar,
    .bytes = wire_get_bytes,
    .unused = wire_get_unused,
    .bitmap = wire_get_bitmap,
    .custom = wire_get_custom,
    .null = wire_get_null,
    .more = wire_get_more,
    .count = wire_get_count,
    .subsection = wire_get_subsection,
    .old = wire_get_old,
};

void wire_load_init(struct wire_load *load, struct ferry_reader *reader)
{
    *load = (struct wire_load){ .visitor.ops = &wire_load_ops, .reader = reader };
}
