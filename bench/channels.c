/* SPDX-License-Identifier: BSD-3-Clause */
/* channels.c - how fast does memory cross 1, 2 and 4 page channels, beside as many bare streams?
 *
 *      ours    page_senders, a thread each --> sockets --> page_receivers, a thread each --> placer
 *      limit   as many bare streams; for TLS with OpenSSL's cipher between them and the memory
 */
#include "cipher.h"
#include "crossing.h"
#include "measure.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t size = UINT64_C(128) << 20, runs = 3;
static const char *wanted_counts, *wanted_manners, *cipher = "aes-128-gcm";
static bool unix_sockets;

static const char *const counts[] = { "1", "2", "4" };

static const struct manner {
    const char *name;
    const struct packet_format *format;
    bool sums, tls;
} manners[] = {
    { "v1", &packet_v1, false, false },     { "v2", &packet_v2, false, false },
    { "v2-sums", &packet_v2, true, false }, { "v1-tls", &packet_v1, false, true },
    { "v2-tls", &packet_v2, false, true },
};
#define MANNERS (sizeof(manners) / sizeof(manners[0]))

static bool is_wanted(const struct manner *manner)
{
    return measure_wanted(wanted_manners, manner->name);
}

static int bare_rate(unsigned count, const char *sealed, const struct cargo *cargo, double *rate,
                     struct ferry_error *err)
{
    const struct crossing bare = { .way = sealed ? CROSSING_SEALED : CROSSING_BARE,
                                   .streams = count,
                                   .unix_sockets = unix_sockets,
                                   .cipher = sealed };
    struct two_took took = { 0 };
    int ret = crossing_run(&bare, cargo, &took, err);

    *rate = measure_rate(size, took.ns);
    return ret;
}

static int once(unsigned count, const char *keys, const struct cargo *cargo, struct pairs pairs[MANNERS],
                struct ferry_error *err)
{
    double plain, secret;
    int ret = bare_rate(count, NULL, cargo, &plain, err);

    if (ret == 0)
        ret = bare_rate(count, cipher, cargo, &secret, err);

    for (unsigned i = 0; ret == 0 && i < MANNERS; i++) {
        const struct manner *manner = &manners[i];
        const struct crossing ours = {
            .way = CROSSING_CHANNELS,
            .streams = count,
            .unix_sockets = unix_sockets,
            .terms = { .format = manner->format, .batch_pages = manner->format->batch_pages, .sums = manner->sums },
            .keys = manner->tls ? keys : NULL,
            .cipher = cipher,
        };
        struct two_took took;

        if (!is_wanted(manner))
            continue;
        ret = crossing_run(&ours, cargo, &took, err);
        if (ret == 0)
            pairs_add(&pairs[i], measure_rate(size, took.ns), manner->tls ? secret : plain);
    }
    return ret;
}

static int ask(unsigned count, const char *keys, const struct cargo *cargo, json_t *results, struct ferry_error *err)
{
    struct pairs pairs[MANNERS] = { 0 };
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < runs; i++)
        ret = once(count, keys, cargo, pairs, err);
    for (unsigned i = 0; ret == 0 && i < MANNERS; i++) {
        json_t *row;

        if (!is_wanted(&manners[i]))
            continue;
        row = pairs_json(&pairs[i], "rate");
        json_object_set_new(row, "channels", json_integer(count));
        json_object_set_new(row, "format", json_string(manners[i].format == &packet_v1 ? "v1" : "v2"));
        json_object_set_new(row, "sums", json_boolean(manners[i].sums));
        json_object_set_new(row, "tls", json_boolean(manners[i].tls));
        if (json_array_append_new(results, row) < 0)
            ret = -ENOMEM;
    }
    return ret;
}

static int run(json_t *results, struct ferry_error *err)
{
    struct cargo cargo;
    char keys[64];
    int ret;

    size -= size % FERRY_PAGE_BYTES;
    ret = cargo_load(&cargo, size, err);
    if (ret < 0)
        return ret;
    ret = cipher_keys_make(keys, err);
    for (unsigned i = 0; ret == 0 && i < sizeof(counts) / sizeof(counts[0]); i++)
        if (measure_wanted(wanted_counts, counts[i]))
            ret = ask((unsigned)atoi(counts[i]), keys, &cargo, results, err);
    cipher_keys_remove(keys);
    cargo_drop(&cargo);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, FERRY_PAGE_BYTES, UINT64_C(1) << 40, "memory that crosses, incompressible" },
    { "count", MEASURE_TEXT, &wanted_counts, 0, 0, "of 1,2,4 channels" },
    { "manner", MEASURE_TEXT, &wanted_manners, 0, 0, "of v1,v2,v2-sums,v1-tls,v2-tls" },
    { "cipher", MEASURE_TEXT, &cipher, 0, 0, "for TLS" },
    { "unix", MEASURE_SWITCH, &unix_sockets, 0, 0, "unix sockets instead of tcp on the loopback device" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure channels = {
    .name = "channels",
    .about = "How fast does memory cross 1, 2 and 4 page channels between two processes (`rate`,\n"
             "bytes per second), in packets of either format, with checksums of each page (v2-sums)\n"
             "or over TLS? `limit`: as many bare streams; for TLS they seal, write, read and open.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&channels, argc, argv);
}
