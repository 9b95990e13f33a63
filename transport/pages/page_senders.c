/* SPDX-License-Identifier: BSD-3-Clause */
/* page_senders.c - the threads of the source's page channels, and their rounds
 *
 *      migration thread   begin: at_work, n times   wait: until working is 0       sync, on every channel by itself
 *                              | signal each             ^ signal
 *      threads            page_sender_run(), not at_work, working--
 *
 * A round wakes no more threads than it has batches, and these wake nobody until the last is done.  Channels beyond
 * those in use carry what is not pages.
 */
#include "page_senders.h"

#include "clock.h"
#include "page_pin.h"
#include "page_sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A round has so many large batches for each channel, or is short. */
#define LONG_BATCHES 8

struct sender_thread {
    struct page_senders *all;
    pthread_t thread;
    bool started;
    pthread_cond_t go;         /* to the thread */
    bool at_work;              /* it has something to do in this round; guarded by all->lock */
    struct page_sender sender; /* of the thread while it works, else of the migration thread */
};

struct page_senders {
    struct page_walk *walk;  /* borrowed */
    struct page_codec codec; /* deltas: owned; NULL until a codec needs it */
    unsigned batch_pages;
    bool has_end;
    unsigned planned; /* how many there are to be; count: are so far */
    unsigned count;

    /* Leaves: nothing is locked under either of the two, each sender's own and this. */
    pthread_mutex_t lock;
    pthread_cond_t idle; /* to the migration thread */
    /* Guarded by lock. */
    unsigned used;    /* so many threads take from the walk */
    unsigned working; /* are at work */
    uint32_t round;
    unsigned rounds; /* begun so far */
    bool is_long;    /* the round that was begun last */
    bool postcopy;
    const struct page_parts_source *parts; /* of the round that begins next; NULL: none */
    bool quit;
    struct ferry_error error; /* the first; errnum 0: none */

    atomic_bool stop; /* as soon as there is an error */
    struct sender_thread threads[];
};

/* Which one it was, its label does not say: they all lead to the same address. */
static void name_channel(const struct sender_thread *thread, struct ferry_error *err)
{
    ferry_error_prefix(err, "page channel %u", (unsigned)(thread - thread->all->threads));
}

/* The first error stops everybody.  The other channels stay until page_senders_stop(): the destination would take their
 * ends for the cause, and tell of one that was never harmed. */
static void senders_fail(struct page_senders *senders, const struct ferry_error *why)
{
    pthread_mutex_lock(&senders->lock);
    if (senders->error.errnum == 0)
        senders->error = *why;
    atomic_store(&senders->stop, true);
    pthread_cond_broadcast(&senders->idle);
    pthread_mutex_unlock(&senders->lock);
}

/* Called with the lock held. */
static int senders_error(const struct page_senders *senders, struct ferry_error *err)
{
    if (senders->error.errnum && err)
        *err = senders->error;
    return senders->error.errnum;
}

static bool await_round(struct page_senders *senders, struct sender_thread *thread)
{
    struct page_sender *sender = &thread->sender;
    bool go;

    pthread_mutex_lock(&senders->lock);
    while (!thread->at_work && !senders->quit)
        pthread_cond_wait(&thread->go, &senders->lock);
    go = !senders->quit;
    sender->round = senders->round;
    sender->is_long = senders->is_long;
    sender->postcopy = senders->postcopy;
    sender->parts = senders->parts;
    sender->afresh = senders->rounds == 1 || senders->postcopy;
    pthread_mutex_unlock(&senders->lock);
    return go;
}

static void *sender_main(void *opaque)
{
    struct sender_thread *thread = opaque;
    struct page_senders *senders = thread->all;

    while (await_round(senders, thread)) {
        struct ferry_error err = { 0 };

        if (page_sender_run(&thread->sender, &senders->stop, &err) < 0) {
            name_channel(thread, &err);
            senders_fail(senders, &err);
        }
        pthread_mutex_lock(&senders->lock);
        thread->at_work = false;
        if (--senders->working == 0)
            pthread_cond_signal(&senders->idle);
        pthread_mutex_unlock(&senders->lock);
    }
    return NULL;
}

