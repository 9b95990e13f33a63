/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_mapped.c - a session whose pages lie at fixed places of a file (option mapped-ram), as it is loaded */
#include "destination_mapped.h"

#include "mapped_ram.h"
#include "source_mapped.h"

#include <errno.h>
#include <string.h>

static int refuse(struct ferry_session *session, const char *text, const char *hint, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL, "%s: %s", ferry_channel_label(session->chan), text);
    ferry_error_hint(err, "%s", hint);
    return -EINVAL;
}

/* Whether the capability is listed; every other one is not understood. */
static int find_capability(struct ferry_session *session, const struct section_configuration *config, bool *listed,
                           struct ferry_error *err)
{
    *listed = false;
    for (unsigned i = 0; i < config->capabilities; i++) {
        if (strcmp(config->capability[i], MAPPED_RAM_CAPABILITY))
            return ferry_error_set_code(err, FERRY_E_UNKNOWN_CAPABILITY, -ENOTSUP,
                                        "%s: capability '%s' is not understood", ferry_channel_label(session->chan),
                                        config->capability[i]);
        *listed = true;
    }
    return 0;
}

int destination_mapped_agree(struct destination_mapped *mapped, struct ferry_session *session, struct placer *placer,
                             const struct section_configuration *config, struct ferry_error *err)
{
    struct mapped_terms terms = mapped_terms_of(session);
    uint64_t wanted = session->options.mapped_ram;
    bool listed;
    int ret = find_capability(session, config, &listed, err);

    if (ret < 0)
        return ret;
    if (listed && wanted == MAPPED_RAM_OFF)
        return refuse(session, "this is a mapped-ram file, and mapped-ram is off", "say mapped-ram=on, or auto", err);
    if (!listed && wanted == MAPPED_RAM_ON)
        return refuse(session, "this is not a mapped-ram stream, and mapped-ram is on", "say mapped-ram=off, or auto",
                      err);
    if (!listed)
        return 0;
    mapped->loader = mapped_loader_new(placer, session->chan, &terms, err);
    if (!mapped->loader)
        return err && err->errnum ? err->errnum : -ENOMEM;
    mapped->session = session;
    return 0;
}

bool destination_mapped_is_on(const struct destination_mapped *mapped)
{
    return mapped->session;
}

int destination_mapped_entry(struct destination_mapped *mapped, struct ferry_reader *reader,
                             const struct ram_block *block)
{
    return mapped_loader_entry(mapped->loader, reader, block);
}

int destination_mapped_load(struct destination_mapped *mapped, int64_t ns, struct ferry_error *err)
{
    int ret;

    if (!mapped->session || mapped->loaded)
        return 0;
    if (!mapped->at_work)
        mapped_loader_begin(mapped->loader);
    ret = mapped_loader_wait(mapped->loader, ns, err);
    mapped->at_work = ret == -ETIMEDOUT;
    mapped->loaded = ret == 0;
    return ret;
}

void destination_mapped_figures(const struct destination_mapped *mapped, struct mapped_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    if (mapped->loader)
        mapped_loader_figures(mapped->loader, figures);
}

void destination_mapped_close(struct destination_mapped *mapped)
{
    mapped_loader_free(mapped->loader);
    mapped->loader = NULL;
}
