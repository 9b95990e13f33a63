/* SPDX-License-Identifier: BSD-3-Clause */
/* dial.c - the source opens the connections of its session */
#include "dial.h"

#include "clock.h"
#include "deadline.h"

#include <errno.h>

int dial_introduce(const struct ferry_options *options, unsigned connections, struct hello *hello,
                   struct ferry_error *err)
{
    int ret;

    if (connections < 1 || connections > HELLO_ALL_MAX)
        return ferry_error_set(err, -EINVAL, "%u connections are not possible, but 1 to %d", connections,
                               HELLO_ALL_MAX);
    *hello = (struct hello){
        .lowest = HELLO_VERSION,
        .highest = HELLO_VERSION,
        .role = HELLO_MAIN,
        .connections = (uint16_t)connections,
        .protocol = options->protocol_capabilities,
        .device = options->device_capabilities,
    };
    ret = hello_random(hello->session, err);
    return ret < 0 ? ret : hello_random(hello->nonce, err);
}

int dial_another(const struct hello *main, enum hello_role role, unsigned index, struct hello *hello,
                 struct ferry_error *err)
{
    if (index >= HELLO_MAX_PAGES)
        return ferry_error_set(err, -EINVAL, "%s %u is beyond what can be counted", hello_role_name(role), index);
    *hello = *main;
    hello->role = role;
    hello->index = (uint8_t)index;
    return hello_random(hello->nonce, err);
}

/* A destination that has no use for us may hang up before it has read everything, with a word on the way. */
static int exchange(struct ferry_channel *chan, const struct hello *hello, struct hello_answer *answer,
                    struct ferry_error *err)
{
    uint8_t first[HELLO_PEEK_BYTES];
    struct ferry_error said = { 0 };
    int sent = hello_send(chan, hello, err), heard;

    if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET)
        return sent;
    heard = hello_receive_answer(chan, hello, first, answer, &said);
    if (heard < 0 && secure_wanted(chan, first, err) < 0)
        return -EPROTO;
    if (sent < 0 && heard != -EPERM)
        return sent;
    if (heard < 0 && err)
        *err = said;
    return heard;
}

int dial_greet(struct ferry_channel *chan, const struct hello *hello, struct watchdog *dog, int64_t timeout_ns,
               struct hello_answer *answer, struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    int ret;

    deadline_begin(&deadline, dog, chan, FERRY_READ_WRITE, clock_now_ns() + timeout_ns);
    ret = exchange(chan, hello, answer, err);
    return deadline_end(&deadline, ret, "the destination does not answer the hello", err);
}

struct ferry_channel *dial_bare(const struct dial_terms *terms, struct ferry_error *err)
{
    const struct ferry_options *options = terms->options;
    struct ferry_channel *wrapped,
        *chan = ferry_channel_connect(terms->uri, (int)(options->connect_timeout_ns / NS_PER_MS), err);

    if (!chan)
        return NULL;
    wrapped = secure_wrap(terms->secure, chan, terms->uri, terms->dog,
                          clock_now_ns() + (int64_t)options->setup_timeout_ns, err);
    if (!wrapped)
        ferry_channel_unref(chan);
    return wrapped;
}

struct ferry_channel *dial_connect(const struct dial_terms *terms, const struct hello *hello,
                                   struct hello_answer *answer, struct ferry_error *err)
{
    struct ferry_channel *chan = dial_bare(terms, err);

    if (!chan)
        return NULL;
    if (dial_greet(chan, hello, terms->dog, (int64_t)terms->options->setup_timeout_ns, answer, err) == 0)
        return chan;
    ferry_channel_unref(chan);
    return NULL;
}
