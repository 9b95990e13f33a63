/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_isal.c - deflate by ISA-L: the same format as zlib's, several times as fast */
#include "codec_isal.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#define LEVEL 1

struct isal_encoder {
    struct isal_zstream stream;
    bool begun;
    uint8_t room[ISAL_DEF_LVL1_DEFAULT];
};

bool isal_is_there(void)
{
    return true;
}

struct isal_encoder *isal_encoder_new(void)
{
    return calloc(1, sizeof(struct isal_encoder));
}

void isal_encoder_free(struct isal_encoder *encoder)
{
    free(encoder);
}

static void begin(struct isal_encoder *encoder, bool stream)
{
    isal_deflate_init(&encoder->stream);
    encoder->stream.level = LEVEL;
    encoder->stream.level_buf = encoder->room;
    encoder->stream.level_buf_size = sizeof(encoder->room);
    encoder->stream.gzip_flag = IGZIP_ZLIB;
    encoder->stream.flush = stream ? SYNC_FLUSH : NO_FLUSH;
    encoder->stream.end_of_stream = !stream;
    encoder->begun = true;
}

ssize_t isal_encode(struct isal_encoder *encoder, bool stream, const uint8_t *from, size_t bytes, uint8_t *out,
                    size_t room, struct ferry_error *err)
{
    struct isal_zstream *isal = &encoder->stream;
    int ret;

    if (!stream || !encoder->begun)
        begin(encoder, stream);
    isal->next_in = (uint8_t *)(uintptr_t)from;
    isal->avail_in = (uint32_t)bytes;
    isal->next_out = out;
    isal->avail_out = (uint32_t)room;
    ret = isal_deflate(isal);
    if (ret != COMP_OK || isal->avail_in > 0 || isal->avail_out == 0)
        return ferry_error_set(err, -EIO, "deflate did not encode %zu bytes (%d)", bytes, ret);
    return (ssize_t)(room - isal->avail_out);
}

struct isal_decoder {
    struct inflate_state state;
    bool begun;
};

struct isal_decoder *isal_decoder_new(void)
{
    return calloc(1, sizeof(struct isal_decoder));
}

void isal_decoder_free(struct isal_decoder *decoder)
{
    free(decoder);
}

/* One byte more than is wanted: what follows the last page is read to its end, and must give nothing. */
static int inflate_all(struct inflate_state *isal, size_t bytes)
{
    uint8_t spare;
    int ret = isal_inflate(isal);

    if (ret < 0 || isal->avail_out > 0)
        return ret < 0 ? ret : ISAL_INVALID_BLOCK;
    isal->next_out = &spare;
    isal->avail_out = 1;
    ret = isal_inflate(isal);
    return ret < 0 ? ret : isal->avail_out == 0 ? ISAL_INVALID_BLOCK : ISAL_DECOMP_OK;
}

int isal_decode(struct isal_decoder *decoder, bool stream, const uint8_t *in, size_t in_bytes, uint8_t *to,
                size_t bytes, struct ferry_error *err)
{
    struct inflate_state *isal = &decoder->state;
    int ret;

    if (!stream || !decoder->begun) {
        isal_inflate_init(isal);
        isal->crc_flag = ISAL_ZLIB;
    }
    decoder->begun = true;
    isal->next_in = (uint8_t *)(uintptr_t)in;
    isal->avail_in = (uint32_t)in_bytes;
    isal->next_out = to;
    isal->avail_out = (uint32_t)bytes;
    ret = inflate_all(isal, bytes);
    if (ret == ISAL_DECOMP_OK && isal->avail_in == 0 && (stream || isal->block_state == ISAL_BLOCK_FINISH))
        return 0;
    return ferry_error_set(err, -EPROTO, "%zu bytes of deflate are not %zu bytes of pages (%d)", in_bytes, bytes, ret);
}
