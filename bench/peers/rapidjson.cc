// RapidJSON on the same frames, with its checks of UTF-8 on, its memory kept from message to
// message, and the vector instructions that it has for every machine of this kind.
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#elif defined(__ARM_NEON)
#define RAPIDJSON_NEON
#endif
#include "../bench.h"
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

static bench_bytes build_frame, text[BENCH_LOGS], frame[BENCH_LOGS];
static char out[2 * BENCH_CAP];
static char line[2 * BENCH_CAP];

template <typename Use> static void decode(const bench_bytes &from, long n, Use use)
{
    static char values[BENCH_CAP], stack[BENCH_CAP];
    using Allocator = rapidjson::MemoryPoolAllocator<>;
    using Document = rapidjson::GenericDocument<rapidjson::UTF8<>, Allocator, Allocator>;
    for (long i = 0; i < n; i++) {
        Allocator value_memory(values, sizeof values), stack_memory(stack, sizeof stack);
        Document document(&value_memory, 1024, &stack_memory);
        document.Parse<rapidjson::kParseValidateEncodingFlag>((const char *)from.bytes);
        if (document.HasParseError()) {
            bench_fail("RapidJSON", "no message");
        }
        use(document);
    }
}

static void decode_build(int, long n)
{
    decode(build_frame, n, [](const auto &document) {
        const auto &build = document["Build"];
        bench_sink = bench_sink + build["flake_ref"].GetStringLength() +
                     build["attr"].GetStringLength() + build["timeout_secs"].GetUint64();
    });
}

static void decode_log(int which, long n)
{
    decode(frame[which], n, [n](const auto &document) {
        const auto &value = document["Log"]["line"];
        bench_keep(line, value.GetString(), value.GetStringLength(), n);
    });
}

static void encode_log(int which, long n)
{
    using Buffer = rapidjson::StringBuffer;
    static Buffer buffer(nullptr, BENCH_CAP);
    for (long i = 0; i < n; i++) {
        buffer.Clear();
        rapidjson::Writer<Buffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                          rapidjson::kWriteValidateEncodingFlag>
            writer(buffer);
        writer.StartObject();
        writer.Key("Log", 3);
        writer.StartObject();
        writer.Key("line", 4);
        if (!writer.String((const char *)text[which].bytes, (rapidjson::SizeType)text[which].len)) {
            bench_fail("RapidJSON", "no UTF-8");
        }
        writer.EndObject();
        writer.EndObject();
        bench_sink = bench_sink + buffer.GetSize();
    }
    memcpy(out, buffer.GetString(), buffer.GetSize()); // once, to be looked at
}

#include "works.h"

int main(int argc, char **argv)
{
    return works_run("RapidJSON", argc, argv);
}
