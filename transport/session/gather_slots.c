/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_slots.c - the connections of which it is not known yet whether they belong to the session, a thread each
 *
 * A thread ends as soon as its connection has a place, waits for its main connection or has been refused.  Main's
 * thread then serves those who wait.
 */
#include "clock.h"
#include "deadline.h"
#include "gather_parts.h"
#include "handshake.h"
#include "log.h"
#include "probe.h"
#include "wait.h"

#include <errno.h>
#include <string.h>

static void note_refused(struct gather *gather, const struct ferry_error *why)
{
    pthread_mutex_lock(&gather->lock);
    if (!gather->end.failed)
        gather->end.why = *why;
    pthread_mutex_unlock(&gather->lock);
}

void gather_refuse(struct gather *gather, struct ferry_channel *chan, const struct hello_refusal *refusal, bool unread)
{
    note_refused(gather, &refusal->why);
    handshake_refuse(chan, gather->dog, refusal, unread);
}

/* With the lock held: a place in the roster or on the list of those who wait, or a refusal. */
static enum roster_verdict judge(struct gather *gather, struct ferry_channel *chan, const struct hello *hello,
                                 struct hello_refusal *refusal)
{
    enum roster_verdict verdict = roster_judge(&gather->roster, hello, refusal);
    int64_t until_ns = clock_now_ns() + gather->terms.setup_ns;

    if (verdict == ROSTER_REFUSE)
        return verdict;
    if (gather->end.over || gather->plain.chan) {
        hello_refusal_set(refusal, HELLO_CLOSED, "no session is being set up here any more");
        return ROSTER_REFUSE;
    }
    if (verdict == ROSTER_WAIT) {
        if (waiting_add(&gather->waiting, chan, hello, until_ns))
            return verdict;
        hello_refusal_set(refusal, HELLO_TOO_MANY, "too many connections wait for their main connection");
        return ROSTER_REFUSE;
    }
    /* Its name alone, which reports tell, makes nobody a part of a session. */
    if (hello->role != HELLO_MAIN &&
        !secure_belongs(chan, hello->role == HELLO_RESUME ? gather->terms.born : gather->roster.main)) {
        hello_refusal_set(refusal, HELLO_STRAY, "%s %u is not proven to come from where its main connection does",
                          hello_role_name(hello->role), hello->index);
        return ROSTER_REFUSE;
    }
    roster_take(&gather->roster, hello, chan);
    if (roster_is_main(hello))
        gather->deadline_ns = until_ns;
    return verdict;
}

/* May the session that this main connection names begin here? */
static int admit(struct gather *gather, struct ferry_channel *chan, const struct hello *hello, struct ferry_error *err)
{
    struct hello_refusal refusal = { .code = HELLO_CLOSED };
    int ret = gather->terms.admit(gather->terms.opaque, hello, &refusal.why);

    if (ret < 0) {
        gather_refuse(gather, chan, &refusal, false);
        *err = refusal.why;
    }
    return ret;
}

/* It has its place: say so.  Only then may anybody else write to it. */
static void agree(struct gather *gather, struct ferry_channel *chan, const struct hello *hello)
{
    struct hello_answer answer = gather->roster.agreed; /* fixed since the session has a name */
    struct ferry_error err = { 0 };
    int ret = 0;

    if (hello->role == HELLO_MAIN && gather->terms.admit)
        ret = admit(gather, chan, hello, &err);
    if (ret == 0)
        ret = handshake_agree(chan, gather->dog, &answer, &err);
    pthread_mutex_lock(&gather->lock);
    if (ret == 0) {
        roster_answered(&gather->roster);
        if (roster_is_main(hello))
            memcpy(gather->nonce, answer.nonce, HELLO_ID_BYTES);
    } else if ((ret == -EALREADY || hello->role == HELLO_RESUME) && gather->roster.came == 1) {
        roster_clear(&gather->roster);
        gather->deadline_ns = gather->patience_ns;
    } else if (roster_is_main(hello)) {
        gather->end.failed = true;
        gather->end.why = err;
    } else {
        roster_vacate(&gather->roster, hello);
        log_info(LOG_SESSION, "%s", err.text);
    }
    pthread_mutex_unlock(&gather->lock);
}

