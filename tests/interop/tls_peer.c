/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_peer.c - one end of TLS for tests against strangers: serves one connection after another, or makes one
 *
 *      tls_peer serve   tcp:127.0.0.1:0  OPTION...     prints where, then one line per connection; echoes what comes
 *      tls_peer connect tcp:HOST:PORT    OPTION...     says a line, reads one, says goodbye
 *
 *      --x509 FOLDER  --psk FILE  --identity NAME  --hostname NAME  --authorise PATTERNS  --ciphers LIST
 *      --no-verify  --tls12  --forgive  --sink (a server then says nothing back)
 */
#include "tls_channel.h"

#include <stdio.h>
#include <string.h>

#define ROOM 4096

struct peer {
    const char *uri, *host;
    struct tls_terms terms;
    bool forgive, sink;
};

static int usage(void)
{
    fprintf(stderr, "usage: tls_peer serve|connect URI OPTION...\n");
    return 2;
}

static bool take_option(struct peer *peer, const char *name, const char *value, bool *used)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        { "--x509", &peer->terms.folder },         { "--psk", &peer->terms.psk },
        { "--identity", &peer->terms.identity },   { "--hostname", &peer->terms.hostname },
        { "--authorise", &peer->terms.authorise }, { "--ciphers", &peer->terms.ciphers },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!strcmp(name, texts[i].name) && value) {
            *texts[i].to = value;
            return *used = true;
        }
    *used = false;
    if (!strcmp(name, "--no-verify"))
        return peer->terms.no_verify = true;
    if (!strcmp(name, "--forgive"))
        return peer->forgive = true;
    if (!strcmp(name, "--sink"))
        return peer->sink = true;
    peer->terms.least = TLS_LEAST_1_2;
    return !strcmp(name, "--tls12");
}

static void say_error(const char *when, const struct ferry_error *err)
{
    printf("%s %s %s\n", when, ferry_code_name(err->code), ferry_error_text(err));
    fflush(stdout);
}

static void say_facts(const struct ferry_channel *chan)
{
    static const char *const proofs[] = { "certificate", "psk", "session" };
    struct tls_facts facts;

    tls_channel_facts(chan, &facts);
    printf("agreed %s %s %s '%s'\n", facts.version, facts.cipher, proofs[facts.proof], facts.peer);
    fflush(stdout);
}

static ssize_t read_some(struct ferry_channel *chan, char *to, struct ferry_error *err)
{
    return ferry_channel_readv(chan, &(struct iovec){ to, ROOM }, 1, err);
}

/* Says back what comes, until the other end says goodbye; and says it, too. */
static int echo(struct ferry_channel *chan, struct ferry_error *err)
{
    char text[ROOM];
    ssize_t got;

    while ((got = read_some(chan, text, err)) > 0) {
        struct iovec iov = { text, (size_t)got };
        int ret = ferry_channel_writev_all(chan, &iov, 1, err);

        if (ret < 0)
            return ret;
    }
    return got < 0 ? (int)got : ferry_channel_finish(chan, err);
}

static int swallow(struct ferry_channel *chan, struct ferry_error *err)
{
    static char text[1 << 20];
    struct tls_facts facts;
    ssize_t got;

    do
        got = ferry_channel_readv(chan, &(struct iovec){ text, sizeof(text) }, 1, err);
    while (got > 0);
    tls_channel_facts(chan, &facts);
    printf("swallowed %ju bytes in %ju records\n", (uintmax_t)facts.received_bytes, (uintmax_t)facts.received_records);
    return (int)got;
}

/* A line there, a line back. */
static int ask(struct ferry_channel *chan, struct ferry_error *err)
{
    char text[ROOM] = "";
    size_t used = 0;
    struct iovec iov = { (char[]){ "ferry\n" }, 6 };
    int ret = ferry_channel_writev_all(chan, &iov, 1, err);

    while (ret == 0 && !memchr(text, '\n', used)) {
        ssize_t got = ferry_channel_readv(chan, &(struct iovec){ text + used, ROOM - 1 - used }, 1, err);

        if (got == 0)
            break;
        ret = got < 0 ? (int)got : 0;
        used += got > 0 ? (size_t)got : 0;
    }
    if (ret == 0)
        printf("heard %.*s\n", (int)strcspn(text, "\r\n"), text);
    return ret < 0 ? ret : ferry_channel_finish(chan, err);
}

static int talk(const struct peer *peer, struct tls_credentials *creds, struct ferry_channel *inner, bool serves)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = tls_channel_new(inner, creds, peer->host, &err);
    int ret;

    if (!chan) {
        say_error("refused", &err);
        ferry_channel_unref(inner);
        return 1;
    }
    if (peer->forgive)
        tls_channel_forgive_end(chan);
    say_facts(chan);
    ret = !serves ? ask(chan, &err) : peer->sink ? swallow(chan, &err) : echo(chan, &err);
    if (ret < 0)
        say_error("broken", &err);
    else
        printf("ended well\n");
    fflush(stdout);
    ferry_channel_unref(chan);
    return ret < 0;
}

static int serve(const struct peer *peer, struct tls_credentials *creds, struct ferry_error *err)
{
    struct ferry_listener *listener = ferry_listener_open(peer->uri, err);
    struct ferry_channel *inner;

    if (!listener)
        return 1;
    printf("listens %s\n", ferry_listener_address(listener));
    fflush(stdout);
    while ((inner = ferry_listener_accept(listener, FERRY_NO_DEADLINE, err)))
        talk(peer, creds, inner, true);
    ferry_listener_free(listener);
    return 1;
}

int main(int count, char **args)
{
    struct peer peer = { .host = "127.0.0.1" };
    struct ferry_error err = { 0 };
    struct tls_credentials *creds;
    struct ferry_channel *inner;
    bool serves, used;
    int status = 1;

    if (count < 3)
        return usage();
    serves = !strcmp(args[1], "serve");
    peer.uri = args[2];
    for (int i = 3; i < count; i += used ? 2 : 1)
        if (!take_option(&peer, args[i], args[i + 1], &used))
            return usage();
    peer.terms.side = serves ? TLS_SERVER : TLS_CLIENT;
    creds = tls_credentials_new(&peer.terms, &err);
    if (creds && serves) {
        peer.host = NULL;
        status = serve(&peer, creds, &err);
    } else if (creds && (inner = ferry_channel_connect(peer.uri, 5000, &err))) {
        status = talk(&peer, creds, inner, false);
    }
    if (err.errnum)
        say_error("failed", &err);
    tls_credentials_unref(creds);
    return status;
}
