/* SPDX-License-Identifier: BSD-3-Clause */
/* journal.c - one side's steps towards the right to run, on disk before what they allow
 *
 *     journal_note:   bytes of the note  ->  write  ->  fdatasync  ->  0: only now may the step be taken
 *                                            fails: surely not there  '-- fails: doubtful, somebody may read it
 *
 * A doubtful note counts as made: it may be made again, or the next one made behind it, but nothing takes its place.
 * A lock on the open file says that the session lives; it goes with the process.
 */
#include "journal.h"

#include "journal_image.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal {
    int fd;
    char *path;
    bool doubtful; /* the last note of the image */
    struct journal_image image;
    struct journal_state state;
};

static const char *const step_names[][JOURNAL_STEPS] = {
    [JOURNAL_SOURCE] = { "nothing", "started", "prepared", "committed", "done", "aborted" },
    [JOURNAL_DESTINATION] = { "nothing", "started", "ready", "committed", "running", "aborted" },
};

const char *journal_step_name(enum journal_role role, enum journal_step step)
{
    if ((role != JOURNAL_SOURCE && role != JOURNAL_DESTINATION) || step >= JOURNAL_STEPS)
        return "unknown";
    return step_names[role][step];
}

static const char *role_name(enum journal_role role)
{
    return role == JOURNAL_SOURCE ? "source" : "destination";
}

static int failed(const char *path, const char *what, struct ferry_error *err)
{
    int errnum = errno;

    return ferry_error_set_code(err, FERRY_E_JOURNAL, -errnum, "%s: %s: %s", path, what, strerror(errnum));
}

/* A pipe or a device would block, or worse; nothing is written before this is known. */
static int open_regular(const char *path, int flags, struct ferry_error *err)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    struct stat st;

    if (fd < 0)
        return failed(path, "cannot open the journal", err);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return ferry_error_set_code(err, FERRY_E_JOURNAL, -EINVAL, "%s: not a regular file, so no journal", path);
}

static int lock(int fd, const char *path, struct ferry_error *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return failed(path, "cannot lock the journal", err);
    ferry_error_set_code(err, FERRY_E_JOURNAL, -EBUSY, "%s: another process has this journal", path);
    ferry_error_hint(err, "the session it belongs to is alive: ask that process, or end it");
    return -EBUSY;
}

/* Reads one byte more than a journal has, so that a longer file is seen to be one. */
static int load(int fd, const char *path, struct journal_image *image, struct journal_state *state,
                struct ferry_error *err)
{
    uint8_t bytes[JOURNAL_BYTES + 1];
    size_t length = 0;
    ssize_t got;
    int ret;

    if (fdatasync(fd) < 0)
        return failed(path, "cannot make the journal durable", err);
    do {
        got = pread(fd, bytes + length, sizeof(bytes) - length, (off_t)length);
        if (got > 0)
            length += (size_t)got;
    } while ((got > 0 && length < sizeof(bytes)) || (got < 0 && errno == EINTR));
    if (got < 0)
        return failed(path, "cannot read the journal", err);
    ret = journal_image_decode(bytes, length, image, state, err);
    if (ret < 0)
        ferry_error_prefix(err, "%s", path);
    return ret;
}

/* Writes [from, to) of the image; nothing of a note counts before all of it is there. */
static int store(struct journal *journal, size_t from, size_t to, struct ferry_error *err)
{
    while (from < to) {
        ssize_t put = pwrite(journal->fd, journal->image.bytes + from, to - from, (off_t)from);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            if (put == 0)
                errno = EIO;
            return failed(journal->path, "cannot write the journal", err);
        }
        from += (size_t)put;
    }
    return 0;
}

