/* SPDX-License-Identifier: BSD-3-Clause */
/* roster.c - which connections a session has, which are missing, and who does not belong to it
 *
 *      connections = 5:   main | pages 0 | pages 1 | pages 2 | pages 3, or urgent
 *
 * How many are page connections is not said apart: an urgent one takes the place of the last.  So that the pages are
 * without gaps when all have come, an urgent connection and the last pages one exclude each other.
 */
#include "roster.h"

#include <stdio.h>
#include <string.h>

void roster_init(struct roster *roster, const struct roster_terms *terms)
{
    memset(roster, 0, sizeof(*roster));
    roster->terms = *terms;
    if (roster->terms.max_connections > HELLO_ALL_MAX)
        roster->terms.max_connections = HELLO_ALL_MAX;
}

void roster_clear(struct roster *roster)
{
    struct roster_terms terms = roster->terms;

    ferry_channel_unref(roster->main);
    ferry_channel_unref(roster->urgent);
    for (unsigned i = 0; i < HELLO_MAX_PAGES; i++)
        ferry_channel_unref(roster->pages[i]);
    roster_init(roster, &terms);
}

bool roster_is_main(const struct hello *hello)
{
    return hello->role == HELLO_MAIN || hello->role == HELLO_RESUME;
}

/* Where a connection of this role and index belongs. */
static struct ferry_channel **place_of(struct roster *roster, const struct hello *hello)
{
    switch (hello->role) {
    case HELLO_MAIN:
    case HELLO_RESUME:
        return &roster->main;
    case HELLO_URGENT:
        return &roster->urgent;
    default:
        return &roster->pages[hello->index];
    }
}

/* The same for those who only look. */
static bool is_taken(const struct roster *roster, const struct hello *hello)
{
    switch (hello->role) {
    case HELLO_MAIN:
    case HELLO_RESUME:
        return roster->main;
    case HELLO_URGENT:
        return roster->urgent;
    default:
        return roster->pages[hello->index];
    }
}

/* Does it make sense by itself? */
static int check_alone(const struct roster *roster, const struct hello *hello, struct hello_refusal *refusal)
{
    unsigned others = hello->role == HELLO_PAGES ? hello->connections - 1u : 1;

    if (!hello_choose_version(hello, refusal))
        return -1;
    if (hello->role != HELLO_RESUME && (hello->role < HELLO_MAIN || hello->role > HELLO_URGENT))
        return hello_refusal_set(refusal, HELLO_BAD_ROLE, "role %d is none", (int)hello->role);
    if (hello->connections == 0 || (!roster_is_main(hello) && hello->connections == 1))
        return hello_refusal_set(refusal, HELLO_MALFORMED, "a %s connection of a session with %u connections",
                                 hello_role_name(hello->role), hello->connections);
    if (hello->connections > roster->terms.max_connections)
        return hello_refusal_set(refusal, HELLO_TOO_MANY, "%u connections are announced, at most %u are taken here",
                                 hello->connections, roster->terms.max_connections);
    if (hello->index >= others)
        return hello_refusal_set(refusal, HELLO_BAD_INDEX, "%s %u of a session with %u connections",
                                 hello_role_name(hello->role), hello->index, hello->connections);
    return 0;
}

/* Does it say the same as the main connection of its session? */
static int check_main(const struct roster *roster, const struct hello *hello, struct hello_refusal *refusal)
{
    const struct hello *main = &roster->hello;
    unsigned last = main->connections - 2u; /* the index of the last pages connection, if there is no urgent one; it may
                                             * be one more than can be counted, then there must be an urgent one */

    if (hello->connections != main->connections || hello->lowest != main->lowest || hello->highest != main->highest ||
        hello->protocol != main->protocol || hello->device != main->device)
        return hello_refusal_set(refusal, HELLO_DISAGREES, "%s %u does not offer the same as its main connection",
                                 hello_role_name(hello->role), hello->index);
    if ((hello->role == HELLO_URGENT && last < HELLO_MAX_PAGES && roster->pages[last]) ||
        (hello->role == HELLO_PAGES && hello->index == last && roster->urgent))
        return hello_refusal_set(refusal, HELLO_BAD_INDEX, "%s %u is one more than the %u connections announced",
                                 hello_role_name(hello->role), hello->index, main->connections);
    return 0;
}

/* Is this the one that is waited for, or of a new session where a new one is waited for? */
static int check_return(const struct roster *roster, const struct hello *hello, struct hello_refusal *refusal)
{
    const struct roster_return *returns = roster->terms.returns;

    if (!returns)
        return hello->role == HELLO_RESUME
                   ? hello_refusal_set(refusal, HELLO_STRAY, "no migration that was interrupted waits here")
                   : 0;
    if (memcmp(hello->session, returns->session, HELLO_ID_BYTES) ||
        (hello->role == HELLO_RESUME && memcmp(hello->nonce, returns->token, HELLO_ID_BYTES)) ||
        hello->role == HELLO_MAIN)
        return hello_refusal_set(refusal, HELLO_STRAY,
                                 "a migration that was interrupted waits here for its own source");
    return 0;
}

enum roster_verdict roster_judge(const struct roster *roster, const struct hello *hello, struct hello_refusal *refusal)
{
    if (check_alone(roster, hello, refusal) < 0 || check_return(roster, hello, refusal) < 0)
        return ROSTER_REFUSE;
    if (!roster->named)
        return roster_is_main(hello) ? ROSTER_TAKE : ROSTER_WAIT;
    if (memcmp(hello->session, roster->hello.session, HELLO_ID_BYTES)) {
        hello_refusal_set(refusal, HELLO_STRAY, "another session is being set up here");
        return ROSTER_REFUSE;
    }
    if (is_taken(roster, hello)) {
        hello_refusal_set(refusal, HELLO_DUPLICATE, "%s %u is connected already", hello_role_name(hello->role),
                          hello->index);
        return ROSTER_REFUSE;
    }
    return check_main(roster, hello, refusal) < 0 ? ROSTER_REFUSE : ROSTER_TAKE;
}

void roster_take(struct roster *roster, const struct hello *hello, struct ferry_channel *chan)
{
    *place_of(roster, hello) = ferry_channel_ref(chan);
    roster->came++;
    if (!roster_is_main(hello))
        return;
    roster->named = true;
    roster->hello = *hello;
    roster->agreed.version = hello->highest < HELLO_VERSION ? hello->highest : HELLO_VERSION;
    roster->agreed.protocol = hello->protocol & roster->terms.protocol_capabilities;
    roster->agreed.device = hello->device & roster->terms.device_capabilities;
}

void roster_answered(struct roster *roster)
{
    roster->answered++;
}

void roster_vacate(struct roster *roster, const struct hello *hello)
{
    struct ferry_channel **place = place_of(roster, hello);

    ferry_channel_unref(*place);
    *place = NULL;
    roster->came--;
}

bool roster_complete(const struct roster *roster)
{
    return roster->named && roster->answered == roster->hello.connections;
}

char *roster_missing(const struct roster *roster, char *to, size_t room)
{
    unsigned pages = roster->hello.connections - (roster->urgent ? 2u : 1u);
    size_t used = 0;

    to[0] = '\0';
    for (unsigned i = 0; i < pages && i < HELLO_MAX_PAGES && used < room; i++) {
        bool last = i + 1 == pages && !roster->urgent;

        if (!roster->pages[i])
            used +=
                (size_t)snprintf(to + used, room - used, "%spages %u%s", used ? ", " : "", i, last ? " or urgent" : "");
    }
    return to;
}
