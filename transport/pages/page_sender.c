/* SPDX-License-Identifier: BSD-3-Clause */
/* page_sender.c - what one page channel sends: it takes from the walk until that is empty */
#include "page_sender.h"

#include "clock.h"
#include "packet_parts.h"
#include "writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So many zero pages may wait for company before they are flushed: the other end has something to do with them. */
#define QUIET_PAGES 8192

#define PROMPT_NS        NS_PER_MS
#define PROMPT_PAGES_MIN 32 /* with fewer a loopback that others keep busy gets slow */

int page_sender_init(struct page_sender *sender, struct ferry_channel *chan, unsigned channels, struct page_walk *walk,
                     const struct page_terms *terms, struct page_codec *codec, struct ferry_error *err)
{
    int ret;

    memset(sender, 0, offsetof(struct page_sender, packet));
    memset(&sender->figures, 0, sizeof(sender->figures));
    pthread_mutex_init(&sender->lock, NULL);
    sender->figures.cpu = -1;
    sender->chan = ferry_channel_ref(chan);
    sender->walk = walk;
    sender->codec = codec;
    sender->terms = *terms;
    ret = page_encoder_init(&sender->encoder, terms, atomic_load(&codec->deltas), channels, err);
    if (ret < 0)
        return ret;
    sender->writer = ferry_writer_new(chan, err);
    if (!sender->writer)
        return -ENOMEM;
    writer_set_limit(sender->writer, terms->limit, RATELIMIT_PAGES);
    return 0;
}

void page_sender_clear(struct page_sender *sender)
{
    ferry_writer_free(sender->writer);
    page_encoder_clear(&sender->encoder);
    free(sender->part);
    ferry_channel_unref(sender->chan);
    pthread_mutex_destroy(&sender->lock);
}

void page_sender_figures(struct page_sender *sender, struct page_figures *figures)
{
    pthread_mutex_lock(&sender->lock);
    *figures = sender->figures;
    pthread_mutex_unlock(&sender->lock);
}

static void count(struct page_sender *sender, const struct packet *packet)
{
    struct page_figures *figures = &sender->figures;

    pthread_mutex_lock(&sender->lock);
    figures->bytes = ferry_writer_offset(sender->writer);
    figures->packets++;
    if (packet->kind == PACKET_DEVICE)
        figures->part_bytes += packet->payload_bytes;
    if (packet->kind == PACKET_PAGES) {
        figures->content_pages += packet->content_pages;
        figures->zero_pages += packet->zero_pages;
        figures->codec_pages[packet->codec] += packet->content_pages;
        figures->codec_bytes[packet->codec] += packet->payload_bytes;
    }
    pthread_mutex_unlock(&sender->lock);
}

static int flush(struct page_sender *sender, struct ferry_error *err)
{
    int ret = ferry_writer_flush(sender->writer, err);

    sender->quiet_pages = 0;
    if (ret < 0 && err && !err->object[0])
        ferry_error_object(err, "%s", ferry_channel_label(sender->chan));
    return ret;
}

/* The header of sender->packet; its payload follows. */
static void put_header(struct page_sender *sender)
{
    struct packet *packet = &sender->packet;

    packet->sequence = sender->sequence++;
    packet->round = sender->round;
    ferry_put_bytes(sender->writer, sender->header, sender->terms.format->encode(packet, sender->header));
}

int page_sender_finish(struct page_sender *sender, struct ferry_error *err)
{
    int ret = writer_sync(sender->writer, err);

    return ret < 0 ? ret : ferry_channel_finish(sender->chan, err);
}

int page_sender_put(struct page_sender *sender, enum packet_kind kind, struct ferry_error *err)
{
    struct packet *packet = &sender->packet;

    packet_reset(packet, kind);
    put_header(sender);
    count(sender, packet);
    return flush(sender, err);
}

/* ---- pages that were never touched ----------------------------------------------------------------------------- */

static int put_zeros(struct page_sender *sender, struct ferry_error *err)
{
    put_header(sender);
    count(sender, &sender->packet);
    sender->packet.runs = 0;
    return flush(sender, err);
}

/* Returns how many of them the packet takes; 0: it has to go first. */
static uint64_t add_zeros(struct packet *packet, const struct ram_block *block, uint64_t first, uint64_t pages)
{
    if (packet->runs == 0)
        return packet_from_zeros(packet, block, first, pages);
    if (packet->block != block || packet->runs == BATCH_PAGES_MAX || pages > PACKET_RUN_PAGES)
        return 0;
    packet->run[packet->runs++] = (struct packet_run){ first, pages };
    packet->zero_pages += pages;
    return pages;
}

