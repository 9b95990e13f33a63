/* SPDX-License-Identifier: BSD-3-Clause */
/* recover.c - `ferry recover`: which side may run the guest, by the journals of a migration that was cut off
 *
 * Without --settle it only reads.  With it, what is decided is noted in the journal of one side, which this process
 * then holds, by the rules for a side that is started again (docs/switchover.md).
 */
#include "args.h"
#include "commands.h"
#include "exit.h"
#include "help.h"
#include "owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct args_row rows[] = {
    { "source-journal", "FILE", "the source's journal, or a copy of it" },
    { "destination-journal", "FILE", "the destination's journal, or a copy of it" },
    { "settle", "SIDE", "source or destination: note the decision in this side's own journal" },
    { "give-up", NULL, "with --settle destination: never start the guest there, if it was not started yet" },
    { NULL },
};

const struct args_command recover_form = {
    .name = "recover",
    .summary = "which side may run the guest after a migration was cut off",
    .about = "Reads journals, and changes nothing without --settle. With one journal alone:\n"
             "what its side may do by itself. Copy a journal from its host only after its\n"
             "process has ended; settle in the file itself, never in a copy.\n"
             "Exit status: 0 it is known; 4 it is not: then it says what would decide it;\n"
             "1 it could not be noted.\n",
    .examples = "  ferry recover --source-journal a.journal --destination-journal b.journal\n"
                "  ferry recover --destination-journal /var/lib/vm/b.journal\n"
                "  ferry recover --settle source --source-journal /var/lib/vm/a.journal \\\n"
                "                --destination-journal copy-of-b.journal\n",
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

/* The two sides, as they are told of on the command line. */
struct sides {
    struct side_journal source, destination;
};

static struct owner_decision decide(const struct sides *sides)
{
    return owner_decide(sides->source.told ? &sides->source.state : NULL,
                        sides->destination.told ? &sides->destination.state : NULL);
}

static enum exit_status print_all(const struct sides *sides)
{
    struct owner_decision decision = decide(sides);
    enum exit_status status = print_decision(&decision);

    print_side("source", &sides->source);
    print_side("destination", &sides->destination);
    return status;
}

/* What is to be noted in the journal that this process holds; JOURNAL_NOTHING: nothing. */
static enum journal_step next_note(const struct side_journal *mine, const struct side_journal *other, bool give_up)
{
    if (give_up && mine->state.step < JOURNAL_COMMITTED)
        return JOURNAL_ABORTED;
    return owner_next(&mine->state, other->told ? &other->state : NULL);
}

/* With the lock of one's own journal, which is held until all is said. */
static enum exit_status settle(struct sides *sides, enum journal_role role, bool give_up)
{
    struct side_journal *mine = role == JOURNAL_SOURCE ? &sides->source : &sides->destination;
    struct side_journal *other = role == JOURNAL_SOURCE ? &sides->destination : &sides->source;
    struct ferry_error err = { 0 };
    struct journal *journal = journal_resume(mine->path, role, &err);
    enum exit_status status;
    enum journal_step next;
    int ret = 0;

    if (!journal) {
        fprintf(stderr, "ferry recover: %s\n", ferry_error_text(&err));
        return err.errnum == -EBUSY ? EXIT_UNCERTAIN : EXIT_FAILED;
    }
    mine->state = *journal_state(journal);
    mine->told = true;
    next = next_note(mine, other, give_up);
    if (next != JOURNAL_NOTHING)
        ret = journal_note(journal, next, next == JOURNAL_COMMITTED ? mine->state.token : NULL, &err);
    mine->state = *journal_state(journal);
    status = print_all(sides);
    if (ret < 0)
        fprintf(stderr, "ferry recover: %s\n", ferry_error_text(&err));
    else if (next != JOURNAL_NOTHING)
        printf("noted: %s\n", journal_step_name(role, next));
    journal_close(journal);
    return ret < 0 ? EXIT_FAILED : status;
}

static int side_to_settle(const struct args *args, enum journal_role *role, struct ferry_error *err)
{
    const char *side = args_value(args, "settle");
    const char *path = side && !strcmp(side, "source") ? "source-journal" : "destination-journal";

    *role = 0;
    if (side && strcmp(side, "source") && strcmp(side, "destination"))
        return ferry_error_set(err, -EINVAL, "--settle: '%s' is neither source nor destination", side);
    if (args_value(args, "give-up") && (!side || !strcmp(side, "source")))
        return ferry_error_set(err, -EINVAL, "--give-up is for --settle destination");
    if (!side)
        return 0;
    *role = !strcmp(side, "source") ? JOURNAL_SOURCE : JOURNAL_DESTINATION;
    return args_needed(args, path, err) ? 0 : -EINVAL;
}

static enum exit_status recover(const struct args *args)
{
    struct sides sides = { 0 };
    struct ferry_error err = { 0 };
    enum journal_role role;

    if (side_to_settle(args, &role, &err) < 0 ||
        read_side(args, "source-journal", JOURNAL_SOURCE, &sides.source, &err) < 0 ||
        read_side(args, "destination-journal", JOURNAL_DESTINATION, &sides.destination, &err) < 0)
        return help_usage(&recover_form, &err);
    if (!sides.source.path && !sides.destination.path) {
        ferry_error_set(&err, -EINVAL, "--source-journal FILE, or --destination-journal FILE, or both are needed");
        return help_usage(&recover_form, &err);
    }
    return role ? settle(&sides, role, args_value(args, "give-up") != NULL) : print_all(&sides);
}

int recover_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&recover_form, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(&recover_form, &err);
    if (args_help(args))
        help_command(stdout, &recover_form);
    else
        status = recover(args);
    args_free(args);
    return status;
}
