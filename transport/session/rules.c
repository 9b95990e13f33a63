/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.c - what the devices of a guest want, and which of them a migration left impaired */
#include "rules.h"

#include "bytes.h"
#include "guest_parts.h"
#include "log.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ferry_bad_state_name(enum ferry_bad_state bad_state)
{
    static const char *const names[] = { "fail", "degrade", "disable" };

    return (size_t)bad_state < sizeof(names) / sizeof(names[0]) ? names[bad_state] : "unknown";
}

void rules_clear(struct rule_list *list)
{
    free(list->rules);
    *list = (struct rule_list){ 0 };
}

void rules_begin(struct rule_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        list->rules[i].impaired = false;
}

static struct rule *find(const struct rule_list *list, const char *idstr, uint32_t instance_id)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!strcmp(list->rules[i].idstr, idstr) && list->rules[i].instance_id == instance_id)
            return &list->rules[i];
    return NULL;
}

static int check_rules(const char *idstr, const struct ferry_device_rules *rules, struct ferry_error *err)
{
    if (rules->bad_state > FERRY_BAD_STATE_DISABLE)
        return ferry_error_set(err, -EINVAL, "device '%s': %d is not a way to bear a bad state", idstr,
                               rules->bad_state);
    if ((rules->bad_state == FERRY_BAD_STATE_DEGRADE && !rules->degrade) ||
        (rules->bad_state == FERRY_BAD_STATE_DISABLE && !rules->disable))
        return ferry_error_set(err, -EINVAL, "device '%s': a bad state is to %s it, but not how", idstr,
                               ferry_bad_state_name(rules->bad_state));
    return 0;
}

int ferry_guest_set_rules(struct ferry_guest *guest, const char *idstr, uint32_t instance_id,
                          const struct ferry_device_rules *rules, void *opaque, struct ferry_error *err)
{
    struct rule_list *list = &guest->rules;
    struct rule *grown;
    int ret;

    if (!device_find(guest->devices, idstr, instance_id) && !iterative_list_find(&guest->iterative, idstr, instance_id))
        return ferry_error_set(err, -ENOENT, "there is no device '%s' %" PRIu32, idstr, instance_id);
    if (find(list, idstr, instance_id))
        return ferry_error_set(err, -EEXIST, "device '%s' %" PRIu32 " has rules already", idstr, instance_id);
    ret = check_rules(idstr, rules, err);
    if (ret < 0)
        return ret;
    grown = realloc(list->rules, (list->count + 1) * sizeof(*grown));
    if (!grown)
        return ferry_error_set(err, -ENOMEM, "no memory for the rules of device '%s'", idstr);
    list->rules = grown;
    grown[list->count] = (struct rule){ .instance_id = instance_id, .rules = *rules, .opaque = opaque };
    snprintf(grown[list->count].idstr, sizeof(grown->idstr), "%s", idstr);
    list->count++;
    return 0;
}

bool rules_impair(struct rule_list *list, const char *idstr, uint32_t instance_id, const struct ferry_error *why)
{
    struct rule *rule = find(list, idstr, instance_id);

    if (!rule || rule->rules.bad_state == FERRY_BAD_STATE_FAIL)
        return false;
    if (rule->impaired)
        return true;
    rule->impaired = true;
    snprintf(rule->reason, sizeof(rule->reason), "%.255s", ferry_error_text(why));
    log_warn(LOG_SESSION, "device '%s' %" PRIu32 " goes on in its '%s' state: %s", idstr, instance_id,
             ferry_bad_state_name(rule->rules.bad_state), ferry_error_text(why));
    if (rule->rules.bad_state == FERRY_BAD_STATE_DEGRADE)
        rule->rules.degrade(rule->opaque, why);
    else
        rule->rules.disable(rule->opaque, why);
    return true;
}

bool rules_is_impaired(const struct rule_list *list, const char *idstr, uint32_t instance_id)
{
    const struct rule *rule = find(list, idstr, instance_id);

    return rule && rule->impaired;
}

bool rules_pass_over(struct rule_list *list, const char *idstr, uint32_t instance_id, struct ferry_reader *reader,
                     const struct section_item *item, const struct ferry_error *why)
{
    const struct rule *rule = find(list, idstr, instance_id);
    struct ferry_error refusal = { 0 };
    const uint8_t *next;

    if (!rule || rule->rules.bad_state == FERRY_BAD_STATE_FAIL)
        return false;
    if (ferry_reader_status(reader, &refusal) < 0 && !reader_pardon(reader))
        return false;
    if (ferry_reader_peek(reader, 5, &next) == 5 && next[0] == SECTION_FOOTER && load_be32(next + 1) == item->id)
        return rules_impair(list, idstr, instance_id, why);
    if (refusal.errnum)
        reader_fail_why(reader, refusal.errnum, why);
    return false;
}

static int name_device(const struct rule *rule, int ret, struct ferry_error *err)
{
    if (ret < 0)
        ferry_error_prefix(err, "device '%s' %" PRIu32, rule->idstr, rule->instance_id);
    return ret;
}

int rules_may_switch(const struct rule_list *list, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < list->count; i++)
        if (list->rules[i].rules.may_switch)
            ret = name_device(&list->rules[i], list->rules[i].rules.may_switch(list->rules[i].opaque, err), err);
    return ret;
}

int rules_self_check(const struct rule_list *list, struct ferry_error *err)
{
    char text[FERRY_ERROR_TEXT_BYTES] = "";
    size_t used = 0;
    int ret = 0;

    for (unsigned i = 0; i < list->count; i++) {
        const struct rule *rule = &list->rules[i];
        struct ferry_error why = { 0 };
        int failed = rule->impaired || !rule->rules.self_check ? 0 : rule->rules.self_check(rule->opaque, &why);

        if (failed == 0)
            continue;
        name_device(rule, failed, &why);
        if (used < sizeof(text))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "; " : "", why.text);
        if (ret == 0)
            ret = failed;
    }
    return ret < 0 ? ferry_error_set(err, ret, "%s", text) : 0;
}

void rules_stats(const struct rule_list *list, struct ferry_impaired_stats *stats)
{
    stats->count = 0;
    for (unsigned i = 0; i < list->count; i++) {
        const struct rule *rule = &list->rules[i];
        struct ferry_impaired_device *device;

        if (!rule->impaired || stats->count++ >= FERRY_IMPAIRED_SHOWN)
            continue;
        device = &stats->device[stats->count - 1];
        memcpy(device->name, rule->idstr, sizeof(device->name));
        device->instance_id = rule->instance_id;
        device->outcome = rule->rules.bad_state;
        memcpy(device->reason, rule->reason, sizeof(device->reason));
    }
}
