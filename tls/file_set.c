/* SPDX-License-Identifier: BSD-3-Clause */
/* file_set.c - files that belong together: written beside their places first, then put there, all or none */
#include "file_set.h"

#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700

static int make_folder(const char *path, struct ferry_error *err)
{
    return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST ? 0 : names_file_error(path, errno, err);
}

/* DIR, DIR/CA, DIR/CA/private for DIR/CA/private/cakey.pem. */
static int make_folders(const char *folder, const char *path, struct ferry_error *err)
{
    char *part = strdup(path);
    int ret = part ? 0 : ferry_error_set(err, -ENOMEM, "%s: no memory for its name", path);
    size_t at = strlen(folder);

    for (; ret == 0 && part[at]; at++) {
        if (part[at] != '/' || at == 0)
            continue;
        part[at] = '\0';
        ret = make_folder(part, err);
        part[at] = '/';
    }
    free(part);
    return ret;
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int write_temporary(struct file_set_row *row, mode_t mode, const void *bytes, size_t count,
                           struct ferry_error *err)
{
    int fd = mkostemp(row->temporary, O_CLOEXEC), ret;

    if (fd < 0)
        return names_file_error(row->path, errno, err);
    ret = write_all(fd, bytes, count);
    if (ret == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        ret = -errno;
    if (close(fd) < 0 && ret == 0)
        ret = -errno;
    if (ret < 0)
        unlink(row->temporary);
    return ret < 0 ? names_file_error(row->path, -ret, err) : 0;
}

int file_set_add(struct file_set *set, const char *folder, const char *path, mode_t mode, const void *bytes,
                 size_t count, struct ferry_error *err)
{
    struct file_set_row row = { .path = strdup(path) };
    int ret;

    if (set->count == FILE_SET_MAX || !row.path || asprintf(&row.temporary, "%s.XXXXXX", path) < 0) {
        free(row.path);
        return ferry_error_set(err, -ENOMEM, "%s: no memory for its name", path);
    }
    ret = make_folders(folder, path, err);
    if (ret == 0)
        ret = write_temporary(&row, mode, bytes, count, err);
    if (ret == 0) {
        set->rows[set->count++] = row;
        return 0;
    }
    free(row.path);
    free(row.temporary);
    return ret;
}

/* A link is refused where there is a file; a rename replaces it. */
static int put(struct file_set_row *row, bool replace)
{
    if (replace ? rename(row->temporary, row->path) < 0 : link(row->temporary, row->path) < 0)
        return -errno;
    if (!replace)
        unlink(row->temporary);
    free(row->temporary);
    row->temporary = NULL;
    return 0;
}

/* The names, too, must be on the disk. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

int file_set_commit(struct file_set *set, bool replace, struct ferry_error *err)
{
    unsigned done = 0;
    int ret = 0;

    for (; ret == 0 && done < set->count; done++)
        ret = put(&set->rows[done], replace);
    if (ret < 0) {
        const char *path = set->rows[--done].path;

        if (ret == -EEXIST)
            ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, ret, "%s: is there already, and stays as it is", path);
        else
            names_file_error(path, -ret, err);
        /* What was linked is ours alone, and of no use without the rest. */
        while (!replace && done > 0)
            unlink(set->rows[--done].path);
        return ret;
    }
    for (unsigned i = 0; i < set->count; i++)
        sync_folder(set->rows[i].path);
    return 0;
}

void file_set_clear(struct file_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->rows[i].temporary)
            unlink(set->rows[i].temporary);
        free(set->rows[i].temporary);
        free(set->rows[i].path);
    }
    *set = (struct file_set){ 0 };
}
