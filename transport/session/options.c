/* SPDX-License-Identifier: BSD-3-Clause */
/* options.c - the table of options: every name, form, bound, default and help stands in it once */
#include "options.h"

#include "batch.h"
#include "capabilities.h"
#include "clock.h"
#include "ladder.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_type {
    OPT_RATE,
    OPT_TIME,
    OPT_UINT,
    OPT_SWITCH,
    OPT_CHOICE,
    OPT_TEXT,   /* offset is of a char[OPTION_TEXT_BYTES]; may be empty */
    OPT_LADDER, /* likewise, but what ladder_parse() takes */
};

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset; /* of a uint64_t in struct ferry_options, but for texts */
    uint64_t min, max;
    const char *def;
    const char *form;
    bool live;
    const char *help;
};

#define VALUE(field) offsetof(struct ferry_options, field)

static const struct option_row rows[] = {
    { "max-bandwidth", OPT_RATE, VALUE(max_bandwidth), 1, UINT64_MAX, "unlimited", "RATE", true,
      "bytes that all channels together may send: 600MiB/s, 5Gbit/s, unlimited" },
    { "max-postcopy-bandwidth", OPT_RATE, VALUE(max_postcopy_bandwidth), 1, UINT64_MAX, "unlimited", "RATE", true,
      "the same once the guest runs at the destination; pages that it waits for pass at once" },
    { "max-total-bandwidth", OPT_RATE, VALUE(max_total_bandwidth), 1, UINT64_MAX, "unlimited", "RATE", true,
      "a ceiling over both, whatever they say" },
    { "downtime-limit", OPT_TIME, VALUE(downtime_limit_ns), 0, 2000 * NS_PER_SEC, "300ms", "TIME", true,
      "how long the guest may stand still at the switch" },
    { "pause-before-switchover", OPT_SWITCH, VALUE(pause_before_switchover), 0, 1, "off", "on|off", false,
      "source: wait for a word (migrate-continue) when the guest was stopped, before its last pages and devices go" },
    { "give-up-after", OPT_UINT, VALUE(give_up_after), 0, 1000000, "0", "ROUNDS", true,
      "fail after this many rounds that cannot converge; 0: go on until cancelled" },
    { "escalate", OPT_LADDER, VALUE(escalate), 0, 0, "", "STEPS", false,
      "source: what to do when it does not converge, in this order: channels,compress,throttle,postcopy,give-up" },
    { "auto-converge", OPT_SWITCH, VALUE(auto_converge), 0, 1, "off", "on|off", false,
      "source: throttle the guest when it does not converge; the same as an escalate that begins with throttle" },
    { "cpu-throttle-initial", OPT_UINT, VALUE(cpu_throttle_initial), 1, 99, "20", "PERCENT", false,
      "source: how much of its time a throttled guest is kept from running at first" },
    { "cpu-throttle-increment", OPT_UINT, VALUE(cpu_throttle_increment), 1, 99, "10", "PERCENT", false,
      "source: how much more when that is not enough" },
    { "max-cpu-throttle", OPT_UINT, VALUE(max_cpu_throttle), 1, 99, "99", "PERCENT", false,
      "source: the guest is never throttled by more" },
    { "throttle-bearable", OPT_UINT, VALUE(throttle_bearable), 0, 99, "99", "PERCENT", false,
      "source: what the guest may be throttled by for good; for more there is throttle-peak" },
    { "throttle-peak", OPT_TIME, VALUE(throttle_peak_ns), 0, 24 * 3600 * NS_PER_SEC, "0", "TIME", false,
      "source: for how long in all the guest may be throttled by more than throttle-bearable; 0: as long as it takes" },
    { "dirty-limit", OPT_SWITCH, VALUE(dirty_limit), 0, 1, "off", "on|off", false,
      "source: when it does not converge, throttle the guest until it writes no more than vcpu-dirty-limit" },
    { "vcpu-dirty-limit", OPT_RATE, VALUE(vcpu_dirty_limit), 1, UINT64_MAX, "1MiB/s", "RATE", false,
      "source: what dirty-limit leaves to the whole guest" },
    { "hot-pages", OPT_CHOICE, VALUE(hot_pages), 0, HOT_PAGES_AS_FOUND, "last", "last|as-found", false,
      "source: pages that are written all the time wait for the end, or go whenever they are found" },
    { "connect-timeout", OPT_TIME, VALUE(connect_timeout_ns), 0, 3600 * NS_PER_SEC, "3s", "TIME", false,
      "how long the source tries to reach a destination that is not there yet" },
    { "setup-timeout", OPT_TIME, VALUE(setup_timeout_ns), NS_PER_MS, 3600 * NS_PER_SEC, "10s", "TIME", false,
      "how long both ends give each other until all connections are there and agreed" },
    { "not-yet-limit", OPT_TIME, VALUE(not_yet_limit_ns), 0, 3600 * NS_PER_SEC, "5s", "TIME", false,
      "source: how long devices may put the switch off" },
    { "not-yet-policy", OPT_CHOICE, VALUE(not_yet_policy), 0, NOT_YET_FORCE, "fail", "fail|force", false,
      "source: what follows when a device puts it off for longer" },
    { "prefault", OPT_SWITCH, VALUE(prefault), 0, 1, "on", "on|off", false,
      "destination: make memory ready ahead of the data, with a helper thread" },
    { "tracker", OPT_CHOICE, VALUE(tracker), 0, TRACKER_UFFD_SYNC, "auto", "auto|uffd-async|uffd-sync", false,
      "source: how written pages are found; auto takes the best this kernel has" },
    { "dirty-trace", OPT_TEXT, VALUE(dirty_trace), 0, 0, "", "PATH", false,
      "source: a file to note in which pages were written in each round, for a guest that replays them; nothing: "
      "none" },
    { "peer", OPT_CHOICE, VALUE(peer), 0, PEER_QEMU, "auto", "auto|ferry|qemu", false,
      "source: who is at the other end; auto speaks ferry where somebody can answer" },
    { "peer-version", OPT_CHOICE, VALUE(peer_version), 0, PEER_VERSION_9_0, "auto", "auto|7.2|8.1|9.0", false,
      "source, to a qemu: page channels as from this version on; auto: as the machine's name says" },
    { "return-path", OPT_SWITCH, VALUE(return_path), 0, 1, "on", "on|off", false,
      "source, to a qemu: ask to be told how it ended, where somebody can answer" },
    { "suspect-after", OPT_TIME, VALUE(suspect_after_ns), 10 * NS_PER_MS, 3600 * NS_PER_SEC, "1s", "TIME", false,
      "how long the other side may be silent until that is shown" },
    { "lost-after", OPT_TIME, VALUE(lost_after_ns), 20 * NS_PER_MS, 24 * 3600 * NS_PER_SEC, "10s", "TIME", false,
      "how long the other side may be silent until it counts as lost" },
    { "journal", OPT_TEXT, VALUE(journal), 0, 0, "", "PATH", false,
      "a file to note the steps of the switch in, which tells afterwards who may run the guest" },
    { "lease", OPT_TIME, VALUE(lease_ns), 0, 7 * 24 * 3600 * NS_PER_SEC, "0", "TIME", false,
      "how long the guest is kept after an end that leaves something to decide; 0: until it is let go" },
    { "channels", OPT_UINT, VALUE(channels), 0, 255, "auto", "auto|N", false,
      "page channels beside the main connection; 0: pages travel on that one; auto: as many as bring something" },
    { "batch-pages", OPT_UINT, VALUE(batch_pages), 1, BATCH_PAGES_MAX, "512", "N", false,
      "the most pages in one packet of a page channel; above 128 both ends must agree" },
    { "compress", OPT_CHOICE, VALUE(compress), 0, COMPRESS_AUTO, "none", "none|zlib|zstd|lz4|xbzrle|auto", true,
      "what pages go through on page channels; auto judges batch by batch" },
    { "compress-level", OPT_UINT, VALUE(compress_level), 0, 22, "auto", "auto|N", false,
      "how hard the codec tries; auto: its fastest" },
    { "page-sums", OPT_CHOICE, VALUE(page_sums), 0, SUMS_OFF, "auto", "auto|on|off", false,
      "source: a CRC32C of every page on page channels; auto: where TLS does not protect them" },
    { "pin-threads", OPT_SWITCH, VALUE(pin_threads), 0, 1, "off", "on|off", false,
      "keep each page channel's thread on a processor near the guest's memory" },
    { "zero-copy-send", OPT_CHOICE, VALUE(zero_copy_send), 0, ZERO_COPY_URING, "off", "off|on|uring", false,
      "source: page channels send the guest's pages as they lie in memory, where the kernel really does so" },
    { "postcopy", OPT_CHOICE, VALUE(postcopy), 0, POSTCOPY_NOW, "off", "off|on|auto|now", false,
      "source: the guest may go before its memory: on: when told to; auto: also when it cannot converge; now: at "
      "once" },
    { "postcopy-after-rounds", OPT_UINT, VALUE(postcopy_after_rounds), 0, 1000000, "0", "ROUNDS", false,
      "source: go over to postcopy after this many rounds; 0: not for that reason" },
    { "postcopy-after", OPT_TIME, VALUE(postcopy_after_ns), 0, 24 * 3600 * NS_PER_SEC, "0", "TIME", false,
      "source: go over to postcopy after this time; 0: not for that reason" },
    { "postcopy-preempt", OPT_CHOICE, VALUE(postcopy_preempt), 0, PREEMPT_EARLY, "off", "off|on|early", false,
      "qemu dialect: a connection of their own for requested pages; early: as QEMU up to 7.2 has it" },
    { "postcopy-prefetch", OPT_UINT, VALUE(postcopy_prefetch), 0, 4096, "64", "PAGES", false,
      "source: the most neighbours that follow a requested page; 0: none" },
    { "postcopy-retry", OPT_TIME, VALUE(postcopy_retry_ns), 0, 24 * 3600 * NS_PER_SEC, "0", "TIME", false,
      "how long both ends try to go on by themselves when postcopy was interrupted; 0: they wait to be told" },
    { "mapped-ram", OPT_CHOICE, VALUE(mapped_ram), 0, MAPPED_RAM_OFF, "auto", "auto|on|off", false,
      "file: gives every page its fixed place and many threads; auto loads such a file, but writes a plain stream" },
    { "tls-creds", OPT_TEXT, VALUE(tls_creds), 0, 0, "", "PATH", false,
      "encrypt: a folder with certificates, or a file of keys; nothing: no TLS" },
    { "tls-hostname", OPT_TEXT, VALUE(tls_hostname), 0, 0, "", "NAME", false,
      "source: the name in the destination's certificate; nothing: that of the address" },
    { "tls-authz", OPT_TEXT, VALUE(tls_authz), 0, 0, "", "PATTERNS", false,
      "subjects or names of which the other side's certificate must have one, separated by ';'" },
    { "tls-identity", OPT_TEXT, VALUE(tls_identity), 0, 0, "", "NAME", false,
      "source: which key of the file to use; nothing: qemu" },
    { "tls-ciphers", OPT_TEXT, VALUE(tls_ciphers), 0, 0, "", "NAMES", false,
      "best first, separated by ':'; nothing: what this processor does fastest" },
    { "tls-min", OPT_CHOICE, VALUE(tls_min), 0, TLS_MIN_1_2, "1.3", "1.3|1.2", false, "the oldest TLS that is taken" },
    { "tls-verify", OPT_SWITCH, VALUE(tls_verify), 0, 1, "on", "on|off", false,
      "check the other side's certificate; off keeps nobody out who can sit in between" },
};

