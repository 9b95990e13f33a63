/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_test.c - a description as a list of fields; what may differ between two builds, and what may not */
#include "schema_compare.h"
#include "schema_kind.h"
#include "state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what a description becomes -------------------------------------------------------------------------------------
 */

struct inner {
    uint32_t a, b;
};

struct outer {
    struct inner one;
    struct inner many[3];
    uint8_t used;
    uint16_t ring[8];
    uint32_t late;
    bool on;
    struct outer *next;
};

static bool is_on(void *opaque, int version)
{
    return true;
}

static bool sub_needed(void *opaque)
{
    return ((struct outer *)opaque)->on;
}

static const struct ferry_field inner_fields[] = {
    FERRY_U32(a, struct inner),
    FERRY_U32_V(b, struct inner, 2),
    FERRY_END,
};
static const struct ferry_state_desc inner_desc = {
    .name = "inner", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct inner), .fields = inner_fields
};
static const struct ferry_field sub_fields[] = { FERRY_U32(late, struct outer), FERRY_END };
static const struct ferry_state_desc sub_desc = { .name = "outer/sub",
                                                  .version_id = 4,
                                                  .minimum_version_id = 3,
                                                  .fields = sub_fields,
                                                  .hooks = { .needed = sub_needed } };
static const struct ferry_state_desc *const subsections[] = { &sub_desc, NULL };
static const struct ferry_field outer_fields[] = {
    FERRY_STRUCT(one, struct outer, inner_desc, struct inner, .version = 3),
    FERRY_STRUCT_ARRAY(many, struct outer, 3, inner_desc, struct inner),
    FERRY_U8(used, struct outer),
    FERRY_VARRAY(ring, struct outer, used, U16, .exists = is_on),
    FERRY_VALIDATE("never mind", is_on),
    FERRY_UNUSED(3),
    FERRY_UNUSED(4),
    FERRY_END,
};
static const struct ferry_state_desc outer_desc = { .name = "outer",
                                                    .version_id = 3,
                                                    .minimum_version_id = 1,
                                                    .size = sizeof(struct outer),
                                                    .fields = outer_fields,
                                                    .subsections = subsections };

static void print_part(const struct schema_part *part, char *to, size_t room)
{
    size_t used = (size_t)snprintf(to, room, "%s %u/%u/%u %u:", part->name, part->version, part->described,
                                   part->minimum, part->flags);

    for (const struct schema_field *f = part->fields; f; f = f->next)
        used += (size_t)snprintf(to + used, room - used, " %s=%s*%u v%u f%u", f->path, schema_kind_name(f->kind),
                                 (unsigned)f->most, f->version, f->flags);
}

static void a_description_is_a_list(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct outer outer = { .on = true };
    const struct schema_part *part = schema_of(arena, &outer_desc, NULL, &outer, NULL);
    char text[1000];

    assert_non_null(part);
    print_part(part, text, sizeof(text));
    assert_string_equal(text, "outer 3/1/1 2: one.a=uint32*1 v3 f0 one.b=uint32*1 v3 f0 many[]=struct*3 v0 f0 "
                              "many[].a=uint32*1 v0 f0 many[].b=uint32*1 v0 f0 used=uint8*1 v0 f0 "
                              "ring[]=uint16*8 v0 f4 unused[0]=unused*3 v0 f0 unused[1]=unused*4 v0 f0");
    print_part(part->next, text, sizeof(text));
    assert_null(part->next->next);
    arena_free(arena);
}

static void a_profile_makes_structs_older(void **state)
{
    static const struct ferry_profile_version versions[] = { { "inner", 1 }, { "outer/sub", 3 }, { NULL, 0 } };
    const struct ferry_profile older = { .name = "older", .versions = versions };
    struct arena *arena = arena_new(1 << 20);
    const struct schema_part *part = schema_of(arena, &outer_desc, &older, NULL, NULL);

    assert_string_equal(part->fields->path, "one.a");
    assert_string_equal(part->fields->next->path, "many[]"); /* no one.b */
    assert_int_equal(part->next->version, 3);
    arena_free(arena);
}

static void subsections_say_whether_they_are_in_use(void **state)
{
    struct outer outer = { .on = false };
    struct arena *arena = arena_new(1 << 20);

    assert_int_equal(schema_of(arena, &outer_desc, NULL, &outer, NULL)->next->flags, SCHEMA_PART_OPTIONAL);
    outer.on = true;
    assert_int_equal(schema_of(arena, &outer_desc, NULL, &outer, NULL)->next->flags,
                     SCHEMA_PART_OPTIONAL | SCHEMA_PART_IN_USE);
    assert_int_equal(schema_of(arena, &outer_desc, NULL, NULL, NULL)->next->flags, SCHEMA_PART_OPTIONAL);
    arena_free(arena);
}

