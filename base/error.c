/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - why something failed, as a number and a sentence */
#include <ferry/error.h>
#include <stdio.h>
#include <string.h>

int ferry_error_vset(struct ferry_error *err, int errnum, const char *format, va_list args)
{
    if (!err)
        return errnum;
    err->errnum = errnum;
    err->hint[0] = '\0';
    vsnprintf(err->text, sizeof(err->text), format, args);
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

int ferry_error_prefix(struct ferry_error *err, const char *format, ...)
{
    char old[FERRY_ERROR_TEXT_BYTES];
    size_t used;
    va_list args;

    if (!err)
        return 0;
    memcpy(old, err->text, sizeof(old));
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %.*s", (int)sizeof(old) - 1, old);
    return err->errnum;
}

void ferry_error_hint(struct ferry_error *err, const char *format, ...)
{
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    vsnprintf(err->hint, sizeof(err->hint), format, args);
    va_end(args);
}

const char *ferry_error_text(const struct ferry_error *err)
{
    return err && err->errnum ? err->text : "no error";
}
