/* SPDX-License-Identifier: BSD-3-Clause */
/* blockers.c - the reasons why a guest cannot be migrated now */
#include "blockers.h"

#include "guest_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void blockers_init(struct blockers *blockers)
{
    memset(blockers, 0, sizeof(*blockers));
    pthread_mutex_init(&blockers->lock, NULL);
}

void blockers_clear(struct blockers *blockers)
{
    while (blockers->count > 0)
        free(blockers->reasons[--blockers->count].reason);
    free(blockers->reasons);
    pthread_mutex_destroy(&blockers->lock);
}

/* Called with the lock held. */
static int refuse(const struct blockers *blockers, struct ferry_error *err)
{
    char all[FERRY_ERROR_TEXT_BYTES] = "";
    size_t used = 0;

    if (blockers->count == 0)
        return 0;
    for (unsigned i = 0; i < blockers->count && used < sizeof(all); i++)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", used ? "; " : "", blockers->reasons[i].reason);
    return ferry_error_set_code(err, FERRY_E_BLOCKED, -EPERM, "the guest cannot be migrated now: %.400s", all);
}

int blockers_check(struct blockers *blockers, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&blockers->lock);
    ret = refuse(blockers, err);
    pthread_mutex_unlock(&blockers->lock);
    return ret;
}

int blockers_claim(struct blockers *blockers, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&blockers->lock);
    ret = refuse(blockers, err);
    if (ret == 0)
        blockers->leaving++;
    pthread_mutex_unlock(&blockers->lock);
    return ret;
}

void blockers_release(struct blockers *blockers)
{
    pthread_mutex_lock(&blockers->lock);
    blockers->leaving--;
    pthread_mutex_unlock(&blockers->lock);
}

/* Called with the lock held. */
static int add(struct blockers *blockers, const char *reason, struct ferry_error *err)
{
    struct blocker *grown;
    char *copy;

    if (blockers->leaving > 0)
        return ferry_error_set(err, -EBUSY, "a migration is under way and is not stopped by '%s'", reason);
    grown = realloc(blockers->reasons, (blockers->count + 1) * sizeof(*grown));
    if (grown)
        blockers->reasons = grown;
    copy = grown ? strdup(reason) : NULL;
    if (!copy)
        return ferry_error_set(err, -ENOMEM, "no memory for the reason '%s'", reason);
    grown[blockers->count++] = (struct blocker){ .token = ++blockers->last_token, .reason = copy };
    return blockers->last_token;
}

int ferry_guest_block_migration(struct ferry_guest *guest, const char *reason, struct ferry_error *err)
{
    int ret;

    if (!*reason)
        return ferry_error_set(err, -EINVAL, "a migration is blocked for a reason, or not at all");
    pthread_mutex_lock(&guest->blockers.lock);
    ret = add(&guest->blockers, reason, err);
    pthread_mutex_unlock(&guest->blockers.lock);
    return ret;
}

void ferry_guest_unblock_migration(struct ferry_guest *guest, int token)
{
    struct blockers *blockers = &guest->blockers;

    pthread_mutex_lock(&blockers->lock);
    for (unsigned i = 0; i < blockers->count; i++) {
        if (blockers->reasons[i].token != token)
            continue;
        free(blockers->reasons[i].reason);
        blockers->count--;
        memmove(&blockers->reasons[i], &blockers->reasons[i + 1], (blockers->count - i) * sizeof(*blockers->reasons));
        break;
    }
    pthread_mutex_unlock(&blockers->lock);
}
