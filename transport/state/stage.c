/* SPDX-License-Identifier: BSD-3-Clause */
/* stage.c - what a load has parsed and not yet applied
 *
 * All memory is in one flat table, so that a failed load frees it without knowing what points where.
 */
#include "stage.h"

#include "fields.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stage_memory {
    void *at;
    bool gift;
};

struct stage_shadow {
    void *at;
    void *home;
    size_t bytes;
};

enum stage_step_kind {
    STAGE_STRUCTS,
    STAGE_BYTES,
    STAGE_POINTER,
    STAGE_LIST,
    STAGE_TREE,
    STAGE_PARENT,
};

struct stage_step {
    enum stage_step_kind kind;
    void *at;
    void *home;
    size_t count; /* STRUCTS: of them; BYTES: of them */
    union {
        const struct ferry_state_desc *desc;
        const struct ferry_list *list;
        const struct ferry_tree *tree;
    } of;
};

struct stage_post_load {
    const struct ferry_state_desc *desc;
    void *home;
    int version;
};

/* A growing array; owned by the stage. */
struct stage_table {
    void *rows;
    size_t used;
    size_t room;
};

struct stage {
    struct stage_table memory;  /* of struct stage_memory: all of it */
    struct stage_table shadows; /* of struct stage_shadow */
    struct stage_table steps;   /* of struct stage_step */
    struct stage_table hooks;   /* of struct stage_post_load */
    size_t bytes;               /* allocated so far, tables included */
    bool committed;
};

struct stage *stage_new(void)
{
    return calloc(1, sizeof(struct stage));
}

void stage_free(struct stage *stage)
{
    struct stage_memory *memory;

    if (!stage)
        return;
    memory = stage->memory.rows;
    for (size_t i = 0; i < stage->memory.used; i++)
        if (!memory[i].gift || !stage->committed)
            free(memory[i].at);
    free(stage->memory.rows);
    free(stage->shadows.rows);
    free(stage->steps.rows);
    free(stage->hooks.rows);
    free(stage);
}

static int stage_charge(struct stage *stage, size_t bytes, struct ferry_error *err)
{
    if (bytes > STAGE_LIMIT_BYTES - stage->bytes)
        return ferry_error_set(err, -ENOMEM, "loading this needs more than %zu MiB of memory", STAGE_LIMIT_BYTES >> 20);
    stage->bytes += bytes;
    return 0;
}

static void *stage_row(struct stage *stage, struct stage_table *table, size_t row_bytes, struct ferry_error *err)
{
    if (table->used == table->room) {
        size_t room = table->room ? table->room * 2 : 16;
        void *rows;

        if (stage_charge(stage, (room - table->room) * row_bytes, err) < 0)
            return NULL;
        rows = realloc(table->rows, room * row_bytes);
        if (!rows) {
            ferry_error_set(err, -ENOMEM, "out of memory");
            return NULL;
        }
        table->rows = rows;
        table->room = room;
    }
    return (uint8_t *)table->rows + table->used * row_bytes;
}

static void *stage_allocate(struct stage *stage, size_t count, size_t size, bool gift, struct ferry_error *err)
{
    struct stage_memory *memory = stage_row(stage, &stage->memory, sizeof(*memory), err);

    if (!memory)
        return NULL;
    if (size && count > STAGE_LIMIT_BYTES / size) {
        ferry_error_set(err, -ENOMEM, "%zu elements of %zu bytes need more than %zu MiB of memory", count, size,
                        STAGE_LIMIT_BYTES >> 20);
        return NULL;
    }
    if (stage_charge(stage, count * size, err) < 0)
        return NULL;
    memory->gift = gift;
    memory->at = calloc(count ? count : 1, size ? size : 1);
    if (!memory->at) {
        ferry_error_set(err, -ENOMEM, "out of memory for %zu bytes", count * size);
        return NULL;
    }
    stage->memory.used++;
    return memory->at;
}

int stage_shadow(struct stage *stage, void *from, size_t bytes, void **at, void **home, struct ferry_error *err)
{
    struct stage_shadow *shadow = stage->shadows.rows;

    for (size_t i = 0; i < stage->shadows.used; i++) {
        if (shadow[i].at != from && shadow[i].home != from)
            continue;
        if (shadow[i].bytes < bytes)
            return ferry_error_set(err, -EINVAL, "the same memory is described twice, with %zu and %zu bytes",
                                   shadow[i].bytes, bytes);
        *at = shadow[i].at;
        *home = shadow[i].home;
        return 0;
    }
    shadow = stage_row(stage, &stage->shadows, sizeof(*shadow), err);
    if (!shadow)
        return -ENOMEM;
    shadow->at = stage_allocate(stage, bytes, 1, false, err);
    if (!shadow->at)
        return -ENOMEM;
    shadow->home = from;
    shadow->bytes = bytes;
    stage->shadows.used++;
    memcpy(shadow->at, from, bytes);
    *at = shadow->at;
    *home = from;
    return 0;
}

void *stage_scratch(struct stage *stage, size_t bytes, struct ferry_error *err)
{
    return stage_allocate(stage, bytes, 1, false, err);
}

void *stage_gift(struct stage *stage, size_t count, size_t size, struct ferry_error *err)
{
    return stage_allocate(stage, count, size, true, err);
}

