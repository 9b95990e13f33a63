/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_orders_test.c - a destination is fed what no honest source of a postcopy sends: an error each time
 *
 *      writer, in the qemu dialect -> pair -> ferry_destination_start()
 */
#include "bytes.h"
#include "guest_parts.h"
#include "ram_section.h"
#include "section.h"
#include "userfault.h"

#include <ferry/codes.h>
#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES   16
#define BYTES   ((size_t)PAGES * FERRY_PAGE_BYTES)
#define DROPPED 4 /* pages, the first ones */

struct source {
    struct ferry_guest *guest;
    uint8_t *memory;
    struct ferry_channel *pair[2];
    struct ferry_writer *writer;
    uint32_t state; /* of the device */
    bool cuts;      /* ... which hangs up while it is loaded, and looks at memory that has not come */
    bool runs;      /* what is put behind the package is sent once the guest runs */
    atomic_uint starts;
};

static int start(void *opaque, struct ferry_error *err)
{
    atomic_fetch_add(&((struct source *)opaque)->starts, 1);
    return 0;
}

static int stop(void *opaque, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_guest_ops ops = { .start = start, .stop = stop };

static bool may_come(void *opaque)
{
    return true;
}

static int look(void *opaque, int version, struct ferry_error *err)
{
    struct source *source = opaque;

    if (source->cuts) {
        ferry_channel_shutdown(source->pair[0], FERRY_READ_WRITE);
        (void)*(volatile uint8_t *)source->memory;
    }
    return 0;
}

static const struct ferry_field fields[] = { FERRY_U32(state, struct source), FERRY_END };
static const struct ferry_state_desc desc = {
    .name = "looker",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct source),
    .fields = fields,
    .hooks = { .post_load = look, .needed = may_come },
};

static void put_advise(struct source *source)
{
    uint8_t payload[16];

    store_be64(payload, FERRY_PAGE_BYTES);
    store_be64(payload + 8, FERRY_PAGE_BYTES);
    section_put_command(source->writer, COMMAND_POSTCOPY_ADVISE, payload, sizeof(payload));
}

static void put_discard(struct source *source, const char *block, uint64_t at, uint64_t bytes)
{
    size_t name = strlen(block);
    uint8_t payload[300] = { 0, (uint8_t)name };

    memcpy(payload + 2, block, name);
    store_be64(payload + 3 + name, at);
    store_be64(payload + 11 + name, bytes);
    section_put_command(source->writer, COMMAND_POSTCOPY_RAM_DISCARD, payload, (uint16_t)(19 + name));
}

static void put_package(struct source *source, void (*fill)(struct ferry_writer *writer))
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 16, NULL);
    struct ferry_writer *writer = ferry_writer_new(chan, NULL);
    uint8_t length[4];
    const void *data;
    size_t bytes;

    fill(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(chan, &bytes);
    store_be32(length, (uint32_t)bytes);
    section_put_command(source->writer, COMMAND_PACKAGED, length, sizeof(length));
    ferry_put_bytes(source->writer, data, bytes);
    ferry_writer_free(writer);
    ferry_channel_unref(chan);
}

static void put_item(struct ferry_writer *writer, enum section_command command)
{
    section_put_command(writer, command, NULL, 0);
}

static void listen_and_run(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
    put_item(writer, COMMAND_POSTCOPY_RUN);
}

static void listen_load_and_run(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
    section_put_first(writer, SECTION_FULL, 7, "looker", 0, 1);
    ferry_put_be32(writer, 1);
    section_put_footer(writer, 7);
    put_item(writer, COMMAND_POSTCOPY_RUN);
}

static void run_alone(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_RUN);
}

static void listen_twice(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
}

static void listen_alone(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
}

static void run_in_the_middle(struct ferry_writer *writer)
{
    listen_and_run(writer);
    put_item(writer, COMMAND_POSTCOPY_RUN);
}

static void state_first(struct ferry_writer *writer)
{
    section_put_first(writer, SECTION_FULL, 7, "anything", 0, 1);
}

