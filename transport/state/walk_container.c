/* SPDX-License-Identifier: BSD-3-Clause */
/* walk_container.c - lists, trees and temporaries
 *
 * A load builds a new list in the copy's head; the commit moves its elements to the device's.  Elements are made for
 * good: where they are parsed is where they will live.
 */
#include "walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int walk_more(struct walk *walk, bool *more, struct ferry_error *err)
{
    return walk->visitor->ops->more(walk->visitor, more, err);
}

static int walk_save_list(struct walk *walk, const struct ferry_list *list, void *head, struct ferry_error *err)
{
    bool more = true;

    for (void *element = list->ops->first(list, head); element; element = list->ops->next(list, element)) {
        int rc = walk_more(walk, &more, err);

        if (rc == 0)
            rc = walk_body(walk, NULL, list->desc, (struct walk_object){ element, element },
                           walk_version(walk, list->desc), err);
        if (rc < 0)
            return rc;
    }
    more = false;
    return walk_more(walk, &more, err);
}

static int walk_load_list(struct walk *walk, const struct ferry_list *list, struct walk_object head,
                          struct ferry_error *err)
{
    void *last = NULL;

    list->ops->init(list, head.at);
    for (size_t elements = 0;; elements++) {
        void *element;
        bool more;
        int rc = walk_more(walk, &more, err);

        if (rc < 0)
            return rc;
        if (!more)
            break;
        if (elements == list->most)
            return ferry_error_set(err, -EPROTO, "more than the %zu elements that are allowed", list->most);
        element = stage_gift(walk->stage, 1, list->desc->size, err);
        if (!element)
            return -ENOMEM;
        rc = walk_body(walk, NULL, list->desc, (struct walk_object){ element, element }, walk_version(walk, list->desc),
                       err);
        if (rc < 0)
            return rc;
        list->ops->insert(list, head.at, last, element);
        last = element;
    }
    return head.at == head.home ? 0 : stage_step_list(walk->stage, list, head.at, head.home, err);
}

int walk_list(struct walk *walk, const struct ferry_list *list, struct walk_object head, struct ferry_error *err)
{
    return walk->visitor->ops->loading ? walk_load_list(walk, list, head, err)
                                       : walk_save_list(walk, list, head.at, err);
}

/* Key and value, which both directions visit alike. */
static int walk_node(struct walk *walk, const struct ferry_tree *tree, void *node, struct ferry_error *err)
{
    struct walk_object object = { node, node };
    int rc = visitor_begin_struct(walk->visitor, NULL, NULL, 0, err);

    if (rc == 0 && tree->key)
        rc = walk_body(walk, "key", tree->key, object, walk_version(walk, tree->key), err);
    else if (rc == 0)
        rc = walk->visitor->ops->scalar(walk->visitor, "key", FERRY_KIND_U64, object.at + tree->key_offset, err);
    if (rc == 0)
        rc = walk_body(walk, "value", tree->value, object, walk_version(walk, tree->value), err);
    return rc < 0 ? rc : visitor_end_struct(walk->visitor, err);
}

static int walk_save_tree(struct walk *walk, const struct ferry_tree *tree, const void *root, struct ferry_error *err)
{
    uint32_t count = 0;
    bool more = true;
    int rc;

    for (void *node = tree->ops->first(root); node; node = tree->ops->next(root, node))
        count++;
    rc = walk->visitor->ops->count(walk->visitor, &count, err);
    for (void *node = tree->ops->first(root); rc == 0 && node; node = tree->ops->next(root, node)) {
        rc = walk_more(walk, &more, err);
        if (rc == 0)
            rc = walk_node(walk, tree, node, err);
    }
    more = false;
    return rc < 0 ? rc : walk_more(walk, &more, err);
}

static int walk_load_node(struct walk *walk, const struct ferry_tree *tree, void *root, struct ferry_error *err)
{
    void *node = stage_gift(walk->stage, 1, tree->node_size, err);
    int rc = node ? walk_node(walk, tree, node, err) : -ENOMEM;

    if (rc < 0)
        return rc;
    rc = tree->ops->insert(root, node);
    return rc < 0 ? ferry_error_set(err, rc, "a key comes twice") : 0;
}

static int walk_load_tree(struct walk *walk, const struct ferry_tree *tree, struct walk_object root,
                          struct ferry_error *err)
{
    uint32_t count, nodes = 0;
    bool more;
    int rc = walk->visitor->ops->count(walk->visitor, &count, err);

    if (rc < 0)
        return rc;
    if (count > tree->most)
        return ferry_error_set(err, -EPROTO, "%" PRIu32 " nodes, where at most %zu are allowed", count, tree->most);
    tree->ops->init(root.at);
    while ((rc = walk_more(walk, &more, err)) == 0 && more) {
        if (nodes++ == count)
            return ferry_error_set(err, -EPROTO, "more than the %" PRIu32 " nodes that were announced", count);
        rc = walk_load_node(walk, tree, root.at, err);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    if (nodes != count)
        return ferry_error_set(err, -EPROTO, "%" PRIu32 " nodes, where %" PRIu32 " were announced", nodes, count);
    return root.at == root.home ? 0 : stage_step_tree(walk->stage, tree, root.at, root.home, err);
}

int walk_tree(struct walk *walk, const struct ferry_tree *tree, struct walk_object root, struct ferry_error *err)
{
    return walk->visitor->ops->loading ? walk_load_tree(walk, tree, root, err)
                                       : walk_save_tree(walk, tree, root.at, err);
}

/* Its first member is the parent: the copy while parsing, the device itself once the commit has told it so. */
int walk_tmp(struct walk *walk, const struct ferry_field *field, const char *name, struct walk_object parent,
             struct ferry_error *err)
{
    bool loading = walk->visitor->ops->loading;
    const struct ferry_state_desc *desc = field->of.desc;
    uint8_t *tmp = loading ? stage_scratch(walk->stage, field->size, err) : calloc(1, field->size);
    int rc;

    if (!tmp)
        return loading ? -ENOMEM : ferry_error_set(err, -ENOMEM, "out of memory");
    memcpy(tmp, &parent.at, sizeof(parent.at));
    rc = loading ? stage_step_parent(walk->stage, tmp, parent.home, err) : 0;
    if (rc == 0)
        rc = walk_body(walk, name, desc, (struct walk_object){ tmp, tmp }, walk_version(walk, desc), err);
    if (!loading)
        free(tmp);
    return rc;
}
