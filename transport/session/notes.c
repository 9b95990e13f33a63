/* SPDX-License-Identifier: BSD-3-Clause */
/* notes.c - how far one side of a session is on its way to the right to run: in its journal, or else in memory */
#include "notes.h"

#include "journal_image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void tell(const struct notes *notes, const char *when, enum journal_step step)
{
    char text[32];

    snprintf(text, sizeof(text), "%s%s", when, journal_step_name(notes->state.role, step));
    options_at_step(notes->steps, text);
}

int notes_begin(struct notes *notes, const struct ferry_options *options, enum journal_role role,
                const uint8_t session[JOURNAL_ID_BYTES], struct ferry_error *err)
{
    const char *path = options->journal;
    struct journal_state old;

    notes->state = (struct journal_state){ .role = role, .step = JOURNAL_STARTED };
    memcpy(notes->state.session, session, JOURNAL_ID_BYTES);
    notes->steps = &options->steps;
    if (*path)
        notes->journal = journal_open(path, role, session, err);
    if (!*path || notes->journal) {
        tell(notes, "", JOURNAL_STARTED);
        return 0;
    }
    notes->state = (struct journal_state){ 0 };
    if (err->errnum == -EEXIST && journal_read(path, &old, NULL) == 0 &&
        !memcmp(old.session, session, JOURNAL_ID_BYTES))
        err->errnum = -EALREADY;
    return err->errnum;
}

static int add(struct notes *notes, enum journal_step step, const uint8_t *token, struct ferry_error *err)
{
    int ret;

    if (!notes->journal) {
        notes->state.step = step;
        if (token) {
            memcpy(notes->state.token, token, JOURNAL_TOKEN_BYTES);
            notes->state.has_token = true;
        }
        return 0;
    }
    ret = journal_note(notes->journal, step, token, err);
    if (ret < 0 && journal_doubtful(notes->journal) && journal_state(notes->journal)->step == step)
        ret = journal_note(notes->journal, step, token, err);
    notes->state = *journal_state(notes->journal);
    return ret;
}

int notes_add(struct notes *notes, enum journal_step step, const uint8_t *token, struct ferry_error *err)
{
    int ret;

    tell(notes, "note-", step);
    ret = add(notes, step, token, err);
    if (ret == 0)
        tell(notes, "", step);
    return ret;
}

bool notes_doubtful(const struct notes *notes)
{
    return notes->journal && journal_doubtful(notes->journal);
}

int notes_abort(struct notes *notes, struct ferry_error *err)
{
    bool again = notes->state.step == JOURNAL_ABORTED && notes_doubtful(notes);

    if (notes->state.step == JOURNAL_NOTHING || (notes_ended(notes) && !again))
        return 0;
    return notes_add(notes, JOURNAL_ABORTED, NULL, err);
}

bool notes_ended(const struct notes *notes)
{
    return !journal_step_follows(notes->state.step, JOURNAL_ABORTED);
}

void notes_end(struct notes *notes)
{
    journal_close(notes->journal);
    notes->journal = NULL;
}