static const struct option_row *find(const char *name, struct ferry_error *err)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    ferry_error_set_code(err, FERRY_E_BAD_OPTION, -ENOENT, "there is no option '%s'", name);
    return NULL;
}

bool ferry_option_info(unsigned index, struct ferry_option_info *info)
{
    if (index >= sizeof(rows) / sizeof(rows[0]))
        return false;
    info->name = rows[index].name;
    info->form = rows[index].form;
    info->default_value = rows[index].def;
    info->help = rows[index].help;
    info->live = rows[index].live;
    return true;
}

int options_check_live(const char *name, struct ferry_error *err)
{
    const struct option_row *row = find(name, err);

    if (!row)
        return -ENOENT;
    if (!row->live)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EPERM,
                                    "option '%s' cannot be changed while a migration runs", name);
    return 0;
}

/* The place of @text among the words of "a|b|c". */
static int parse_choice(const char *form, const char *text, uint64_t *value, struct ferry_error *err)
{
    size_t bytes = strlen(text);

    *value = 0;
    for (const char *word = form;; word = strchr(word, '|') + 1) {
        if (strcspn(word, "|") == bytes && !strncmp(word, text, bytes))
            return 0;
        if (!strchr(word, '|'))
            return ferry_error_set(err, -EINVAL, "'%s' is not one of %s", text, form);
        (*value)++;
    }
}

