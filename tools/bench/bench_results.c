/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_results.c - the file that a benchmark leaves behind */
#include "bench_results.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX (8 << 20) /* longer ones are none of ours */

static int write_line(struct bench_results *results, json_t *object, struct ferry_error *err)
{
    if (json_dumpf(object, results->file, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0 ||
        fputc('\n', results->file) == EOF || fflush(results->file) == EOF)
        return ferry_error_set(err, errno ? -errno : -EIO, "%s: what was measured could not be written: %s",
                               results->path, strerror(errno ? errno : EIO));
    return 0;
}

static int take_path(struct bench_results *results, const char *path, struct ferry_error *err)
{
    *results = (struct bench_results){ .runs = json_array() };
    if (snprintf(results->path, sizeof(results->path), "%s", path) >= (int)sizeof(results->path))
        return ferry_error_set(err, -ENAMETOOLONG, "%s: too long a name", path);
    return 0;
}

int bench_results_create(struct bench_results *results, const char *path, json_t *header, struct ferry_error *err)
{
    int ret = take_path(results, path, err),
        fd = ret < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    results->header = header;
    if (ret < 0)
        return ret;
    if (fd < 0 && errno == EEXIST)
        return ferry_error_set(err, -EINVAL, "%s is there already: go on with it by --resume %s, or name another file",
                               path, path);
    results->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!results->file)
        return ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    return write_line(results, header, err);
}

/* The whole lines of a file.  Returns where they end, or a negative errno. */
static long read_lines(struct bench_results *results, FILE *file, struct ferry_error *err)
{
    char *line = NULL;
    size_t room = 0;
    long end = 0;
    ssize_t got;

    while ((got = getline(&line, &room, file)) > 0 && line[got - 1] == '\n') {
        json_t *object = got < LINE_BYTES_MAX ? json_loadb(line, (size_t)got, 0, NULL) : NULL;

        if (!json_is_object(object)) {
            json_decref(object);
            end = ferry_error_set(err, -EINVAL, "%s: byte %ld: no line of a benchmark", results->path, end);
            break;
        }
        end += got;
        if (!results->header)
            results->header = object;
        else
            json_array_append_new(results->runs, object);
    }
    free(line);
    return end;
}

int bench_results_open(struct bench_results *results, const char *path, bool append, struct ferry_error *err)
{
    int ret = take_path(results, path, err);
    FILE *file;
    long end;

    if (ret < 0)
        return ret;
    file = fopen(path, append ? "r+e" : "re");
    if (!file)
        return ferry_error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
    end = read_lines(results, file, err);
    if (end >= 0 && json_integer_value(json_object_get(results->header, "ferry-bench")) != RESULTS_VERSION)
        end = ferry_error_set(err, -EINVAL, "%s: not what a benchmark of this version leaves behind", path);
    if (end >= 0 && append && (ftruncate(fileno(file), end) < 0 || fseek(file, end, SEEK_SET) < 0))
        end = ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    if (end < 0 || !append)
        fclose(file);
    else
        results->file = file;
    return end < 0 ? (int)end : 0;
}

int bench_results_add(struct bench_results *results, size_t row, size_t run, json_t *record, struct ferry_error *err)
{
    if (!record || json_object_set_new(record, "row", json_integer((json_int_t)row)) < 0 ||
        json_object_set_new(record, "run", json_integer((json_int_t)run)) < 0 ||
        json_array_append_new(results->runs, record) < 0)
        return ferry_error_set(err, -ENOMEM, "no memory for what was measured");
    return write_line(results, record, err);
}

bool bench_results_has(const struct bench_results *results, size_t row, size_t run)
{
    json_t *record;
    size_t i;

    json_array_foreach (results->runs, i, record)
        if (json_integer_value(json_object_get(record, "row")) == (json_int_t)row &&
            json_integer_value(json_object_get(record, "run")) == (json_int_t)run)
            return true;
    return false;
}

void bench_results_close(struct bench_results *results)
{
    json_decref(results->header);
    json_decref(results->runs);
    if (results->file)
        fclose(results->file);
    *results = (struct bench_results){ 0 };
}
