/* SPDX-License-Identifier: BSD-3-Clause */
/* check_keys.c - what is wrong with a folder of credentials, or a file of keys: all of it, file by file */
#include "check_keys.h"

#include "check_parts.h"
#include "names.h"
#include "printable.h"
#include "psk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_HEAD "-----BEGIN "

static const struct {
    const char *name, *hint;
} defects[] = {
    [CHECK_MISSING] = { "missing", "copy it here, or make it with 'ferry keys'" },
    [CHECK_UNREADABLE] = { "unreadable", "let the user that runs the migration read it" },
    [CHECK_MALFORMED] = { "malformed", "the file is damaged, or is another one: copy it again" },
    [CHECK_EXPIRED] = { "expired", "make a new one with the same authority" },
    [CHECK_EXPIRES_SOON] = { "expires-soon", "make a new one with the same authority in time" },
    [CHECK_NOT_YET_VALID] = { "not-yet-valid", "compare this host's clock with that of the host where it was made" },
    [CHECK_KEY_MISFIT] = { "key-misfit", "copy both files from where they were made, or make both again" },
    [CHECK_NOT_SIGNED] = { "not-signed", "copy the authority's certificate from where this one was made, or make this "
                                         "one again with the authority that is here" },
    [CHECK_PURPOSE] = { "purpose", "make one for this purpose; mostly the files of server and client were exchanged" },
    [CHECK_NAME_MISSING] = { "name-missing", "make a new one with all names and addresses by which the destination is "
                                             "reached, or use --tls-hostname" },
    [CHECK_WEAK] = { "weak", "make a new one: EC P-256 or RSA from 2048 bits, signed with SHA-256" },
    [CHECK_REVOKED] = { "revoked", "make a new one" },
    [CHECK_OPEN_TO_OTHERS] = { "open-to-others", "chmod o-rwx; who could read a key may have it: make a new one" },
    [CHECK_TWICE] = { "identity-twice", "give each identity one key" },
};

const char *check_defect_name(enum check_defect defect)
{
    return defects[defect].name;
}

const char *check_defect_hint(enum check_defect defect)
{
    return defects[defect].hint;
}

/* --- findings ----------------------------------------------------------------------------------------------------- */

struct check_file *check_begin(struct check_report *report, const char *path, const char *kind)
{
    /* There are fewer kinds of files than room; the last place is never overrun. */
    struct check_file *file = &report->files[report->count < CHECK_FILES_MAX ? report->count++ : CHECK_FILES_MAX - 1];

    *file = (struct check_file){ .kind = kind };
    printable(file->path, sizeof(file->path), path, strlen(path));
    return file;
}

void check_tell(struct check_report *report, struct check_file *file, enum check_defect defect, const char *format, ...)
{
    struct check_problem *problem = &file->problems[file->count];
    va_list args;

    report->problems++;
    if (file->count == CHECK_PROBLEMS_MAX) {
        file->dropped++;
        return;
    }
    file->count++;
    problem->defect = defect;
    va_start(args, format);
    vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
    printable(problem->text, sizeof(problem->text), problem->text, sizeof(problem->text));
}

void check_tell_error(struct check_report *report, struct check_file *file, const struct ferry_error *err)
{
    enum check_defect defect = err->errnum == -ENOENT   ? CHECK_MISSING
                               : err->errnum == -EINVAL ? CHECK_MALFORMED
                                                        : CHECK_UNREADABLE;
    size_t bytes = strlen(file->path);

    /* The sentence begins with the file, and so does the line that it is shown in. */
    if (!strncmp(err->text, file->path, bytes) && !strncmp(err->text + bytes, ": ", 2))
        check_tell(report, file, defect, "%s", err->text + bytes + 2);
    else
        check_tell(report, file, defect, "%s", err->text);
}

void check_modes(struct check_report *report, struct check_file *file, bool secret)
{
    struct stat at;

    if (stat(file->path, &at) < 0)
        return;
    if (secret && at.st_mode & S_IROTH)
        check_tell(report, file, CHECK_OPEN_TO_OTHERS, "everybody on this host can read it (mode %04o)",
                   (unsigned)at.st_mode & 07777);
    if (at.st_mode & S_IWOTH && !(S_ISDIR(at.st_mode) && at.st_mode & S_ISVTX))
        check_tell(report, file, CHECK_OPEN_TO_OTHERS, "everybody on this host can change it (mode %04o)",
                   (unsigned)at.st_mode & 07777);
}

