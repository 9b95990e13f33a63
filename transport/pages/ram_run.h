/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_run.h - a page that arrived in the main stream, and the ones that probably follow it, straight into place */
#ifndef PAGES_RAM_RUN_H
#define PAGES_RAM_RUN_H

#include "ram_section.h"

/* The record of @page of loader->last was just read; its 4096 bytes, and whatever continues the run, come next. */
int ram_get_run(struct ram_loader *loader, struct ferry_reader *reader, uint64_t page) FERRY_CHECK;

#endif
