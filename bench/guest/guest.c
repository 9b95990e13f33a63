/* SPDX-License-Identifier: BSD-3-Clause */
/* guest.c - finds the kind of synthetic guest, and passes calls on to it */
#include "guest_ops.h"

#include <errno.h>
#include <string.h>

static const struct bench_guest_ops *const kinds[] = {
    &pattern_guest_ops,
#ifdef __x86_64__
    &kvm_guest_ops,
#endif
};

/* @bytes of @name. */
static const struct bench_guest_ops *find_kind(const char *name, size_t bytes, struct ferry_error *err)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strlen(kinds[i]->kind) == bytes && !memcmp(kinds[i]->kind, name, bytes))
            return kinds[i];
    ferry_error_set(err, -EINVAL, "there is no guest of the kind '%.*s'", (int)bytes, name);
    ferry_error_hint(err, "write for example %s:size=1GiB,dirty=100MiB/s", kinds[0]->kind);
    return NULL;
}

struct bench_guest *bench_guest_new(const char *text, struct ferry_error *err)
{
    size_t bytes = strcspn(text, ":");
    const struct bench_guest_ops *ops = find_kind(text, bytes, err);

    if (!ops)
        return NULL;
    return ops->create(text[bytes] ? text + bytes + 1 : "", err);
}

struct bench_guest *bench_guest_incoming(const char *kind, struct ferry_error *err)
{
    const struct bench_guest_ops *ops = find_kind(kind, strlen(kind), err);

    return ops ? ops->incoming(err) : NULL;
}

struct ferry_guest *bench_guest_ferry(struct bench_guest *guest)
{
    return guest->ops->ferry(guest);
}

int bench_guest_start(struct bench_guest *guest, struct ferry_error *err)
{
    return guest->ops->start(guest, err);
}

int bench_guest_stop(struct bench_guest *guest, struct ferry_error *err)
{
    return guest->ops->stop(guest, err);
}

int bench_guest_verify(struct bench_guest *guest, uint64_t run_on_ns, struct bench_verify *out, struct ferry_error *err)
{
    return guest->ops->verify(guest, run_on_ns, out, err);
}

void bench_guest_figures(struct bench_guest *guest, struct bench_figures *out)
{
    guest->ops->figures(guest, out);
}

void bench_guest_free(struct bench_guest *guest)
{
    if (guest)
        guest->ops->free(guest);
}
