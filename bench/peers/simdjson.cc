// simdjson on the same frames, by its fastest interface; it only decodes. The frames have the
// padding that it needs, which elsewhere would cost a copy. It uses the best instructions that the
// processor has, or those that SIMDJSON_FORCE_IMPLEMENTATION names, which are then in its name here.
#define WORKS_DECODE_ONLY
#include "../bench.h"
#include <simdjson.h>
#include <string>

static bench_bytes build_frame, text[BENCH_LOGS], frame[BENCH_LOGS];
static char line[2 * BENCH_CAP];
static simdjson::ondemand::parser parser;

static auto iterate(const bench_bytes &from)
{
    static_assert(BENCH_PADDING >= simdjson::SIMDJSON_PADDING, "frames need more padding");
    return parser.iterate(
        simdjson::padded_string_view((const char *)from.bytes, from.len, sizeof from.bytes));
}

static void decode_build(int, long n)
{
    for (long i = 0; i < n; i++) {
        auto document = iterate(build_frame);
        simdjson::ondemand::object build = document["Build"];
        std::string_view flake_ref = build["flake_ref"];
        std::string_view attr = build["attr"];
        uint64_t timeout_secs = build["timeout_secs"];
        bench_sink = bench_sink + flake_ref.size() + attr.size() + timeout_secs;
    }
}

static void decode_log(int which, long n)
{
    for (long i = 0; i < n; i++) {
        auto document = iterate(frame[which]);
        std::string_view value = document["Log"]["line"];
        bench_keep(line, value.data(), value.size(), n);
    }
}

#include "works.h"

int main(int argc, char **argv)
{
    const char *forced = getenv("SIMDJSON_FORCE_IMPLEMENTATION");
    std::string name = "simdjson";
    if (forced != nullptr) {
        name += std::string("-") + forced;
        if (simdjson::get_active_implementation()->name() != forced) {
            bench_fail(name.c_str(), "there is no such implementation");
        }
    }
    return works_run(name.c_str(), argc, argv);
}
