/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - the settings of a migration
 *
 * One table says for every option its name, form, bounds, default and help; the program's --options, the documentation
 * (docs/options.md) and this interface are made from it.
 */
#ifndef FERRY_OPTIONS_H
#define FERRY_OPTIONS_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <stdbool.h>
#include <stddef.h>

FERRY_BEGIN_DECLS

struct ferry_options;

/* A set of options, all at their defaults.  NULL when out of memory. */
FERRY_API struct ferry_options *ferry_options_new(void);
FERRY_API void ferry_options_free(struct ferry_options *options);

/* Set one from text: "max-bandwidth", "600MiB/s".  Refuses unknown names and values out of bounds. */
FERRY_API int ferry_options_set(struct ferry_options *options, const char *name, const char *value,
                                struct ferry_error *err) FERRY_CHECK;

/* Its value as text, as ferry_options_set() would take it. */
FERRY_API int ferry_options_get(const struct ferry_options *options, const char *name, char *to, size_t room,
                                struct ferry_error *err) FERRY_CHECK;

struct ferry_option_info {
    const char *name;
    const char *form; /* "RATE", "TIME", "N", "on|off", "auto|uffd-async|..." */
    const char *default_value;
    const char *help;
    bool live; /* may be changed while a migration runs */
};

/* The i-th option; false behind the last. */
FERRY_API bool ferry_option_info(unsigned index, struct ferry_option_info *info);

FERRY_END_DECLS

#endif
