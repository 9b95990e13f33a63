/* SPDX-License-Identifier: BSD-3-Clause */
/* listener_test.c - a listener says where it is, serves many, and stops when told */
#include "listener.h"

#include <ferry/channel.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 40

static char folder[] = "/tmp/ferry-listener-XXXXXX";
static char uri[100];
static const char *path = uri + 5;

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(uri, sizeof(uri), "unix:%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

static struct ferry_listener *must_listen(const char *text)
{
    struct ferry_error err = { 0 };
    struct ferry_listener *listener = ferry_listener_open(text, &err);

    if (!listener)
        fail_msg("%s", err.text);
    return listener;
}

static void assert_reaches(const char *address, struct ferry_listener *listener)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *client = ferry_channel_connect(address, 2000, &err), *server;
    char byte = 'f';

    if (!client)
        fail_msg("%s", err.text);
    server = ferry_listener_accept(listener, 2000, &err);
    assert_non_null(server);
    assert_int_equal(ferry_channel_writev(client, &(struct iovec){ &byte, 1 }, 1, &err), 1);
    byte = 0;
    assert_int_equal(ferry_channel_read_all(server, &byte, 1, &err), 0);
    assert_int_equal(byte, 'f');
    ferry_channel_unref(client);
    ferry_channel_unref(server);
}

static void port_0_is_reported_back(void **state)
{
    struct ferry_listener *listener = must_listen("tcp:127.0.0.1:0");
    const char *address = ferry_listener_address(listener);

    assert_int_equal(strncmp(address, "tcp:127.0.0.1:", 14), 0);
    assert_true(atoi(address + 14) > 0);
    assert_reaches(address, listener);
    ferry_listener_free(listener);
}

static void an_empty_host_is_every_address(void **state)
{
    struct ferry_listener *listener = must_listen("tcp::0");
    char address[64];

    snprintf(address, sizeof(address), "tcp:127.0.0.1%s", strrchr(ferry_listener_address(listener), ':'));
    assert_reaches(address, listener);
    assert_reaches(ferry_listener_address(listener), listener);
    ferry_listener_free(listener);
    listener = must_listen("tcp::0,ipv6=off");
    assert_int_equal(strncmp(ferry_listener_address(listener), "tcp:0.0.0.0:", 12), 0);
    assert_reaches(ferry_listener_address(listener), listener);
    ferry_listener_free(listener);
}

static void a_name_is_all_its_addresses(void **state)
{
    struct ferry_listener *listener = must_listen("tcp:localhost:0");
    char address[64];

    snprintf(address, sizeof(address), "tcp:localhost%s,ipv4=on", strrchr(ferry_listener_address(listener), ':'));
    assert_reaches(address, listener);
    assert_reaches(ferry_listener_address(listener), listener);
    ferry_listener_free(listener);
}

static void a_port_in_use_is_refused(void **state)
{
    struct ferry_listener *listener = must_listen("tcp:127.0.0.1:0");
    struct ferry_error err = { 0 };

    assert_null(ferry_listener_open(ferry_listener_address(listener), &err));
    assert_int_equal(err.errnum, -EADDRINUSE);
    assert_non_null(strstr(err.text, ": address already in use"));
    ferry_listener_free(listener);
}

static void nobody_coming_is_a_timeout(void **state)
{
    struct ferry_listener *listener = must_listen("tcp:127.0.0.1:0");
    struct ferry_error err = { 0 };

    assert_null(ferry_listener_accept(listener, 30, &err));
    assert_int_equal(err.errnum, -ETIMEDOUT);
    assert_null(ferry_listener_accept(listener, 0, &err));
    assert_int_equal(err.errnum, -ETIMEDOUT);
    ferry_listener_free(listener);
}

struct acceptor {
    pthread_t thread;
    struct ferry_listener *listener;
    struct ferry_channel *chan;
    struct ferry_error err;
};

