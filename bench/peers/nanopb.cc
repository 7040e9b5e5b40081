// nanopb as its manual has it: the whole frame in one buffer, a message that holds its text. Our
// own schema, other options. The five bytes in front of a message are read and written by hand.
#include "../bench.h"
#include "mvm.pb.h"
#include <pb_decode.h>
#include <pb_encode.h>

enum { PREFIX = 5 };
static bench_bytes text, frame;
static uint8_t out[BENCH_CAP];
static uint8_t line[BENCH_CAP];

static void decode(int, long n)
{
    for (long i = 0; i < n; i++) {
        const uint8_t *at = frame.bytes;
        size_t len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
        mvm_guest_v1_Response response = mvm_guest_v1_Response_init_zero;
        pb_istream_t stream = pb_istream_from_buffer(at + PREFIX, len);
        if (at[0] != 0 || !pb_decode(&stream, mvm_guest_v1_Response_fields, &response) ||
            response.which_kind != mvm_guest_v1_Response_log_tag) {
            bench_fail("nanopb", "no message");
        }
        bench_keep(line, response.kind.log.line.bytes, response.kind.log.line.size, n);
    }
}

static void encode(int, long n)
{
    for (long i = 0; i < n; i++) {
        mvm_guest_v1_Response response;
        response.which_kind = mvm_guest_v1_Response_log_tag;
        response.kind.log.line.size = (pb_size_t)text.len;
        memcpy(response.kind.log.line.bytes, text.bytes, text.len);
        pb_ostream_t stream = pb_ostream_from_buffer(out + PREFIX, sizeof out - PREFIX);
        if (!pb_encode(&stream, mvm_guest_v1_Response_fields, &response)) {
            bench_fail("nanopb", "cannot encode");
        }
        size_t len = stream.bytes_written;
        out[0] = 0;
        for (int byte = 1; byte < PREFIX; byte++) {
            out[byte] = (uint8_t)(len >> (8 * (PREFIX - 1 - byte)));
        }
        bench_sink = bench_sink + len;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        bench_fail("nanopb", "FRAMES [MS]");
    }
    const int ms = argc > 2 ? atoi(argv[2]) : BENCH_DEFAULT_MS;
    bench_read(&text, argv[1], "log80", "text");
    bench_read(&frame, argv[1], "log80", "pb");
    decode(0, 1);
    bench_same("nanopb", &text, line, text.len);
    encode(0, 1);
    bench_same("nanopb", &frame, out, frame.len);
    bench_measure("nanopb", "", "proto-decode-log80", decode, 0, ms);
    bench_measure("nanopb", "", "proto-encode-log80", encode, 0, ms);
    return 0;
}
