/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_command.c - commands of the stream: checked, said in words, answered */
#include "inspect_walk.h"

#include "bytes.h"
#include "return_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_open(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    struct ferry_error err;

    walk->opened = true;
    if (!walk->options->answer || walk->back)
        return 0;
    walk->back = return_path_open(walk->live, &err);
    if (!walk->back && err.errnum != -ENOTSUP)
        return ferry_reader_fail(walk->reader, err.errnum, "%s", ferry_error_text(&err));
    return 0;
}

/* A source that no longer listens has its reasons; the stream is no worse for it. */
static void answered(struct inspect_walk *walk, int ret, const struct ferry_error *err)
{
    char text[FERRY_ERROR_TEXT_BYTES];

    if (ret == 0)
        return;
    inspect_note(walk->report, "the source could not be answered: %s",
                 inspect_text(text, sizeof(text), ferry_error_text(err)));
    return_path_free(walk->back);
    walk->back = NULL;
}

static int read_ping(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    uint32_t cookie = load_be32(payload->data);
    struct ferry_error err;

    snprintf(words, room, "%" PRIu32, cookie);
    if (!walk->opened)
        return ferry_reader_fail(walk->reader, -EPROTO, "a ping, but no return path was opened to answer it");
    if (walk->back)
        answered(walk, return_path_pong(walk->back, cookie, &err), &err);
    return 0;
}

static int read_nothing(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    return 0;
}

static const struct {
    uint16_t min, max; /* bytes of payload */
    inspect_command_read *read;
} commands[] = {
    [COMMAND_OPEN_RETURN_PATH] = { 0, 0, read_open },
    [COMMAND_PING] = { 4, 4, read_ping },
    [COMMAND_POSTCOPY_ADVISE] = { 0, 16, inspect_advise },
    [COMMAND_POSTCOPY_LISTEN] = { 0, 0, inspect_listen },
    [COMMAND_POSTCOPY_RUN] = { 0, 0, inspect_run_guest },
    [COMMAND_POSTCOPY_RAM_DISCARD] = { 20, UINT16_MAX, inspect_discard },
    [COMMAND_PACKAGED] = { 4, 4, inspect_packaged },
    [COMMAND_ENABLE_COLO] = { 0, 0, read_nothing },
    [COMMAND_POSTCOPY_RESUME] = { 0, 0, inspect_resume },
    [COMMAND_RECV_BITMAP] = { 2, 256, inspect_recv_bitmap },
    [COMMAND_SWITCHOVER_START] = { 0, 0, read_nothing },
};

static int read_command(struct inspect_walk *walk, struct report_item *item, struct inspect_payload *payload)
{
    char words[400] = "";
    int ret;

    if (payload->command >= sizeof(commands) / sizeof(commands[0]) || !commands[payload->command].read)
        return ferry_reader_fail(walk->reader, -EPROTO, "unknown command %u", payload->command);
    if (payload->bytes < commands[payload->command].min || payload->bytes > commands[payload->command].max)
        return ferry_reader_fail(walk->reader, -EPROTO, "command %s with %u bytes",
                                 section_command_name(payload->command), payload->bytes);
    ret = ferry_get_bytes(walk->reader, payload->data, payload->bytes);
    if (ret == 0)
        ret = commands[payload->command].read(walk, payload, words, sizeof(words));
    if (words[0])
        item->words = strdup(words); /* without memory there are no words */
    return ret;
}

int inspect_command(struct inspect_walk *walk, const struct section_item *head)
{
    struct report_item *item = inspect_add_item(walk->report, SECTION_COMMAND, head->offset);
    struct inspect_payload *payload = malloc(sizeof(*payload));
    int ret;

    if (item && payload) {
        item->command = payload->command = head->command;
        payload->bytes = head->bytes;
        ret = read_command(walk, item, payload);
        item->bytes = ferry_reader_offset(walk->reader) - head->offset;
    } else {
        ret = ferry_reader_fail(walk->reader, -ENOMEM, "no memory for another item");
    }
    free(payload);
    return ret;
}

void inspect_shut(struct inspect_walk *walk)
{
    struct ferry_error err;

    if (walk->back)
        answered(walk, return_path_shut(walk->back, walk->report->error.errnum ? 1 : 0, &err), &err);
}
