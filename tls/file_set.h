/* SPDX-License-Identifier: BSD-3-Clause */
/* file_set.h - files that belong together: written beside their places first, then put there, all or none
 *
 *      add       DIR/server-key.pem.a1B2c3   0600 from its first byte on, on the disk
 *      commit    DIR/server-key.pem          by a link, which never replaces; or by a rename, where that was asked for
 *
 * A reader sees a whole file or none.  A process that is killed leaves a .XXXXXX behind, which nobody reads.
 */
#ifndef TLS_FILE_SET_H
#define TLS_FILE_SET_H

#include <ferry/error.h>
#include <stddef.h>
#include <sys/types.h>

#define FILE_SET_MAX 8

struct file_set {
    unsigned count;
    struct file_set_row {
        char *path, *temporary; /* NULL: it is in its place */
    } rows[FILE_SET_MAX];
};

/* Folders that are missing from @folder on are made, for their owner alone; what is above it must be there. */
int file_set_add(struct file_set *set, const char *folder, const char *path, mode_t mode, const void *bytes,
                 size_t count, struct ferry_error *err);

/* Without @replace: -EEXIST where one of them is there, and none is written. */
int file_set_commit(struct file_set *set, bool replace, struct ferry_error *err);

/* What was not committed goes away.  A zeroed one is legal. */
void file_set_clear(struct file_set *set);

#endif
