/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - why something failed: a code, a sentence, and where it was */
#include "printable.h"

#include <ferry/error.h>
#include <stdio.h>
#include <string.h>

/* Written in place, then made fit for a terminal. */
static void write_text(char *to, size_t room, const char *format, va_list args)
{
    vsnprintf(to, room, format, args);
    printable(to, room, to, room);
}

static void describe(struct ferry_error *err, enum ferry_code code, int errnum, const char *format, va_list args)
{
    *err = (struct ferry_error){ .errnum = errnum, .code = code, .offset = -1 };
    write_text(err->text, sizeof(err->text), format, args);
}

int ferry_error_vset(struct ferry_error *err, int errnum, const char *format, va_list args)
{
    if (err)
        describe(err, ferry_code_of_errnum(errnum), errnum, format, args);
    return errnum;
}

int ferry_error_set(struct ferry_error *err, int errnum, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ferry_error_vset(err, errnum, format, args);
    va_end(args);
    return errnum;
}

int ferry_error_set_code(struct ferry_error *err, enum ferry_code code, int errnum, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (err)
        describe(err, code, errnum, format, args);
    va_end(args);
    return errnum;
}

int ferry_error_code(struct ferry_error *err, enum ferry_code code)
{
    const struct ferry_code_info *info = ferry_code_info(code);

    if (!err)
        return info ? info->errnum : ferry_code_info(FERRY_E_INTERNAL)->errnum;
    err->code = code;
    return err->errnum;
}

void ferry_error_object(struct ferry_error *err, const char *format, ...)
{
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    write_text(err->object, sizeof(err->object), format, args);
    va_end(args);
}

void ferry_error_offset(struct ferry_error *err, uint64_t offset)
{
    if (err)
        err->offset = offset <= INT64_MAX ? (int64_t)offset : -1;
}

void ferry_error_where(struct ferry_error *err, enum ferry_side side, const char *phase)
{
    if (!err)
        return;
    if (err->side == FERRY_SIDE_UNKNOWN)
        err->side = side;
    if (phase && !err->phase[0])
        printable(err->phase, sizeof(err->phase), phase, strlen(phase));
}

int ferry_error_prefix(struct ferry_error *err, const char *format, ...)
{
    char old[FERRY_ERROR_TEXT_BYTES];
    size_t used;
    va_list args;

    if (!err)
        return 0;
    memcpy(old, err->text, sizeof(old));
    va_start(args, format);
    write_text(err->text, sizeof(err->text), format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %.*s", (int)sizeof(old) - 1, old);
    printable(err->text, sizeof(err->text), err->text, sizeof(err->text));
    return err->errnum;
}

void ferry_error_hint(struct ferry_error *err, const char *format, ...)
{
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    write_text(err->hint, sizeof(err->hint), format, args);
    va_end(args);
}

const char *ferry_error_text(const struct ferry_error *err)
{
    return err && err->errnum ? err->text : "no error";
}

const char *ferry_error_advice(const struct ferry_error *err)
{
    const struct ferry_code_info *info = err && err->errnum ? ferry_code_info(err->code) : NULL;

    if (err && err->errnum && err->hint[0])
        return err->hint;
    return info ? info->hint : "";
}

const char *ferry_side_name(enum ferry_side side)
{
    switch (side) {
    case FERRY_SIDE_SOURCE:
        return "source";
    case FERRY_SIDE_DESTINATION:
        return "destination";
    default:
        return "unknown";
    }
}
