/* SPDX-License-Identifier: BSD-3-Clause */
/* pattern_state.c - the pattern guest's device state: what it is like, its heart, and how often each region was written
 */
#include "pattern_state.h"

#include "regions.h"

#include <errno.h>
#include <ferry/memory.h>
#include <inttypes.h>

/* Asked before the counts are allocated. */
static bool regions_fit(void *opaque, int version)
{
    const struct pattern_state *state = opaque;

    return state->ram_bytes > 0 && state->region_count == regions_count(state->ram_bytes);
}

static const struct ferry_field fields[] = {
    FERRY_U64(spec.size_bytes, struct pattern_state),
    FERRY_U64(spec.untouched_bytes, struct pattern_state),
    FERRY_U64(spec.dirty_bytes_per_sec, struct pattern_state),
    FERRY_U64(spec.seed, struct pattern_state),
    FERRY_U32(spec.hot_percent, struct pattern_state),
    FERRY_U32(spec.zero_percent, struct pattern_state),
    FERRY_U32(spec.threads, struct pattern_state),
    FERRY_U8(spec.pattern, struct pattern_state),
    FERRY_U8(spec.content, struct pattern_state),
    FERRY_BOOL(spec.huge, struct pattern_state),
    FERRY_U64(heart.beats, struct pattern_state),
    FERRY_U64(heart.largest_gap_ns, struct pattern_state),
    FERRY_I64(heart.last_ns, struct pattern_state),
    FERRY_I64(heart.last_wall_ns, struct pattern_state),
    FERRY_U64(heart.boot, struct pattern_state),
    FERRY_U32(region_count, struct pattern_state),
    FERRY_VALIDATE("a region for each megabyte", regions_fit),
    FERRY_ALLOC_VARRAY(writes, struct pattern_state, region_count, REGIONS_MAX, U64),
    FERRY_END,
};

static bool has_vfio(void *opaque)
{
    return ((const struct pattern_state *)opaque)->spec.vfio_bytes > 0;
}

static const struct ferry_field vfio_fields[] = { FERRY_U64(spec.vfio_bytes, struct pattern_state), FERRY_END };

/* A guest without such a device is as it always was. */
static const struct ferry_state_desc vfio_desc = {
    .name = "pattern/vfio",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = vfio_fields,
    .hooks = { .needed = has_vfio },
};

static bool has_share(void *opaque)
{
    return ((const struct pattern_state *)opaque)->spec.hot_share_percent != 100;
}

static const struct ferry_field share_fields[] = { FERRY_U32(spec.hot_share_percent, struct pattern_state), FERRY_END };

static const struct ferry_state_desc share_desc = {
    .name = "pattern/hot-share",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = share_fields,
    .hooks = { .needed = has_share },
};

static bool has_reads(void *opaque)
{
    return ((const struct pattern_state *)opaque)->spec.reads_bytes_per_sec > 0;
}

static const struct ferry_field reads_fields[] = { FERRY_U64(spec.reads_bytes_per_sec, struct pattern_state),
                                                   FERRY_END };

static const struct ferry_state_desc reads_desc = {
    .name = "pattern/reads",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = reads_fields,
    .hooks = { .needed = has_reads },
};

static bool has_bursts(void *opaque)
{
    return ((const struct pattern_state *)opaque)->spec.pattern == SPEC_BURSTS;
}

static const struct ferry_field burst_fields[] = { FERRY_U64(spec.burst_ns, struct pattern_state),
                                                   FERRY_U64(spec.pause_ns, struct pattern_state), FERRY_END };

static const struct ferry_state_desc burst_desc = {
    .name = "pattern/bursts",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = burst_fields,
    .hooks = { .needed = has_bursts },
};

static bool has_trace(void *opaque)
{
    return ((const struct pattern_state *)opaque)->spec.pattern == SPEC_TRACE;
}

/* Asked before the counts are allocated. */
static bool own_fit(void *opaque, int version)
{
    const struct pattern_state *state = opaque;

    return state->spec.pattern == SPEC_TRACE && state->own_count > 0 &&
           state->own_count == state->ram_bytes / FERRY_PAGE_BYTES;
}

static const struct ferry_field trace_fields[] = {
    FERRY_U32(own_count, struct pattern_state),
    FERRY_VALIDATE("a count for each page", own_fit),
    FERRY_ALLOC_VARRAY(own, struct pattern_state, own_count, SPEC_TRACE_SIZE_MAX / FERRY_PAGE_BYTES, U32),
    FERRY_END,
};

static const struct ferry_state_desc trace_desc = {
    .name = "pattern/trace",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = trace_fields,
    .hooks = { .needed = has_trace },
};

static const struct ferry_state_desc *const subsections[] = { &vfio_desc,  &share_desc, &reads_desc,
                                                              &burst_desc, &trace_desc, NULL };

static int state_pre_load(void *copy, struct ferry_error *err)
{
    ((struct pattern_state *)copy)->spec.vfio_bytes = 0;
    ((struct pattern_state *)copy)->spec.hot_share_percent = 100;
    ((struct pattern_state *)copy)->spec.reads_bytes_per_sec = 0;
    return 0;
}

static int state_pre_save(void *opaque, struct ferry_error *err)
{
    struct pattern_state *state = opaque;

    state->ops->saving(state->opaque);
    return 0;
}

static int check_block(const char *name, uint64_t wanted, uint64_t there, struct ferry_error *err)
{
    if (wanted != there)
        return ferry_error_set(err, -EINVAL, "the guest's state is about %" PRIu64 " bytes of %s, but %" PRIu64 " came",
                               wanted, name, there);
    return 0;
}

static int state_check(const void *copy, int version, struct ferry_error *err)
{
    const struct pattern_state *state = copy;
    int ret = spec_check(&state->spec, err);

    if (ret == 0)
        ret = check_block("pattern.ram", state->spec.size_bytes, state->ram_bytes, err);
    if (ret == 0)
        ret = check_block("pattern.untouched", state->spec.untouched_bytes, state->untouched_bytes, err);
    if (ret == 0)
        ret = check_block("a device's memory", state->spec.vfio_bytes, state->ops->device_bytes(state->opaque), err);
    if (ret == 0)
        ret = heart_check(&state->heart, err);
    if (ret == 0 && state->spec.pattern == SPEC_TRACE && state->own_count == 0)
        ret = ferry_error_set(err, -EINVAL, "the guest replays a trace, but its state does not count its pages");
    if (ret == 0 && state->loaded)
        ret = ferry_error_set(err, -EEXIST, "the guest has its state already");
    return ret;
}

static int state_post_load(void *opaque, int version, struct ferry_error *err)
{
    struct pattern_state *state = opaque;

    state->loaded = true;
    return state->ops->loaded(state->opaque, err);
}

const struct ferry_state_desc pattern_state_desc = {
    .name = "pattern",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pattern_state),
    .fields = fields,
    .subsections = subsections,
    .hooks = { .pre_save = state_pre_save,
               .pre_load = state_pre_load,
               .check = state_check,
               .post_load = state_post_load },
};
