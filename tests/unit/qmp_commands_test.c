/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_commands_test.c - requests are answered as QEMU answers them, right and wrong ones; addresses become URIs */
#include "qmp_address.h"
#include "qmp_commands.h"

#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct ferry_guest *guest;
    struct ferry_options *options;
    struct qmp_control *control;
    struct qmp_agreed client;
    json_t *events;
};

static int nothing(void *opaque, struct ferry_error *err)
{
    return 0;
}

static void keep_event(void *opaque, json_t *event)
{
    struct fixture *fixture = opaque;

    json_array_append_new(fixture->events, event);
}

static int set_up(void **state)
{
    static const struct ferry_guest_ops ops = { .stop = nothing, .start = nothing };
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct qmp_terms terms = { .is_source = true, .deferred = true, .post = keep_event, .opaque = fixture };

    fixture->guest = ferry_guest_new("test", &ops, NULL, NULL);
    fixture->options = ferry_options_new();
    fixture->events = json_array();
    terms.guest = fixture->guest;
    terms.options = fixture->options;
    fixture->control = qmp_control_new(&terms, NULL);
    assert_non_null(fixture->control);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    qmp_control_free(fixture->control);
    json_decref(fixture->events);
    ferry_options_free(fixture->options);
    ferry_guest_free(fixture->guest);
    free(fixture);
    return 0;
}

static json_t *ask(struct fixture *fixture, const char *text)
{
    json_t *request = json_loads(text, JSON_DECODE_ANY, NULL);
    json_t *answer = qmp_commands_answer(fixture->control, &fixture->client, request, "JSON parse error");

    assert_non_null(answer);
    json_decref(request);
    return answer;
}

static void refused(struct fixture *fixture, const char *text, const char *class, const char *desc)
{
    json_t *answer = ask(fixture, text);
    const json_t *error = json_object_get(answer, "error");

    assert_non_null(error);
    assert_string_equal(json_string_value(json_object_get(error, "class")), class);
    if (!strstr(json_string_value(json_object_get(error, "desc")), desc))
        fail_msg("'%s' does not say '%s'", json_string_value(json_object_get(error, "desc")), desc);
    json_decref(answer);
}

static void done(struct fixture *fixture, const char *text)
{
    json_t *answer = ask(fixture, text);

    if (!json_object_get(answer, "return"))
        fail_msg("%s: %s", text, json_string_value(json_object_get(json_object_get(answer, "error"), "desc")));
    json_decref(answer);
}

static void test_negotiation(void **state)
{
    struct fixture *fixture = *state;

    refused(fixture, "{\"execute\": \"query-version\"}", "CommandNotFound", "Expecting capabilities negotiation");
    refused(fixture, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"x\"]}}", "GenericError",
            "'x'");
    refused(fixture, "{\"exec-oob\": \"migrate-pause\"}", "GenericError", "'exec-oob' is unexpected");
    done(fixture, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}");
    assert_true(fixture->client.oob);
    refused(fixture, "{\"execute\": \"qmp_capabilities\"}", "CommandNotFound", "already complete");
    refused(fixture, "{\"exec-oob\": \"query-migrate\"}", "GenericError", "does not support OOB");
    refused(fixture, "{\"exec-oob\": \"migrate-pause\"}", "GenericError", "postcopy-active");
    refused(fixture, "{\"exec-oob\": \"migrate-pause\", \"execute\": \"quit\"}", "GenericError", "clashes");
}

static void test_wrong_requests(void **state)
{
    struct fixture *fixture = *state;

    fixture->client.agreed = true;
    refused(fixture, "[]", "GenericError", "must be a JSON object");
    refused(fixture, "{}", "GenericError", "lacks member 'execute'");
    refused(fixture, "{\"execute\": 1}", "GenericError", "must be a string");
    refused(fixture, "{\"execute\": \"quit\", \"arguments\": []}", "GenericError", "must be an object");
    refused(fixture, "{\"execute\": \"quit\", \"then\": 1}", "GenericError", "'then' is unexpected");
    refused(fixture, "{\"execute\": \"teleport\"}", "CommandNotFound", "teleport has not been found");
    refused(fixture, "{\"execute\": \"quit\", \"arguments\": {\"a\": 1}}", "GenericError",
            "Parameter 'a' is unexpected");
    refused(fixture, "{\"execute\": \"calc-dirty-rate\"}", "GenericError", "Parameter 'calc-time' is missing");
    refused(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": 1}}", "GenericError", "expected: string");
    assert_false(qmp_control_quits(fixture->control));
}

