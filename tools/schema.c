/* SPDX-License-Identifier: BSD-3-Clause */
/* schema.c - `ferry schema`: what devices put on the wire, and whether two builds of them fit */
#include "args.h"
#include "commands.h"
#include "exit.h"
#include "guest.h"
#include "guest_manifest.h"
#include "help.h"
#include "manifest_device.h"
#include "schema_compare.h"
#include "schema_json.h"
#include "schema_kind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct args_row rows[] = {
    { "guest", "SPEC", "the guest: a KIND alone (its devices), or KIND:KEY=VALUE,... (its memory, too)" },
    { "json", NULL, "as JSON, to be kept and compared later" },
    { "compare", "A", "can what A describes be loaded by what B describes? Two files of JSON" },
    { NULL },
};

const struct args_command schema_form = {
    .name = "schema",
    .positional = "B",
    .summary = "what devices put on the wire, and whether two builds of them fit",
    .about = "With --compare it gives a verdict for each field and ends with status 0 if A can\n"
             "migrate to B, else 1:\n"
             "  same          nothing to say\n"
             "  newer         exists from a version on that A does not send\n"
             "  compatible    differs, and loads\n"
             "  incompatible  would be refused, or read as something else\n",
    .examples = "  ferry schema --guest pattern\n"
                "  ferry schema --guest pattern --json > schema-1.2.json\n"
                "  ferry schema --compare schema-1.1.json schema-1.2.json\n",
    .rows = rows,
    .may_omit = true,
};

/* ---- showing one --------------------------------------------------------------------------------------------------
 */

static void print_field(const struct schema_field *field)
{
    bool counted = field->count_kind != FERRY_COUNT_FIXED;

    printf("    %-32s %s", field->path, schema_kind_name(field->kind));
    if (*field->type)
        printf(" %s", field->type);
    if (counted || field->kind == FERRY_KIND_LIST || field->kind == FERRY_KIND_TREE)
        printf(" x up to %" PRIu64, field->most);
    else if (field->most != 1)
        printf(" x %" PRIu64, field->most);
    if (field->version)
        printf(", from version %" PRIu32 " on", field->version);
    printf("%s\n", field->flags & SCHEMA_FIELD_CONDITIONAL ? ", in some states" : "");
}

static void print_device(const struct manifest_device *device)
{
    printf("device %s %" PRIu32 "\n  model %s\n", device->idstr, device->instance_id, device->model);
    for (const struct manifest_setting *s = device->settings; s; s = s->next)
        printf("  %s = %s\n", s->name, s->value);
    for (const struct manifest_form *form = device->forms; form; form = form->next)
        for (const struct schema_part *part = form->parts; part; part = part->next) {
            printf("  %s version %" PRIu32 " (loads %" PRIu32 " to %" PRIu32 ")%s\n", part->name, part->version,
                   part->minimum, part->version, part->flags & SCHEMA_PART_OPTIONAL ? ", when needed" : "");
            for (const struct schema_field *f = part->fields; f; f = f->next)
                print_field(f);
        }
}

static void print_manifest(const struct manifest *manifest)
{
    printf("machine %s\n", manifest->machine);
    for (const struct manifest_block *b = manifest->blocks; b; b = b->next)
        printf("block %s: %" PRIu64 " bytes, pages of %" PRIu32 "\n", b->name, b->length, b->page_size);
    for (const struct manifest_device *d = manifest->devices; d; d = d->next)
        print_device(d);
}

static int print_json(const struct manifest *manifest, struct ferry_error *err)
{
    json_t *root = schema_to_json(manifest);
    int ret = root ? json_dumpf(root, stdout, JSON_INDENT(1)) : -1;

    json_decref(root);
    if (ret < 0)
        return ferry_error_set(err, -ENOMEM, "no memory for the JSON");
    putchar('\n');
    return 0;
}

static struct bench_guest *make_guest(const char *spec, struct ferry_error *err)
{
    return strchr(spec, ':') ? bench_guest_new(spec, err) : bench_guest_incoming(spec, err);
}

static int show(const char *spec, bool json, struct ferry_error *err)
{
    struct bench_guest *guest = make_guest(spec, err);
    struct manifest *manifest = guest ? guest_manifest(bench_guest_ferry(guest), MANIFEST_DESTINATION, err) : NULL;
    int ret = manifest ? 0 : err->errnum;

    if (manifest && json)
        ret = print_json(manifest, err);
    else if (manifest)
        print_manifest(manifest);
    manifest_free(manifest);
    bench_guest_free(guest);
    return ret;
}

