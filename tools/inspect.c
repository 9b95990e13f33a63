/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect.c - `ferry inspect`: what is in a migration stream, and where it is broken */
#include "inspect.h"

#include "args.h"
#include "exit.h"
#include "exposed.h"
#include "help.h"
#include "inspect_json.h"
#include "inspect_print.h"
#include "inspect_stream.h"
#include "secure.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RAM_DEFAULT (UINT64_C(64) << 30)

static const struct args_row rows[] = {
    { "ram", "FILE", "write the largest block of memory there, zero pages as holes" },
    { "block", "NAME", "with --ram: this block instead" },
    { "max-ram", "SIZE", "with --ram: how much memory the stream may announce [64GiB]" },
    { "return-path", "FILE", "what the destination sent back; again for each connection that took over" },
    { "json", "FILE", "write everything there as one JSON object; -: to stdout, without words" },
    { "verbose", NULL, "buffers in full, every part of memory by itself" },
    { "insecure", NULL, "listen where other machines can connect, unencrypted" },
    { NULL },
};

const struct args_command inspect_form = {
    .name = "inspect",
    .positional = "STREAM",
    .more = "CHANNEL",
    .summary = "what is in a migration stream, and where it is broken",
    .about = "  STREAM   a file, - (stdin), or where to listen: tcp:HOST:PORT (0: a free port)\n"
             "           unix:PATH  unix:@NAME  vsock:CID:PORT  fd:N  exec:COMMAND  file:PATH\n"
             "  CHANNEL  files of its further connections: page channels (multifd), urgent\n"
             "           pages of postcopy, and what took over after a break, as they were\n"
             "           connected; where it listens, they connect\n"
             "\n"
             "Where it listens it is the destination of a live migration, which it only\n"
             "reads; a source that asks is told that all has arrived.  Exit status: 0 whole\n"
             "and clean; 1 broken or not understood: then it says where and why.\n",
    .examples = "  ferry inspect vm.stream\n"
                "  ferry inspect main.stream channel0 channel1 --ram ram.bin\n"
                "  ferry inspect conn0 conn1 --return-path conn0.rp          # postcopy\n"
                "  zcat vm.stream.gz | ferry inspect - --ram ram.bin\n"
                "  ferry inspect tcp::4444 --tls-creds /etc/pki/qemu --ram ram.bin\n"
                "  ferry inspect unix:/tmp/in --json -      # then, in QEMU: migrate unix:/tmp/in\n",
    .rows = rows,
    .session = true,
    .settings = "tls-",
};

/* All that inspect_main() opens. */
struct inspect {
    struct args *args;
    struct ferry_listener *listener;
    struct inspect_channels *channels;
    struct ferry_reader *reader;
    struct secure secure;
    FILE *json;
    int ram_fd;
    bool progress; /* stderr is a terminal */
    bool usage;    /* what failed is the fault of the command line */
    struct inspect_options options;
    struct inspect_ram ram;
    struct inspect_report report;
};

/* ---- where it comes from --------------------------------------------------------------------------------------- */

static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Nothing is ever written to what is no connection: a file opened for both would be overwritten. */
static bool may_answer(const char *word)
{
    if (!strncmp(word, "fd:", 3))
        return is_socket(atoi(word + 3));
    return !strncmp(word, "tcp:", 4) || !strncmp(word, "unix:", 5) || !strncmp(word, "vsock:", 6);
}

static struct ferry_channel *open_stdin(struct ferry_error *err)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct ferry_channel *chan;

    if (fd < 0) {
        ferry_error_set(err, -errno, "stdin: %s", strerror(errno));
        return NULL;
    }
    chan = ferry_channel_from_fd(fd, "stdin", err);
    if (!chan)
        close(fd);
    return chan;
}

static bool is_uri(const char *word)
{
    static const char *const schemes[] = { "tcp:", "unix:", "vsock:", "fd:", "exec:", "file:" };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (!strncmp(word, schemes[i], strlen(schemes[i])))
            return true;
    return false;
}

