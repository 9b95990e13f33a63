/* SPDX-License-Identifier: BSD-3-Clause */
/* visitor.c - the typed calls that an encoding of one's own is made of */
#include "visitor.h"

bool ferry_visit_loading(const struct ferry_visitor *visitor)
{
    return visitor->ops->loading;
}

int ferry_visit_u8(struct ferry_visitor *visitor, const char *name, uint8_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_U8, value, err);
}

int ferry_visit_u16(struct ferry_visitor *visitor, const char *name, uint16_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_U16, value, err);
}

int ferry_visit_u32(struct ferry_visitor *visitor, const char *name, uint32_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_U32, value, err);
}

int ferry_visit_u64(struct ferry_visitor *visitor, const char *name, uint64_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_U64, value, err);
}

int ferry_visit_i8(struct ferry_visitor *visitor, const char *name, int8_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_I8, value, err);
}

int ferry_visit_i16(struct ferry_visitor *visitor, const char *name, int16_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_I16, value, err);
}

int ferry_visit_i32(struct ferry_visitor *visitor, const char *name, int32_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_I32, value, err);
}

int ferry_visit_i64(struct ferry_visitor *visitor, const char *name, int64_t *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_I64, value, err);
}

int ferry_visit_bool(struct ferry_visitor *visitor, const char *name, bool *value, struct ferry_error *err)
{
    return visitor->ops->scalar(visitor, name, FERRY_KIND_BOOL, value, err);
}

int ferry_visit_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                      struct ferry_error *err)
{
    return visitor->ops->bytes(visitor, name, data, bytes, err);
}

int visitor_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                         int version, struct ferry_error *err)
{
    const struct visitor_shape *shape = visitor->ops->shape;

    return shape ? shape->begin_struct(visitor, name, desc, version, err) : 0;
}

int visitor_end_struct(struct ferry_visitor *visitor, struct ferry_error *err)
{
    const struct visitor_shape *shape = visitor->ops->shape;

    return shape ? shape->end_struct(visitor, err) : 0;
}

int visitor_end_subsection(struct ferry_visitor *visitor, struct ferry_error *err)
{
    const struct visitor_shape *shape = visitor->ops->shape;

    return shape ? shape->end_subsection(visitor, err) : 0;
}
