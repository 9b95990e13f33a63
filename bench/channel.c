/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.c - how fast does memory cross one plain connection, beside what the socket can take at all?
 *
 *      ours    walk, batches, records, writer --> socket --> reader, ram loader, placer, memory made ready
 *      limit   1 MiB writes ------------------> socket --> SO_RCVLOWAT, 1 MiB reads
 *
 * Between two processes, out of warm memory into memory that was never touched.
 */
#include "crossing.h"
#include "measure.h"

#include <errno.h>

static uint64_t size = UINT64_C(512) << 20, runs = 3;
static const char *wanted;

static void note_cost(struct series cost[2], const struct cargo *cargo, const struct two_took *took)
{
    struct crossing_cost seconds = crossing_cost(cargo, took);

    series_add(&cost[0], seconds.source);
    series_add(&cost[1], seconds.destination);
}

static json_t *cost_json(const struct series cost[2])
{
    return json_pack("{s:f, s:f}", "source", series_median(&cost[0]), "destination", series_median(&cost[1]));
}

static int ask(const char *kind, bool unix_sockets, const struct cargo *cargo, json_t *results, struct ferry_error *err)
{
    const struct crossing bare = { .way = CROSSING_BARE, .streams = 1, .unix_sockets = unix_sockets };
    const struct crossing ours = { .way = CROSSING_SECTION, .streams = 1, .unix_sockets = unix_sockets };
    struct series our_cost[2] = { 0 }, bare_cost[2] = { 0 };
    struct pairs pairs = { 0 };
    json_t *row;

    for (uint64_t i = 0; i < runs; i++) {
        struct two_took first, second;
        int ret = crossing_run(&ours, cargo, &first, err);

        if (ret == 0)
            ret = crossing_run(&bare, cargo, &second, err);
        if (ret < 0)
            return ret;
        pairs_add(&pairs, measure_rate(size, first.ns), measure_rate(size, second.ns));
        note_cost(our_cost, cargo, &first);
        note_cost(bare_cost, cargo, &second);
    }
    row = pairs_json(&pairs, "rate");
    json_object_set_new(row, "channel", json_string(kind));
    json_object_set_new(row, "cpu_s_per_gb", cost_json(our_cost));
    json_object_set_new(row, "limit_cpu_s_per_gb", cost_json(bare_cost));
    return json_array_append_new(results, row) == 0 ? 0 : -ENOMEM;
}

static int run(json_t *results, struct ferry_error *err)
{
    struct cargo cargo;
    int ret;

    size -= size % FERRY_PAGE_BYTES;
    ret = cargo_load(&cargo, size, err);
    if (ret < 0)
        return ret;
    if (measure_wanted(wanted, "tcp"))
        ret = ask("tcp", false, &cargo, results, err);
    if (ret == 0 && measure_wanted(wanted, "unix"))
        ret = ask("unix", true, &cargo, results, err);
    cargo_drop(&cargo);
    return ret;
}

static const struct measure_option options[] = {
    { "size", MEASURE_SIZE, &size, FERRY_PAGE_BYTES, UINT64_C(1) << 40, "memory that crosses, incompressible" },
    { "kind", MEASURE_TEXT, &wanted, 0, 0, "of tcp,unix" },
    { "runs", MEASURE_COUNT, &runs, 1, MEASURE_RUNS_MAX, "of which the median is taken" },
    { NULL },
};

static const struct measure channel = {
    .name = "channel",
    .about = "How fast does memory cross one plain connection between two processes (`rate`, bytes\n"
             "per second), out of warm memory into memory that was never touched? `limit`: writes of\n"
             "1 MiB and reads with SO_RCVLOWAT over the same kind of socket. With CPU seconds for\n"
             "each 10^9 bytes.\n",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    return measure_main(&channel, argc, argv);
}