static void *accept_one(void *opaque)
{
    struct acceptor *acceptor = opaque;

    acceptor->chan = ferry_listener_accept(acceptor->listener, FERRY_NO_DEADLINE, &acceptor->err);
    return NULL;
}

static void stop_wakes_everyone_now_and_later(void **state)
{
    struct ferry_listener *listener = must_listen(uri);
    struct acceptor acceptors[3];
    struct ferry_error err = { 0 };

    for (int i = 0; i < 3; i++) {
        acceptors[i] = (struct acceptor){ .listener = listener };
        assert_int_equal(pthread_create(&acceptors[i].thread, NULL, accept_one, &acceptors[i]), 0);
    }
    ferry_listener_stop(listener);
    for (int i = 0; i < 3; i++) {
        pthread_join(acceptors[i].thread, NULL);
        assert_null(acceptors[i].chan);
        assert_int_equal(acceptors[i].err.errnum, -ESHUTDOWN);
    }
    assert_null(ferry_listener_accept(listener, FERRY_NO_DEADLINE, &err));
    assert_int_equal(err.errnum, -ESHUTDOWN);
    ferry_listener_free(listener);
}

static void *accept_many(void *opaque)
{
    struct ferry_listener *listener = opaque;

    for (int i = 0; i < CLIENTS; i++) {
        struct ferry_channel *chan = ferry_listener_accept(listener, 5000, NULL);
        char byte = (char)i;

        if (!chan || ferry_channel_writev(chan, &(struct iovec){ &byte, 1 }, 1, NULL) != 1)
            return NULL;
        ferry_channel_unref(chan);
    }
    return listener;
}

static void many_clients_are_served(void **state)
{
    struct ferry_listener *listener = must_listen(uri);
    struct ferry_channel *clients[CLIENTS];
    bool seen[CLIENTS] = { false };
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, accept_many, listener), 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = ferry_channel_connect(uri, 5000, NULL);
        assert_non_null(clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t byte = 255;

        assert_int_equal(ferry_channel_read_all(clients[i], &byte, 1, NULL), 0);
        assert_true(byte < CLIENTS && !seen[byte]);
        seen[byte] = true;
        ferry_channel_unref(clients[i]);
    }
    pthread_join(thread, &result);
    assert_ptr_equal(result, listener);
    ferry_listener_free(listener);
}

static void who_left_already_does_not_stop_the_listener(void **state)
{
    struct ferry_listener *listener = must_listen("tcp:127.0.0.1:0");
    unsigned port = (unsigned)atoi(strrchr(ferry_listener_address(listener), ':') + 1);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    struct ferry_channel *chan;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    chan = ferry_listener_accept(listener, 2000, NULL);
    assert_non_null(chan);
    assert_true(ferry_channel_readv(chan, &(struct iovec){ &byte, 1 }, 1, NULL) <= 0);
    ferry_channel_unref(chan);
    assert_reaches(ferry_listener_address(listener), listener);
    ferry_listener_free(listener);
}

static void bind_raw(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd);
}

static void a_stale_name_is_replaced_a_live_one_is_not(void **state)
{
    struct ferry_listener *listener;
    struct ferry_error err = { 0 };
    struct stat st;
    int fd;

    bind_raw();
    listener = must_listen(uri);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_null(ferry_listener_open(uri, &err));
    assert_int_equal(err.errnum, -EADDRINUSE);
    assert_reaches(uri, listener);
    ferry_listener_free(listener);
    assert_int_equal(access(path, F_OK), -1);
    /* What is no socket is nobody's to remove. */
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_null(ferry_listener_open(uri, &err));
    assert_int_equal(err.errnum, -EADDRINUSE);
    assert_int_equal(unlink(path), 0);
}

static void a_name_taken_over_is_left_alone(void **state)
{
    struct ferry_listener *listener = must_listen(uri);

    assert_int_equal(unlink(path), 0);
    bind_raw();
    ferry_listener_free(listener);
    assert_int_equal(unlink(path), 0);
}

