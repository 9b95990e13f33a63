/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_live.c - what a plan is made from, where there are a link and a guest: it is measured */
#include "plan_live.h"

#include "probe.h"
#include "units.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WARM_US       200000 /* until the guest writes as it will */
#define AUTO_CHANNELS 2
#define CPU_PER_BYTE  250e-12 /* to read, track and send one of memory */

struct measured {
    struct probe_result probe;
    struct sample_result sample;
    struct sample_codec codec;
};

static int mode_of(const struct args *args, enum sample_mode *mode, struct ferry_error *err)
{
    const char *text = args_value(args, "mode");

    *mode = text && !strcmp(text, "page-sampling") ? SAMPLE_PAGES : SAMPLE_DIRTY_BITMAP;
    if (text && *mode == SAMPLE_DIRTY_BITMAP && strcmp(text, "dirty-bitmap") != 0)
        return ferry_error_set(err, -EINVAL, "--mode: '%s' is neither dirty-bitmap nor page-sampling", text);
    return 0;
}

static unsigned channels_of(const struct ferry_options *options)
{
    if (options->channels == OPTION_AUTO)
        return AUTO_CHANNELS;
    return options->channels > 0 ? (unsigned)options->channels : 1;
}

/* Before the guest is looked at: a guest that is tracked is slower, and so is everything beside it. */
static int measure(const struct plan_look *look, struct measured *measured, struct ferry_error *err)
{
    struct ferry_guest *guest = bench_guest_ferry(look->guest);
    int ret;

    usleep(WARM_US);
    ret = probe_link(look->uri, look->options, channels_of(look->options), &measured->probe, err);
    if (ret == 0)
        ret = sample_guest(guest, look->options, look->mode, (double)look->for_ns / 1e9, &measured->sample, err);
    return ret == 0 ? sample_codec(guest, look->options, &measured->codec, err) : ret;
}

/* As many channels as brought something: the best of all steps. */
static const struct probe_step *best_step(const struct probe_result *probe)
{
    const struct probe_step *best = &probe->step[0];

    for (unsigned i = 1; i < probe->steps; i++)
        if (probe->step[i].bytes_per_sec > best->bytes_per_sec * 1.05)
            best = &probe->step[i];
    return best;
}

static void set_terms(const struct measured *measured, const struct ferry_options *options, struct sim_terms *terms)
{
    const struct probe_step *step = best_step(&measured->probe);
    const struct sample_result *sample = &measured->sample;
    const struct sample_codec *codec = &measured->codec;
    double content = sample->bytes - sample->zero_bytes;

    *terms = (struct sim_terms){
        .link = { .bytes_per_sec = step->bytes_per_sec,
                  .round_trip_sec = measured->probe.round_trip_sec,
                  .channel_per_sec = codec->sec_per_byte > 0 ? 1 / codec->sec_per_byte : 0,
                  .channels = channels_of(options),
                  .ratio = codec->ratio,
                  .cpu_sec_per_byte = CPU_PER_BYTE + codec->sec_per_byte },
        .guest = { .bytes = content, .zero_bytes = sample->zero_bytes },
    };
    sim_costs(terms);
    dirtying_fit(&terms->guest.writes, sample->point, sample->points, content);
}

static json_t *steps_json(const struct probe_result *probe)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < probe->steps; i++)
        json_array_append_new(list, json_pack("{s:i, s:f}", "channels", (int)probe->step[i].channels,
                                              "bytes-per-second", probe->step[i].bytes_per_sec));
    return list;
}

static json_t *points_json(const struct sample_result *sample)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < sample->points; i++)
        json_array_append_new(
            list, json_pack("{s:f, s:f}", "seconds", sample->point[i].seconds, "dirty-bytes", sample->point[i].bytes));
    return list;
}

static json_t *measured_json(const struct measured *measured)
{
    return json_pack("{s:f, s:o, s:f, s:f, s:f, s:o, s:f, s:f}", "round-trip", measured->probe.round_trip_sec * 1e3,
                     "bandwidth", steps_json(&measured->probe), "ram-bytes", measured->sample.bytes, "zero-bytes",
                     measured->sample.zero_bytes, "dirty-bytes-per-second", measured->sample.dirty_bytes_per_sec,
                     "dirty", points_json(&measured->sample), "codec-ratio", measured->codec.ratio,
                     "codec-seconds-per-gib", measured->codec.sec_per_byte * (1 << 30));
}

int plan_look(const struct plan_look *look, struct plan_report *report, struct ferry_error *err)
{
    struct measured measured = { 0 };
    int ret = measure(look, &measured, err);

    if (ret < 0)
        return ret;
    set_terms(&measured, look->options, &report->terms);
    report->measured = measured_json(&measured);
    return 0;
}

static uint64_t setting_ns(const struct ferry_options *options, const char *name)
{
    char text[64];
    uint64_t ns = 0;

    if (ferry_options_get(options, name, text, sizeof(text), NULL) == 0)
        (void)!units_parse_time(text, &ns, NULL);
    return ns;
}

static bool setting_is(const struct ferry_options *options, const char *name, const char *value)
{
    char text[64];

    return ferry_options_get(options, name, text, sizeof(text), NULL) == 0 && !strcmp(text, value);
}

void plan_add_settings(const struct ferry_options *options, struct sim_terms *terms)
{
    char text[64];
    uint64_t rate;

    terms->downtime_limit_sec = (double)setting_ns(options, "downtime-limit") / 1e9;
    terms->hot_last = setting_is(options, "hot-pages", "last");
    if (ferry_options_get(options, "max-bandwidth", text, sizeof(text), NULL) == 0 &&
        units_parse_rate(text, &rate, NULL) == 0 && (double)rate < terms->link.bytes_per_sec)
        terms->link.bytes_per_sec = (double)rate;
}

int plan_live(const struct args *args, struct plan_report *report, struct ferry_error *err)
{
    struct plan_look look = { .uri = args_positional(args), .options = args_options(args) };
    int ret = mode_of(args, &look.mode, err);

    if (ret == 0)
        ret = args_time(args, "for", UINT64_C(1000000000), &look.for_ns, err);
    if (ret < 0)
        return ret;
    look.guest = bench_guest_new(args_value(args, "guest"), err);
    if (!look.guest)
        return err->errnum;
    ret = bench_guest_start(look.guest, err);
    if (ret == 0)
        ret = plan_look(&look, report, err);
    bench_guest_free(look.guest);
    return ret;
}
