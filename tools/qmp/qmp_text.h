/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_text.h - bytes of a QMP connection, cut into JSON values
 *
 *      {"execute": "query-\n      | migrate"} {"exec       jansson reads only what is whole; what is begun is held,
 *      '--- held, 20 bytes'       '--- a value ''--- held  up to a limit, and scanned once
 *
 * Values need no newline behind them and may be printed over many lines, as QEMU takes them.  A byte 0xFF, which is in
 * no JSON, throws away what was begun.
 */
#ifndef QMP_TEXT_H
#define QMP_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QMP_WHY_BYTES 160

struct qmp_text {
    size_t limit; /* of one value, in bytes */
    char *held;   /* owned; not NUL-terminated */
    size_t bytes, room;
    int braces, brackets;
    bool in_string, escaped;
    bool skipping; /* words that are no JSON, until the line or the next value begins */
};

enum qmp_found {
    QMP_FOUND_NOTHING, /* all bytes were taken, no value is whole */
    QMP_FOUND_VALUE,
    QMP_FOUND_BROKEN,   /* no JSON; what follows is looked at afresh */
    QMP_FOUND_TOO_LONG, /* longer than the limit: nothing more can be made of this connection */
    QMP_FOUND_NO_MEMORY,
};

/* All zero but for @limit is the beginning.  Frees what is held. */
void qmp_text_clear(struct qmp_text *text);

/**
 * qmp_text_take() - take bytes until something is found
 * @used: how many were taken; call again with the rest
 * @value: the caller's reference, with QMP_FOUND_VALUE
 * @why: in words, with QMP_FOUND_BROKEN; QMP_WHY_BYTES
 */
enum qmp_found qmp_text_take(struct qmp_text *text, const char *data, size_t bytes, size_t *used, json_t **value,
                             char *why);

#endif
