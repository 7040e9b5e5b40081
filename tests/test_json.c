/* Bytes → tokens: the same tokens however the bytes are cut. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_json.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- what comes out of a text, as a string --------------------------------------------------
 * { } [ ] t f 0 stand for themselves, k(…) and s(…) for kept keys and strings, k and s for dropped
 * ones, n(7) for a 64-bit number and n for another, "." for a whole text, "blank" for an empty one,
 * and !what@7 for an error at byte 7. */

struct trace {
    struct mvm_json json;
    struct mvm_writer w;
    char buf[1024];
    char place[512];
    size_t cap; /* of the place kept for every string; 0: all are dropped */
};

static const char *const error_names[] = {
    [MVM_JSON_UNEXPECTED] = "!unexpected",
    [MVM_JSON_BAD_ESCAPE] = "!escape",
    [MVM_JSON_LONE_SURROGATE] = "!surrogate",
    [MVM_JSON_CONTROL] = "!control",
    [MVM_JSON_NOT_UTF8] = "!utf8",
    [MVM_JSON_TOO_DEEP] = "!deep",
    [MVM_JSON_TRAILING] = "!trailing",
    [MVM_JSON_ENDED] = "!ended",
};

static void add_token(struct trace *t, enum mvm_json_token token)
{
    static const char *const names[] = {"", "{", "}", "[", "]", "k", "s", "n", "t", "f", "0"};
    struct mvm_json *j = &t->json;
    if (token == MVM_JSON_ERROR) {
        mvm_writer_add(&t->w, error_names[j->error]);
        mvm_writer_add(&t->w, "@");
        mvm_writer_add_u64(&t->w, j->offset);
        return;
    }
    mvm_writer_add(&t->w, names[token]);
    if ((token == MVM_JSON_KEY || token == MVM_JSON_STRING) && j->text.bytes != NULL) {
        mvm_writer_add(&t->w, "(");
        mvm_writer_add_text(&t->w, j->text);
        mvm_writer_add(&t->w, j->overflow ? "~)" : ")");
    } else if (token == MVM_JSON_NUMBER && j->is_u64) {
        mvm_writer_add(&t->w, "(");
        mvm_writer_add_u64(&t->w, j->u64);
        mvm_writer_add(&t->w, ")");
    }
    if (t->cap > 0) {
        mvm_json_keep(j, t->place, t->cap);
    }
}

static void begin(struct trace *t, size_t cap)
{
    memset(t, 0xaa, sizeof *t); /* init must not rely on earlier contents */
    t->cap = cap;
    mvm_writer_init(&t->w, t->buf, sizeof t->buf);
    mvm_json_init(&t->json);
    if (cap > 0) {
        mvm_json_keep(&t->json, t->place, cap);
    }
}

static void push(struct trace *t, const uint8_t *bytes, size_t len)
{
    size_t used;
    do {
        enum mvm_json_token token = mvm_json_push(&t->json, bytes, len, &used);
        assert_true(used <= len);
        if (token == MVM_JSON_ERROR) {
            if (t->w.len == 0 || strchr(t->buf, '!') == NULL) {
                add_token(t, token);
            }
            return;
        }
        if (token == MVM_JSON_PARTIAL) {
            assert_int_equal(used, len);
        } else {
            add_token(t, token);
        }
        bytes += used;
        len -= used;
    } while (len > 0);
}

static const char *finish(struct trace *t)
{
    if (mvm_json_blank(&t->json)) {
        assert_int_equal(mvm_json_finish(&t->json), MVM_JSON_PARTIAL);
        return "blank";
    }
    bool failed = strchr(t->buf, '!') != NULL;
    enum mvm_json_token token = mvm_json_finish(&t->json);
    if (failed) {
        assert_int_equal(token, MVM_JSON_ERROR);
        return t->buf;
    }
    if (token == MVM_JSON_NUMBER) {
        add_token(t, token);
        token = mvm_json_finish(&t->json);
    }
    if (token == MVM_JSON_PARTIAL) {
        mvm_writer_add(&t->w, ".");
    } else {
        add_token(t, token);
    }
    return t->buf;
}

