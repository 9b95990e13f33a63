/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_resume_test.c - a postcopy that is interrupted goes on: nothing is lost, what has come does not come again,
 * who waited gets his page, and no stranger takes the source's place */
#include "clock.h"
#include "dial.h"
#include "page_requests.h"
#include "postcopy_ram.h"
#include "session.h"
#include "userfault.h"

#include <ferry/session.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_fixture.h"

#define PAGES 512
#define BYTES ((size_t)PAGES * FERRY_PAGE_BYTES)

struct machine {
    struct ferry_guest *guest;
    uint64_t *memory;
    uint64_t steps;
    atomic_int starts;
};

static uint64_t content(size_t page)
{
    return page * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static volatile uint64_t *page_of(const struct machine *machine, size_t page)
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
    return 0;
}

static const struct ferry_guest_ops ops = { .stop = stop, .start = start };
static const struct ferry_field fields[] = { FERRY_U64(steps, struct machine), FERRY_END };
static const struct ferry_state_desc desc = {
    .name = "counter", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct machine), .fields = fields
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
    machine->guest = ferry_guest_new("resuming", &ops, machine, NULL);
    assert_non_null(machine->guest);
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
    assert_int_equal(ferry_guest_add_device(machine->guest, &desc, machine, NULL, FERRY_INSTANCE_NEXT, NULL), 0);
}

static void machine_close(struct machine *machine)
{
    ferry_guest_free(machine->guest);
    munmap(machine->memory, BYTES);
}

/* ---- a migration that has gone over, with next to nothing for the background ------------------------------------- */

struct crossing {
    struct machine here, there;
    struct ferry_session *source, *destination;
    struct ferry_options *ours, *theirs;
    struct ferry_error err;
    char uri[2][80];
};

static void set(struct ferry_options *options, const char *name, const char *value)
{
    if (ferry_options_set(options, name, value, NULL) < 0)
        fail_msg("%s=%s", name, value);
}

static void prepare(struct crossing *crossing)
{
    memset(crossing, 0, sizeof(*crossing));
    crossing->ours = ferry_options_new();
    crossing->theirs = ferry_options_new();
    set(crossing->ours, "postcopy", "now");
    set(crossing->ours, "max-postcopy-bandwidth", "64KiB/s");
    set(crossing->ours, "postcopy-prefetch", "0");
    for (int i = 0; i < 2; i++) {
        snprintf(crossing->uri[i], sizeof(crossing->uri[i]), "unix:/tmp/ferry-resume-%d-%d", getpid(), i);
        unlink(crossing->uri[i] + 5);
    }
}

static void both(struct crossing *crossing, const char *name, const char *value)
{
    set(crossing->ours, name, value);
    set(crossing->theirs, name, value);
}

static struct ferry_listener *listen_at(struct crossing *crossing, int i)
{
    struct ferry_listener *listener = ferry_listener_open(crossing->uri[i], &crossing->err);

    if (!listener)
        fail_msg("%s", crossing->err.text);
    return listener;
}

static enum ferry_phase phase_of(struct ferry_session *session)
{
    struct ferry_stats stats;

    ferry_session_stats(session, &stats);
    return stats.phase;
}

static struct ferry_postcopy_stats figures_of(struct ferry_session *session)
{
    struct ferry_stats stats;

    ferry_session_stats(session, &stats);
    return stats.postcopy;
}

static void await_phase(struct ferry_session *session, enum ferry_phase phase)
{
    while (phase_of(session) != phase)
        usleep(500);
}

static void begin(struct crossing *crossing)
{
    struct ferry_error *err = &crossing->err;

    machine_open(&crossing->here, true);
    machine_open(&crossing->there, false);
    crossing->destination = ferry_destination_listen(crossing->there.guest, listen_at(crossing, 0), FERRY_NO_DEADLINE,
                                                     crossing->theirs, err);
    assert_non_null(crossing->destination);
    crossing->source = ferry_source_connect(crossing->here.guest, crossing->uri[0], crossing->ours, err);
    if (!crossing->source)
        fail_msg("%s", err->text);
    await_phase(crossing->source, FERRY_PHASE_POSTCOPY_ACTIVE);
    await_phase(crossing->destination, FERRY_PHASE_POSTCOPY_ACTIVE);
}

