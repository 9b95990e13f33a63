/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_compare.c - can what one build saves be loaded by another?
 *
 * The wire has no tags, so fields must agree in order and size; names only help to say what differs.
 *
 *     source   a u32   b u16         d u64
 *     here     a u32   b u16   c u8  d u64      c: expected here, not sent
 *
 * Where the two lists part, a name that occurs later on the other side says who has something extra.
 */
#include "schema_compare.h"

#include "fields.h"
#include "schema_kind.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct comparison {
    schema_judge *judge;
    void *opaque;
    const struct schema_part *part; /* the source's */
    uint32_t version;               /* of that part */
    unsigned differences;
    bool lenient; /* the part is not in use: nothing about it is a reason yet */
};

static void find(struct comparison *c, enum schema_verdict verdict, const char *path, const char *format, ...)
    FERRY_PRINTF(4, 5);

static void find(struct comparison *c, enum schema_verdict verdict, const char *path, const char *format, ...)
{
    char why[512];
    struct schema_finding finding = { verdict, c->part->name, path, why };
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    c->differences += verdict == SCHEMA_COMPATIBLE || verdict == SCHEMA_INCOMPATIBLE;
    if (verdict == SCHEMA_INCOMPATIBLE && c->lenient)
        finding.verdict = SCHEMA_COMPATIBLE;
    c->judge(c->opaque, &finding);
}

/* ---- one field ----------------------------------------------------------------------------------------------------
 */

/* "uint16 x 8", "struct x up to 4", "custom (ring)" */
static const char *print_type(const struct schema_field *field, char *to, size_t room)
{
    const char *kind = schema_kind_name(field->kind);
    bool custom = field->kind == FERRY_KIND_CUSTOM;

    if (field->count_kind != FERRY_COUNT_FIXED)
        snprintf(to, room, "%s x %" PRIu64 " x a count, up to %" PRIu64, kind, field->factor, field->most);
    else if (field->kind == FERRY_KIND_LIST || field->kind == FERRY_KIND_TREE)
        snprintf(to, room, "%s of up to %" PRIu64, kind, field->most);
    else if (field->most != 1)
        snprintf(to, room, "%s x %" PRIu64, kind, field->most);
    else
        snprintf(to, room, "%s%s%.64s%s", kind, custom ? " (" : "", custom ? field->type : "", custom ? ")" : "");
    return to;
}

/* Bytes that it always has on the wire; 0: that depends. */
static uint64_t fixed_bytes(const struct schema_field *field)
{
    uint64_t most = field->most > UINT32_MAX ? 0 : field->most;

    if (field->count_kind != FERRY_COUNT_FIXED || (field->flags & (SCHEMA_FIELD_CONDITIONAL | SCHEMA_FIELD_NULLABLE)))
        return 0;
    if (field->kind == FERRY_KIND_BUFFER || field->kind == FERRY_KIND_UNUSED)
        return most;
    return kind_is_scalar(field->kind) ? most * kind_bytes(field->kind) : 0;
}

static bool is_bytes(const struct schema_field *field)
{
    return field->kind == FERRY_KIND_BUFFER || field->kind == FERRY_KIND_UNUSED || field->kind == FERRY_KIND_U8 ||
           field->kind == FERRY_KIND_I8;
}

/* Whether both always have the same bytes, in the same encoding. */
static bool same_layout(const struct schema_field *from, const struct schema_field *to)
{
    if (from->kind == FERRY_KIND_CUSTOM && to->kind == FERRY_KIND_CUSTOM && strcmp(from->type, to->type) != 0)
        return false;
    if (!schema_kind_alike(from->kind, to->kind))
        return fixed_bytes(from) != 0 && fixed_bytes(from) == fixed_bytes(to) &&
               ((is_bytes(from) && is_bytes(to)) || from->kind == FERRY_KIND_UNUSED || to->kind == FERRY_KIND_UNUSED);
    if (from->kind == FERRY_KIND_LIST || from->kind == FERRY_KIND_TREE)
        return true;
    if ((from->count_kind == FERRY_COUNT_FIXED) != (to->count_kind == FERRY_COUNT_FIXED))
        return false;
    return from->count_kind == FERRY_COUNT_FIXED ? from->most == to->most : from->factor == to->factor;
}

static void compare_pair(struct comparison *c, const struct schema_field *from, const struct schema_field *to)
{
    uint32_t maybe = SCHEMA_FIELD_CONDITIONAL | SCHEMA_FIELD_NULLABLE;
    char there[128], here[128];

    print_type(from, there, sizeof(there));
    print_type(to, here, sizeof(here));
    if (!same_layout(from, to))
        find(c, SCHEMA_INCOMPATIBLE, to->path, "%s at the source, %s here", there, here);
    else if (strcmp(from->path, to->path) != 0)
        find(c, SCHEMA_COMPATIBLE, to->path, "called '%.200s' at the source", from->path);
    else if ((from->flags & maybe) != (to->flags & maybe))
        find(c, SCHEMA_COMPATIBLE, to->path, "its presence depends on the device's state in another way");
    else if (from->kind != to->kind)
        find(c, SCHEMA_COMPATIBLE, to->path, "%s at the source, %s here", there, here);
    else if (from->most > to->most)
        find(c, SCHEMA_COMPATIBLE, to->path, "up to %" PRIu64 " at the source, %" PRIu64 " here: more are refused",
             from->most, to->most);
    else
        find(c, SCHEMA_SAME, to->path, "%s", "");
}

