/* SPDX-License-Identifier: BSD-3-Clause */
/* two.c - two processes that begin at the same moment, and what each of them took
 *
 *      child  -> parent   word: prepared     word: has run     word: finished
 *      parent -> child               a byte: go              a byte: so have I
 *
 * After a failure the child says so in its next word and is gone.
 */
#include "two.h"

#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says; smaller than PIPE_BUF, so it comes in one piece. */
struct word {
    int status;
    int64_t ended_ns, cpu_ns;
    struct ferry_error err;
};
_Static_assert(sizeof(struct word) <= 4096, "a word crosses a pipe in one piece");

static int call(int (*function)(void *, struct ferry_error *), void *opaque, struct ferry_error *err)
{
    return function ? function(opaque, err) : 0;
}

static int run(const struct two_side *side, void *opaque, int64_t *ended_ns, int64_t *cpu_ns, struct ferry_error *err)
{
    int64_t cpu = clock_cpu_ns();
    int ret = call(side->run, opaque, err);

    *ended_ns = clock_now_ns();
    *cpu_ns = clock_cpu_ns() - cpu;
    return ret;
}

/* Does what is said, and says how it went: false when nothing more is to be done. */
static bool say(int fd, struct word *word)
{
    return write(fd, word, sizeof(*word)) == sizeof(*word) && word->status == 0;
}

static void child_main(const struct two_side *side, void *opaque, int from, int to)
{
    struct word word = { 0 };
    char go;

    word.status = call(side->prepare, opaque, &word.err);
    if (!say(to, &word) || read(from, &go, 1) != 1)
        return;
    word.status = run(side, opaque, &word.ended_ns, &word.cpu_ns, &word.err);
    if (!say(to, &word) || read(from, &go, 1) != 1)
        return;
    word.status = call(side->finish, opaque, &word.err);
    say(to, &word);
}

static int hear(int fd, struct word *word, struct ferry_error *err)
{
    ssize_t got = read(fd, word, sizeof(*word));

    if (got != sizeof(*word))
        return ferry_error_set(err, -ECHILD, "the other process is gone");
    if (word->status < 0 && err)
        *err = word->err;
    return word->status;
}

static int let_go(int fd, struct ferry_error *err)
{
    return write(fd, "g", 1) == 1 ? 0 : ferry_error_set(err, -ECHILD, "the other process is gone");
}

static int parent_main(const struct two_side *side, void *opaque, int from, int to, struct two_took *took,
                       struct ferry_error *err)
{
    int64_t began, ended = 0;
    struct word word;
    int ret = call(side->prepare, opaque, err);

    if (ret == 0)
        ret = hear(from, &word, err);
    began = clock_now_ns();
    if (ret == 0)
        ret = let_go(to, err);
    if (ret == 0)
        ret = run(side, opaque, &ended, &took->cpu_ns[0], err);
    if (ret == 0)
        ret = hear(from, &word, err);
    if (ret == 0)
        ret = let_go(to, err);
    if (ret < 0)
        return ret;
    took->cpu_ns[1] = word.cpu_ns;
    took->ns = (ended > word.ended_ns ? ended : word.ended_ns) - began;
    ret = call(side->finish, opaque, err);
    return ret == 0 ? hear(from, &word, err) : ret;
}

int two_run(const struct two_side sides[2], void *opaque, struct two_took *took, struct ferry_error *err)
{
    int up[2], down[2], ret;
    pid_t child;

    if (pipe(up) < 0)
        return ferry_error_set(err, -errno, "pipe: %s", strerror(errno));
    if (pipe(down) < 0) {
        ret = ferry_error_set(err, -errno, "pipe: %s", strerror(errno));
        close(up[0]);
        close(up[1]);
        return ret;
    }
    child = fork();
    if (child == 0) {
        close(up[0]);
        close(down[1]);
        child_main(&sides[1], opaque, down[0], up[1]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    ret = child < 0 ? ferry_error_set(err, -errno, "fork: %s", strerror(errno))
                    : parent_main(&sides[0], opaque, up[0], down[1], took, err);
    if (child > 0 && ret < 0)
        kill(child, SIGKILL);
    if (child > 0)
        waitpid(child, NULL, 0);
    close(up[0]);
    close(down[1]);
    return ret;
}
