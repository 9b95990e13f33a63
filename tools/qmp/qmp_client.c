/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_client.c - the other end of a QMP socket: asks, and waits for the answer */
#include "qmp_client.h"

#include "qmp_text.h"

#include <errno.h>
#include <ferry/channel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define ANSWER_BYTES (4u << 20) /* the longest answer */
#define PIECE_BYTES  4096

struct qmp_client {
    struct ferry_channel *chan;
    struct qmp_text text;
    char piece[PIECE_BYTES];
    size_t at, bytes; /* of piece */
};

static json_t *receive(struct qmp_client *client, struct ferry_error *err)
{
    char why[QMP_WHY_BYTES];
    json_t *value = NULL;
    size_t used;

    for (;;) {
        struct iovec iov = { client->piece, sizeof(client->piece) };
        enum qmp_found found =
            qmp_text_take(&client->text, client->piece + client->at, client->bytes - client->at, &used, &value, why);
        ssize_t got;

        client->at += used;
        if (found == QMP_FOUND_VALUE)
            return value;
        if (found != QMP_FOUND_NOTHING) {
            ferry_error_set(err, -EPROTO, "what answers is no QMP: %s",
                            found == QMP_FOUND_BROKEN ? why : "an answer without an end");
            return NULL;
        }
        got = ferry_channel_readv(client->chan, &iov, 1, err);
        if (got <= 0) {
            if (got == 0)
                ferry_error_set(err, -ECONNRESET, "%s: hung up", ferry_channel_label(client->chan));
            return NULL;
        }
        client->at = 0;
        client->bytes = (size_t)got;
    }
}

/* The next that is no event. */
static json_t *receive_answer(struct qmp_client *client, struct ferry_error *err)
{
    json_t *value;

    while ((value = receive(client, err)) && json_object_get(value, "event"))
        json_decref(value);
    return value;
}

static int put(struct qmp_client *client, json_t *request, struct ferry_error *err)
{
    char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
    struct iovec iov[2] = { { line, line ? strlen(line) : 0 }, { (char[]){ '\n' }, 1 } };
    int ret;

    json_decref(request);
    if (!line)
        return ferry_error_set(err, -ENOMEM, "no memory for a request");
    ret = ferry_channel_writev_all(client->chan, iov, 2, err);
    free(line);
    return ret;
}

json_t *qmp_client_ask(struct qmp_client *client, const char *name, json_t *arguments, struct ferry_error *err)
{
    json_t *answer, *result;
    const json_t *error;

    if (put(client,
            arguments ? json_pack("{s:s, s:o}", "execute", name, "arguments", arguments)
                      : json_pack("{s:s}", "execute", name),
            err) < 0)
        return NULL;
    answer = receive_answer(client, err);
    result = json_incref(json_object_get(answer, "return"));
    error = json_object_get(answer, "error");
    if (answer && !result) {
        const char *class = json_string_value(json_object_get(error, "class"));
        const char *desc = json_string_value(json_object_get(error, "desc"));

        ferry_error_set(err, -EREMOTEIO, "%s: %s", class ? class : "no error class", desc ? desc : "no reason");
    }
    json_decref(answer);
    return result;
}

struct qmp_client *qmp_client_open(const char *address, int timeout_ms, struct ferry_error *err)
{
    struct qmp_client *client = calloc(1, sizeof(*client));
    json_t *greeting, *agreed = NULL;

    if (!client) {
        ferry_error_set(err, -ENOMEM, "no memory for QMP");
        return NULL;
    }
    client->text.limit = ANSWER_BYTES;
    client->chan = ferry_channel_connect(address, timeout_ms, err);
    if (!client->chan)
        goto fail;
    ferry_channel_set_patience(client->chan, (unsigned)timeout_ms);
    greeting = receive(client, err);
    if (greeting && !json_object_get(greeting, "QMP"))
        ferry_error_set(err, -EPROTO, "%s: what answers there is no QMP", address);
    else if (greeting)
        agreed = qmp_client_ask(client, "qmp_capabilities", NULL, err);
    json_decref(greeting);
    if (agreed) {
        json_decref(agreed);
        return client;
    }
fail:
    qmp_client_close(client);
    return NULL;
}

void qmp_client_close(struct qmp_client *client)
{
    if (!client)
        return;
    ferry_channel_unref(client->chan);
    qmp_text_clear(&client->text);
    free(client);
}