/* --- keys of a file ----------------------------------------------------------------------------------------------- */

struct lines {
    struct check_report *report;
    struct check_file *file;
};

static int tell_line(void *opaque, const char *path, unsigned line, enum psk_fault fault)
{
    struct lines *lines = opaque;
    enum check_defect defect = fault == PSK_LENGTH ? CHECK_WEAK : fault == PSK_TWICE ? CHECK_TWICE : CHECK_MALFORMED;

    check_tell(lines->report, lines->file, defect, "line %u: %s", line, psk_fault_text(fault));
    return 0;
}

static bool is_pem(const char *path)
{
    char head[sizeof(PEM_HEAD)] = "";
    FILE *stream = fopen(path, "re");
    bool pem = stream && fgets(head, sizeof(head), stream) && !strcmp(head, PEM_HEAD);

    if (stream)
        fclose(stream);
    return pem;
}

static int check_psk(struct check_report *report, const char *path, struct ferry_error *err)
{
    struct check_file *file = check_begin(report, path, "psk");
    struct lines lines = { report, file };
    struct psk_file keys = { 0 };
    struct ferry_error why = { 0 };
    int ret;

    if (is_pem(path)) {
        check_tell(report, file, CHECK_MALFORMED, "a PEM file and not one of keys: check the folder that it is in");
        return 0;
    }
    ret = psk_read(&keys, path, tell_line, &lines, &why);
    report->source = report->destination = true;
    if (ret == -ENOMEM) {
        if (err)
            *err = why;
        return ret;
    }
    if (ret < 0)
        check_tell_error(report, file, &why);
    else if (keys.count == 0 && file->count == 0)
        check_tell(report, file, CHECK_MALFORMED, "there is no key in it");
    check_modes(report, file, true);
    snprintf(file->about, sizeof(file->about), "%zu %s", keys.count, keys.count == 1 ? "key" : "keys");
    psk_clear(&keys);
    return 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static bool has(const char *folder, enum names_what what)
{
    for (int side = TLS_CLIENT; side <= TLS_SERVER; side++) {
        const char *missing;
        char *path = names_find(folder, (enum tls_side)side, what, &missing);

        free(path);
        if (path)
            return true;
    }
    return false;
}

static int check_folder(struct check_report *report, const char *folder, const char *const *hosts, unsigned host_count,
                        struct ferry_error *err)
{
    char *psk = names_join(folder, PSK_FILE);
    bool has_psk = psk && access(psk, F_OK) == 0;
    bool has_x509 =
        has(folder, NAMES_CA) || has(folder, NAMES_CERT) || has(folder, NAMES_KEY) || has(folder, NAMES_CA_KEY);
    struct check_file *file = check_begin(report, folder, "folder");
    int ret = psk ? 0 : ferry_error_set(err, -ENOMEM, "%s: no memory for its files' names", folder);

    check_modes(report, file, false);
    if (!has_x509 && !has_psk)
        check_tell(report, file, CHECK_MISSING, "there are neither certificates (ca-cert.pem) nor keys (" PSK_FILE ")");
    if (ret == 0 && (has_x509 || host_count > 0))
        ret = check_x509(report, folder, hosts, host_count, err);
    if (ret == 0 && has_psk)
        ret = check_psk(report, psk, err);
    free(psk);
    return ret;
}

struct check_report *check_keys(const char *path, const char *const *hosts, unsigned host_count,
                                struct ferry_error *err)
{
    struct check_report *report = calloc(1, sizeof(*report));
    struct stat at;
    int ret;

    if (!report) {
        ferry_error_set(err, -ENOMEM, "no memory for a check");
        return NULL;
    }
    if (strlen(path) >= CHECK_PATH_BYTES - 64)
        ret = ferry_error_set(err, -ENAMETOOLONG, "%.60s...: the name is too long", path);
    else if (stat(path, &at) == 0 && S_ISDIR(at.st_mode))
        ret = check_folder(report, path, hosts, host_count, err);
    else
        ret = check_psk(report, path, err);
    if (ret == 0)
        return report;
    free(report);
    return NULL;
}
