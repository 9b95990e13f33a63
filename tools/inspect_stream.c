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

static int no_item(struct inspect_walk *walk)
{
    if (walk->report->items.count == REPORT_ITEMS_MAX)
        return ferry_reader_fail(walk->reader, -E2BIG, "more than %u items", REPORT_ITEMS_MAX);
    return ferry_reader_fail(walk->reader, -ENOMEM, "no memory for another item");
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

    /* No QEMU that marks them so combines page channels with postcopy. */
    if (!walk->options->channels || walk->marks == MARKS_ARE_RECORDS || walk->postcopy)
        return 0;
    walk->marks = MARKS_ARE_SECTION_ENDS;
    ret = mark(walk, &why);
    return ret < 0 ? reader_fail_why(walk->reader, ret, &why) : 0;
}

/* ---- sections -------------------------------------------------------------------------------------------------- */

/* What this connection has brought so far. */
static void count_pages(const struct inspect_walk *walk, uint64_t *normal, uint64_t *zero)
{
    const struct ram_counts *counts = &walk->ram->loader.counts;
    const struct postcopy_wire *wire =
        postcopy_listens(walk->postcopy) ? &walk->postcopy->wire[walk->records.wire] : NULL;

    *normal = counts->normal + counts->xbzrle + (wire ? wire->normal : 0);
    *zero = counts->zero + (wire ? wire->zero : 0);
}

static bool goes_on(const struct inspect_walk *walk, const struct report_item *last, const struct report_item *item)
{
    return last && !walk->options->verbose && item->type == SECTION_PART && last->type == SECTION_PART &&
           last->section == item->section && last->main == item->main;
}

/* The body of a "ram" section, its footer too. */
static int walk_ram(struct inspect_walk *walk, const struct section_item *head, struct report_item *item)
{
    uint64_t normal, zero;
    unsigned passes = walk->ram->passes;
    struct report_item *last = item > walk->report->items.item ? item - 1 : NULL;
    int ret;

    count_pages(walk, &normal, &zero);
    ret = walk->in_package || postcopy_listens(walk->postcopy) ? inspect_follow_body(walk)
                                                               : ram_get_body(&walk->ram->loader, walk->reader);
    if (ret == 0)
        ret = mark_section_end(walk);
    if (ret == 0)
        ret = section_get_footer(walk->reader, head);
    if (ret == 0)
        ret = inspect_mapped_load(walk->ram, walk->reader);
    item->bytes = ferry_reader_offset(walk->reader) - item->offset;
    count_pages(walk, &item->normal, &item->zero);
    item->normal -= normal;
    item->zero -= zero;
    if (walk->options->progress)
        walk->options->progress(walk->options->opaque, ferry_reader_offset(walk->reader));
    if (ret < 0 || !goes_on(walk, last, item) || passes != walk->ram->passes)
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
        section->device = inspect_find_device(walk, section->name, section->instance);
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
    if (walk->in_package || postcopy_listens(walk->postcopy))
        return inspect_follow_eof(walk);
    if (walk->postcopy && walk->postcopy->phase == POSTCOPY_DISCARDING)
        return ferry_reader_fail(walk->reader, -EPROTO, "the end, but memory was discarded for a switch to postcopy");
    ret = inspect_description(walk);
    if (ret == 0)
        inspect_describe(walk);
    return ret;
}

/* Is it time to keep the rest?  Commands after the end of RAM may want an answer and are still read live. */
static int tail_begins(struct inspect_walk *walk)
{
    const uint8_t *next;
    ssize_t have;

    if (!walk->ram_ended || walk->tail_bytes > 0 || postcopy_listens(walk->postcopy))
        return 0;
    have = ferry_reader_peek(walk->reader, 1, &next);
    if (have < 0)
        return (int)have;
    return have == 0 || next[0] != SECTION_COMMAND;
}

/* 1 at the end of a package: it says no end. */
static int package_ends(struct inspect_walk *walk)
{
    int ret = walk->in_package ? reader_at_end(walk->reader) : 0;

    if (ret == 0 && walk->in_package && walk->postcopy->phase == POSTCOPY_RUNNING)
        return ferry_reader_fail(walk->reader, -EPROTO, "more in the package behind the command postcopy-run");
    return ret;
}

int inspect_items(struct inspect_walk *walk)
{
    for (;;) {
        struct section_item head;
        int ret = tail_begins(walk);

        if (ret != 0)
            return ret < 0 ? ret : inspect_tail(walk);
        ret = package_ends(walk);
        if (ret != 0)
            return ret < 0 ? ret : 0;
        ret = section_get_item(walk->reader, &head);
        if (ret < 0)
            return ret;
        switch (head.type) {
        case SECTION_EOF:
            return walk_eof(walk, &head);
        case SECTION_COMMAND:
            ret = inspect_command(walk, &head);
            if (ret == 0 && walk->package_follows)
                ret = inspect_package(walk);
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

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static int walk_all(struct inspect_walk *walk)
{
    int ret = walk->report->label ? walk_head(walk) : ferry_reader_fail(walk->live, -ENOMEM, "no memory");

    if (ret == 0)
        ret = inspect_follow(walk, inspect_items(walk));
    return inspect_end(walk, ret);
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
        .steps_left = DESCRIBE_STEPS_MAX,
    };

    report->label = strdup(ferry_channel_label(reader_channel(reader)));
    if (options->channels) {
        ram->mark = mark_record;
        ram->opaque = &walk;
    }
    walk_all(&walk);
    ram->mark = NULL;
    report->bytes = walk.live_bytes ? walk.live_bytes : ferry_reader_offset(walk.reader);
    inspect_shut(&walk);
    return_path_free(walk.back);
    if (walk.reader != walk.live)
        ferry_reader_free(walk.reader);
    ferry_reader_free(walk.live);
    return report->error.errnum;
}
