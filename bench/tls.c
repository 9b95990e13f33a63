/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.c - how fast does memory cross one encrypted connection, beside what cipher and socket together allow?
 *
 *      source        1 / (OpenSSL's cipher seals + a bare socket takes)      time for each byte, on one processor
 *      destination   1 / (a bare socket gives + OpenSSL's cipher opens)
 *      limit         the slower of the two, with nothing else to do on this machine
 *      sealed        bare loops that do both: what is left of that limit here and now
 *
 * The cipher is called with 16 KiB at a time on one processor; a socket's part is the CPU time of the bare loops of
 * bench/channel.c, that of first touching the memory included.
 */
#include "cipher.h"
#include "crossing.h"
#include "measure.h"

#include <errno.h>

static uint64_t size = UINT64_C(128) << 20, runs = 3;
static const char *wanted;

struct figures {
    struct pairs computed, sealed;
    struct series seal, open, socket, source, destination;
};

static int once(const char *cipher, const char *keys, const struct cargo *cargo, struct figures *figures,
                struct ferry_error *err)
{
    const struct crossing bare = { .way = CROSSING_BARE, .streams = 1 };
    const struct crossing ours = { .way = CROSSING_SECTION, .streams = 1, .keys = keys, .cipher = cipher };
    const struct crossing loops = { .way = CROSSING_SEALED, .streams = 1, .cipher = cipher };
    struct two_took plain, secret, sealed;
    struct crossing_cost cost;
    double seal, open;
    int ret = cipher_speed(cipher, true, &seal, err);

    if (ret == 0)
        ret = cipher_speed(cipher, false, &open, err);
    if (ret == 0)
        ret = crossing_run(&ours, cargo, &secret, err);
    if (ret == 0)
        ret = crossing_run(&loops, cargo, &sealed, err);
    if (ret == 0)
        ret = crossing_run(&bare, cargo, &plain, err);
    if (ret < 0)
        return ret;
    cost = crossing_cost(cargo, &plain);
    pairs_add(&figures->computed, measure_rate(size, secret.ns), crossing_limit(&cost, seal, open, 1));
    pairs_add(&figures->sealed, measure_rate(size, secret.ns), measure_rate(size, sealed.ns));
    cost = crossing_cost(cargo, &secret);
    series_add(&figures->source, cost.source);
    series_add(&figures->destination, cost.destination);
    series_add(&figures->seal, seal);
    series_add(&figures->open, open);
    series_add(&figures->socket, measure_rate(size, plain.ns));
    return 0;
}

static int ask(const char *cipher, const char *keys, const struct cargo *cargo, json_t *results,
               struct ferry_error *err)
{
    struct figures figures = { 0 };
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        int ret = once(cipher, keys, cargo, &figures, err);

        if (ret < 0)
            return ret;
    }
    row = pairs_json(&figures.computed, "rate");
    json_object_set_new(row, "cipher", json_string(cipher));
    json_object_set_new(row, "sealed", pairs_json(&figures.sealed, "rate"));
    json_object_set_new(row, "seal_rate", json_real(series_median(&figures.seal)));
    json_object_set_new(row, "open_rate", json_real(series_median(&figures.open)));
    json_object_set_new(row, "socket_rate", json_real(series_median(&figures.socket)));
    json_object_set_new(row, "cpu_s_per_gb",
                        json_pack("{s:f, s:f}", "source", series_median(&figures.source), "destination",
                                  series_median(&figures.destination)));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
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
    for (unsigned i = 0; ret == 0 && i < CIPHER_COUNT; i++)
        if (measure_wanted(wanted, cipher_names[i]))
            ret = ask(cipher_names[i], keys, &cargo, results, err);
    cipher_keys_remove(keys);
    cargo_drop(&cargo);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, FERRY_PAGE_BYTES, UINT64_C(1) << 40, "memory that crosses, incompressible" },
    { "cipher", MEASURE_TEXT, &wanted, 0, 0, "of aes-128-gcm,aes-256-gcm,chacha20-poly1305" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure tls = {
    .name = "tls",
    .about = "How fast does memory cross one TLS connection between two processes (`rate`, bytes per\n"
             "second, the handshake not counted)? `limit`: what OpenSSL's cipher alone, on one\n"
             "processor (`seal_rate`, `open_rate`), and the CPU time of a bare socket together\n"
             "allow the slower side of an idle machine. `sealed`: the same beside bare loops that\n"
             "seal, write, read and open, taken in turns; `socket_rate`: without any cipher.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&tls, argc, argv);
}
