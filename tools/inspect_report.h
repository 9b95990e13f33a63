/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_report.h - what was found in a stream
 *
 * Filled while the stream is read, so that of a broken stream everything before the fault is there; then shown by
 * inspect_print.c and inspect_json.c.
 *
 *      items     header  configuration  start  part(x41)  end  full  full ... eof  description
 *                                         |                     |     |
 *      sections                          ram                 timer   cpu   -- body -- description of its fields
 */
#ifndef TOOLS_INSPECT_REPORT_H
#define TOOLS_INSPECT_REPORT_H

#include "codec.h"
#include "inspect_desc.h"
#include "inspect_return_path.h"
#include "section.h"

#include <stdbool.h>

#define REPORT_ITEMS_MAX    (1u << 20)
#define REPORT_SECTIONS_MAX 8192
#define REPORT_STARTED_MAX  256 /* of these, in several parts */
#define REPORT_NOTES_MAX    64
#define REPORT_CHANNELS_MAX 256                 /* page channels */
#define REPORT_STATE_MAX    (UINT64_C(1) << 30) /* bytes of device state that are kept */

/* Beside enum section_type. */
#define ITEM_HEADER 0x100

struct report_item {
    int type;        /* enum section_type, or ITEM_HEADER */
    uint64_t offset; /* of its first byte */
    uint64_t bytes;  /* all of it, footer included */
    int section;     /* START PART END FULL: index of the section; else -1 */
    uint32_t parts;  /* PART: how many were summed */
    uint64_t normal; /* pages of RAM in it, differences to them included */
    uint64_t zero;
    uint16_t command; /* COMMAND */
    char *words;      /* COMMAND: its payload in words, owned; NULL: nothing to say */
    unsigned main;    /* of which main connection: 0, then those that took over after a break */
    bool packaged;    /* inside of the package */
};

enum report_sized { SIZED_ITSELF, SIZED_BY_DESCRIPTION, SIZED_BY_FOOTER };

/* What a START or FULL began. */
struct report_section {
    char *name; /* owned */
    uint32_t id, instance, version;
    enum section_type type; /* START or FULL */
    enum report_sized sized;
    uint64_t offset;           /* of the body in the stream */
    uint64_t bytes;            /* of the body */
    const uint8_t *body;       /* NULL: not kept */
    uint8_t *own;              /* where the body is memory of its own; else it lies in the tail */
    const struct desc *device; /* its description, or NULL */
};

struct report_items {
    struct report_item *item;
    unsigned count, room;
    unsigned main; /* of the items to come */
    bool packaged; /* likewise */
};

struct report_sections {
    struct report_section *section;
    unsigned count, room;
    unsigned started[REPORT_STARTED_MAX]; /* indexes of those that come in parts */
    unsigned started_count;
    uint64_t kept_bytes; /* in `own` of all */
};

struct report_notes {
    char *text[REPORT_NOTES_MAX]; /* owned */
    unsigned count;
    unsigned lost; /* beyond the limit */
};

struct inspect_postcopy;

/* A page channel. */
struct report_connection {
    char *label; /* owned */
    int channel; /* by its own word; -1: it has not come to it */
    uint64_t bytes, packets, syncs;
    uint64_t normal, zero;       /* pages */
    uint64_t pages[CODEC_COUNT]; /* of the normal ones, by what they came through */
    uint64_t device_bytes;       /* state of devices */
};

struct inspect_report {
    char *label;                          /* of the channel; owned */
    struct section_configuration *config; /* owned; NULL: not reached */
    struct report_items items;
    struct report_sections sections;
    struct report_notes notes;
    struct report_connection *connections; /* owned */
    unsigned connection_count;
    struct inspect_postcopy *postcopy; /* owned; NULL: it was not advised */
    struct report_returns returns;
    struct desc_tree description;
    uint64_t description_offset;
    uint8_t *tail;            /* owned: the end of the stream in one piece; bodies lie in it */
    uint64_t bytes;           /* read in all */
    struct ferry_error error; /* why it stopped; errnum 0: whole and clean */
};

void inspect_report_init(struct inspect_report *report);
void inspect_report_clear(struct inspect_report *report);

/* A new item, zeroed but for @type, @offset and no section; NULL: -ENOMEM or too many. */
struct report_item *inspect_add_item(struct inspect_report *report, int type, uint64_t offset);

/* A new section from a START or FULL; its index, or a negative errno (-ENOMEM, -E2BIG). */
int inspect_add_section(struct inspect_report *report, const struct section_item *head);

/* The latest section of that id among those that come in parts, or -1. */
int inspect_find_started(const struct inspect_report *report, uint32_t id);

/* Something that a person should know, and that does not make the stream wrong. */
void inspect_note(struct inspect_report *report, const char *format, ...) FERRY_PRINTF(2, 3);

/**
 * inspect_text() - a name from the stream, fit for a terminal and for JSON
 *
 * Everything but printable ASCII becomes \xNN.  Returns @to; what does not fit is cut.
 */
char *inspect_text(char *to, size_t room, const char *from);

#endif