static int sync_folder(const char *path, struct ferry_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    int fd = -1, ret = 0;

    if (!folder)
        return ferry_error_set(err, -ENOMEM, "%s: no memory for the journal", path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        ret = failed(folder, "cannot make the journal's name durable", err);
    if (fd >= 0)
        close(fd);
    free(folder);
    return ret;
}

/* The source's own word is needed no more once it is finished; the destination's releases a source that committed. */
static bool may_begin_anew(const struct journal_state *old)
{
    if (old->role == JOURNAL_SOURCE)
        return old->step == JOURNAL_DONE || old->step == JOURNAL_ABORTED;
    return old->step == JOURNAL_ABORTED && !old->has_token;
}

/* May the file, as it is, become the journal of this session? */
static int check_old(struct journal *journal, enum journal_role role, const uint8_t *session, struct ferry_error *err)
{
    struct journal_state *old = &journal->state;
    int ret = load(journal->fd, journal->path, &journal->image, old, err);

    if (ret == -ENODATA)
        return 0;
    if (ret < 0)
        return ret;
    if (!memcmp(old->session, session, JOURNAL_ID_BYTES))
        return ferry_error_set_code(err, FERRY_E_JOURNAL, -EEXIST,
                                    "%s: this very session was here before, and came to '%s'", journal->path,
                                    journal_step_name(old->role, old->step));
    if (old->role == role && may_begin_anew(old))
        return 0;
    ferry_error_set_code(err, FERRY_E_JOURNAL, -EEXIST, "%s: holds the journal of a %s whose session came to '%s'",
                         journal->path, role_name(old->role), journal_step_name(old->role, old->step));
    ferry_error_hint(err, "name another file; remove this one when `ferry recover` no longer needs it");
    return -EEXIST;
}

/* From nothing to "started", all bytes at once. */
static int begin(struct journal *journal, enum journal_role role, const uint8_t *session, struct ferry_error *err)
{
    int ret;

    journal->state = (struct journal_state){ .role = role, .step = JOURNAL_STARTED };
    memcpy(journal->state.session, session, JOURNAL_ID_BYTES);
    journal_image_begin(&journal->image, role, session);
    journal_image_add(&journal->image, &journal->state);
    if (ftruncate(journal->fd, 0) < 0)
        return failed(journal->path, "cannot begin the journal", err);
    ret = store(journal, 0, JOURNAL_BYTES, err);
    if (ret == 0 && fsync(journal->fd) < 0)
        ret = failed(journal->path, "cannot make the journal durable", err);
    if (ret == 0)
        return sync_folder(journal->path, err);
    if (ftruncate(journal->fd, 0) < 0)
        log_warn(LOG_SESSION, "%s: cannot be emptied again, and is in the way of the next journal", journal->path);
    return ret;
}

static struct journal *journal_new(const char *path, int flags, struct ferry_error *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (!journal || !(journal->path = strdup(path))) {
        ferry_error_set(err, -ENOMEM, "%s: no memory for the journal", path);
        free(journal);
        return NULL;
    }
    journal->fd = open_regular(path, flags, err);
    if (journal->fd < 0 || lock(journal->fd, path, err) < 0) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

struct journal *journal_open(const char *path, enum journal_role role, const uint8_t session[JOURNAL_ID_BYTES],
                             struct ferry_error *err)
{
    struct journal *journal = journal_new(path, O_RDWR | O_CREAT, err);

    if (journal && (check_old(journal, role, session, err) < 0 || begin(journal, role, session, err) < 0)) {
        journal_close(journal);
        journal = NULL;
    }
    return journal;
}

struct journal *journal_resume(const char *path, enum journal_role role, struct ferry_error *err)
{
    struct journal *journal = journal_new(path, O_RDWR, err);
    int ret;

    if (!journal)
        return NULL;
    ret = load(journal->fd, path, &journal->image, &journal->state, err);
    if (ret == 0 && journal->state.role != role)
        ret = ferry_error_set_code(err, FERRY_E_JOURNAL, -EINVAL, "%s: the journal of a %s, not of a %s", path,
                                   role_name(journal->state.role), role_name(role));
    /* A disk that has once failed to keep a page may call it kept the next time it is asked, unless it is new. */
    if (ret == 0)
        ret = store(journal, 0, JOURNAL_BYTES, err);
    if (ret == 0 && fsync(journal->fd) < 0)
        ret = failed(path, "cannot make the journal durable", err);
    if (ret == 0) {
        journal->state.torn = false;
        return journal;
    }
    journal_close(journal);
    return NULL;
}

static int check_note(const struct journal *journal, enum journal_step step, const uint8_t *token,
                      struct ferry_error *err)
{
    const struct journal_state *state = &journal->state;
    bool again = journal->doubtful && step == state->step;

    if (!again && !journal_step_follows(state->step, step))
        return ferry_error_set(err, -EINVAL, "%s: '%s' cannot follow '%s'", journal->path,
                               journal_step_name(state->role, step), journal_step_name(state->role, state->step));
    if (journal_step_has_token(step) != (token != NULL))
        return ferry_error_set(err, -EINVAL, "%s: '%s' %s a token", journal->path, journal_step_name(state->role, step),
                               token ? "does not take" : "needs");
    if (token && state->has_token && memcmp(token, state->token, JOURNAL_TOKEN_BYTES))
        return ferry_error_set(err, -EINVAL, "%s: '%s' with another token", journal->path,
                               journal_step_name(state->role, step));
    return 0;
}

int journal_note(struct journal *journal, enum journal_step step, const uint8_t *token, struct ferry_error *err)
{
    struct journal_image image = journal->image;
    struct journal_state state = journal->state;
    size_t from;
    int ret = check_note(journal, step, token, err);

    if (ret < 0)
        return ret;
    if (journal->doubtful && step == state.step)
        journal->image.notes--;
    journal->state.step = step;
    if (token) {
        memcpy(journal->state.token, token, JOURNAL_TOKEN_BYTES);
        journal->state.has_token = true;
    }
    from = journal_image_end(&journal->image);
    journal_image_add(&journal->image, &journal->state);
    ret = store(journal, from, from + JOURNAL_RECORD_BYTES, err);
    if (ret < 0) {
        journal->image = image;
        journal->state = state;
        return ret;
    }
    journal->doubtful = fdatasync(journal->fd) < 0;
    return journal->doubtful ? failed(journal->path, "cannot make the note durable", err) : 0;
}

bool journal_doubtful(const struct journal *journal)
{
    return journal->doubtful;
}

const struct journal_state *journal_state(const struct journal *journal)
{
    return &journal->state;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    free(journal->path);
    free(journal);
}

int journal_read(const char *path, struct journal_state *out, struct ferry_error *err)
{
    struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct journal_image image;
    struct journal_state state;
    int fd = open_regular(path, O_RDONLY, err), ret;

    if (fd < 0)
        return fd;
    /* Asked first: what a process noted before it ended is then read. */
    if (fcntl(fd, F_OFD_GETLK, &held) < 0)
        held.l_type = F_UNLCK;
    ret = load(fd, path, &image, &state, err);
    close(fd);
    if (ret < 0)
        return ret;
    state.in_use = held.l_type != F_UNLCK;
    *out = state;
    return 0;
}