static void every_kind_of_field_is_in_the_list(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    const struct schema_part *part = schema_of(arena, &zoo_desc, NULL, NULL, NULL);
    unsigned seen[FERRY_KIND_VALIDATE + 1] = { 0 };

    assert_non_null(part);
    for (const struct schema_field *f = part->fields; f; f = f->next) {
        assert_int_equal(schema_kind_of_number(schema_kind_number(f->kind)), f->kind);
        assert_int_equal(schema_kind_of_name(schema_kind_name(f->kind)), f->kind);
        assert_true(schema_kind_number(f->kind) != 0);
        seen[f->kind]++;
    }
    for (int kind = FERRY_KIND_U8; kind < FERRY_KIND_VALIDATE; kind++)
        if (kind != FERRY_KIND_TMP && kind != FERRY_KIND_VSTRUCT && kind != FERRY_KIND_UNUSED)
            assert_true(seen[kind] > 0);
    arena_free(arena);
}

static void the_ceiling_holds(void **state)
{
    struct arena *arena = arena_new(100);
    struct ferry_error err = { 0 };

    assert_null(schema_of(arena, &zoo_desc, NULL, NULL, &err));
    assert_true(err.errnum < 0);
    arena_free(arena);
}

/* ---- what may differ ------------------------------------------------------------------------------------------------
 */

#define FIELD(path_, kind_, most_, ...)                                                                    \
    {                                                                                                      \
        .path = (path_), .type = "", .kind = FERRY_KIND_##kind_, .most = (most_), .factor = 1, __VA_ARGS__ \
    }
#define CUSTOM(type_)                                                                   \
    {                                                                                   \
        .path = "a", .type = (type_), .kind = FERRY_KIND_CUSTOM, .most = 1, .factor = 1 \
    }
#define COUNTED_BY(k) .count_kind = FERRY_COUNT_##k
#define MAYBE         .flags = SCHEMA_FIELD_CONDITIONAL

struct tally {
    unsigned of[SCHEMA_INCOMPATIBLE + 1];
    char said[4096];
};

static void judge(void *opaque, const struct schema_finding *finding)
{
    struct tally *tally = opaque;
    size_t used = strlen(tally->said);

    tally->of[finding->verdict]++;
    if (finding->verdict != SCHEMA_SAME)
        snprintf(tally->said + used, sizeof(tally->said) - used, "%s: %s|", finding->path, finding->why);
}

struct difference {
    struct schema_field from[5], to[5]; /* end with an empty path */
    unsigned compatible, incompatible;
    const char *says;
};

static const struct difference differences[] = {
    { { FIELD("a", U32, 1), FIELD("b", U8, 4) }, { FIELD("a", U32, 1), FIELD("b", U8, 4) }, 0, 0, "" },
    { { FIELD("a", U32, 1) }, { FIELD("a", U64, 1) }, 0, 1, "a: uint32 at the source, uint64 here|" },
    { { FIELD("a", U32, 1) }, { FIELD("a", I32, 1) }, 1, 0, "a: uint32 at the source, int32 here|" },
    { { FIELD("a", U64, 1) }, { FIELD("a", FLOAT64, 1) }, 0, 1, "a: uint64 at the source, float64 here|" },
    { { FIELD("a", U32, 2) }, { FIELD("a", U32, 3) }, 0, 1, "a: uint32 x 2 at the source, uint32 x 3 here|" },
    { { FIELD("a", U8, 6) }, { FIELD("a", BUFFER, 6) }, 1, 0, NULL },
    { { FIELD("a", U8, 6) }, { FIELD("a", BUFFER, 5) }, 0, 1, NULL },
    { { FIELD("a", U32, 9, COUNTED_BY(U8)) }, { FIELD("a", U32, 8, COUNTED_BY(U32)) }, 1, 0, NULL },
    { { FIELD("a", U32, 8, COUNTED_BY(U8)) }, { FIELD("a", U32, 9, COUNTED_BY(U8)) }, 0, 0, NULL },
    { { FIELD("a", U32, 8, COUNTED_BY(U8)) }, { FIELD("a", U32, 8) }, 0, 1, NULL },
    { { FIELD("old", U32, 1) }, { FIELD("new", U32, 1) }, 1, 0, "new: called 'old' at the source|" },
    { { FIELD("old", U32, 1) }, { FIELD("new", U16, 1) }, 0, 1, NULL },
    { { FIELD("a", U32, 1), FIELD("b", U32, 1) }, { FIELD("b", U32, 1), FIELD("a", U32, 1) }, 1, 1, NULL },
    { { FIELD("a", U32, 1) },
      { FIELD("a", U32, 1), FIELD("b", U8, 1) },
      0,
      1,
      "b: expected here, not sent by the source|" },
    { { FIELD("a", U32, 1), FIELD("b", U8, 1) },
      { FIELD("b", U8, 1) },
      0,
      1,
      "a: sent by the source, not known here|" },
    { { FIELD("a", U32, 1, MAYBE), FIELD("b", U8, 1) }, { FIELD("b", U8, 1) }, 1, 0, NULL },
    { { FIELD("a", U32, 1) }, { FIELD("x", U16, 1), FIELD("a", U32, 1) }, 0, 1, NULL },
    { { FIELD("a", U32, 1, MAYBE) }, { FIELD("a", U32, 1) }, 1, 0, NULL },
    { { FIELD("unused", UNUSED, 6), FIELD("c", U8, 1) },
      { FIELD("a", U32, 1), FIELD("b", U16, 1), FIELD("c", U8, 1) },
      1,
      0,
      "a: 6 bytes that the other side does not use|" },
    { { FIELD("a", U32, 1), FIELD("b", U16, 1) }, { FIELD("unused", UNUSED, 6) }, 1, 0, NULL },
    { { FIELD("a", U32, 1), FIELD("b", U16, 1) }, { FIELD("unused", UNUSED, 5) }, 0, 2, NULL },
    { { FIELD("a", U32, 1), FIELD("n", U8, 1, .version = 9) },
      { FIELD("a", U32, 1), FIELD("m", U8, 1, .version = 8) },
      0,
      0,
      "m: from version 8 on|" },
    { { CUSTOM("ring") }, { CUSTOM("cube") }, 0, 1, "a: custom (ring) at the source, custom (cube) here|" },
    { { FIELD("a", END, 1) }, { FIELD("a", END, 1) }, 0, 1, NULL }, /* a kind that nobody knows */
};

