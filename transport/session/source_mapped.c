/* SPDX-License-Identifier: BSD-3-Clause */
/* source_mapped.c - a session whose pages go to fixed places of a file (option mapped-ram), as its source does it */
#include "source_mapped.h"

#include "channel.h"
#include "cpu.h"
#include "mapped_ram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define THREADS_MAX 16 /* unless asked for more: a file has no more to give */

struct mapped_terms mapped_terms_of(struct ferry_session *session)
{
    const struct ferry_options *options = &session->options;
    struct mapped_terms terms = { .threads = (unsigned)options->channels, .ring = true, .limit = session->limit };

    terms.sums = options->page_sums == SUMS_ON;

    if (options->channels == 0 || options->channels == OPTION_AUTO)
        terms.threads = cpu_count() < THREADS_MAX ? (unsigned)cpu_count() : THREADS_MAX;
    return terms;
}

void mapped_stats(const struct mapped_figures *figures, struct ferry_stats *stats)
{
    stats->mapped.threads = figures->threads;
    stats->mapped.bytes = figures->bytes;
    snprintf(stats->mapped.manner, sizeof(stats->mapped.manner), "%s", figures->manner);
}

int source_mapped_wanted(struct source_mapped *mapped, struct ferry_session *session, struct ferry_error *err)
{
    struct ferry_error why;
    uint64_t position;

    if (session->options.mapped_ram != MAPPED_RAM_ON)
        return 0;
    if (channel_tell(session->chan, FERRY_WRITE, &position, &why) < 0)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                    "%s: mapped-ram gives pages fixed places in a file, and this is not one",
                                    ferry_channel_label(session->chan));
    mapped->session = session;
    return 0;
}

bool source_mapped_is_on(const struct source_mapped *mapped)
{
    return mapped->session;
}

void source_mapped_announce(const struct source_mapped *mapped, struct ferry_writer *writer)
{
    static const char *const names[] = { MAPPED_RAM_CAPABILITY };

    section_put_capabilities(writer, names, 1);
}

int source_mapped_put_blocks(struct source_mapped *mapped, struct page_walk *walk, struct ferry_writer *writer,
                             struct ferry_error *err)
{
    struct mapped_terms terms = mapped_terms_of(mapped->session);

    mapped->saver = mapped_saver_new(walk, mapped->session->chan, &terms, err);
    return mapped->saver ? mapped_saver_put_blocks(mapped->saver, writer, err) : -ENOMEM;
}

int source_mapped_work(struct source_mapped *mapped, enum section_type type, int64_t ns, bool *more,
                       struct ferry_error *err)
{
    int ret;

    if (!mapped->at_work)
        mapped_saver_begin(mapped->saver);
    do
        ret = mapped_saver_wait(mapped->saver, ns, err);
    while (ret == -ETIMEDOUT && type == SECTION_END);
    *more = mapped->at_work = ret == -ETIMEDOUT;
    if (ret == 0 && type == SECTION_END)
        ret = mapped_saver_seal(mapped->saver, err);
    return *more ? 0 : ret;
}

void source_mapped_figures(const struct source_mapped *mapped, struct mapped_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    if (mapped->saver)
        mapped_saver_figures(mapped->saver, figures);
}

void source_mapped_close(struct source_mapped *mapped)
{
    mapped_saver_free(mapped->saver);
    mapped->saver = NULL;
}
