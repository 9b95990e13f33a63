/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_codec.h - any bytes as what a codec gets: payloads to decode, and pages to encode and decode */
#ifndef REPLAY_FUZZ_CODEC_H
#define REPLAY_FUZZ_CODEC_H

#include "codec.h"

/**
 * fuzz_codec() - one input
 * @data: a byte, and then payloads, one behind the other, with be16 of length in front
 *
 *      bit 7 of the byte    a stream over all payloads, else each by itself
 *      bit 6                what follows is not payloads but pages; then bits 0 to 2 choose the level
 *      bits 0 to 3          pages of each payload, less one
 */
int fuzz_codec(enum codec_id id, const uint8_t *data, size_t bytes);

#endif