static bool may_be_auto(const struct option_row *row)
{
    return row->type == OPT_UINT && !strncmp(row->form, "auto|", 5);
}

static int parse(const struct option_row *row, const char *text, uint64_t *value, struct ferry_error *err)
{
    switch (row->type) {
    case OPT_RATE:
        return units_parse_rate(text, value, err);
    case OPT_TIME:
        return units_parse_time(text, value, err);
    case OPT_UINT:
        if (may_be_auto(row) && !strcmp(text, "auto")) {
            *value = OPTION_AUTO;
            return 0;
        }
        return units_parse_uint(text, row->min, row->max, value, err);
    case OPT_SWITCH:
        *value = !strcmp(text, "on");
        return *value || !strcmp(text, "off") ? 0 : ferry_error_set(err, -EINVAL, "'%s' is neither on nor off", text);
    case OPT_CHOICE:
        return parse_choice(row->form, text, value, err);
    case OPT_TEXT:
    case OPT_LADDER:
        break;
    }
    return -EINVAL;
}

static bool is_text(const struct option_row *row)
{
    return row->type == OPT_TEXT || row->type == OPT_LADDER;
}

static int set_text(const struct option_row *row, struct ferry_options *options, const char *text,
                    struct ferry_error *err)
{
    struct ladder ladder;