static void settle(struct gather *gather, struct ferry_channel *chan, const struct hello *hello)
{
    struct hello_refusal refusal;
    enum roster_verdict verdict;

    pthread_mutex_lock(&gather->lock);
    verdict = judge(gather, chan, hello, &refusal);
    pthread_mutex_unlock(&gather->lock);
    if (verdict == ROSTER_TAKE)
        agree(gather, chan, hello);
    else if (verdict == ROSTER_REFUSE)
        gather_refuse(gather, chan, &refusal, false);
    wait_wake(gather->wake);
}

/* The session has a name now: who waits is taken or refused. */
static void settle_waiting(struct gather *gather)
{
    struct waiting next;
    bool more;

    for (;;) {
        pthread_mutex_lock(&gather->lock);
        more = gather->roster.named && waiting_take(&gather->waiting, INT64_MAX, &next);
        pthread_mutex_unlock(&gather->lock);
        if (!more)
            return;
        settle(gather, next.chan, &next.hello);
        ferry_channel_unref(next.chan);
    }
}

/* It goes without a word: who speaks the plain dialect would not understand one. */
static void drop_plain(struct gather *gather, struct ferry_channel *chan, const struct ferry_error *why)
{
    log_info(LOG_SESSION, "%s", why->text);
    note_refused(gather, why);
    ferry_channel_shutdown(chan, FERRY_READ_WRITE);
}

/* With the lock held: does a page connection of a plain stream belong here? */
static int judge_plain_page(const struct gather *gather, const char *label, unsigned index, struct ferry_error *err)
{
    if (gather->end.over || gather->roster.named)
        return ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EACCES,
                                    "%s: a page connection of a plain stream, but none is being set up here", label);
    if (index >= gather->terms.plain_pages)
        return ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EACCES,
                                    "%s: page connection %u of a plain stream, but %u are expected here", label, index,
                                    gather->terms.plain_pages);
    if (gather->plain.pages[index])
        return ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EACCES, "%s: page connection %u is there already",
                                    label, index);
    return 0;
}

static void take_plain_page(struct gather *gather, struct ferry_channel *chan, const struct handshake *got)
{
    static const uint8_t no_uuid[16];
    struct ferry_error err = { 0 };
    unsigned index = 0;
    int ret = packet_v1_get_greeting(got->greeting, no_uuid, &index, &err);
    if (ret == 0) {
        pthread_mutex_lock(&gather->lock);
        ret = judge_plain_page(gather, ferry_channel_label(chan), index, &err);
        if (ret == 0) {
            gather->plain.pages[index] = ferry_channel_ref(chan);
            gather->plain.pages_count++;
        }
        pthread_mutex_unlock(&gather->lock);
    }
    if (ret < 0)
        drop_plain(gather, chan, &err);
}

/* A plain stream is a whole session, with its page connections, unless another has begun. */
static void take_plain(struct gather *gather, struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES])
{
    bool taken;

    pthread_mutex_lock(&gather->lock);
    taken = !gather->end.over && !gather->roster.named && !gather->plain.chan && !gather->terms.roster.returns;
    if (taken) {
        gather->plain.chan = ferry_channel_ref(chan);
        memcpy(gather->plain.first, first, HELLO_PEEK_BYTES);
        gather->deadline_ns = clock_now_ns() + gather->terms.setup_ns;
    }
    pthread_mutex_unlock(&gather->lock);
    if (taken)
        return;
    log_info(LOG_SESSION, "%s: a plain stream, but another session is being set up", ferry_channel_label(chan));
    ferry_channel_shutdown(chan, FERRY_READ_WRITE);
}

