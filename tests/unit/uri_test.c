/* SPDX-License-Identifier: BSD-3-Clause */
/* uri_test.c - addresses are taken apart as written, and what is wrong with one is said */
#include "uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct uri parse(const char *text)
{
    struct ferry_error err = { 0 };
    struct uri uri;

    if (uri_parse(text, &uri, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(uri.text, text);
    return uri;
}

static void assert_tcp(const char *text, const char *host, unsigned port, bool ipv4, bool ipv6)
{
    struct uri uri = parse(text);

    assert_int_equal(uri.kind, URI_TCP);
    assert_string_equal(uri.name, host);
    assert_int_equal(uri.port, port);
    assert_int_equal(uri.ipv4, ipv4);
    assert_int_equal(uri.ipv6, ipv6);
    uri_clear(&uri);
}

static void tcp_has_host_port_and_families(void **state)
{
    assert_tcp("tcp:192.0.2.7:4444", "192.0.2.7", 4444, true, true);
    assert_tcp("tcp:host.example:0", "host.example", 0, true, true);
    assert_tcp("tcp::65535", "", 65535, true, true);
    assert_tcp("tcp:[::1]:4444", "::1", 4444, true, true);
    assert_tcp("tcp:[fe80::1%eth0]:1", "fe80::1%eth0", 1, true, true);
    assert_tcp("tcp:h:1,ipv4=off", "h", 1, false, true);
    assert_tcp("tcp:h:1,ipv4=on", "h", 1, true, false);
    assert_tcp("tcp:h:1,ipv6=on", "h", 1, false, true);
    assert_tcp("tcp:h:1,ipv6=off,ipv4=on", "h", 1, true, false);
    assert_tcp("tcp:h:1,ipv4=on,ipv6=on", "h", 1, true, true);
}

static void the_other_kinds_have_their_parts(void **state)
{
    struct uri uri = parse("unix:/run/a b,c:d");

    assert_int_equal(uri.kind, URI_UNIX);
    assert_string_equal(uri.name, "/run/a b,c:d");
    uri_clear(&uri);
    uri = parse("unix:@name");
    assert_string_equal(uri.name, "@name");
    uri_clear(&uri);
    uri = parse("vsock:3:4294967295");
    assert_int_equal(uri.kind, URI_VSOCK);
    assert_int_equal(uri.cid, 3);
    assert_int_equal(uri.port, UINT32_MAX);
    uri_clear(&uri);
    uri = parse("vsock::1024");
    assert_int_equal(uri.cid, UINT32_MAX);
    uri_clear(&uri);
    uri = parse("fd:17");
    assert_int_equal(uri.kind, URI_FD);
    assert_int_equal(uri.fd, 17);
    uri_clear(&uri);
    uri = parse("exec:cat >\"x\", y:z");
    assert_int_equal(uri.kind, URI_EXEC);
    assert_string_equal(uri.name, "cat >\"x\", y:z");
    uri_clear(&uri);
}

static void assert_file(const char *text, const char *path, uint64_t offset, bool direct)
{
    struct uri uri = parse(text);

    assert_int_equal(uri.kind, URI_FILE);
    assert_string_equal(uri.name, path);
    assert_int_equal(uri.offset, offset);
    assert_int_equal(uri.direct, direct);
    uri_clear(&uri);
}

static void file_options_stand_at_the_end(void **state)
{
    assert_file("file:/a", "/a", 0, false);
    assert_file("file:/a,offset=65536,direct=on", "/a", 65536, true);
    assert_file("file:/a,direct=off,offset=1MiB", "/a", 1 << 20, false);
    assert_file("file:/a,offset=3/b", "/a,offset=3/b", 0, false);
    assert_file("file:/a,offset=3,b", "/a,offset=3,b", 0, false);
    assert_file("file:/a,b,offset=7", "/a,b", 7, false);
}

static void assert_refused(const char *text, int errnum, const char *word)
{
    struct ferry_error err = { 0 };
    struct uri uri;

    if (uri_parse(text, &uri, &err) != errnum)
        fail_msg("'%s' was not refused with %d: %s", text, errnum, ferry_error_text(&err));
    assert_int_equal(err.errnum, errnum);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not say '%s'", err.text, word);
    assert_int_equal(uri_parse(text, &uri, NULL), errnum);
}

static void what_is_wrong_is_said(void **state)
{
    char path[160] = "unix:/";

    assert_refused("", -EINVAL, "not an address");
    assert_refused("udp:1:2", -EINVAL, "tcp:host:port");
    assert_refused("tcp:host", -EINVAL, "port is missing");
    assert_refused("tcp:host:", -EINVAL, "port");
    assert_refused("tcp:host:65536", -EINVAL, "65535");
    assert_refused("tcp:host:-1", -EINVAL, "port");
    assert_refused("tcp:host:http", -EINVAL, "port");
    assert_refused("tcp:::1:4444", -EINVAL, "tcp:[::1]:4444");
    assert_refused("tcp:[::1:4444", -EINVAL, "tcp:[::1]:port");
    assert_refused("tcp:[]:4444", -EINVAL, "tcp:[::1]:port");
    assert_refused("tcp:h:1,ipv5=on", -EINVAL, "ipv5");
    assert_refused("tcp:h:1,ipv4=yes", -EINVAL, "on or off");
    assert_refused("tcp:h:1,ipv4", -EINVAL, "on or off");
    assert_refused("tcp:h:1,ipv4=off,ipv6=off", -EINVAL, "nothing is left");
    assert_refused("unix:", -EINVAL, "path is missing");
    assert_refused("unix:@", -EINVAL, "path is missing");
    memset(path + 6, 'x', 107);
    assert_refused(path, -ENAMETOOLONG, "107");
    assert_refused("vsock:3", -EINVAL, "port is missing");
    assert_refused("vsock:x:1", -EINVAL, "whole number");
    assert_refused("vsock:3:4294967296", -EINVAL, "whole number");
    assert_refused("fd:", -EINVAL, "whole number");
    assert_refused("fd:-1", -EINVAL, "whole number");
    assert_refused("fd:2147483648", -EINVAL, "whole number");
    assert_refused("fd:name", -EINVAL, "whole number");
    assert_refused("exec:  ", -EINVAL, "command is missing");
    assert_refused("file:", -EINVAL, "path is missing");
    assert_refused("file:,offset=3", -EINVAL, "path is missing");
    assert_refused("file:/a,offset=x", -EINVAL, "not a size");
    assert_refused("file:/a,direct=maybe", -EINVAL, "on or off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_has_host_port_and_families),
        cmocka_unit_test(the_other_kinds_have_their_parts),
        cmocka_unit_test(file_options_stand_at_the_end),
        cmocka_unit_test(what_is_wrong_is_said),
    };

    return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
