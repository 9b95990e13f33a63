/* SPDX-License-Identifier: BSD-3-Clause */
/* state_manifest.c - what there is, before any of it moves: out and back */
#include "section.h"
#include "state_sections.h"

#include <errno.h>

int state_sections_put_manifest(struct ferry_guest *guest, struct ferry_writer *writer, struct ferry_error *err)
{
    section_put_ferry(writer, FERRY_ITEM_MANIFEST, NULL, 0);
    return 0;
}

int state_sections_get_manifest(struct ferry_guest *guest, struct ferry_reader *reader, const struct section_item *item,
                                uint8_t **refusal, size_t *bytes, struct ferry_error *err)
{
    int ret = ferry_reader_skip(reader, item->ferry_bytes);

    *refusal = NULL;
    *bytes = 0;
    return ret < 0 ? ferry_reader_status(reader, err) : 0;
}