/* Each run ends at a guard page. */
static const char *run_chunks(struct trace *t, size_t cap, const char *text, size_t len,
                              size_t chunk)
{
    begin(t, cap);
    for (size_t at = 0; at < len; at += chunk) {
        size_t piece = len - at < chunk ? len - at : chunk;
        push(t, guard_copy(0, text + at, piece), piece);
    }
    return finish(t);
}

static const char *run_cuts(struct trace *t, size_t cap, const char *text, size_t len, size_t a,
                            size_t b)
{
    begin(t, cap);
    push(t, guard_copy(0, text, a), a);
    push(t, guard_end(0, 0), 0);
    push(t, guard_copy(0, text + a, b - a), b - a);
    push(t, guard_copy(0, text + b, len - b), len - b);
    return finish(t);
}

static void check_len(size_t cap, const char *text, size_t len, const char *expected)
{
    struct trace t;
    assert_string_equal(run_chunks(&t, cap, text, len, len + 1), expected);
    for (size_t chunk = 1; chunk < len; chunk++) {
        assert_string_equal(run_chunks(&t, cap, text, len, chunk), expected);
    }
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            assert_string_equal(run_cuts(&t, cap, text, len, a, b), expected);
        }
    }
}

struct text_case {
    const char *text;
    const char *expected;
};

static void check_all(size_t cap, const struct text_case *cases, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        check_len(cap, cases[n].text, strlen(cases[n].text), cases[n].expected);
    }
}

#define CHECK(cap, cases) check_all(cap, cases, sizeof cases / sizeof *cases)
#define KEPT              512

/* ---- tests ---------------------------------------------------------------------------------- */

static void values_and_structure_become_tokens(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"null", "0."},
        {" true ", "t."},
        {"false\r\n", "f."},
        {"\"\"", "s()."},
        {"{}", "{}."},
        {"[ ]", "[]."},
        {"[1,[2],{\"a\":[]}]", "[n(1)[n(2)]{k(a)[]}]."},
        {"{\"a\":1,\"b\" : { \"c\":null} , \"d\":\"e\"}", "{k(a)n(1)k(b){k(c)0}k(d)s(e)}."},
        {"\t[\n\r true , false ]\n", "[tf]."},
        {"[{},[]]", "[{}[]]."},
    };
    CHECK(KEPT, cases);
}

static void what_cannot_stand_where_it_does_is_refused_at_its_byte(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"x", "!unexpected@0"},
        {" }", "!unexpected@1"},
        {"]", "!unexpected@0"},
        {":", "!unexpected@0"},
        {",", "!unexpected@0"},
        {"[,1]", "[!unexpected@1"},
        {"[1,]", "[n(1)!unexpected@3"},
        {"[1 2]", "[n(1)!unexpected@3"},
        {"[}", "[!unexpected@1"},
        {"[1}", "[n(1)!unexpected@2"},
        {"{]", "{!unexpected@1"},
        {"{1:2}", "{!unexpected@1"},
        {"{\"a\" 1}", "{k(a)!unexpected@5"},
        {"{\"a\":}", "{k(a)!unexpected@5"},
        {"{\"a\":1,}", "{k(a)n(1)!unexpected@7"},
        {"{\"a\":1]", "{k(a)n(1)!unexpected@6"},
        {"{\"a\":1 \"b\"", "{k(a)n(1)!unexpected@7"},
        {"{,", "{!unexpected@1"},
        {"nul!", "!unexpected@3"},
        {"tRue", "!unexpected@1"},
        {"fals ", "!unexpected@4"},
        {"\v1", "!unexpected@0"},
        {"\xef\xbb\xbf{}", "!unexpected@0"},
        {"\xc2\xa0", "!unexpected@0"},
        {"{} x", "{}!trailing@3"},
        {"nullx", "0!trailing@4"},
        {"\"a\"\"b\"", "s(a)!trailing@3"},
        {"1 2", "n(1)!trailing@2"},
        {"{}}", "{}!trailing@2"},
    };
    CHECK(KEPT, cases);
}