/* Runs of one block share a packet. */
static int send_untouched(struct page_sender *sender, const atomic_bool *stop, struct ferry_error *err)
{
    const struct ram_block *block;
    uint64_t first, pages;
    int ret = 0;

    sender->packet.runs = 0;
    while (ret == 0 && !atomic_load(stop) && walk_take_untouched(sender->walk, &block, &first, &pages)) {
        while (ret == 0 && pages > 0) {
            uint64_t taken = add_zeros(&sender->packet, block, first, pages);

            if (taken == 0)
                ret = put_zeros(sender, err);
            first += taken;
            pages -= taken;
        }
    }
    return ret == 0 && sender->packet.runs > 0 ? put_zeros(sender, err) : ret;
}

/* ---- the others ------------------------------------------------------------------------------------------------ */

static void put_raw(struct page_sender *sender)
{
    struct packet *packet = &sender->packet;
    struct iovec pieces[BATCH_PAGES_MAX];
    int pieces_count = packet_pieces(packet, pieces, BATCH_PAGES_MAX);

    packet->payload_bytes = (uint32_t)packet->content_pages << FERRY_PAGE_SHIFT;
    put_header(sender);
    for (int i = 0; i < pieces_count; i++)
        writer_put_lent(sender->writer, pieces[i].iov_base, pieces[i].iov_len);
}

/* The payload is overwritten by the next one. */
static int put_encoded(struct page_sender *sender, struct ferry_error *err)
{
    put_header(sender);
    ferry_put_ref(sender->writer, sender->encoder.out, sender->packet.payload_bytes);
    return flush(sender, err);
}

/* How long the channel took for it is what the choice of codecs goes by. */
static int put_pages(struct page_sender *sender, bool encoded, struct ferry_error *err)
{
    struct page_auto *choice = sender->encoder.choice;
    uint64_t before = writer_flushed(sender->writer);
    int64_t began_ns = choice ? clock_now_ns() : 0;
    int ret = 0;

    if (encoded)
        ret = put_encoded(sender, err);
    else
        put_raw(sender);
    if (choice && writer_flushed(sender->writer) > before)
        page_auto_written(choice, writer_flushed(sender->writer) - before, clock_now_ns() - began_ns);
    return ret;
}

static int take_up_codec(struct page_sender *sender, struct ferry_error *err)
{
    enum codec_id wanted = (enum codec_id)atomic_load(&sender->codec->wanted);

    if (wanted == sender->encoder.codec)
        return 0;
    return page_encoder_switch(&sender->encoder, wanted, atomic_load(&sender->codec->deltas), err);
}

/* In postcopy what is in hand when it is asked for goes in its turn.  So it is no more than the channel takes in a
 * millisecond, which the last batch has shown... */
static void learn_prompt(struct page_sender *sender, int64_t took_ns)
{
    unsigned most = sender->terms.batch_pages < BATCH_PAGES ? sender->terms.batch_pages : BATCH_PAGES;
    unsigned pages = sender->prompt_pages ? sender->prompt_pages : most;

    if (took_ns > PROMPT_NS)
        pages = pages / 2 > PROMPT_PAGES_MIN ? pages / 2 : PROMPT_PAGES_MIN;
    else if (took_ns < PROMPT_NS / 4 && sender->batch.count >= pages)
        pages *= 2;
    sender->prompt_pages = pages < most ? pages : most;
}

/* ... and than the limit passes in one. */
static unsigned prompt_limit(const struct page_sender *sender)
{
    unsigned most = sender->prompt_pages ? sender->prompt_pages : PROMPT_PAGES_MIN;
    uint64_t rate = sender->terms.limit ? ratelimit_get(sender->terms.limit) : RATELIMIT_UNLIMITED;
    uint64_t pages = rate / 1000 / FERRY_PAGE_BYTES;

    return pages == 0 ? 1 : pages < most ? (unsigned)pages : most;
}

/* Large packets take less of both processors.  Codecs want what they read in the cache, and a short round all channels
 * at work. */
