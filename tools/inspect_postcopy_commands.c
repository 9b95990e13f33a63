/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_postcopy_commands.c - the commands of postcopy: each legal in some phases, and each checked against the
 * blocks that it speaks of */
#include "inspect_walk.h"

#include "bytes.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IN(phase) (1u << (phase))

static const char *const phase_names[] = {
    [POSTCOPY_NONE] = "has not been advised of postcopy",
    [POSTCOPY_ADVISED] = "is in precopy",
    [POSTCOPY_DISCARDING] = "discards memory",
    [POSTCOPY_LISTENING] = "listens",
    [POSTCOPY_RUNNING] = "has switched to postcopy",
    [POSTCOPY_RECOVERING] = "is being recovered",
    [POSTCOPY_ENDED] = "has ended",
};

static const unsigned legal[] = {
    [COMMAND_POSTCOPY_ADVISE] = IN(POSTCOPY_NONE),
    [COMMAND_POSTCOPY_LISTEN] = IN(POSTCOPY_ADVISED) | IN(POSTCOPY_DISCARDING),
    [COMMAND_POSTCOPY_RUN] = IN(POSTCOPY_LISTENING),
    [COMMAND_POSTCOPY_RAM_DISCARD] = IN(POSTCOPY_ADVISED) | IN(POSTCOPY_DISCARDING),
    [COMMAND_PACKAGED] = IN(POSTCOPY_ADVISED) | IN(POSTCOPY_DISCARDING),
    [COMMAND_POSTCOPY_RESUME] = IN(POSTCOPY_RECOVERING),
    [COMMAND_RECV_BITMAP] = IN(POSTCOPY_RECOVERING),
};

static int in_phase(struct inspect_walk *walk, uint16_t command)
{
    enum postcopy_phase phase = walk->postcopy ? walk->postcopy->phase : POSTCOPY_NONE;

    if (legal[command] & IN(phase))
        return 0;
    return ferry_reader_fail(walk->reader, -EPROTO, "command %s, but the migration %s", section_command_name(command),
                             phase_names[phase]);
}

static struct ram_block *find_block(const struct inspect_walk *walk, const char *name)
{
    const struct ram_loader *loader = &walk->ram->loader;

    for (unsigned i = 0; i < loader->count; i++)
        if (!strcmp(loader->blocks[i]->info.name, name))
            return loader->blocks[i];
    return NULL;
}

static int fail_why(struct inspect_walk *walk, int ret, const struct ferry_error *why)
{
    return ret < 0 ? reader_fail_why(walk->reader, ret, why) : 0;
}

int inspect_advise(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    uint64_t sizes = payload->bytes ? load_be64(payload->data) : 0;
    int ret = in_phase(walk, payload->command);

    if (ret < 0)
        return ret;
    if (payload->bytes != 0 && payload->bytes != 16)
        return ferry_reader_fail(walk->reader, -EPROTO, "command postcopy-advise with %u bytes", payload->bytes);
    if (payload->bytes && load_be64(payload->data + 8) != FERRY_PAGE_BYTES)
        return ferry_reader_fail(walk->reader, -EPROTO,
                                 "command postcopy-advise with target pages of %" PRIu64 " bytes",
                                 load_be64(payload->data + 8));
    walk->postcopy = walk->report->postcopy = postcopy_new(walk->ram, &walk->report->returns);
    if (!walk->postcopy)
        return ferry_reader_fail(walk->reader, -ENOMEM, "no memory for postcopy");
    walk->postcopy->phase = POSTCOPY_ADVISED;
    walk->postcopy->page_sizes = sizes;
    walk->ram->loader.huge_sizes = sizes & ~(uint64_t)FERRY_PAGE_BYTES;
    if (payload->bytes == 0)
        snprintf(words, room, "bitmaps only");
    else
        snprintf(words, room, "page sizes 0x%" PRIx64 ", target pages %d", sizes, FERRY_PAGE_BYTES);
    return 0;
}

/* ---- what is to come again ------------------------------------------------------------------------------------- */

static int discard_range(struct inspect_walk *walk, const struct ram_block *block, const uint8_t *data)
{
    uint64_t start = load_be64(data), length = load_be64(data + 8);
    struct ferry_error why = { 0 };

    if (length == 0 || start % block->info.page_size || length % block->info.page_size || start >= block->info.length ||
        length > block->info.length - start)
        return ferry_reader_fail(walk->reader, -EPROTO,
                                 "command postcopy-ram-discard: %" PRIu64 " bytes at 0x%" PRIx64
                                 " of block '%s': whole pages of %u bytes in its %" PRIu64 " bytes are possible",
                                 length, start, block->info.name, (unsigned)block->info.page_size,
                                 (uint64_t)block->info.length);
    return fail_why(
        walk, postcopy_discard(walk->postcopy, block, start >> FERRY_PAGE_SHIFT, length >> FERRY_PAGE_SHIFT, &why),
        &why);
}