static void a_text_that_ends_too_early_is_not_a_text(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"{", "{!ended@1"},          {"[1", "[!ended@2"},          {"[1,", "[n(1)!ended@3"},
        {"\"abc", "!ended@4"},       {"\"a\\", "!ended@3"},        {"\"\\u00", "!ended@5"},
        {"\"\xc3", "!ended@2"},      {"{\"a\"", "{k(a)!ended@4"},  {"tru", "!ended@3"},
        {"-", "!ended@1"},           {"1.", "!ended@2"},           {"1e", "!ended@2"},
        {"1e+", "!ended@3"},         {"{\"a\":", "{k(a)!ended@5"}, {"\"\\ud83d", "!ended@7"},
        {"\"\\ud83d\\", "!ended@8"},
    };
    CHECK(KEPT, cases);
}

static void white_space_alone_is_blank(void **state)
{
    (void)state;
    static const struct text_case cases[] = {{"", "blank"}, {" \t\r\n", "blank"}};
    CHECK(KEPT, cases);
}

static void numbers_of_64_bits_have_their_value_and_others_none(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"0", "n(0)."},
        {"7 ", "n(7)."},
        {"1800", "n(1800)."},
        {"18446744073709551615", "n(18446744073709551615)."},
        {"18446744073709551616", "n."},
        {"18446744073709551620", "n."},
        {"99999999999999999999999999999999999999999", "n."},
        {"184467440737095516150", "n."},
        {"-0", "n."},
        {"-12", "n."},
        {"1.0", "n."},
        {"0.25 ", "n."},
        {"1e3", "n."},
        {"0E0", "n."},
        {"12.5e-10", "n."},
        {"1E+400", "n."},
        {"[0,10,-1.5e2]", "[n(0)n(10)n]."},
        {"{\"a\":3}", "{k(a)n(3)}."},
    };
    CHECK(KEPT, cases);
}

static void malformed_numbers_are_refused(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"-a", "!unexpected@1"},        {"--1", "!unexpected@1"},   {"1.e1", "!unexpected@2"},
        {"1e+-", "!unexpected@3"},      {"1ee", "!unexpected@2"},   {"+1", "!unexpected@0"},
        {".5", "!unexpected@0"},        {"01", "n(0)!trailing@1"},  {"-01", "n!trailing@2"},
        {"1.5.5", "n!trailing@3"},      {"1e5e", "n!trailing@3"},   {"1e5.5", "n!trailing@3"},
        {"[00]", "[n(0)!unexpected@2"}, {"1-2", "n(1)!trailing@1"}, {"1.5+", "n!trailing@3"},
    };
    CHECK(KEPT, cases);
}

static void strings_lose_their_escapes(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s(\"\\/\b\f\n\r\t)."},
        {"\"a\\u0041\\u00e9\\u00E9\\u20ac\\uffff\"",
         "s(aA\xc3\xa9\xc3\xa9\xe2\x82\xac\xef\xbf\xbf)."},
        {"\"\\u007f\\u0080\\u07ff\\u0800\"", "s(\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80)."},
        {"\"\\ud83d\\ude80\"", "s(\xf0\x9f\x9a\x80)."},
        {"\"\\uD800\\uDC00\\udbff\\udfff;\"", "s(\xf0\x90\x80\x80\xf4\x8f\xbf\xbf;)."},
        {"\"\\ud7ff\\ue000\"", "s(\xed\x9f\xbf\xee\x80\x80)."},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80\x7f\"",
         "s(\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80\x7f)."},
        {"{\"\\u006bey\\n\":\"v\"}", "{k(key\n)s(v)}."},
        {"\"a run of more than sixteen plain bytes, then \\n and more\"",
         "s(a run of more than sixteen plain bytes, then \n and more)."},
    };
    CHECK(KEPT, cases);
    struct trace t;
    run_chunks(&t, KEPT, "\"a\\u0000b\"", 10, 1);
    assert_int_equal(t.json.text.len, 3);
    assert_memory_equal(t.json.text.bytes, "a\0b", 3);
}

