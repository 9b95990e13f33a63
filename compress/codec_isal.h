/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_isal.h - deflate by ISA-L, where this build has it: the same format as zlib's, several times as fast */
#ifndef COMPRESS_CODEC_ISAL_H
#define COMPRESS_CODEC_ISAL_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ISAL_ROOM 4096 /* what it may need beyond zlib's bound */

bool isal_is_there(void);

struct isal_encoder;
struct isal_encoder *isal_encoder_new(void);
void isal_encoder_free(struct isal_encoder *encoder);

/* @stream: go on with one stream and flush it; else a stream of its own, ended. */
ssize_t isal_encode(struct isal_encoder *encoder, bool stream, const uint8_t *from, size_t bytes, uint8_t *out,
                    size_t room, struct ferry_error *err);

struct isal_decoder;
struct isal_decoder *isal_decoder_new(void);
void isal_decoder_free(struct isal_decoder *decoder);
int isal_decode(struct isal_decoder *decoder, bool stream, const uint8_t *in, size_t in_bytes, uint8_t *to,
                size_t bytes, struct ferry_error *err);

#endif
