/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_scan.c - where does a device section end?
 *
 * By its description, where there is one and the footer stands where it says.  Else by looking for the footer: the
 * byte 0x7e, the section's id, and behind it something that may follow a section.
 *
 *      body ... | 7e id id id id | 04 ........ name ...      next FULL, with a name that can be printed
 *                                | 00 | 06 length {          the end
 *
 * That a body holds such bytes by chance is unlikely, but it is why the description goes first.
 */
#include "inspect_walk.h"

#include "bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FOOTER_BYTES 5

/* What is looked at: bytes that are there, and whether more may come. */
struct view {
    const uint8_t *data;
    size_t have;
    bool ended;
    size_t want; /* set when `have` was too little to decide */
};

static bool printable(const uint8_t *name, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return false;
    return bytes > 0;
}

/* Are there @bytes?  If not, more are asked for, or the stream ends here and what is there must do. */
static bool have(struct view *view, size_t bytes)
{
    if (view->have >= bytes)
        return true;
    if (!view->ended)
        view->want = bytes;
    return false;
}

/* May what follows the footer follow a section?  @at is where it begins.  Undecided counts as yes. */
static bool next_fits(struct view *view, size_t at, const struct inspect_report *report)
{
    const uint8_t *next = view->data + at;

    if (!have(view, at + 1))
        return true;
    switch (next[0]) {
    case SECTION_EOF:
        if (!have(view, at + 6))
            return view->have < at + 2 || next[1] == SECTION_VMDESC;
        if (next[1] != SECTION_VMDESC || load_be32(next + 2) > SECTION_VMDESC_MAX)
            return false;
        return load_be32(next + 2) == 0 || !have(view, at + 7) || next[6] == '{';
    case SECTION_START:
    case SECTION_FULL:
        if (!have(view, at + 6))
            return true;
        return next[5] > 0 && (!have(view, at + 6 + next[5]) || printable(next + 6, next[5]));
    case SECTION_PART:
    case SECTION_END:
        return !have(view, at + 5) || inspect_find_started(report, load_be32(next + 1)) >= 0;
    case SECTION_COMMAND:
        return !have(view, at + 3) || (load_be16(next + 1) > 0 && load_be16(next + 1) <= COMMAND_SWITCHOVER_START);
    default:
        return false;
    }
}

static bool footer_here(const uint8_t *data, size_t bytes, uint32_t id)
{
    return bytes >= FOOTER_BYTES && data[0] == SECTION_FOOTER && load_be32(data + 1) == id;
}

/* ---- in memory ------------------------------------------------------------------------------------------------- */

/* Offset of the first likely footer in @data, or -1. */
static ssize_t find_footer(const struct inspect_report *report, const uint8_t *data, size_t bytes, uint32_t id)
{
    const uint8_t *at = data, *end = data + bytes;

    while (at < end && (at = memchr(at, SECTION_FOOTER, (size_t)(end - at)))) {
        struct view view = { .data = at, .have = (size_t)(end - at), .ended = true };

        if (footer_here(at, view.have, id) && next_fits(&view, FOOTER_BYTES, report))
            return at - data;
        at++;
    }
    return -1;
}

static int cut_off(struct inspect_walk *walk, const struct report_section *section)
{
    char name[300];

    return ferry_reader_fail(walk->reader, -EPIPE, "the stream ends inside section %" PRIu32 " ('%s'): no footer",
                             section->id, inspect_text(name, sizeof(name), section->name));
}

static int body_in_tail(struct inspect_walk *walk, struct report_section *section)
{
    size_t at = (size_t)(ferry_reader_offset(walk->reader) - walk->tail_offset);
    const uint8_t *data = walk->report->tail + at;
    size_t left = (size_t)walk->tail_bytes - at;
    struct desc_body body = desc_body_of(section->device);
    uint64_t said = section->device ? desc_body_bytes(&body) : UINT64_MAX;
    char name[300];
    ssize_t found;

    if (said <= left && footer_here(data + said, left - (size_t)said, section->id)) {
        section->sized = SIZED_BY_DESCRIPTION;
        found = (ssize_t)said;
    } else {
        section->sized = SIZED_BY_FOOTER;
        found = find_footer(walk->report, data, left, section->id);
        if (found < 0) {
            int ret = ferry_reader_skip(walk->reader, left);

            return ret < 0 ? ret : cut_off(walk, section);
        }
        if (section->device)
            inspect_note(walk->report,
                         "'%s': its footer comes after %zd bytes, not after %" PRIu64
                         " as the description says; its fields are not shown",
                         inspect_text(name, sizeof(name), section->name), found, said);
    }
    section->body = data;
    section->bytes = (uint64_t)found;
    return ferry_reader_skip(walk->reader, (uint64_t)found);
}

/* ---- as it comes ----------------------------------------------------------------------------------------------- */

/* A body that grows. */
struct growing {
    uint8_t *data;
    size_t bytes, room;
};

static int keep_byte(struct inspect_walk *walk, struct growing *body, uint8_t byte)
{
    if (body->bytes == body->room) {
        size_t room = body->room ? body->room * 2 : 4096;
        uint8_t *data = NULL;

        if (walk->report->sections.kept_bytes + room > 2 * REPORT_STATE_MAX)
            return ferry_reader_fail(walk->reader, -E2BIG, "more than %" PRIu64 " bytes of device state",
                                     REPORT_STATE_MAX);
        data = realloc(body->data, room);
        if (!data)
            return ferry_reader_fail(walk->reader, -ENOMEM, "no memory for device state");
        body->data = data;
        body->room = room;
    }
    body->data[body->bytes++] = byte;
    return 0;
}

/* Does the section's footer come next?  1, 0 or the reader's error; -ENODATA when nothing comes at all. */
static int footer_next(struct inspect_walk *walk, uint32_t id)
{
    struct view view = { .want = FOOTER_BYTES };
    bool fits;

    do {
        size_t want = view.want;
        ssize_t got = ferry_reader_peek(walk->reader, want, &view.data);

        if (got <= 0)
            return got < 0 ? (int)got : -ENODATA;
        view.have = (size_t)got;
        view.ended = view.have < want;
        view.want = 0;
        if (!footer_here(view.data, view.have, id))
            return 0;
        fits = next_fits(&view, FOOTER_BYTES, walk->report);
    } while (view.want > 0);
    return fits;
}

static int body_live(struct inspect_walk *walk, struct report_section *section, bool keep)
{
    struct growing body = { NULL, 0, 0 };
    uint8_t byte;
    int ret;

    while ((ret = footer_next(walk, section->id)) == 0) {
        ret = ferry_get_u8(walk->reader, &byte);
        if (ret == 0 && keep)
            ret = keep_byte(walk, &body, byte);
        if (ret < 0)
            break;
        section->bytes++;
    }
    if (ret == -ENODATA)
        ret = cut_off(walk, section);
    section->sized = SIZED_BY_FOOTER;
    section->own = body.data;
    section->body = body.data;
    walk->report->sections.kept_bytes += body.room;
    return ret < 0 ? ret : 0;
}

int inspect_body(struct inspect_walk *walk, struct report_section *section, bool keep)
{
    section->offset = ferry_reader_offset(walk->reader);
    section->bytes = 0;
    return walk->tail_bytes > 0 ? body_in_tail(walk, section) : body_live(walk, section, keep);
}
