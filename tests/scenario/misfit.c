/* SPDX-License-Identifier: BSD-3-Clause */
/* misfit.c - `ferry recv` with a machine that a pattern guest cannot move into, or whose device refuses what it gets
 *
 *      misfit URI --guest shape   differs in all that a destination can differ in, for pattern:...,untouched=..,vfio=..
 *      misfit URI --guest load    fits, but the device "pattern" refuses its state, when all memory has come
 *
 *                    the source's            in the machine "shape"
 *      pattern.ram         pages of 4 KiB          backed with pages of 2 MiB
 *      pattern.untouched                           missing
 *      vfio.dma            1 MiB                   shorter
 *      pattern             version 1               version 0
 *      vfio-sim/pci                                unknown
 *      vfio-sim                                    set up with another number of queues
 *
 * Its events and its report are those of `ferry recv`.
 */
#include "mapping.h"
#include "pattern_state.h"
#include "side.h"
#include "vfio_sim.h"

#include <errno.h>
#include <ferry/iterative.h>
#include <string.h>

#define RAM_BYTES (UINT64_C(64) << 20)
#define HUGE_PAGE (2u << 20)

static const struct args_row rows[] = {
    { "guest", "KIND", "shape or load (needed)" },
    { NULL },
};

static const struct args_command command = {
    .name = "misfit",
    .positional = "URI",
    .summary = "a destination that takes no guest",
    .rows = rows,
    .common = side_rows,
    .session = true,
};

struct misfit {
    struct ferry_guest *guest;
    struct pattern_state state;
    struct ferry_state_desc desc; /* the pattern guest's, changed */
    struct mapping ram, dma;
};

static int never_runs(void *opaque, struct ferry_error *err)
{
    return ferry_error_set(err, -EPERM, "this machine never runs");
}

static int refuse_state(const void *copy, int version, struct ferry_error *err)
{
    return ferry_error_set(err, -EINVAL, "the device is in no mood for it");
}

static int refuse_rounds(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    return ferry_error_set(err, -EPERM, "this device takes nothing");
}

/* A pattern guest without anything else announces this block alone. */
static int provide_ram(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                       struct ferry_error *err)
{
    struct misfit *misfit = opaque;

    if (misfit->ram.host || length > RAM_BYTES)
        return ferry_error_set(err, -EINVAL, "block '%s' is not for this machine", name);
    if (mapping_map(&misfit->ram, length, 0, err) < 0)
        return err->errnum;
    misfit->state.ram_bytes = length;
    block->host = misfit->ram.host;
    block->length = length;
    block->page_size = FERRY_PAGE_BYTES;
    block->flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH;
    return 0;
}

static const struct ferry_guest_ops fixed_ops = { .stop = never_runs, .start = never_runs };
static const struct ferry_guest_ops open_ops = {
    .stop = never_runs,
    .start = never_runs,
    .provide_block = provide_ram,
};
static const struct ferry_iterative_ops rounds = { .load = { .state = refuse_rounds } };
static const struct ferry_setting settings[] = { { "queues", "3" }, { NULL, NULL } };
static const struct ferry_model model = { VFIO_NAME, settings };

static int add_block(struct misfit *misfit, struct mapping *mapping, const char *name, uint64_t bytes,
                     uint32_t page_bytes, struct ferry_error *err)
{
    struct ferry_block block = { .name = name, .length = bytes, .page_size = page_bytes };
    int ret = mapping_map(mapping, bytes, 0, err);

    block.host = mapping->host;
    return ret == 0 ? ferry_guest_add_block(misfit->guest, &block, err) : ret;
}

static int make_shape(struct misfit *misfit, struct ferry_error *err)
{
    int ret;

    misfit->desc.version_id = 0;
    misfit->desc.minimum_version_id = 0;
    ret = ferry_guest_add_device(misfit->guest, &misfit->desc, &misfit->state, NULL, 0, err);
    if (ret == 0)
        ret = add_block(misfit, &misfit->ram, "pattern.ram", RAM_BYTES, HUGE_PAGE, err);
    if (ret == 0)
        ret = add_block(misfit, &misfit->dma, VFIO_DMA_NAME, VFIO_DMA_BYTES / 2, FERRY_PAGE_BYTES, err);
    if (ret == 0)
        ret = ferry_guest_add_iterative(misfit->guest, VFIO_NAME, 0, 1, &rounds, NULL, err);
    if (ret == 0)
        ret = ferry_guest_set_model(misfit->guest, VFIO_NAME, 0, &model, err);
    return ret;
}

static int make_load(struct misfit *misfit, struct ferry_error *err)
{
    misfit->desc.hooks.check = refuse_state;
    return ferry_guest_add_device(misfit->guest, &misfit->desc, &misfit->state, NULL, 0, err);
}

static int make(struct misfit *misfit, const char *kind, struct ferry_error *err)
{
    bool shape = kind && !strcmp(kind, "shape");

    if (!kind || (!shape && strcmp(kind, "load") != 0))
        return ferry_error_set(err, -EINVAL, "--guest: shape or load");
    misfit->desc = pattern_state_desc;
    misfit->guest = ferry_guest_new("ferry-pattern", shape ? &fixed_ops : &open_ops, misfit, err);
    if (!misfit->guest)
        return err->errnum;
    return shape ? make_shape(misfit, err) : make_load(misfit, err);
}

static enum exit_status receive(struct side *side, struct misfit *misfit)
{
    struct ferry_error err = { 0 };

    side->listener = ferry_listener_open(args_positional(side->args), &err);
    if (!side->listener)
        return side_failed(side, "listen", &err);
    side_tell(side, "listening", json_pack("{s:s}", "address", ferry_listener_address(side->listener)));
    side->session =
        ferry_destination_listen(misfit->guest, side->listener, FERRY_NO_DEADLINE, args_options(side->args), &err);
    if (!side->session)
        return side_failed(side, "setup", &err);
    side->listener = NULL; /* the session's now */
    return side_migrate(side, &err) < 0 ? side_failed(side, NULL, &err) : EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct misfit misfit = { 0 };
    struct ferry_error err = { 0 };
    enum exit_status status;
    struct side *side = side_new(&command, "destination", argc, argv, &status);

    if (!side)
        return status;
    if (make(&misfit, args_value(side->args, "guest"), &err) < 0)
        status = side_usage(side, &err);
    else
        status = side_end(side, receive(side, &misfit), NULL);
    ferry_guest_free(misfit.guest);
    mapping_unmap(&misfit.ram);
    mapping_unmap(&misfit.dma);
    return status;
}