static void end(struct crossing *crossing)
{
    ferry_session_free(crossing->source);
    ferry_session_free(crossing->destination);
    ferry_options_free(crossing->ours);
    ferry_options_free(crossing->theirs);
    machine_close(&crossing->here);
    machine_close(&crossing->there);
    unlink(crossing->uri[0] + 5);
    unlink(crossing->uri[1] + 5);
}

static void await_pause(struct crossing *crossing)
{
    assert_int_equal(ferry_session_wait(crossing->source, FERRY_NO_DEADLINE, &crossing->err), -ENOTRECOVERABLE);
    assert_int_equal(crossing->err.code, FERRY_E_POSTCOPY_INTERRUPTED);
    assert_int_equal(ferry_session_wait(crossing->destination, FERRY_NO_DEADLINE, &crossing->err), -ENOTRECOVERABLE);
    assert_int_equal(crossing->err.code, FERRY_E_POSTCOPY_INTERRUPTED);
    assert_int_equal(phase_of(crossing->source), FERRY_PHASE_POSTCOPY_PAUSED);
    assert_int_equal(phase_of(crossing->destination), FERRY_PHASE_POSTCOPY_PAUSED);
}

static void go_on(struct crossing *crossing, int at)
{
    assert_int_equal(ferry_session_recover(crossing->destination, listen_at(crossing, at), &crossing->err), 0);
    assert_int_equal(ferry_session_resume(crossing->source, crossing->uri[at], &crossing->err), 0);
}

static void let_it_end(struct crossing *crossing)
{
    assert_int_equal(ferry_session_set_option(crossing->source, "max-postcopy-bandwidth", "unlimited", NULL), 0);
    if (ferry_session_wait(crossing->source, FERRY_NO_DEADLINE, &crossing->err) < 0)
        fail_msg("source: %s", crossing->err.text);
    if (ferry_session_wait(crossing->destination, FERRY_NO_DEADLINE, &crossing->err) < 0)
        fail_msg("destination: %s", crossing->err.text);
}

