/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_predict.c - what was predicted of a run beside what came of it */
#include "bench_predict.h"

#include <stdbool.h>
#include <string.h>

static bool is(const json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value && !strcmp(value, text);
}

static double likely(const json_t *plan, const char *name)
{
    return json_number_value(json_object_get(json_object_get(plan, name), "likely"));
}

static json_t *beside(double predicted, double measured)
{
    json_t *both = json_pack("{s:f, s:f}", "predicted", predicted, "measured", measured);

    if (measured > 0)
        json_object_set_new(both, "error-percent", json_real((predicted - measured) / measured * 100));
    return both;
}

/* As the guest saw it; where it cannot say, as the source did. */
static double blackout_of(const json_t *record)
{
    const json_t *seen = json_object_get(json_object_get(record, "destination"), "guest-blackout");
    double us = json_number_value(json_object_get(json_object_get(record, "source"), "downtime-us"));

    return json_is_number(seen) ? json_number_value(seen) : us / 1e3;
}

/* While the guest runs: the last look at what was written is that of the switch. */
static double rounds_of(const json_t *source)
{
    double syncs = json_number_value(json_object_get(json_object_get(source, "ram"), "dirty-sync-count"));

    return syncs > 1 ? syncs - 1 : syncs;
}

void bench_predict(json_t *record)
{
    const json_t *plan = json_object_get(record, "plan"), *source = json_object_get(record, "source");
    bool go = is(plan, "plan", "go"), went = is(record, "status", "completed");
    bool moved_first = json_object_get(source, "postcopy");
    json_t *prediction;

    if (!json_object_get(plan, "plan"))
        return;
    prediction = json_pack("{s:b}", "go", go);
    json_object_set_new(record, "prediction", prediction);
    if (!go || !moved_first) /* whether precopy would have done, nobody knows then */
        json_object_set_new(prediction, "held", json_boolean(go == (went && !moved_first)));
    if (!go || !went || moved_first)
        return;
    json_object_set_new(
        prediction, "total-time",
        beside(likely(plan, "total-time"), json_number_value(json_object_get(source, "total-time-us")) / 1e3));
    json_object_set_new(prediction, "blackout", beside(likely(plan, "blackout"), blackout_of(record)));
    json_object_set_new(prediction, "rounds",
                        json_pack("{s:f, s:f}", "predicted", likely(plan, "rounds"), "measured", rounds_of(source)));
}
