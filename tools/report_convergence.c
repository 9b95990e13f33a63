/* SPDX-License-Identifier: BSD-3-Clause */
/* report_convergence.c - the part of the report about what it took to converge */
#include "report_convergence.h"

#include "units.h"

#include <string.h>

#define TEXT_BYTES 32
#define LABEL      "  %-13s"

static json_t *with(json_t *object, const char *name, json_t *value)
{
    if (object && json_object_set_new(object, name, value) == 0)
        return object;
    if (!object)
        json_decref(value);
    json_decref(object);
    return NULL;
}

static json_t *rates_json(const struct ferry_step_rates *rates)
{
    return json_pack("{s:I, s:I}", "bytes-per-second", (json_int_t)rates->carried, "dirty-bytes-per-second",
                     (json_int_t)rates->dirty);
}

static json_t *step_json(const struct ferry_step *step)
{
    json_t *object = json_pack("{s:s, s:i, s:I, s:I, s:s, s:o}", "what", step->what, "value", (int)step->value, "at",
                               (json_int_t)(step->at_ns / 1000000), "round", (json_int_t)step->round, "outcome",
                               ferry_step_outcome_name(step->outcome), "before", rates_json(&step->before));

    if (step->outcome == FERRY_STEP_KEPT || step->outcome == FERRY_STEP_UNDONE)
        object = with(object, "after", rates_json(&step->after));
    return step->note[0] ? with(object, "note", json_string(step->note)) : object;
}

static json_t *steps_json(const struct ferry_escalation_stats *stats)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < stats->count && i < FERRY_STEPS_SHOWN; i++)
        json_array_append_new(list, step_json(&stats->step[i]));
    return list;
}

json_t *report_convergence_json(json_t *object, const struct ferry_stats *stats)
{
    if (stats->verdict == FERRY_VERDICT_CANNOT || stats->verdict == FERRY_VERDICT_STALLED)
        object =
            with(with(object, "needed-bytes-per-second", json_integer((json_int_t)stats->wire.needed_bytes_per_sec)),
                 "bearable-dirty-bytes-per-second", json_integer((json_int_t)stats->wire.bearable_dirty_bytes_per_sec));
    if (stats->escalation.count > 0)
        object = with(object, "escalation", steps_json(&stats->escalation));
    if (stats->escalation.throttled_ns > 0)
        object = with(with(object, "cpu-throttle-percentage", json_integer(stats->escalation.throttle_percent)),
                      "throttled-time", json_integer((json_int_t)(stats->escalation.throttled_ns / 1000000)));
    if (stats->hot.saved_bytes > 0 || stats->hot.held_bytes > 0)
        object = with(object, "hot-pages",
                      json_pack("{s:I, s:I}", "held-bytes", (json_int_t)stats->hot.held_bytes, "saved-bytes",
                                (json_int_t)stats->hot.saved_bytes));
    return object;
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

static const char *rate(char *to, const json_t *rates, const char *name)
{
    return units_format_rate(to, TEXT_BYTES, number(rates, name));
}

/* "throttle 20 %, after 1.2 s: writes 80 MiB/s, before 100 MiB/s; kept" */
static void print_step(FILE *to, const json_t *step)
{
    const json_t *before = json_object_get(step, "before"), *after = json_object_get(step, "after");
    bool is_throttle = !strcmp(text(step, "what"), "throttle");
    const char *name = is_throttle ? "dirty-bytes-per-second" : "bytes-per-second";
    char was[TEXT_BYTES], is[TEXT_BYTES], when[TEXT_BYTES];

    fputs(text(step, "what"), to);
    if (number(step, "value") > 0)
        fprintf(to, " %.0f%s", number(step, "value"), is_throttle ? " %" : "");
    fprintf(to, " after %s: ", units_format_time(when, sizeof(when), (uint64_t)(number(step, "at") * 1e6)));
    if (after)
        fprintf(to, "%s %s, before %s; ", is_throttle ? "writes" : "carries", rate(is, after, name),
                rate(was, before, name));
    fprintf(to, "%s%s%s\n", text(step, "outcome"), text(step, "note")[0] ? ": " : "", text(step, "note"));
}

void report_convergence_print(FILE *to, const json_t *source)
{
    const json_t *steps = json_object_get(source, "escalation"), *hot = json_object_get(source, "hot-pages");
    char size[TEXT_BYTES];

    for (size_t i = 0; i < json_array_size(steps); i++) {
        fprintf(to, LABEL, i == 0 ? "escalation" : "");
        print_step(to, json_array_get(steps, i));
    }
    if (number(hot, "saved-bytes") > 0)
        fprintf(to, LABEL "%s that waited for the end and were not sent before\n", "hot pages",
                units_format_size(size, sizeof(size), (uint64_t)number(hot, "saved-bytes")));
}
