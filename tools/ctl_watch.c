/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl_watch.c - `ferry ctl ADDRESS watch`: how a migration goes, as a table that is drawn anew
 *
 * It reads only what QEMU's query-migrate has, so that a QEMU can be watched as well; the verdict is Ferry's.
 */
#include "ctl_watch.h"

#include "clock.h"
#include "exit.h"
#include "units.h"

#include <ferry/error.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LEFT       12
#define BAR        24
#define CLEAR_REST "\033[K"

struct table {
    FILE *to;
    const char *end; /* of a line */
    int lines;
};

static void row(struct table *table, const char *name, const char *value)
{
    fprintf(table->to, "%-*s %s%s\n", LEFT, name, value, table->end);
    table->lines++;
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

static const char *status_of(const json_t *answer)
{
    const char *status = json_string_value(json_object_get(answer, "status"));

    return status ? status : "none";
}

static void time_row(struct table *table, const json_t *answer, const json_t *ram)
{
    char time[32], text[96];

    units_format_time(time, sizeof(time), number(answer, "total-time") * (uint64_t)NS_PER_MS);
    snprintf(text, sizeof(text), "%s, round %" PRIu64, time, number(ram, "dirty-sync-count"));
    row(table, "time", text);
}

static void memory_rows(struct table *table, const json_t *ram)
{
    uint64_t total = number(ram, "total"), remaining = number(ram, "remaining");
    unsigned done = total > 0 && remaining <= total ? (unsigned)((total - remaining) * BAR / total) : 0;
    char left[32], all[32], text[160], bar[BAR + 1];

    memset(bar, '.', BAR);
    memset(bar, '#', done);
    bar[BAR] = '\0';
    snprintf(text, sizeof(text), "[%s] %s of %s left", bar, units_format_size(left, sizeof(left), remaining),
             units_format_size(all, sizeof(all), total));
    row(table, "memory", text);
    snprintf(text, sizeof(text), "%" PRIu64 " pages with content, %" PRIu64 " zero", number(ram, "normal"),
             number(ram, "duplicate"));
    row(table, "sent", text);
}

static void rate_rows(struct table *table, const json_t *ram)
{
    double mbps = json_number_value(json_object_get(ram, "mbps"));
    uint64_t page = number(ram, "page-size");
    char sent[32], rate[32], text[96];

    snprintf(text, sizeof(text), "%s at %s", units_format_size(sent, sizeof(sent), number(ram, "transferred")),
             units_format_rate(rate, sizeof(rate), mbps * 1e6 / 8));
    row(table, "on the wire", text);
    row(table, "written",
        units_format_rate(rate, sizeof(rate), (double)(number(ram, "dirty-pages-rate") * (page ? page : 4096))));
}

int ctl_watch_print(FILE *to, const json_t *answer, bool clear)
{
    struct table table = { .to = to, .end = clear ? CLEAR_REST : "" };
    const json_t *ram = json_object_get(answer, "ram");
    const char *verdict = json_string_value(json_object_get(json_object_get(answer, "ferry"), "verdict"));
    const char *error = json_string_value(json_object_get(answer, "error-desc"));
    char text[64];

    row(&table, "status", status_of(answer));
    if (error)
        row(&table, "error", error);
    if (!ram)
        return table.lines;
    time_row(&table, answer, ram);
    memory_rows(&table, ram);
    rate_rows(&table, ram);
    if (json_object_get(answer, "downtime"))
        snprintf(text, sizeof(text), "%" PRIu64 " ms", number(answer, "downtime"));
    else
        snprintf(text, sizeof(text), "%" PRIu64 " ms expected", number(answer, "expected-downtime"));
    row(&table, "downtime", text);
    if (verdict)
        row(&table, "verdict", verdict);
    return table.lines;
}

/* EXIT_DONE, EXIT_FAILED, ...: how it ended; -1: it goes on. */
static int ended(const json_t *answer)
{
    const char *status = status_of(answer);

    if (!strcmp(status, "completed"))
        return EXIT_DONE;
    if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
        return EXIT_FAILED;
    return strcmp(status, "uncertain") ? -1 : EXIT_UNCERTAIN;
}

int ctl_watch(struct qmp_client *client, int every_ms)
{
    bool is_terminal = isatty(STDOUT_FILENO);
    struct ferry_error err = { 0 };
    int lines = 0, status;

    do {
        json_t *answer = qmp_client_ask(client, "query-migrate", NULL, &err);

        if (!answer) {
            fprintf(stderr, "ferry ctl: %s\n", ferry_error_text(&err));
            return EXIT_FAILED;
        }
        if (is_terminal && lines > 0)
            printf("\033[%dA", lines);
        else if (lines > 0)
            printf("\n");
        lines = ctl_watch_print(stdout, answer, is_terminal);
        if (is_terminal)
            printf("\033[J"); /* what a longer table left below */
        fflush(stdout);
        status = ended(answer);
        json_decref(answer);
        if (status < 0)
            clock_sleep_until_ns(clock_now_ns() + every_ms * NS_PER_MS);
    } while (status < 0);
    return status;
}
