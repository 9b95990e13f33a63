/* SPDX-License-Identifier: BSD-3-Clause */
/* list.c - the lists of <sys/queue.h>, whatever their elements are
 *
 *     TAILQ   head { first, &last->next }    link { next, &previous->next }
 *     LIST    head { first }                 link { next, &previous->next }
 *
 * The macros of <sys/queue.h> want the element's type; here only the link's offset is known, and elements are seen as
 * the one pair of pointers that all links are.  Copies by memcpy, as those pointers have other types in truth.
 */
#include <ferry/state.h>
#include <string.h>

struct list_link {
    void *next;
    void *previous_next; /* address of the pointer that points at this element */
};

struct list_tailq_head {
    void *first;
    void *last_next;
};

static struct list_link list_get_link(const struct ferry_list *list, const void *element)
{
    struct list_link link;

    memcpy(&link, (const uint8_t *)element + list->link, sizeof(link));
    return link;
}

static void list_set_link(const struct ferry_list *list, void *element, struct list_link link)
{
    memcpy((uint8_t *)element + list->link, &link, sizeof(link));
}

/* Where an element's next pointer lies: the first member of its link. */
static void *list_next_address(const struct ferry_list *list, void *element)
{
    return (uint8_t *)element + list->link;
}

static void list_set_pointer(void *slot, const void *value)
{
    memcpy(slot, &value, sizeof(value));
}

static void *list_first(const struct ferry_list *list, const void *head)
{
    void *first;

    (void)list;
    memcpy(&first, head, sizeof(first));
    return first;
}

static void *list_next(const struct ferry_list *list, const void *element)
{
    return list_get_link(list, element).next;
}

/* What both kinds do: @after's next pointer, or the head's. */
static void *list_link_in(const struct ferry_list *list, void *head, void *after, void *element)
{
    void *slot = after ? list_next_address(list, after) : head;
    struct list_link link = { .previous_next = slot };

    memcpy(&link.next, slot, sizeof(link.next));
    list_set_link(list, element, link);
    list_set_pointer(slot, element);
    if (link.next) {
        struct list_link next = list_get_link(list, link.next);

        next.previous_next = list_next_address(list, element);
        list_set_link(list, link.next, next);
    }
    return link.next;
}

static struct list_link list_link_out(const struct ferry_list *list, const void *element)
{
    struct list_link link = list_get_link(list, element);

    list_set_pointer(link.previous_next, link.next);
    if (link.next) {
        struct list_link next = list_get_link(list, link.next);

        next.previous_next = link.previous_next;
        list_set_link(list, link.next, next);
    }
    return link;
}

static void list_init(const struct ferry_list *list, void *head)
{
    (void)list;
    list_set_pointer(head, NULL);
}

static void list_insert(const struct ferry_list *list, void *head, void *after, void *element)
{
    list_link_in(list, head, after, element);
}

static void list_remove(const struct ferry_list *list, void *head, void *element)
{
    (void)head;
    list_link_out(list, element);
}

static void list_tailq_set_last(void *head, void *last_next)
{
    list_set_pointer((uint8_t *)head + offsetof(struct list_tailq_head, last_next), last_next);
}

static void list_tailq_init(const struct ferry_list *list, void *head)
{
    list_init(list, head);
    list_tailq_set_last(head, head);
}

static void list_tailq_insert(const struct ferry_list *list, void *head, void *after, void *element)
{
    if (!list_link_in(list, head, after, element))
        list_tailq_set_last(head, list_next_address(list, element));
}

static void list_tailq_remove(const struct ferry_list *list, void *head, void *element)
{
    struct list_link link = list_link_out(list, element);

    if (!link.next)
        list_tailq_set_last(head, link.previous_next);
}

const struct ferry_list_ops ferry_list_ops_tailq = {
    .type = "qtailq",
    .init = list_tailq_init,
    .first = list_first,
    .next = list_next,
    .insert = list_tailq_insert,
    .remove = list_tailq_remove,
};

const struct ferry_list_ops ferry_list_ops_list = {
    .type = "qlist",
    .init = list_init,
    .first = list_first,
    .next = list_next,
    .insert = list_insert,
    .remove = list_remove,
};
