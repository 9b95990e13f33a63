/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_codec_zlib.c - any bytes for the codec zlib: refused, or exactly the pages asked for */
#include "fuzz.h"
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    return fuzz_codec(CODEC_ZLIB, data, bytes);
}
