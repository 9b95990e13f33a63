/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_address.c - addresses as QEMU's QMP has them, and as URIs */
#include "qmp_address.h"

#include "uri.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool is(const char *a, const char *b)
{
    return a && !strcmp(a, b);
}

static char *format(const char *pattern, ...) FERRY_PRINTF(1, 2);

static char *format(const char *pattern, ...)
{
    va_list args;
    char *out;

    va_start(args, pattern);
    if (vasprintf(&out, pattern, args) < 0)
        out = NULL;
    va_end(args);
    return out;
}

static char *misses(const char *name, struct ferry_error *err)
{
    ferry_error_set(err, -EINVAL, "Parameter 'channels[0].addr.%s' is missing", name);
    return NULL;
}

static char *inet_uri(const json_t *addr, struct ferry_error *err)
{
    const char *host = text(addr, "host"), *port = text(addr, "port");

    if (!host || !port)
        return misses(host ? "port" : "host", err);
    return strchr(host, ':') ? format("tcp:[%s]:%s", host, port) : format("tcp:%s:%s", host, port);
}

static char *socket_uri(const json_t *addr, struct ferry_error *err)
{
    const char *type = text(addr, "type");

    if (is(type, "inet"))
        return inet_uri(addr, err);
    if (is(type, "unix"))
        return text(addr, "path") ? format("unix:%s", text(addr, "path")) : misses("path", err);
    if (is(type, "fd"))
        return text(addr, "str") ? format("fd:%s", text(addr, "str")) : misses("str", err);
    if (is(type, "vsock")) {
        if (!text(addr, "cid") || !text(addr, "port"))
            return misses(text(addr, "cid") ? "port" : "cid", err);
        return format("vsock:%s:%s", text(addr, "cid"), text(addr, "port"));
    }
    ferry_error_set(err, -EINVAL, "Parameter 'type' does not accept value '%s'", type ? type : "null");
    return NULL;
}

/* One word for a shell: 'it'\''s' */
static void put_word(FILE *to, const char *word)
{
    fputc('\'', to);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){ *word, '\0' }, to);
    fputs("' ", to);
}

static char *words_uri(const json_t *args)
{
    char *line = NULL;
    size_t bytes, i;
    FILE *to = open_memstream(&line, &bytes);
    const json_t *item;

    if (!to)
        return NULL;
    fputs("exec:", to);
    json_array_foreach (args, i, item)
        put_word(to, json_string_value(item));
    if (fclose(to) == 0)
        return line;
    free(line);
    return NULL;
}

/* QEMU makes exec:COMMAND into these three words; others are put together for a shell. */
static char *exec_uri(const json_t *addr, struct ferry_error *err)
{
    const json_t *args = json_object_get(addr, "args");
    const json_t *item;
    size_t i;

    if (json_array_size(args) == 0)
        return misses("args", err);
    json_array_foreach (args, i, item) {
        if (!json_is_string(item)) {
            ferry_error_set(err, -EINVAL, "Invalid parameter type for 'args', expected: string");
            return NULL;
        }
    }
    if (json_array_size(args) == 3 && is(json_string_value(json_array_get(args, 0)), "/bin/sh") &&
        is(json_string_value(json_array_get(args, 1)), "-c"))
        return format("exec:%s", json_string_value(json_array_get(args, 2)));
    return words_uri(args);
}

static char *file_uri(const json_t *addr, struct ferry_error *err)
{
    json_int_t offset = json_integer_value(json_object_get(addr, "offset"));

    if (!text(addr, "filename"))
        return misses("filename", err);
    return offset > 0 ? format("file:%s,offset=%" PRId64, text(addr, "filename"), (int64_t)offset)
                      : format("file:%s", text(addr, "filename"));
}

static char *channel_uri(const json_t *channel, struct ferry_error *err)
{
    const json_t *addr = json_object_get(channel, "addr");
    const char *transport = text(addr, "transport");

    if (!is(text(channel, "channel-type"), "main")) {
        ferry_error_set(err, -EINVAL, "Parameter 'channels[0].channel-type' must be 'main'");
        return NULL;
    }
    if (is(transport, "socket"))
        return socket_uri(addr, err);
    if (is(transport, "exec"))
        return exec_uri(addr, err);
    if (is(transport, "file"))
        return file_uri(addr, err);
    ferry_error_set(err, -EINVAL, "Parameter 'transport' does not accept value '%s'", transport ? transport : "null");
    return NULL;
}

char *qmp_address_uri(const json_t *arguments, struct ferry_error *err)
{
    const char *given = text(arguments, "uri");
    const json_t *channels = json_object_get(arguments, "channels");
    struct uri parsed;
    char *uri;

    if (!given == (json_array_size(channels) == 0)) {
        ferry_error_set(err, -EINVAL, "need either 'uri' or 'channels' argument");
        return NULL;
    }
    if (json_array_size(channels) > 1) {
        ferry_error_set(err, -ENOTSUP, "Channel list has more than one entries");
        return NULL;
    }
    uri = given ? strdup(given) : channel_uri(json_array_get(channels, 0), err);
    if (!uri) {
        if (!err->errnum)
            ferry_error_set(err, -ENOMEM, "no memory for the address");
        return NULL;
    }
    if (uri_parse(uri, &parsed, err) < 0) {
        free(uri);
        return NULL;
    }
    uri_clear(&parsed);
    return uri;
}

json_t *qmp_address_json(const char *uri)
{
    struct uri parsed;
    json_t *object = NULL;
    char port[16];

    if (uri_parse(uri, &parsed, NULL) < 0)
        return NULL;
    snprintf(port, sizeof(port), "%u", parsed.port);
    if (parsed.kind == URI_TCP)
        object = json_pack("{s:s, s:s, s:s, s:b}", "type", "inet", "host", parsed.name, "port", port,
                           strchr(parsed.name, ':') ? "ipv6" : "ipv4", 1);
    else if (parsed.kind == URI_UNIX)
        object = json_pack("{s:s, s:s}", "type", "unix", "path", parsed.name);
    uri_clear(&parsed);
    return object;
}
