/* SPDX-License-Identifier: BSD-3-Clause */
/* uri.c - where to connect or listen, taken apart */
#include "uri.h"

#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_switch(const struct uri *uri, const char *key, const char *value, bool *on, struct ferry_error *err)
{
    if (strcmp(value, "on") && strcmp(value, "off"))
        return ferry_error_set(err, -EINVAL, "%s: %s is on or off, not '%s'", uri->text, key, value);
    *on = !strcmp(value, "on");
    return 0;
}

/* ",ipv4=off,ipv6=on" behind the port; cuts it up. */
static int parse_tcp_options(struct uri *uri, char *options, struct ferry_error *err)
{
    bool seen_on = false, seen4 = false, seen6 = false;
    char *save, *value;
    int ret;

    for (char *key = strtok_r(options, ",", &save); key; key = strtok_r(NULL, ",", &save)) {
        bool *on;

        value = strchr(key, '=');
        if (value)
            *value++ = '\0';
        on = !strcmp(key, "ipv4") ? &uri->ipv4 : !strcmp(key, "ipv6") ? &uri->ipv6 : NULL;
        if (!on)
            return ferry_error_set(err, -EINVAL, "%s: no option '%s'; there are ipv4= and ipv6=", uri->text, key);
        ret = parse_switch(uri, key, value ? value : "", on, err);
        if (ret < 0)
            return ret;
        seen4 |= on == &uri->ipv4;
        seen6 |= on == &uri->ipv6;
        seen_on |= *on;
    }
    /* Switching one on and not naming the other means: only this one. */
    if (seen_on && seen4 != seen6) {
        uri->ipv4 = seen4;
        uri->ipv6 = seen6;
    }
    if (!uri->ipv4 && !uri->ipv6)
        return ferry_error_set(err, -EINVAL, "%s: with both ipv4 and ipv6 off nothing is left", uri->text);
    return 0;
}

static int parse_tcp(struct uri *uri, struct ferry_error *err)
{
    char *host = uri->name;
    char *options = strchr(host, ',');
    char *colon, *end;
    uint64_t port;
    int ret;

    if (options)
        *options++ = '\0';
    colon = strrchr(host, ':');
    if (!colon)
        return ferry_error_set(err, -EINVAL, "%s: the port is missing: write tcp:host:port", uri->text);
    *colon = '\0';
    if (host[0] == '[') {
        end = strchr(host, ']');
        if (!end || end[1] != '\0' || end == host + 1)
            return ferry_error_set(err, -EINVAL, "%s: write tcp:[::1]:port", uri->text);
        *end = '\0';
        memmove(host, host + 1, strlen(host));
    } else if (strchr(host, ':')) {
        return ferry_error_set(err, -EINVAL, "%s: an IPv6 address needs brackets: tcp:[%s]:%s", uri->text, host,
                               colon + 1);
    }
    ret = units_parse_uint(colon + 1, 0, 65535, &port, err);
    if (ret < 0)
        return ferry_error_prefix(err, "%s: port", uri->text), ret;
    uri->port = (unsigned)port;
    return options ? parse_tcp_options(uri, options, err) : 0;
}

static int parse_unix(struct uri *uri, struct ferry_error *err)
{
    size_t bytes = strlen(uri->name);
    size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    if (bytes == 0 || !strcmp(uri->name, "@"))
        return ferry_error_set(err, -EINVAL, "%s: the path is missing: write unix:path or unix:@name", uri->text);
    if (bytes > max)
        return ferry_error_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes, this one has %zu",
                               uri->text, max, bytes);
    return 0;
}

static int parse_vsock(struct uri *uri, struct ferry_error *err)
{
    char *colon = strchr(uri->name, ':');
    uint64_t cid = UINT32_MAX, port;
    int ret = 0;

    if (!colon)
        return ferry_error_set(err, -EINVAL, "%s: the port is missing: write vsock:cid:port", uri->text);
    *colon = '\0';
    if (uri->name[0])
        ret = units_parse_uint(uri->name, 0, UINT32_MAX, &cid, err);
    if (ret == 0)
        ret = units_parse_uint(colon + 1, 0, UINT32_MAX, &port, err);
    if (ret < 0)
        return ferry_error_prefix(err, "%s", uri->text), ret;
    uri->cid = (unsigned)cid;
    uri->port = (unsigned)port;
    return 0;
}

static int parse_fd(struct uri *uri, struct ferry_error *err)
{
    uint64_t fd;
    int ret = units_parse_uint(uri->name, 0, INT_MAX, &fd, err);

    if (ret < 0)
        return ferry_error_prefix(err, "%s", uri->text), ret;
    uri->fd = (int)fd;
    return 0;
}

static int parse_exec(struct uri *uri, struct ferry_error *err)
{
    if (!uri->name[strspn(uri->name, " \t\n")])
        return ferry_error_set(err, -EINVAL, "%s: the command is missing", uri->text);
    return 0;
}

/* A path may hold commas, even ",offset=": only what stands at the very end counts as an option. */
static int parse_file(struct uri *uri, struct ferry_error *err)
{
    char *comma;
    int ret = 0;

    while (ret == 0 && (comma = strrchr(uri->name, ',')) && !strchr(comma, '/')) {
        if (!strncmp(comma, ",offset=", 8))
            ret = units_parse_size(comma + 8, &uri->offset, err);
        else if (!strncmp(comma, ",direct=", 8))
            ret = parse_switch(uri, "direct", comma + 8, &uri->direct, err);
        else
            break;
        *comma = '\0';
    }
    if (ret < 0)
        return ferry_error_prefix(err, "file:%s", uri->name), ret;
    if (!uri->name[0])
        return ferry_error_set(err, -EINVAL, "%s: the path is missing: write file:path[,offset=N]", uri->text);
    return 0;
}

static const struct {
    const char *scheme;
    enum uri_kind kind;
    int (*parse)(struct uri *uri, struct ferry_error *err);
} schemes[] = {
    { "tcp:", URI_TCP, parse_tcp }, { "unix:", URI_UNIX, parse_unix }, { "vsock:", URI_VSOCK, parse_vsock },
    { "fd:", URI_FD, parse_fd },    { "exec:", URI_EXEC, parse_exec }, { "file:", URI_FILE, parse_file },
};

int uri_parse(const char *text, struct uri *uri, struct ferry_error *err)
{
    size_t i, head = 0;
    int ret;

    *uri = (struct uri){ .ipv4 = true, .ipv6 = true, .fd = -1 };
    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        head = strlen(schemes[i].scheme);
        if (!strncmp(text, schemes[i].scheme, head))
            break;
    }
    if (i == sizeof(schemes) / sizeof(schemes[0]))
        return ferry_error_set_code(
            err, FERRY_E_ADDRESS_INVALID, -EINVAL,
            "'%s' is not an address: write tcp:host:port, unix:path, vsock:cid:port, fd:number, "
            "exec:command or file:path",
            text);
    uri->kind = schemes[i].kind;
    uri->text = strdup(text);
    uri->name = strdup(text + head);
    if (!uri->text || !uri->name)
        ret = ferry_error_set(err, -ENOMEM, "%s: cannot allocate memory", text);
    else if ((ret = schemes[i].parse(uri, err)) < 0)
        ferry_error_code(err, FERRY_E_ADDRESS_INVALID);
    if (ret < 0)
        uri_clear(uri);
    return ret;
}

void uri_clear(struct uri *uri)
{
    free(uri->text);
    free(uri->name);
    uri->text = uri->name = NULL;
}
