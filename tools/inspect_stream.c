/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_stream.c - read a stream as its destination would, only to know it
 *
 * inspect_walk.h draws the way.  Every failure goes through the reader, so that its sentence says where.
 */
#include "inspect_stream.h"

#include "inspect_mapped.h"
#include "inspect_walk.h"
#include "mapped_ram.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX (UINT64_C(16) << 20) /* of looking for devices in a description; normally one each */

static int no_item(struct inspect_walk *walk)
{
    if (walk->report->items.count == REPORT_ITEMS_MAX)
        return ferry_reader_fail(walk->reader, -E2BIG, "more than %u items", REPORT_ITEMS_MAX);
    return ferry_reader_fail(walk->reader, -ENOMEM, "no memory for another item");
}

/* ---- what a section is ----------------------------------------------------------------------------------------- */

/* The description of a device.  They stand in the order of their sections, so mostly it is the next one. */
static const struct desc *find_device(struct inspect_walk *walk, const char *name, uint32_t instance)
{
    const struct desc *devices = desc_member(walk->report->description.root, "devices");
    const struct desc *at = walk->next_device;
    bool again = false;

    if (!devices || devices->kind != DESC_ARRAY)
        return NULL;
    while (walk->steps_left > 0 && (at || !again)) {
        const struct desc *id = desc_member(at, "instance_id");
        uint64_t steps = at && at->kind == DESC_OBJECT ? (uint64_t)at->number + 1 : 1;

        walk->steps_left -= steps < walk->steps_left ? steps : walk->steps_left;
        if (id && id->kind == DESC_INTEGER && (uint32_t)id->number == instance &&
            !strcmp(desc_text(at, "name", ""), name)) {
            walk->next_device = at->next;
            return at;
        }
        again = again || !at;
        at = at ? at->next : devices->first;
    }
    return NULL;
}

/* Sections that came before their description did. */
static void describe_sections(struct inspect_walk *walk)
{
    for (unsigned i = 0; i < walk->report->sections.count; i++) {
        struct report_section *section = &walk->report->sections.section[i];
        struct desc_body body;
        char name[300];

        if (section->device || section->sized != SIZED_BY_FOOTER || section->type != SECTION_FULL)
            continue;
        section->device = find_device(walk, section->name, section->instance);
        body = desc_body_of(section->device);
        if (section->device && desc_body_bytes(&body) == section->bytes)
            section->sized = SIZED_BY_DESCRIPTION;
        else if (walk->report->description.root)
            inspect_note(walk->report,
                         "'%s': %" PRIu64 " bytes up to its footer; the description %s, its fields are "
                         "not shown",
                         inspect_text(name, sizeof(name), section->name), section->bytes,
                         section->device ? "says otherwise" : "does not speak of it");
    }
}

/* ---- marks ----------------------------------------------------------------------------------------------------- */

/* All that page channels carry before their SYNC belongs before this place. */
static int mark(struct inspect_walk *walk, struct ferry_error *err)
{
    int ret = inspect_channels_mark(walk->options->channels, walk->marks == MARKS_ARE_RECORDS, err);

    walk->channel_failed = ret < 0;
    return ret;
}

static int mark_record(void *opaque, struct ferry_error *err)
{
    struct inspect_walk *walk = opaque;

    if (walk->marks == MARKS_UNKNOWN)
        walk->marks = MARKS_ARE_RECORDS;
    return walk->marks == MARKS_ARE_RECORDS ? mark(walk, err) : 0;
}

static int mark_section_end(struct inspect_walk *walk)
{
    struct ferry_error why = { 0 };
    int ret;

    if (!walk->options->channels || walk->marks == MARKS_ARE_RECORDS)
        return 0;
    walk->marks = MARKS_ARE_SECTION_ENDS;
    ret = mark(walk, &why);
    return ret < 0 ? reader_fail_why(walk->reader, ret, &why) : 0;
}

/* ---- sections -------------------------------------------------------------------------------------------------- */

