/* SPDX-License-Identifier: BSD-3-Clause */
/* names.c - where the files of a folder of credentials are: QEMU's names, and those of libvirt */
#include "names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES 5

struct row {
    const char *names[NAMES]; /* QEMU's, then those of libvirt, in its own folder and, last, from /etc/pki on */
    const char *tried;
};

#define OF_BOTH_SIDES                                                                                 \
    [NAMES_CA] = { { "ca-cert.pem", "cacert.pem", "CA/cacert.pem" }, "ca-cert.pem (or cacert.pem)" }, \
    [NAMES_CRL] = { { "ca-crl.pem", "cacrl.pem", "CA/cacrl.pem" }, "ca-crl.pem (or cacrl.pem)" },     \
    [NAMES_CA_KEY] = { { "ca-key.pem", "cakey.pem", "private/cakey.pem", "CA/private/cakey.pem" },    \
                       "ca-key.pem (or cakey.pem)" }

static const struct row rows[2][5] = {
    [TLS_CLIENT] = {
        OF_BOTH_SIDES,
        [NAMES_CERT] = { { "client-cert.pem", "clientcert.pem", "libvirt/clientcert.pem" },
                         "client-cert.pem (or clientcert.pem)" },
        [NAMES_KEY] = { { "client-key.pem", "clientkey.pem", "private/clientkey.pem",
                          "libvirt/private/clientkey.pem" }, "client-key.pem (or clientkey.pem)" },
    },
    [TLS_SERVER] = {
        OF_BOTH_SIDES,
        [NAMES_CERT] = { { "server-cert.pem", "servercert.pem", "libvirt/servercert.pem" },
                         "server-cert.pem (or servercert.pem)" },
        [NAMES_KEY] = { { "server-key.pem", "serverkey.pem", "private/serverkey.pem",
                          "libvirt/private/serverkey.pem" }, "server-key.pem (or serverkey.pem)" },
    },
};

char *names_join(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *names_find(const char *folder, enum tls_side side, enum names_what what, const char **missing)
{
    const struct row *row = &rows[side][what];

    *missing = NULL;
    for (int i = 0; i < NAMES && row->names[i]; i++) {
        char *path = names_join(folder, row->names[i]);

        /* One that is there but closed to us is found, too: opening it then says so. */
        if (!path || access(path, F_OK) == 0 || errno != ENOENT)
            return path;
        free(path);
    }
    *missing = row->tried;
    return NULL;
}

char *names_new(const char *folder, enum names_layout layout, enum tls_side side, enum names_what what)
{
    const char *const *names = rows[side][what].names;
    int last = 0;

    while (layout == NAMES_LIBVIRT && last + 1 < NAMES && names[last + 1])
        last++;
    return names_join(folder, names[last]);
}

int names_file_error(const char *path, int errnum, struct ferry_error *err)
{
    const char *text = strerrordesc_np(errnum);

    text = text ? text : "cannot be read";
    return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -errnum, "%s: %c%s", path,
                                tolower((unsigned char)text[0]), text + 1);
}
