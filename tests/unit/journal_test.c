/* SPDX-License-Identifier: BSD-3-Clause */
/* journal_test.c - a journal says what was noted, durably, and nothing else: cut, damaged, full, or somebody else's
 *
 * The linker sends fdatasync to the wrapper here (-Wl,--wrap), which can fail and sees what the file holds by then.
 */
#include "journal.h"

#include "journal_image.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static const uint8_t session[JOURNAL_ID_BYTES] = "the session's id";
static const uint8_t other[JOURNAL_ID_BYTES] = "another session";
static const uint8_t token[JOURNAL_TOKEN_BYTES] = "a token of its o";
static const uint8_t foreign[JOURNAL_TOKEN_BYTES] = "somebody's token";

static char folder[] = "/tmp/ferry-journal-XXXXXX";
static char path[sizeof(folder) + 16];
static struct ferry_error err;
static bool sync_fails;
static struct journal_image synced; /* what the file held at the last fdatasync() */

int __wrap_fdatasync(int fd)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    memset(&synced, 0, sizeof(synced));
    assert_true(pread(fd, synced.bytes, sizeof(synced.bytes), 0) >= 0);
    return __real_fdatasync(fd);
}

static struct journal *open_new(enum journal_role role)
{
    struct journal *journal = journal_open(path, role, session, &err);

    if (!journal)
        fail_msg("%s", err.text);
    return journal;
}

static void note(struct journal *journal, enum journal_step step)
{
    if (journal_note(journal, step, journal_step_has_token(step) ? token : NULL, &err) < 0)
        fail_msg("%s", err.text);
}

/* A journal whose session came to @step by the shortest way. */
static void write_to(enum journal_role role, enum journal_step step)
{
    struct journal *journal = open_new(role);

    for (enum journal_step next = JOURNAL_PREPARED; next <= step && step != JOURNAL_ABORTED; next++)
        note(journal, next);
    if (step == JOURNAL_ABORTED)
        note(journal, step);
    journal_close(journal);
}

static size_t read_bytes(uint8_t bytes[JOURNAL_BYTES])
{
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, bytes, JOURNAL_BYTES);

    close(fd);
    assert_true(got >= 0);
    return (size_t)got;
}

