/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_session_test.c - both sides of a postcopy in one process: what a device may do while it is loaded, what is
 * left after a failure, what comes from whom does not keep to the order */
#include "postcopy_ram.h"
#include "postcopy_state.h"
#include "session.h"
#include "userfault.h"
#include "userfault_place.h"

#include <ferry/session.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 512
#define BYTES ((size_t)PAGES * FERRY_PAGE_BYTES)
#define SEEN  300 /* the page that the device looks at */

struct machine {
    struct ferry_guest *guest;
    uint64_t *memory;
    uint64_t steps; /* device state */
    uint64_t seen;  /* what post_load found in memory */
    bool refuses;   /* ... and what it says to that */
    atomic_int starts, stops;
};

static uint64_t content(size_t page)
{
    return page * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t *page_of(const struct machine *machine, size_t page)
{
    return machine->memory + page * FERRY_PAGE_BYTES / sizeof(uint64_t);
}

static int start(void *opaque, struct ferry_error *err)
{
    atomic_fetch_add(&((struct machine *)opaque)->starts, 1);
    return 0;
}

static int stop(void *opaque, struct ferry_error *err)
{
    atomic_fetch_add(&((struct machine *)opaque)->stops, 1);
    return 0;
}

static const struct ferry_guest_ops ops = { .stop = stop, .start = start };

static int look_at_memory(void *opaque, int version, struct ferry_error *err)
{
    struct machine *machine = opaque;

    machine->seen = *page_of(machine, SEEN);
    return machine->refuses ? ferry_error_set(err, -EINVAL, "the device does not like what it sees") : 0;
}

static const struct ferry_field fields[] = { FERRY_U64(steps, struct machine), FERRY_END };
static const struct ferry_state_desc desc = {
    .name = "looker",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct machine),
    .fields = fields,
    .hooks = { .post_load = look_at_memory },
};

static void machine_open(struct machine *machine, bool filled)
{
    struct ferry_block block = { .name = "ram", .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE };

    memset(machine, 0, sizeof(*machine));
    block.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->memory = block.host;
    for (size_t page = 0; filled && page < PAGES; page++)
        *page_of(machine, page) = content(page);
    machine->guest = ferry_guest_new("looking", &ops, machine, NULL);
    assert_non_null(machine->guest);
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
    assert_int_equal(ferry_guest_add_device(machine->guest, &desc, machine, NULL, FERRY_INSTANCE_NEXT, NULL), 0);
}

static void machine_close(struct machine *machine)
{
    ferry_guest_free(machine->guest);
    munmap(machine->memory, BYTES);
}

/* A migration that goes over before the first page, with so little for the background that it does not get there. */
struct crossing {
    struct machine here, there;
    struct ferry_session *source, *destination;
    char path[64];
};

static struct ferry_options *options_of(const char *channels, bool is_source)
{
    struct ferry_options *options = ferry_options_new();

    assert_non_null(options);
    if (is_source) {
        assert_int_equal(ferry_options_set(options, "postcopy", "now", NULL), 0);
        assert_int_equal(ferry_options_set(options, "channels", channels, NULL), 0);
        assert_int_equal(ferry_options_set(options, "max-postcopy-bandwidth", "4MiB/s", NULL), 0);
        assert_int_equal(ferry_options_set(options, "postcopy-prefetch", "0", NULL), 0);
    }
    return options;
}

static void begin(struct crossing *crossing, const char *channels, bool refuses)
{
    struct ferry_options *ours = options_of(channels, true), *theirs = options_of(channels, false);
    struct ferry_error err = { 0 };
    struct ferry_listener *listener;
    char uri[80];

    machine_open(&crossing->here, true);
    machine_open(&crossing->there, false);
    crossing->there.refuses = refuses;
    snprintf(crossing->path, sizeof(crossing->path), "/tmp/ferry-postcopy-%d", getpid());
    unlink(crossing->path);
    snprintf(uri, sizeof(uri), "unix:%s", crossing->path);
    listener = ferry_listener_open(uri, &err);
    assert_non_null(listener);
    crossing->destination = ferry_destination_listen(crossing->there.guest, listener, FERRY_NO_DEADLINE, theirs, &err);
    assert_non_null(crossing->destination);
    crossing->source = ferry_source_connect(crossing->here.guest, uri, ours, &err);
    if (!crossing->source)
        fail_msg("%s", err.text);
    ferry_options_free(ours);
    ferry_options_free(theirs);
}