static void part_inside(struct ferry_writer *writer)
{
    put_item(writer, COMMAND_POSTCOPY_LISTEN);
    section_put_next(writer, SECTION_PART, 0);
}

static void nothing(struct ferry_writer *writer)
{
}

static void put_record(struct source *source, uint64_t page, unsigned flags, bool named)
{
    static const uint8_t content[FERRY_PAGE_BYTES] = { 1 };

    ferry_put_be64(source->writer, page << FERRY_PAGE_SHIFT | flags | (named ? 0 : RAM_CONTINUE));
    if (named)
        ferry_put_cstr8(source->writer, "ram");
    if (flags == RAM_PAGE)
        ferry_put_bytes(source->writer, content, sizeof(content));
    else
        ferry_put_u8(source->writer, 0);
}

static void put_beginning(struct source *source, bool advised)
{
    section_put_header(source->writer);
    section_put_configuration(source->writer, "machine");
    section_put_command(source->writer, COMMAND_OPEN_RETURN_PATH, NULL, 0);
    if (advised)
        put_advise(source);
    section_put_first(source->writer, SECTION_START, 0, RAM_SECTION_NAME, 0, RAM_SECTION_VERSION);
    ram_put_blocks(source->writer, &source->guest->ram);
    ram_put_eos(source->writer);
    section_put_footer(source->writer, 0);
}

static void open_machine(struct source *source)
{
    struct ferry_block block = { .name = "ram", .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE };

    memset(source, 0, sizeof(*source));
    block.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    source->memory = block.host;
    source->guest = ferry_guest_new("machine", &ops, source, NULL);
    assert_int_equal(ferry_guest_add_block(source->guest, &block, NULL), 0);
    assert_int_equal(ferry_guest_add_device(source->guest, &desc, source, NULL, 0, NULL), 0);
}

static void close_machine(struct source *source)
{
    ferry_writer_free(source->writer);
    for (unsigned i = 0; i < 2; i++)
        ferry_channel_unref(source->pair[i]);
    ferry_guest_free(source->guest);
    munmap(source->memory, BYTES);
}

/* Up to the block list, as it should be. */
static void begin(struct source *source, bool advised)
{
    open_machine(source);
    assert_int_equal(ferry_channel_pair(source->pair, NULL), 0);
    source->writer = ferry_writer_new(source->pair[0], NULL);
    put_beginning(source, advised);
}

static void flush(struct source *source, bool end)
{
    assert_int_equal(ferry_writer_flush(source->writer, NULL), 0);
    if (end)
        assert_int_equal(ferry_channel_finish(source->pair[0], NULL), 0);
}

/* The destination hears it all, and says @text. */
static void expect(struct source *source, int errnum, const char *text)
{
    bool end = strstr(text, "the stream ends here") && !source->cuts; /* else what was read is what is judged */
    struct ferry_session *session;
    struct ferry_error err = { 0 };
    int ret;

    if (!source->runs)
        flush(source, end);
    session = ferry_destination_start(source->guest, source->pair[1], NULL, &err);
    assert_non_null(session);
    while (source->runs && atomic_load(&source->starts) == 0 && ferry_session_wait(session, 1, NULL) == -ETIMEDOUT)
        continue;
    if (source->runs)
        flush(source, end);
    ret = ferry_session_wait(session, FERRY_NO_DEADLINE, &err);
    if (!strstr(err.text, text))
        fail_msg("'%s' instead of '%s'", err.text, text);
    assert_true(errnum ? ret == errnum : ret < 0 && ret != -ENOTRECOVERABLE);
    assert_int_equal(source->starts, ret == -ENOTRECOVERABLE);
    ferry_session_free(session);
    close_machine(source);
}

static void commands_out_of_order(void **state)
{
    struct source source;

    begin(&source, false);
    put_discard(&source, "ram", 0, BYTES);
    expect(&source, 0, "postcopy-ram-discard has no place in state 'none'");
    begin(&source, false);
    put_package(&source, listen_and_run);
    expect(&source, 0, "packaged has no place in state 'none'");
    begin(&source, true);
    put_advise(&source);
    expect(&source, 0, "postcopy-advise has no place in state 'advise'");
    begin(&source, true);
    put_item(source.writer, COMMAND_POSTCOPY_LISTEN);
    expect(&source, 0, "postcopy-listen has no place in state 'advise'");
    begin(&source, true);
    put_item(source.writer, COMMAND_POSTCOPY_RUN);
    expect(&source, 0, "postcopy-run has no place in state 'advise'");
}

