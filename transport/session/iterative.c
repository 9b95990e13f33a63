/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative.c - iterative devices at the source: START, turns in rounds, END */
#include "iterative.h"

#include "section.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bounds of what one turn may send: worth a section's header, and soon over even on a slow channel. */
#define TURN_MIN_BYTES (UINT64_C(256) << 10)
#define TURN_MAX_BYTES (UINT64_C(16) << 20)

int iterative_begin(struct iterative *iterative, const struct iterative_list *list, struct ferry_writer *writer,
                    struct ferry_error *err)
{
    memset(iterative, 0, sizeof(*iterative));
    iterative->writer = writer;
    iterative->turns = calloc(list->count ? list->count : 1, sizeof(*iterative->turns));
    if (!iterative->turns)
        return ferry_error_set(err, -ENOMEM, "no memory for the iterative devices");
    for (unsigned i = 0; i < list->count; i++) {
        struct iterative_device *device = list->devices[i];

        if (!iterative_device_needed(device))
            continue;
        if (!device->ops->save.setup)
            return ferry_error_set_code(err, FERRY_E_DEVICE_UNMIGRATABLE, -ENOTSUP,
                                        "device '%s' %" PRIu32 " can be loaded, but not sent", device->idstr,
                                        device->instance_id);
        iterative->turns[iterative->count++].device = device;
    }
    return 0;
}

void iterative_end(struct iterative *iterative)
{
    for (unsigned i = 0; i < iterative->count; i++) {
        const struct iterative_device *device = iterative->turns[i].device;

        if (iterative->turns[i].set_up && device->ops->save.cleanup)
            device->ops->save.cleanup(device->opaque);
    }
    free(iterative->turns);
    memset(iterative, 0, sizeof(*iterative));
}

/* After a device has put its body, which began at @began: name the device in its error, or close the section. */
static int close_section(struct iterative *iterative, const struct iterative_turn *turn, uint64_t began, int ret,
                         struct ferry_error *err)
{
    iterative->bytes += ferry_writer_offset(iterative->writer) - began;
    if (ret < 0) {
        ferry_error_code(err, FERRY_E_DEVICE_NOT_SAVED);
        ferry_error_object(err, "%s", turn->device->idstr);
        ferry_error_prefix(err, "device '%s' %" PRIu32, turn->device->idstr, turn->device->instance_id);
        return ret;
    }
    section_put_footer(iterative->writer, turn->id);
    return ferry_writer_status(iterative->writer, err);
}

int iterative_setup(struct iterative *iterative, uint32_t first_id, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++) {
        struct iterative_turn *turn = &iterative->turns[i];
        const struct iterative_device *device = turn->device;
        uint64_t began;

        turn->id = first_id + i;
        turn->set_up = true;
        section_put_first(iterative->writer, SECTION_START, turn->id, device->idstr, device->instance_id,
                          device->version);
        began = ferry_writer_offset(iterative->writer);
        ret = device->ops->save.setup(device->opaque, iterative->writer, err);
        ret = close_section(iterative, turn, began, ret, err);
    }
    if (ret == 0)
        iterative_pending(iterative);
    iterative->turns_at = ferry_writer_offset(iterative->writer);
    return ret;
}

static uint64_t ask_pending(const struct iterative_device *device, enum ferry_pending_how how)
{
    struct ferry_pending pending = { 0 };

    device->ops->save.pending(device->opaque, how, &pending);
    return pending.precopy_bytes > UINT64_MAX - pending.postcopy_bytes ? UINT64_MAX
                                                                       : pending.precopy_bytes + pending.postcopy_bytes;
}

uint64_t iterative_pending(struct iterative *iterative)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < iterative->count; i++) {
        struct iterative_turn *turn = &iterative->turns[i];

        turn->left_bytes = ask_pending(turn->device, FERRY_PENDING_EXACT);
        all = all > UINT64_MAX - turn->left_bytes ? UINT64_MAX : all + turn->left_bytes;
    }
    return all;
}

/* What memory's turn took since the last ones of the devices, within bounds. */
static uint64_t share(const struct iterative *iterative)
{
    uint64_t bytes = ferry_writer_offset(iterative->writer) - iterative->turns_at;

    if (bytes < TURN_MIN_BYTES)
        return TURN_MIN_BYTES;
    return bytes < TURN_MAX_BYTES ? bytes : TURN_MAX_BYTES;
}