static void test_ids_come_back(void **state)
{
    struct fixture *fixture = *state;
    json_t *answer;

    fixture->client.agreed = true;
    answer = ask(fixture, "{\"execute\": \"query-status\", \"id\": [1, null]}");
    assert_int_equal(json_array_size(json_object_get(answer, "id")), 2);
    json_decref(answer);
    answer = ask(fixture, "{\"execute\": \"teleport\", \"id\": 7}");
    assert_int_equal(json_integer_value(json_object_get(answer, "id")), 7);
    json_decref(answer);
}

static void test_a_migration_is_asked_for_once(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_stats stats = { .phase = FERRY_PHASE_NONE };
    struct ferry_error err = { .errnum = -1, .text = "refused" };
    json_t *answer;

    fixture->client.agreed = true;
    done(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}");
    refused(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}", "GenericError",
            "in progress");
    assert_int_equal(qmp_control_wait(fixture->control), 0);
    assert_string_equal(qmp_control_take(fixture->control, fixture->options, NULL), "tcp:127.0.0.1:1");
    qmp_control_detach(fixture->control, &stats, &err);
    answer = ask(fixture, "{\"execute\": \"query-migrate\"}");
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "return"), "status")), "failed");
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "return"), "error-desc")), "refused");
    json_decref(answer);
    done(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}");
    done(fixture, "{\"execute\": \"quit\"}");
    assert_int_equal(qmp_control_wait(fixture->control), -ESHUTDOWN);
    assert_int_equal(json_array_size(fixture->events), 1); /* SHUTDOWN; the capability events is off */
}

static const char *status_told(struct fixture *fixture, char *to, size_t room)
{
    json_t *answer = ask(fixture, "{\"execute\": \"query-migrate\"}");
    const char *status = json_string_value(json_object_get(json_object_get(answer, "return"), "status"));

    snprintf(to, room, "%s", status ? status : "none");
    json_decref(answer);
    return to;
}

/* The session knows its end before this side does; who is told of it may ask for the next. */
static void test_an_end_is_told_when_it_has_been_seen(void **state)
{
    static const char migrate[] = "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}";
    struct fixture *fixture = *state;
    struct ferry_error err = { 0 };
    struct ferry_session *session;
    struct ferry_channel *pair[2];
    struct ferry_stats stats;
    char status[32];

    fixture->client.agreed = true;
    done(fixture, migrate);
    assert_int_equal(qmp_control_wait(fixture->control), 0);
    assert_non_null(qmp_control_take(fixture->control, fixture->options, NULL));
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    ferry_channel_unref(pair[1]);
    session = ferry_source_start(fixture->guest, pair[0], NULL, &err);
    assert_non_null(session);
    assert_true(ferry_session_wait(session, FERRY_NO_DEADLINE, &err) < 0);
    qmp_control_attach(fixture->control, session);
    assert_string_equal(status_told(fixture, status, sizeof(status)), "setup");
    refused(fixture, migrate, "GenericError", "in progress");
    ferry_session_stats(session, &stats);
    assert_int_equal(stats.phase, FERRY_PHASE_FAILED);
    qmp_control_detach(fixture->control, &stats, &err);
    assert_string_equal(status_told(fixture, status, sizeof(status)), "failed");
    done(fixture, migrate);
    ferry_session_free(session);
    ferry_channel_unref(pair[0]);
}

