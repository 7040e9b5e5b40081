/*
 * The protobuf wire compared with Google's implementation: protoc reads what we write, we read what
 * it writes, and both understand handmade messages alike.
 */
#define _GNU_SOURCE
#include "mvm_proto.h"
#include "rng.h"
#include "temporary.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAP = 4096, RANDOM_MESSAGES = 100 };

static char fields[MVM_REQUEST_FIELDS_CAP];
static char dir[TEMPORARY_CAP];
static char from[128];
static char to[128];

/* ---- protoc ---- */

static size_t protoc(const char *mode, enum mvm_direction direction, const void *in, size_t in_len,
                     char *out)
{
    char command[512];
    FILE *f = fopen(from, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(in, 1, in_len, f), in_len);
    fclose(f);
    snprintf(command, sizeof command, "protoc --%s=mvm.guest.v1.%s -Icodec/proto mvm.proto <%s >%s",
             mode, direction == MVM_DIRECTION_REQUESTS ? "Request" : "Response", from, to);
    if (system(command) != 0) {
        fail_msg("protoc failed (package protobuf-compiler): %s", command);
    }
    f = fopen(to, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, CAP - 1, f);
    fclose(f);
    out[n] = '\0';
    return n;
}

/* Drops the lines of fields that the schema does not know: "N: value", and groups "N { … }". */
static void drop_unknown(char *words)
{
    char *to_line = words;
    int unknown_depth = 0;
    for (char *line = words; *line != '\0';) {
        char *end = strchr(line, '\n') + 1;
        const char *word = line + strspn(line, " ");
        bool opens = end[-2] == '{';
        bool numbered = *word >= '0' && *word <= '9';
        if (unknown_depth > 0) {
            unknown_depth += opens ? 1 : *word == '}' ? -1 : 0;
        } else if (numbered) {
            unknown_depth = opens ? 1 : 0;
        } else {
            memmove(to_line, line, (size_t)(end - line));
            to_line += end - line;
        }
        line = end;
    }
    *to_line = '\0';
}

/* ---- ours ---- */

static size_t encode(const struct mvm_message *m, uint8_t *out)
{
    struct mvm_proto_encoder e;
    mvm_proto_encoder_start(&e, m);
    size_t n = mvm_proto_encoder_pull(&e, out, CAP);
    assert_true(mvm_proto_encoder_idle(&e));
    return n;
}

static struct mvm_message decode(enum mvm_direction direction, const void *message, size_t len)
{
    static struct mvm_proto_decoder d;
    static uint8_t frame[CAP + MVM_PROTO_PREFIX];
    size_t used;
    memcpy(frame, (const uint8_t[]){0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len}, MVM_PROTO_PREFIX);
    memcpy(frame + MVM_PROTO_PREFIX, message, len);
    mvm_proto_decoder_init(&d, direction, fields, sizeof fields);
    assert_int_equal(mvm_proto_decoder_push(&d, frame, MVM_PROTO_PREFIX + len, &used),
                     MVM_DECODER_MESSAGE);
    assert_int_equal(used, MVM_PROTO_PREFIX + len);
    return d.message;
}

/* ---- by text ---- */

#define REQUEST  MVM_DIRECTION_REQUESTS
#define RESPONSE MVM_DIRECTION_RESPONSES

