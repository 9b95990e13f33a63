/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics_http.h - figures for whoever asks by HTTP: GET /metrics */
#ifndef TOOLS_METRICS_HTTP_H
#define TOOLS_METRICS_HTTP_H

#include "metrics.h"

struct metrics_http;

/**
 * metrics_http_open() - answer, on a thread of its own, until metrics_http_close()
 * @uri: tcp: or unix:
 * @is_open: other machines may ask, too
 * @metrics: borrowed
 *
 * NULL with @err set; -EINVAL and -EACCES are about what a person wrote.
 */
struct metrics_http *metrics_http_open(const char *uri, bool is_open, struct metrics *metrics, struct ferry_error *err);

/* Where it listens: "tcp:127.0.0.1:40123". */
const char *metrics_http_address(const struct metrics_http *http);

/* NULL is legal. */
void metrics_http_close(struct metrics_http *http);

#endif
