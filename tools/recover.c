/* SPDX-License-Identifier: BSD-3-Clause */
/* recover.c - `ferry recover`: which side may run the guest, by the journals of a migration that was cut off */
#include "args.h"
#include "commands.h"
#include "exit.h"
#include "help.h"
#include "owner.h"

#include <errno.h>
#include <stdio.h>

static const struct args_row rows[] = {
    { "source-journal", "FILE", "the source's journal, or a copy of it" },
    { "destination-journal", "FILE", "the destination's journal, or a copy of it" },
    { NULL },
};

static const struct args_command command = {
    .name = "recover",
    .summary = "which side may run the guest after a migration was cut off",
    .about = "Reads journals, changes nothing. With one journal alone: what its side may do by\n"
             "itself. Copy a journal from its host only after its process has ended.\n"
             "Exit status: 0 it is known; 4 it is not: then it says what would decide it.\n",
    .examples = "  ferry recover --source-journal a.journal --destination-journal b.journal\n"
                "  ferry recover --destination-journal /var/lib/vm/b.journal\n",
    .rows = rows,
};

struct side_journal {
    const char *path; /* NULL: not given */
    struct journal_state state;
    struct ferry_error err; /* why it tells nothing */
    bool told;
};

static int read_side(const struct args *args, const char *option, enum journal_role role, struct side_journal *side,
                     struct ferry_error *err)
{
    int ret;

    side->path = args_value(args, option);
    if (!side->path)
        return 0;
    ret = journal_read(side->path, &side->state, &side->err);
    if (ret == 0 && side->state.role != role)
        return ferry_error_set(err, -EINVAL, "--%s: %s is the journal of the other side", option, side->path);
    side->told = ret == 0;
    if (ret == 0 || ret == -ENODATA || ret == -EBADMSG)
        return 0;
    *err = side->err;
    ferry_error_prefix(err, "--%s", option);
    return ret;
}

static void print_side(const char *name, const struct side_journal *side)
{
    const struct journal_state *state = &side->state;

    if (!side->path) {
        printf("%s: not given\n", name);
        return;
    }
    if (!side->told) {
        printf("%s: tells nothing: %s\n", name, ferry_error_text(&side->err));
        return;
    }
    printf("%s: %s%s%s, session ", name, journal_step_name(state->role, state->step),
           state->in_use ? ", its process lives" : "", state->torn ? ", and a later note was cut off" : "");
    for (int i = 0; i < JOURNAL_ID_BYTES; i++)
        printf("%02x", state->session[i]);
    printf("\n");
}

static enum exit_status print_decision(const struct owner_decision *decision)
{
    if (decision->owner == OWNER_UNDECIDED) {
        printf("nobody here can know which side may run the guest: %s\ncheck: %s\n", decision->why, decision->check);
        return EXIT_UNCERTAIN;
    }
    printf("%s may run the guest, %s must not: %s\n", owner_name(decision->owner),
           owner_name(decision->owner == OWNER_SOURCE ? OWNER_DESTINATION : OWNER_SOURCE), decision->why);
    return EXIT_DONE;
}

static enum exit_status recover(const struct args *args)
{
    struct side_journal source = { 0 }, destination = { 0 };
    struct owner_decision decision;
    struct ferry_error err = { 0 };
    enum exit_status status;

    if (read_side(args, "source-journal", JOURNAL_SOURCE, &source, &err) < 0 ||
        read_side(args, "destination-journal", JOURNAL_DESTINATION, &destination, &err) < 0)
        return help_usage(&command, &err);
    if (!source.path && !destination.path) {
        ferry_error_set(&err, -EINVAL, "--source-journal FILE, or --destination-journal FILE, or both are needed");
        return help_usage(&command, &err);
    }
    decision = owner_decide(source.told ? &source.state : NULL, destination.told ? &destination.state : NULL);
    status = print_decision(&decision);
    print_side("source", &source);
    print_side("destination", &destination);
    return status;
}

int recover_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&command, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(&command, &err);
    if (args_help(args))
        help_command(stdout, &command);
    else
        status = recover(args);
    args_free(args);
    return status;
}
