/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_report.c - what was found in a stream */
#include "inspect_report.h"

#include "inspect_postcopy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inspect_report_init(struct inspect_report *report)
{
    memset(report, 0, sizeof(*report));
}

void inspect_report_clear(struct inspect_report *report)
{
    for (unsigned i = 0; i < report->items.count; i++)
        free(report->items.item[i].words);
    for (unsigned i = 0; i < report->sections.count; i++) {
        free(report->sections.section[i].name);
        free(report->sections.section[i].own);
    }
    for (unsigned i = 0; i < report->notes.count; i++)
        free(report->notes.text[i]);
    for (unsigned i = 0; i < report->connection_count; i++)
        free(report->connections[i].label);
    postcopy_free(report->postcopy);
    returns_clear(&report->returns);
    free(report->connections);
    free(report->items.item);
    free(report->sections.section);
    free(report->config);
    free(report->label);
    free(report->tail);
    desc_clear(&report->description);
    inspect_report_init(report);
}

/* Room for one more element in a growing array of at most @most. */
static int make_room(void **array, unsigned count, unsigned *room, unsigned most, size_t bytes)
{
    unsigned more = *room ? *room * 2 : 64;
    void *grown;

    if (count == most)
        return -E2BIG;
    if (count < *room)
        return 0;
    grown = realloc(*array, more * bytes);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *room = more;
    return 0;
}

struct report_item *inspect_add_item(struct inspect_report *report, int type, uint64_t offset)
{
    struct report_items *items = &report->items;
    struct report_item *item;

    if (make_room((void **)&items->item, items->count, &items->room, REPORT_ITEMS_MAX, sizeof(*item)) < 0)
        return NULL;
    item = &items->item[items->count++];
    *item = (struct report_item){
        .type = type,
        .offset = offset,
        .section = -1,
        .parts = 1,
        .main = items->main,
        .packaged = items->packaged,
    };
    return item;
}

int inspect_add_section(struct inspect_report *report, const struct section_item *head)
{
    struct report_sections *sections = &report->sections;
    char *name = strdup(head->idstr);
    bool starts = head->type == SECTION_START;
    int ret = name ? 0 : -ENOMEM;

    if (ret == 0 && starts && sections->started_count == REPORT_STARTED_MAX)
        ret = -E2BIG;
    if (ret == 0)
        ret = make_room((void **)&sections->section, sections->count, &sections->room, REPORT_SECTIONS_MAX,
                        sizeof(*sections->section));
    if (ret < 0) {
        free(name);
        return ret;
    }
    sections->section[sections->count] = (struct report_section){
        .name = name,
        .id = head->id,
        .instance = head->instance_id,
        .version = head->version_id,
        .type = head->type,
    };
    if (starts)
        sections->started[sections->started_count++] = sections->count;
    return (int)sections->count++;
}

int inspect_find_started(const struct inspect_report *report, uint32_t id)
{
    const struct report_sections *sections = &report->sections;

    for (unsigned i = sections->started_count; i-- > 0;)
        if (sections->section[sections->started[i]].id == id)
            return (int)sections->started[i];
    return -1;
}

void inspect_note(struct inspect_report *report, const char *format, ...)
{
    struct report_notes *notes = &report->notes;
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (notes->count < REPORT_NOTES_MAX && (notes->text[notes->count] = strdup(text)))
        notes->count++;
    else
        notes->lost++;
}

char *inspect_text(char *to, size_t room, const char *from)
{
    size_t used = 0;

    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;
        bool plain = c >= 0x20 && c < 0x7f;

        if (used + (plain ? 1 : 4) >= room)
            break;
        if (plain)
            to[used++] = (char)c;
        else
            used += (size_t)snprintf(to + used, room - used, "\\x%02x", c);
    }
    to[used] = '\0';
    return to;
}