static int start_thread(struct page_senders *senders, unsigned i, struct ferry_channel *chan,
                        const struct page_terms *terms, struct ferry_error *err)
{
    struct sender_thread *thread = &senders->threads[i];
    int ret = page_sender_init(&thread->sender, chan, senders->planned, senders->walk, terms, &senders->codec, err);

    senders->count++;
    thread->all = senders;
    pthread_cond_init(&thread->go, NULL);
    if (ret < 0)
        return ret;
    ret = -pthread_create(&thread->thread, NULL, sender_main, thread);
    if (ret < 0)
        return ferry_error_set(err, ret, "no thread for page channel %u: %s", i, strerror(-ret));
    thread->started = true;
    if (terms->pin)
        thread->sender.figures.cpu = page_pin(thread->thread, senders->walk->map, i);
    return 0;
}

static void init_idle(struct page_senders *senders)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&senders->idle, &attr);
    pthread_condattr_destroy(&attr);
}

static int set_codec(struct page_senders *senders, enum codec_id id, struct ferry_error *err)
{
    struct page_codec *codec = &senders->codec;

    if ((id == CODEC_XBZRLE || id == CODEC_AUTO) && !atomic_load(&codec->deltas)) {
        struct page_deltas *deltas = page_deltas_new(senders->walk->map);

        if (!deltas)
            return ferry_error_set(err, -ENOMEM, "no memory for deltas of pages");
        atomic_store(&codec->deltas, deltas);
    }
    atomic_store(&codec->wanted, id);
    return 0;
}

struct page_senders *page_senders_new(struct page_walk *walk, struct ferry_channel *const *chans, unsigned count,
                                      const struct page_terms *terms, struct ferry_error *err)
{
    struct page_senders *senders = calloc(1, sizeof(*senders) + count * sizeof(senders->threads[0]));

    if (!senders) {
        ferry_error_set(err, -ENOMEM, "no memory for %u page channels", count);
        return NULL;
    }
    senders->walk = walk;
    senders->planned = senders->used = count;
    senders->batch_pages = terms->batch_pages;
    senders->has_end = terms->format == &packet_v2;
    pthread_mutex_init(&senders->lock, NULL);
    init_idle(senders);
    if (set_codec(senders, terms->codec, err) < 0) {
        page_senders_free(senders);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (start_thread(senders, i, chans[i], terms, err) < 0) {
            page_senders_free(senders);
            return NULL;
        }
    }
    return senders;
}

int page_senders_set_codec(struct page_senders *senders, enum codec_id codec, struct ferry_error *err)
{
    if (!senders->has_end && codec != (enum codec_id)atomic_load(&senders->codec.wanted))
        return ferry_error_set(err, -ENOTSUP,
                               "a channel of the qemu dialect is one stream of %s from its beginning to its end",
                               codec_name((enum codec_id)atomic_load(&senders->codec.wanted)));
    return set_codec(senders, codec, err);
}

/* Called with the lock held: those of the first @threads that do not work yet begin; after an error, nobody. */
static void set_to_work(struct page_senders *senders, unsigned threads)
{
    for (unsigned i = 0; i < threads && senders->error.errnum == 0; i++) {
        if (senders->threads[i].at_work)
            continue;
        senders->threads[i].at_work = true;
        senders->working++;
        pthread_cond_signal(&senders->threads[i].go);
    }
}

void page_senders_carry(struct page_senders *senders, const struct page_parts_source *parts)
{
    pthread_mutex_lock(&senders->lock);
    senders->parts = parts;
    pthread_mutex_unlock(&senders->lock);
}

void page_senders_begin(struct page_senders *senders, uint32_t round)
{
    unsigned least = senders->batch_pages < BATCH_PAGES ? senders->batch_pages : BATCH_PAGES;
    uint64_t pending = walk_pending(senders->walk), batches = (pending + least - 1) / least;

    pthread_mutex_lock(&senders->lock);
    senders->is_long = pending / senders->batch_pages >= (uint64_t)senders->used * LONG_BATCHES;
    senders->round = round;
    senders->rounds++;
    set_to_work(senders, batches < senders->used && !senders->parts ? (unsigned)batches : senders->used);
    pthread_mutex_unlock(&senders->lock);
}

