/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_child.c - one side of one migration as a process of this program, and what it said on its way out */
#include "bench_child.h"

#include "bench_matrix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS_MAX    60
#define SETTINGS_MAX 48
#define WORD_BYTES   160

void bench_child_init(struct bench_child *child)
{
    process_init(&child->process);
    child->words_fd = -1;
}

/* "--NAME=VALUE" for each option of a migration.  Returns how many. */
static int add_settings(const json_t *settings, char words[SETTINGS_MAX][WORD_BYTES], struct ferry_error *err)
{
    const char *key;
    json_t *value;
    int count = 0;

    json_object_foreach ((json_t *)(uintptr_t)settings, key, value) {
        if (matrix_key(key) != MATRIX_OPTION)
            continue;
        if (count == SETTINGS_MAX ||
            snprintf(words[count], WORD_BYTES, "--%s=%s", key, json_string_value(value)) >= WORD_BYTES)
            return ferry_error_set(err, -EINVAL, "%s: too much to pass on", key);
        count++;
    }
    return count;
}

int bench_child_start(struct bench_child *child, const char *verb, const char *uri, const char *guest,
                      const json_t *settings, const char *key, const char *const more[], struct ferry_error *err)
{
    char words[SETTINGS_MAX][WORD_BYTES], creds[WORD_BYTES];
    const char *argv[WORDS_MAX + 5] = { "ferry", verb, uri, "--guest", guest, "--quiet" };
    int count = 6, given = add_settings(settings, words, err);

    if (given < 0)
        return given;
    for (int i = 0; i < given; i++)
        argv[count++] = words[i];
    if (key) {
        snprintf(creds, sizeof(creds), "--tls-creds=%s", key);
        argv[count++] = creds;
    }
    for (int i = 0; more[i]; i++)
        argv[count++] = more[i];
    child->words_fd = memfd_create("words", MFD_CLOEXEC);
    if (child->words_fd < 0)
        return ferry_error_set(err, -errno, "no file for the words of a process: %s", strerror(errno));
    child->process.words = child->words_fd;
    return process_start(&child->process, argv, err);
}

char *bench_child_words(const struct bench_child *child, char to[CHILD_WORDS_BYTES])
{
    ssize_t got = child->words_fd < 0 ? 0 : pread(child->words_fd, to, CHILD_WORDS_BYTES - 1, 0);

    to[got > 0 ? got : 0] = '\0';
    to[strcspn(to, "\n")] = '\0';
    return to;
}

void bench_child_close(struct bench_child *child)
{
    process_close(&child->process);
    if (child->words_fd >= 0)
        close(child->words_fd);
    bench_child_init(child);
}
