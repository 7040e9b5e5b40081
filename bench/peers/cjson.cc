// cJSON on the same frames: a message out of bytes, and back. It takes any bytes inside a string,
// so UTF-8 is checked beside it, by a plain loop over the rules of RFC 3629.
#include "../bench.h"
#include <cjson/cJSON.h>

static bench_bytes build_frame, text[BENCH_LOGS], frame[BENCH_LOGS];
static char out[2 * BENCH_CAP];
static char line[2 * BENCH_CAP];

static bool sound_utf8(const uint8_t *at, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint8_t lead = at[i++];
        if (lead < 0x80) {
            continue;
        }
        int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (lead < 0xc2 || lead > 0xf4 || len - i < (size_t)more) {
            return false;
        }
        for (; more > 0; more--, low = 0x80, high = 0xbf) {
            if (at[i] < low || at[i] > high) {
                return false;
            }
            i++;
        }
    }
    return true;
}

static const char *string_member(const cJSON *of, const char *name)
{
    const char *string = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(of, name));
    if (string == NULL || !sound_utf8((const uint8_t *)string, strlen(string))) {
        bench_fail("cJSON", "no such text");
    }
    return string;
}

static cJSON *parse(const bench_bytes *from)
{
    cJSON *root = cJSON_ParseWithLength((const char *)from->bytes, from->len);
    if (root == NULL) {
        bench_fail("cJSON", "no message");
    }
    return root;
}

static void decode_build(int, long n)
{
    for (long i = 0; i < n; i++) {
        cJSON *root = parse(&build_frame);
        const cJSON *build = cJSON_GetObjectItemCaseSensitive(root, "Build");
        bench_sink = bench_sink + strlen(string_member(build, "flake_ref")) +
                     strlen(string_member(build, "attr"));
        bench_sink = bench_sink + (size_t)cJSON_GetNumberValue(
                                      cJSON_GetObjectItemCaseSensitive(build, "timeout_secs"));
        cJSON_Delete(root);
    }
}

static void decode_log(int which, long n)
{
    for (long i = 0; i < n; i++) {
        cJSON *root = parse(&frame[which]);
        const char *value = string_member(cJSON_GetObjectItemCaseSensitive(root, "Log"), "line");
        bench_keep(line, value, strlen(value), n);
        cJSON_Delete(root);
    }
}

static void encode_log(int which, long n)
{
    for (long i = 0; i < n; i++) {
        if (!sound_utf8(text[which].bytes, text[which].len)) {
            bench_fail("cJSON", "no UTF-8");
        }
        cJSON *root = cJSON_CreateObject();
        cJSON *log = cJSON_AddObjectToObject(root, "Log");
        cJSON_AddItemToObject(log, "line",
                              cJSON_CreateStringReference((const char *)text[which].bytes));
        if (!cJSON_PrintPreallocated(root, out, sizeof out, 0)) {
            bench_fail("cJSON", "no room");
        }
        cJSON_Delete(root);
    }
}

#include "works.h"

int main(int argc, char **argv)
{
    return works_run("cJSON", argc, argv);
}
