/* SPDX-License-Identifier: BSD-3-Clause */
/* crossing.c - memory goes from this process to another one, over sockets, in one of several ways */
#include "crossing.h"

#include "bare_stream.h"
#include "clock.h"
#include "content.h"
#include "cpu.h"
#include "page_receivers.h"
#include "placer.h"
#include "ram_section.h"
#include "tls_channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK      "bench.ram"
#define UNIX_BYTES (1 << 20) /* of buffer: a unix socket's is never tuned by the kernel */
#define LOOK_EVERY 509       /* pages */
#define SEED       1

/* One of the two processes; each has its own copy. */
struct side {
    const struct crossing *crossing;
    bool source;
    int fds[2][CROSSING_STREAMS_MAX]; /* of the source, of the destination */
    struct mapping memory;
    struct ram_map map;
    struct ferry_channel *chans[CROSSING_STREAMS_MAX];
    struct tls_credentials *creds, *bound;
    struct page_walk walk; /* source */
    struct placer *placer; /* destination */
    struct page_receivers *receivers;
};

static bool is_bare(const struct side *side)
{
    return side->crossing->way == CROSSING_BARE || side->crossing->way == CROSSING_SEALED;
}

/* The cipher of bare streams; NULL: none. */
static const char *sealed_by(const struct crossing *crossing)
{
    return crossing->way == CROSSING_SEALED ? crossing->cipher : NULL;
}

/* ---- what is sent ----------------------------------------------------------------------------------------------- */

static void content(struct content *content)
{
    struct guest_spec spec = { .seed = SEED, .content = SPEC_RANDOM };

    content_init(content, &spec);
}

int cargo_load(struct cargo *cargo, uint64_t bytes, struct ferry_error *err)
{
    struct content what;
    int ret = mapping_map(&cargo->memory, bytes, MAPPING_HUGE, err);

    if (ret < 0)
        return ret;
    content(&what);
    for (uint64_t at = 0; at < bytes; at += FERRY_PAGE_BYTES)
        content_write(&what, cargo->memory.host + at, at / FERRY_PAGE_BYTES, 0);
    if (madvise(cargo->memory.host, bytes, MADV_DONTFORK) < 0) {
        ret = ferry_error_set(err, -errno, "madvise: %s", strerror(errno));
        cargo_drop(cargo);
    }
    return ret;
}

void cargo_drop(struct cargo *cargo)
{
    mapping_unmap(&cargo->memory);
}

static int look(struct side *side, struct ferry_error *err)
{
    struct content what;

    content(&what);
    for (uint64_t page = 0; page < side->memory.bytes / FERRY_PAGE_BYTES; page += LOOK_EVERY)
        if (content_check(&what, side->memory.host + page * FERRY_PAGE_BYTES, page, 0) != CONTENT_GOOD)
            return ferry_error_set(err, -EIO, "page %llu did not arrive", (unsigned long long)page);
    return 0;
}

