/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_report.c - what a plan says, in words and as JSON */
#include "plan_report.h"

#include "units.h"

#include <string.h>

#define TEXT_BYTES 32
#define LABEL      "  %-13s"
#define UNSURE     0.1 /* links and guests are not known better */
#define NS         1e9

void plan_report_make(struct plan_report *report)
{
    simulate(&report->terms, &report->likely);
    simulate_bounds(&report->terms, UNSURE, &report->least, &report->most);
}

bool plan_report_go(const struct plan_report *report)
{
    return report->likely.verdict == FERRY_VERDICT_SWITCH;
}

/* How much less the guest would have to write. */
static double too_much(const struct plan_report *report)
{
    double writes = dirtying_bytes(&report->terms.guest.writes, report->terms.downtime_limit_sec);

    return writes / report->terms.downtime_limit_sec - report->likely.bearable_bytes_per_sec;
}

static json_t *between(double likely, double least, double most)
{
    return json_pack("{s:f, s:f, s:f}", "likely", likely, "least", least, "most", most);
}

json_t *plan_report_json(const struct plan_report *report)
{
    const struct sim_result *likely = &report->likely, *least = &report->least, *most = &report->most;
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:o}", "plan", plan_report_go(report) ? "go" : "no", "verdict",
                  ferry_verdict_name(likely->verdict), "bytes-per-second", likely->rate, "rounds",
                  between(likely->rounds, least->rounds, most->rounds), "total-time",
                  between(likely->total_sec * 1e3, least->total_sec * 1e3, most->total_sec * 1e3), "blackout",
                  between(likely->blackout_sec * 1e3, least->blackout_sec * 1e3, most->blackout_sec * 1e3),
                  "transferred", between(likely->bytes, least->bytes, most->bytes), "cpu",
                  between(likely->cpu_sec, least->cpu_sec, most->cpu_sec));

    if (object && !plan_report_go(report)) {
        json_object_set_new(object, "needed-bytes-per-second", json_real(likely->needed_bytes_per_sec));
        json_object_set_new(object, "bearable-dirty-bytes-per-second", json_real(likely->bearable_bytes_per_sec));
    }
    if (object && report->measured)
        json_object_set(object, "measured", report->measured);
    return object;
}

static const char *rate(char *to, double bytes_per_sec)
{
    return units_format_rate(to, TEXT_BYTES, bytes_per_sec);
}

static const char *size(char *to, double bytes)
{
    return units_format_size(to, TEXT_BYTES, (uint64_t)(bytes > 0 ? bytes : 0));
}

static const char *when(char *to, double sec)
{
    return units_format_time(to, TEXT_BYTES, (uint64_t)(sec > 0 ? sec * NS : 0));
}

static void print_time(FILE *to, const char *label, double likely, double least, double most)
{
    char text[3][TEXT_BYTES];

    fprintf(to, LABEL "%s (%s to %s)", label, when(text[0], likely), when(text[1], least), when(text[2], most));
}

static void print_why(FILE *to, const struct plan_report *report)
{
    const struct sim_result *likely = &report->likely;
    char text[2][TEXT_BYTES];

    if (likely->verdict == FERRY_VERDICT_CANNOT)
        fprintf(to, LABEL "the guest writes faster than the %s that the channels carry\n", "why",
                rate(text[0], likely->rate));
    else
        fprintf(to, LABEL "%s stay dirty, which the channels do not carry within %s\n", "why",
                size(text[0], likely->rest_bytes), when(text[1], report->terms.downtime_limit_sec));
    fprintf(to, LABEL "needs %s", "to change it", rate(text[0], likely->needed_bytes_per_sec));
    if (too_much(report) > 0)
        fprintf(to, ", or %s less dirtying", rate(text[0], too_much(report)));
    fprintf(to, ", or --postcopy on\n");
}

void plan_report_print(FILE *to, const struct plan_report *report)
{
    const struct sim_result *likely = &report->likely, *least = &report->least, *most = &report->most;
    const struct sim_guest *guest = &report->terms.guest;
    char text[3][TEXT_BYTES];

    fprintf(to, "%s\n", plan_report_go(report) ? "go" : "no go");
    if (!plan_report_go(report))
        print_why(to, report);
    else if (most->verdict != FERRY_VERDICT_SWITCH)
        fprintf(to, LABEL "with 10 %% more to write and 10 %% less to carry it would not converge\n", "narrow");
    fprintf(to, LABEL "%s with content, %s of zeros; makes %s dirty in a second, %s in ten\n", "guest",
            size(text[0], guest->bytes), size(text[1], guest->zero_bytes),
            size(text[2], dirtying_bytes(&guest->writes, 1)),
            size((char[TEXT_BYTES]){ 0 }, dirtying_bytes(&guest->writes, 10)));
    fprintf(to, LABEL "%s of memory over %u channels; round trip %s\n", "link", rate(text[0], likely->rate),
            report->terms.link.channels, when(text[1], report->terms.link.round_trip_sec));
    print_time(to, "total time", likely->total_sec, least->total_sec, most->total_sec);
    fprintf(to, " in %u rounds (%u to %u)%s\n", likely->rounds, least->rounds, most->rounds,
            plan_report_go(report) ? "" : ", if it switched then all the same");
    print_time(to, "blackout", likely->blackout_sec, least->blackout_sec, most->blackout_sec);
    fprintf(to, "; the limit is %s\n", when(text[0], report->terms.downtime_limit_sec));
    fprintf(to, LABEL "%s (%s to %s)\n", "on the wire", size(text[0], likely->bytes), size(text[1], least->bytes),
            size(text[2], most->bytes));
    fprintf(to, LABEL "%s at the source\n", "cpu", when(text[0], likely->cpu_sec));
}
