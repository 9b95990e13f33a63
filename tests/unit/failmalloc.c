/* SPDX-License-Identifier: BSD-3-Clause */
/* failmalloc.c - make one allocation of the program fail, and count those that are alive */
#include "failmalloc.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static atomic_bool armed, failed;
static atomic_long left, alive;

void failmalloc_take_json(void)
{
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

void failmalloc_arm(long more)
{
    atomic_store(&left, more);
    atomic_store(&failed, false);
    atomic_store(&armed, true);
}

bool failmalloc_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&failed);
}

long failmalloc_alive(void)
{
    return atomic_load(&alive);
}

static bool fails(void)
{
    if (!atomic_load(&armed) || atomic_fetch_sub(&left, 1) != 0)
        return false;
    atomic_store(&failed, true);
    return true;
}

static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&alive, 1);
    return memory;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *memory;

    if (fails())
        return NULL;
    memory = __real_realloc(old, bytes);
    return old ? memory : counted(memory);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&alive, 1);
    __real_free(memory);
}