/* ---- comparing two ------------------------------------------------------------------------------------------------
 */

static struct manifest *read_file(const char *path, struct ferry_error *err)
{
    json_error_t where;
    json_t *root = json_load_file(path, 0, &where);
    struct manifest *manifest;

    if (!root) {
        ferry_error_set(err, -EINVAL, "%s: line %d: %s", path, where.line, where.text);
        return NULL;
    }
    manifest = schema_from_json(root, err);
    if (!manifest)
        ferry_error_prefix(err, "%s", path);
    json_decref(root);
    return manifest;
}

static void print_finding(void *opaque, const struct schema_finding *finding)
{
    static const char *const words[] = { "same", "newer", "compatible", "incompatible" };

    printf("  %-13s %s%s%s%s%s\n", words[finding->verdict], finding->part, *finding->path ? ": " : "", finding->path,
           *finding->why ? ": " : "", finding->why);
}

static void print_fields(const struct manifest *from, const struct manifest *to)
{
    for (const struct manifest_device *there = from->devices; there; there = there->next)
        for (const struct manifest_device *here = to->devices; here; here = here->next) {
            const struct schema_part *sent = there->forms->parts;
            const struct manifest_form *form = manifest_who_loads(here, sent->version);

            if (strcmp(here->idstr, there->idstr) || here->instance_id != there->instance_id)
                continue;
            printf("device %s %" PRIu32 ", version %" PRIu32 "\n", here->idstr, here->instance_id, sent->version);
            if (form)
                schema_compare(sent, form->parts, print_finding, NULL);
        }
}

static void print_reasons(const char *word, const struct reasons *reasons)
{
    for (unsigned i = 0; i < reasons->count; i++)
        printf("%s: %s\n", word, reasons->rows[i].text);
    if (reasons->dropped)
        printf("%s: and %u more\n", word, reasons->dropped);
}

/* Returns 1 if they fit, 0 if not; -errno. */
static int compare(const char *a, const char *b, struct ferry_error *err)
{
    struct manifest *from = read_file(a, err), *to = from ? read_file(b, err) : NULL;
    struct reasons reasons = { 0 }, warnings = { 0 };
    struct manifest_choices choices = { 0 };
    int ret = to ? manifest_compare(to, from, true, &reasons, &warnings, &choices, err) : err->errnum;

    if (ret == 0) {
        print_fields(from, to);
        print_reasons("warning", &warnings);
        print_reasons("refused", &reasons);
        ret = reasons.count + reasons.dropped == 0;
        printf("%s\n", ret ? "A can migrate to B" : "A cannot migrate to B");
    }
    reasons_clear(&reasons);
    reasons_clear(&warnings);
    manifest_choices_clear(&choices);
    manifest_free(from);
    manifest_free(to);
    return ret;
}

/* ---- the command ----------------------------------------------------------------------------------------------------
 */

static int check_words(const struct args *args, struct ferry_error *err)
{
    const char *guest = args_value(args, "guest"), *a = args_value(args, "compare"), *b = args_positional(args);

    if (!guest == !a)
        return ferry_error_set(err, -EINVAL, "say --guest SPEC to see a schema, or --compare A B to compare two");
    if (a && !b)
        return ferry_error_set(err, -EINVAL, "--compare needs two files");
    if (guest && b)
        return ferry_error_set(err, -EINVAL, "'%s' is one word too many", b);
    return 0;
}

static enum exit_status schema_run(struct args *args)
{
    const char *a = args_value(args, "compare");
    struct ferry_error err = { 0 };
    int ret;

    if (args_help(args)) {
        help_command(stdout, &schema_form);
        return EXIT_DONE;
    }
    if (check_words(args, &err) < 0)
        return help_usage(&schema_form, &err);
    ret = a ? compare(a, args_positional(args), &err)
            : show(args_value(args, "guest"), args_value(args, "json") != NULL, &err);
    if (ret < 0 && !a && err.errnum == -EINVAL)
        return help_usage(&schema_form, &err);
    if (ret < 0)
        fprintf(stderr, "ferry schema: %s\n", ferry_error_text(&err));
    return ret < 0 || (a && !ret) ? EXIT_FAILED : EXIT_DONE;
}

int schema_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&schema_form, argc, argv, &err);
    enum exit_status status;

    if (!args)
        return help_usage(&schema_form, &err);
    status = schema_run(args);
    args_free(args);
    return status;
}
