/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_keys.c - a key for the two sides of a demo, gone with it */
#include "demo_keys.h"

#include "make_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int demo_keys_make(struct demo_keys *keys, struct ferry_error *err)
{
    struct file_set made = { 0 };
    int ret;

    snprintf(keys->folder, sizeof(keys->folder), "/tmp/ferry-demo-XXXXXX");
    if (!mkdtemp(keys->folder)) {
        ret = -errno;
        ferry_error_set(err, ret, "%s: no folder for a key: %s", keys->folder, strerror(errno));
        keys->folder[0] = '\0';
        return ret;
    }
    snprintf(keys->path, sizeof(keys->path), "%s/keys.psk", keys->folder);
    ret = make_psk(keys->path, TLS_PSK_IDENTITY, false, &made, err);
    file_set_clear(&made);
    return ret;
}

void demo_keys_remove(struct demo_keys *keys)
{
    if (!keys->folder[0])
        return;
    unlink(keys->path);
    rmdir(keys->folder);
    keys->folder[0] = '\0';
}