void page_senders_begin_postcopy(struct page_senders *senders, uint32_t round)
{
    pthread_mutex_lock(&senders->lock);
    senders->postcopy = true;
    pthread_mutex_unlock(&senders->lock);
    page_senders_begin(senders, round);
}

void page_senders_use(struct page_senders *senders, unsigned channels)
{
    pthread_mutex_lock(&senders->lock);
    senders->used = channels < senders->count ? channels : senders->count;
    if (senders->working > 0)
        set_to_work(senders, senders->used);
    pthread_mutex_unlock(&senders->lock);
}

int page_senders_wait(struct page_senders *senders, int64_t timeout_ns, struct ferry_error *err)
{
    struct timespec until = clock_timespec(clock_now_ns() + timeout_ns);
    int ret = 0;

    pthread_mutex_lock(&senders->lock);
    while (senders->working > 0 && senders->error.errnum == 0 && ret == 0)
        ret = -pthread_cond_timedwait(&senders->idle, &senders->lock, &until);
    if (senders->error.errnum)
        ret = senders_error(senders, err);
    else if (senders->working == 0)
        ret = 0;
    pthread_mutex_unlock(&senders->lock);
    return ret;
}

/* May the migration thread use the channels itself? */
static int senders_idle(struct page_senders *senders, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&senders->lock);
    ret = senders_error(senders, err);
    if (ret == 0 && senders->working > 0)
        ret = ferry_error_set(err, -EBUSY, "page channels are still at work");
    pthread_mutex_unlock(&senders->lock);
    return ret;
}

static int put_on_all(struct page_senders *senders, enum packet_kind kind, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret = senders_idle(senders, err);

    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < senders->count; i++) {
        struct page_sender *sender = &senders->threads[i].sender;

        sender->round = senders->round;
        ret = page_sender_put(sender, kind, &why);
        if (ret < 0) {
            name_channel(&senders->threads[i], &why);
            senders_fail(senders, &why);
            return senders_idle(senders, err);
        }
    }
    return 0;
}

int page_senders_sync(struct page_senders *senders, struct ferry_error *err)
{
    return put_on_all(senders, PACKET_SYNC, err);
}

int page_senders_finish(struct page_senders *senders, struct ferry_error *err)
{
    int ret = senders->has_end ? put_on_all(senders, PACKET_END, err) : senders_idle(senders, err);
    struct ferry_error why = { 0 };

    for (unsigned i = 0; ret == 0 && i < senders->count; i++) {
        ret = page_sender_finish(&senders->threads[i].sender, &why);
        if (ret < 0) {
            name_channel(&senders->threads[i], &why);
            senders_fail(senders, &why);
            ret = senders_idle(senders, err);
        }
    }
    return ret;
}

void page_senders_stop(struct page_senders *senders)
{
    struct ferry_error why;

    ferry_error_set(&why, -ESHUTDOWN, "the page channels were shut down");
    senders_fail(senders, &why);
    for (unsigned i = 0; i < senders->count; i++)
        ferry_channel_shutdown(senders->threads[i].sender.chan, FERRY_READ_WRITE);
}

void page_senders_figures(struct page_senders *senders, unsigned channel, struct page_figures *figures)
{
    page_sender_figures(&senders->threads[channel].sender, figures);
}

void page_senders_free(struct page_senders *senders)
{
    if (!senders)
        return;
    pthread_mutex_lock(&senders->lock);
    senders->quit = true;
    if (senders->working > 0)
        atomic_store(&senders->stop, true);
    for (unsigned i = 0; i < senders->count; i++)
        pthread_cond_signal(&senders->threads[i].go);
    pthread_mutex_unlock(&senders->lock);
    if (atomic_load(&senders->stop))
        page_senders_stop(senders);
    for (unsigned i = 0; i < senders->count; i++) {
        if (senders->threads[i].started)
            pthread_join(senders->threads[i].thread, NULL);
        page_sender_clear(&senders->threads[i].sender);
        pthread_cond_destroy(&senders->threads[i].go);
    }
    page_deltas_free(atomic_load(&senders->codec.deltas));
    pthread_cond_destroy(&senders->idle);
    pthread_mutex_destroy(&senders->lock);
    free(senders);
}
