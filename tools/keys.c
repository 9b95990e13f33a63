/* SPDX-License-Identifier: BSD-3-Clause */
/* keys.c - `ferry keys`: makes keys and certificates for TLS, and checks those that are there (keys_check.c) */
#include "args.h"
#include "commands.h"
#include "exit.h"
#include "help.h"
#include "keys_check.h"
#include "make_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct args_row psk_rows[] = {
    { "identity", "NAME", "whose key it is [" TLS_PSK_IDENTITY "]" },
    { "force", NULL, "replace the file if it is there" },
    { NULL },
};

const struct args_command keys_psk_form = {
    .name = "keys psk",
    .positional = "FILE",
    .summary = "make a file with a key that both ends have",
    .about = "  FILE  a file, or a folder in which it is keys.psk, as QEMU wants it\n"
             "Both hosts get the same file, over a way that nobody else can read. Who has it\n"
             "can be either end.\n",
    .examples = "  ferry keys psk /etc/ferry/keys.psk\n"
                "  ferry keys psk host-a.psk --identity host-a\n",
    .rows = psk_rows,
};

static const struct args_row x509_rows[] = {
    { "host", "NAME", "name or address by which the server is reached; may be given several times" },
    { "client", "NAME", "what the client is called [the first --host]" },
    { "add", "WHICH", "server or client: with the authority that is there; may be given twice" },
    { "ca", "DIR", "sign with the authority of this folder, whose certificate is copied" },
    { "days", "N", "how long the certificates are good for [365]; an authority: ten years" },
    { "libvirt", NULL, "names and folders of libvirt, as below /etc/pki, instead of QEMU's" },
    { "force", NULL, "replace files that are there" },
    { NULL },
};

const struct args_command keys_x509_form = {
    .name = "keys x509",
    .positional = "DIR",
    .summary = "make an authority, and certificates for servers and clients",
    .about = "  DIR  gets ca-cert.pem and ca-key.pem; with --host server-cert.pem and\n"
             "       server-key.pem; with --host or --client also client-cert.pem and\n"
             "       client-key.pem\n"
             "A destination is a server, a source a client; most hosts are both. ca-key.pem\n"
             "stays where it was made (docs/keys.md).\n",
    .examples = "  ferry keys x509 ca\n"
                "  ferry keys x509 host-a --ca ca --host host-a.example.com --host 192.0.2.7\n"
                "  ferry keys x509 /etc/pki/qemu --host host-a --host host-b --client ferry\n"
                "  ferry keys x509 /etc/pki/qemu --add server --host host-a --force\n",
    .rows = x509_rows,
};

/* --- what was made ------------------------------------------------------------------------------------------------ */

static const char *where_to(const char *path, bool psk)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool key = strstr(name, "key") != NULL;

    if (psk)
        return "to both ends, secretly";
    if (!strncmp(name, "ca", 2))
        return key ? "stays here: who has it can let anybody in" : "to every host";
    if (!strncmp(name, "server", 6))
        return key ? "to the destination, secretly" : "to the destination";
    return key ? "to the source, secretly" : "to the source";
}

/* Takes what is made. */
static enum exit_status tell(const struct args *args, int ret, struct file_set *made, const struct ferry_error *err)
{
    bool psk = args_command(args) == &keys_psk_form;

