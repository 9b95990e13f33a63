/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_keys.h - a key for the two sides of a demo, gone with it */
#ifndef TOOLS_DEMO_KEYS_H
#define TOOLS_DEMO_KEYS_H

#include <ferry/error.h>

struct demo_keys {
    char folder[64]; /* empty: there is none */
    char path[96];
};

int demo_keys_make(struct demo_keys *keys, struct ferry_error *err);

/* Removes it.  A zeroed one is legal. */
void demo_keys_remove(struct demo_keys *keys);

#endif
