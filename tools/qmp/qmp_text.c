/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_text.c - bytes of a QMP connection, cut into JSON values
 *
 * Only the ends of values are found here, by strings and by what opens and closes; whether it is JSON, jansson says.
 * Each byte is looked at once, however small the pieces in which it comes.
 */
#include "qmp_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN  256
#define ROOM_KEPT 4096 /* more is given back when a value is whole */
#define RESET     '\xff'

enum end {
    END_NOT,
    END_WITH,   /* this byte is the value's last */
    END_BEFORE, /* it is none of the value's */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void begin(struct qmp_text *text)
{
    text->bytes = 0;
    text->braces = text->brackets = 0;
    text->in_string = text->escaped = false;
    if (text->room > ROOM_KEPT) {
        free(text->held);
        text->held = NULL;
        text->room = 0;
    }
}

void qmp_text_clear(struct qmp_text *text)
{
    free(text->held);
    *text = (struct qmp_text){ .limit = text->limit };
}

static enum end step_in_string(struct qmp_text *text, char c)
{
    if (text->escaped)
        text->escaped = false;
    else if (c == '\\')
        text->escaped = true;
    else if (c == '"')
        text->in_string = false;
    else
        return END_NOT;
    return !text->in_string && text->braces == 0 && text->brackets == 0 ? END_WITH : END_NOT;
}

static enum end step(struct qmp_text *text, char c)
{
    bool is_open = text->braces > 0 || text->brackets > 0;

    if (text->in_string)
        return step_in_string(text, c);
    if (!is_open && text->bytes > 0 && (is_space(c) || c == '{' || c == '['))
        return END_BEFORE;
    if (c == '"')
        text->in_string = true;
    else if (c == '{')
        text->braces++;
    else if (c == '[')
        text->brackets++;
    else if (c == '}')
        text->braces--;
    else if (c == ']')
        text->brackets--;
    else
        return END_NOT;
    if (text->braces < 0 || text->brackets < 0)
        return END_WITH;
    return is_open && text->braces == 0 && text->brackets == 0 ? END_WITH : END_NOT;
}

static enum qmp_found hold(struct qmp_text *text, char c)
{
    if (text->bytes >= text->limit)
        return QMP_FOUND_TOO_LONG;
    if (text->bytes == text->room) {
        size_t room = text->room ? 2 * text->room : ROOM_MIN;
        char *held = realloc(text->held, room);

        if (!held)
            return QMP_FOUND_NO_MEMORY;
        text->held = held;
        text->room = room;
    }
    text->held[text->bytes++] = c;
    return QMP_FOUND_NOTHING;
}

static enum qmp_found parse(struct qmp_text *text, json_t **value, char *why)
{
    bool is_word = text->held[0] != '{' && text->held[0] != '[';
    json_error_t error;

    *value = json_loadb(text->held, text->bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!*value) {
        snprintf(why, QMP_WHY_BYTES, "JSON parse error, %.120s", error.text);
        text->skipping = is_word;
    }
    begin(text);
    return *value ? QMP_FOUND_VALUE : QMP_FOUND_BROKEN;
}

/* Does this byte end what is passed over? */
static bool ends_skipping(char c)
{
    return c == '\n' || c == RESET || c == '{' || c == '[';
}

enum qmp_found qmp_text_take(struct qmp_text *text, const char *data, size_t bytes, size_t *used, json_t **value,
                             char *why)
{
    for (size_t i = 0; i < bytes; i++) {
        enum qmp_found found;
        enum end end;

        text->skipping = text->skipping && !ends_skipping(data[i]);
        if (data[i] == RESET)
            begin(text);
        if (text->skipping || data[i] == RESET || (text->bytes == 0 && is_space(data[i])))
            continue;
        end = step(text, data[i]);
        if (end != END_BEFORE && (found = hold(text, data[i])) != QMP_FOUND_NOTHING) {
            *used = i;
            return found;
        }
        if (end != END_NOT) {
            *used = end == END_WITH ? i + 1 : i;
            return parse(text, value, why);
        }
    }
    *used = bytes;
    return QMP_FOUND_NOTHING;
}