static int stage_step(struct stage *stage, const struct stage_step *step, struct ferry_error *err)
{
    struct stage_step *row = stage_row(stage, &stage->steps, sizeof(*row), err);

    if (!row)
        return -ENOMEM;
    *row = *step;
    stage->steps.used++;
    return 0;
}

int stage_step_copy(struct stage *stage, const struct ferry_state_desc *desc, void *at, void *home, size_t count,
                    struct ferry_error *err)
{
    struct stage_step step = {
        .kind = desc ? STAGE_STRUCTS : STAGE_BYTES, .at = at, .home = home, .count = count, .of.desc = desc
    };

    return stage_step(stage, &step, err);
}

int stage_step_pointer(struct stage *stage, void *gift, void *home, struct ferry_error *err)
{
    struct stage_step step = { .kind = STAGE_POINTER, .at = gift, .home = home };

    return stage_step(stage, &step, err);
}

int stage_step_list(struct stage *stage, const struct ferry_list *list, void *at, void *home, struct ferry_error *err)
{
    struct stage_step step = { .kind = STAGE_LIST, .at = at, .home = home, .of.list = list };

    return stage_step(stage, &step, err);
}

int stage_step_tree(struct stage *stage, const struct ferry_tree *tree, void *at, void *home, struct ferry_error *err)
{
    struct stage_step step = { .kind = STAGE_TREE, .at = at, .home = home, .of.tree = tree };

    return stage_step(stage, &step, err);
}

int stage_step_parent(struct stage *stage, void *at, void *home, struct ferry_error *err)
{
    struct stage_step step = { .kind = STAGE_PARENT, .at = at, .home = home };

    return stage_step(stage, &step, err);
}

int stage_hook(struct stage *stage, const struct ferry_state_desc *desc, void *home, int version,
               struct ferry_error *err)
{
    struct stage_post_load *row;

    if (!desc->hooks.post_load)
        return 0;
    row = stage_row(stage, &stage->hooks, sizeof(*row), err);
    if (!row)
        return -ENOMEM;
    *row = (struct stage_post_load){ .desc = desc, .home = home, .version = version };
    stage->hooks.used++;
    return 0;
}

/* Every described member, whether it came or not: what did not come holds what pre_load set, or what was there. */
static void stage_copy_struct(const struct ferry_state_desc *desc, const uint8_t *at, uint8_t *home)
{
    for (const struct ferry_field *f = desc->fields; f->name; f++) {
        if (!field_is_flat(f))
            continue;
        if (f->kind != FERRY_KIND_STRUCT && f->kind != FERRY_KIND_VSTRUCT) {
            memcpy(home + f->offset, at + f->offset, f->size * f->count.most);
            continue;
        }
        for (size_t i = 0; i < f->count.most; i++)
            stage_copy_struct(f->of.desc, at + f->offset + i * f->size, home + f->offset + i * f->size);
    }
    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++)
        stage_copy_struct(*sub, at, home);
}

void stage_empty_list(const struct ferry_list *list, void *head)
{
    void *element;

    while ((element = list->ops->first(list, head)) != NULL) {
        list->ops->remove(list, head, element);
        if (list->free_element)
            list->free_element(element);
        else
            free(element);
    }
}

static void stage_move_list(const struct ferry_list *list, void *at, void *home)
{
    void *element, *last = NULL;

    stage_empty_list(list, home);
    while ((element = list->ops->first(list, at)) != NULL) {
        list->ops->remove(list, at, element);
        list->ops->insert(list, home, last, element);
        last = element;
    }
}

static void stage_apply(const struct stage_step *step)
{
    void *old;

    switch (step->kind) {
    case STAGE_STRUCTS:
        for (size_t i = 0; i < step->count; i++)
            stage_copy_struct(step->of.desc, (uint8_t *)step->at + i * step->of.desc->size,
                              (uint8_t *)step->home + i * step->of.desc->size);
        break;
    case STAGE_BYTES:
        memcpy(step->home, step->at, step->count);
        break;
    case STAGE_POINTER:
        memcpy(&old, step->home, sizeof(old));
        free(old);
        memcpy(step->home, &step->at, sizeof(step->at));
        break;
    case STAGE_LIST:
        stage_move_list(step->of.list, step->at, step->home);
        break;
    case STAGE_TREE:
        step->of.tree->ops->move(step->home, step->at);
        break;
    case STAGE_PARENT:
        memcpy(step->at, &step->home, sizeof(step->home));
        break;
    }
}

int stage_commit(struct stage *stage, struct ferry_error *err)
{
    const struct stage_step *step = stage->steps.rows;
    const struct stage_post_load *hook = stage->hooks.rows;

    if (stage->committed)
        return ferry_error_set(err, -EALREADY, "this state was already applied");
    stage->committed = true; /* from here on the gifts are the device's, whatever post_load says */
    for (size_t i = 0; i < stage->steps.used; i++)
        stage_apply(&step[i]);
    for (size_t i = 0; i < stage->hooks.used; i++) {
        int rc = hook[i].desc->hooks.post_load(hook[i].home, hook[i].version, err);

        if (rc < 0) {
            ferry_error_prefix(err, "%s: post_load", hook[i].desc->name);
            return rc;
        }
    }
    return 0;
}
