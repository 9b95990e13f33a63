/* SPDX-License-Identifier: BSD-3-Clause */
/* hello_exchange.c - hello and answer over a channel
 *
 * Read to the byte, straight from the channel: what comes behind belongs to whoever takes the connection over.
 */
#include "bytes.h"
#include "hello.h"

#include <errno.h>
#include <string.h>

static int send_all(struct ferry_channel *chan, uint8_t *data, size_t bytes, struct ferry_error *err)
{
    return ferry_channel_writev_all(chan, &(struct iovec){ data, bytes }, 1, err);
}

/* The rest of a message of which @have bytes were read: its head, then as much as that says.  Returns its length. */
static ssize_t receive_rest(struct ferry_channel *chan, uint8_t *data, size_t have, size_t max_bytes,
                            struct ferry_error *err)
{
    uint32_t length;
    int ret = ferry_channel_read_all(chan, data + have, HELLO_HEAD_BYTES - have, err);

    if (ret < 0)
        return ret;
    length = load_be32(data + 8);
    if (length > max_bytes - HELLO_HEAD_BYTES)
        return ferry_error_set_code(err, FERRY_E_BAD_HELLO, -EPROTO,
                                    "%s: a hello or answer of %u bytes, at most %zu are allowed",
                                    ferry_channel_label(chan), length, max_bytes - HELLO_HEAD_BYTES);
    if (length > 0)
        ret = ferry_channel_read_all(chan, data + HELLO_HEAD_BYTES, length, err);
    return ret < 0 ? ret : HELLO_HEAD_BYTES + (ssize_t)length;
}

int hello_send(struct ferry_channel *chan, const struct hello *hello, struct ferry_error *err)
{
    uint8_t data[HELLO_BYTES];

    return send_all(chan, data, hello_encode(hello, data), err);
}

int hello_receive(struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES], struct hello *hello,
                  struct ferry_error *err)
{
    uint8_t data[HELLO_MAX_BYTES];
    ssize_t bytes;
    int ret;

    memcpy(data, first, HELLO_PEEK_BYTES);
    bytes = receive_rest(chan, data, HELLO_PEEK_BYTES, sizeof(data), err);
    if (bytes < 0)
        return (int)bytes;
    ret = hello_decode(data, (size_t)bytes, hello, err);
    if (ret < 0) {
        ferry_error_prefix(err, "%s", ferry_channel_label(chan));
        ferry_error_code(err, FERRY_E_BAD_HELLO);
    }
    return ret;
}

int hello_agree(struct ferry_channel *chan, const struct hello_answer *answer, struct ferry_error *err)
{
    uint8_t data[ANSWER_BYTES];

    return send_all(chan, data, hello_encode_answer(answer, data), err);
}

int hello_refuse(struct ferry_channel *chan, const struct hello_refusal *refusal, struct ferry_error *err)
{
    uint8_t data[ANSWER_MAX_BYTES];

    return send_all(chan, data, hello_encode_refusal(refusal, data), err);
}

/* Has the destination kept to what was offered? */
static int check_answer(const struct hello *hello, const struct hello_answer *answer, struct ferry_error *err)
{
    if (answer->version < hello->lowest || answer->version > hello->highest)
        return ferry_error_set(err, -EPROTO, "answer: chose version %u, offered were %u to %u", answer->version,
                               hello->lowest, hello->highest);
    if (answer->protocol & ~hello->protocol || answer->device & ~hello->device)
        return ferry_error_set(err, -EPROTO, "answer: agrees to capabilities that were not offered");
    return 0;
}

/* The answer as a message; an end of the stream instead of it is how those behave who do not know the dialect. */
static ssize_t receive_answer(struct ferry_channel *chan, uint8_t data[ANSWER_MAX_BYTES], struct ferry_error *err)
{
    int ret = ferry_channel_read_all(chan, data, HELLO_PEEK_BYTES, err);

    if (ret == -EPIPE || ret == -ECONNRESET) {
        ferry_error_set_code(err, FERRY_E_BAD_HELLO, -EPROTO,
                             "%s: the destination hung up instead of answering the hello", ferry_channel_label(chan));
        ferry_error_hint(err, "a QEMU, or a ferry without the ferry dialect, needs a source with --peer qemu");
        return -EPROTO;
    }
    if (ret == 0 && !hello_is_answer(data)) {
        ferry_error_set_code(err, FERRY_E_BAD_HELLO, -EPROTO,
                             "%s: not an answer to a hello: begins with %02x %02x %02x %02x", ferry_channel_label(chan),
                             data[0], data[1], data[2], data[3]);
        ferry_error_hint(err, "does something else listen there?");
        return -EPROTO;
    }
    return ret < 0 ? ret : receive_rest(chan, data, HELLO_PEEK_BYTES, ANSWER_MAX_BYTES, err);
}

static int refused(const struct ferry_error *why, struct ferry_error *err)
{
    ferry_error_set_code(err, why->code, -EPERM, "the destination refuses: %s", why->text);
    ferry_error_where(err, FERRY_SIDE_DESTINATION, NULL);
    if (err)
        err->from_peer = true;
    if (why->hint[0])
        ferry_error_hint(err, "%s", why->hint);
    return -EPERM;
}

int hello_receive_answer(struct ferry_channel *chan, const struct hello *hello, uint8_t first[HELLO_PEEK_BYTES],
                         struct hello_answer *answer, struct ferry_error *err)
{
    uint8_t data[ANSWER_MAX_BYTES] = { 0 };
    struct hello_refusal refusal = { 0 };
    struct hello_answer got = { 0 };
    ssize_t bytes = receive_answer(chan, data, err);
    int ret;

    memcpy(first, data, HELLO_PEEK_BYTES);
    if (bytes < 0)
        return (int)bytes;
    ret = hello_decode_answer(data, (size_t)bytes, &got, &refusal, err);
    if (ret == 0 && refusal.code == HELLO_AGREED)
        ret = check_answer(hello, &got, err);
    if (ret < 0)
        ferry_error_code(err, FERRY_E_BAD_HELLO);
    if (ret == 0 && refusal.code != HELLO_AGREED)
        ret = refused(&refusal.why, err);
    if (ret < 0)
        ferry_error_prefix(err, "%s", ferry_channel_label(chan));
    else
        *answer = got;
    return ret;
}
