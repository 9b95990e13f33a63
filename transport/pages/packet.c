/* SPDX-License-Identifier: BSD-3-Clause */
/* packet.c - a batch on the wire: what both formats share
 *
 *      pages   3 4 5 9 | 7 8            runs   {3,3} {9,1} | {7,2}
 *              content   zero                  content       zero
 */
#include "packet.h"

#include "packet_parts.h"

#include <stdlib.h>
#include <string.h>

void packet_reset(struct packet *packet, enum packet_kind kind)
{
    packet->kind = kind;
    packet->sync = false;
    packet->codec = CODEC_NONE;
    packet->sequence = 0;
    packet->round = 0;
    packet->block = NULL;
    packet->runs = packet->content_runs = 0;
    packet->content_pages = packet->zero_pages = 0;
    packet->payload_bytes = 0;
    packet->summed = false;
    packet->device[0] = '\0';
    packet->instance = 0;
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

void packet_add_pages(struct packet *packet, const uint64_t *pages, unsigned count)
{
    struct packet_run *last = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (last && last->first + last->count == pages[i]) {
            last->count++;
            continue;
        }
        last = &packet->run[packet->runs++];
        *last = (struct packet_run){ pages[i], 1 };
    }
}

/* Two lists, each ascending, as one: does each run begin behind the one before? */
static bool runs_ascend(const struct packet_run *a, unsigned a_count, const struct packet_run *b, unsigned b_count)
{
    uint64_t end = 0;

    while (a_count + b_count > 0) {
        bool from_a = b_count == 0 || (a_count > 0 && a->first < b->first);
        const struct packet_run *next = from_a ? a++ : b++;

        if (next->first < end)
            return false;
        end = next->first + next->count;
        if (from_a)
            a_count--;
        else
            b_count--;
    }
    return true;
}

bool packet_ascends(const struct packet *packet)
{
    return runs_ascend(packet->run, packet->content_runs, packet->run + packet->content_runs,
                       packet->runs - packet->content_runs);
}

static int compare_runs(const void *a, const void *b)
{
    const struct packet_run *run = a, *other = b;

    return run->first < other->first ? -1 : run->first > other->first;
}

bool packet_runs_apart(const struct packet *packet)
{
    struct packet_run sorted[BATCH_PAGES_MAX];

    if (packet_ascends(packet))
        return true;
    memcpy(sorted, packet->run, packet->runs * sizeof(sorted[0]));
    qsort(sorted, packet->runs, sizeof(sorted[0]), compare_runs);
    return runs_ascend(sorted, packet->runs, NULL, 0);
}

/* ---- from the guest's memory, and to it ------------------------------------------------------------------------ */

void packet_from_batch(struct packet *packet, const struct page_batch *batch)
{
    packet_reset(packet, PACKET_PAGES);
    packet->block = batch->block;
    packet_add_pages(packet, batch->pages, batch->normal);
    packet->content_runs = packet->runs;
    packet_add_pages(packet, batch->pages + batch->normal, batch->count - batch->normal);
    packet->content_pages = batch->normal;
    packet->zero_pages = batch->count - batch->normal;
}

uint64_t packet_from_zeros(struct packet *packet, const struct ram_block *block, uint64_t first, uint64_t count)
{
    packet_reset(packet, PACKET_PAGES);
    packet->block = block;
    while (packet->zero_pages < count && packet->runs < BATCH_PAGES_MAX) {
        uint64_t left = count - packet->zero_pages;
        uint64_t part = left < PACKET_RUN_PAGES ? left : PACKET_RUN_PAGES;

        packet->run[packet->runs++] = (struct packet_run){ first + packet->zero_pages, part };
        packet->zero_pages += part;
    }
    return packet->zero_pages;
}

int packet_pieces(const struct packet *packet, struct iovec *pieces, int max)
{
    int count = 0;

    for (unsigned i = 0; i < packet->content_runs && count < max; i++) {
        const struct packet_run *run = &packet->run[i];

        pieces[count++] = (struct iovec){ packet->block->host + (run->first << FERRY_PAGE_SHIFT),
                                          (size_t)run->count << FERRY_PAGE_SHIFT };
    }
    return count;
}

unsigned packet_addresses(const struct packet *packet, uint8_t **pages)
{
    unsigned count = 0;

    for (unsigned i = 0; i < packet->content_runs; i++)
        for (uint64_t page = 0; page < packet->run[i].count; page++)
            pages[count++] = packet->block->host + ((packet->run[i].first + page) << FERRY_PAGE_SHIFT);
    return count;
}

void packet_sum_pages(struct packet *packet)
{
    unsigned at = 0;

    for (unsigned i = 0; i < packet->content_runs; i++) {
        const uint8_t *page = packet->block->host + (packet->run[i].first << FERRY_PAGE_SHIFT);

        for (uint64_t left = packet->run[i].count; left > 0; left--, page += FERRY_PAGE_BYTES)
            packet->sum[at++] = packet_sum(page, FERRY_PAGE_BYTES);
    }
    packet->summed = true;
}