static void write_bytes(const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static int read_state(struct journal_state *state)
{
    memset(state, 0xee, sizeof(*state));
    return journal_read(path, state, &err);
}

static void assert_says(enum journal_role role, enum journal_step step)
{
    struct journal_state state;

    if (read_state(&state) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(state.role, role);
    assert_string_equal(journal_step_name(role, state.step), journal_step_name(role, step));
    assert_memory_equal(state.session, session, sizeof(session));
    assert_int_equal(state.has_token, step > JOURNAL_STARTED && step < JOURNAL_ABORTED);
    if (state.has_token)
        assert_memory_equal(state.token, token, sizeof(token));
    assert_false(state.torn);
    assert_false(state.in_use);
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/journal", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static int fresh(void **state)
{
    unlink(path);
    sync_fails = false;
    err.text[0] = '\0';
    return 0;
}

static void every_step_is_read_back(void **state)
{
    for (enum journal_role role = JOURNAL_SOURCE; role <= JOURNAL_DESTINATION; role++) {
        for (enum journal_step step = JOURNAL_STARTED; step < JOURNAL_STEPS; step++) {
            fresh(state);
            write_to(role, step);
            assert_says(role, step);
        }
    }
}

static void the_bytes_are_as_documented(void **state)
{
    static const uint8_t head[] = "FERRYJNL\0\1\0\2\0\0\0\0the session's id", committed[] =
                                                                                  "\0\3\0\3\0\0\0\0\0\0\0\0\0\0\0\0"
                                                                                  "the session's id"
                                                                                  "a token of its o";
    uint8_t bytes[JOURNAL_BYTES];
    struct stat st;

    write_to(JOURNAL_DESTINATION, JOURNAL_COMMITTED);
    assert_int_equal(read_bytes(bytes), 512);
    assert_memory_equal(bytes, head, sizeof(head) - 1);
    assert_memory_equal(bytes + 60, "NOTE", 4);
    assert_memory_equal(bytes + 192, committed, sizeof(committed) - 1);
    assert_memory_equal(bytes + 192 + 60, "NOTE", 4);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_note_is_durable_before_it_returns(void **state)
{
    struct journal *journal = open_new(JOURNAL_SOURCE);
    uint8_t bytes[JOURNAL_BYTES];

    for (enum journal_step step = JOURNAL_PREPARED; step <= JOURNAL_DONE; step++) {
        memset(&synced, 0, sizeof(synced));
        note(journal, step);
        read_bytes(bytes);
        assert_memory_equal(synced.bytes, bytes, sizeof(bytes));
        assert_int_equal(bytes[64 * step + 1], step);
    }
    journal_close(journal);
}

static void only_the_next_step_with_its_token_is_noted(void **state)
{
    for (enum journal_step last = JOURNAL_STARTED; last < JOURNAL_STEPS; last++) {
        struct journal *journal;

        fresh(state);
        write_to(JOURNAL_SOURCE, last);
        journal = journal_resume(path, JOURNAL_SOURCE, &err);
        assert_non_null(journal);
        for (enum journal_step step = JOURNAL_NOTHING; step < JOURNAL_STEPS; step++)
            if (!journal_step_follows(last, step))
                assert_int_equal(journal_note(journal, step, journal_step_has_token(step) ? token : NULL, &err),
                                 -EINVAL);
        assert_int_equal(journal_note(journal, JOURNAL_ABORTED, token, &err), -EINVAL);
        assert_int_equal(journal_note(journal, JOURNAL_PREPARED, NULL, &err), -EINVAL);
        if (last == JOURNAL_PREPARED)
            assert_int_equal(journal_note(journal, JOURNAL_COMMITTED, foreign, &err), -EINVAL);
        journal_close(journal);
        assert_says(JOURNAL_SOURCE, last);
    }
}

static void a_torn_tail_leaves_the_step_before(void **state)
{
    uint8_t whole[JOURNAL_BYTES], cut[JOURNAL_BYTES];
    struct journal_state said;

    write_to(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    read_bytes(whole);
    for (size_t kept = 0; kept <= 4 * JOURNAL_RECORD_BYTES; kept++) {
        size_t notes = kept / JOURNAL_RECORD_BYTES ? kept / JOURNAL_RECORD_BYTES - 1 : 0;

        memset(cut, 0, sizeof(cut));
        memcpy(cut, whole, kept);
        for (int shorter = 0; shorter < 2; shorter++) {
            write_bytes(cut, shorter ? kept : sizeof(cut));
            if (kept < 2 * JOURNAL_RECORD_BYTES) {
                int ret = read_state(&said);

                /* what is cut within its very name may be anything */
                if (ret != -ENODATA && !(ret == -EBADMSG && kept > 0 && kept < 8 && !shorter))
                    fail_msg("%zu bytes: %d: %s", kept, ret, err.text);
                continue;
            }
            assert_int_equal(read_state(&said), 0);
            assert_int_equal(said.step, notes);
            /* a note begins with a zero: one byte of it is none of it */
            assert_int_equal(said.torn, kept % JOURNAL_RECORD_BYTES > 1);
        }
    }
}

static void what_is_torn_is_written_over(void **state)
{
    uint8_t bytes[JOURNAL_BYTES];
    struct journal *journal;

    write_to(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    read_bytes(bytes);
    memset(bytes + 3 * JOURNAL_RECORD_BYTES + 40, 0, sizeof(bytes) - 3 * JOURNAL_RECORD_BYTES - 40);
    write_bytes(bytes, sizeof(bytes));
    journal = journal_resume(path, JOURNAL_SOURCE, &err);
    assert_non_null(journal);
    assert_int_equal(journal_state(journal)->step, JOURNAL_PREPARED);
    note(journal, JOURNAL_COMMITTED);
    journal_close(journal);
    assert_says(JOURNAL_SOURCE, JOURNAL_COMMITTED);
}

/* A flipped bit never changes what a journal says: it is refused, or it lies behind the last note. */
static void a_flipped_bit_is_noticed(void **state)
{
    uint8_t bytes[JOURNAL_BYTES];
    struct journal_state said;

    write_to(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    read_bytes(bytes);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        struct journal_image image;
        int ret;

        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ret = journal_image_decode(bytes, sizeof(bytes), &image, &said, &err);
        if (bit / 8 < 4 * JOURNAL_RECORD_BYTES)
            assert_int_equal(ret, -EBADMSG);
        else if (ret == 0)
            assert_int_equal(said.step, JOURNAL_COMMITTED);
        else
            assert_int_equal(ret, -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void notes_of_another_journal_are_refused(void **state)
{
    uint8_t mine[JOURNAL_BYTES], theirs[JOURNAL_BYTES];
    struct journal_state said;
    struct journal *journal;

    write_to(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    read_bytes(mine);
    fresh(state);
    journal = journal_open(path, JOURNAL_SOURCE, other, &err);
    note(journal, JOURNAL_PREPARED);
    note(journal, JOURNAL_COMMITTED);
    journal_close(journal);
    read_bytes(theirs);
    for (size_t at = 0; at < 4 * JOURNAL_RECORD_BYTES; at += JOURNAL_RECORD_BYTES) {
        uint8_t mixed[JOURNAL_BYTES];

        memcpy(mixed, mine, sizeof(mixed));
        memcpy(mixed + at, theirs + at, JOURNAL_RECORD_BYTES);
        write_bytes(mixed, sizeof(mixed));
        assert_int_equal(read_state(&said), -EBADMSG);
        memcpy(mixed + at, mine + (at + JOURNAL_RECORD_BYTES) % 256, JOURNAL_RECORD_BYTES);
        write_bytes(mixed, sizeof(mixed));
        assert_int_equal(read_state(&said), -EBADMSG);
    }
}

static void hostile_files_are_refused(void **state)
{
    uint8_t bytes[JOURNAL_BYTES + 1] = { 0 };
    struct journal_state said;

    assert_int_equal(read_state(&said), -ENOENT);
    write_bytes((const uint8_t *)"a letter\n", 9);
    assert_int_equal(read_state(&said), -EBADMSG);
    assert_null(journal_open(path, JOURNAL_SOURCE, session, &err));
    assert_int_equal(err.errnum, -EBADMSG);
    assert_int_equal(read_bytes(bytes), 9);
    memset(bytes, 0, sizeof(bytes));
    write_bytes(bytes, sizeof(bytes));
    assert_int_equal(read_state(&said), -EBADMSG);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_state(&said), -EINVAL);
    assert_null(journal_open(path, JOURNAL_SOURCE, session, &err));
    assert_int_equal(err.errnum, -EINVAL);
    assert_int_equal(journal_read(folder, &said, &err), -EINVAL);
    assert_int_equal(journal_read("/dev/full", &said, &err), -EINVAL);
}

/* Who may begin anew in the file of another session, and that nobody may in the file of this one. */
static void a_journal_that_is_needed_is_kept(void **state)
{
    static const struct {
        enum journal_role role;
        enum journal_step step;
        bool anew;
    } rows[] = {
        { JOURNAL_SOURCE, JOURNAL_STARTED, false },      { JOURNAL_SOURCE, JOURNAL_PREPARED, false },
        { JOURNAL_SOURCE, JOURNAL_COMMITTED, false },    { JOURNAL_SOURCE, JOURNAL_DONE, true },
        { JOURNAL_SOURCE, JOURNAL_ABORTED, true },       { JOURNAL_DESTINATION, JOURNAL_STARTED, false },
        { JOURNAL_DESTINATION, JOURNAL_READY, false },   { JOURNAL_DESTINATION, JOURNAL_COMMITTED, false },
        { JOURNAL_DESTINATION, JOURNAL_RUNNING, false }, { JOURNAL_DESTINATION, JOURNAL_ABORTED, true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum journal_role stranger = rows[i].role == JOURNAL_SOURCE ? JOURNAL_DESTINATION : JOURNAL_SOURCE;
        struct journal *journal;

        fresh(state);
        write_to(rows[i].role, rows[i].step);
        assert_null(journal_open(path, rows[i].role, session, &err));
        assert_int_equal(err.errnum, -EEXIST);
        assert_null(journal_open(path, stranger, other, &err));
        assert_int_equal(err.errnum, -EEXIST);
        assert_says(rows[i].role, rows[i].step);
        journal = journal_open(path, rows[i].role, other, &err);
        assert_int_equal(journal != NULL, rows[i].anew);
        if (!journal)
            assert_int_equal(err.errnum, -EEXIST);
        journal_close(journal);
    }
}

static void who_gave_up_after_it_was_ready_keeps_saying_so(void **state)
{
    struct journal *journal = open_new(JOURNAL_DESTINATION);

    note(journal, JOURNAL_READY);
    note(journal, JOURNAL_ABORTED);
    journal_close(journal);
    assert_null(journal_open(path, JOURNAL_DESTINATION, other, &err));
    assert_int_equal(err.errnum, -EEXIST);
}

static void one_process_at_a_time(void **state)
{
    struct journal *journal = open_new(JOURNAL_SOURCE);
    struct journal_state said;

    assert_null(journal_resume(path, JOURNAL_SOURCE, &err));
    assert_int_equal(err.errnum, -EBUSY);
    assert_null(journal_open(path, JOURNAL_SOURCE, other, &err));
    assert_int_equal(err.errnum, -EBUSY);
    assert_int_equal(read_state(&said), 0);
    assert_true(said.in_use);
    journal_close(journal);
    assert_says(JOURNAL_SOURCE, JOURNAL_STARTED);
    assert_null(journal_resume(path, JOURNAL_DESTINATION, &err));
    assert_int_equal(err.errnum, -EINVAL);
    journal = journal_resume(path, JOURNAL_SOURCE, &err);
    assert_non_null(journal);
    journal_close(journal);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_noticed_at_the_beginning(void **state)
{
    struct journal *journal;
    uint8_t bytes[JOURNAL_BYTES];

    limit_file_size(100);
    journal = journal_open(path, JOURNAL_SOURCE, session, &err);
    limit_file_size(RLIM_INFINITY);
    assert_null(journal);
    assert_int_equal(err.errnum, -EFBIG);
    assert_int_equal(err.code, FERRY_E_JOURNAL);
    assert_int_equal(read_bytes(bytes), 0);
    journal_close(open_new(JOURNAL_SOURCE));
}

static void what_could_not_be_written_is_surely_not_there(void **state)
{
    struct journal *journal = open_new(JOURNAL_SOURCE);
    struct journal_state said;
    int ret;

    note(journal, JOURNAL_PREPARED);
    limit_file_size(3 * JOURNAL_RECORD_BYTES + 20); /* the first bytes of the note get there */
    ret = journal_note(journal, JOURNAL_COMMITTED, token, &err);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(ret, -EFBIG);
    assert_false(journal_doubtful(journal));
    assert_int_equal(journal_state(journal)->step, JOURNAL_PREPARED);
    note(journal, JOURNAL_ABORTED);
    journal_close(journal);
    assert_int_equal(read_state(&said), 0);
    assert_int_equal(said.step, JOURNAL_ABORTED);
}

static void a_note_in_doubt_is_not_replaced(void **state)
{
    struct journal *journal = open_new(JOURNAL_SOURCE);
    struct journal_state said;

    note(journal, JOURNAL_PREPARED);
    sync_fails = true;
    assert_int_equal(journal_note(journal, JOURNAL_COMMITTED, token, &err), -EIO);
    assert_true(journal_doubtful(journal));
    assert_int_equal(journal_state(journal)->step, JOURNAL_COMMITTED);
    assert_int_equal(read_state(&said), -EIO); /* a reader does not believe it either */
    assert_int_equal(journal_note(journal, JOURNAL_COMMITTED, token, &err), -EIO);
    assert_int_equal(journal_note(journal, JOURNAL_PREPARED, token, &err), -EINVAL);
    sync_fails = false;
    note(journal, JOURNAL_COMMITTED);
    assert_false(journal_doubtful(journal));
    note(journal, JOURNAL_DONE);
    journal_close(journal);
    assert_says(JOURNAL_SOURCE, JOURNAL_DONE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_step_is_read_back, fresh),
        cmocka_unit_test_setup(the_bytes_are_as_documented, fresh),
        cmocka_unit_test_setup(a_note_is_durable_before_it_returns, fresh),
        cmocka_unit_test_setup(only_the_next_step_with_its_token_is_noted, fresh),
        cmocka_unit_test_setup(a_torn_tail_leaves_the_step_before, fresh),
        cmocka_unit_test_setup(what_is_torn_is_written_over, fresh),
        cmocka_unit_test_setup(a_flipped_bit_is_noticed, fresh),
        cmocka_unit_test_setup(notes_of_another_journal_are_refused, fresh),
        cmocka_unit_test_setup(hostile_files_are_refused, fresh),
        cmocka_unit_test_setup(a_journal_that_is_needed_is_kept, fresh),
        cmocka_unit_test_setup(who_gave_up_after_it_was_ready_keeps_saying_so, fresh),
        cmocka_unit_test_setup(one_process_at_a_time, fresh),
        cmocka_unit_test_setup(a_full_disk_is_noticed_at_the_beginning, fresh),
        cmocka_unit_test_setup(what_could_not_be_written_is_surely_not_there, fresh),
        cmocka_unit_test_setup(a_note_in_doubt_is_not_replaced, fresh),
    };

    signal(SIGXFSZ, SIG_IGN); /* past the limit, a write shall fail */
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