static void discards_that_fit_nothing(void **state)
{
    struct source source;

    begin(&source, true);
    put_discard(&source, "rom", 0, BYTES);
    expect(&source, 0, "there is no block 'rom'");
    begin(&source, true);
    put_discard(&source, "ram", 0, BYTES + FERRY_PAGE_BYTES);
    expect(&source, 0, "are no pages of block 'ram'");
    begin(&source, true);
    put_discard(&source, "ram", UINT64_MAX - FERRY_PAGE_BYTES + 1, 2 * FERRY_PAGE_BYTES);
    expect(&source, 0, "are no pages of block 'ram'");
    begin(&source, true);
    put_discard(&source, "ram", 0, 0);
    expect(&source, 0, "are no pages of block 'ram'");
    begin(&source, true);
    put_discard(&source, "ram", 100, FERRY_PAGE_BYTES);
    expect(&source, 0, "are no pages of block 'ram'");
    begin(&source, true);
    section_put_command(source.writer, COMMAND_POSTCOPY_RAM_DISCARD, "\0\xff", 2);
    expect(&source, 0, "a malformed command postcopy-ram-discard");
}

static void packages_that_are_none(void **state)
{
    struct source source;

    begin(&source, true);
    section_put_command(source.writer, COMMAND_PACKAGED, "\xff\xff\xff\xff", 4);
    expect(&source, 0, "a package of 4294967295 bytes");
    begin(&source, true);
    section_put_command(source.writer, COMMAND_PACKAGED, "\0\0\x10\0", 4);
    expect(&source, 0, "the stream ends here");
    begin(&source, true);
    put_package(&source, nothing);
    expect(&source, 0, "a package without postcopy-run");
    begin(&source, true);
    put_package(&source, run_alone);
    expect(&source, 0, "a package without postcopy-listen");
    begin(&source, true);
    put_package(&source, listen_alone);
    expect(&source, 0, "a package without postcopy-run");
    begin(&source, true);
    put_package(&source, listen_twice);
    expect(&source, 0, "postcopy-listen has no place in state 'listen'");
    begin(&source, true);
    put_package(&source, run_in_the_middle);
    expect(&source, 0, "something follows postcopy-run");
    begin(&source, true);
    put_package(&source, state_first);
    expect(&source, 0, "has no place in state 'advise'");
    begin(&source, true);
    put_package(&source, part_inside);
    expect(&source, 0, "has no place in state 'listen'");
}

/* The guest runs here when what follows comes. */
static void open_running(struct source *source)
{
    begin(source, true);
    put_discard(source, "ram", 0, DROPPED * FERRY_PAGE_BYTES);
    put_package(source, listen_and_run);
    flush(source, false);
    source->runs = true;
    section_put_next(source->writer, SECTION_PART, 0);
}

static void pages_that_may_not_come(void **state)
{
    struct source source;

    open_running(&source);
    put_record(&source, PAGES, RAM_PAGE, true);
    expect(&source, -ENOTRECOVERABLE, "page 16 of 16");
    open_running(&source);
    put_record(&source, 0, RAM_PAGE, false);
    expect(&source, -ENOTRECOVERABLE, "none came before");
    open_running(&source);
    put_record(&source, DROPPED, RAM_PAGE, true); /* the guest's own by now */
    expect(&source, -ENOTRECOVERABLE, "page 4");
    open_running(&source);
    put_record(&source, 0, RAM_XBZRLE, true);
    expect(&source, -ENOTRECOVERABLE, "where only whole pages may come");
    open_running(&source);
    ferry_put_be64(source.writer, BYTES | RAM_MEM_SIZE);
    expect(&source, -ENOTRECOVERABLE, "where only whole pages may come");
}