static void end(struct crossing *crossing)
{
    ferry_session_free(crossing->source);
    ferry_session_free(crossing->destination);
    machine_close(&crossing->here);
    machine_close(&crossing->there);
    unlink(crossing->path);
}

static void a_device_reads_memory(const char *channels)
{
    struct crossing crossing;
    struct ferry_error err = { 0 };
    struct ferry_stats stats;

    begin(&crossing, channels, false);
    if (ferry_session_wait(crossing.source, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(ferry_session_wait(crossing.destination, FERRY_NO_DEADLINE, &err), 0);
    assert_true(crossing.there.seen == content(SEEN));
    for (size_t page = 0; page < PAGES; page++)
        assert_true(*page_of(&crossing.there, page) == content(page));
    ferry_session_stats(crossing.destination, &stats);
    assert_string_equal(stats.postcopy.state, "end");
    assert_int_equal(stats.postcopy.discarded_pages, PAGES);
    assert_int_equal(stats.postcopy.missing_pages, 0);
    assert_int_equal(stats.postcopy.duplicates, 0);
    assert_int_equal(crossing.here.starts + crossing.there.stops, 0);
    assert_int_equal(crossing.there.starts, 1);
    end(&crossing);
}

static void a_touch_while_a_device_is_loaded_is_answered(void **state)
{
    a_device_reads_memory("0");
    a_device_reads_memory("2");
}

static void what_fails_before_the_guest_runs_leaves_it_at_the_source(void **state)
{
    struct crossing crossing;
    struct ferry_error here = { 0 }, there = { 0 };

    begin(&crossing, "1", true);
    assert_true(ferry_session_wait(crossing.source, FERRY_NO_DEADLINE, &here) < 0);
    assert_true(ferry_session_wait(crossing.destination, FERRY_NO_DEADLINE, &there) < 0);
    assert_non_null(strstr(here.text, "does not like what it sees"));
    assert_string_equal(here.text, there.text);
    assert_int_equal(crossing.here.starts, 1);
    assert_int_equal(crossing.there.starts, 0);
    /* Nothing waits for pages that never come. */
    for (size_t page = 0; page < PAGES; page++)
        assert_true(*page_of(&crossing.there, page) == 0 || *page_of(&crossing.there, page) == content(page));
    end(&crossing);
}

static void a_cancel_behind_the_switch_comes_too_late(void **state)
{
    struct crossing crossing;
    struct ferry_stats stats;

    begin(&crossing, "1", false);
    do {
        ferry_session_wait(crossing.source, 1, NULL);
        ferry_session_stats(crossing.source, &stats);
    } while (stats.phase < FERRY_PHASE_COMPLETED);
    assert_true(stats.phase == FERRY_PHASE_POSTCOPY_ACTIVE || stats.phase == FERRY_PHASE_COMPLETED);
    ferry_session_cancel(crossing.source);
    ferry_session_cancel(crossing.destination);
    assert_int_equal(ferry_session_wait(crossing.source, FERRY_NO_DEADLINE, NULL), 0);
    assert_int_equal(ferry_session_wait(crossing.destination, FERRY_NO_DEADLINE, NULL), 0);
    assert_int_equal(ferry_session_start_postcopy(crossing.source, NULL), 0); /* harmless */
    end(&crossing);
}

/* ---- behind a connection that broke ------------------------------------------------------------------------------ */

static _Thread_local sigjmp_buf back;

static void on_bus(int signum)
{
    siglongjmp(back, signum);
}

/* A vCPU that goes on.  What is in front of a page that was asked for is what the background comes to last. */
static void *touch_the_last_page(void *opaque)
{
    struct machine *machine = opaque;

    if (!sigsetjmp(back, 1))
        (void)*(volatile uint64_t *)page_of(machine, SEEN - 1);
    return NULL;
}

/* Else nobody wakes who waits for a page. */
static bool can_poison(void)
{
    void *page = mmap(NULL, FERRY_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct ferry_block block = { .name = "page", .host = page, .length = FERRY_PAGE_BYTES };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    int ret = userfault_register(fd, &block, UFFDIO_REGISTER_MODE_MISSING, UINT64_C(1) << _UFFDIO_POISON, NULL);

    close(fd);
    munmap(page, FERRY_PAGE_BYTES);
    return ret == 0;
}

static void who_touches_what_is_missing_after_the_end_waits(void **state)
{
    struct sigaction action = { .sa_handler = on_bus };
    static struct postcopy_figures figures;
    struct crossing crossing;
    struct ferry_stats stats;
    pthread_t vcpu;

    if (!can_poison())
        skip();
    sigaction(SIGBUS, &action, NULL);
    begin(&crossing, "1", false);
    assert_int_equal(ferry_session_set_option(crossing.source, "max-postcopy-bandwidth", "16KiB/s", NULL), 0);
    do {
        ferry_session_wait(crossing.destination, 1, NULL);
        ferry_session_stats(crossing.destination, &stats);
    } while (stats.phase != FERRY_PHASE_POSTCOPY_ACTIVE);
    ferry_session_free(crossing.source);
    crossing.source = NULL;
    assert_int_equal(ferry_session_wait(crossing.destination, FERRY_NO_DEADLINE, NULL), -ENOTRECOVERABLE);
    assert_int_equal(pthread_create(&vcpu, NULL, touch_the_last_page, &crossing.there), 0);
    do {
        usleep(200);
        postcopy_ram_figures(crossing.destination->split_ram, &figures);
    } while (figures.unasked == 0);
    assert_int_equal(figures.blocked, 1);
    assert_int_equal(crossing.there.starts, 1);
    ferry_session_free(crossing.destination); /* pages that are missing are poisoned */
    crossing.destination = NULL;
    pthread_join(vcpu, NULL);
    end(&crossing);
}

static void it_must_have_been_agreed_to(void **state)
{
    struct machine machine;
    struct ferry_channel *pair[2];
    struct ferry_session *session;
    struct ferry_error err = { 0 };

    machine_open(&machine, true);
    assert_int_equal(ferry_channel_pair(pair, &err), 0);
    session = ferry_source_start(machine.guest, pair[0], NULL, &err);
    assert_non_null(session);
    assert_int_equal(ferry_session_start_postcopy(session, &err), -EPERM);
    ferry_session_free(session);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    machine_close(&machine);
}

static void states_have_an_order(void **state)
{
    static const enum postcopy_state way[] = { POSTCOPY_NONE,   POSTCOPY_ADVISE,  POSTCOPY_DISCARD,
                                               POSTCOPY_LISTEN, POSTCOPY_RUNNING, POSTCOPY_END };

    for (int from = POSTCOPY_NONE; from <= POSTCOPY_END; from++) {
        for (int to = POSTCOPY_NONE; to <= POSTCOPY_END; to++) {
            bool allowed = to == from + 1 || (from == POSTCOPY_ADVISE && to == POSTCOPY_LISTEN) ||
                           (from == POSTCOPY_DISCARD && to == POSTCOPY_DISCARD);

            assert_int_equal(postcopy_state_allowed(way[from], way[to]), allowed);
        }
    }
    assert_string_equal(postcopy_state_name(POSTCOPY_LISTEN), "listen");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_touch_while_a_device_is_loaded_is_answered),
        cmocka_unit_test(what_fails_before_the_guest_runs_leaves_it_at_the_source),
        cmocka_unit_test(a_cancel_behind_the_switch_comes_too_late),
        cmocka_unit_test(who_touches_what_is_missing_after_the_end_waits),
        cmocka_unit_test(it_must_have_been_agreed_to),
        cmocka_unit_test(states_have_an_order),
    };

    struct ferry_error err = { 0 };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, &err);

    if (fd < 0) {
        printf("SKIP: needs userfaultfd-kernel: %s\n", ferry_error_text(&err));
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests_name("postcopy_session", tests, NULL, NULL);
}