/* The body of a "ram" section, its footer too. */
static int walk_ram(struct inspect_walk *walk, const struct section_item *head, struct report_item *item)
{
    struct ram_counts before = walk->ram->loader.counts;
    const struct ram_counts *now = &walk->ram->loader.counts;
    unsigned passes = walk->ram->passes;
    struct report_item *last = item > walk->report->items.item ? item - 1 : NULL;
    int ret = ram_get_body(&walk->ram->loader, walk->reader);

    if (ret == 0)
        ret = mark_section_end(walk);
    if (ret == 0)
        ret = section_get_footer(walk->reader, head);
    if (ret == 0)
        ret = inspect_mapped_load(walk->ram, walk->reader);
    item->bytes = ferry_reader_offset(walk->reader) - item->offset;
    item->normal = now->normal + now->xbzrle - before.normal - before.xbzrle;
    item->zero = now->zero - before.zero;
    if (walk->options->progress)
        walk->options->progress(walk->options->opaque, ferry_reader_offset(walk->reader));
    if (ret < 0 || walk->options->verbose || !last || item->type != SECTION_PART || last->type != SECTION_PART ||
        last->section != item->section || passes != walk->ram->passes)
        return ret;
    last->bytes += item->bytes;
    last->normal += item->normal;
    last->zero += item->zero;
    last->parts++;
    walk->report->items.count--;
    return 0;
}

/* The body and footer of any other section. */
static int walk_other(struct inspect_walk *walk, const struct section_item *head, struct report_item *item)
{
    struct report_section *section = &walk->report->sections.section[item->section];
    struct report_section passing = *section; /* of later parts nothing is kept */
    bool first = head->type == SECTION_START || head->type == SECTION_FULL;
    int ret;

    if (first && head->type == SECTION_FULL)
        section->device = find_device(walk, section->name, section->instance);
    ret = inspect_body(walk, first ? section : &passing, head->type == SECTION_FULL);
    if (ret == 0)
        ret = section_get_footer(walk->reader, head);
    item->bytes = ferry_reader_offset(walk->reader) - item->offset;
    return ret;
}

static int walk_first(struct inspect_walk *walk, const struct section_item *head)
{
    bool is_ram = !strcmp(head->idstr, RAM_SECTION_NAME) && head->type == SECTION_START;
    int index = inspect_add_section(walk->report, head);
    struct report_item *item;

    if (index < 0)
        return ferry_reader_fail(walk->reader, index, "no room for another section");
    item = inspect_add_item(walk->report, head->type, head->offset);
    if (!item)
        return no_item(walk);
    item->section = index;
    if (!is_ram)
        return walk_other(walk, head, item);
    if (walk->ram_section >= 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "a second section 'ram'");
    if (head->version_id != RAM_SECTION_VERSION)
        return ferry_reader_fail(walk->reader, -EPROTO, "section 'ram' of version %" PRIu32 ", only %d is understood",
                                 head->version_id, RAM_SECTION_VERSION);
    walk->ram_section = index;
    return walk_ram(walk, head, item);
}