static void bad_strings_are_refused_at_the_byte_that_shows_it(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\"\\x\"", "!escape@2"},        {"\"\\\n\"", "!escape@2"},
        {"\"\\u12g4\"", "!escape@5"},    {"\"\\u \"", "!escape@3"},
        {"\"\\u/000\"", "!escape@3"},    {"\"\\u:000\"", "!escape@3"},
        {"\"\\u@000\"", "!escape@3"},    {"\"\\u`000\"", "!escape@3"},
        {"\"a\nb\"", "!control@2"},      {"\"a\x1f\"", "!control@2"},
        {"\"\xff\"", "!utf8@1"},         {"\"ab\xc3(\"", "!utf8@4"},
        {"\"ab\xc3\"", "!utf8@4"},       {"\"\xe2\x82\n\"", "!utf8@3"},
        {"\"\xed\xa0\x80\"", "!utf8@2"}, {"\"\xf0\x9f\x9a\x80\x80\"", "!utf8@5"},
        {"{\"\xff", "{!utf8@2"},
    };
    CHECK(KEPT, cases);
    CHECK(0, cases);
    check_len(KEPT, "\"\0\"", 3, "!control@1");
    check_len(KEPT, "\"\\\0\"", 4, "!escape@2");
    check_len(0, "\"\\u\0", 4, "!escape@3");
}

static void kept_strings_have_no_lone_surrogates(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\"\\udc00\"", "!surrogate@6"},         {"\"\\udfff\\ud800\"", "!surrogate@6"},
        {"\"\\ud800\"", "!surrogate@7"},         {"\"\\ud800x\"", "!surrogate@7"},
        {"\"\\ud800\\n\"", "!surrogate@8"},      {"\"\\ud800\\ud800\"", "!surrogate@12"},
        {"\"\\ud800\\u0041\"", "!surrogate@12"}, {"\"\\ud800\\ux\"", "!escape@9"},
        {"{\"\\ud800\":1}", "{!surrogate@8"},
    };
    CHECK(KEPT, cases);
}

static void dropped_strings_may_have_them(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\"\\udc00\\ud800x\\ud800\\n\"", "s."},
        {"{\"\\ud800\\u0041\":[\"\\uDBFF\"]}", "{k[s]}."},
        {"\"\xc3\xa9\\t\\u00e9\"", "s."},
        {"{\"a\":\"b\"}", "{ks}."},
    };
    CHECK(0, cases);
}

static void a_string_of_the_place_s_size_fits_and_one_more_overflows(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\"1234\"", "s(1234)."},
        {"\"12345\"", "s(1234~)."},
        {"\"12\\u0033\\n\"", "s(123\n)."},
        {"\"1234\\n5\"", "s(1234~)."},
        {"\"\xf0\x9f\x9a\x80\"", "s(\xf0\x9f\x9a\x80)."},
        {"\"123\\u007f\"", "s(123\x7f)."},
        {"[\"12345\",\"a\"]", "[s(1234~)s(a)]."},
        {"{\"12345\":\"1234\"}", "{k(1234~)s(1234)}."},
        {"\"12345\\ud800\"", "!surrogate@12"},
    };
    CHECK(4, cases);
    struct trace t;
    run_chunks(&t, 4, "\"123\\ud83d\\ude80\"", 17, 17);
    assert_true(t.json.overflow);
    assert_int_equal(t.json.text.len, 4);
}

