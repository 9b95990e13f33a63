/* SPDX-License-Identifier: BSD-3-Clause */
/* digest.c - the visitor that hashes names, types and values
 *
 * Each thing goes in as: what it is (one byte), its name with a NUL, then its numbers as be64; so no two different
 * states make the same bytes.
 */
#include "digest.h"

#include "bytes.h"
#include "fields.h"
#include "scratch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int digest_feed(struct ferry_visitor *visitor, const void *data, size_t bytes)
{
    if (bytes)
        XXH3_128bits_update(((struct digest_visitor *)visitor)->hash, data, bytes);
    return 0;
}

static int digest_number(struct ferry_visitor *visitor, uint64_t number)
{
    uint8_t be[8];

    store_be64(be, number);
    return digest_feed(visitor, be, sizeof(be));
}

static int digest_thing(struct ferry_visitor *visitor, char what, const char *name, uint64_t number)
{
    digest_feed(visitor, &what, 1);
    digest_feed(visitor, name ? name : "", name ? strlen(name) + 1 : 1);
    return digest_number(visitor, number);
}

static int digest_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                         struct ferry_error *err)
{
    digest_thing(visitor, 'v', name, kind);
    return digest_number(visitor, scalar_load(kind, value));
}

static int digest_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                        struct ferry_error *err)
{
    digest_thing(visitor, 'b', name, bytes);
    return digest_feed(visitor, data, bytes);
}

/* What nobody uses has no value. */
static int digest_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    return 0;
}

static int digest_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                         struct ferry_error *err)
{
    digest_thing(visitor, 'm', name, bits);
    for (size_t i = 0; i < (bits + 63) / 64; i++)
        digest_number(visitor, words[i]);
    return 0;
}

static int digest_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom,
                         void *value, size_t size, struct ferry_error *err)
{
    uint8_t *data;
    size_t bytes;
    int rc = scratch_put(custom, value, size, &data, &bytes, err);

    if (rc < 0)
        return rc;
    digest_thing(visitor, 'c', name, bytes);
    digest_feed(visitor, data, bytes);
    free(data);
    return 0;
}

static int digest_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    return digest_thing(visitor, '0', name, 0);
}

static int digest_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    return digest_thing(visitor, 'l', NULL, *more);
}

static int digest_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    return digest_thing(visitor, 't', NULL, *count);
}

static int digest_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                             const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    return *which ? digest_thing(visitor, 's', (*which)->name, (uint64_t)*version) : 0;
}

static int digest_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                               int version, struct ferry_error *err)
{
    return digest_thing(visitor, '{', desc ? desc->name : name, (uint64_t)version);
}

static int digest_end(struct ferry_visitor *visitor, struct ferry_error *err)
{
    return digest_feed(visitor, "}", 1);
}

static int digest_begin_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    digest_thing(visitor, 'f', field->name, field->count);
    return digest_thing(visitor, ':', field_type(field->field), 0);
}

static int digest_end_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    return 0;
}

static int digest_begin_element(struct ferry_visitor *visitor, const struct visit_field *field,
                                const struct visit_element *element, struct ferry_error *err)
{
    return 0;
}

static int digest_end_element(struct ferry_visitor *visitor, struct ferry_error *err)
{
    return 0;
}

static const struct visitor_shape digest_shape = {
    .begin_struct = digest_begin_struct,
    .end_struct = digest_end,
    .begin_field = digest_begin_field,
    .end_field = digest_end_field,
    .begin_element = digest_begin_element,
    .end_element = digest_end_element,
    .end_subsection = digest_end,
};

static const struct visitor_ops digest_ops = {
    .scalar = digest_scalar,
    .bytes = digest_bytes,
    .unused = digest_unused,
    .bitmap = digest_bitmap,
    .custom = digest_custom,
    .null = digest_null,
    .more = digest_more,
    .count = digest_count,
    .subsection = digest_subsection,
    .shape = &digest_shape,
};

int digest_visitor_init(struct digest_visitor *digest, struct ferry_error *err)
{
    *digest = (struct digest_visitor){ .visitor.ops = &digest_ops, .hash = XXH3_createState() };
    if (!digest->hash || XXH3_128bits_reset(digest->hash) != XXH_OK)
        return ferry_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

void digest_visitor_result(const struct digest_visitor *digest, uint8_t to[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->hash));
    memcpy(to, canonical.digest, sizeof(canonical.digest));
}

void digest_visitor_release(struct digest_visitor *digest)
{
    XXH3_freeState(digest->hash);
}