/* No hello.  Was it told to go, or is it to be told why? */
static void turn_away(struct gather_slot *slot, const struct handshake *got, struct hello_refusal *refusal)
{
    struct gather *gather = slot->gather;
    bool over, evicted;

    pthread_mutex_lock(&gather->lock);
    over = gather->end.over;
    evicted = slot->evicted;
    pthread_mutex_unlock(&gather->lock);
    if (evicted)
        hello_refusal_set(refusal, HELLO_TOO_MANY, "too many connections that say nothing");
    else if (over)
        hello_refusal_set(refusal, HELLO_CLOSED, "no session is being set up here any more");
    if (refusal->code != HELLO_AGREED && got->kind != HELLO_KIND_QEMU && got->kind != HELLO_KIND_QEMU_PAGES) {
        gather_refuse(gather, slot->chan, refusal, true);
        return;
    }
    log_info(LOG_SESSION, "%s", refusal->why.text);
    note_refused(gather, &refusal->why);
    ferry_channel_shutdown(slot->chan, FERRY_READ_WRITE);
}

/* It was read, with result @ret.  One that was told to go meanwhile has lost its reading direction: -ESHUTDOWN. */
static int end_of_reading(struct gather_slot *slot, int ret)
{
    struct gather *gather = slot->gather;

    pthread_mutex_lock(&gather->lock);
    if (ret == 0 && (slot->evicted || gather->end.over))
        ret = -ESHUTDOWN;
    slot->state = ret < 0 ? GATHER_REFUSING : GATHER_ANSWERING;
    pthread_mutex_unlock(&gather->lock);
    return ret;
}

/* Without encryption somebody may come with it all the same. */
static int shake_hands(struct gather_slot *slot, int64_t until_ns, struct hello_refusal *refusal)
{
    struct gather *gather = slot->gather;
    struct ferry_channel *wrapped;

    if (!gather->terms.secure)
        return 0;
    wrapped = secure_wrap(gather->terms.secure, slot->chan, NULL, gather->dog, until_ns, &refusal->why);
    if (!wrapped)
        return refusal->why.errnum;
    pthread_mutex_lock(&gather->lock);
    slot->chan = wrapped;
    pthread_mutex_unlock(&gather->lock);
    return 0;
}

/* Not of any session: served here, until it goes, is shown out for another, or all is over. */
static void serve_probe(struct gather_slot *slot, const struct hello *hello, struct hello_refusal *refusal)
{
    struct gather *gather = slot->gather;
    struct hello_answer answer = {
        .version = hello_choose_version(hello, refusal),
        .protocol = hello->protocol & gather->terms.roster.protocol_capabilities,
        .device = hello->device & gather->terms.roster.device_capabilities,
    };
    struct deadline deadline = { 0 };
    struct ferry_error err = { 0 };
    int ret;

    if (answer.version && gather->single)
        hello_refusal_set(refusal, HELLO_BAD_ROLE, "a probe, where only one connection can come");
    if (refusal->code != HELLO_AGREED) {
        gather_refuse(gather, slot->chan, refusal, false);
        return;
    }
    ret = handshake_agree(slot->chan, gather->dog, &answer, &err);
    pthread_mutex_lock(&gather->lock);
    slot->state = GATHER_PROBED;
    if (gather->end.over)
        ret = -ESHUTDOWN;
    pthread_mutex_unlock(&gather->lock);
    deadline_begin(&deadline, gather->dog, slot->chan, FERRY_READ_WRITE, clock_now_ns() + PROBE_PATIENCE_NS);
    if (ret == 0)
        ret = probe_serve(slot->chan, &err);
    if (deadline_end(&deadline, ret, "a probe goes on and on", &err) < 0)
        log_info(LOG_SESSION, "%s", err.text);
    ferry_channel_shutdown(slot->chan, FERRY_READ_WRITE);
}

