/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_qmp.c - any bytes on a QMP connection: each request is answered once, with what it asked for or an error
 *
 * Commands run as they would, but that there is no guest to move: a migration that is asked for stays so.
 */
#include "fuzz.h"

#include "qmp_commands.h"
#include "qmp_text.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT 4096

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int nothing(void *opaque, struct ferry_error *err)
{
    return 0;
}

static void let_fall(void *opaque, json_t *event)
{
    json_decref(event);
}

/* What would open files and start programs, or measure for seconds. */
static bool reaches_out(const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "execute"));

    return name && (!strcmp(name, "migrate-incoming") || !strcmp(name, "calc-dirty-rate"));
}

static void answer(struct qmp_control *control, struct qmp_agreed *client, const json_t *value, const char *why)
{
    json_t *reply = reaches_out(value) ? NULL : qmp_commands_answer(control, client, value, why);
    const json_t *error = json_object_get(reply, "error");

    if (reaches_out(value))
        return;
    must(reply && (json_object_get(reply, "return") != NULL) != (error != NULL));
    must(!error || (json_object_get(error, "class") && json_object_get(error, "desc")));
    json_decref(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct ferry_guest_ops ops = { .stop = nothing, .start = nothing };
    struct ferry_guest *guest = ferry_guest_new("fuzz", &ops, NULL, NULL);
    struct ferry_options *options = ferry_options_new();
    struct qmp_terms terms = {
        .is_source = true, .deferred = true, .guest = guest, .options = options, .post = let_fall
    };
    struct qmp_control *control = qmp_control_new(&terms, NULL);
    struct qmp_text text = { .limit = LIMIT };
    struct qmp_agreed client = { 0 };
    enum qmp_found found = QMP_FOUND_NOTHING;
    char why[QMP_WHY_BYTES];
    size_t used;

    must(control != NULL);
    for (size_t at = 0; at < bytes && found != QMP_FOUND_TOO_LONG; at += used) {
        json_t *value = NULL;

        found = qmp_text_take(&text, (const char *)data + at, bytes - at, &used, &value, why);
        must(used <= bytes - at && text.bytes <= LIMIT);
        if (found == QMP_FOUND_VALUE || found == QMP_FOUND_BROKEN)
            answer(control, &client, value, why);
        json_decref(value);
    }
    qmp_text_clear(&text);
    qmp_control_free(control);
    ferry_options_free(options);
    ferry_guest_free(guest);
    return 0;
}
