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

struct payload {
    uint16_t command;
    uint16_t bytes;
    uint8_t data[UINT16_MAX];
};

/* Words for one command; -EPROTO and such through the reader. */
typedef int command_read(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room);

static int read_open(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
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

static int read_ping(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
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

static int read_advise(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
{
    uint64_t sizes = payload->bytes ? load_be64(payload->data) : 0;

    if (payload->bytes == 0) {
        snprintf(words, room, "bitmaps only");
        return 0;
    }
    if (payload->bytes != 16)
        return ferry_reader_fail(walk->reader, -EPROTO, "command postcopy-advise with %u bytes", payload->bytes);
    snprintf(words, room, "page sizes 0x%" PRIx64 ", target pages %" PRIu64, sizes, load_be64(payload->data + 8));
    if (sizes & ~(uint64_t)FERRY_PAGE_BYTES)
        inspect_note(walk->report, "some memory is backed with huge pages: after postcopy-advise its blocks carry a "
                                   "page size, which nothing in the stream announces and which is not understood");
    return 0;
}

static int read_discard(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
{
    size_t name_bytes = payload->data[1];
    char raw[256], name[300];

    if (payload->data[0] != 0 || name_bytes == 0 || payload->bytes < 3 + name_bytes + 16 ||
        payload->data[2 + name_bytes] != 0 || (payload->bytes - 3 - name_bytes) % 16 != 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "a malformed command postcopy-ram-discard");
    memcpy(raw, payload->data + 2, name_bytes);
    raw[name_bytes] = '\0';
    snprintf(words, room, "%zu ranges of '%s'", (payload->bytes - 3 - name_bytes) / 16,
             inspect_text(name, sizeof(name), raw));
    return 0;
}

static int read_bitmap(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
{
    return ferry_reader_fail(walk->reader, -ENOTSUP,
                             "command recv-bitmap: an interrupted postcopy goes on here, which is not understood");
}

static int read_postcopy(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
{
    return ferry_reader_fail(walk->reader, -ENOTSUP,
                             "command %s: the migration switches to postcopy here, and what follows is not understood",
                             section_command_name(payload->command));
}

static int read_nothing(struct inspect_walk *walk, const struct payload *payload, char *words, size_t room)
{
    return 0;
}

static const struct {
    uint16_t min, max; /* bytes of payload */
    command_read *read;
} commands[] = {
    [COMMAND_OPEN_RETURN_PATH] = { 0, 0, read_open },
    [COMMAND_PING] = { 4, 4, read_ping },
    [COMMAND_POSTCOPY_ADVISE] = { 0, 16, read_advise },
    [COMMAND_POSTCOPY_LISTEN] = { 0, 0, read_postcopy },
    [COMMAND_POSTCOPY_RUN] = { 0, 0, read_postcopy },
    [COMMAND_POSTCOPY_RAM_DISCARD] = { 20, UINT16_MAX, read_discard },
    [COMMAND_PACKAGED] = { 4, 4, read_postcopy },
    [COMMAND_ENABLE_COLO] = { 0, 0, read_nothing },
    [COMMAND_POSTCOPY_RESUME] = { 0, 0, read_bitmap },
    [COMMAND_RECV_BITMAP] = { 2, 256, read_bitmap },
    [COMMAND_SWITCHOVER_START] = { 0, 0, read_nothing },
};

static int read_command(struct inspect_walk *walk, struct report_item *item, struct payload *payload)
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
    struct payload *payload = malloc(sizeof(*payload));
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
