/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_manifest_test.c - offer, answer, agreement and refusal between two guests of the public kind */
#include "guest_manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct disk {
    uint32_t sectors;
};

static const struct ferry_field fields[] = { FERRY_U32(sectors, struct disk), FERRY_END };
#define DISK(v)                                                                                                     \
    {                                                                                                               \
        .name = "disk", .version_id = (v), .minimum_version_id = (v), .size = sizeof(struct disk), .fields = fields \
    }
static const struct ferry_state_desc disk_v1 = DISK(1), disk_v2 = DISK(2);

static int any(struct ferry_values *values, struct ferry_error *err)
{
    return 0;
}
static const struct ferry_converter down = { &disk_v1, NULL, any };

static int ok(void *opaque, struct ferry_error *err)
{
    return 0;
}
static int load(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    return 0;
}
static const struct ferry_guest_ops ops = { .stop = ok, .start = ok };
static const struct ferry_iterative_ops rounds = { .load = { .state = load } };
static struct disk disk;

static struct ferry_guest *guest_new(const struct ferry_state_desc *desc, const char *queues)
{
    struct ferry_setting settings[] = { { "queues", queues }, { NULL, NULL } };
    const struct ferry_model model = { "vfio://example.org/gpu", settings };
    struct ferry_guest *guest = ferry_guest_new("pc", &ops, NULL, NULL);

    assert_int_equal(ferry_guest_add_device(guest, desc, &disk, NULL, 0, NULL), 0);
    assert_int_equal(ferry_guest_add_iterative(guest, "gpu", 0, 2, &rounds, NULL, NULL), 0);
    assert_int_equal(ferry_guest_set_model(guest, "gpu", 0, &model, NULL), 0);
    assert_int_equal(ferry_guest_set_model(guest, "tpu", 0, &model, NULL), -ENOENT);
    return guest;
}

static int exchange(struct ferry_guest *source, struct ferry_guest *destination, struct guest_answer *answer,
                    struct ferry_error *err)
{
    size_t bytes;
    uint8_t *offer = guest_manifest_offer(source, &bytes, NULL);
    int ret;

    assert_non_null(offer);
    ret = guest_manifest_answer(destination, offer, bytes, 4096, 60000, answer, err);
    free(offer);
    return ret;
}

static void equal_guests_agree(void **state)
{
    struct ferry_guest *source = guest_new(&disk_v1, "4"), *destination = guest_new(&disk_v1, "4");
    struct guest_answer answer;

    assert_int_equal(exchange(source, destination, &answer, NULL), 0);
    assert_true(answer.agreed);
    assert_int_equal(answer.bytes, 0);
    assert_int_equal(guest_manifest_agreed(source, answer.payload, answer.bytes, NULL), 0);
    free(answer.payload);
    ferry_guest_free(source);
    ferry_guest_free(destination);
}

static void both_ends_get_the_same_reasons(void **state)
{
    struct ferry_guest *source = guest_new(&disk_v2, "4"), *destination = guest_new(&disk_v1, "2");
    struct ferry_error here = { 0 }, there = { 0 };
    struct guest_answer answer;

    assert_int_equal(exchange(source, destination, &answer, &here), -EINVAL);
    assert_false(answer.agreed);
    assert_int_equal(guest_manifest_refused(answer.payload, answer.bytes, &there), -EINVAL);
    assert_string_equal(here.text, "the destination cannot take this guest: device 'disk' 0: version 2 at the source, "
                                   "which is too new: 1 to 1 can be loaded here; device 'gpu' 0: 'queues' is '4' at "
                                   "the source, '2' here");
    assert_string_equal(there.text, here.text);
    assert_int_equal(there.code, FERRY_E_REFUSED);
    assert_int_equal(guest_manifest_refused(answer.payload, answer.bytes - 1, &there), -EPROTO);
    free(answer.payload);
    ferry_guest_free(source);
    ferry_guest_free(destination);
}

static void a_choice_is_kept_until_the_next_offer(void **state)
{
    struct ferry_guest *source = guest_new(&disk_v2, "4"), *destination = guest_new(&disk_v1, "4");
    struct guest_answer answer;
    size_t bytes;

    assert_int_equal(ferry_guest_add_converter(source, &down, NULL), 0);
    assert_int_equal(exchange(source, destination, &answer, NULL), 0);
    assert_int_equal(answer.bytes, 8);
    assert_int_equal(guest_manifest_agreed(source, answer.payload, answer.bytes, NULL), 0);
    assert_int_equal(device_version(device_first(source->devices), NULL), 1);
    free(answer.payload);
    free(guest_manifest_offer(source, &bytes, NULL));
    assert_int_equal(device_version(device_first(source->devices), NULL), 2);
    ferry_guest_free(source);
    ferry_guest_free(destination);
}

static void rounds_and_at_once_do_not_go_together(void **state)
{
    struct ferry_guest *source = guest_new(&disk_v1, "4"), *destination = ferry_guest_new("pc", &ops, NULL, NULL);
    struct guest_answer answer;
    struct ferry_error err;

    assert_int_equal(ferry_guest_add_device(destination, &disk_v1, &disk, NULL, 0, NULL), 0);
    assert_int_equal(ferry_guest_add_device(destination, &disk_v1, &disk, "gpu", 0, NULL), 0);
    assert_true(exchange(source, destination, &answer, &err) < 0);
    assert_non_null(strstr(err.text, "device 'gpu' 0: model 'vfio://example.org/gpu' at the source, 'disk' here"));
    free(answer.payload);
    ferry_guest_free(source);
    ferry_guest_free(destination);
}

static void garbage_is_refused_with_a_sentence(void **state)
{
    struct ferry_guest *destination = guest_new(&disk_v1, "4");
    struct ferry_error err = { 0 }, there = { 0 };
    struct guest_answer answer;

    assert_int_equal(guest_manifest_answer(destination, (const uint8_t *)"garbage", 7, 4096, 60000, &answer, &err),
                     -EPROTO);
    assert_int_equal(guest_manifest_refused(answer.payload, answer.bytes, &there), -EINVAL);
    assert_non_null(strstr(there.text, "a malformed manifest"));
    free(answer.payload);
    ferry_guest_free(destination);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_guests_agree),
        cmocka_unit_test(both_ends_get_the_same_reasons),
        cmocka_unit_test(a_choice_is_kept_until_the_next_offer),
        cmocka_unit_test(rounds_and_at_once_do_not_go_together),
        cmocka_unit_test(garbage_is_refused_with_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