static void a_place_holds_for_one_string_alone(void **state)
{
    (void)state;
    static const char text[] = "[\"a\",\"b\",\"c\"]";
    struct mvm_json j;
    char place[8];
    mvm_json_init(&j);
    const uint8_t *at = (const uint8_t *)text;
    size_t used;
    assert_int_equal(mvm_json_push(&j, at, 13, &used), MVM_JSON_ARRAY);
    at += used;
    mvm_json_keep(&j, place, sizeof place);
    assert_int_equal(mvm_json_push(&j, at, 12, &used), MVM_JSON_STRING);
    at += used;
    assert_ptr_equal(j.text.bytes, place);
    assert_int_equal(mvm_json_push(&j, at, 4, &used), MVM_JSON_STRING);
    at += used;
    assert_null(j.text.bytes);
    mvm_json_keep(&j, place, sizeof place);
    mvm_json_drop(&j);
    assert_int_equal(mvm_json_push(&j, at, 4, &used), MVM_JSON_STRING);
    assert_null(j.text.bytes);
}

static void a_place_of_no_bytes_still_wants_sound_strings(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"\"", "\"a\"", "\"\\ud800\""};
    for (int n = 0; n < 3; n++) {
        struct mvm_json j;
        char place[1];
        size_t used;
        mvm_json_init(&j);
        mvm_json_keep(&j, place, 0);
        enum mvm_json_token token =
            mvm_json_push(&j, (const uint8_t *)texts[n], strlen(texts[n]), &used);
        assert_int_equal(token, n < 2 ? MVM_JSON_STRING : MVM_JSON_ERROR);
        assert_int_equal(j.overflow, n == 1);
    }
}

/* Behind a run of any length: what is left of the place counts, not all of it. */
static void escapes_stay_within_what_a_run_has_left_of_the_place(void **state)
{
    (void)state;
    enum { RUN_MAX = 40, ESCAPES = 200, PLACE_MAX = 300 };
    for (size_t run = 0; run <= RUN_MAX; run++) {
        uint8_t text[1 + RUN_MAX + 2 * ESCAPES + 1];
        size_t len = 0;
        text[len++] = '"';
        memset(text + len, 'x', run);
        len += run;
        for (size_t n = 0; n < ESCAPES; n++) {
            text[len++] = '\\';
            text[len++] = 'n';
        }
        text[len++] = '"';
        for (size_t cap = 0; cap <= PLACE_MAX; cap++) {
            struct mvm_json j;
            size_t used;
            mvm_json_init(&j);
            mvm_json_keep(&j, (char *)guard_end(1, cap), cap);
            assert_int_equal(mvm_json_push(&j, guard_copy(0, text, len), len, &used),
                             MVM_JSON_STRING);
            assert_int_equal(j.overflow, cap < run + ESCAPES);
            assert_int_equal(j.text.len, cap < run + ESCAPES ? cap : run + ESCAPES);
        }
    }
}

static void a_place_may_be_larger_than_any_string(void **state)
{
    (void)state;
    struct mvm_json j;
    char place[8];
    size_t used;
    mvm_json_init(&j);
    mvm_json_keep(&j, place, SIZE_MAX);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"\"abc\"", 5, &used), MVM_JSON_STRING);
    assert_false(j.overflow);
    assert_true(mvm_text_equal(j.text, "abc"));
}

static enum mvm_json_token nest(const char *opening, const char *closing, unsigned levels,
                                struct mvm_json *j)
{
    enum mvm_json_token token = MVM_JSON_PARTIAL;
    size_t used;
    mvm_json_init(j);
    for (unsigned n = 0; n < levels; n++) {
        for (const char *at = opening; *at != '\0' && token != MVM_JSON_ERROR; at++) {
            token = mvm_json_push(j, (const uint8_t *)at, 1, &used);
        }
    }
    for (unsigned n = 0; n < levels && token != MVM_JSON_ERROR; n++) {
        assert_int_equal(j->depth, levels - n);
        token = mvm_json_push(j, (const uint8_t *)closing, 1, &used);
    }
    return token;
}

