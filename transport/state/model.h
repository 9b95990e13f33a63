/* SPDX-License-Identifier: BSD-3-Clause */
/* model.h - a device's copy of what its embedder said of its model */
#ifndef STATE_MODEL_H
#define STATE_MODEL_H

#include <ferry/model.h>

/* Checks @model, and copies it; NULL with @err set. */
struct ferry_model *model_copy(const struct ferry_model *model, struct ferry_error *err);

/* NULL is legal. */
void model_free(struct ferry_model *model);

#endif
