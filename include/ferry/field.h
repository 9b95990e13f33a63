/* SPDX-License-Identifier: BSD-3-Clause */
/* field.h - the macros that write a description's fields
 *
 * Included by state.h.  For C: each checks at compile time that the member has the type it says.
 *
 *     member   a member of `type`, possibly of an inner struct ("a.b")
 *     K        what an element is: U8 U16 U32 U64 I8 I16 I32 I64 BOOL FLOAT64 TIMER
 *     count    an earlier member of type uint8_t, uint16_t, uint32_t or int32_t that holds the number of elements
 *     most     the most elements a load accepts; where nothing is allocated, there must be room for that many
 *     ...      more about the field: `.version = 3` (exists from version 3 on), `.exists = predicate`
 *
 *     FERRY_U32(halted, struct cpu)            FERRY_ARRAY(regs, struct cpu, 16, U64, .version = 3)
 *     FERRY_VARRAY(queue, struct nic, queue_used, U16)
 */
#ifndef FERRY_FIELD_H
#define FERRY_FIELD_H

#include <stddef.h>

/* ---- building blocks -------------------------------------------------------------------------------------------- */

#define FERRY_C_U8      uint8_t
#define FERRY_C_U16     uint16_t
#define FERRY_C_U32     uint32_t
#define FERRY_C_U64     uint64_t
#define FERRY_C_I8      int8_t
#define FERRY_C_I16     int16_t
#define FERRY_C_I32     int32_t
#define FERRY_C_I64     int64_t
#define FERRY_C_BOOL    bool
#define FERRY_C_FLOAT64 double
#define FERRY_C_TIMER   int64_t

/* 0, unless the compiler refuses */
#define FERRY_ZERO_IF(condition, text)    \
    (0 * sizeof(struct {                  \
         _Static_assert(condition, text); \
         char unused;                     \
     }))

#define FERRY_SAME_TYPE(a, b)      __builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define FERRY_MEMBER(type, member) (((type *)0)->member)

/* The offset of a member, which must be of C type `wanted`. */
#define FERRY_OFFSET(type, member, wanted)                                                       \
    (offsetof(type, member) + FERRY_ZERO_IF(FERRY_SAME_TYPE(FERRY_MEMBER(type, member), wanted), \
                                            "the member is not of the type that its field says"))

/* The offset of a member that is an array of `wanted`. */
#define FERRY_ARRAY_OFFSET(type, member, wanted) \
    FERRY_OFFSET(type, member, wanted[sizeof(FERRY_MEMBER(type, member)) / sizeof(wanted)])
#define FERRY_ARRAY_LENGTH(type, member) (sizeof(FERRY_MEMBER(type, member)) / sizeof(FERRY_MEMBER(type, member)[0]))

/* The offset of a member that is an array of bytes. */
#define FERRY_BYTES_OFFSET(type, member)                                                             \
    (offsetof(type, member) +                                                                        \
     FERRY_ZERO_IF(sizeof(FERRY_MEMBER(type, member)[0]) == 1 &&                                     \
                       !FERRY_SAME_TYPE(FERRY_MEMBER(type, member), &FERRY_MEMBER(type, member)[0]), \
                   "the member is not an array of bytes"))

/* The offset of a member that points to bytes. */
#define FERRY_BYTES_POINTER_OFFSET(type, member)                                                    \
    (offsetof(type, member) +                                                                       \
     FERRY_ZERO_IF(sizeof(FERRY_MEMBER(type, member)[0]) == 1 &&                                    \
                       FERRY_SAME_TYPE(FERRY_MEMBER(type, member), &FERRY_MEMBER(type, member)[0]), \
                   "the member is not a pointer to bytes"))

#define FERRY_FIXED(n)                                      \
    {                                                       \
        .kind = FERRY_COUNT_FIXED, .factor = 1, .most = (n) \
    }

#define FERRY_COUNTED(type, member, multiplier, limit)                            \
    {                                                                             \
        .kind = _Generic(FERRY_MEMBER(type, member), uint8_t                      \
                         : FERRY_COUNT_U8, uint16_t                               \
                         : FERRY_COUNT_U16, uint32_t                              \
                         : FERRY_COUNT_U32, int32_t                               \
                         : FERRY_COUNT_I32),                                      \
        .offset = offsetof(type, member), .factor = (multiplier), .most = (limit) \
    }

