/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_key.c - a key for rows with tls=on: made at one end, told to the other, gone with both */
#include "bench_key.h"

#include "make_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make_folder(struct bench_key *key, struct ferry_error *err)
{
    snprintf(key->folder, sizeof(key->folder), "/tmp/ferry-bench-XXXXXX");
    if (!mkdtemp(key->folder)) {
        int ret = -errno;

        ferry_error_set(err, ret, "%s: no folder for a key: %s", key->folder, strerror(errno));
        key->folder[0] = '\0';
        return ret;
    }
    snprintf(key->path, sizeof(key->path), "%s/keys.psk", key->folder);
    return 0;
}

int bench_key_make(struct bench_key *key, char text[BENCH_KEY_BYTES], struct ferry_error *err)
{
    struct file_set made = { 0 };
    int ret = make_folder(key, err);
    FILE *file;
    size_t got;

    if (ret == 0)
        ret = make_psk(key->path, TLS_PSK_IDENTITY, false, &made, err);
    file_set_clear(&made);
    file = ret == 0 ? fopen(key->path, "re") : NULL;
    if (ret == 0 && !file)
        ret = ferry_error_set(err, -errno, "%s: %s", key->path, strerror(errno));
    if (file) {
        got = fread(text, 1, BENCH_KEY_BYTES - 1, file);
        text[got] = '\0';
        fclose(file);
    }
    if (ret < 0)
        bench_key_remove(key);
    return ret;
}

int bench_key_take(struct bench_key *key, const char *text, struct ferry_error *err)
{
    size_t bytes = strlen(text);
    int ret = make_folder(key, err), fd;

    if (ret < 0)
        return ret;
    fd = open(key->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes)
        ret = ferry_error_set(err, -EIO, "%s: the key could not be written: %s", key->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ret < 0)
        bench_key_remove(key);
    return ret;
}

void bench_key_remove(struct bench_key *key)
{
    if (!key->folder[0])
        return;
    unlink(key->path);
    rmdir(key->folder);
    key->folder[0] = '\0';
}
