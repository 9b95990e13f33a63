/* SPDX-License-Identifier: BSD-3-Clause */
/* link_test.c - the source's ear: words that come too early, or with another's token, end it; the first reason stays */
#include "clock.h"
#include "link.h"
#include "reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SOON (clock_now_ns() + 30 * NS_PER_SEC)

static const uint8_t ours[RETURN_PATH_TOKEN_BYTES] = "ours", zero[RETURN_PATH_TOKEN_BYTES] = { 0 };

/* A source that listens, and the destination that it listens to. */
struct scene {
    struct ferry_channel *ends[2];
    struct link *link;
    struct ferry_reader *reader;
    struct return_path *path;
};

static int set_up(void **state)
{
    static struct scene scene;

    assert_int_equal(ferry_channel_pair(scene.ends, NULL), 0);
    scene.link = link_new(scene.ends[0], NULL);
    scene.reader = ferry_reader_new(scene.ends[1], NULL);
    scene.path = return_path_open(scene.reader, NULL);
    assert_true(scene.link && scene.reader && scene.path);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    link_free(scene->link);
    return_path_free(scene->path);
    ferry_reader_free(scene->reader);
    ferry_channel_unref(scene->ends[0]);
    ferry_channel_unref(scene->ends[1]);
    return 0;
}

static void say(struct scene *scene, enum return_path_type type, const uint8_t *token)
{
    if (type == RETURN_PATH_DECLINED)
        assert_int_equal(return_path_declined(scene->path, token, NULL), 0);
    else
        assert_int_equal(return_path_token(scene->path, type, token, 123, NULL), 0);
}

/* It is the end of the migration, and whoever writes to the destination hears so. */
static void assert_broken(struct scene *scene, enum link_event event)
{
    struct iovec byte = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
    struct ferry_error err = { 0 };

    assert_int_equal(link_wait(scene->link, event, SOON, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_BAD_TOKEN);
    assert_non_null(strstr(err.text, "with another migration's token"));
    assert_true(ferry_channel_writev_all(scene->ends[0], &byte, 1, NULL) < 0);
}

/* Before the switch is prepared no token is right, and least of all the one that memory begins with. */
static void ready_before_prepare_is_refused(void **state)
{
    say(*state, RETURN_PATH_READY, zero);
    assert_broken(*state, LINK_READY);
}

static void running_before_prepare_is_refused(void **state)
{
    say(*state, RETURN_PATH_RUNNING, zero);
    assert_broken(*state, LINK_RUNNING);
}

static void declined_before_prepare_is_refused(void **state)
{
    say(*state, RETURN_PATH_DECLINED, zero);
    assert_broken(*state, LINK_DECLINED);
}

static void an_early_ready_is_not_made_good_by_its_token_that_comes_later(void **state)
{
    struct scene *scene = *state;

    say(scene, RETURN_PATH_READY, ours);
    assert_broken(scene, LINK_READY);
    link_expect_token(scene->link, ours);
    assert_broken(scene, LINK_READY);
}

static void anothers_token_is_refused(void **state)
{
    struct scene *scene = *state;
    uint8_t token[RETURN_PATH_TOKEN_BYTES];

    memcpy(token, ours, sizeof(token));
    token[sizeof(token) - 1] ^= 1;
    link_expect_token(scene->link, ours);
    say(scene, RETURN_PATH_READY, token);
    assert_broken(scene, LINK_READY);
}

static void the_right_token_is_taken_with_its_figure(void **state)
{
    struct scene *scene = *state;
    struct link_figures figures;

    link_expect_token(scene->link, ours);
    say(scene, RETURN_PATH_READY, ours);
    assert_int_equal(link_wait(scene->link, LINK_READY, SOON, NULL), 0);
    assert_int_equal(link_wait(scene->link, LINK_RUNNING, 0, NULL), -ETIMEDOUT);
    link_figures(scene->link, &figures);
    assert_int_equal(figures.ready_ns, 123);
    assert_true(figures.heard_ns > 0);
    say(scene, RETURN_PATH_RUNNING, ours);
    assert_int_equal(link_wait(scene->link, LINK_RUNNING, SOON, NULL), 0);
    assert_int_equal(link_status(scene->link, NULL), 0);
}

static void the_first_reason_stays(void **state)
{
    struct scene *scene = *state;
    struct ferry_error why = { 0 }, err = { 0 };

    ferry_error_set_code(&why, FERRY_E_PEER_SILENT, -ETIMEDOUT, "nothing is heard");
    link_break(scene->link, &why);
    say(scene, RETURN_PATH_READY, zero);
    ferry_channel_shutdown(scene->ends[1], FERRY_READ_WRITE);
    assert_int_equal(link_wait(scene->link, LINK_READY, SOON, &err), -ETIMEDOUT);
    assert_int_equal(err.code, FERRY_E_PEER_SILENT);
    assert_string_equal(err.text, "nothing is heard");
}

static void a_connection_that_ends_is_heard(void **state)
{
    struct scene *scene = *state;
    struct ferry_error err = { 0 };

    ferry_channel_shutdown(scene->ends[1], FERRY_READ_WRITE);
    assert_true(link_wait(scene->link, LINK_AGREED, SOON, &err) < 0);
    assert_non_null(strstr(err.text, "the destination cannot be heard any more"));
}

/* Nobody has asked for either. */
static void a_recovery_that_nobody_began_is_refused(void **state)
{
    static const uint8_t one[] = { 0, 0, 0, 1 };
    struct scene *scene = *state;
    struct ferry_error err = { 0 };

    assert_int_equal(return_path_send(scene->path, RETURN_PATH_RESUME_ACK, one, sizeof(one), NULL), 0);
    assert_int_equal(link_wait(scene->link, LINK_RESUMED, SOON, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_BAD_RETURN_MESSAGE);
}

static void a_bitmap_that_nobody_asked_for_is_refused(void **state)
{
    struct scene *scene = *state;
    struct ferry_error err = { 0 };
    uint64_t word = 1;

    (void)!return_path_bitmap(scene->path, "pc.ram", &word, 64, NULL);
    assert_int_equal(link_wait_bitmaps(scene->link, 1, SOON, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_BAD_RETURN_MESSAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_recovery_that_nobody_began_is_refused),
        TEST(a_bitmap_that_nobody_asked_for_is_refused),
        TEST(ready_before_prepare_is_refused),
        TEST(running_before_prepare_is_refused),
        TEST(declined_before_prepare_is_refused),
        TEST(an_early_ready_is_not_made_good_by_its_token_that_comes_later),
        TEST(anothers_token_is_refused),
        TEST(the_right_token_is_taken_with_its_figure),
        TEST(the_first_reason_stays),
        TEST(a_connection_that_ends_is_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