static void an_inherited_listening_socket_listens(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct ferry_listener *listener;
    int fd = socket(AF_INET, SOCK_STREAM, 0), copy = dup(fd);
    char text[32];

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 5), 0);
    snprintf(text, sizeof(text), "fd:%d", fd);
    listener = must_listen(text);
    assert_int_equal(strncmp(ferry_listener_address(listener), "tcp:127.0.0.1:", 14), 0);
    assert_reaches(ferry_listener_address(listener), listener);
    assert_reaches(ferry_listener_address(listener), listener);
    ferry_listener_free(listener);
    assert_false(fcntl(copy, F_GETFL) & O_NONBLOCK);
    close(copy);
}

static void another_listener_on_the_same_sockets_outlives_neither(void **state)
{
    struct ferry_listener *first = must_listen(uri), *again, *third;
    struct ferry_error err = { 0 };

    again = listener_again(first, &err);
    third = listener_again(first, &err);
    assert_non_null(again);
    assert_non_null(third);
    assert_string_equal(ferry_listener_address(again), ferry_listener_address(first));
    assert_reaches(uri, again);
    ferry_listener_stop(again);
    ferry_listener_free(again);
    assert_int_equal(access(path, F_OK), 0);
    assert_reaches(uri, third);
    assert_reaches(uri, first);
    ferry_listener_free(first);
    assert_int_equal(access(path, F_OK), -1);
    ferry_listener_free(third);
}

static void one_channel_has_no_second_listener(void **state)
{
    struct ferry_listener *listener = must_listen("exec:true");
    struct ferry_error err = { 0 };

    assert_null(listener_again(listener, &err));
    assert_int_equal(err.errnum, -EINVAL);
    ferry_listener_free(listener);
}

static void what_is_open_already_is_given_once(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_listener *listener;
    struct ferry_channel *chan;
    int ends[2];
    char text[32];

    assert_int_equal(pipe(ends), 0);
    snprintf(text, sizeof(text), "fd:%d", ends[0]);
    listener = must_listen(text);
    assert_string_equal(ferry_listener_address(listener), text);
    chan = ferry_listener_accept(listener, 0, &err);
    assert_non_null(chan);
    assert_null(ferry_listener_accept(listener, 0, &err));
    assert_int_equal(err.errnum, -ENOENT);
    ferry_listener_stop(listener);
    assert_null(ferry_listener_accept(listener, 0, &err));
    assert_int_equal(err.errnum, -ESHUTDOWN);
    ferry_listener_free(listener);
    ferry_channel_unref(chan);
    close(ends[1]);
    assert_null(ferry_listener_open("file:/nowhere/x", &err));
    assert_int_equal(err.errnum, -ENOENT);
    assert_null(ferry_listener_open("fd:99999", &err));
    assert_int_equal(err.errnum, -EBADF);
    ferry_listener_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_is_reported_back),
        cmocka_unit_test(an_empty_host_is_every_address),
        cmocka_unit_test(a_name_is_all_its_addresses),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(nobody_coming_is_a_timeout),
        cmocka_unit_test(stop_wakes_everyone_now_and_later),
        cmocka_unit_test(many_clients_are_served),
        cmocka_unit_test(who_left_already_does_not_stop_the_listener),
        cmocka_unit_test(a_stale_name_is_replaced_a_live_one_is_not),
        cmocka_unit_test(a_name_taken_over_is_left_alone),
        cmocka_unit_test(an_inherited_listening_socket_listens),
        cmocka_unit_test(another_listener_on_the_same_sockets_outlives_neither),
        cmocka_unit_test(one_channel_has_no_second_listener),
        cmocka_unit_test(what_is_open_already_is_given_once),
    };

    return cmocka_run_group_tests_name("listener", tests, make_folder, remove_folder);
}