/* ---- all fields of a part -----------------------------------------------------------------------------------------
 */

/* The first field from @field on that exists in the version compared; tells of those that do not. */
static const struct schema_field *next_field(struct comparison *c, const struct schema_field *field, bool here)
{
    for (; field && field->version > c->version; field = field->next)
        if (here)
            find(c, SCHEMA_NEWER, field->path, "from version %" PRIu32 " on", field->version);
    return field;
}

static bool occurs(const struct comparison *c, const struct schema_field *fields, const char *path)
{
    for (; fields; fields = fields->next)
        if (fields->version <= c->version && strcmp(fields->path, path) == 0)
            return true;
    return false;
}

static void extra(struct comparison *c, const struct schema_field *field, const char *what)
{
    if (field->flags & SCHEMA_FIELD_CONDITIONAL)
        find(c, SCHEMA_COMPATIBLE, field->path, "%s, in some states of the device", what);
    else
        find(c, SCHEMA_INCOMPATIBLE, field->path, "%s", what);
}

/* Bytes that one side does not use any more (or not yet) are fields of the other side.  Moves *fields behind them. */
static bool covers_gap(struct comparison *c, const struct schema_field *gap, const struct schema_field **fields)
{
    const struct schema_field *field = *fields;
    uint64_t bytes = 0;

    while (field && bytes < fixed_bytes(gap)) {
        if (fixed_bytes(field) == 0)
            return false;
        bytes += fixed_bytes(field);
        field = field->next;
        while (field && field->version > c->version)
            field = field->next;
    }
    if (bytes != fixed_bytes(gap))
        return false;
    find(c, SCHEMA_COMPATIBLE, (*fields)->path, "%" PRIu64 " bytes that the other side does not use", bytes);
    *fields = field;
    return true;
}

/* Both are there, under different names. */
static void compare_parted(struct comparison *c, const struct schema_field **from, const struct schema_field **to)
{
    bool from_later = occurs(c, (*to)->next, (*from)->path), to_later = occurs(c, (*from)->next, (*to)->path);

    if ((*from)->kind == FERRY_KIND_UNUSED && !to_later && covers_gap(c, *from, to)) {
        *from = (*from)->next;
    } else if ((*to)->kind == FERRY_KIND_UNUSED && !from_later && covers_gap(c, *to, from)) {
        *to = (*to)->next;
    } else if (from_later && to_later) {
        find(c, SCHEMA_INCOMPATIBLE, (*to)->path, "in another place at the source");
        *from = (*from)->next;
        *to = (*to)->next;
    } else if (from_later) {
        extra(c, *to, "expected here, not sent by the source");
        *to = (*to)->next;
    } else if (to_later) {
        extra(c, *from, "sent by the source, not known here");
        *from = (*from)->next;
    } else {
        compare_pair(c, *from, *to);
        *from = (*from)->next;
        *to = (*to)->next;
    }
}

static void compare_fields(struct comparison *c, const struct schema_field *from, const struct schema_field *to)
{
    for (;;) {
        from = next_field(c, from, false);
        to = next_field(c, to, true);
        if (!from && !to)
            return;
        if (c->differences >= SCHEMA_DIFFERENCES_MAX) {
            find(c, SCHEMA_INCOMPATIBLE, "", "too many differences to go on");
            return;
        }
        if (!to) {
            extra(c, from, "sent by the source, not known here");
            from = from->next;
        } else if (!from) {
            extra(c, to, "expected here, not sent by the source");
            to = to->next;
        } else if (strcmp(from->path, to->path) == 0) {
            compare_pair(c, from, to);
            from = from->next;
            to = to->next;
        } else {
            compare_parted(c, &from, &to);
        }
    }
}

/* ---- parts ---------------------------------------------------------------------------------------------------------
 */

/* Ours of that name, at the same place if there are several. */
static const struct schema_part *find_part(const struct schema_part *parts, const struct schema_part *like)
{
    const struct schema_part *found = NULL;

    for (; parts; parts = parts->next) {
        if (strcmp(parts->name, like->name) != 0)
            continue;
        if (strcmp(parts->where, like->where) == 0)
            return parts;
        if (!found)
            found = parts;
    }
    return found;
}

static void compare_part(struct comparison *c, const struct schema_part *from, const struct schema_part *to)
{
    if (!to)
        find(c, SCHEMA_INCOMPATIBLE, "",
             c->lenient ? "this subsection is not known here; it will be refused if the source comes to need it"
                        : "this subsection is not known here");
    else if (from->version > to->version || from->version < to->minimum)
        find(c, SCHEMA_INCOMPATIBLE, "",
             "the source sends version %" PRIu32 " of it, %" PRIu32 " to %" PRIu32 " can be loaded here", from->version,
             to->minimum, to->version);
    else if (from->version >= to->described && !((from->flags | to->flags) & SCHEMA_PART_OPAQUE))
        compare_fields(c, from->fields, to->fields);
}

void schema_compare(const struct schema_part *from, const struct schema_part *to, schema_judge *judge, void *opaque)
{
    const struct schema_part *body = to;

    for (const struct schema_part *part = from; part; part = part->next) {
        struct comparison c = {
            .judge = judge,
            .opaque = opaque,
            .part = part,
            .version = part->version,
            .lenient = part != from && !(part->flags & SCHEMA_PART_IN_USE),
        };

        compare_part(&c, part, part == from ? body : find_part(to->next, part));
    }
}
