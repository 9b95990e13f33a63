/* SPDX-License-Identifier: BSD-3-Clause */
/* page_pin.h - a thread that moves pages stays on a processor near them */
#ifndef PAGES_PAGE_PIN_H
#define PAGES_PAGE_PIN_H

#include "ram_map.h"

#include <pthread.h>

/**
 * page_pin() - keep @thread on one processor of the node where the first block of @map lies
 * @index: threads with other numbers go to other processors there, as far as there are any
 *
 * Where nothing of the memory is there yet, or its node has no processor that this process may use, it is one of all
 * that the caller may use.  Returns the processor, or -1: not pinned, which is no error.
 */
int page_pin(pthread_t thread, const struct ram_map *map, unsigned index);

#endif
