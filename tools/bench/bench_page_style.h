/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_page_style.h - how a benchmark's page looks */
#ifndef TOOLS_BENCH_PAGE_STYLE_H
#define TOOLS_BENCH_PAGE_STYLE_H

/* A style sheet: light or dark as the reader's machine is, one column on a telephone, three on a desk. */
extern const char bench_page_style[];

#endif
