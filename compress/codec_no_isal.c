/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_no_isal.c - this build has no ISA-L */
#include "codec_isal.h"

#include <errno.h>

bool isal_is_there(void)
{
    return false;
}

struct isal_encoder *isal_encoder_new(void)
{
    return NULL;
}

void isal_encoder_free(struct isal_encoder *encoder)
{
}

ssize_t isal_encode(struct isal_encoder *encoder, bool stream, const uint8_t *from, size_t bytes, uint8_t *out,
                    size_t room, struct ferry_error *err)
{
    return ferry_error_set(err, -ENOTSUP, "this build has no ISA-L");
}

struct isal_decoder *isal_decoder_new(void)
{
    return NULL;
}

void isal_decoder_free(struct isal_decoder *decoder)
{
}

int isal_decode(struct isal_decoder *decoder, bool stream, const uint8_t *in, size_t in_bytes, uint8_t *to,
                size_t bytes, struct ferry_error *err)
{
    return ferry_error_set(err, -ENOTSUP, "this build has no ISA-L");
}