/* A list of fields as one part. */
static struct schema_part part_of(struct schema_field *fields, const struct schema_field *from)
{
    struct schema_part part = { .name = "x", .where = "", .version = 5, .flags = SCHEMA_PART_IN_USE };

    memcpy(fields, from, 5 * sizeof(*fields));
    for (unsigned i = 0; i < 4 && fields[i + 1].path; i++)
        fields[i].next = &fields[i + 1];
    part.fields = fields[0].path ? fields : NULL;
    return part;
}

static void differences_are_judged(void **state)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        const struct difference *d = &differences[i];
        struct schema_field from_fields[5], to_fields[5];
        struct schema_part from = part_of(from_fields, d->from), to = part_of(to_fields, d->to);
        struct tally tally = { 0 };

        schema_compare(&from, &to, judge, &tally);
        if (tally.of[SCHEMA_COMPATIBLE] != d->compatible || tally.of[SCHEMA_INCOMPATIBLE] != d->incompatible ||
            (d->says && strcmp(tally.said, d->says)))
            fail_msg("row %zu: %u %u '%s'", i, tally.of[SCHEMA_COMPATIBLE], tally.of[SCHEMA_INCOMPATIBLE], tally.said);
    }
}

static void subsections_are_compared(void **state)
{
    struct schema_field field = FIELD("a", U32, 1), wider = FIELD("a", U64, 1);
    struct schema_part from_sub = { .name = "x/y", .where = "", .version = 2, .fields = &field };
    struct schema_part to_sub = { .name = "x/y", .where = "", .version = 2, .minimum = 2, .fields = &wider };
    struct schema_part from = { .next = &from_sub, .name = "x", .where = "" }, to = from;
    struct tally tally = { 0 };

    to.next = &to_sub;
    schema_compare(&from, &to, judge, &tally); /* not in use */
    assert_int_equal(tally.of[SCHEMA_INCOMPATIBLE], 0);
    assert_int_equal(tally.of[SCHEMA_COMPATIBLE], 1);
    from_sub.flags = SCHEMA_PART_IN_USE;
    schema_compare(&from, &to, judge, &tally);
    assert_int_equal(tally.of[SCHEMA_INCOMPATIBLE], 1);
    from_sub.version = 1;
    tally = (struct tally){ 0 };
    schema_compare(&from, &to, judge, &tally);
    assert_string_equal(tally.said, ": the source sends version 1 of it, 2 to 2 can be loaded here|");
    to.next = NULL;
    tally = (struct tally){ 0 };
    schema_compare(&from, &to, judge, &tally);
    assert_string_equal(tally.said, ": this subsection is not known here|");
}

static void differences_without_end_are_not_all_told(void **state)
{
    enum { N = 500 };
    struct schema_field *from_fields = calloc(N, sizeof(*from_fields)), *to_fields = calloc(N, sizeof(*to_fields));
    struct schema_part from = { .name = "x", .where = "", .fields = from_fields }, to = from;
    struct tally tally = { 0 };

    to.fields = to_fields;
    for (int i = 0; i < N; i++) {
        from_fields[i] = (struct schema_field)FIELD("a", U8, 1);
        to_fields[i] = (struct schema_field)FIELD("a", U16, 1);
        from_fields[i].next = i + 1 < N ? &from_fields[i + 1] : NULL;
        to_fields[i].next = i + 1 < N ? &to_fields[i + 1] : NULL;
    }
    schema_compare(&from, &to, judge, &tally);
    assert_int_equal(tally.of[SCHEMA_INCOMPATIBLE], SCHEMA_DIFFERENCES_MAX + 1);
    free(from_fields);
    free(to_fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_is_a_list),
        cmocka_unit_test(a_profile_makes_structs_older),
        cmocka_unit_test(subsections_say_whether_they_are_in_use),
        cmocka_unit_test(every_kind_of_field_is_in_the_list),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(differences_are_judged),
        cmocka_unit_test(subsections_are_compared),
        cmocka_unit_test(differences_without_end_are_not_all_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
