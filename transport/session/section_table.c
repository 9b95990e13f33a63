/* SPDX-License-Identifier: BSD-3-Clause */
/* section_table.c - who reads the body of a section that goes on: by the id that its START has given it */
#include "section_table.h"

#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

void section_table_init(struct section_table *table, struct ferry_reader *reader)
{
    *table = (struct section_table){ .reader = reader };
}

void section_table_clear(struct section_table *table)
{
    free(table->entries);
    *table = (struct section_table){ 0 };
}

static struct section_entry *find(const struct section_table *table, uint32_t id)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->entries[i].id == id)
            return &table->entries[i];
    return NULL;
}

static int load_one(struct section_table *table, const struct section_item *item, struct section_entry *entry)
{
    int ret = entry->load(entry->opaque, item);

    if (ret == 0)
        ret = section_get_footer(table->reader, item);
    if (ret == 0 && item->type == SECTION_END)
        entry->ended = true;
    return ret;
}

int section_table_start(struct section_table *table, const struct section_item *item, section_load_fn *load,
                        void *opaque)
{
    struct section_entry *grown;

    if (find(table, item->id))
        return ferry_reader_fail(table->reader, -EPROTO, "section %" PRIu32 " ('%s') starts twice", item->id,
                                 item->idstr);
    grown = realloc(table->entries, (table->count + 1) * sizeof(*grown));
    if (!grown)
        return ferry_reader_fail(table->reader, -ENOMEM, "no memory");
    table->entries = grown;
    grown[table->count] = (struct section_entry){ .id = item->id, .load = load, .opaque = opaque };
    return load_one(table, item, &grown[table->count++]);
}

int section_table_next(struct section_table *table, const struct section_item *item)
{
    struct section_entry *entry = find(table, item->id);

    if (!entry)
        return reader_fail_code(table->reader, FERRY_E_UNKNOWN_SECTION, NULL, -EPROTO,
                                "section %" PRIu32 " goes on but was never started", item->id);
    if (entry->ended)
        return ferry_reader_fail(table->reader, -EPROTO, "section %" PRIu32 " goes on after its end", item->id);
    return load_one(table, item, entry);
}

bool section_table_ended(const struct section_table *table, section_load_fn *load, const void *opaque)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->entries[i].load == load && table->entries[i].opaque == opaque)
            return table->entries[i].ended;
    return false;
}

void section_table_reopen(struct section_table *table, section_load_fn *load, const void *opaque)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->entries[i].load == load && table->entries[i].opaque == opaque)
            table->entries[i].ended = false;
}