static unsigned batch_limit(const struct page_sender *sender)
{
    const struct page_auto *choice = sender->encoder.choice;
    bool raw = choice ? page_auto_goes_raw(choice) : sender->encoder.codec == CODEC_NONE;
    unsigned most = sender->terms.batch_pages;

    return most < BATCH_PAGES || (raw && sender->is_long) ? most : BATCH_PAGES;
}

/* Have the next batch; *more: there was one. */
static int take_batch(struct page_sender *sender, bool *more, struct ferry_error *err)
{
    int ret = take_up_codec(sender, err);

    sender->batch.limit = sender->postcopy ? prompt_limit(sender) : batch_limit(sender);
    *more = ret == 0 && walk_take(sender->walk, &sender->claim, &sender->batch);
    return ret;
}

/* What the other end takes in the main stream alone. */
static void set_zeros_apart(struct page_sender *sender)
{
    unsigned pages = page_zeros_add(sender->terms.zeros, &sender->batch);

    pthread_mutex_lock(&sender->lock);
    sender->figures.zero_pages += pages;
    pthread_mutex_unlock(&sender->lock);
}

static int send_batch(struct page_sender *sender, struct ferry_error *err)
{
    struct packet *packet = &sender->packet;
    int64_t began_ns = clock_now_ns();
    int ret;

    if (sender->terms.zeros)
        set_zeros_apart(sender);
    if (sender->batch.count == 0)
        return 0;
    packet_from_batch(packet, &sender->batch);
    if (sender->terms.sums && packet->content_pages > 0)
        packet_sum_pages(packet);
    ret = page_encoder_encode(&sender->encoder, packet, sender->afresh, err);
    if (ret < 0)
        return ret;
    ret = put_pages(sender, ret > 0, err);
    count(sender, packet);
    sender->quiet_pages += (unsigned)packet->zero_pages;
    if (ret == 0 && (sender->quiet_pages >= QUIET_PAGES || sender->postcopy))
        ret = flush(sender, err);
    if (sender->postcopy)
        learn_prompt(sender, clock_now_ns() - began_ns);
    return ret < 0 ? ret : ferry_writer_status(sender->writer, err);
}

/* ---- state of devices ------------------------------------------------------------------------------------------ */

/* 1: one piece has gone; 0: none is left; or a negative errno. */
static int send_part(struct page_sender *sender, struct ferry_error *err)
{
    struct packet *packet = &sender->packet;
    ssize_t bytes;
    int ret;

    packet_reset(packet, PACKET_DEVICE);
    bytes = sender->parts->take(sender->parts->opaque, packet, sender->part + PAGE_PART_HEAD_BYTES, err);
    if (bytes <= 0)
        return (int)bytes;
    packet->payload_bytes = page_part_seal(sender->part, (size_t)bytes);
    put_header(sender);
    ferry_put_ref(sender->writer, sender->part, packet->payload_bytes);
    count(sender, packet);
    ret = flush(sender, err);
    return ret < 0 ? ret : 1;
}

/* What the guest waits for to be started draws before pages do. */
static int send_parts(struct page_sender *sender, const atomic_bool *stop, struct ferry_error *err)
{
    int ret = flush(sender, err);

    if (ret == 0 && !sender->part)
        sender->part = malloc(PAGE_PART_MAX_BYTES);
    if (!sender->part)
        return ret < 0 ? ret : ferry_error_set(err, -ENOMEM, "no memory for the state of devices");
    writer_set_limit(sender->writer, sender->terms.limit, RATELIMIT_URGENT);
    do
        ret = ret < 0 ? ret : send_part(sender, err);
    while (ret > 0 && !atomic_load(stop));
    writer_set_limit(sender->writer, sender->terms.limit, RATELIMIT_PAGES);
    return ret < 0 ? ret : 0;
}

int page_sender_run(struct page_sender *sender, const atomic_bool *stop, struct ferry_error *err)
{
    bool more = true;
    int ret = 0;

    if (sender->encoder.choice)
        page_auto_written(sender->encoder.choice, 0, 0);
    if (sender->terms.format->zero_runs)
        ret = send_untouched(sender, stop, err);
    while (ret == 0 && more && !atomic_load(stop)) {
        ret = take_batch(sender, &more, err);
        if (ret == 0 && more)
            ret = send_batch(sender, err);
    }
    if (ret == 0 && sender->parts)
        ret = send_parts(sender, stop, err);
    return ret == 0 ? flush(sender, err) : ret;
}
