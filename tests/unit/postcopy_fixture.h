/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_fixture.h - a guest's memory that follows it: a block of any kind, a source that answers, pages that tell */
#ifndef TESTS_POSTCOPY_FIXTURE_H
#define TESTS_POSTCOPY_FIXTURE_H

#include "postcopy_ram.h"
#include <pthread.h>

enum memory_kind {
    MEMORY_PRIVATE,      /* anonymous */
    MEMORY_SHARED,       /* memfd */
    MEMORY_PRIVATE_FILE, /* memfd, mapped privately */
    MEMORY_HUGE,         /* 2 MiB, private */
    MEMORY_HUGE_SHARED,  /* 2 MiB, memfd */
    MEMORY_KINDS
};

extern const char *const memory_kind_names[MEMORY_KINDS];

#define REQUESTS_MAX 65536

/* What the destination asked for, in order. */
struct requests {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct {
        const struct ram_block *block;
        uint64_t page, count;
    } asked[REQUESTS_MAX];
    unsigned count;
    bool ended;
    int refuse; /* returned instead of taking one */
};

struct postcopy_scene {
    struct ram_map map;
    struct ram_block *block;
    struct postcopy_ram *ram;
    struct requests requests;
    uint64_t host_pages;
    int fd; /* of the memory; -1: none */
};

/* 0 when this process can have what @kind and userfaultfd need; else prints the SKIP line and returns 77.  Huge pages
 * are reserved where the system has none and allows it, and given back when the process ends. */
int postcopy_can(enum memory_kind kind);

/* @pages: rounded up to whole host pages. */
void postcopy_scene_open(struct postcopy_scene *scene, enum memory_kind kind, uint64_t pages);
void postcopy_scene_close(struct postcopy_scene *scene);

/* The scene's requests; @opaque is the scene. */
extern const struct postcopy_ram_ops postcopy_scene_ops;

/* The i-th request: waits until there is one; false once requests_end() was called and there are no more. */
bool requests_wait(struct postcopy_scene *scene, unsigned i, uint64_t *page, uint64_t *count);
void requests_end(struct postcopy_scene *scene);
unsigned requests_count(struct postcopy_scene *scene);

/* What becomes of requests from now on: 0 or a negative errno. */
void requests_refuse(struct postcopy_scene *scene, int refuse);

/* A page says who it is.  Version 0 is a page of zeros. */
void page_write(void *to, uint64_t page, unsigned version);
bool page_is(const void *at, uint64_t page, unsigned version);

/* Let pages come through @placer, whole host pages or not, as one batch. */
int page_arrives(struct postcopy_scene *scene, struct placer *placer, uint64_t page, uint64_t count, unsigned version,
                 struct ferry_error *err);

static inline uint8_t *scene_page(const struct postcopy_scene *scene, uint64_t page)
{
    return scene->block->host + (page << FERRY_PAGE_SHIFT);
}

#endif
