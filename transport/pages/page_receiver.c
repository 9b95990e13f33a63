/* SPDX-License-Identifier: BSD-3-Clause */
/* page_receiver.c - what one page channel receives: each packet's pages are put in place */
#include "page_receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void page_receiver_init(struct page_receiver *receiver, struct ferry_channel *chan, const struct ram_map *map,
                        struct placer *placer, struct page_suspects *suspects, const struct page_terms *terms)
{
    receiver->chan = ferry_channel_ref(chan);
    receiver->placer = placer;
    receiver->suspects = suspects;
    receiver->terms = *terms;
    receiver->once = false;
    receiver->part = NULL;
    receiver->sequence = 0;
    receiver->round = 0;
    packet_reader_init(&receiver->reader, chan, terms->format, map);
    page_decoder_init(&receiver->decoder, terms->format);
    pthread_mutex_init(&receiver->lock, NULL);
    memset(&receiver->figures, 0, sizeof(receiver->figures));
    receiver->figures.cpu = -1;
}

void page_receiver_clear(struct page_receiver *receiver)
{
    page_decoder_clear(&receiver->decoder);
    free(receiver->part);
    ferry_channel_unref(receiver->chan);
    pthread_mutex_destroy(&receiver->lock);
}

void page_receiver_figures(struct page_receiver *receiver, struct page_figures *figures)
{
    pthread_mutex_lock(&receiver->lock);
    *figures = receiver->figures;
    pthread_mutex_unlock(&receiver->lock);
}

static void count(struct page_receiver *receiver)
{
    const struct packet *packet = &receiver->packet;
    struct page_figures *figures = &receiver->figures;

    pthread_mutex_lock(&receiver->lock);
    figures->bytes = receiver->reader.offset;
    figures->packets++;
    if (packet->kind == PACKET_DEVICE)
        figures->part_bytes += packet->payload_bytes;
    if (packet->kind == PACKET_PAGES) {
        figures->content_pages += packet->content_pages;
        figures->zero_pages += packet->zero_pages;
        figures->codec_pages[packet->codec] += packet->content_pages;
        figures->codec_bytes[packet->codec] += packet->payload_bytes;
    }
    pthread_mutex_unlock(&receiver->lock);
}

/* ---- may this packet come? ------------------------------------------------------------------------------------- */

static int check_order(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;

    if (packet->sequence != receiver->sequence)
        return ferry_error_set(err, -EPROTO, "packet %" PRIu64 " came where %" PRIu64 " was due", packet->sequence,
                               receiver->sequence);
    receiver->sequence++;
    if (packet->round < receiver->round)
        return ferry_error_set(err, -EPROTO, "a packet of round %" PRIu32 " came in round %" PRIu32, packet->round,
                               receiver->round);
    receiver->round = packet->round;
    return 0;
}

static int check_pages(const struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    const struct page_terms *terms = &receiver->terms;
    bool raw_is_legal = terms->format == &packet_v2;

    if (packet->content_pages == 0)
        return 0;
    if (packet->content_pages > terms->batch_pages)
        return ferry_error_set(err, -EPROTO, "a packet of %" PRIu64 " pages, %u were agreed", packet->content_pages,
                               terms->batch_pages);
    if (receiver->once && packet->codec == CODEC_XBZRLE)
        return ferry_error_set(err, -EPROTO, "deltas of pages that the destination no longer has");
    if (terms->codec != CODEC_AUTO && packet->codec != terms->codec && !(raw_is_legal && packet->codec == CODEC_NONE))
        return ferry_error_set(err, -EPROTO, "a packet that is compressed in another way than was agreed");
    return 0;
}

/* ---- pages ----------------------------------------------------------------------------------------------------- */

static int about_block(const struct packet *packet, int ret, struct ferry_error *err)
{
    if (ret < 0) {
        ferry_error_prefix(err, "block '%s'", packet->block->info.name);
        ferry_error_object(err, "%s", packet->block->info.name);
    }
    return ret;
}

/* Ask the placer where the content belongs. */
static void prepare(struct page_receiver *receiver)
{
    const struct packet *packet = &receiver->packet;
    struct placer *placer = receiver->placer;

    receiver->pieces_count = 0;
    for (unsigned i = 0; i < packet->content_runs; i++) {
        uint64_t first = packet->run[i].first, left = packet->run[i].count;

        while (left > 0) {
            uint64_t got;
            uint8_t *place = placer->ops->prepare(placer, packet->block, first, left, &got);

            receiver->pieces[receiver->pieces_count++] = (struct iovec){ place, (size_t)got << FERRY_PAGE_SHIFT };
            first += got;
            left -= got;
        }
    }
}

static int commit(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    struct placer *placer = receiver->placer;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < packet->runs; i++) {
        const struct packet_run *run = &packet->run[i];

        if (i < packet->content_runs)
            ret = placer->ops->commit(placer, packet->block, run->first, run->count, err);
        else
            ret = placer->ops->zero(placer, packet->block, run->first, run->count, err);
        if (i >= packet->content_runs)
            page_suspects_clear(receiver->suspects, packet->block, run->first, run->count);
    }
    return about_block(packet, ret, err);
}

static int read_raw(struct page_receiver *receiver, struct ferry_error *err)
{
    struct iovec iov[BATCH_PAGES_MAX + 1];

    memcpy(iov, receiver->pieces, (size_t)receiver->pieces_count * sizeof(iov[0]));
    return packet_reader_payload(&receiver->reader, iov, receiver->pieces_count, err);
}