    if (row->type == OPT_LADDER && ladder_parse(text, &ladder, err) < 0) {
        ferry_error_prefix(err, "option %s", row->name);
        ferry_error_code(err, FERRY_E_BAD_OPTION);
        return -EINVAL;
    }
    if (strlen(text) >= OPTION_TEXT_BYTES)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -ERANGE, "option %s: longer than %d bytes", row->name,
                                    OPTION_TEXT_BYTES - 1);
    strcpy((char *)options + row->offset, text);
    return 0;
}

int ferry_options_set(struct ferry_options *options, const char *name, const char *value, struct ferry_error *err)
{
    const struct option_row *row = find(name, err);
    uint64_t parsed;
    int ret;

    if (!row)
        return -ENOENT;
    if (is_text(row))
        return set_text(row, options, value, err);
    ret = parse(row, value, &parsed, err);
    if (ret == 0 && (parsed < row->min || parsed > row->max) && !(may_be_auto(row) && parsed == OPTION_AUTO))
        ret = ferry_error_set(err, -ERANGE, "'%s' is out of bounds", value);
    if (ret < 0) {
        ferry_error_prefix(err, "option %s", name);
        ferry_error_code(err, FERRY_E_BAD_OPTION);
        return ret;
    }
    memcpy((char *)options + row->offset, &parsed, sizeof(parsed));
    return 0;
}

