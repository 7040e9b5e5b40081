// jansson on the same frames; it checks UTF-8 itself, both ways.
#include "../bench.h"
#include <jansson.h>

static bench_bytes build_frame, text[BENCH_LOGS], frame[BENCH_LOGS];
static char out[2 * BENCH_CAP];
static char line[2 * BENCH_CAP];

static json_t *parse(const bench_bytes *from)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)from->bytes, from->len, 0, &error);
    if (root == NULL) {
        bench_fail("jansson", error.text);
    }
    return root;
}

static void decode_build(int, long n)
{
    for (long i = 0; i < n; i++) {
        json_t *root = parse(&build_frame);
        const json_t *build = json_object_get(root, "Build");
        bench_sink = bench_sink + json_string_length(json_object_get(build, "flake_ref")) +
                     json_string_length(json_object_get(build, "attr")) +
                     (size_t)json_integer_value(json_object_get(build, "timeout_secs"));
        json_decref(root);
    }
}

static void decode_log(int which, long n)
{
    for (long i = 0; i < n; i++) {
        json_t *root = parse(&frame[which]);
        const json_t *text_of = json_object_get(json_object_get(root, "Log"), "line");
        bench_keep(line, json_string_value(text_of), json_string_length(text_of), n);
        json_decref(root);
    }
}

static void encode_log(int which, long n)
{
    for (long i = 0; i < n; i++) {
        json_t *log = json_object();
        json_object_set_new(log, "line",
                            json_stringn((const char *)text[which].bytes, text[which].len));
        json_t *root = json_object();
        json_object_set_new(root, "Log", log);
        if (json_dumpb(root, out, sizeof out, JSON_COMPACT) == 0) {
            bench_fail("jansson", "cannot encode");
        }
        json_decref(root);
    }
}

#include "works.h"

int main(int argc, char **argv)
{
    return works_run("jansson", argc, argv);
}
