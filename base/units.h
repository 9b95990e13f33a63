/* SPDX-License-Identifier: BSD-3-Clause */
/* units.h - sizes, rates, times and shares as people write them
 *
 * A text with a fraction needs a unit; a plain integer is bytes, bytes per second or milliseconds.
 * Binary prefixes Ki Mi Gi Ti are powers of 1024, decimal prefixes k M G T are powers of 1000; B is bytes, bit is bits.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_UNLIMITED UINT64_MAX

/* "512MiB", "4096", "1.5GiB", "2GB" */
int units_parse_size(const char *text, uint64_t *bytes, struct ferry_error *err);

/* "5Gbit/s", "600MiB/s", "125000000", "unlimited" (UNITS_UNLIMITED); 0 is refused */
int units_parse_rate(const char *text, uint64_t *bytes_per_sec, struct ferry_error *err);

/* "300ms", "1.5s", "200us", "300" (ms) */
int units_parse_time(const char *text, uint64_t *ns, struct ferry_error *err);

/* "25%" as 0..100 */
int units_parse_percent(const char *text, unsigned *percent, struct ferry_error *err);

/* A whole number within bounds. */
int units_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct ferry_error *err);

/* Short forms for people: "1.00 GiB", "812.4 MiB/s", "3.21 ms".  Return @to. */
char *units_format_size(char *to, size_t room, uint64_t bytes);
char *units_format_rate(char *to, size_t room, double bytes_per_sec);
char *units_format_time(char *to, size_t room, uint64_t ns);

#endif