/* ---- one value --------------------------------------------------------------------------------------------------- */

#define FERRY_VALUE(member_, type, K, ...)                                                            \
    {                                                                                                 \
        .name = #member_, .kind = FERRY_KIND_##K, .offset = FERRY_OFFSET(type, member_, FERRY_C_##K), \
        .size = sizeof(FERRY_C_##K), .count = FERRY_FIXED(1), __VA_ARGS__                             \
    }

#define FERRY_U8(member, type, ...)      FERRY_VALUE(member, type, U8, __VA_ARGS__)
#define FERRY_U16(member, type, ...)     FERRY_VALUE(member, type, U16, __VA_ARGS__)
#define FERRY_U32(member, type, ...)     FERRY_VALUE(member, type, U32, __VA_ARGS__)
#define FERRY_U64(member, type, ...)     FERRY_VALUE(member, type, U64, __VA_ARGS__)
#define FERRY_I8(member, type, ...)      FERRY_VALUE(member, type, I8, __VA_ARGS__)
#define FERRY_I16(member, type, ...)     FERRY_VALUE(member, type, I16, __VA_ARGS__)
#define FERRY_I32(member, type, ...)     FERRY_VALUE(member, type, I32, __VA_ARGS__)
#define FERRY_I64(member, type, ...)     FERRY_VALUE(member, type, I64, __VA_ARGS__)
#define FERRY_BOOL(member, type, ...)    FERRY_VALUE(member, type, BOOL, __VA_ARGS__)
#define FERRY_FLOAT64(member, type, ...) FERRY_VALUE(member, type, FLOAT64, __VA_ARGS__)
#define FERRY_TIMER(member, type, ...)   FERRY_VALUE(member, type, TIMER, __VA_ARGS__)

/* From a version on. */
#define FERRY_U8_V(member, type, v)      FERRY_VALUE(member, type, U8, .version = (v))
#define FERRY_U16_V(member, type, v)     FERRY_VALUE(member, type, U16, .version = (v))
#define FERRY_U32_V(member, type, v)     FERRY_VALUE(member, type, U32, .version = (v))
#define FERRY_U64_V(member, type, v)     FERRY_VALUE(member, type, U64, .version = (v))
#define FERRY_I8_V(member, type, v)      FERRY_VALUE(member, type, I8, .version = (v))
#define FERRY_I16_V(member, type, v)     FERRY_VALUE(member, type, I16, .version = (v))
#define FERRY_I32_V(member, type, v)     FERRY_VALUE(member, type, I32, .version = (v))
#define FERRY_I64_V(member, type, v)     FERRY_VALUE(member, type, I64, .version = (v))
#define FERRY_BOOL_V(member, type, v)    FERRY_VALUE(member, type, BOOL, .version = (v))
#define FERRY_FLOAT64_V(member, type, v) FERRY_VALUE(member, type, FLOAT64, .version = (v))
#define FERRY_TIMER_V(member, type, v)   FERRY_VALUE(member, type, TIMER, .version = (v))

/* While a predicate holds. */
#define FERRY_U8_TEST(member, type, test)      FERRY_VALUE(member, type, U8, .exists = (test))
#define FERRY_U16_TEST(member, type, test)     FERRY_VALUE(member, type, U16, .exists = (test))
#define FERRY_U32_TEST(member, type, test)     FERRY_VALUE(member, type, U32, .exists = (test))
#define FERRY_U64_TEST(member, type, test)     FERRY_VALUE(member, type, U64, .exists = (test))
#define FERRY_I8_TEST(member, type, test)      FERRY_VALUE(member, type, I8, .exists = (test))
#define FERRY_I16_TEST(member, type, test)     FERRY_VALUE(member, type, I16, .exists = (test))
#define FERRY_I32_TEST(member, type, test)     FERRY_VALUE(member, type, I32, .exists = (test))
#define FERRY_I64_TEST(member, type, test)     FERRY_VALUE(member, type, I64, .exists = (test))
#define FERRY_BOOL_TEST(member, type, test)    FERRY_VALUE(member, type, BOOL, .exists = (test))
#define FERRY_FLOAT64_TEST(member, type, test) FERRY_VALUE(member, type, FLOAT64, .exists = (test))
#define FERRY_TIMER_TEST(member, type, test)   FERRY_VALUE(member, type, TIMER, .exists = (test))

/* Must be the same on both sides. */
#define FERRY_EQUAL(member, type, K, ...)  FERRY_VALUE(member, type, K, .flags = FERRY_FIELD_EQUAL, __VA_ARGS__)
#define FERRY_U8_EQUAL(member, type, ...)  FERRY_EQUAL(member, type, U8, __VA_ARGS__)
#define FERRY_U16_EQUAL(member, type, ...) FERRY_EQUAL(member, type, U16, __VA_ARGS__)
#define FERRY_U32_EQUAL(member, type, ...) FERRY_EQUAL(member, type, U32, __VA_ARGS__)
#define FERRY_U64_EQUAL(member, type, ...) FERRY_EQUAL(member, type, U64, __VA_ARGS__)
#define FERRY_I32_EQUAL(member, type, ...) FERRY_EQUAL(member, type, I32, __VA_ARGS__)

/* 0 to what the loading side has; then stored. */
#define FERRY_I32_LE(member, type, ...) FERRY_VALUE(member, type, I32, .flags = FERRY_FIELD_AT_MOST, __VA_ARGS__)

/* No bytes; @text says in a few words what must hold. */
#define FERRY_VALIDATE(text, test)                                    \
    {                                                                 \
        .name = (text), .kind = FERRY_KIND_VALIDATE, .exists = (test) \
    }

/* ---- arrays of values -------------------------------------------------------------------------------------------- */

#define FERRY_ELEMENTS(member_, kind_, offset_, bytes, ...)                                             \
    {                                                                                                   \
        .name = #member_, .kind = FERRY_KIND_##kind_, .offset = (offset_), .size = (bytes), __VA_ARGS__ \
    }

#define FERRY_ARRAY(member, type, n, K, ...)                                                   \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K[n]), sizeof(FERRY_C_##K), \
                   .count = FERRY_FIXED(n), __VA_ARGS__)

