/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk_parts.h - what the two halves of the walk, precopy and postcopy, call of each other */
#ifndef MEMORY_PAGE_WALK_PARTS_H
#define MEMORY_PAGE_WALK_PARTS_H

#include "page_walk.h"

/* The rest of a huge page, from where the walk stands.  Lock held. */
void walk_claim_next(struct page_walk *walk, struct walk_claim *claim);

/* walk_take() in postcopy.  Lock held; the caller counts and sorts. */
bool walk_fill_postcopy(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch);

#endif
