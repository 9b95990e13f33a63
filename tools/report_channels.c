/* SPDX-License-Identifier: BSD-3-Clause */
/* report_channels.c - the part of the report about the connections */
#include "report_channels.h"

#include "units.h"

#include <string.h>

#define TEXT_BYTES  32
#define LABEL       "  %-13s"
#define LISTED_MOST 16

static json_t *tls_json(const struct ferry_channel_stats *channel)
{
    bool resumed = !strcmp(channel->tls_proof, "session");

    return json_pack("{s:s, s:s, s:s, s:s, s:b}", "version", channel->tls_version, "cipher", channel->tls_cipher,
                     "proof", channel->tls_proof, "handshake", resumed ? "resumed" : "full", "kernel",
                     channel->tls_by_kernel);
}

static json_t *channel_json(const struct ferry_channel_stats *channel)
{
    json_t *object = json_pack("{s:s, s:s, s:I}", "address", channel->address, "role", channel->role, "bytes",
                               (json_int_t)channel->bytes);

    if (object && channel->codecs[0])
        json_object_set_new(object, "codecs", json_string(channel->codecs));
    if (object && channel->cpu >= 0)
        json_object_set_new(object, "cpu", json_integer(channel->cpu));
    if (object && channel->unused)
        json_object_set_new(object, "unused", json_true());
    if (object && channel->zero_copy[0])
        json_object_set_new(object, "zero-copy", json_string(channel->zero_copy));
    if (object && channel->tls_version[0])
        json_object_set_new(object, "tls", tls_json(channel));
    return object;
}

unsigned report_channels_used(const struct ferry_channel_stats *channels, unsigned count)
{
    unsigned used = 0;

    for (unsigned i = 0; i < count; i++)
        used += !strcmp(channels[i].role, "pages") && !channels[i].unused;
    return used;
}

json_t *report_channels_json(const struct ferry_channel_stats *channels, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < count; i++)
        json_array_append_new(list, channel_json(&channels[i]));
    return list;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

/* How many of them were set up by the key of the main connection? */
static size_t resumed(const json_t *channels)
{
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(channels); i++)
        count += !strcmp(text(json_object_get(json_array_get(channels, i), "tls"), "handshake"), "resumed");
    return count;
}

static void print_tls(FILE *to, const json_t *channels)
{
    const json_t *tls = json_object_get(json_array_get(channels, 0), "tls");
    size_t again = resumed(channels);

    if (!tls)
        return;
    fprintf(to, LABEL "TLS %s, %s, %s\n", "encrypted", text(tls, "version"), text(tls, "cipher"),
            json_is_true(json_object_get(tls, "kernel")) ? "by the kernel" : "by this process (the kernel has none)");
    fprintf(to, LABEL "handshakes: %zu full (%s), %zu resumed\n", "", json_array_size(channels) - again,
            text(tls, "proof"), again);
}

void report_channels_print(FILE *to, const json_t *channels)
{
    size_t count = json_array_size(channels);
    char size[TEXT_BYTES];

    for (size_t i = 0; i < count && count > 1 && i < LISTED_MOST; i++) {
        const json_t *channel = json_array_get(channels, i);
        double bytes = json_number_value(json_object_get(channel, "bytes"));
        const char *codecs = text(channel, "codecs");

        fprintf(to, LABEL "%s %s%s%s%s\n", i == 0 ? "channels" : "", text(channel, "role"),
                units_format_size(size, sizeof(size), (uint64_t)bytes), codecs[0] ? "; pages: " : "", codecs,
                json_is_true(json_object_get(channel, "unused")) ? "; brought no more, not used" : "");
    }
    print_tls(to, channels);
}
