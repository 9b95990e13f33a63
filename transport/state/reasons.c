/* SPDX-License-Identifier: BSD-3-Clause */
/* reasons.c - why a migration cannot be: all of the reasons at once, and what should be known besides */
#include "reasons.h"

#include "bytes.h"
#include "printable.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_BYTES 64 /* "and N more" */

void reasons_clear(struct reasons *reasons)
{
    free(reasons->rows);
    *reasons = (struct reasons){ 0 };
}

/* Room for one more; NULL: it is counted as dropped. */
static struct reason *new_reason(struct reasons *reasons)
{
    struct reason *rows = NULL;

    if (reasons->count < REASONS_MAX && !reasons->dropped)
        rows = realloc(reasons->rows, (reasons->count + 1) * sizeof(*rows));
    if (!rows) {
        reasons->dropped++;
        return NULL;
    }
    reasons->rows = rows;
    return &rows[reasons->count++];
}

void reasons_add(struct reasons *reasons, enum ferry_code code, const char *format, ...)
{
    struct reason *reason = new_reason(reasons);
    va_list args;

    if (!reason)
        return;
    reason->code = code;
    va_start(args, format);
    vsnprintf(reason->text, sizeof(reason->text), format, args);
    va_end(args);
    printable(reason->text, sizeof(reason->text), reason->text, sizeof(reason->text));
}

static enum ferry_code common_code(const struct reasons *reasons)
{
    for (unsigned i = 0; i < reasons->count; i++)
        if (reasons->rows[i].code != reasons->rows[0].code)
            return FERRY_E_REFUSED;
    return reasons->count && reasons->rows[0].code ? reasons->rows[0].code : FERRY_E_REFUSED;
}

int reasons_error(const struct reasons *reasons, struct ferry_error *err)
{
    char text[FERRY_ERROR_TEXT_BYTES] = "", more[MORE_BYTES] = "";
    size_t used = 0, room = sizeof(text) - MORE_BYTES;
    unsigned shown = 0;

    if (reasons->count + reasons->dropped == 0)
        return 0;
    for (; shown < reasons->count; shown++) {
        size_t bytes = strlen(reasons->rows[shown].text) + 2;

        if (used + bytes >= room && shown > 0)
            break;
        used += (size_t)snprintf(text + used, room - used, "%s%s", shown ? "; " : "", reasons->rows[shown].text);
        if (used >= room) {
            used = room - 1;
            shown++;
            break;
        }
    }
    if (shown < reasons->count || reasons->dropped)
        snprintf(more, sizeof(more), "; and %u more", reasons->count - shown + reasons->dropped);
    return ferry_error_set_code(err, common_code(reasons), -EINVAL, "the destination cannot take this guest: %s%s",
                                text, more);
}

/* ---- the wire ---------------------------------------------------------------------------------------------------- */

/* Returns the offset behind it. */
static size_t put_text(uint8_t *to, size_t at, const char *text)
{
    size_t bytes = strlen(text);

    store_be16(to + at, (uint16_t)bytes);
    memcpy(to + at + 2, text, bytes);
    return at + 2 + bytes;
}

uint8_t *reasons_encode(const struct reasons *reasons, size_t most, size_t *bytes, struct ferry_error *err)
{
    uint8_t *to = malloc(most);
    unsigned put = 0;
    char more[MORE_BYTES];
    size_t at = 2;

    if (!to) {
        ferry_error_set(err, -ENOMEM, "no memory to say why this is refused");
        return NULL;
    }
    while (put < reasons->count && at + 2 + strlen(reasons->rows[put].text) + 2 + MORE_BYTES <= most)
        at = put_text(to, at, reasons->rows[put++].text);
    store_be16(to, (uint16_t)put);
    if (put < reasons->count || reasons->dropped) {
        snprintf(more, sizeof(more), "and %u more", reasons->count - put + reasons->dropped);
        at = put_text(to, at, more);
        store_be16(to, (uint16_t)(put + 1));
    }
    *bytes = at;
    return to;
}

int reasons_decode(const uint8_t *data, size_t bytes, struct reasons *reasons, struct ferry_error *err)
{
    struct reasons got = { 0 };
    unsigned count = bytes >= 2 ? load_be16(data) : 0;
    size_t at = 2;

    if (count == 0)
        goto broken;
    for (unsigned i = 0; i < count; i++) {
        size_t length;

        if (bytes - at < 2)
            goto broken;
        length = load_be16(data + at);
        if (length > bytes - at - 2)
            goto broken;
        reasons_add(&got, FERRY_E_NONE, "%.*s", (int)length, (const char *)data + at + 2);
        at += 2 + length;
    }
    if (at != bytes)
        goto broken;
    *reasons = got;
    return 0;
broken:
    reasons_clear(&got);
    return ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO, "a malformed refusal of %zu bytes", bytes);
}