static int listen_on(struct inspect *inspect, const char *uri, struct ferry_error *err)
{
    int ret = secure_open(&inspect->secure, args_options(inspect->args), FERRY_SIDE_DESTINATION, err);

    if (ret < 0)
        return ret;
    inspect->options.answer = may_answer(uri);
    inspect->listener = ferry_listener_open(uri, err);
    if (!inspect->listener) {
        inspect->usage = err->errnum == -EINVAL;
        return err->errnum;
    }
    if (!args_value(inspect->args, "insecure") && !secure_is_on(&inspect->secure) &&
        exposed_refuse(inspect->listener, err) < 0) {
        inspect->usage = true;
        return err->errnum;
    }
    if (inspect->options.answer)
        fprintf(stderr, "listening on %s\n", ferry_listener_address(inspect->listener));
    inspect->reader = inspect_channels_accept(inspect->channels, inspect->listener, &inspect->secure, err);
    return inspect->reader ? 0 : err->errnum;
}

static struct ferry_channel *open_word(const char *word, struct ferry_error *err)
{
    return strcmp(word, "-") ? ferry_channel_open_file(word, FERRY_READ, 0, false, err) : open_stdin(err);
}

static int open_file(struct inspect *inspect, const char *word, struct ferry_error *err)
{
    struct ferry_channel *chan = open_word(word, err);

    if (!chan)
        return err->errnum;
    inspect->options.answer = !strcmp(word, "-") && is_socket(STDIN_FILENO);
    inspect->reader = ferry_reader_new(chan, err);
    ferry_channel_unref(chan);
    return inspect->reader ? 0 : err->errnum;
}

static int open_channels(struct inspect *inspect, struct ferry_error *err)
{
    const char *word;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && (word = args_more(inspect->args, i)); i++) {
        struct ferry_channel *chan = open_word(word, err);

        if (!chan)
            return err->errnum;
        ret = inspect_channels_add(inspect->channels, chan, err);
        ferry_channel_unref(chan);
    }
    return ret;
}

static int open_returns(struct inspect *inspect, struct ferry_error *err)
{
    const char *word;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && (word = args_each(inspect->args, "return-path", i)); i++) {
        struct ferry_channel *chan = ferry_channel_open_file(word, FERRY_READ, 0, false, err);

        if (!chan)
            return err->errnum;
        ret = returns_add(&inspect->report.returns, chan, err);
        ferry_channel_unref(chan);
    }
    return ret;
}

/* A stream that is a file by itself has no page channels. */
static int open_stream(struct inspect *inspect, struct ferry_error *err)
{
    const char *word = args_positional(inspect->args);
    bool listens = is_uri(word);
    int ret;

    if (listens || args_more(inspect->args, 0)) {
        inspect->channels = inspect_channels_new(&inspect->ram, err);
        if (!inspect->channels)
            return err->errnum;
    }
    inspect->options.channels = inspect->channels;
    if (listens)
        return listen_on(inspect, word, err);
    ret = open_file(inspect, word, err);
    if (ret == 0)
        ret = open_channels(inspect, err);
    return ret < 0 ? ret : open_returns(inspect, err);
}

/* ---- where it goes --------------------------------------------------------------------------------------------- */

