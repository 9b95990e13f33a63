/* SPDX-License-Identifier: BSD-3-Clause */
/* wire_save.c - puts values on the wire
 *
 * The writer remembers its first error: nothing here can fail but an encoding of the embedder's own.
 */
#include "fields.h"
#include "wire.h"

#include <errno.h>

static struct ferry_writer *wire_writer(struct ferry_visitor *visitor)
{
    return ((struct wire_save *)visitor)->writer;
}

static int wire_put_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                           struct ferry_error *err)
{
    struct ferry_writer *writer = wire_writer(visitor);
    uint64_t bits = scalar_load(kind, value);

    switch (kind_bytes(kind)) {
    case 1:
        ferry_put_u8(writer, (uint8_t)bits);
        break;
    case 2:
        ferry_put_be16(writer, (uint16_t)bits);
        break;
    case 4:
        ferry_put_be32(writer, (uint32_t)bits);
        break;
    default:
        ferry_put_be64(writer, bits);
    }
    return 0;
}

static int wire_put_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                          struct ferry_error *err)
{
    ferry_put_bytes(wire_writer(visitor), data, bytes);
    return 0;
}

static int wire_put_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    static const uint8_t zeros[256];

    while (bytes) {
        size_t now = bytes < sizeof(zeros) ? bytes : sizeof(zeros);

        ferry_put_bytes(wire_writer(visitor), zeros, now);
        bytes -= now;
    }
    return 0;
}

static int wire_put_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                           struct ferry_error *err)
{
    for (size_t i = 0; i < (bits + 63) / 64; i++)
        ferry_put_be64(wire_writer(visitor), words[i]);
    return 0;
}

static int wire_put_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom,
                           void *value, size_t size, struct ferry_error *err)
{
    return custom->put(wire_writer(visitor), value, size, err);
}

static int wire_put_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    ferry_put_u8(wire_writer(visitor), WIRE_NULL);
    return 0;
}

static int wire_put_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    ferry_put_u8(wire_writer(visitor), *more);
    return 0;
}

static int wire_put_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    ferry_put_be32(wire_writer(visitor), *count);
    return 0;
}

static int wire_put_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                               const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    struct ferry_writer *writer = wire_writer(visitor);

    if (!*which)
        return 0;
    ferry_put_u8(writer, WIRE_SUBSECTION);
    ferry_put_cstr8(writer, (*which)->name);
    ferry_put_be32(writer, (uint32_t)*version);
    return 0;
}

static const struct visitor_ops wire_save_ops = {
    .scalar = wire_put_scalar,
    .bytes = wire_put_bytes,
    .unused = wire_put_unused,
    .bitmap = wire_put_bitmap,
    .custom = wire_put_custom,
    .null = wire_put_null,
    .more = wire_put_more,
    .count = wire_put_count,
    .subsection = wire_put_subsection,
};

void wire_save_init(struct wire_save *save, struct ferry_writer *writer)
{
    *save = (struct wire_save){ .visitor.ops = &wire_save_ops, .writer = writer };
}
