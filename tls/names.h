/* SPDX-License-Identifier: BSD-3-Clause */
/* names.h - where the files of a folder of credentials are: QEMU's names, and those of libvirt */
#ifndef TLS_NAMES_H
#define TLS_NAMES_H

#include "credentials.h"

enum names_what {
    NAMES_CA,
    NAMES_CRL,
    NAMES_CERT,
    NAMES_KEY,
    NAMES_CA_KEY, /* only where certificates are made */
};

enum names_layout {
    NAMES_QEMU,    /* all in one folder */
    NAMES_LIBVIRT, /* as below /etc/pki */
};

/**
 * names_find() - the path of a file of @folder under the first name that exists
 *
 * Returns it, the caller's to free.  NULL: there is none (*missing says which names were tried; a constant) or no
 * memory (*missing is NULL).
 */
char *names_find(const char *folder, enum tls_side side, enum names_what what, const char **missing);

/* The path under which to make a file that is not there; the caller's, NULL: no memory. */
char *names_new(const char *folder, enum names_layout layout, enum tls_side side, enum names_what what);

/* "FOLDER/NAME", the caller's; NULL: no memory. */
char *names_join(const char *folder, const char *name);

/* "PATH: permission denied".  @errnum is positive.  Returns a negative errno. */
int names_file_error(const char *path, int errnum, struct ferry_error *err);

#endif