#define FERRY_ARRAY_2D(member, type, n1, n2, K, ...)                                                \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K[n1][n2]), sizeof(FERRY_C_##K), \
                   .count = FERRY_FIXED((n1) * (n2)), __VA_ARGS__)

#define FERRY_SUB_ARRAY(member, type, start, n, K, ...)                                                            \
    FERRY_ELEMENTS(member, K,                                                                                      \
                   FERRY_ARRAY_OFFSET(type, member, FERRY_C_##K) + (start) * sizeof(FERRY_C_##K) +                 \
                       FERRY_ZERO_IF((start) + (n) <= FERRY_ARRAY_LENGTH(type, member), "beyond the array's end"), \
                   sizeof(FERRY_C_##K), .count = FERRY_FIXED(n), __VA_ARGS__)

/* As many elements of an array as `count` says, x `factor`. */
#define FERRY_VARRAY(member, type, count, K, ...) FERRY_VARRAY_MULTIPLY(member, type, count, 1, K, __VA_ARGS__)
#define FERRY_VARRAY_MULTIPLY(member, type, count_, factor, K, ...)                               \
    FERRY_ELEMENTS(member, K, FERRY_ARRAY_OFFSET(type, member, FERRY_C_##K), sizeof(FERRY_C_##K), \
                   .count = FERRY_COUNTED(type, count_, factor, FERRY_ARRAY_LENGTH(type, member)), __VA_ARGS__)

/* The member is a pointer to one element; to `count` of them; to `count` of them that a load allocates. */
#define FERRY_POINTER(member, type, K, ...)                                                   \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K *), sizeof(FERRY_C_##K), \
                   .flags = FERRY_FIELD_POINTER, .count = FERRY_FIXED(1), __VA_ARGS__)
#define FERRY_POINTER_VARRAY(member, type, count_, most, K, ...)                              \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K *), sizeof(FERRY_C_##K), \
                   .flags = FERRY_FIELD_POINTER, .count = FERRY_COUNTED(type, count_, 1, most), __VA_ARGS__)
#define FERRY_ALLOC_VARRAY(member, type, count_, most, K, ...)                                \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K *), sizeof(FERRY_C_##K), \
                   .flags = FERRY_FIELD_ALLOCATE, .count = FERRY_COUNTED(type, count_, 1, most), __VA_ARGS__)

/* The member is an array of n pointers, some of which may be NULL, the same ones on both sides. */
#define FERRY_ARRAY_OF_POINTERS(member, type, n, K, ...)                                         \
    FERRY_ELEMENTS(member, K, FERRY_OFFSET(type, member, FERRY_C_##K *[n]), sizeof(FERRY_C_##K), \
                   .flags = FERRY_FIELD_OF_POINTERS, .count = FERRY_FIXED(n), __VA_ARGS__)

/* ---- bytes and bits ---------------------------------------------------------------------------------------------- */

#define FERRY_BUFFER(member, type, ...)                                 \
    FERRY_ELEMENTS(member, BUFFER, FERRY_BYTES_OFFSET(type, member), 1, \
                   .count = FERRY_FIXED(sizeof(FERRY_MEMBER(type, member))), __VA_ARGS__)
#define FERRY_BUFFER_PART(member, type, start, n, ...)                                                               \
    FERRY_ELEMENTS(member, BUFFER,                                                                                   \
                   FERRY_BYTES_OFFSET(type, member) + (start) +                                                      \
                       FERRY_ZERO_IF((start) + (n) <= sizeof(FERRY_MEMBER(type, member)), "beyond the array's end"), \
                   1, .count = FERRY_FIXED(n), __VA_ARGS__)

/* A member of any type as the bytes it is in memory: for what has no byte order. */
#define FERRY_BUFFER_UNSAFE(member, type, ...)                \
    FERRY_ELEMENTS(member, BUFFER, offsetof(type, member), 1, \
                   .count = FERRY_FIXED(sizeof(FERRY_MEMBER(type, member))), __VA_ARGS__)

/* The member points at `count` x `factor` bytes; the second form is allocated by a load. */
#define FERRY_VBUFFER(member, type, count, most, ...) FERRY_VBUFFER_MULTIPLY(member, type, count, 1, most, __VA_ARGS__)
#define FERRY_VBUFFER_MULTIPLY(member, type, count_, factor, most, ...)                                       \
    FERRY_ELEMENTS(member, BUFFER, FERRY_BYTES_POINTER_OFFSET(type, member), 1, .flags = FERRY_FIELD_POINTER, \
                   .count = FERRY_COUNTED(type, count_, factor, most), __VA_ARGS__)
#define FERRY_ALLOC_VBUFFER(member, type, count_, most, ...)                                                   \
    FERRY_ELEMENTS(member, BUFFER, FERRY_BYTES_POINTER_OFFSET(type, member), 1, .flags = FERRY_FIELD_ALLOCATE, \
                   .count = FERRY_COUNTED(type, count_, 1, most), __VA_ARGS__)

/* The member, a uint64_t pointer, points at words for `most` bits; `count` of them are saved. */
#define FERRY_BITMAP(member, type, count_, most, ...)                                        \
    FERRY_ELEMENTS(member, BITMAP, FERRY_OFFSET(type, member, uint64_t *), sizeof(uint64_t), \
                   .flags = FERRY_FIELD_POINTER, .count = FERRY_COUNTED(type, count_, 1, most), __VA_ARGS__)

/* Bytes that nobody uses any more, or not yet. */
#define FERRY_UNUSED(bytes, ...)                                                                         \
    {                                                                                                    \
        .name = "unused", .kind = FERRY_KIND_UNUSED, .size = 1, .count = FERRY_FIXED(bytes), __VA_ARGS__ \
    }
#define FERRY_UNUSED_V(v, bytes) FERRY_UNUSED(bytes, .version = (v))
#define FERRY_UNUSED_VARRAY(type, count_, bytes_each, most_bytes, ...)            \
    {                                                                             \
        .name = "unused", .kind = FERRY_KIND_UNUSED, .size = 1,                   \
        .count = FERRY_COUNTED(type, count_, bytes_each, most_bytes), __VA_ARGS__ \
    }

/* ---- structs ----------------------------------------------------------------------------------------------------- */

/* `description` is the inner description itself (its address is taken), `inner` the C type it is about. */
#define FERRY_STRUCT(member, type, description, inner, ...)                                                   \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner), sizeof(inner), .count = FERRY_FIXED(1), \
                   .of.desc = &(description), __VA_ARGS__)
#define FERRY_VSTRUCT(member, type, description, inner, inner_version, ...)                                    \
    FERRY_ELEMENTS(member, VSTRUCT, FERRY_OFFSET(type, member, inner), sizeof(inner), .count = FERRY_FIXED(1), \
                   .struct_version = (inner_version), .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_ARRAY(member, type, n, description, inner, ...)                                             \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner[n]), sizeof(inner), .count = FERRY_FIXED(n), \
                   .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_ARRAY_2D(member, type, n1, n2, description, inner, ...)                 \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner[n1][n2]), sizeof(inner), \
                   .count = FERRY_FIXED((n1) * (n2)), .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_VARRAY(member, type, count_, description, inner, ...)                    \
    FERRY_ELEMENTS(member, STRUCT, FERRY_ARRAY_OFFSET(type, member, inner), sizeof(inner),    \
                   .count = FERRY_COUNTED(type, count_, 1, FERRY_ARRAY_LENGTH(type, member)), \
                   .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_POINTER(member, type, description, inner, ...)                                                  \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner *), sizeof(inner), .flags = FERRY_FIELD_POINTER, \
                   .count = FERRY_FIXED(1), .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_POINTER_VARRAY(member, type, count_, most, description, inner, ...)                             \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner *), sizeof(inner), .flags = FERRY_FIELD_POINTER, \
                   .count = FERRY_COUNTED(type, count_, 1, most), .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_ALLOC_VARRAY(member, type, count_, most, description, inner, ...)                                \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner *), sizeof(inner), .flags = FERRY_FIELD_ALLOCATE, \
                   .count = FERRY_COUNTED(type, count_, 1, most), .of.desc = &(description), __VA_ARGS__)
