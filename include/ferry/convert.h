/* SPDX-License-Identifier: BSD-3-Clause */
/* convert.h - exchanging a device's state with another version of the same device
 *
 * A converter carries the other version's description, so encodings remain data; what it changes are values by name.
 * It may be registered at either end, and serves both directions: an upgrade and the way back.
 *
 *     version 1: u32 period_ms                version 2: u64 period_ns, bool periodic
 *
 *     static int from_v1(struct ferry_values *values, struct ferry_error *err)
 *     {
 *         uint64_t ms;
 *         int ret = ferry_values_get_u64(values, "period_ms", &ms, err);
 *
 *         if (ret == 0)
 *             ret = ferry_values_remove(values, "period_ms", err);
 *         if (ret == 0)
 *             ret = ferry_values_set_u64(values, "period_ns", ms * 1000000, err);
 *         return ret < 0 ? ret : ferry_values_set_bool(values, "periodic", true, err);
 *     }
 *
 * Values are found by path: "regs[3].mode"; of a subsection "nic/rss.fields.key".  A name with dots in it is one name.
 * Struct members that hold structs are objects; lists are arrays.
 */
#ifndef FERRY_CONVERT_H
#define FERRY_CONVERT_H

#include <ferry/state.h>

FERRY_BEGIN_DECLS

struct ferry_values;

/**
 * struct ferry_converter - the other version, the way from it, and the way to it
 *
 * @other: its name is that of the device's own description, its version_id the other version (from minimum_version_id
 *         on it can be loaded, too); it may not hold arrays of pointers.  Its struct is zeroed memory of Ferry's, what
 *         its fields point at included.
 * @from_other: the values of the other version become those of ours; NULL: cannot be loaded
 * @to_other: ours become the other's; NULL: cannot be saved
 *
 * In the end there must be exactly the values that exist in the version reached; the rest, checks of the descriptions
 * included, is as in any load and save.  Thread: the session's.
 */
struct ferry_converter {
    const struct ferry_state_desc *other;
    int (*from_other)(struct ferry_values *values, struct ferry_error *err);
    int (*to_other)(struct ferry_values *values, struct ferry_error *err);
};

FERRY_API bool ferry_values_has(const struct ferry_values *values, const char *path);

/* Elements of an array or a list; -ENOENT, -EINVAL: it is none. */
FERRY_API int64_t ferry_values_count(const struct ferry_values *values, const char *path, struct ferry_error *err);

/* -ENOENT: there is none of that name; -EINVAL: it is of another type; -ERANGE: it does not fit. */
FERRY_API int ferry_values_get_u64(const struct ferry_values *values, const char *path, uint64_t *value,
                                   struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_get_i64(const struct ferry_values *values, const char *path, int64_t *value,
                                   struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_get_bool(const struct ferry_values *values, const char *path, bool *value,
                                    struct ferry_error *err) FERRY_CHECK;
/* Exactly @bytes of a buffer. */
FERRY_API int ferry_values_get_bytes(const struct ferry_values *values, const char *path, void *to, size_t bytes,
                                     struct ferry_error *err) FERRY_CHECK;

/* Replace a value, or add one to the struct that the path leads to; an array gets one more element at [its length]. */
FERRY_API int ferry_values_set_u64(struct ferry_values *values, const char *path, uint64_t value,
                                   struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_set_i64(struct ferry_values *values, const char *path, int64_t value,
                                   struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_set_bool(struct ferry_values *values, const char *path, bool value,
                                    struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_set_bytes(struct ferry_values *values, const char *path, const void *from, size_t bytes,
                                     struct ferry_error *err) FERRY_CHECK;
/* An empty array, and an empty struct, to be filled. */
FERRY_API int ferry_values_set_array(struct ferry_values *values, const char *path,
                                     struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_set_struct(struct ferry_values *values, const char *path,
                                      struct ferry_error *err) FERRY_CHECK;

/* Whatever it is, from one place to another. */
FERRY_API int ferry_values_move(struct ferry_values *values, const char *from, const char *to,
                                struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_values_remove(struct ferry_values *values, const char *path, struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
