/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_words.c - a link and a guest in words, for a migration that is only simulated */
#include "plan_words.h"

#include "units.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum word_kind {
    WORD_SIZE,
    WORD_RATE,
    WORD_TIME,
    WORD_COUNT,
    WORD_PERCENT,
    WORD_PATTERN,
};

static const struct word_row {
    const char *key;
    enum word_kind kind;
    size_t offset;
} rows[] = {
    { "link", WORD_RATE, offsetof(struct plan_words, link_bytes_per_sec) },
    { "rtt", WORD_TIME, offsetof(struct plan_words, rtt_ns) },
    { "guest", WORD_SIZE, offsetof(struct plan_words, guest_bytes) },
    { "dirty", WORD_RATE, offsetof(struct plan_words, dirty_bytes_per_sec) },
    { "pattern", WORD_PATTERN, offsetof(struct plan_words, in_order) },
    { "hot", WORD_PERCENT, offsetof(struct plan_words, hot_percent) },
    { "hot-share", WORD_PERCENT, offsetof(struct plan_words, hot_share_percent) },
    { "zero", WORD_PERCENT, offsetof(struct plan_words, zero_percent) },
    { "devices", WORD_SIZE, offsetof(struct plan_words, device_bytes) },
    { "channels", WORD_COUNT, offsetof(struct plan_words, channels) },
    { "per-channel", WORD_RATE, offsetof(struct plan_words, per_channel_bytes_per_sec) },
    { "ratio", WORD_PERCENT, offsetof(struct plan_words, ratio_percent) },
    { "cpu-per-mib", WORD_TIME, offsetof(struct plan_words, cpu_ns_per_mib) },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

void plan_words_init(struct plan_words *words)
{
    *words = (struct plan_words){
        .channels = 2, .hot_percent = 100, .hot_share_percent = 100, .ratio_percent = 100, .cpu_ns_per_mib = 250000
    };
}

static int parse_pattern(const char *value, bool *in_order, struct ferry_error *err)
{
    *in_order = !strcmp(value, "sequential");
    if (*in_order || !strcmp(value, "uniform"))
        return 0;
    return ferry_error_set(err, -EINVAL, "'%s' is neither uniform nor sequential", value);
}

static int parse_value(const struct word_row *row, const char *value, struct plan_words *words, struct ferry_error *err)
{
    void *at = (char *)words + row->offset;

    switch (row->kind) {
    case WORD_SIZE:
        return units_parse_size(value, at, err);
    case WORD_RATE:
        if (!strcmp(value, "unlimited"))
            return ferry_error_set(err, -EINVAL, "a number is needed");
        if (!strcmp(value, "0")) {
            *(uint64_t *)at = 0;
            return 0;
        }
        return units_parse_rate(value, at, err);
    case WORD_TIME:
        return units_parse_time(value, at, err);
    case WORD_COUNT:
        return units_parse_uint(value, 1, 255, at, err);
    case WORD_PERCENT:
        return units_parse_percent(value, at, err);
    default:
        return parse_pattern(value, at, err);
    }
}

static int parse_pair(char *pair, struct plan_words *words, struct ferry_error *err)
{
    char *value = strchr(pair, '=');
    int ret;

    if (!value)
        return ferry_error_set(err, -EINVAL, "'%s' says nothing: write key=value, for example link=10Gbit/s", pair);
    *value++ = '\0';
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].key, pair) != 0)
            continue;
        ret = parse_value(&rows[i], value, words, err);
        if (ret < 0)
            ferry_error_prefix(err, "%s", pair);
        return ret;
    }
    return ferry_error_set(err, -EINVAL,
                           "'%s' is not one of link, rtt, guest, dirty, pattern, hot, hot-share, zero, devices, "
                           "channels, per-channel, ratio, cpu-per-mib",
                           pair);
}

int plan_words_parse(struct plan_words *words, const char *text, struct ferry_error *err)
{
    char copy[512], *rest = copy, *pair;
    int ret = 0;

    if (strlen(text) >= sizeof(copy))
        return ferry_error_set(err, -EINVAL, "more than %zu bytes", sizeof(copy) - 1);
    snprintf(copy, sizeof(copy), "%s", text);
    while (ret == 0 && (pair = strsep(&rest, ",")))
        ret = parse_pair(pair, words, err);
    return ret;
}

/* The hot part and the others, each at its share of the writes. */
static void add_writes(const struct plan_words *words, double bytes, struct dirtying *writes)
{
    double hot = words->hot_percent / 100.0, share = words->hot_percent < 100 ? words->hot_share_percent / 100.0 : 1;
    double rate = (double)words->dirty_bytes_per_sec;

    (void)!dirtying_add(writes, bytes * hot, rate * share, words->in_order);
    (void)!dirtying_add(writes, bytes * (1 - hot), rate * (1 - share), words->in_order);
}

int plan_words_terms(const struct plan_words *words, struct sim_terms *terms, struct ferry_error *err)
{
    double bytes = (double)words->guest_bytes, content = bytes * (1 - words->zero_percent / 100.0);
    double rtt = (double)words->rtt_ns / 1e9;

    if (words->link_bytes_per_sec == 0 || words->guest_bytes == 0)
        return ferry_error_set(err, -EINVAL, "%s is missing: how %s is it?",
                               words->link_bytes_per_sec == 0 ? "link=RATE" : "guest=SIZE",
                               words->link_bytes_per_sec == 0 ? "fast" : "large");
    if (words->hot_percent == 0 || words->ratio_percent == 0)
        return ferry_error_set(err, -EINVAL, "0%% is not possible");
    *terms = (struct sim_terms){
        .link = { .bytes_per_sec = (double)words->link_bytes_per_sec,
                  .round_trip_sec = rtt,
                  .channel_per_sec = (double)words->per_channel_bytes_per_sec,
                  .channels = (unsigned)words->channels,
                  .ratio = words->ratio_percent / 100.0,
                  .cpu_sec_per_byte = (double)words->cpu_ns_per_mib / 1e9 / (1 << 20) },
        .guest = { .bytes = content, .zero_bytes = bytes - content, .device_bytes = (double)words->device_bytes },
    };
    sim_costs(terms);
    add_writes(words, content, &terms->guest.writes);
    return 0;
}
