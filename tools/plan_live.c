/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_live.c - what a plan is made from, where there are a link and a guest: it is measured */
#include "plan_live.h"

#include "guest.h"
#include "probe.h"
#include "sample.h"

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
static int measure(const struct args *args, struct bench_guest *guest, struct measured *measured,
                   struct ferry_error *err)
{
    const struct ferry_options *options = args_options(args);
    enum sample_mode mode;
    uint64_t for_ns;
    int ret = mode_of(args, &mode, err);

    if (ret == 0)
        ret = args_time(args, "for", UINT64_C(1000000000), &for_ns, err);
    if (ret == 0)
        ret = bench_guest_start(guest, err);
    if (ret < 0)
        return ret;
    usleep(WARM_US);
    ret = probe_link(args_positional(args), options, channels_of(options), &measured->probe, err);
    if (ret == 0)
        ret = sample_guest(bench_guest_ferry(guest), options, mode, (double)for_ns / 1e9, &measured->sample, err);
    return ret == 0 ? sample_codec(bench_guest_ferry(guest), options, &measured->codec, err) : ret;
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

int plan_live(const struct args *args, struct plan_report *report, struct ferry_error *err)
{
    struct bench_guest *guest = bench_guest_new(args_value(args, "guest"), err);
    struct measured measured = { 0 };
    int ret;

    if (!guest)
        return err->errnum;
    ret = measure(args, guest, &measured, err);
    if (ret == 0) {
        set_terms(&measured, args_options(args), &report->terms);
        report->measured = measured_json(&measured);
    }
    bench_guest_free(guest);
    return ret;
}
