/* SPDX-License-Identifier: BSD-3-Clause */
/* failmalloc.h - make one allocation of the program fail, and count those that are alive
 *
 * The linker sends malloc and its kin here (-Wl,--wrap, in meson's failmalloc_dep).  Thread: any.
 */
#ifndef TESTS_FAILMALLOC_H
#define TESTS_FAILMALLOC_H

#include <stdbool.h>

/* The JSON library's allocations, too; before any of them. */
void failmalloc_take_json(void);

/* After @more further allocations the next one fails, once. */
void failmalloc_arm(long more);

/* None fails any more.  Whether one has since failmalloc_arm(). */
bool failmalloc_disarm(void);

/* Allocations that were not freed yet. */
long failmalloc_alive(void);

#endif