static void *slot_thread(void *opaque)
{
    struct gather_slot *slot = opaque;
    struct gather *gather = slot->gather;
    struct handshake_terms terms = {
        .first_ns = slot->began_ns + gather->terms.setup_ns,
        .rest_ns = gather->terms.setup_ns,
        .plain_pages = gather->terms.plain_pages > 0,
    };
    struct hello_refusal refusal = { 0 };
    struct handshake got = { 0 };
    int ret;

    if (gather->single)
        terms.first_ns = gather->terms.wait_ns < 0 ? -1 : slot->began_ns + gather->terms.wait_ns;
    ret = shake_hands(slot, terms.first_ns, &refusal);
    if (ret == 0)
        ret = handshake_read(slot->chan, gather->dog, &terms, &got, &refusal);
    ret = end_of_reading(slot, ret);
    if (ret < 0) {
        turn_away(slot, &got, &refusal);
    } else if (got.kind == HELLO_KIND_QEMU) {
        take_plain(gather, slot->chan, got.first);
    } else if (got.kind == HELLO_KIND_QEMU_PAGES) {
        take_plain_page(gather, slot->chan, &got);
    } else if (got.hello.role == HELLO_PROBE) {
        serve_probe(slot, &got.hello, &refusal);
    } else {
        settle(gather, slot->chan, &got.hello);
        settle_waiting(gather);
    }
    pthread_mutex_lock(&gather->lock);
    slot->state = GATHER_DONE;
    pthread_mutex_unlock(&gather->lock);
    wait_wake(gather->wake);
    return NULL;
}

unsigned gather_slots_reap(struct gather *gather)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < GATHER_SLOTS; i++) {
        struct gather_slot *slot = &gather->slots[i];
        struct ferry_channel *chan;
        enum gather_slot_state state;

        pthread_mutex_lock(&gather->lock);
        state = slot->state;
        pthread_mutex_unlock(&gather->lock);
        if (state != GATHER_FREE && state != GATHER_DONE)
            busy++;
        if (state != GATHER_DONE)
            continue;
        pthread_join(slot->thread, NULL);
        pthread_mutex_lock(&gather->lock);
        chan = slot->chan; /* the thread may have wrapped it */
        slot->state = GATHER_FREE;
        slot->chan = NULL;
        pthread_mutex_unlock(&gather->lock);
        ferry_channel_unref(chan);
    }
    return busy;
}

void gather_slot_start(struct gather *gather, struct ferry_channel *chan)
{
    struct gather_slot *slot = gather->slots;
    struct ferry_error err;
    int ret;

    pthread_mutex_lock(&gather->lock);
    while (slot->state != GATHER_FREE)
        slot++;
    *slot = (struct gather_slot){ .gather = gather, .chan = chan, .began_ns = clock_now_ns(), .state = GATHER_READING };
    pthread_mutex_unlock(&gather->lock);
    ret = -pthread_create(&slot->thread, NULL, slot_thread, slot);
    if (ret == 0)
        return;
    ferry_error_set(&err, ret, "%s: no thread for a connection", ferry_channel_label(chan));
    note_refused(gather, &err);
    pthread_mutex_lock(&gather->lock);
    slot->state = GATHER_FREE;
    slot->chan = NULL;
    pthread_mutex_unlock(&gather->lock);
    ferry_channel_unref(chan);
}

/* With the lock held: it does nothing that must not be cut short. */
static bool is_listened_to(const struct gather_slot *slot)
{
    return slot->state == GATHER_READING || slot->state == GATHER_REFUSING || slot->state == GATHER_PROBED;
}

void gather_slots_evict(struct gather *gather)
{
    struct gather_slot *oldest = NULL;

    pthread_mutex_lock(&gather->lock);
    for (unsigned i = 0; i < GATHER_SLOTS; i++) {
        struct gather_slot *slot = &gather->slots[i];

        if (is_listened_to(slot) && (!oldest || slot->began_ns < oldest->began_ns))
            oldest = slot;
    }
    if (oldest && !oldest->evicted) {
        oldest->evicted = true;
        ferry_channel_shutdown(oldest->chan, FERRY_READ);
    }
    pthread_mutex_unlock(&gather->lock);
}

void gather_slots_close(struct gather *gather)
{
    pthread_mutex_lock(&gather->lock);
    gather->end.over = true;
    for (unsigned i = 0; i < GATHER_SLOTS; i++)
        if (is_listened_to(&gather->slots[i]))
            ferry_channel_shutdown(gather->slots[i].chan, FERRY_READ);
    pthread_mutex_unlock(&gather->lock);
}