/* Every page is right, came once, and nobody was started twice.  What the guest wrote in page 0 stays. */
static void check(struct crossing *crossing, uint64_t resumed)
{
    struct ferry_postcopy_stats sent = figures_of(crossing->source), came = figures_of(crossing->destination);
    struct ferry_stats stats;

    for (size_t page = 1; page < PAGES; page++)
        assert_true(*page_of(&crossing->there, page) == content(page));
    assert_string_equal(came.state, "end");
    assert_int_equal(came.discarded_pages, PAGES);
    assert_int_equal(came.received_pages, PAGES);
    assert_int_equal(came.duplicates, 0);
    assert_int_equal(came.resumed, resumed);
    assert_int_equal(sent.resumed, resumed);
    assert_true(sent.broken_ns > 0 && came.broken_ns > 0);
    assert_int_equal(crossing->here.starts, 0);
    assert_int_equal(crossing->there.starts, 1);
    /* What was sent is what was to be sent, and what was on its way when it broke. */
    ferry_session_stats(crossing->source, &stats);
    assert_true(stats.ram.normal_pages + stats.ram.zero_pages <= PAGES + sent.resent_pages);
    assert_true(stats.ram.normal_pages + stats.ram.zero_pages >= PAGES);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

struct touch {
    struct machine *machine;
    size_t page;
    uint64_t saw;
};

static void *touch(void *opaque)
{
    struct touch *touch = opaque;

    touch->saw = *page_of(touch->machine, touch->page);
    return NULL;
}

/* Broken twice, by either end; in between the guest writes, and waits for a page that does not come. */
static void it_goes_on(struct crossing *crossing)
{
    struct touch waits = { .machine = &crossing->there, .page = PAGES - 1 };
    static struct postcopy_figures figures;
    uint64_t missing;
    pthread_t vcpu;

    begin(crossing);
    assert_true(*page_of(&crossing->there, 0) == content(0)); /* asked for */
    *page_of(&crossing->there, 0) = 42;
    assert_int_equal(ferry_session_pause(crossing->source, &crossing->err), 0);
    await_pause(crossing);
    missing = figures_of(crossing->destination).missing_pages;
    assert_true(missing > 0 && missing < PAGES);
    *page_of(&crossing->there, 0) = 43; /* it runs on what it has */
    assert_int_equal(pthread_create(&vcpu, NULL, touch, &waits), 0);
    do {
        usleep(200);
        postcopy_ram_figures(crossing->destination->split_ram, &figures);
    } while (figures.unasked == 0); /* it waits, and nobody can be asked */
    go_on(crossing, 1);
    pthread_join(vcpu, NULL); /* was asked for again */
    assert_true(waits.saw == content(PAGES - 1));
    await_phase(crossing->source, FERRY_PHASE_POSTCOPY_ACTIVE);
    assert_int_equal(ferry_session_pause(crossing->destination, &crossing->err), 0);
    await_pause(crossing);
    assert_true(figures_of(crossing->destination).missing_pages > 0);
    go_on(crossing, 0);
    let_it_end(crossing);
    assert_true(*page_of(&crossing->there, 0) == 43);
    check(crossing, 2);
    end(crossing);
}

static void over_one_connection(void **state)
{
    struct crossing crossing;

    prepare(&crossing);
    both(&crossing, "channels", "0");
    it_goes_on(&crossing);
}

static void over_page_channels(void **state)
{
    struct crossing crossing;

    prepare(&crossing);
    set(crossing.ours, "channels", "2");
    it_goes_on(&crossing);
}

static void in_the_qemu_dialect(void **state)
{
    static const char *const preempt[] = { "off", "on", "early" };

    for (int i = 0; i < 3; i++) {
        struct crossing crossing;

        prepare(&crossing);
        set(crossing.ours, "peer", "qemu");
        both(&crossing, "postcopy-preempt", preempt[i]);
        it_goes_on(&crossing);
    }
}

static struct ferry_channel *stranger(struct crossing *crossing, int at, struct secure *secure)
{
    struct dial_terms terms = { .uri = crossing->uri[at], .options = crossing->ours, .secure = secure };
    struct ferry_channel *chan;

    terms.dog = watchdog_new(NULL);
    chan = dial_bare(&terms, &crossing->err);
    watchdog_free(terms.dog);
    return chan;
}

/* He knows how the session is called, as reports tell that, but not the token of its switch. */
static void try_to_take_its_place(struct crossing *crossing, int at, enum hello_role role)
{
    struct secure none = { 0 };
    struct ferry_channel *chan = stranger(crossing, at, &none);
    struct watchdog *dog = watchdog_new(NULL);
    struct hello_answer answer;
    struct ferry_stats stats;
    struct hello hello;

    assert_non_null(chan);
    assert_int_equal(dial_introduce(crossing->ours, 1, &hello, NULL), 0);
    ferry_session_stats(crossing->source, &stats);
    for (int i = 0; i < HELLO_ID_BYTES; i++)
        hello.session[i] = (uint8_t)strtoul((char[3]){ stats.id[2 * i], stats.id[2 * i + 1] }, NULL, 16);
    hello.role = role;
    assert_int_equal(dial_greet(chan, &hello, dog, 10 * NS_PER_SEC, &answer, &crossing->err), -EPERM);
    assert_non_null(strstr(crossing->err.text, "waits here for its own source"));
    ferry_channel_unref(chan);
    watchdog_free(dog);
}

static void a_stranger_harms_nothing(void **state)
{
    struct ferry_channel *silent;
    struct crossing crossing;
    struct secure none = { 0 };

    prepare(&crossing);
    set(crossing.ours, "channels", "0");
    begin(&crossing);
    assert_int_equal(ferry_session_pause(crossing.destination, &crossing.err), 0);
    await_pause(&crossing);
    assert_int_equal(ferry_session_recover(crossing.destination, listen_at(&crossing, 1), &crossing.err), 0);
    silent = stranger(&crossing, 1, &none);
    try_to_take_its_place(&crossing, 1, HELLO_RESUME);
    try_to_take_its_place(&crossing, 1, HELLO_MAIN);
    assert_int_equal(ferry_session_resume(crossing.source, crossing.uri[1], &crossing.err), 0);
    let_it_end(&crossing);
    check(&crossing, 1);
    ferry_channel_unref(silent);
    end(&crossing);
}

/* Who has credentials that are as good, but is not the one that the migration began with, is not let in. */
static void encrypted_by_the_key_of_its_beginning(void **state)
{
    struct crossing crossing;
    struct ferry_channel *chan;
    struct secure theirs = { 0 };
    struct hello_answer answer;
    struct watchdog *dog = watchdog_new(NULL);
    struct hello hello;
    char folder[64], psk[80];

    fixture_folder(folder);
    fixture_fill(folder);
    snprintf(psk, sizeof(psk), "%s/keys.psk", folder);
    prepare(&crossing);
    both(&crossing, "tls-creds", psk);
    set(crossing.ours, "channels", "1");
    begin(&crossing);
    assert_int_equal(ferry_session_pause(crossing.source, &crossing.err), 0);
    await_pause(&crossing);
    assert_int_equal(ferry_session_recover(crossing.destination, listen_at(&crossing, 1), &crossing.err), 0);
    assert_int_equal(secure_open(&theirs, crossing.ours, FERRY_SIDE_SOURCE, NULL), 0);
    chan = stranger(&crossing, 1, &theirs);
    assert_non_null(chan);
    assert_int_equal(dial_introduce(crossing.ours, 1, &hello, NULL), 0);
    hello.role = HELLO_RESUME;
    memcpy(hello.session, crossing.source->notes.state.session, sizeof(hello.session));
    memcpy(hello.nonce, crossing.source->notes.state.token, sizeof(hello.nonce));
    assert_int_equal(dial_greet(chan, &hello, dog, 10 * NS_PER_SEC, &answer, &crossing.err), -EPERM);
    assert_non_null(strstr(crossing.err.text, "not proven"));
    ferry_channel_unref(chan);
    watchdog_free(dog);
    secure_close(&theirs);
    assert_int_equal(ferry_session_resume(crossing.source, crossing.uri[1], &crossing.err), 0);
    let_it_end(&crossing);
    check(&crossing, 1);
    end(&crossing);
    fixture_remove(folder);
}

static void encrypted_in_the_qemu_dialect(void **state)
{
    struct crossing crossing;
    char folder[64], psk[80];

    fixture_folder(folder);
    fixture_fill(folder);
    snprintf(psk, sizeof(psk), "%s/keys.psk", folder);
    prepare(&crossing);
    both(&crossing, "tls-creds", psk);
    set(crossing.ours, "peer", "qemu");
    it_goes_on(&crossing);
    fixture_remove(folder);
}

/* Connections that end without anybody having asked for that. */
static void break_it(struct ferry_session *session)
{
    session_shut_down(session, FERRY_READ_WRITE);
}

static void it_heals_by_itself(void **state)
{
    static const char *const peers[] = { "ferry", "qemu" };

    for (int i = 0; i < 2; i++) {
        struct crossing crossing;

        prepare(&crossing);
        set(crossing.ours, "peer", peers[i]);
        both(&crossing, "postcopy-retry", "3600s");
        begin(&crossing);
        break_it(crossing.source);
        while (figures_of(crossing.source).resumed < 1 || figures_of(crossing.destination).resumed < 1)
            assert_int_equal(ferry_session_wait(crossing.source, 1, NULL), -ETIMEDOUT);
        break_it(crossing.destination);
        while (figures_of(crossing.source).resumed < 2 || figures_of(crossing.destination).resumed < 2)
            assert_int_equal(ferry_session_wait(crossing.destination, 1, NULL), -ETIMEDOUT);
        let_it_end(&crossing);
        check(&crossing, 2);
        end(&crossing);
    }
}

static void what_is_asked_at_the_wrong_time_changes_nothing(void **state)
{
    struct ferry_listener *listener;
    struct crossing crossing;

    prepare(&crossing);
    set(crossing.ours, "channels", "0");
    set(crossing.ours, "connect-timeout", "0");
    begin(&crossing);
    assert_int_equal(ferry_session_resume(crossing.source, crossing.uri[1], &crossing.err), -EINVAL);
    listener = listen_at(&crossing, 1);
    assert_int_equal(ferry_session_recover(crossing.destination, listener, &crossing.err), -EINVAL);
    ferry_listener_free(listener);
    assert_int_equal(ferry_session_pause(crossing.source, NULL), 0);
    await_pause(&crossing);
    assert_int_equal(ferry_session_pause(crossing.source, NULL), -EINVAL);
    assert_int_equal(ferry_session_resume(crossing.destination, crossing.uri[1], &crossing.err), -EPERM);
    /* Nobody is there: it stays as it was, and says so. */
    assert_int_equal(ferry_session_resume(crossing.source, crossing.uri[1], NULL), 0);
    assert_int_equal(ferry_session_wait(crossing.source, FERRY_NO_DEADLINE, &crossing.err), -ENOTRECOVERABLE);
    assert_non_null(strstr(crossing.err.text, "could not go on"));
    /* A source that does not come is waited for no longer, and may come later. */
    assert_int_equal(ferry_session_recover(crossing.destination, listen_at(&crossing, 1), &crossing.err), 0);
    ferry_session_cancel(crossing.destination);
    assert_int_equal(ferry_session_wait(crossing.destination, FERRY_NO_DEADLINE, NULL), -ENOTRECOVERABLE);
    ferry_session_cancel(crossing.source);
    go_on(&crossing, 0);
    let_it_end(&crossing);
    assert_int_equal(ferry_session_pause(crossing.source, NULL), -EINVAL);
    check(&crossing, 1);
    end(&crossing);
}

/* In whatever it is about. */
static void it_can_be_freed_all_the_time(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct crossing crossing;

        prepare(&crossing);
        both(&crossing, "postcopy-retry", i & 1 ? "3600s" : "0");
        set(crossing.ours, "peer", i & 2 ? "qemu" : "ferry");
        begin(&crossing);
        break_it(crossing.source);
        if (!(i & 1))
            await_pause(&crossing);
        if (i == 2)
            assert_int_equal(ferry_session_recover(crossing.destination, listen_at(&crossing, 1), NULL), 0);
        end(&crossing);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_one_connection),
        cmocka_unit_test(over_page_channels),
        cmocka_unit_test(in_the_qemu_dialect),
        cmocka_unit_test(a_stranger_harms_nothing),
        cmocka_unit_test(encrypted_by_the_key_of_its_beginning),
        cmocka_unit_test(encrypted_in_the_qemu_dialect),
        cmocka_unit_test(it_heals_by_itself),
        cmocka_unit_test(what_is_asked_at_the_wrong_time_changes_nothing),
        cmocka_unit_test(it_can_be_freed_all_the_time),
    };
    struct ferry_error err = { 0 };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, &err);

    if (fd < 0) {
        printf("SKIP: needs userfaultfd-kernel: %s\n", ferry_error_text(&err));
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests_name("postcopy_resume", tests, NULL, NULL);
}
