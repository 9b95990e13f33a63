/* SPDX-License-Identifier: BSD-3-Clause */
/* printable.c - text that cannot speak to a terminal */
#include "printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How long the character at @text is by its first byte, and the bits of it that this byte holds; 0: it cannot be one.
 */
static size_t first_byte(uint8_t byte, uint32_t *bits)
{
    if (byte < 0x80) {
        *bits = byte;
        return 1;
    }
    if (byte >= 0xc2 && byte <= 0xdf) {
        *bits = byte & 0x1f;
        return 2;
    }
    if (byte >= 0xe0 && byte <= 0xef) {
        *bits = byte & 0x0f;
        return 3;
    }
    *bits = byte & 0x07;
    return byte >= 0xf0 && byte <= 0xf4 ? 4 : 0;
}

/* The character at @text, of at most @left bytes.  Returns its length, 0 when it is malformed. */
static size_t decode(const uint8_t *text, size_t left, uint32_t *character)
{
    static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t bytes = first_byte(text[0], character);

    if (bytes == 0 || bytes > left)
        return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | (text[i] & 0x3f);
    }
    if (*character < lowest[bytes] || *character > 0x10ffff || (*character >= 0xd800 && *character <= 0xdfff))
        return 0;
    return bytes;
}

static bool shows(uint32_t character)
{
    if (character < 0x20 || (character >= 0x7f && character < 0xa0))
        return false;
    if (character == 0x061c || character == 0x200e || character == 0x200f || character == 0xfeff)
        return false;
    return !(character >= 0x2028 && character <= 0x202e) && !(character >= 0x2066 && character <= 0x2069);
}

size_t printable(char *to, size_t room, const char *from, size_t bytes)
{
    const uint8_t *text = (const uint8_t *)from;
    size_t used = 0, at = 0;

    bytes = strnlen(from, bytes);
    while (at < bytes) {
        uint32_t character;
        size_t length = decode(text + at, bytes - at, &character);
        bool good = length > 0 && shows(character);
        size_t out = good ? length : 1;

        if (used + out >= room)
            break;
        if (good)
            memmove(to + used, from + at, length);
        else
            to[used] = text[at] == '\t' || text[at] == '\n' ? ' ' : '?';
        used += out;
        at += length > 0 ? length : 1;
    }
    to[used] = '\0';
    return used;
}