#define FERRY_STRUCT_ARRAY_OF_POINTERS(member, type, n, description, inner, ...)          \
    FERRY_ELEMENTS(member, STRUCT, FERRY_OFFSET(type, member, inner *[n]), sizeof(inner), \
                   .flags = FERRY_FIELD_OF_POINTERS, .count = FERRY_FIXED(n), .of.desc = &(description), __VA_ARGS__)

/* ---- lists, trees, temporaries, encodings of one's own ----------------------------------------------------------- */

/* `inner` is the type of an element, `link_` its TAILQ_ENTRY or LIST_ENTRY.  Only at file scope, where what it names
 * lives for ever. */
#define FERRY_TAILQ(member, type, description, inner, link_, most_, ...) \
    FERRY_LIST_OF(member, type, FERRY_LINKED(ferry_list_ops_tailq, description, inner, link_, most_), __VA_ARGS__)
#define FERRY_LIST(member, type, description, inner, link_, most_, ...) \
    FERRY_LIST_OF(member, type, FERRY_LINKED(ferry_list_ops_list, description, inner, link_, most_), __VA_ARGS__)
#define FERRY_LINKED(operations, description, inner, link_, most_) \
    ((const struct ferry_list){                                    \
        .ops = &(operations), .desc = &(description), .link = offsetof(inner, link_), .most = (most_) })