static void levels_nest_up_to_the_limit_and_not_one_more(void **state)
{
    (void)state;
    struct mvm_json j;
    assert_int_equal(nest("[", "]", MVM_JSON_DEPTH, &j), MVM_JSON_ARRAY_END);
    assert_int_equal(mvm_json_finish(&j), MVM_JSON_PARTIAL);
    assert_int_equal(nest("[", "]", MVM_JSON_DEPTH + 1, &j), MVM_JSON_ERROR);
    assert_int_equal(j.error, MVM_JSON_TOO_DEEP);
    assert_int_equal(j.offset, MVM_JSON_DEPTH);
    assert_int_equal(nest("{\"\":", "}", MVM_JSON_DEPTH, &j), MVM_JSON_ERROR);
    assert_int_equal(j.error, MVM_JSON_UNEXPECTED); /* the innermost has no value */
    assert_int_equal(nest("[{\"\":", "]", MVM_JSON_DEPTH / 2 + 1, &j), MVM_JSON_ERROR);
    assert_int_equal(j.error, MVM_JSON_TOO_DEEP);
}

static void each_level_remembers_what_it_is(void **state)
{
    (void)state;
    char text[1024], expected[1024];
    struct mvm_writer in, out;
    mvm_writer_init(&in, text, sizeof text);
    mvm_writer_init(&out, expected, sizeof expected);
    uint64_t seed = 3;
    bool object[MVM_JSON_DEPTH];
    for (int n = 0; n < MVM_JSON_DEPTH; n++) {
        object[n] = guard_random(&seed, 2) != 0;
        mvm_writer_add(&in, object[n] ? "{\"\":" : "[");
        mvm_writer_add(&out, object[n] ? "{k()" : "[");
    }
    mvm_writer_add(&in, "1");
    mvm_writer_add(&out, "n(1)");
    for (int n = MVM_JSON_DEPTH; n-- > 0;) {
        mvm_writer_add(&in, object[n] ? "}" : "]");
        mvm_writer_add(&out, object[n] ? "}" : "]");
    }
    mvm_writer_add(&out, ".");
    struct trace t;
    assert_string_equal(run_chunks(&t, KEPT, text, in.len, 7), expected);
}

static void an_error_is_final_until_init(void **state)
{
    (void)state;
    struct mvm_json j;
    size_t used;
    mvm_json_init(&j);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)" x1", 3, &used), MVM_JSON_ERROR);
    assert_int_equal(used, 1);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"1", 1, &used), MVM_JSON_ERROR);
    assert_int_equal(used, 0);
    assert_int_equal(mvm_json_finish(&j), MVM_JSON_ERROR);
    assert_int_equal(j.error, MVM_JSON_UNEXPECTED);
    assert_int_equal(j.offset, 1);
    mvm_json_init(&j);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"[", 1, &used), MVM_JSON_ARRAY);
}

static void a_number_s_end_is_seen_at_the_byte_behind_it(void **state)
{
    (void)state;
    struct mvm_json j;
    size_t used;
    mvm_json_init(&j);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"[12", 3, &used), MVM_JSON_ARRAY);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"12", 2, &used), MVM_JSON_PARTIAL);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"]", 1, &used), MVM_JSON_NUMBER);
    assert_int_equal(used, 0);
    assert_int_equal(j.u64, 12);
    assert_int_equal(mvm_json_push(&j, (const uint8_t *)"]", 1, &used), MVM_JSON_ARRAY_END);
}

static void a_token_knows_where_it_begins(void **state)
{
    (void)state;
    static const char text[] = " { \"key\" : [ 12 , \"ab\",true ] }";
    static const uint32_t begins[] = {1, 3, 11, 13, 18, 23, 28, 30};
    for (size_t chunk = 1; chunk <= strlen(text); chunk++) {
        struct mvm_json j;
        mvm_json_init(&j);
        size_t tokens = 0;
        for (size_t at = 0; at < strlen(text);) {
            size_t used;
            size_t len = strlen(text) - at < chunk ? strlen(text) - at : chunk;
            if (mvm_json_push(&j, (const uint8_t *)text + at, len, &used) != MVM_JSON_PARTIAL) {
                assert_int_equal(j.begun, begins[tokens]);
                tokens++;
            }
            at += used;
        }
        assert_int_equal(tokens, 8);
    }
}

