/* SPDX-License-Identifier: BSD-3-Clause */
/* memory_source.c - a source for a QEMU: one block of memory that a thread writes all the while, and no devices
 *
 *      memory-source ADDRESS MACHINE BLOCK MEGABYTES FILE [NAME=VALUE...]
 *
 * It is allowed to switch once ROUNDS rounds, one after the other, have seen all its pages written.  In postcopy it
 * goes as fast as it can once it was interrupted.  In the end its memory is in FILE, and what each connection carried
 * on stdout.
 */
#include <ferry/session.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROUNDS       4
#define WRITTEN_FROM 0x100000u /* the machine's firmware and what devices shadow lies below */
#define PAGE_BYTES   4096u
#define PERIOD       16 /* of the pattern of pages */
#define CHANNELS_MAX 17

struct machine {
    uint8_t *memory;
    size_t bytes;
    atomic_bool stop;
    atomic_ullong passes; /* over all that it writes */
    pthread_t writer;
};

/* ---- the guest --------------------------------------------------------------------------------------------------- */

/* In a part of the pages: a word changes, all become zeros, or noise.  While they are being sent: not for a sanitizer
 * to judge. */
__attribute__((no_sanitize("thread"))) static void write_page(volatile uint64_t *words, size_t page, uint64_t value)
{
    if (page % PERIOD == 1)
        words[value % 512] = value;
    for (unsigned i = 0; page % PERIOD == 2 && i < 512; i++)
        words[i] = value % 3 ? 0 : value * (i + 1);
}

static void *write_memory(void *opaque)
{
    struct machine *machine = opaque;

    for (uint64_t value = 1; !atomic_load(&machine->stop); value++, atomic_fetch_add(&machine->passes, 1))
        for (size_t at = WRITTEN_FROM; at < machine->bytes / 4; at += PAGE_BYTES)
            write_page((volatile uint64_t *)(void *)(machine->memory + at), at / PAGE_BYTES, value);
    return NULL;
}

/* A third is noise, the rest zeros, of which the guest has touched a half. */
static void fill(struct machine *machine)
{
    uint64_t x = 88172645463325252u;

    for (size_t at = WRITTEN_FROM; at < machine->bytes; at += PAGE_BYTES) {
        uint64_t *words = (uint64_t *)(void *)(machine->memory + at);

        if (at / PAGE_BYTES % 3 == 1)
            *(volatile uint64_t *)words = 0;
        for (unsigned i = 0; at / PAGE_BYTES % 3 == 0 && i < PAGE_BYTES / sizeof(*words); i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[i] = x;
        }
    }
}

static int guest_stop(void *opaque, struct ferry_error *err)
{
    struct machine *machine = opaque;

    atomic_store(&machine->stop, true);
    pthread_join(machine->writer, NULL);
    return 0;
}

static int guest_start(void *opaque, struct ferry_error *err)
{
    return ferry_error_set(err, -ENOTSUP, "it does not go on here");
}

static const struct ferry_guest_ops guest_ops = { .stop = guest_stop, .start = guest_start };

/* ---- the program ------------------------------------------------------------------------------------------------- */

static struct ferry_guest *make_guest(struct machine *machine, char **argv, struct ferry_error *err)
{
    struct ferry_guest *guest = ferry_guest_new(argv[2], &guest_ops, machine, err);
    struct ferry_block block = { .name = argv[3], .page_size = PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE };

    machine->bytes = (size_t)atoi(argv[4]) << 20;
    machine->memory = mmap(NULL, machine->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    block.host = machine->memory;
    block.length = machine->bytes;
    if (!guest || machine->memory == MAP_FAILED || ferry_guest_add_block(guest, &block, err) < 0)
        return NULL;
    (void)madvise(machine->memory, machine->bytes, MADV_NOHUGEPAGE);
    fill(machine);
    return guest;
}

static int set_options(struct ferry_options *options, char **words, struct ferry_error *err)
{
    int ret = ferry_options_set(options, "downtime-limit", "0", err);

    for (; ret == 0 && *words; words++) {
        char *value = strchr(*words, '=');

        if (!value)
            return ferry_error_set(err, -EINVAL, "%s: NAME=VALUE is wanted", *words);
        *value = '\0';
        ret = ferry_options_set(options, *words, value + 1, err);
    }
    return ret;
}

static void tell(struct ferry_session *session)
{
    struct ferry_channel_stats channels[CHANNELS_MAX];
    unsigned count = ferry_session_channels(session, channels, CHANNELS_MAX);

    for (unsigned i = 0; i < count && i < CHANNELS_MAX; i++)
        printf("%s %" PRIu64 " %s\n", channels[i].role, channels[i].bytes, channels[i].codecs);
}

/* Its memory follows: what is left when that was interrupted goes unlimited. */
static int follow(struct ferry_session *session, struct ferry_error *err)
{
    struct ferry_stats stats;
    int ret;

    do {
        ret = ferry_session_wait(session, 10, err);
        ferry_session_stats(session, &stats);
    } while (ret == -ETIMEDOUT && stats.postcopy.resumed == 0);
    return ret == -ETIMEDOUT ? ferry_session_set_option(session, "max-postcopy-bandwidth", "unlimited", err) : ret;
}

/* It writes too much to be let go, until it is. */
static int migrate(struct ferry_guest *guest, struct machine *machine, const char *uri,
                   const struct ferry_options *options, struct ferry_error *err)
{
    struct ferry_session *session = ferry_source_connect(guest, uri, options, err);
    struct ferry_stats stats = { 0 };
    int ret = session ? -ETIMEDOUT : err->errnum;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned long long passes = atomic_load(&machine->passes) + 1; /* one that begins now */
        uint64_t rounds = stats.ram.rounds;

        while (ret == -ETIMEDOUT && stats.phase != FERRY_PHASE_POSTCOPY_ACTIVE &&
               (stats.ram.rounds <= rounds || atomic_load(&machine->passes) <= passes)) {
            ret = ferry_session_wait(session, 10, err);
            ferry_session_stats(session, &stats);
        }
    }
    if (ret == -ETIMEDOUT && stats.phase == FERRY_PHASE_POSTCOPY_ACTIVE)
        ret = follow(session, err);
    else if (ret == -ETIMEDOUT)
        ret = ferry_session_set_option(session, "downtime-limit", "60s", err);
    if (ret == 0)
        ret = ferry_session_wait(session, FERRY_NO_DEADLINE, err);
    if (session)
        tell(session);
    ferry_session_free(session);
    return ret;
}

static int save(const struct machine *machine, const char *path, struct ferry_error *err)
{
    FILE *to = fopen(path, "wb");
    size_t done = to ? fwrite(machine->memory, 1, machine->bytes, to) : 0;

    if (!to || fclose(to) == EOF || done < machine->bytes)
        return ferry_error_set(err, -EIO, "%s: not written", path);
    return 0;
}

int main(int argc, char **argv)
{
    struct ferry_options *options = ferry_options_new();
    struct ferry_error err = { 0 };
    struct machine machine = { 0 };
    struct ferry_guest *guest;
    int ret;

    if (argc < 6 || !options)
        return 2;
    guest = make_guest(&machine, argv, &err);
    ret = guest ? set_options(options, argv + 6, &err) : -EINVAL;
    if (ret == 0)
        ret = -pthread_create(&machine.writer, NULL, write_memory, &machine);
    if (ret == 0)
        ret = migrate(guest, &machine, argv[1], options, &err);
    if (ret == 0)
        ret = save(&machine, argv[5], &err);
    if (ret < 0)
        fprintf(stderr, "%s\n", ferry_error_text(&err));
    ferry_guest_free(guest);
    ferry_options_free(options);
    return ret < 0;
}