static const struct {
    enum mvm_direction direction;
    const char *words; /* protoc's text form */
    struct mvm_message message;
} judged[] = {
    {REQUEST,
     "build {\n  flake_ref: \"/build-in\"\n  attr: \"a.b\"\n  timeout_secs: 1800\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .build = {.flake_ref = {"/build-in", 9},
                .attr = {"a.b", 3},
                .has_timeout = true,
                .timeout_secs = 1800}}},
    {REQUEST,
     "build {\n  flake_ref: \"\\303\\251\"\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .build = {.flake_ref = {"\xc3\xa9", 2},
                .attr = {"", 0},
                .has_timeout = false,
                .timeout_secs = 0}}},
    {REQUEST,
     "build {\n  timeout_secs: 0\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .build = {.flake_ref = {"", 0}, .attr = {"", 0}, .has_timeout = true, .timeout_secs = 0}}},
    {REQUEST,
     "build {\n  timeout_secs: 18446744073709551615\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .build = {.flake_ref = {"", 0},
                .attr = {"", 0},
                .has_timeout = true,
                .timeout_secs = UINT64_MAX}}},
    {REQUEST,
     "build {\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .build = {.flake_ref = {"", 0}, .attr = {"", 0}, .has_timeout = false, .timeout_secs = 0}}},
    {REQUEST, "ping {\n}\n", {.kind = MVM_MESSAGE_PING}},
    {RESPONSE,
     "ok {\n  out_path: \"/nix/store/x\"\n}\n",
     {.kind = MVM_MESSAGE_OK, .text = {"/nix/store/x", 12}}},
    {RESPONSE, "ok {\n}\n", {.kind = MVM_MESSAGE_OK, .text = {"", 0}}},
    {RESPONSE, "err {\n  message: \"no\"\n}\n", {.kind = MVM_MESSAGE_ERR, .text = {"no", 2}}},
    {RESPONSE, "err {\n}\n", {.kind = MVM_MESSAGE_ERR, .text = {"", 0}}},
    {RESPONSE,
     "log {\n  line: \"a\\000\\377\\033\"\n}\n",
     {.kind = MVM_MESSAGE_LOG, .text = {"a\0\xff\x1b", 4}}},
    {RESPONSE, "log {\n}\n", {.kind = MVM_MESSAGE_LOG, .text = {"", 0}}},
    {RESPONSE, "pong {\n}\n", {.kind = MVM_MESSAGE_PONG}},
    {REQUEST,
     "build {\n  flake_ref: \".\"\n  attr: \"x\"\n  id: \"i\"\n  keep: true\n}\n",
     {.kind = MVM_MESSAGE_BUILD,
      .id = {"i", 1},
      .build = {{".", 1}, {"x", 1}, .keep = MVM_FLAG_TRUE}}},
    {REQUEST,
     "build {\n  id: \"\"\n  keep: false\n}\n",
     {.kind = MVM_MESSAGE_BUILD, .id = {"", 0}, .build = {.keep = MVM_FLAG_FALSE}}},
    {REQUEST, "hello {\n}\n", {.kind = MVM_MESSAGE_HELLO}},
    {REQUEST,
     "hello {\n  nonce: \"n\"\n}\n",
     {.kind = MVM_MESSAGE_HELLO, .hello = {.nonce = {"n", 1}}}},
    {REQUEST, "join {\n  id: \"i\"\n}\n", {.kind = MVM_MESSAGE_JOIN, .id = {"i", 1}}},
    {REQUEST, "cancel {\n  id: \"i\"\n}\n", {.kind = MVM_MESSAGE_CANCEL, .id = {"i", 1}}},
    {RESPONSE,
     "ok {\n  out_path: \"/x\"\n  id: \"i\"\n}\n",
     {.kind = MVM_MESSAGE_OK, .text = {"/x", 2}, .id = {"i", 1}}},
    {RESPONSE,
     "err {\n  message: \"no\"\n  id: \"i\"\n  category: \"timeout\"\n}\n",
     {.kind = MVM_MESSAGE_ERR,
      .text = {"no", 2},
      .id = {"i", 1},
      .refusal = {.category = {"timeout", 7}}}},
    {RESPONSE,
     "err {\n  refused: \"\"\n}\n",
     {.kind = MVM_MESSAGE_ERR, .refusal = {.refused = {"", 0}}}},
    {RESPONSE,
     "log {\n  id: \"i\"\n  beat: true\n}\n",
     {.kind = MVM_MESSAGE_LOG, .id = {"i", 1}, .beat = MVM_FLAG_TRUE}},
    {RESPONSE,
     "log {\n  line: \"\\n\"\n  beat: false\n}\n",
     {.kind = MVM_MESSAGE_LOG, .text = {"\n", 1}, .beat = MVM_FLAG_FALSE}},
    {RESPONSE,
     "hello {\n  nonce: \"n\"\n  agent: \"a\"\n  boot: \"b\"\n  features: \"ids\"\n}\n",
     {.kind = MVM_MESSAGE_WELCOME, .hello = {{"n", 1}, {"a", 1}, {"b", 1}, {"ids", 3}}}},
    {RESPONSE, "hello {\n}\n", {.kind = MVM_MESSAGE_WELCOME}},
    {RESPONSE,
     "cancelled {\n  id: \"i\"\n  was: \"ended\"\n}\n",
     {.kind = MVM_MESSAGE_CANCELLED, .text = {"ended", 5}, .id = {"i", 1}}},
};

enum { JUDGED = sizeof judged / sizeof judged[0] };

static void assert_text(struct mvm_text got, struct mvm_text want)
{
    assert_int_equal(got.len, want.len);
    if (want.len > 0) {
        assert_memory_equal(got.bytes, want.bytes, want.len);
    }
}