static int take_turn(struct iterative *iterative, struct iterative_turn *turn, uint64_t budget, struct ferry_error *err)
{
    const struct iterative_device *device = turn->device;
    uint64_t began, put;
    bool more;
    int ret;

    section_put_next(iterative->writer, SECTION_PART, turn->id);
    began = ferry_writer_offset(iterative->writer);
    ret = device->ops->save.iterate(device->opaque, iterative->writer, budget, err);
    more = ret > 0;
    ret = close_section(iterative, turn, began, ret < 0 ? ret : 0, err);
    put = ferry_writer_offset(iterative->writer) - began;
    turn->left_bytes = more && put < turn->left_bytes ? turn->left_bytes - put : 0;
    return ret;
}

int iterative_some(struct iterative *iterative, bool *more, struct ferry_error *err)
{
    uint64_t most = share(iterative);
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++) {
        struct iterative_turn *turn = &iterative->turns[i];

        if (turn->left_bytes > 0 && ask_pending(turn->device, FERRY_PENDING_ESTIMATE) == 0)
            turn->left_bytes = 0;
        if (turn->left_bytes > 0)
            ret = take_turn(iterative, turn, most < turn->left_bytes ? most : turn->left_bytes, err);
        if (turn->left_bytes > 0)
            *more = true;
    }
    iterative->turns_at = ferry_writer_offset(iterative->writer);
    return ret;
}

/* A page_parts_source's: one device after the other, each by as many threads as come. */
static ssize_t take_part(void *opaque, struct packet *packet, uint8_t *to, struct ferry_error *err)
{
    struct iterative *iterative = opaque;
    unsigned at = atomic_load(&iterative->part_of);

    while (at < iterative->count) {
        const struct iterative_device *device = iterative->turns[at].device;
        ssize_t bytes = device->ops->save.take_part ? device->ops->save.take_part(device->opaque, to, err) : 0;

        if (bytes < 0) {
            ferry_error_code(err, FERRY_E_DEVICE_NOT_SAVED);
            ferry_error_object(err, "%s", device->idstr);
            ferry_error_prefix(err, "device '%s' %" PRIu32, device->idstr, device->instance_id);
        }
        if (bytes != 0) {
            strcpy(packet->device, device->idstr);
            packet->instance = device->instance_id;
            atomic_fetch_add(&iterative->parts_bytes, bytes > 0 ? (uint64_t)bytes : 0);
            return bytes;
        }
        if (atomic_compare_exchange_strong(&iterative->part_of, &at, at + 1))
            at++;
    }
    return 0;
}

const struct page_parts_source *iterative_parts(struct iterative *iterative)
{
    bool any = false;

    for (unsigned i = 0; i < iterative->count; i++)
        any |= iterative->turns[i].device->ops->save.take_part != NULL;
    iterative->parts = (struct page_parts_source){ take_part, iterative };
    return any ? &iterative->parts : NULL;
}

static bool can_go_on(const struct iterative_device *device)
{
    return device->ops->save.has_postcopy && device->ops->save.has_postcopy(device->opaque);
}

/* END of one device, by the one or the other of its functions. */
static int complete_one(struct iterative *iterative, struct iterative_turn *turn,
                        int (*put)(void *opaque, struct ferry_writer *writer, struct ferry_error *err),
                        struct ferry_error *err)
{
    uint64_t began;
    int ret;

    section_put_next(iterative->writer, SECTION_END, turn->id);
    began = ferry_writer_offset(iterative->writer);
    turn->ended = true;
    ret = put(turn->device->opaque, iterative->writer, err);
    return close_section(iterative, turn, began, ret, err);
}

int iterative_complete(struct iterative *iterative, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++)
        ret =
            complete_one(iterative, &iterative->turns[i], iterative->turns[i].device->ops->save.complete_precopy, err);
    return ret;
}

int iterative_complete_before(struct iterative *iterative, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++)
        if (!can_go_on(iterative->turns[i].device))
            ret = complete_one(iterative, &iterative->turns[i], iterative->turns[i].device->ops->save.complete_precopy,
                               err);
    return ret;
}

int iterative_complete_postcopy(struct iterative *iterative, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++)
        if (!iterative->turns[i].ended)
            ret = complete_one(iterative, &iterative->turns[i], iterative->turns[i].device->ops->save.complete_postcopy,
                               err);
    return ret;
}

int iterative_resume(struct iterative *iterative, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < iterative->count; i++) {
        const struct iterative_device *device = iterative->turns[i].device;

        if (!device->ops->save.resume || iterative->turns[i].ended)
            continue;
        ret = device->ops->save.resume(device->opaque, err);
        if (ret < 0)
            ferry_error_prefix(err, "device '%s' %" PRIu32, device->idstr, device->instance_id);
    }
    return ret;
}