/* Any list: `list_` is a struct ferry_list. */
#define FERRY_LIST_OF(member, type, list_, ...)                                                                       \
    FERRY_ELEMENTS(member, LIST, offsetof(type, member), sizeof(FERRY_MEMBER(type, member)), .count = FERRY_FIXED(1), \
                   .of.list = &(list_), __VA_ARGS__)

#define FERRY_TREE(member, type, tree_, ...)                                                                          \
    FERRY_ELEMENTS(member, TREE, offsetof(type, member), sizeof(FERRY_MEMBER(type, member)), .count = FERRY_FIXED(1), \
                   .of.tree = &(tree_), __VA_ARGS__)

/* The first member of `inner` is `type *parent`: the device on a save and in post_load, its copy during a parse. */
#define FERRY_TMP(type, description, inner, ...)                                                \
    {                                                                                           \
        .name = "tmp", .kind = FERRY_KIND_TMP,                                                  \
        .size = sizeof(inner) + FERRY_OFFSET(inner, parent, type *) +                           \
                FERRY_ZERO_IF(offsetof(inner, parent) == 0, "parent must be the first member"), \
        .count = FERRY_FIXED(1), .of.desc = &(description), __VA_ARGS__                         \
    }

#define FERRY_CUSTOM(member, type, custom_, ...)                                               \
    FERRY_ELEMENTS(member, CUSTOM, offsetof(type, member), sizeof(FERRY_MEMBER(type, member)), \
                   .count = FERRY_FIXED(1), .of.custom = &(custom_), __VA_ARGS__)

#define FERRY_END    \
    {                \
        .name = NULL \
    }

#endif