/* Fresh, and warm: touched, and given back. */
static int make_room(struct side *side, uint64_t bytes, struct ferry_error *err)
{
    int ret = mapping_map(&side->memory, bytes, MAPPING_HUGE, err);

    for (uint64_t at = 0; ret == 0 && at < bytes; at += FERRY_PAGE_BYTES)
        ((volatile uint8_t *)side->memory.host)[at] = 1;
    if (ret == 0 && madvise(side->memory.host, bytes, MADV_DONTNEED) < 0)
        ret = ferry_error_set(err, -errno, "madvise: %s", strerror(errno));
    return ret;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static int tcp_pair(int fds[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    fds[1] = -1;
    if (listener >= 0 && fds[0] >= 0 && bind(listener, (struct sockaddr *)&address, bytes) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &bytes) == 0 &&
        connect(fds[0], (struct sockaddr *)&address, bytes) == 0)
        fds[1] = accept(listener, NULL, NULL);
    if (listener >= 0)
        close(listener);
    if (fds[1] < 0)
        return -errno;
    return setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ? -errno : 0;
}

static int unix_pair(int fds[2])
{
    int bytes = UNIX_BYTES;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return -errno;
    if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
        (void)!setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return 0;
}

static int connect_all(struct side *side, struct ferry_error *err)
{
    memset(side->fds, 0xff, sizeof(side->fds));
    for (unsigned i = 0; i < side->crossing->streams; i++) {
        int fds[2] = { -1, -1 }, ret = side->crossing->unix_sockets ? unix_pair(fds) : tcp_pair(fds);

        side->fds[0][i] = fds[0];
        side->fds[1][i] = fds[1];
        if (ret < 0)
            return ferry_error_set(err, ret, "no connection: %s", strerror(-ret));
    }
    return 0;
}

static void close_all(int fds[CROSSING_STREAMS_MAX])
{
    for (unsigned i = 0; i < CROSSING_STREAMS_MAX; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static int open_credentials(struct side *side, struct ferry_error *err)
{
    struct tls_terms terms = { .side = side->source ? TLS_CLIENT : TLS_SERVER,
                               .folder = side->crossing->keys,
                               .ciphers = side->crossing->cipher };

    side->creds = tls_credentials_new(&terms, err);
    return side->creds ? 0 : -EIO;
}

/* The first in full, the others by its key. */
static int shake(struct side *side, unsigned i, struct ferry_error *err)
{
    struct ferry_channel *tls;

    if (i == 1 && side->source)
        side->bound = tls_channel_bound(side->chans[0], err);
    if (i >= 1 && side->source && !side->bound)
        return -EIO;
    tls = tls_channel_new(side->chans[i], side->bound ? side->bound : side->creds, side->source ? "localhost" : NULL,
                          err);
    if (tls)
        side->chans[i] = tls;
    return tls ? 0 : -EIO;
}

static int wrap_all(struct side *side, struct ferry_error *err)
{
    int *fds = side->fds[side->source ? 0 : 1], ret = 0;

    if (side->crossing->keys)
        ret = open_credentials(side, err);
    for (unsigned i = 0; ret == 0 && i < side->crossing->streams; i++) {
        side->chans[i] = ferry_channel_from_fd(fds[i], NULL, err);
        if (!side->chans[i])
            return -EIO;
        fds[i] = -1;
        if (side->crossing->keys)
            ret = shake(side, i, err);
    }
    return ret;
}

/* ---- the source ------------------------------------------------------------------------------------------------- */

static int map_add(struct side *side, unsigned flags, struct ferry_error *err)
{
    struct ferry_block block = { .name = BLOCK,
                                 .host = side->memory.host,
                                 .length = side->memory.bytes,
                                 .page_size = FERRY_PAGE_BYTES,
                                 .flags = FERRY_BLOCK_PRIVATE | flags };

    return ram_map_add(&side->map, &block, err);
}

static int source_prepare(void *opaque, struct ferry_error *err)
{
    struct side *side = opaque;
    int ret = 0;

    side->source = true;
    close_all(side->fds[1]);
    if (!is_bare(side)) {
        ret = map_add(side, 0, err);
        if (ret == 0)
            ret = wrap_all(side, err);
        if (ret == 0)
            ret = walk_init(&side->walk, &side->map, err);
    }
    return ret;
}

static int section_send(struct side *side, struct ferry_error *err)
{
    struct ferry_writer *writer = ferry_writer_new(side->chans[0], err);
    struct page_batch batch = { .limit = BATCH_PAGES };
    const struct ram_block *last = NULL;
    int ret;

    if (!writer)
        return -ENOMEM;
    ram_put_blocks(writer, &side->map);
    ret = walk_look_untouched(&side->walk, err);
    while (ret == 0 && walk_take(&side->walk, NULL, &batch)) {
        ram_put_batch(writer, &last, &batch);
        ret = ferry_writer_status(writer, err);
    }
    ram_put_eos(writer);
    if (ret == 0)
        ret = ferry_writer_flush(writer, err);
    ferry_writer_free(writer);
    return ret == 0 ? ferry_channel_finish(side->chans[0], err) : ret;
}

static int channels_send(struct side *side, struct ferry_error *err)
{
    struct page_senders *senders;
    int ret = walk_look_untouched(&side->walk, err);

    if (ret < 0)
        return ret;
    senders = page_senders_new(&side->walk, side->chans, side->crossing->streams, &side->crossing->terms, err);
    if (!senders)
        return -ENOMEM;
    page_senders_begin(senders, 1);
    do
        ret = page_senders_wait(senders, NS_PER_SEC, err);
    while (ret == -ETIMEDOUT);
    if (ret == 0)
        ret = page_senders_sync(senders, err);
    if (ret == 0)
        ret = page_senders_finish(senders, err);
    page_senders_free(senders);
    return ret;
}

static int source_run(void *opaque, struct ferry_error *err)
{
    struct side *side = opaque;

    if (is_bare(side))
        return bare_streams(side->fds[side->source ? 0 : 1], side->crossing->streams, side->source,
                            sealed_by(side->crossing), &side->memory, err);
    return side->crossing->way == CROSSING_SECTION ? section_send(side, err) : channels_send(side, err);
}

/* ---- the destination -------------------------------------------------------------------------------------------- */

static int destination_prepare(void *opaque, struct ferry_error *err)
{
    struct side *side = opaque;
    int ret;

    close_all(side->fds[0]);
    ret = make_room(side, side->memory.bytes, err);
    if (ret == 0 && !is_bare(side)) {
        ret = map_add(side, FERRY_BLOCK_FRESH, err);
        if (ret == 0)
            ret = wrap_all(side, err);
        if (ret == 0)
            side->placer = placer_direct_new(&side->map, true, err);
        if (ret == 0 && !side->placer)
            ret = -ENOMEM;
    }
    return ret;
}

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct side *side = opaque;

    *block = ram_map_find(&side->map, name);
    return *block ? 0 : ferry_error_set(err, -ENOENT, "block '%s' is not known", name);
}

static int section_receive(struct side *side, struct ferry_error *err)
{
    static const struct ram_loader_ops ops = { .announce = announce };
    struct ferry_reader *reader = ferry_reader_new(side->chans[0], err);
    struct ram_loader loader;
    int ret;

    if (!reader)
        return -ENOMEM;
    ram_loader_init(&loader, &ops, side, side->placer);
    ret = ram_get_body(&loader, reader);
    if (ret < 0)
        ferry_reader_status(reader, err);
    ram_loader_clear(&loader);
    ferry_reader_free(reader);
    return ret;
}

static void ignore(void *opaque)
{
}

/* What comes behind the sync can wait: all pages are there. */
static int channels_receive(struct side *side, struct ferry_error *err)
{
    static const struct page_receivers_events events = { .failed = ignore };

    side->receivers = page_receivers_new(&side->map, side->placer, side->chans, side->crossing->streams,
                                         &side->crossing->terms, &events, err);
    return side->receivers ? page_receivers_sync(side->receivers, err) : -ENOMEM;
}

static int destination_run(void *opaque, struct ferry_error *err)
{
    struct side *side = opaque;

    if (is_bare(side))
        return bare_streams(side->fds[side->source ? 0 : 1], side->crossing->streams, side->source,
                            sealed_by(side->crossing), &side->memory, err);
    return side->crossing->way == CROSSING_SECTION ? section_receive(side, err) : channels_receive(side, err);
}

static int destination_finish(void *opaque, struct ferry_error *err)
{
    struct side *side = opaque;
    int ret = side->receivers ? page_receivers_finish(side->receivers, err) : 0;

    page_receivers_free(side->receivers);
    return ret == 0 ? look(side, err) : ret;
}

/* ---- both ------------------------------------------------------------------------------------------------------- */

/* Of the source; the destination's process ends instead. */
static void side_clear(struct side *side)
{
    for (unsigned i = 0; i < CROSSING_STREAMS_MAX; i++)
        ferry_channel_unref(side->chans[i]);
    tls_credentials_unref(side->bound);
    tls_credentials_unref(side->creds);
    walk_clear(&side->walk);
    ram_map_clear(&side->map);
    close_all(side->fds[0]);
    close_all(side->fds[1]);
}

int crossing_run(const struct crossing *crossing, const struct cargo *cargo, struct two_took *took,
                 struct ferry_error *err)
{
    static const struct two_side sides[2] = {
        { .prepare = source_prepare, .run = source_run },
        { .prepare = destination_prepare, .run = destination_run, .finish = destination_finish },
    };
    struct side side = { .crossing = crossing, .memory = cargo->memory };
    int ret;

    ram_map_init(&side.map);
    ret = connect_all(&side, err);
    if (ret == 0)
        ret = two_run(sides, &side, took, err);
    side_clear(&side);
    return ret;
}

struct crossing_cost crossing_cost(const struct cargo *cargo, const struct two_took *took)
{
    double bytes = (double)cargo->memory.bytes;

    return (struct crossing_cost){ (double)took->cpu_ns[0] / bytes, (double)took->cpu_ns[1] / bytes };
}

double crossing_limit(const struct crossing_cost *bare, double seal_rate, double open_rate, unsigned streams)
{
    double source = bare->source / 1e9 + 1 / seal_rate, destination = bare->destination / 1e9 + 1 / open_rate;
    double side = streams / (source > destination ? source : destination);
    double all = cpu_count() / (source + destination);

    return side < all ? side : all;
}