    if (ret < 0)
        fprintf(stderr, "ferry %s: %s\n", args_command(args)->name, ferry_error_text(err));
    if (ret == -EEXIST)
        fprintf(stderr, "hint: %s\n",
                psk ? "--force replaces it"
                    : "--add uses the authority that is there; --force replaces what would be made anew");
    else if (ret < 0 && err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    for (unsigned i = 0; i < made->count; i++)
        printf("%s: %s\n", made->rows[i].path, where_to(made->rows[i].path, psk));
    file_set_clear(made);
    return ret < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* --- ferry keys psk ----------------------------------------------------------------------------------------------- */

static enum exit_status psk_run(const struct args *args)
{
    const char *identity = args_value(args, "identity");
    struct file_set made = { 0 };
    struct ferry_error err = { 0 };
    int ret = make_psk(args_positional(args), identity ? identity : TLS_PSK_IDENTITY, args_value(args, "force") != NULL,
                       &made, &err);

    if (ret == -EINVAL)
        return help_usage(&keys_psk_form, &err);
    return tell(args, ret, &made, &err);
}

/* --- ferry keys x509 ---------------------------------------------------------------------------------------------- */

/* --add server, --add client, both, or neither: then all that has a name. */
static int take_add(const struct args *args, struct make_terms *terms, struct ferry_error *err)
{
    bool server = false, client = false;
    const char *word;

    for (unsigned i = 0; (word = args_each(args, "add", i)); i++) {
        server |= !strcmp(word, "server");
        client |= !strcmp(word, "client");
        if (strcmp(word, "server") && strcmp(word, "client"))
            return ferry_error_set(err, -EINVAL, "--add: '%s' is neither 'server' nor 'client'", word);
    }
    if (server && terms->host_count == 0)
        return ferry_error_set(err, -EINVAL, "--add server needs --host NAME: what the destination is called");
    if (client && !terms->client)
        return ferry_error_set(err, -EINVAL, "--add client needs --client NAME");
    if (server && !client && args_value(args, "client"))
        return ferry_error_set(err, -EINVAL, "--client has no meaning with --add server alone");
    if (!server && !client)
        return 0;
    if (!terms->authority)
        terms->authority = terms->folder;
    if (!server)
        terms->host_count = 0;
    if (!client)
        terms->client = NULL;
    return 0;
}

static int take_terms(const struct args *args, struct make_terms *terms, struct ferry_error *err)
{
    uint64_t days;
    int ret = args_uint(args, "days", MAKE_DAYS_MAX, MAKE_DAYS, &days, err);

    if (ret < 0)
        return ret;
    terms->folder = args_positional(args);
    terms->authority = args_value(args, "ca");
    terms->layout = args_value(args, "libvirt") ? NAMES_LIBVIRT : NAMES_QEMU;
    terms->client = args_value(args, "client");
    terms->days = (unsigned)days;
    terms->replace = args_value(args, "force") != NULL;
    if (!terms->client && terms->host_count > 0)
        terms->client = terms->hosts[0];
    ret = take_add(args, terms, err);
    if (ret == 0 && terms->authority && terms->host_count == 0 && !terms->client)
        ret = ferry_error_set(err, -EINVAL, "--ca needs --host NAME, --client NAME, or both: for whom to sign");
    return ret;
}

static enum exit_status x509_run(const struct args *args)
{
    struct make_terms terms = { 0 };
    const char **hosts = keys_words(args, "host", &terms.host_count);
    struct file_set made = { 0 };
    struct ferry_error err = { 0 };
    enum exit_status status;
    int ret;

    terms.hosts = hosts;
    ret = hosts ? take_terms(args, &terms, &err) : ferry_error_set(&err, -ENOMEM, "no memory for the command line");
    if (ret == 0)
        ret = make_x509(&terms, &made, &err);
    if (ret == -EINVAL && err.code == FERRY_E_INVALID_ARGUMENT)
        status = help_usage(&keys_x509_form, &err);
    else
        status = tell(args, ret, &made, &err);
    free(hosts);
    return status;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int with_args(const struct args_command *command, enum exit_status (*run)(const struct args *args), int argc,
                     char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(command, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(command, &err);
    if (args_help(args))
        help_command(stdout, command);
    else
        status = run(args);
    args_free(args);
    return status;
}

static void print_help(FILE *to)
{
    fprintf(to, "ferry keys - make keys and certificates for TLS, and check those that are there\n"
                "\n"
                "Usage: ferry keys psk FILE [OPTION...]\n"
                "       ferry keys x509 DIR [OPTION...]\n"
                "       ferry keys check PATH [OPTION...]\n"
                "\n"
                "  psk     make a file with a key that both ends have\n"
                "  x509    make an authority, and certificates for servers and clients\n"
                "  check   what is wrong with those that are there\n"
                "\n"
                "  ferry keys WORD --help   its options\n"
                "\n"
                "Keys are readable by their owner alone, and nothing is replaced without --force.\n"
                "QEMU and libvirt take the same files.\n"
                "\n"
                "Examples:\n"
                "  ferry keys psk /etc/ferry/keys.psk\n"
                "  ferry keys x509 /etc/pki/qemu --host host-b.example.com --host 192.0.2.7\n"
                "  ferry keys check /etc/pki/qemu --host 192.0.2.7\n");
}

int keys_main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (!strcmp(word, "psk"))
        return with_args(&keys_psk_form, psk_run, argc - 1, argv + 1);
    if (!strcmp(word, "x509"))
        return with_args(&keys_x509_form, x509_run, argc - 1, argv + 1);
    if (!strcmp(word, "check"))
        return keys_check_main(argc - 1, argv + 1);
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (*word)
        fprintf(stderr, "ferry keys: unknown word '%s'\n", word);
    else
        fprintf(stderr, "ferry keys: psk, x509 or check is missing\n");
    fprintf(stderr, "try 'ferry keys --help'\n");
    return EXIT_USAGE;
}
