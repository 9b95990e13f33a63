/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_print_postcopy.c - how the guest moved and how its memory followed, and what came back, in words */
#include "inspect_print.h"

#include "inspect_postcopy.h"
#include "return_path.h"

#include <inttypes.h>

#define NAME_ROOM 300

static void print_wire(FILE *to, const struct postcopy_wire *wire)
{
    static const char *const kinds[] = { [WIRE_MAIN] = "main", [WIRE_URGENT] = "urgent", [WIRE_RESUMED] = "resumed" };
    char label[FERRY_ERROR_TEXT_BYTES];

    fprintf(to,
            "    %-8s %s: %" PRIu64 " bytes; pages after the switch: %" PRIu64 " with content, %" PRIu64 " zero%s\n",
            kinds[wire->kind], inspect_text(label, sizeof(label), wire->label), wire->bytes, wire->normal, wire->zero,
            wire->broke ? "; then it broke" : "");
    if (wire->bitmaps > 0)
        fprintf(to,
                "             %" PRIu64 " pages had been received, say %u bitmaps; %" PRIu64
                " that had come here had not\n",
                wire->received, wire->bitmaps, wire->lost);
}

void inspect_print_postcopy(FILE *to, const struct inspect_report *report)
{
    const struct inspect_postcopy *postcopy = report->postcopy;

    if (!postcopy_listens(postcopy))
        return;
    fprintf(to,
            "\npostcopy: %" PRIu64 " pages discarded in %" PRIu64 " ranges; the guest moved at byte %" PRIu64
            " with %u devices in %" PRIu64 " bytes\n",
            postcopy->discarded, postcopy->ranges, postcopy->package_offset, postcopy->devices,
            postcopy->package_bytes);
    fprintf(to, "    %" PRIu64 " pages followed, %" PRIu64 " of them asked for", postcopy->pages, postcopy->asked);
    if (postcopy->duplicates > 0)
        fprintf(to, ", %" PRIu64 " twice", postcopy->duplicates);
    if (postcopy->unannounced > 0)
        fprintf(to, ", %" PRIu64 " that were there already", postcopy->unannounced);
    if (postcopy->again > 0)
        fprintf(to, ", %" PRIu64 " again after a break", postcopy->again);
    if (postcopy->awaited > 0)
        fprintf(to, "; %" PRIu64 " never came", postcopy->awaited);
    fprintf(to, "%s\n", postcopy->phase == POSTCOPY_ENDED ? "" : "; it has no end");
    for (unsigned i = 0; i < postcopy->wires; i++)
        print_wire(to, &postcopy->wire[i]);
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

static bool is_request(const struct return_message *message)
{
    return message->type == RETURN_PATH_REQ_PAGES_ID || message->type == RETURN_PATH_REQ_PAGES;
}

static void print_request(FILE *to, const struct inspect_report *report, const struct report_return *back,
                          const struct return_message *message)
{
    char name[NAME_ROOM], label[FERRY_ERROR_TEXT_BYTES];

    fprintf(to, "%14" PRIu64 "  request %s 0x%" PRIx64 ", %" PRIu32 " bytes: ", message->offset,
            inspect_text(name, sizeof(name), back->names[message->name]), message->start, message->length);
    if (message->order == 0)
        fprintf(to, "no answer\n");
    else
        fprintf(to, "page %" PRIu64 " after the switch, %s byte %" PRIu64 "\n", message->order,
                inspect_text(label, sizeof(label), report->postcopy->wire[message->wire].label), message->answered);
}

/* Requests in a row, as one line.  Returns how many they were. */
static unsigned print_requests(FILE *to, const struct report_return *back, unsigned first)
{
    unsigned count = 0, answered = 0;
    uint64_t last = 0;

    for (; first + count < back->count && is_request(&back->messages[first + count]); count++) {
        const struct return_message *message = &back->messages[first + count];

        answered += message->order > 0;
        last = message->order > last ? message->order : last;
    }
    fprintf(to, "%14" PRIu64 "  %u requests, %u of them answered", back->messages[first].offset, count, answered);
    if (answered > 0)
        fprintf(to, ", the last with page %" PRIu64 " after the switch", last);
    fputc('\n', to);
    return count;
}

static void print_message(FILE *to, const struct report_return *back, const struct return_message *message)
{
    char name[NAME_ROOM];

    fprintf(to, "%14" PRIu64 "  %s", message->offset, return_path_type_name(message->type));
    if (message->name >= 0)
        fprintf(to, " %s", inspect_text(name, sizeof(name), back->names[message->name]));
    if (message->type == RETURN_PATH_SHUT)
        fprintf(to, message->value ? ": it failed, %" PRIu32 : ": all has come", message->value);
    else if (message->type == RETURN_PATH_PONG)
        fprintf(to, " %" PRIu32, message->value);
    fputc('\n', to);
}

void inspect_print_returns(FILE *to, const struct inspect_report *report, bool verbose)
{
    char label[FERRY_ERROR_TEXT_BYTES];

    for (unsigned r = 0; r < report->returns.count; r++) {
        const struct report_return *back = report->returns.all[r];
        unsigned shown = 1;

        fprintf(to, "\nback, %s: %" PRIu64 " bytes, %u messages\n", inspect_text(label, sizeof(label), back->label),
                back->bytes, back->count);
        for (unsigned i = 0; i < back->count; i += shown) {
            const struct return_message *message = &back->messages[i];

            shown = 1;
            if (!is_request(message))
                print_message(to, back, message);
            else if (verbose)
                print_request(to, report, back, message);
            else
                shown = print_requests(to, back, i);
        }
    }
}
