/* SPDX-License-Identifier: BSD-3-Clause */
/* state.c - a described device to the wire and back: one walker, each time with another visitor */
#include "state.h"

#include "digest.h"
#include "json.h"
#include "profile.h"
#include "size.h"
#include "stage.h"
#include "tree.h"
#include "walk.h"
#include "wire.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

struct state_staged {
    struct stage *stage; /* owned */
};

static int state_show(struct ferry_visitor *visitor, const struct ferry_state_desc *desc, void *opaque,
                      const struct ferry_profile *profile, struct ferry_error *err)
{
    struct walk walk = { .visitor = visitor, .profile = profile };

    if (desc->unmigratable)
        return ferry_error_set(err, -ENOTSUP, "%s: cannot be migrated: %s", desc->name, desc->unmigratable);
    return walk_section(&walk, desc, (struct walk_object){ opaque, opaque }, profile_version(profile, desc), err);
}

int state_save(struct ferry_writer *writer, const struct ferry_state_desc *desc, void *opaque,
               const struct ferry_profile *profile, json_t *vmdesc, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct json_visitor json;
    struct wire_save wire;
    int rc;

    wire_save_init(&wire, writer);
    json_visitor_init(&json, &wire.visitor, writer, vmdesc);
    rc = state_show(vmdesc ? &json.visitor : &wire.visitor, desc, opaque, profile, &why);
    if (rc < 0)
        ferry_writer_fail(writer, &why);
    return ferry_writer_status(writer, err);
}

/* On success *staged holds everything @visitor has brought. */
static int state_stage(struct ferry_visitor *visitor, const struct ferry_state_desc *desc, void *opaque, int version,
                       struct state_staged **staged, struct ferry_error *err)
{
    struct walk walk = { .visitor = visitor };
    struct state_staged *new = calloc(1, sizeof(*new));
    void *at, *home;
    int rc = -ENOMEM;

    if (!new || !(new->stage = stage_new())) {
        ferry_error_set(err, rc, "out of memory");
        goto fail;
    }
    walk.stage = new->stage;
    rc = stage_shadow(new->stage, opaque, desc->size, &at, &home, err);
    if (rc == 0)
        rc = walk_section(&walk, desc, (struct walk_object){ at, home }, version, err);
    if (rc == 0)
        rc = stage_step_copy(new->stage, desc, at, home, 1, err);
    if (rc < 0)
        goto fail;
    *staged = new;
    return 0;
fail:
    state_staged_free(new);
    return rc;
}

struct state_staged *state_parse(const struct ferry_state_desc *desc, void *opaque, uint32_t version,
                                 struct ferry_reader *reader, struct ferry_error *err)
{
    struct state_staged *staged = NULL;
    struct ferry_error why = { 0 };
    struct wire_load wire;
    int rc;

    wire_load_init(&wire, reader);
    if (version > INT_MAX)
        rc = ferry_error_set(&why, -EPROTO, "%s: version %" PRIu32, desc->name, version);
    else
        rc = state_stage(&wire.visitor, desc, opaque, (int)version, &staged, &why);
    if (rc == 0)
        return staged;
    /* What the reader itself has refused already says where; the rest learns it now. */
    if (ferry_reader_status(reader, NULL) < 0) {
        if (err)
            *err = why;
    } else {
        ferry_reader_fail(reader, rc, "%s", why.text);
        ferry_reader_status(reader, err);
    }
    return NULL;
}

int state_commit(struct state_staged *staged, struct ferry_error *err)
{
    return stage_commit(staged->stage, err);
}

void state_staged_free(struct state_staged *staged)
{
    if (!staged)
        return;
    stage_free(staged->stage);
    free(staged);
}

int64_t state_size(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                   struct ferry_error *err)
{
    struct size_visitor size;
    int rc;

    size_visitor_init(&size);
    rc = state_show(&size.visitor, desc, opaque, profile, err);
    return rc < 0 ? rc : (int64_t)size.bytes;
}

json_t *state_to_tree(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                      struct ferry_error *err)
{
    struct tree_out out;
    json_t *root = NULL;

    tree_out_init(&out);
    if (state_show(&out.visitor, desc, opaque, profile, err) == 0)
        root = json_incref(out.root);
    tree_out_release(&out);
    return root;
}

struct state_staged *state_from_tree(const struct ferry_state_desc *desc, void *opaque, int version, json_t *tree,
                                     struct ferry_error *err)
{
    struct state_staged *staged = NULL;
    struct tree_in in;

    tree_in_init(&in, tree);
    if (state_stage(&in.visitor, desc, opaque, version, &staged, err) < 0)
        return NULL;
    return staged;
}

int state_digest(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                 uint8_t digest[16], struct ferry_error *err)
{
    struct digest_visitor visitor;
    int rc = digest_visitor_init(&visitor, err);

    if (rc == 0)
        rc = state_show(&visitor.visitor, desc, opaque, profile, err);
    if (rc == 0)
        digest_visitor_result(&visitor, digest);
    digest_visitor_release(&visitor);
    return rc;
}