static void assert_optional(struct mvm_text got, struct mvm_text want)
{
    assert_int_equal(got.bytes != NULL, want.bytes != NULL);
    assert_text(got, want);
}

static void assert_message(const struct mvm_message *got, const struct mvm_message *want)
{
    assert_int_equal(got->kind, want->kind);
    if (want->kind == MVM_MESSAGE_BUILD) {
        assert_text(got->build.flake_ref, want->build.flake_ref);
        assert_text(got->build.attr, want->build.attr);
        assert_int_equal(got->build.has_timeout, want->build.has_timeout);
        assert_true(got->build.timeout_secs == want->build.timeout_secs);
        assert_int_equal(got->build.keep, want->build.keep);
    } else if (want->kind == MVM_MESSAGE_WELCOME || want->kind == MVM_MESSAGE_HELLO) {
        assert_optional(got->hello.nonce, want->hello.nonce);
        assert_text(got->hello.agent, want->hello.agent);
        assert_text(got->hello.boot, want->hello.boot);
        assert_text(got->hello.features, want->hello.features);
    } else if (want->kind == MVM_MESSAGE_ERR) {
        assert_optional(got->refusal.refused, want->refusal.refused);
        assert_optional(got->refusal.category, want->refusal.category);
    } else if (want->kind == MVM_MESSAGE_LOG) {
        assert_int_equal(got->beat, want->beat);
    }
    assert_text(got->text, want->text);
    assert_optional(got->id, want->id);
}

static void protoc_reads_what_we_write(void **state)
{
    uint8_t frame[CAP];
    char words[CAP];
    (void)state;
    for (size_t i = 0; i < JUDGED; i++) {
        size_t n = encode(&judged[i].message, frame);
        protoc("decode", judged[i].direction, frame + MVM_PROTO_PREFIX, n - MVM_PROTO_PREFIX,
               words);
        assert_string_equal(words, judged[i].words);
    }
}

static void we_read_what_protoc_writes(void **state)
{
    char bytes[CAP];
    (void)state;
    for (size_t i = 0; i < JUDGED; i++) {
        const char *words = judged[i].words;
        const struct mvm_message *want = &judged[i].message;
        size_t n = protoc("encode", judged[i].direction, words, strlen(words), bytes);
        struct mvm_message got = decode(judged[i].direction, bytes, n);
        assert_message(&got, want);
    }
}

/* ---- by bytes ---- */

/* protoc reads the same from these bytes as from what we decoded and encoded. */
static void assert_same(enum mvm_direction direction, const void *bytes, size_t len)
{
    uint8_t frame[CAP];
    char theirs[CAP];
    char ours[CAP];
    struct mvm_message m = decode(direction, bytes, len);
    size_t n = encode(&m, frame);
    protoc("decode", direction, bytes, len, theirs);
    protoc("decode", direction, frame + MVM_PROTO_PREFIX, n - MVM_PROTO_PREFIX, ours);
    drop_unknown(theirs);
    assert_string_equal(theirs, ours);
}

static void by_hand_both_understand_the_same(void **state)
{
    static const struct {
        enum mvm_direction direction;
        const char *bytes;
        size_t len;
    } cases[] = {
#define CASE(direction, bytes) {direction, bytes, sizeof(bytes) - 1}
        CASE(REQUEST, "\x0a\x06\x12\1a\x0a\1f"),           /* out of order */
        CASE(REQUEST, "\x0a\x06\x0a\1f\x0a\1g"),           /* a string twice */
        CASE(REQUEST, "\x0a\4\x18\1\x18\2"),               /* a number twice */
        CASE(REQUEST, "\x0a\5\x0a\1f\x0a\0"),              /* … the second one empty */
        CASE(REQUEST, "\x0a\3\x0a\1f\x0a\3\x12\1a"),       /* a message twice: merged */
        CASE(REQUEST, "\x0a\3\x0a\1f\x12\0"),              /* two kinds: the last */
        CASE(REQUEST, "\x12\0\x0a\3\x0a\1f"),              /* … */
        CASE(REQUEST, "\x0a\3\x0a\1f\x12\0\x0a\3\x12\1a"), /* … the first is dropped */
        CASE(REQUEST, "\x7a\3xyz\x12\0"),                  /* unknown: bytes */
        CASE(REQUEST, "\x78\x96\1\x12\0\x79"
                      "12345678\x7d"
                      "1234"),                             /* varint, 64 and 32 bits */
        CASE(REQUEST, "\x0a\x09\x0a\1f\x98\x06\7\x12\1a"), /* an unknown number within */
        CASE(REQUEST, "\x12\3\x08\x96\1"),                 /* an unknown field in a Ping */
        CASE(REQUEST, "\x0a\x0d\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x0a"
                      "\0"),                             /* the largest number, of ten bytes */
        CASE(REQUEST, "\x8a\x80\0\3\x0a\1f"),            /* a tag in more bytes than it needs */
        CASE(REQUEST, "\x0a\x83\0\x0a\1f"),              /* a length, likewise */
        CASE(REQUEST, "\x0a\x08\x0a\1f\x7b\x7c\x12\1a"), /* a group within */
        CASE(REQUEST, "\x7b\x73\x08\1\x74\x7c\x12\0"),   /* groups outside */
        CASE(RESPONSE, "\x1a\4\x0a\2\xff\0"),            /* any bytes in a line */
        CASE(RESPONSE, "\x1a\3\x0a\1x\x0a\3\x0a\1y"),    /* two kinds: the last */
        CASE(RESPONSE, "\x1a\x06\x0a\1x\x0a\1y"),        /* a line twice */
        CASE(RESPONSE, "\x22\0\x7a\1z"),                 /* unknown after a Pong */
#undef CASE
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_same(cases[i].direction, cases[i].bytes, cases[i].len);
    }
}

