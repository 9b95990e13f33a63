/* SPDX-License-Identifier: BSD-3-Clause */
/* visit.h - one function that saves, loads, prints, measures and hashes a value
 *
 * A visitor stands for what is being done with a device's state.  Describe an encoding by visiting its parts once, and
 * it works in both directions and for every visitor: on the wire, as JSON, in digests.  Each call either takes
 * *value (a save, a print) or sets it (a load); on failure *value is what it was, and the function must return the
 * error at once.  Names are for people and JSON; nothing of them is on the wire.
 */
#ifndef FERRY_VISIT_H
#define FERRY_VISIT_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_visitor;

/* Whether values are being set. */
FERRY_API bool ferry_visit_loading(const struct ferry_visitor *visitor);

FERRY_API int ferry_visit_u8(struct ferry_visitor *visitor, const char *name, uint8_t *value,
                             struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_u16(struct ferry_visitor *visitor, const char *name, uint16_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_u32(struct ferry_visitor *visitor, const char *name, uint32_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_u64(struct ferry_visitor *visitor, const char *name, uint64_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_i8(struct ferry_visitor *visitor, const char *name, int8_t *value,
                             struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_i16(struct ferry_visitor *visitor, const char *name, int16_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_i32(struct ferry_visitor *visitor, const char *name, int32_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_i64(struct ferry_visitor *visitor, const char *name, int64_t *value,
                              struct ferry_error *err) FERRY_CHECK;
FERRY_API int ferry_visit_bool(struct ferry_visitor *visitor, const char *name, bool *value,
                               struct ferry_error *err) FERRY_CHECK;

/* Raw bytes, as many as both sides know without being told. */
FERRY_API int ferry_visit_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                                struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