static int walk_next(struct inspect_walk *walk, const struct section_item *head)
{
    int index = inspect_find_started(walk->report, head->id);
    struct report_item *item;
    int ret;

    if (index < 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "section %" PRIu32 " goes on, but never began", head->id);
    if (index == walk->ram_section && walk->ram_ended)
        return ferry_reader_fail(walk->reader, -EPROTO, "section 'ram' goes on after its end");
    item = inspect_add_item(walk->report, head->type, head->offset);
    if (!item)
        return no_item(walk);
    item->section = index;
    if (index != walk->ram_section)
        return walk_other(walk, head, item);
    ret = walk_ram(walk, head, item);
    walk->ram_ended = ret == 0 && head->type == SECTION_END;
    return ret;
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

static int walk_eof(struct inspect_walk *walk, const struct section_item *head)
{
    struct report_item *item = inspect_add_item(walk->report, SECTION_EOF, head->offset);
    int ret;

    if (!item)
        return no_item(walk);
    item->bytes = 1;
    ret = inspect_description(walk);
    if (ret == 0)
        describe_sections(walk);
    return ret;
}

/* Is it time to keep the rest?  Commands after the end of RAM may want an answer and are still read live. */
static int tail_begins(struct inspect_walk *walk)
{
    const uint8_t *next;
    ssize_t have;

    if (!walk->ram_ended || walk->tail_bytes > 0)
        return 0;
    have = ferry_reader_peek(walk->reader, 1, &next);
    if (have < 0)
        return (int)have;
    return have == 0 || next[0] != SECTION_COMMAND;
}

int inspect_items(struct inspect_walk *walk)
{
    for (;;) {
        struct section_item head;
        int ret = tail_begins(walk);

        if (ret != 0)
            return ret < 0 ? ret : inspect_tail(walk);
        ret = section_get_item(walk->reader, &head);
        if (ret < 0)
            return ret;
        switch (head.type) {
        case SECTION_EOF:
            return walk_eof(walk, &head);
        case SECTION_COMMAND:
            ret = inspect_command(walk, &head);
            break;
        case SECTION_START:
        case SECTION_FULL:
            ret = walk_first(walk, &head);
            break;
        default:
            ret = walk_next(walk, &head);
            break;
        }
        if (ret < 0)
            return ret;
    }
}

static int walk_head(struct inspect_walk *walk)
{
    struct report_item *item = inspect_add_item(walk->report, ITEM_HEADER, 0);
    struct section_configuration *config = calloc(1, sizeof(*config));
    int ret;

    if (!item || !config) {
        free(config);
        return no_item(walk);
    }
    ret = section_get_header(walk->reader);
    item->bytes = ferry_reader_offset(walk->reader);
    if (ret == 0)
        item = inspect_add_item(walk->report, SECTION_CONFIGURATION, item->bytes);
    if (ret == 0 && !item)
        ret = no_item(walk);
    if (ret == 0)
        ret = section_get_configuration(walk->reader, config);
    if (ret < 0) {
        free(config);
        return ret;
    }
    walk->report->config = config;
    item->bytes = ferry_reader_offset(walk->reader) - item->offset;
    for (unsigned i = 0; i < config->capabilities; i++) {
        if (!strcmp(config->capability[i], "x-ignore-shared"))
            walk->ram->loader.has_gpa = true;
        else if (!strcmp(config->capability[i], MAPPED_RAM_CAPABILITY))
            ret = inspect_mapped_begin(walk->ram, walk->reader);
    }
    return ret;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

/* What only the whole stream can tell. */
static int judge(struct inspect_walk *walk)
{
    const struct ram_counts *counts = &walk->ram->loader.counts;
    uint64_t missing = 0;

    if (walk->ram_section < 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "the stream carries no memory: there is no section 'ram'");
    if (!walk->ram_ended)
        inspect_note(walk->report, "section 'ram' has no end: a background snapshot");
    for (unsigned i = 0; i < walk->ram->count; i++)
        missing += walk->ram->blocks[i]->missing;
    if (walk->report->connection_count == 0 &&
        (counts->flushes > 0 || (missing > 0 && counts->normal + counts->xbzrle == 0)))
        return ferry_reader_fail(walk->reader, -ENOTSUP,
                                 "memory travelled over further connections (multifd), which were not given: the main "
                                 "one alone is shown");
    if (missing > 0)
        inspect_note(walk->report,
                     "%" PRIu64 " pages never came: memory that is shared or that the guest had given "
                     "back, or a stream that is not whole",
                     missing);
    return 0;
}

/* The page channels' ends, and what their failure means: their own fault is told rather than what it did to the main
 * stream, but a main stream that ends too early mostly takes them along.  Returns whether it was told. */
static bool end_channels(struct inspect_walk *walk, int *ret)
{
    struct inspect_channels *channels = walk->options->channels;
    struct ferry_error why = { 0 };
    int failed;

    if (!channels)
        return false;
    failed = inspect_channels_finish(channels, *ret == 0 && !walk->back, walk->report, &why);
    if (failed == 0)
        return false;
    if (*ret < 0 && !walk->channel_failed && failed == -EPIPE) {
        inspect_note(walk->report, "and: %s", ferry_error_text(&why));
        return false;
    }
    walk->report->error = why;
    *ret = failed;
    return true;
}

static int walk_all(struct inspect_walk *walk)
{
    bool told;
    int ret = walk->report->label ? walk_head(walk) : ferry_reader_fail(walk->live, -ENOMEM, "no memory");

    if (ret == 0)
        ret = inspect_items(walk);
    told = end_channels(walk, &ret);
    inspect_ram_count_missing(walk->ram);
    if (ret == 0)
        ret = judge(walk);
    if (ret < 0 && !told && ferry_reader_status(walk->live, &walk->report->error) == 0 &&
        ferry_reader_status(walk->reader, &walk->report->error) == 0)
        ferry_error_set(&walk->report->error, ret, "stopped: %s", strerror(-ret));
    return ret;
}

int inspect_stream(struct ferry_reader *reader, const struct inspect_options *options, struct inspect_ram *ram,
                   struct inspect_report *report)
{
    struct inspect_walk walk = {
        .options = options,
        .report = report,
        .ram = ram,
        .live = reader,
        .reader = reader,
        .ram_section = -1,
        .steps_left = STEPS_MAX,
    };

    report->label = strdup(ferry_channel_label(reader_channel(reader)));
    if (options->channels) {
        ram->mark = mark_record;
        ram->opaque = &walk;
    }
    walk_all(&walk);
    ram->mark = NULL;
    report->bytes = ferry_reader_offset(walk.reader);
    inspect_shut(&walk);
    return_path_free(walk.back);
    if (walk.reader != walk.live)
        ferry_reader_free(walk.reader);
    ferry_reader_free(walk.live);
    return report->error.errnum;
}