static void test_a_guest_that_has_left_is_not_moved_again(void **state)
{
    static const enum ferry_phase phases[] = { FERRY_PHASE_COMPLETED, FERRY_PHASE_UNCERTAIN,
                                               FERRY_PHASE_POSTCOPY_PAUSED };

    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct ferry_error err = { .errnum = -ENOTRECOVERABLE, .text = "it broke" };
        struct ferry_stats stats = { .phase = phases[i] };
        struct fixture *fixture;

        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        fixture = *state;
        fixture->client.agreed = true;
        done(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}");
        assert_non_null(qmp_control_take(fixture->control, fixture->options, NULL));
        qmp_control_detach(fixture->control, &stats, phases[i] == FERRY_PHASE_COMPLETED ? NULL : &err);
        refused(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}", "GenericError",
                "the guest has left, or may have");
    }
}

static void test_what_goes_on(void **state)
{
    struct fixture *fixture = *state;

    fixture->client.agreed = true;
    refused(fixture, "{\"execute\": \"migrate-continue\", \"arguments\": {\"state\": \"pre-switchover\"}}",
            "GenericError", "Migration not in expected state: none");
    refused(fixture, "{\"execute\": \"migrate-continue\", \"arguments\": {\"state\": \"asleep\"}}", "GenericError",
            "Parameter 'state' does not accept value 'asleep'");
    done(fixture, "{\"execute\": \"migrate-continue\", \"arguments\": {\"state\": \"none\"}}"); /* as QEMU does */
    done(fixture, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:127.0.0.1:1\"}}");
    refused(fixture, "{\"execute\": \"migrate-continue\", \"arguments\": {\"state\": \"pre-switchover\"}}",
            "GenericError", "Migration not in expected state: setup");
    refused(fixture, "{\"execute\": \"migrate-continue\"}", "GenericError", "Parameter 'state' is missing");
}

static void becomes(const char *addr, const char *uri)
{
    char text[512];
    struct ferry_error err = { 0 };
    json_t *arguments;
    char *made;

    snprintf(text, sizeof(text), "{\"channels\": [{\"channel-type\": \"main\", \"addr\": %s}]}", addr);
    arguments = json_loads(text, 0, NULL);
    assert_non_null(arguments);
    made = qmp_address_uri(arguments, &err);
    json_decref(arguments);
    if (!uri) {
        assert_null(made);
        assert_true(err.text[0] != '\0');
        return;
    }
    assert_non_null(made);
    assert_string_equal(made, uri);
    free(made);
}

static void test_addresses(void **state)
{
    becomes("{\"transport\": \"socket\", \"type\": \"inet\", \"host\": \"h\", \"port\": \"44\"}", "tcp:h:44");
    becomes("{\"transport\": \"socket\", \"type\": \"inet\", \"host\": \"::1\", \"port\": \"44\"}", "tcp:[::1]:44");
    becomes("{\"transport\": \"socket\", \"type\": \"unix\", \"path\": \"/run/x\"}", "unix:/run/x");
    becomes("{\"transport\": \"socket\", \"type\": \"vsock\", \"cid\": \"2\", \"port\": \"9\"}", "vsock:2:9");
    becomes("{\"transport\": \"file\", \"filename\": \"/tmp/f\", \"offset\": 4096}", "file:/tmp/f,offset=4096");
    becomes("{\"transport\": \"exec\", \"args\": [\"/bin/sh\", \"-c\", \"cat > x\"]}", "exec:cat > x");
    becomes("{\"transport\": \"exec\", \"args\": [\"tee\", \"it's\"]}", "exec:'tee' 'it'\\''s' ");
    becomes("{\"transport\": \"rdma\"}", NULL);
    becomes("{\"transport\": \"socket\", \"type\": \"inet\", \"host\": \"h\"}", NULL);
    becomes("{\"transport\": \"socket\", \"type\": \"inet\", \"host\": \"h\", \"port\": \"99999\"}", NULL);
    becomes("{\"transport\": \"exec\", \"args\": [1]}", NULL);
    becomes("7", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_negotiation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_migration_is_asked_for_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_end_is_told_when_it_has_been_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_guest_that_has_left_is_not_moved_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_goes_on, set_up, tear_down),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