static void each_error_has_a_phrase(void **state)
{
    (void)state;
    for (int error = MVM_JSON_FINE; error <= MVM_JSON_ENDED; error++) {
        const char *text = mvm_json_error_text((enum mvm_json_error)error);
        assert_true(strlen(text) > 5 && strlen(text) < 60);
    }
    assert_string_equal(mvm_json_error_text(MVM_JSON_TOO_DEEP), "nested too deep");
    assert_string_equal(mvm_json_error_text(MVM_JSON_CONTROL), "control character in a string");
}

static void garbage_gives_the_same_tokens_however_it_is_cut(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{",    "}",      "[",     "]",        ",",        ":",
                                         "\"",   "\"a\"",  "\\",    "u00e9",    "\\ud83d",  "1",
                                         "-",    "0",      ".5",    "e3",       " ",        "\n",
                                         "true", "nul",    "false", "\xc3\xa9", "\xe2\x82", "\x80",
                                         "\xff", "\"k\":", "[1,",   "{\"a\":",  "\\n",      "x"};
    uint64_t seed = 11;
    for (int round = 0; round < 20000; round++) {
        char text[128];
        struct mvm_writer w;
        mvm_writer_init(&w, text, sizeof text);
        for (uint32_t n = guard_random(&seed, 16); n > 0; n--) {
            mvm_writer_add(&w, pieces[guard_random(&seed, sizeof pieces / sizeof *pieces)]);
        }
        struct trace whole, cut;
        size_t cap = guard_random(&seed, 2) * 6;
        size_t a = guard_random(&seed, (uint32_t)w.len + 1);
        size_t b = a + guard_random(&seed, (uint32_t)(w.len - a) + 1);
        const char *expected = run_chunks(&whole, cap, text, w.len, w.len + 1);
        assert_string_equal(run_chunks(&cut, cap, text, w.len, 1), expected);
        assert_string_equal(run_cuts(&cut, cap, text, w.len, a, b), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_structure_become_tokens),
        cmocka_unit_test(what_cannot_stand_where_it_does_is_refused_at_its_byte),
        cmocka_unit_test(a_text_that_ends_too_early_is_not_a_text),
        cmocka_unit_test(white_space_alone_is_blank),
        cmocka_unit_test(numbers_of_64_bits_have_their_value_and_others_none),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(strings_lose_their_escapes),
        cmocka_unit_test(bad_strings_are_refused_at_the_byte_that_shows_it),
        cmocka_unit_test(kept_strings_have_no_lone_surrogates),
        cmocka_unit_test(dropped_strings_may_have_them),
        cmocka_unit_test(a_string_of_the_place_s_size_fits_and_one_more_overflows),
        cmocka_unit_test(a_place_holds_for_one_string_alone),
        cmocka_unit_test(a_place_of_no_bytes_still_wants_sound_strings),
        cmocka_unit_test(escapes_stay_within_what_a_run_has_left_of_the_place),
        cmocka_unit_test(a_place_may_be_larger_than_any_string),
        cmocka_unit_test(levels_nest_up_to_the_limit_and_not_one_more),
        cmocka_unit_test(each_level_remembers_what_it_is),
        cmocka_unit_test(an_error_is_final_until_init),
        cmocka_unit_test(a_number_s_end_is_seen_at_the_byte_behind_it),
        cmocka_unit_test(a_token_knows_where_it_begins),
        cmocka_unit_test(each_error_has_a_phrase),
        cmocka_unit_test(garbage_gives_the_same_tokens_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