int inspect_discard(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    size_t name_bytes = payload->data[1], at = 3 + name_bytes;
    char raw[256], name[300];
    const struct ram_block *block;
    uint64_t before;
    int ret = in_phase(walk, payload->command);

    if (ret < 0)
        return ret;
    if (payload->data[0] != 0 || name_bytes == 0 || payload->bytes < at + 16 || payload->data[at - 1] != 0 ||
        (payload->bytes - at) % 16 != 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "a malformed command postcopy-ram-discard");
    memcpy(raw, payload->data + 2, name_bytes);
    raw[name_bytes] = '\0';
    inspect_text(name, sizeof(name), raw);
    block = find_block(walk, raw);
    if (!block)
        return ferry_reader_fail(walk->reader, -EPROTO,
                                 "command postcopy-ram-discard: block '%s', which is not in the block list", name);
    walk->postcopy->phase = POSTCOPY_DISCARDING;
    walk->postcopy->commands++;
    before = walk->postcopy->discarded;
    for (; ret == 0 && at < payload->bytes; at += 16)
        ret = discard_range(walk, block, payload->data + at);
    snprintf(words, room, "%zu ranges of '%s', %" PRIu64 " pages", (payload->bytes - 3 - name_bytes) / 16, name,
             walk->postcopy->discarded - before);
    return ret;
}

/* ---- the switch ------------------------------------------------------------------------------------------------ */

int inspect_packaged(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    uint32_t bytes = load_be32(payload->data);
    int ret;

    if (walk->in_package)
        return ferry_reader_fail(walk->reader, -EPROTO, "command packaged inside a package");
    ret = in_phase(walk, payload->command);
    if (ret < 0)
        return ret;
    if (bytes > REPORT_STATE_MAX)
        return reader_fail_code(walk->reader, FERRY_E_MEMORY_LIMIT, NULL, -E2BIG,
                                "command packaged: a package of %" PRIu32 " bytes, at most %" PRIu64 " are taken",
                                bytes, REPORT_STATE_MAX);
    walk->postcopy->package_offset = ferry_reader_offset(walk->live);
    walk->postcopy->package_bytes = bytes;
    walk->package_follows = true;
    snprintf(words, room, "%" PRIu32 " bytes", bytes);
    return 0;
}

static int outside(struct inspect_walk *walk, uint16_t command)
{
    return ferry_reader_fail(walk->reader, -EPROTO, "command %s outside of a package", section_command_name(command));
}

int inspect_listen(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    struct ferry_error why = { 0 };
    int ret = in_phase(walk, payload->command);

    if (ret < 0)
        return ret;
    if (!walk->in_package)
        return outside(walk, payload->command);
    if (walk->ram_section < 0)
        return ferry_reader_fail(walk->reader, -EPROTO, "command postcopy-listen before memory was announced");
    ret = postcopy_listen(walk->postcopy, &why);
    if (ret == 0)
        ret = postcopy_add_wire(walk->postcopy, walk->report->label, WIRE_MAIN, &why);
    if (ret < 0)
        return fail_why(walk, ret, &why);
    walk->records =
        (struct postcopy_records){ .reader = walk->live, .wire = (unsigned)ret, .last = walk->ram->loader.last };
    walk->postcopy->phase = POSTCOPY_LISTENING;
    if (walk->options->channels)
        inspect_channels_follow(walk->options->channels, walk->postcopy);
    return 0;
}

int inspect_run_guest(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    int ret = in_phase(walk, payload->command);

    if (ret < 0)
        return ret;
    if (!walk->in_package)
        return outside(walk, payload->command);
    walk->postcopy->phase = POSTCOPY_RUNNING;
    return 0;
}

/* ---- recovery -------------------------------------------------------------------------------------------------- */

int inspect_recv_bitmap(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    struct inspect_postcopy *postcopy = walk->postcopy;
    const struct return_bitmap *bitmap;
    const struct ram_block *block;
    struct ferry_error why = { 0 };
    char raw[256], name[300];
    uint64_t before;
    int ret = in_phase(walk, payload->command);

    if (ret < 0)
        return ret;
    memcpy(raw, payload->data + 1, payload->bytes - 1);
    raw[payload->bytes - 1] = '\0';
    inspect_text(name, sizeof(name), raw);
    block = payload->data[0] == payload->bytes - 1 ? find_block(walk, raw) : NULL;
    if (!block)
        return ferry_reader_fail(walk->reader, -EPROTO,
                                 "command recv-bitmap: block '%s', which is not in the block list", name);
    bitmap = returns_bitmap(&walk->report->returns, postcopy->breaks, raw);
    if (!bitmap) {
        if (walk->report->returns.count > postcopy->breaks)
            inspect_note(walk->report, "no bitmap of '%s' came back, which was asked for", name);
        snprintf(words, room, "'%s'", name);
        return 0;
    }
    before = postcopy->wire[walk->records.wire].received;
    ret = postcopy_received(postcopy, walk->records.wire, block, bitmap, &why);
    snprintf(words, room, "'%s': %" PRIu64 " of %" PRIu64 " pages were received", name,
             postcopy->wire[walk->records.wire].received - before, block->pages);
    return fail_why(walk, ret, &why);
}

int inspect_resume(struct inspect_walk *walk, const struct inspect_payload *payload, char *words, size_t room)
{
    int ret = in_phase(walk, payload->command);

    if (ret == 0)
        walk->postcopy->phase = POSTCOPY_RUNNING;
    return ret;
}
