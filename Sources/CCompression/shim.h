#pragma once
#include <brotli/decode.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/// Begins to inflate: `bits` is 15 for the zlib format, 31 for gzip.
static inline int ccompression_inflate_init(z_stream *stream, int bits) {
    memset(stream, 0, sizeof *stream);
    return inflateInit2(stream, bits);
}
