/* SPDX-License-Identifier: BSD-3-Clause */
/* file_test.c - a file is a channel with positions, cached or direct alike */
#include <ferry/channel.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static char path[] = "./ferry-file-XXXXXX";

static int make_path(void **state)
{
    int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

static void put_file(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t get_file(char *to, size_t bytes)
{
    FILE *file = fopen(path, "r");
    size_t got;

    assert_non_null(file);
    got = fread(to, 1, bytes, file);
    fclose(file);
    return got;
}

static struct ferry_channel *open_file(enum ferry_direction direction, uint64_t offset, bool direct)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_open_file(path, direction, offset, direct, &err);

    if (!chan)
        fail_msg("%s", err.text);
    return chan;
}

static void write_text(struct ferry_channel *chan, const char *text)
{
    struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

    assert_int_equal(ferry_channel_writev_all(chan, &iov, 1, NULL), 0);
}

static void writing_starts_at_the_offset_and_cuts_off_there(void **state)
{
    struct ferry_channel *chan;
    char text[64] = "";

    put_file("0123456789");
    chan = open_file(FERRY_WRITE, 4, false);
    write_text(chan, "AB");
    assert_int_equal(ferry_channel_finish(chan, NULL), 0);
    ferry_channel_unref(chan);
    assert_int_equal(get_file(text, sizeof(text)), 6);
    assert_string_equal(text, "0123AB");
}

static void reading_starts_at_the_offset(void **state)
{
    struct ferry_channel *chan;
    char text[8] = "";

    put_file("0123456789");
    chan = open_file(FERRY_READ, 7, false);
    assert_int_equal(ferry_channel_read_all(chan, text, 3, NULL), 0);
    assert_string_equal(text, "789");
    assert_int_equal(ferry_channel_readv(chan, &(struct iovec){ text, 1 }, 1, NULL), 0);
    ferry_channel_unref(chan);
}

static void positional_transfers_leave_the_stream_alone(void **state)
{
    char ab[] = "ab", cd[] = "cd";
    struct iovec two[2] = { { ab, 2 }, { cd, 2 } };
    struct ferry_channel *chan = open_file(FERRY_WRITE, 0, false);
    struct ferry_error err = { 0 };
    char text[16] = "";

    write_text(chan, "12");
    assert_int_equal(ferry_channel_pwritev(chan, two, 2, 6, &err), 4);
    write_text(chan, "34");
    ferry_channel_unref(chan);
    assert_int_equal(get_file(text, sizeof(text)), 10);
    assert_memory_equal(text, "1234\0\0abcd", 10);
    chan = open_file(FERRY_READ, 2, false);
    assert_int_equal(ferry_channel_preadv(chan, &(struct iovec){ text, 4 }, 1, 6, &err), 4);
    assert_memory_equal(text, "abcd", 4);
    assert_int_equal(ferry_channel_read_all(chan, text, 2, &err), 0);
    assert_memory_equal(text, "34", 2);
    assert_int_equal(ferry_channel_preadv(chan, &(struct iovec){ text, 4 }, 1, 10, &err), 0);
    assert_int_equal(ferry_channel_preadv(chan, &(struct iovec){ text, 4 }, 1, UINT64_MAX - 1, &err), -EFBIG);
    assert_int_equal(ferry_channel_preadv(chan, &(struct iovec){ text, 4 }, 1, INT64_MAX - 1, &err), -EFBIG);
    ferry_channel_unref(chan);
}

/* Aligned and odd elements mixed: what goes direct and what goes cached must come out as one file. */
static void direct_and_cached_parts_make_one_file(void **state)
{
    size_t bytes = 40 * PAGE + 123, done = 0;
    char *data = aligned_alloc(PAGE, 64 * PAGE), *back = aligned_alloc(PAGE, 64 * PAGE);
    struct ferry_channel *chan = open_file(FERRY_WRITE, PAGE, true);
    struct ferry_error err = { 0 };
    struct iovec iov[4];

    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(i * 7 + i / PAGE);
    iov[0] = (struct iovec){ data, 8 * PAGE };
    iov[1] = (struct iovec){ data + 8 * PAGE, 100 };
    iov[2] = (struct iovec){ data + 8 * PAGE + 100, PAGE - 100 };
    iov[3] = (struct iovec){ data + 9 * PAGE, bytes - 9 * PAGE };
    assert_int_equal(ferry_channel_writev_all(chan, iov, 4, &err), 0);
    assert_int_equal(ferry_channel_pwritev(chan, &(struct iovec){ data, PAGE }, 1, 0, &err), PAGE);
    ferry_channel_unref(chan);
    chan = open_file(FERRY_READ, 0, true);
    for (ssize_t got = 1; got > 0; done += (size_t)got) {
        size_t want = done % (3 * PAGE) ? 2 * PAGE : PAGE;

        got = ferry_channel_readv(chan, &(struct iovec){ back + done, want }, 1, &err);
        assert_true(got >= 0);
    }
    assert_int_equal(done, PAGE + bytes);
    assert_memory_equal(back, data, PAGE);
    assert_memory_equal(back + PAGE, data, bytes);
    ferry_channel_unref(chan);
    free(data);
    free(back);
}

static void a_file_system_without_direct_is_no_obstacle(void **state)
{
    struct ferry_channel *chan = ferry_channel_open_file("/proc/self/cmdline", FERRY_READ, 0, true, NULL);
    char byte;

    assert_non_null(chan);
    assert_int_equal(ferry_channel_readv(chan, &(struct iovec){ &byte, 1 }, 1, NULL), 1);
    ferry_channel_unref(chan);
}

static void a_new_file_is_private(void **state)
{
    struct stat st;

    unlink(path);
    ferry_channel_unref(open_file(FERRY_WRITE, 0, false));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_inherited_file_goes_on_where_it_stood(void **state)
{
    struct ferry_channel *chan;
    char text[16] = "";
    int fd, copy;

    put_file("0123456789");
    fd = open(path, O_RDONLY);
    copy = dup(fd);
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    chan = ferry_channel_from_fd(fd, NULL, NULL);
    assert_int_equal(ferry_channel_read_all(chan, text, 2, NULL), 0);
    assert_string_equal(text, "34");
    ferry_channel_unref(chan);
    assert_int_equal(lseek(copy, 0, SEEK_CUR), 5);
    close(copy);
}

static void errors_name_the_path(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan;

    assert_null(ferry_channel_open_file("/nowhere/x", FERRY_READ, 0, false, &err));
    assert_string_equal(err.text, "file:/nowhere/x: no such file or directory");
    assert_null(ferry_channel_open_file(path, FERRY_READ_WRITE, 0, false, &err));
    assert_int_equal(err.errnum, -EINVAL);
    assert_null(ferry_channel_open_file("/", FERRY_READ, UINT64_MAX, false, &err));
    assert_int_equal(err.errnum, -EINVAL);
    chan = ferry_channel_open_file("/", FERRY_READ, 0, false, &err);
    if (chan)
        assert_int_equal(ferry_channel_readv(chan, &(struct iovec){ &err, 1 }, 1, &err), -EISDIR);
    ferry_channel_unref(chan);
}

static void a_full_device_is_an_error(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_from_fd(open("/dev/full", O_WRONLY), NULL, &err);
    char byte[] = "x";

    assert_non_null(chan);
    assert_int_equal(ferry_channel_writev(chan, &(struct iovec){ byte, 1 }, 1, &err), -ENOSPC);
    ferry_channel_unref(chan);
}

static void a_buffer_stops_at_its_limit(void **state)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(10000, NULL);
    struct ferry_error err = { 0 };
    char chunk[6000] = "";
    size_t bytes;

    assert_int_equal(ferry_channel_writev(chan, &(struct iovec){ chunk, 6000 }, 1, &err), 6000);
    assert_int_equal(ferry_channel_writev(chan, &(struct iovec){ chunk, 6000 }, 1, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "10000 bytes"));
    assert_int_equal(ferry_channel_writev(chan, &(struct iovec){ chunk, 4000 }, 1, &err), 4000);
    assert_non_null(ferry_channel_buffer_data(chan, &bytes));
    assert_int_equal(bytes, 10000);
    ferry_channel_unref(chan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_starts_at_the_offset_and_cuts_off_there),
        cmocka_unit_test(reading_starts_at_the_offset),
        cmocka_unit_test(positional_transfers_leave_the_stream_alone),
        cmocka_unit_test(direct_and_cached_parts_make_one_file),
        cmocka_unit_test(a_file_system_without_direct_is_no_obstacle),
        cmocka_unit_test(a_new_file_is_private),
        cmocka_unit_test(an_inherited_file_goes_on_where_it_stood),
        cmocka_unit_test(errors_name_the_path),
        cmocka_unit_test(a_full_device_is_an_error),
        cmocka_unit_test(a_buffer_stops_at_its_limit),
    };

    return cmocka_run_group_tests_name("file", tests, make_path, remove_path);
}
