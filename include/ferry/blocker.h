/* SPDX-License-Identifier: BSD-3-Clause */
/* blocker.h - reasons why a guest cannot be migrated now
 *
 * A device that cannot be moved, or not in the middle of what it does, says so once instead of failing at the last
 * byte.
 */
#ifndef FERRY_BLOCKER_H
#define FERRY_BLOCKER_H

#include <ferry/api.h>
#include <ferry/error.h>

FERRY_BEGIN_DECLS

struct ferry_guest;

/**
 * ferry_guest_block_migration() - let no migration of @guest start
 * @reason: a sentence for people; copied
 *
 * Returns a token, more than 0, for ferry_guest_unblock_migration(); or -EBUSY while a migration of @guest is under
 * way: it is not stopped by this; or -ENOMEM, -EINVAL (no reason).  ferry_source_start() refuses with -EPERM and all
 * reasons.
 * Thread: any.
 */
FERRY_API int ferry_guest_block_migration(struct ferry_guest *guest, const char *reason,
                                          struct ferry_error *err) FERRY_CHECK;

/* The reason is gone.  A token that is not, or no longer, valid is ignored.  Thread: any. */
FERRY_API void ferry_guest_unblock_migration(struct ferry_guest *guest, int token);

FERRY_END_DECLS

#endif
