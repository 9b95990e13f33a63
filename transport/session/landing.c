/* SPDX-License-Identifier: BSD-3-Clause */
/* landing.c - what the destination asks and tells its devices while a guest arrives, step by step */
#include "landing.h"

#include <errno.h>

static int tell(const struct landing *landing, enum ferry_migration_state state, struct ferry_error *err)
{
    return notify_step(&landing->guest->notifiers, FERRY_SIDE_DESTINATION, state, err);
}

int landing_begin(struct landing *landing, struct ferry_guest *guest, struct ferry_reader *reader,
                  struct ferry_error *err)
{
    int ret;

    landing->guest = guest;
    section_table_init(&landing->sections, reader);
    rules_begin(&guest->rules);
    ret = tell(landing, FERRY_MIGRATION_NONE, err);
    if (ret == 0)
        ret = tell(landing, FERRY_MIGRATION_SETUP, err);
    if (ret == 0)
        ret = iterative_load_begin(&landing->loader, guest, &landing->sections, err);
    return ret;
}

int landing_active(struct landing *landing, struct ferry_error *err)
{
    return tell(landing, FERRY_MIGRATION_ACTIVE, err);
}

int landing_start(struct landing *landing, const struct section_item *item)
{
    return iterative_load_start(&landing->loader, item);
}

int landing_next(struct landing *landing, const struct section_item *item)
{
    return section_table_next(&landing->sections, item);
}

bool landing_ack_due(struct landing *landing)
{
    if (landing->acked || !iterative_load_ready(&landing->loader))
        return false;
    landing->acked = true;
    return true;
}

static int check(struct landing *landing, struct ferry_error *err)
{
    int ret = tell(landing, FERRY_MIGRATION_DEVICE, err);

    if (ret == 0) {
        ret = rules_self_check(&landing->guest->rules, err);
        if (ret < 0)
            ferry_error_code(err, FERRY_E_DEVICE_SELF_CHECK);
    }
    return ret;
}

int landing_complete(struct landing *landing, struct ferry_error *err)
{
    int ret = iterative_load_complete(&landing->loader, err);

    return ret == 0 ? check(landing, err) : ret;
}

/* Which devices go on afterwards is the source's to know: those that have not ended. */
int landing_complete_before(struct landing *landing, struct ferry_error *err)
{
    return check(landing, err);
}

int landing_complete_after(struct landing *landing, struct ferry_error *err)
{
    return iterative_load_complete(&landing->loader, err);
}

void landing_stats(const struct landing *landing, struct ferry_stats *stats)
{
    stats->wire.iterative_bytes = landing->loader.bytes + atomic_load(&landing->loader.parts_bytes);
    if (landing->guest)
        rules_stats(&landing->guest->rules, &stats->impaired);
}

void landing_end(struct landing *landing, int ret)
{
    if (!landing->guest)
        return;
    iterative_load_end(&landing->loader);
    section_table_clear(&landing->sections);
    if (ret != -EOWNERDEAD) /* else that is told when it is decided */
        notify_end(&landing->guest->notifiers, FERRY_SIDE_DESTINATION, ret == 0, ret == 0);
    landing->guest = NULL;
}