/* ---- random ---- */

static struct rng rng;

static size_t put_text(uint8_t *to_bytes, uint8_t tag)
{
    size_t n = rng_below(&rng, 4);
    to_bytes[0] = tag;
    to_bytes[1] = (uint8_t)n;
    memset(to_bytes + 2, 'a' + (int)rng_below(&rng, 26), n);
    return n + 2;
}

/* A field for a message: a known one, or an unknown one. */
static size_t put_field(uint8_t *to_bytes, const uint8_t *texts, size_t texts_len, bool number)
{
    uint32_t which = rng_below(&rng, (uint32_t)texts_len + 3);
    if (which < texts_len) {
        return put_text(to_bytes, texts[which]);
    }
    if (which == texts_len) {
        return put_text(to_bytes, 10 << 3 | 2);
    }
    to_bytes[0] = which == texts_len + 1 && number ? 3 << 3 : 11 << 3;
    to_bytes[1] = (uint8_t)rng_below(&rng, 128);
    return 2;
}

static size_t put_message(uint8_t *to_bytes, uint8_t tag, const uint8_t *texts, size_t texts_len,
                          bool number)
{
    size_t len = 2;
    for (uint32_t left = rng_below(&rng, 5); left > 0; left--) {
        len += put_field(to_bytes + len, texts, texts_len, number);
    }
    to_bytes[0] = tag;
    to_bytes[1] = (uint8_t)(len - 2);
    return len;
}

static size_t put_request(uint8_t *to_bytes)
{
    static const uint8_t texts[] = {1 << 3 | 2, 2 << 3 | 2};
    bool build = rng_below(&rng, 4) != 0;
    return put_message(to_bytes, build ? 1 << 3 | 2 : 2 << 3 | 2, texts, build ? 2 : 0, build);
}

static size_t put_response(uint8_t *to_bytes)
{
    static const uint8_t texts[] = {1 << 3 | 2};
    uint8_t kind = (uint8_t)(1 + rng_below(&rng, 4));
    return put_message(to_bytes, (uint8_t)(kind << 3 | 2), texts, kind < 4 ? 1 : 0, false);
}

static void by_chance_both_understand_the_same(void **state)
{
    uint8_t bytes[CAP];
    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_MESSAGES; seed++) {
        rng = rng_by_seed(seed);
        bool request = rng_below(&rng, 2) == 0;
        size_t len = 0;
        for (uint32_t left = 1 + rng_below(&rng, 3); left > 0; left--) {
            len += request ? put_request(bytes + len) : put_response(bytes + len);
        }
        assert_same(request ? REQUEST : RESPONSE, bytes, len);
    }
}

static int begin(void **state)
{
    (void)state;
    if (!make_temporary(dir, "proto")) {
        return -1;
    }
    snprintf(from, sizeof from, "%s/from", dir);
    snprintf(to, sizeof to, "%s/to", dir);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(from);
    unlink(to);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protoc_reads_what_we_write),
        cmocka_unit_test(we_read_what_protoc_writes),
        cmocka_unit_test(by_hand_both_understand_the_same),
        cmocka_unit_test(by_chance_both_understand_the_same),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
