/* SPDX-License-Identifier: BSD-3-Clause */
/* convert_room.h - memory for the struct of a description that no device has */
#ifndef STATE_CONVERT_ROOM_H
#define STATE_CONVERT_ROOM_H

#include <ferry/state.h>

struct arena;

struct convert_room {
    const struct ferry_state_desc *desc;
    struct arena *arena; /* owned: the struct, and what its pointers point at */
    void *object;
};

/* Refuse a description that this cannot be done for. */
int convert_room_check(const struct ferry_state_desc *desc, struct ferry_error *err);

/* A zeroed struct, its lists and trees empty, its pointers with room behind them. */
int convert_room_init(struct convert_room *room, const struct ferry_state_desc *desc, struct ferry_error *err);

/* Also what a load has allocated.  A room of zeros is legal. */
void convert_room_release(struct convert_room *room);

#endif