static int read_encoded(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    struct iovec iov[2] = { { .iov_len = packet->payload_bytes } };
    uint8_t *room;
    int ret = page_decoder_room(&receiver->decoder, packet, &room, err);

    if (ret < 0)
        return packet_reader_fail(&receiver->reader, ret, err);
    iov[0].iov_base = room;
    return packet_reader_payload(&receiver->reader, iov, 1, err);
}

/* In precopy another copy may be on its way. */
static int doubt(struct page_receiver *receiver, uint64_t page, struct ferry_error *err)
{
    const struct ram_block *block = receiver->packet.block;

    if (!receiver->once)
        return page_suspects_add(receiver->suspects, block, page, err);
    return ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EBADMSG,
                                "page %" PRIu64 " was damaged on its way: its checksum is wrong", page);
}

/* The content, where it was put, in the order of the checksums. */
static int check_sums(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    const struct iovec *piece = receiver->pieces;
    size_t offset = 0;
    unsigned at = 0;
    int ret = 0;

    for (unsigned i = 0; i < packet->content_runs; i++) {
        for (uint64_t page = 0; ret == 0 && page < packet->run[i].count; page++) {
            uint64_t number = packet->run[i].first + page;

            if (packet_sum((const uint8_t *)piece->iov_base + offset, FERRY_PAGE_BYTES) == packet->sum[at++])
                page_suspects_clear(receiver->suspects, packet->block, number, 1);
            else
                ret = doubt(receiver, number, err);
            offset += FERRY_PAGE_BYTES;
            if (offset == piece->iov_len) {
                piece++;
                offset = 0;
            }
        }
    }
    return ret;
}

/* What was read becomes pages, and is looked at. */
static int take_content(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    int ret = 0;

    if (packet->codec != CODEC_NONE)
        ret = page_decoder_decode(&receiver->decoder, packet, receiver->pieces, receiver->pieces_count, err);
    if (ret == -EPROTO)
        ferry_error_code(err, FERRY_E_BAD_PAGE_RECORD);
    if (ret == 0 && packet->summed)
        ret = check_sums(receiver, err);
    return about_block(packet, ret, err);
}

static int take_pages(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    int ret = 0;

    if (packet->content_pages > 0) {
        prepare(receiver);
        ret = packet->codec == CODEC_NONE ? read_raw(receiver, err) : read_encoded(receiver, err);
        if (ret < 0)
            return ret;
        ret = take_content(receiver, err);
    }
    if (ret == 0)
        ret = commit(receiver, err);
    return ret < 0 ? packet_reader_fail(&receiver->reader, ret, err) : 0;
}

/* A piece of a device's state, read whole before anybody looks at it. */
static int take_part(struct page_receiver *receiver, struct ferry_error *err)
{
    struct iovec iov[2] = { { .iov_len = receiver->packet.payload_bytes } };
    int ret;

    if (!receiver->part)
        receiver->part = malloc(PAGE_PART_MAX_BYTES);
    if (!receiver->part)
        return ferry_error_set(err, -ENOMEM, "no memory for the state of devices");
    iov[0].iov_base = receiver->part;
    ret = packet_reader_payload(&receiver->reader, iov, 1, err);
    if (ret < 0)
        return ret;
    ret = page_part_open(receiver->terms.parts, &receiver->packet, receiver->part, err);
    return ret < 0 ? packet_reader_fail(&receiver->reader, ret, err) : 0;
}

/* ---- packet by packet ------------------------------------------------------------------------------------------ */

static int stream_end(const struct page_receiver *receiver, struct ferry_error *err)
{
    if (receiver->terms.format != &packet_v2)
        return PACKET_END;
    ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE, "the stream was cut: it ends without saying so");
    return packet_reader_fail(&receiver->reader, -EPIPE, err);
}

static int check(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    int ret = receiver->terms.format == &packet_v2 ? check_order(receiver, err) : 0;

    if (ret == 0 && packet->kind == PACKET_PAGES)
        ret = about_block(packet, check_pages(receiver, err), err);
    if (ret == 0 && packet->kind == PACKET_DEVICE && (!receiver->terms.parts || receiver->once))
        ret = ferry_error_set_code(err, FERRY_E_UNKNOWN_COMMAND, -ENOTSUP,
                                   "state of device '%s', which page channels do not carry here", packet->device);
    else if (ret == 0 && packet->kind == PACKET_DEVICE)
        ret = page_part_check(packet, err);
    return ret < 0 ? packet_reader_fail(&receiver->reader, ret, err) : 0;
}

int page_receiver_next(struct page_receiver *receiver, struct ferry_error *err)
{
    const struct packet *packet = &receiver->packet;
    int ret = packet_reader_next(&receiver->reader, &receiver->packet, err);

    if (ret == 0)
        return stream_end(receiver, err);
    if (ret > 0)
        ret = check(receiver, err);
    if (ret == 0 && packet->kind == PACKET_PAGES)
        ret = take_pages(receiver, err);
    else if (ret == 0 && packet->kind == PACKET_DEVICE)
        ret = take_part(receiver, err);
    if (ret < 0)
        return ret;
    count(receiver);
    return packet->kind == PACKET_PAGES && packet->sync ? PACKET_SYNC : (int)packet->kind;
}

int page_receiver_drain(struct page_receiver *receiver, struct ferry_error *err)
{
    int ret = packet_reader_next(&receiver->reader, &receiver->packet, NULL);

    if (ret <= 0)
        return 0;
    ferry_error_set(err, -EPROTO, "a packet behind the last one");
    return packet_reader_fail(&receiver->reader, -EPROTO, err);
}
