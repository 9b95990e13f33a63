/* SPDX-License-Identifier: BSD-3-Clause */
/* api.h - what marks a declaration as Ferry's public interface
 *
 * Everything not marked FERRY_API stays hidden from the linker.
 */
#ifndef FERRY_API_H
#define FERRY_API_H

#define FERRY_API __attribute__((visibility("default")))

/* The result must be looked at: a read that can fail says so. */
#define FERRY_CHECK __attribute__((warn_unused_result))

#define FERRY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#ifdef __cplusplus
#define FERRY_BEGIN_DECLS extern "C" {
#define FERRY_END_DECLS   }
#else
#define FERRY_BEGIN_DECLS
#define FERRY_END_DECLS
#endif

#endif