static void ends_that_come_too_early(void **state)
{
    struct source source;

    open_running(&source);
    put_record(&source, 0, RAM_PAGE, true);
    expect(&source, -ENOTRECOVERABLE, "the stream ends here");
    open_running(&source);
    put_record(&source, 0, RAM_PAGE, true);
    put_record(&source, 1, RAM_ZERO, false);
    ram_put_eos(source.writer);
    section_put_footer(source.writer, 0);
    section_put_next(source.writer, SECTION_END, 0);
    ram_put_eos(source.writer);
    section_put_footer(source.writer, 0);
    section_put_eof(source.writer);
    expect(&source, -ENOTRECOVERABLE, "2 pages did not come, the first is page 2 of block 'ram'");
    open_running(&source);
    ram_put_eos(source.writer);
    section_put_footer(source.writer, 0);
    section_put_eof(source.writer);
    expect(&source, -ENOTRECOVERABLE, "memory did not come to its end");
}

/* Its memory is given up while a device waits for it: on that no guest may run. */
static void a_stream_that_ends_before_the_guest_runs(void **state)
{
    struct source source;

    begin(&source, true);
    put_discard(&source, "ram", 0, DROPPED * FERRY_PAGE_BYTES);
    put_package(&source, listen_load_and_run);
    source.cuts = true;
    expect(&source, 0, "the stream ends here");
}

/* On two connections, the one for requested pages the slower one. */
static void what_was_asked_for_may_come_last(void **state)
{
    struct ferry_options *options = ferry_options_new();
    struct ferry_listener *listener;
    struct ferry_session *session;
    struct ferry_error err = { 0 };
    struct source source;
    char path[64], uri[80];

    snprintf(path, sizeof(path), "/tmp/ferry-orders-%d", getpid());
    snprintf(uri, sizeof(uri), "unix:%s", path);
    unlink(path);
    listener = ferry_listener_open(uri, &err);
    assert_non_null(listener);
    assert_int_equal(ferry_options_set(options, "postcopy-preempt", "on", NULL), 0);
    open_machine(&source);
    session = ferry_destination_listen(source.guest, listener, FERRY_NO_DEADLINE, options, &err);
    assert_non_null(session);
    for (unsigned i = 0; i < 2; i++)
        assert_non_null(source.pair[i] = ferry_channel_connect(uri, 5000, &err));
    source.writer = ferry_writer_new(source.pair[0], NULL);
    put_beginning(&source, true);
    put_discard(&source, "ram", 0, DROPPED * FERRY_PAGE_BYTES);
    put_package(&source, listen_and_run);
    section_put_next(source.writer, SECTION_END, 0);
    ram_put_eos(source.writer);
    section_put_footer(source.writer, 0);
    section_put_eof(source.writer);
    flush(&source, false);
    while (atomic_load(&source.starts) == 0 && ferry_session_wait(session, 1, NULL) == -ETIMEDOUT)
        continue;
    usleep(100000); /* it hears the end; where it does not yet, this shows less */
    ferry_writer_free(source.writer);
    source.writer = ferry_writer_new(source.pair[1], NULL);
    for (unsigned page = 0; page < DROPPED; page++)
        put_record(&source, page, RAM_PAGE, page == 0);
    flush(&source, false);
    if (ferry_session_wait(session, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned page = 0; page < DROPPED; page++)
        assert_int_equal(source.memory[page * FERRY_PAGE_BYTES], 1);
    ferry_session_free(session);
    ferry_options_free(options);
    close_machine(&source);
    unlink(path);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_out_of_order),
        cmocka_unit_test(discards_that_fit_nothing),
        cmocka_unit_test(packages_that_are_none),
        cmocka_unit_test(pages_that_may_not_come),
        cmocka_unit_test(ends_that_come_too_early),
        cmocka_unit_test(a_stream_that_ends_before_the_guest_runs),
        cmocka_unit_test(what_was_asked_for_may_come_last),
    };
    struct ferry_error err = { 0 };
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, &err);

    if (fd < 0) {
        printf("SKIP: needs userfaultfd-kernel: %s\n", ferry_error_text(&err));
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests_name("postcopy_orders", tests, NULL, NULL);
}