/* Files are opened before the stream is read: a live one comes only once. */
static int open_results(struct inspect *inspect, struct ferry_error *err)
{
    const char *ram = args_value(inspect->args, "ram");
    const char *json = args_value(inspect->args, "json");

    if (ram) {
        inspect->ram_fd = open(ram, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (inspect->ram_fd < 0)
            return ferry_error_set(err, -errno, "%s: %s", ram, strerror(errno));
    }
    if (!json)
        return 0;
    inspect->json = strcmp(json, "-") ? fopen(json, "we") : stdout;
    return inspect->json ? 0 : ferry_error_set(err, -errno, "%s: %s", json, strerror(errno));
}

static void show_progress(void *opaque, uint64_t bytes)
{
    char size[64];

    fprintf(stderr, "\r%s   ", units_format_size(size, sizeof(size), bytes));
}

static int save_ram(struct inspect *inspect, struct ferry_error *err)
{
    const char *path = args_value(inspect->args, "ram");
    const char *name = args_value(inspect->args, "block");
    const struct inspect_ram_block *block = inspect_ram_find(&inspect->ram, name);
    int fd = inspect->ram_fd, ret;

    if (fd < 0)
        return 0;
    if (!block)
        return ferry_error_set(err, -ENOENT, name ? "%s: the stream has no block '%s'" : "%s: the stream has no memory",
                               path, name);
    ret = inspect_ram_save(block, fd, path, err);
    inspect->ram_fd = -1;
    if (close(fd) < 0 && ret == 0)
        ret = ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    return ret;
}

static int save_json(struct inspect *inspect, struct ferry_error *err)
{
    const char *path = args_value(inspect->args, "json");
    FILE *json = inspect->json;
    int ret;

    if (!json)
        return 0;
    ret = inspect_json(json, &inspect->report, &inspect->ram);
    inspect->json = NULL;
    if ((json == stdout ? fflush(json) : fclose(json)) == EOF && ret == 0)
        ret = -errno;
    return ret < 0 ? ferry_error_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static int check_words(const struct inspect *inspect, uint64_t *max_ram, struct ferry_error *err)
{
    const char *text = args_value(inspect->args, "max-ram");

    *max_ram = MAX_RAM_DEFAULT;
    if (text && units_parse_size(text, max_ram, err) < 0)
        return ferry_error_prefix(err, "--max-ram");
    if (args_value(inspect->args, "block") && !args_value(inspect->args, "ram"))
        return ferry_error_set(err, -EINVAL, "--block says which block --ram FILE writes, and that is missing");
    if (args_encrypts(inspect->args) && !is_uri(args_positional(inspect->args)))
        return ferry_error_set(err, -EINVAL, "--tls-creds is for streams that are listened for, and '%s' is read",
                               args_positional(inspect->args));
    if (is_uri(args_positional(inspect->args)) && args_value(inspect->args, "return-path"))
        return ferry_error_set(err, -EINVAL,
                               "--return-path is for streams that are read; what is listened for is answered");
    if (is_uri(args_positional(inspect->args)) && args_more(inspect->args, 0))
        return ferry_error_set(err, -EINVAL, "'%s': page channels connect where the stream is listened for",
                               args_more(inspect->args, 0));
    return 0;
}

static void show(struct inspect *inspect)
{
    if (inspect->progress)
        fprintf(stderr, "\r%*s\r", 24, "");
    if (inspect->json != stdout)
        inspect_print(stdout, &inspect->report, &inspect->ram, inspect->options.verbose);
}

/* Returns 0, or -errno with @err set for what is not the stream's fault. */
static int run(struct inspect *inspect, struct ferry_error *err)
{
    struct ferry_reader *reader;
    int broken, ret = open_stream(inspect, err);

    if (ret < 0)
        return ret;
    reader = inspect->reader;
    inspect->reader = NULL;
    broken = inspect_stream(reader, &inspect->options, &inspect->ram, &inspect->report);
    show(inspect);
    ret = save_json(inspect, err);
    if (ret == 0 && (!broken || inspect->ram.count > 0))
        ret = save_ram(inspect, err);
    if (fflush(stdout) == EOF && ret == 0)
        ret = ferry_error_set(err, -errno, "stdout: %s", strerror(errno));
    return ret;
}

static void clear(struct inspect *inspect)
{
    if (inspect->json && inspect->json != stdout)
        fclose(inspect->json);
    if (inspect->ram_fd >= 0)
        close(inspect->ram_fd);
    inspect_channels_free(inspect->channels);
    ferry_reader_free(inspect->reader);
    ferry_listener_free(inspect->listener);
    secure_close(&inspect->secure);
    inspect_report_clear(&inspect->report);
    inspect_ram_clear(&inspect->ram);
    args_free(inspect->args);
}

static enum exit_status inspect_run(struct inspect *inspect, int argc, char **argv)
{
    struct ferry_error err = { 0 };
    uint64_t max_ram;

    inspect->args = args_parse(&inspect_form, argc, argv, &err);
    if (!inspect->args)
        return help_usage(&inspect_form, &err);
    if (args_help(inspect->args)) {
        help_command(stdout, &inspect_form);
        return EXIT_DONE;
    }
    if (check_words(inspect, &max_ram, &err) < 0)
        return help_usage(&inspect_form, &err);
    inspect->options.verbose = args_value(inspect->args, "verbose") != NULL;
    inspect->options.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
    inspect->progress = inspect->options.progress != NULL;
    if (inspect_ram_init(&inspect->ram, args_value(inspect->args, "ram") != NULL, max_ram, &err) == 0 &&
        open_results(inspect, &err) == 0 && run(inspect, &err) == 0)
        return inspect->report.error.errnum ? EXIT_FAILED : EXIT_DONE;
    if (inspect->usage)
        return help_usage(&inspect_form, &err);
    fprintf(stderr, "ferry inspect: %s\n", ferry_error_text(&err));
    return EXIT_FAILED;
}

int inspect_main(int argc, char **argv)
{
    struct inspect inspect = { .ram_fd = -1 };
    enum exit_status status;

    inspect_report_init(&inspect.report);
    status = inspect_run(&inspect, argc, argv);
    clear(&inspect);
    return status;
}
