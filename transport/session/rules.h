/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.h - what the devices of a guest want, and which of them a migration left impaired */
#ifndef SESSION_RULES_H
#define SESSION_RULES_H

#include "section.h"

#include <ferry/rules.h>
#include <stdbool.h>

struct rule {
    char idstr[256];
    uint32_t instance_id;
    struct ferry_device_rules rules;
    void *opaque; /* borrowed */
    bool impaired;
    char reason[256];
};

/* Zero-initialise; clear in the end. */
struct rule_list {
    struct rule *rules; /* owned */
    unsigned count;
};

void rules_clear(struct rule_list *list);

/* A migration begins: nothing is impaired yet. */
void rules_begin(struct rule_list *list);

/**
 * rules_impair() - the device refused its state for the reason @why
 *
 * True: its rules say to go on without, and the device knows now.  False: the migration fails.
 */
bool rules_impair(struct rule_list *list, const char *idstr, uint32_t instance_id, const struct ferry_error *why);

/* Whether the device goes on without its state already. */
bool rules_is_impaired(const struct rule_list *list, const char *idstr, uint32_t instance_id);

/* rules_impair() before its section's footer was read.  True only if @reader stands right in front of that, or nobody
 * could say where the stream goes on; a refusal that @reader remembers is forgotten then. */
bool rules_pass_over(struct rule_list *list, const char *idstr, uint32_t instance_id, struct ferry_reader *reader,
                     const struct section_item *item, const struct ferry_error *why);

/* Ask every device: 0, -EAGAIN "not yet", or why the migration fails; the sentence names the device. */
int rules_may_switch(const struct rule_list *list, struct ferry_error *err);

/* Every device that has a self-check; all that fail are in the sentence. */
int rules_self_check(const struct rule_list *list, struct ferry_error *err);

void rules_stats(const struct rule_list *list, struct ferry_impaired_stats *stats);

#endif