static int print_choice(const char *form, uint64_t value, char *to, size_t room)
{
    const char *word = form;

    while (value-- > 0)
        word = strchr(word, '|') + 1;
    return snprintf(to, room, "%.*s", (int)strcspn(word, "|"), word);
}

int ferry_options_get(const struct ferry_options *options, const char *name, char *to, size_t room,
                      struct ferry_error *err)
{
    const struct option_row *row = find(name, err);
    uint64_t value;
    int bytes;

    if (!row)
        return -ENOENT;
    memcpy(&value, (const char *)options + row->offset, sizeof(value));
    if (is_text(row))
        bytes = snprintf(to, room, "%s", (const char *)options + row->offset);
    else if (row->type == OPT_RATE && value == UNITS_UNLIMITED)
        bytes = snprintf(to, room, "unlimited");
    else if (row->type == OPT_TIME)
        bytes = snprintf(to, room, "%" PRIu64 "ns", value);
    else if (row->type == OPT_SWITCH)
        bytes = snprintf(to, room, value ? "on" : "off");
    else if (may_be_auto(row) && value == OPTION_AUTO)
        bytes = snprintf(to, room, "auto");
    else if (row->type == OPT_CHOICE)
        bytes = print_choice(row->form, value, to, room);
    else
        bytes = snprintf(to, room, "%" PRIu64, value);
    if (bytes < 0 || (size_t)bytes >= room)
        return ferry_error_set(err, -ENOSPC, "option %s: no room for its value", name);
    return 0;
}

struct ferry_options *ferry_options_new(void)
{
    struct ferry_options *options = calloc(1, sizeof(*options));

    for (size_t i = 0; options && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ferry_options_set(options, rows[i].name, rows[i].def, NULL) < 0) {
            free(options);
            return NULL;
        }
    }
    if (options) {
        options->protocol_capabilities = capabilities_default(FERRY_PROTOCOL_CAPABILITIES);
        options->device_capabilities = capabilities_default(FERRY_DEVICE_CAPABILITIES);
    }
    return options;
}

void options_set_steps(struct ferry_options *options, void (*at)(void *opaque, const char *step), void *opaque)
{
    options->steps = (struct options_steps){ at, opaque };
}

void options_at_step(const struct options_steps *steps, const char *step)
{
    if (steps && steps->at)
        steps->at(steps->opaque, step);
}

void ferry_options_free(struct ferry_options *options)
{
    free(options);
}

static uint64_t *offered(struct ferry_options *options, enum ferry_capability_set set)
{
    return set == FERRY_PROTOCOL_CAPABILITIES ? &options->protocol_capabilities : &options->device_capabilities;
}

int ferry_capabilities_set(struct ferry_options *options, const char *name, const char *value, struct ferry_error *err)
{
    struct ferry_capability_info info;
    enum ferry_capability_set set;
    int ret = capabilities_find(name, &set, &info, err);
    bool on = !strcmp(value, "on");

    if (ret < 0)
        return ret;
    if (!on && strcmp(value, "off"))
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL, "capability %s: '%s' is neither on nor off", name,
                                    value);
    if (on && !info.supported)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -ENOTSUP, "capability %s: not in this release", name);
    if (on)
        *offered(options, set) |= info.bit;
    else
        *offered(options, set) &= ~info.bit;
    return 0;
}

int ferry_capabilities_get(const struct ferry_options *options, const char *name, bool *on, struct ferry_error *err)
{
    struct ferry_options copy = *options;
    struct ferry_capability_info info;
    enum ferry_capability_set set;
    int ret = capabilities_find(name, &set, &info, err);

    if (ret == 0)
        *on = *offered(&copy, set) & info.bit;
    return ret;
}
