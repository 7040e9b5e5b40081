/* JSON lines → messages: which frames are accepted, what is reported of the others, and that the
 * cuts between pushes change nothing. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include "mvm_run.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- the messages of a stream, as a string ----------------------------------------------------
 * Each message as Build(flake_ref|attr|timeout or -), Ok(path) and so on, each bad frame as its
 * explanation without "parse error: ", each followed by a semicolon. */

struct trace {
    struct mvm_decoder decoder;
    struct mvm_writer w;
    char buf[4096];
    char fields[MVM_REQUEST_FIELDS_CAP];
};

static void add_build(struct mvm_writer *w, const struct mvm_build *build)
{
    mvm_writer_add_text(w, build->flake_ref);
    mvm_writer_add(w, "|");
    mvm_writer_add_text(w, build->attr);
    mvm_writer_add(w, "|");
    if (build->has_timeout) {
        mvm_writer_add_u64(w, build->timeout_secs);
    } else {
        mvm_writer_add(w, "-");
    }
}

static void add_message(struct mvm_writer *w, const struct mvm_message *m)
{
    static const char *const names[] = {
        [MVM_MESSAGE_BUILD] = "Build(", [MVM_MESSAGE_PING] = "Ping", [MVM_MESSAGE_OK] = "Ok(",
        [MVM_MESSAGE_ERR] = "Err(",     [MVM_MESSAGE_LOG] = "Log(",  [MVM_MESSAGE_PONG] = "Pong",
    };
    mvm_writer_add(w, names[m->kind]);
    if (m->kind == MVM_MESSAGE_PING || m->kind == MVM_MESSAGE_PONG) {
        mvm_writer_add(w, ";");
        return;
    }
    if (m->kind == MVM_MESSAGE_BUILD) {
        add_build(w, &m->build);
    } else {
        mvm_writer_add_text(w, m->text);
    }
    mvm_writer_add(w, ");");
}

static void add_error(struct trace *t)
{
    static const char prefix[] = "parse error: ";
    char line[160];
    struct mvm_writer w;
    mvm_writer_init(&w, line, sizeof line);
    mvm_decoder_explain(&t->decoder, &w);
    assert_false(w.cut);
    assert_memory_equal(line, prefix, strlen(prefix));
    mvm_writer_add(&t->w, line + strlen(prefix));
    mvm_writer_add(&t->w, ";");
}

static void add_status(struct trace *t, enum mvm_decoder_status status)
{
    if (status == MVM_DECODER_MESSAGE) {
        add_message(&t->w, &t->decoder.message);
    } else if (status == MVM_DECODER_BAD_FRAME) {
        add_error(t);
    }
}

static void begin(struct trace *t, enum mvm_direction direction)
{
    memset(t, 0xaa, sizeof *t); /* init must not rely on earlier contents */
    mvm_writer_init(&t->w, t->buf, sizeof t->buf);
    mvm_decoder_init(&t->decoder, direction, t->fields, sizeof t->fields);
}

static void push(struct trace *t, const void *bytes, size_t len)
{
    const uint8_t *at = guard_copy(0, bytes, len);
    size_t used;
    do {
        enum mvm_decoder_status status = mvm_decoder_push(&t->decoder, at, len, &used);
        assert_true(used <= len && (used > 0 || len == 0));
        if (status == MVM_DECODER_PARTIAL) {
            assert_int_equal(used, len);
        }
        add_status(t, status);
        at += used;
        len -= used;
    } while (len > 0);
}

static const char *finish(struct trace *t)
{
    add_status(t, mvm_decoder_finish(&t->decoder));
    assert_int_equal(mvm_decoder_finish(&t->decoder), MVM_DECODER_PARTIAL);
    assert_false(t->w.cut);
    return t->buf;
}

static const char *run_chunks(struct trace *t, enum mvm_direction direction, const char *stream,
                              size_t len, size_t chunk)
{
    begin(t, direction);
    for (size_t at = 0; at < len; at += chunk) {
        push(t, stream + at, len - at < chunk ? len - at : chunk);
    }
    return finish(t);
}

static const char *run_cuts(struct trace *t, enum mvm_direction direction, const char *stream,
                            size_t len, size_t a, size_t b)
{
    begin(t, direction);
    push(t, stream, a);
    push(t, stream, 0);
    push(t, stream + a, b - a);
    push(t, stream + b, len - b);
    return finish(t);
}

static void check_cut_anywhere(enum mvm_direction direction, const char *stream, size_t len,
                               const char *expected)
{
    struct trace t;
    assert_string_equal(run_chunks(&t, direction, stream, len, len + 1), expected);
    for (size_t chunk = 1; chunk < len; chunk++) {
        assert_string_equal(run_chunks(&t, direction, stream, len, chunk), expected);
    }
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            assert_string_equal(run_cuts(&t, direction, stream, len, a, b), expected);
        }
    }
}

struct frame_case {
    const char *frame;
    const char *expected;
};

/* Each frame alone without a newline, and between two others. */
static void check_all(enum mvm_direction direction, const struct frame_case *cases, size_t count)
{
    const char *other = direction == MVM_DIRECTION_REQUESTS ? "\"Ping\"\n" : "\"Pong\"\n";
    const char *other_expected = direction == MVM_DIRECTION_REQUESTS ? "Ping;" : "Pong;";
    for (size_t n = 0; n < count; n++) {
        check_cut_anywhere(direction, cases[n].frame, strlen(cases[n].frame), cases[n].expected);
        char stream[512], expected[512];
        struct mvm_writer s, x;
        mvm_writer_init(&s, stream, sizeof stream);
        mvm_writer_init(&x, expected, sizeof expected);
        mvm_writer_add(&s, other);
        mvm_writer_add(&s, cases[n].frame);
        mvm_writer_add(&s, "\n");
        mvm_writer_add(&s, other);
        mvm_writer_add(&x, other_expected);
        mvm_writer_add(&x, cases[n].expected);
        mvm_writer_add(&x, other_expected);
        check_cut_anywhere(direction, stream, s.len, expected);
    }
}

#define CHECK(direction, cases) check_all(direction, cases, sizeof cases / sizeof *cases)

/* ---- what is accepted ----------------------------------------------------------------------- */

static void requests_are_decoded(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"\"Ping\"", "Ping;"},
        {"{\"Ping\":null}", "Ping;"},
        {"{\"Build\":{\"flake_ref\":\"/build-in\",\"attr\":\"a.b\",\"timeout_secs\":1800}}",
         "Build(/build-in|a.b|1800);"},
        {"{\"Build\":{\"flake_ref\":\".\",\"attr\":\"a\"}}", "Build(.|a|-);"},
        {"{\"Build\":{\"flake_ref\":\".\",\"attr\":\"a\",\"timeout_secs\":null}}", "Build(.|a|-);"},
        {"{\"Build\":{\"timeout_secs\":0,\"attr\":\"\",\"flake_ref\":\"\"}}", "Build(||0);"},
        {"{\"Build\":[\"f\",\"a\",7]}", "Build(f|a|7);"},
        {"{\"Build\":[\"f\",\"a\",null]}", "Build(f|a|-);"},
        {"{\"Build\":[\"f\",\"a\",18446744073709551615]}", "Build(f|a|18446744073709551615);"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static void responses_are_decoded(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"\"Pong\"", "Pong;"},
        {"{\"Pong\":null}", "Pong;"},
        {"{\"Ok\":{\"out_path\":\"/nix/store/x\"}}", "Ok(/nix/store/x);"},
        {"{\"Err\":{\"message\":\"no\"}}", "Err(no);"},
        {"{\"Log\":{\"line\":\"\"}}", "Log();"},
        {"{\"Log\":[\"x\"]}", "Log(x);"},
        {"{\"Ok\":[\"\"]}", "Ok();"},
    };
    CHECK(MVM_DIRECTION_RESPONSES, cases);
}

static void white_space_may_stand_between_tokens(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {" \t\"Ping\" \r", "Ping;"},
        {"\t{ \"Ping\" : null } ", "Ping;"},
        {" { \"Build\"\t: { \"flake_ref\" : \"f\" , \"attr\" : \"a\" , \"timeout_secs\" : 1 } } \r",
         "Build(f|a|1);"},
        {"{\"Build\": [ \"f\" ,\"a\" , 7 ] }", "Build(f|a|7);"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static void names_and_texts_may_carry_escapes(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"\"\\u0050ing\"", "Ping;"},
        {"{\"\\u0042uild\":{\"fl\\u0061ke_ref\":\"\\/b\",\"attr\":\"\\ud83d\\ude80\\n\"}}",
         "Build(/b|\xf0\x9f\x9a\x80\n|-);"},
        {"{\"Build\":{\"flake_ref\":\"\xc3\xa9\",\"attr\":\"\x7f\"}}", "Build(\xc3\xa9|\x7f|-);"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static void a_text_may_hold_nul(void **state)
{
    (void)state;
    struct trace t;
    static const char frame[] = "{\"Log\":{\"line\":\"a\\u0000b\"}}\n";
    size_t used;
    begin(&t, MVM_DIRECTION_RESPONSES);
    assert_int_equal(mvm_decoder_push(&t.decoder, (const uint8_t *)frame, strlen(frame), &used),
                     MVM_DECODER_MESSAGE);
    assert_int_equal(t.decoder.message.text.len, 3);
    assert_memory_equal(t.decoder.message.text.bytes, "a\0b", 3);
}

static void unknown_fields_are_skipped_whatever_they_hold(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"{\"Log\":{\"x\":1,\"line\":\"l\",\"y\":-2.5e3}}", "Log(l);"},
        {"{\"Log\":{\"x\":null,\"x\":true,\"line\":\"l\"}}", "Log(l);"},
        {"{\"Log\":{\"x\":[{\"line\":[]},[[1]],\"s\"],\"line\":\"l\"}}", "Log(l);"},
        {"{\"Log\":{\"line\":\"l\",\"x\":{\"a\":{\"b\":{}}}}}", "Log(l);"},
        {"{\"Log\":{\"line\":\"l\",\"x\":\"\\ud800\"}}", "Log(l);"},
        {"{\"Log\":{\"line\":\"l\",\"x\":{\"\\udc00\":\"\\ud800\\n\"}}}", "Log(l);"},
        {"{\"Log\":{\"\":0,\"lin\":0,\"line_\":0,\"Line\":0,\"line\":\"l\"}}", "Log(l);"},
        {"{\"Log\":{\"a name that is longer than any known\":0,\"line\":\"l\"}}", "Log(l);"},
        {"{\"Log\":{\"line\":\"l\",\"x\":1E400}}", "Log(l);"},
        {"{\"Ok\":{\"timeout_secs\":[],\"message\":1,\"out_path\":\"p\"}}", "Ok(p);"},
    };
    CHECK(MVM_DIRECTION_RESPONSES, cases);
    static const struct frame_case requests[] = {
        {"{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secss\":1}}", "Build(f|a|-);"},
        {"{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"out_path\":1}}", "Build(f|a|-);"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, requests);
}

static void a_blank_line_is_nothing(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {{"", ""}, {" ", ""}, {"\t \r", ""}, {"\n\r\n", ""}};
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void what_is_not_json_is_refused_where_it_stops_being_it(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"x", "unexpected character at byte 0;"},
        {"\xef\xbb\xbf\"Ping\"", "unexpected character at byte 0;"},
        {"\v", "unexpected character at byte 0;"},
        {"\"Ping\" \"Ping\"", "characters after the value at byte 7;"},
        {"{\"Ping\":null}}", "characters after the value at byte 13;"},
        {"\"Ping", "unexpected end at byte 5;"},
        {"{\"Ping\":null", "unexpected end at byte 12;"},
        {"{\"Ping\":nul}", "unexpected character at byte 11;"},
        {"\"P\\x\"", "bad escape in a string at byte 3;"},
        {"\"P\x01\"", "control character in a string at byte 2;"},
        {"\"P\xff\"", "string is not UTF-8 at byte 2;"},
        {"{\"\\ud800\":null}", "lone surrogate in a string at byte 8;"},
        {"{\"Build\":{\"\\ud800\":1}}", "lone surrogate in a string at byte 17;"},
        {"{\"Build\":{\"flake_ref\":\"\\ud800\"}}", "lone surrogate in a string at byte 29;"},
        {"{\"Build\":[\"f\",\"\\udc00\",1]}", "lone surrogate in a string at byte 20;"},
        {"{\"Build\":{\"x\":\"\xed\xa0\x80\"}}", "string is not UTF-8 at byte 16;"},
        {"{\"Build\":{\"x\":[1,]}}", "unexpected character at byte 17;"},
        {"{\"Build\":{\"x\":[}}", "unexpected character at byte 15;"},
        {"{\"Build\":{,\"attr\":1}}", "unexpected character at byte 10;"},
        {"{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",}}", "unexpected character at byte 37;"},
        {"{\"Build\":[\"f\",\"a\",1,]}", "unexpected character at byte 20;"},
        {"{\"Build\":{\"timeout_secs\":01}}", "unexpected character at byte 26;"},
        {"{\"Build\":{\"timeout_secs\":1.}}", "unexpected character at byte 27;"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static void what_is_not_a_message_is_refused_where_it_begins(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"null", "neither a name nor an object with one member at byte 0;"},
        {" 12", "neither a name nor an object with one member at byte 1;"},
        {"[]", "neither a name nor an object with one member at byte 0;"},
        {"{}", "neither a name nor an object with one member at byte 1;"},
        {"{\"Ping\":null,\"Ping\":null}",
         "neither a name nor an object with one member at byte 13;"},
        {"{\"Build\":[\"f\",\"a\",1],\"x\":1}",
         "neither a name nor an object with one member at byte 21;"},
        {"\"Build\"", "variant without its fields at byte 0;"},
        {"\"ping\"", "unknown variant at byte 0;"},
        {"\"Pong\"", "unknown variant at byte 0;"},
        {"\"Pin\"", "unknown variant at byte 0;"},
        {"\"\"", "unknown variant at byte 0;"},
        {"\"a variant with a long name\"", "unknown variant at byte 0;"},
        {"{\"Log\":{\"line\":\"\"}}", "unknown variant at byte 1;"},
        {"{\"Ping\":{}}", "variant has no fields at byte 8;"},
        {"{\"Ping\":[]}", "variant has no fields at byte 8;"},
        {"{\"Ping\":false}", "variant has no fields at byte 8;"},
        {"{\"Ping\":0}", "variant has no fields at byte 8;"},
        {"{\"Build\":null}", "a variant's fields are neither an object nor an array at byte 9;"},
        {"{\"Build\":\"x\"}", "a variant's fields are neither an object nor an array at byte 9;"},
        {"{\"Build\": 1}", "a variant's fields are neither an object nor an array at byte 10;"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
    static const struct frame_case responses[] = {
        {"\"Ok\"", "variant without its fields at byte 0;"},
        {"\"Ping\"", "unknown variant at byte 0;"},
        {"{\"Pong\":1}", "variant has no fields at byte 8;"},
    };
    CHECK(MVM_DIRECTION_RESPONSES, responses);
}

static void fields_that_are_missing_or_twice_there_are_named(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"{\"Build\":{}}", "missing field flake_ref at byte 10;"},
        {"{\"Build\":{\"attr\":\"a\"}}", "missing field flake_ref at byte 20;"},
        {"{\"Build\":{\"flake_ref\":\"a\",\"timeout_secs\":1}}", "missing field attr at byte 42;"},
        {"{\"Build\":[]}", "missing field flake_ref at byte 10;"},
        {"{\"Build\":[\"f\"]}", "missing field attr at byte 13;"},
        {"{\"Build\":[\"f\",\"a\"]}", "missing field timeout_secs at byte 17;"},
        {"{\"Build\":[\"f\",\"a\",1,2]}", "wrong type of id at byte 20;"},
        {"{\"Build\":[\"f\",\"a\",1,null,null,2]}", "more elements than fields at byte 30;"},
        {"{\"Build\":[\"f\",\"a\",1,\"\",true,\"\"]}", "more elements than fields at byte 28;"},
        {"{\"Build\":{\"attr\":\"a\",\"attr\":\"a\"}}", "duplicate field attr at byte 21;"},
        {"{\"Build\":{\"flake_ref\":\"a\",\"flake\\u005fref\":\"a\"}}",
         "duplicate field flake_ref at byte 26;"},
        {"{\"Build\":{\"timeout_secs\":null,\"timeout_secs\":1}}",
         "duplicate field timeout_secs at byte 30;"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
    static const struct frame_case responses[] = {
        {"{\"Ok\":{}}", "missing field out_path at byte 7;"},
        {"{\"Err\":[]}", "missing field message at byte 8;"},
        {"{\"Log\":[\"a\",\"b\",true,\"c\"]}", "more elements than fields at byte 21;"},
        {"{\"Ok\":[\"a\",\"b\",\"c\"]}", "more elements than fields at byte 15;"},
        {"{\"Ok\":[\"a\",\"b\",\"\\ud800\"]}", "more elements than fields at byte 15;"},
        {"{\"Log\":{\"line\":\"\",\"line\":\"\"}}", "duplicate field line at byte 18;"},
    };
    CHECK(MVM_DIRECTION_RESPONSES, responses);
}

static void fields_of_another_type_are_named(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"{\"Build\":{\"flake_ref\":null}}", "wrong type of flake_ref at byte 22;"},
        {"{\"Build\":{\"attr\": {}}}", "wrong type of attr at byte 18;"},
        {"{\"Build\":[1]}", "wrong type of flake_ref at byte 10;"},
        {"{\"Build\":[\"f\",[]]}", "wrong type of attr at byte 14;"},
        {"{\"Build\":[\"f\",\"a\",\"1\"]}", "wrong type of timeout_secs at byte 18;"},
        {"{\"Build\":{\"timeout_secs\":-1}}", "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":-0}}", "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":1.0}}", "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":1e3}}", "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":18446744073709551616}}",
         "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":true}}", "wrong type of timeout_secs at byte 25;"},
        {"{\"Build\":{\"timeout_secs\":[1]}}", "wrong type of timeout_secs at byte 25;"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static void the_fields_of_an_error_are_those_of_its_frame_alone(void **state)
{
    (void)state;
    struct trace t;
    size_t used;
    begin(&t, MVM_DIRECTION_REQUESTS);
    assert_int_equal(mvm_decoder_push(&t.decoder, (const uint8_t *)"{\"Build\":[1\n", 12, &used),
                     MVM_DECODER_BAD_FRAME);
    assert_int_equal(t.decoder.error, MVM_DECODER_JSON);
    assert_int_equal(t.decoder.json_error, MVM_JSON_ENDED);
    begin(&t, MVM_DIRECTION_REQUESTS);
    assert_int_equal(mvm_decoder_push(&t.decoder, (const uint8_t *)"{\"Build\":[1]", 12, &used),
                     MVM_DECODER_BAD_FRAME);
    assert_int_equal(t.decoder.error, MVM_DECODER_WRONG_TYPE);
    assert_int_equal(t.decoder.json_error, MVM_JSON_FINE);
    assert_string_equal(t.decoder.field, "flake_ref");
    assert_int_equal(t.decoder.error_at, 10);
    push(&t, "\n", 1);
    assert_int_equal(mvm_decoder_push(&t.decoder, (const uint8_t *)"\"x\"", 3, &used),
                     MVM_DECODER_BAD_FRAME);
    assert_int_equal(t.decoder.error, MVM_DECODER_UNKNOWN_VARIANT);
    assert_null(t.decoder.field);
}

/* ---- frames in a row ------------------------------------------------------------------------ */

static void a_bad_frame_is_reported_immediately_and_once(void **state)
{
    (void)state;
    struct trace t;
    begin(&t, MVM_DIRECTION_REQUESTS);
    push(&t, "{\"Bild\"", 7);
    assert_string_equal(t.buf, "unknown variant at byte 1;");
    push(&t, ":{\"flake_ref\":\"\xff\\", 16);
    push(&t, "]]]\"", 4);
    assert_string_equal(t.buf, "unknown variant at byte 1;");
    push(&t, "\n\"Ping\"\nx", 9);
    assert_string_equal(finish(&t),
                        "unknown variant at byte 1;Ping;unexpected character at byte 0;");
}

static void frames_stand_for_themselves(void **state)
{
    (void)state;
    static const char stream[] = "\"Ping\"\n\n{\"Build\":[\"f\",\"a\",1]}\r\nnull\n12\n"
                                 "{\"Build\":{\"attr\":\"b\",\"flake_ref\":\"g\"}}\n{\n\"Ping\"";
    check_cut_anywhere(MVM_DIRECTION_REQUESTS, stream, strlen(stream),
                       "Ping;Build(f|a|1);"
                       "neither a name nor an object with one member at byte 0;"
                       "neither a name nor an object with one member at byte 0;"
                       "Build(g|b|-);unexpected end at byte 1;Ping;");
}

static void a_decoder_may_move_between_frames_and_keeps_its_buffer(void **state)
{
    (void)state;
    static const uint8_t frames[] = "\"Ping\"\n{\"Build\":[\"f\",\"a\",1]}\n";
    enum { FIRST = 7 };
    char fields[32];
    struct mvm_decoder a, b;
    size_t used;
    mvm_decoder_init(&a, MVM_DIRECTION_REQUESTS, fields, sizeof fields);
    assert_int_equal(mvm_decoder_push(&a, frames, FIRST, &used), MVM_DECODER_MESSAGE);
    b = a;
    memset(&a, 0xff, sizeof a);
    assert_int_equal(mvm_decoder_push(&b, frames + FIRST, sizeof frames - 1 - FIRST, &used),
                     MVM_DECODER_MESSAGE);
    assert_ptr_equal(b.message.build.flake_ref.bytes, fields);
    assert_memory_equal(fields, "fa", 2);
    for (size_t n = 0; n < sizeof a; n++) {
        assert_int_equal(((uint8_t *)&a)[n], 0xff);
    }
}

/* ---- limits --------------------------------------------------------------------------------- */

static void fill(struct mvm_writer *w, char byte, size_t count)
{
    for (; count > 0; count--) {
        mvm_writer_add_text(w, (struct mvm_text){&byte, 1});
    }
}

struct big {
    char frame[3 * MVM_LOG_LINE_MAX];
    struct mvm_writer w;
    char fields[MVM_REQUEST_FIELDS_CAP];
    struct mvm_decoder decoder;
};

#define AS_WRITTEN "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":"

static void numbers_are_decoded_where_serde_writes_them(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {AS_WRITTEN "0}}", "Build(f|a|0);"},
        {AS_WRITTEN "7 }}", "Build(f|a|7);"},
        {AS_WRITTEN "null}}", "Build(f|a|-);"},
        {AS_WRITTEN "9999999999999999999}}", "Build(f|a|9999999999999999999);"},
        {AS_WRITTEN "18446744073709551615}}", "Build(f|a|18446744073709551615);"},
        {AS_WRITTEN "18446744073709551616}}", "wrong type of timeout_secs at byte 52;"},
        {AS_WRITTEN "01}}", "unexpected character at byte 53;"},
        {AS_WRITTEN "1:}}", "unexpected character at byte 53;"},
        {AS_WRITTEN "-1}}", "wrong type of timeout_secs at byte 52;"},
        {AS_WRITTEN "}}", "unexpected character at byte 52;"},
        {AS_WRITTEN "1800", "unexpected end at byte 56;"},
    };
    CHECK(MVM_DIRECTION_REQUESTS, cases);
}

static enum mvm_decoder_status decode_big(struct big *b, enum mvm_direction direction, size_t cap)
{
    size_t used;
    assert_false(b->w.cut);
    assert_true(cap <= sizeof b->fields);
    mvm_decoder_init(&b->decoder, direction, (char *)guard_end(1, cap), cap);
    return mvm_decoder_push(&b->decoder, (const uint8_t *)b->frame, b->w.len, &used);
}

static enum mvm_decoder_status decode_lengths(struct big *b, size_t flake_ref, size_t attr)
{
    mvm_writer_init(&b->w, b->frame, sizeof b->frame);
    mvm_writer_add(&b->w, "{\"Build\":{\"flake_ref\":\"");
    fill(&b->w, 'f', flake_ref);
    mvm_writer_add(&b->w, "\",\"attr\":\"");
    fill(&b->w, 'a', attr);
    mvm_writer_add(&b->w, "\",\"timeout_secs\":5}}\n");
    return decode_big(b, MVM_DIRECTION_REQUESTS, MVM_REQUEST_FIELDS_CAP);
}

static void fields_fit_up_to_their_limits(void **state)
{
    (void)state;
    struct big b;
    assert_int_equal(decode_lengths(&b, MVM_FLAKE_REF_MAX, MVM_ATTR_MAX), MVM_DECODER_MESSAGE);
    assert_int_equal(b.decoder.message.build.flake_ref.len, MVM_FLAKE_REF_MAX);
    assert_int_equal(b.decoder.message.build.attr.len, MVM_ATTR_MAX);
    assert_int_equal(b.decoder.message.build.attr.bytes[0], 'a');
    assert_int_equal(b.decoder.message.build.timeout_secs, 5);

    assert_int_equal(decode_lengths(&b, MVM_FLAKE_REF_MAX + 1, 1), MVM_DECODER_BAD_FRAME);
    assert_int_equal(b.decoder.error, MVM_DECODER_FIELD_TOO_LONG);
    assert_string_equal(b.decoder.field, "flake_ref");
    assert_int_equal(b.decoder.error_at, 22);

    assert_int_equal(decode_lengths(&b, 1, MVM_ATTR_MAX + 1), MVM_DECODER_BAD_FRAME);
    assert_int_equal(b.decoder.error, MVM_DECODER_FIELD_TOO_LONG);
    assert_string_equal(b.decoder.field, "attr");
    char line[160];
    struct mvm_writer w;
    mvm_writer_init(&w, line, sizeof line);
    mvm_decoder_explain(&b.decoder, &w);
    assert_string_equal(line, "parse error: attr too long at byte 33");
}

static void a_response_s_field_fits_up_to_its_buffer(void **state)
{
    (void)state;
    struct big b;
    for (size_t cap = 0; cap < 5; cap++) {
        mvm_writer_init(&b.w, b.frame, sizeof b.frame);
        mvm_writer_add(&b.w, "{\"Log\":{\"line\":\"abc\"}}\n");
        enum mvm_decoder_status status = decode_big(&b, MVM_DIRECTION_RESPONSES, cap);
        assert_int_equal(status, cap < 3 ? MVM_DECODER_BAD_FRAME : MVM_DECODER_MESSAGE);
        if (cap < 3) {
            assert_int_equal(b.decoder.error, MVM_DECODER_FIELD_TOO_LONG);
            assert_string_equal(b.decoder.field, "line");
        }
    }
}

static void the_fields_of_a_request_share_the_buffer(void **state)
{
    (void)state;
    struct big b;
    for (size_t cap = 6; cap < 9; cap++) {
        mvm_writer_init(&b.w, b.frame, sizeof b.frame);
        mvm_writer_add(&b.w, "{\"Build\":{\"attr\":\"aaa\",\"flake_ref\":\"ffff\"}}\n");
        enum mvm_decoder_status status = decode_big(&b, MVM_DIRECTION_REQUESTS, cap);
        assert_int_equal(status, cap < 7 ? MVM_DECODER_BAD_FRAME : MVM_DECODER_MESSAGE);
        if (cap < 7) {
            assert_string_equal(b.decoder.field, "flake_ref");
        }
    }
}

static void a_frame_in_front_of_more_than_a_frame_may_have_is_taken(void **state)
{
    (void)state;
    static char bytes[MVM_REQUEST_FRAME_MAX + 20];
    static const char frame[] = AS_WRITTEN "1}}\n";
    char fields[MVM_REQUEST_FIELDS_CAP];
    struct mvm_decoder d;
    size_t used;
    memset(bytes, ' ', sizeof bytes);
    memcpy(bytes, frame, sizeof frame - 1);
    mvm_decoder_init(&d, MVM_DIRECTION_REQUESTS, fields, sizeof fields);
    assert_int_equal(mvm_decoder_push(&d, (const uint8_t *)bytes, sizeof bytes, &used),
                     MVM_DECODER_MESSAGE);
    assert_int_equal(used, sizeof frame - 1);
}

static void a_buffer_may_be_larger_than_any_frame(void **state)
{
    (void)state;
    struct mvm_decoder d;
    char fields[16];
    size_t used;
    mvm_decoder_init(&d, MVM_DIRECTION_RESPONSES, fields, SIZE_MAX);
    const char *frame = "{\"Log\":[\"abc\"]}\n";
    assert_int_equal(mvm_decoder_push(&d, (const uint8_t *)frame, strlen(frame), &used),
                     MVM_DECODER_MESSAGE);
    assert_true(mvm_text_equal(d.message.text, "abc"));
}

static enum mvm_decoder_status decode_nested(struct big *b, const char *opening,
                                             const char *closing, size_t levels)
{
    mvm_writer_init(&b->w, b->frame, sizeof b->frame);
    mvm_writer_add(&b->w, "{\"Log\":{\"x\":");
    for (size_t n = 0; n < levels; n++) {
        mvm_writer_add(&b->w, opening);
    }
    mvm_writer_add(&b->w, "1");
    for (size_t n = 0; n < levels; n++) {
        mvm_writer_add(&b->w, closing);
    }
    mvm_writer_add(&b->w, ",\"line\":\"l\"}}\n\"Pong\"\n");
    return decode_big(b, MVM_DIRECTION_RESPONSES, sizeof b->fields);
}

static void unknown_values_nest_up_to_the_limit(void **state)
{
    (void)state;
    struct big b;
    assert_int_equal(decode_nested(&b, "[", "]", MVM_NESTING_MAX), MVM_DECODER_MESSAGE);
    assert_int_equal(decode_nested(&b, "{\"a\":", "}", MVM_NESTING_MAX), MVM_DECODER_MESSAGE);
    assert_int_equal(decode_nested(&b, "[", "]", MVM_NESTING_MAX + 1), MVM_DECODER_BAD_FRAME);
    assert_int_equal(b.decoder.json_error, MVM_JSON_TOO_DEEP);
    assert_int_equal(b.decoder.error_at, strlen("{\"Log\":{\"x\":") + MVM_NESTING_MAX);
    assert_int_equal(decode_nested(&b, "{\"a\":", "}", MVM_NESTING_MAX + 1), MVM_DECODER_BAD_FRAME);
    assert_int_equal(b.decoder.json_error, MVM_JSON_TOO_DEEP);
}

/* A frame of `len` bytes, mostly white space, then its newline and a valid frame; pushed in chunks.
 * Returns the trace. */
static const char *decode_padded(struct trace *t, enum mvm_direction direction, const char *front,
                                 size_t len, size_t chunk)
{
    static char spaces[1 << 16];
    memset(spaces, ' ', sizeof spaces);
    begin(t, direction);
    push(t, front, strlen(front));
    for (size_t left = len - strlen(front); left > 0;) {
        size_t piece = left < chunk ? left : chunk;
        push(t, spaces, piece);
        left -= piece;
    }
    push(t, direction == MVM_DIRECTION_REQUESTS ? "\n\"Ping\"\n" : "\n\"Pong\"\n", 8);
    return finish(t);
}

static void a_request_frame_is_whole_up_to_its_limit(void **state)
{
    (void)state;
    static const size_t chunks[] = {1, 1000, 1 << 16};
    struct trace t;
    for (size_t n = 0; n < 3; n++) {
        size_t max = MVM_REQUEST_FRAME_MAX, chunk = chunks[n];
        assert_string_equal(
            decode_padded(&t, MVM_DIRECTION_REQUESTS, "{\"Ping\":null}", max, chunk), "Ping;Ping;");
        assert_string_equal(
            decode_padded(&t, MVM_DIRECTION_REQUESTS, "{\"Ping\":null}", max + 1, chunk),
            "frame too long at byte 65536;Ping;");
        assert_string_equal(decode_padded(&t, MVM_DIRECTION_REQUESTS, "", max, chunk), "Ping;");
        assert_string_equal(decode_padded(&t, MVM_DIRECTION_REQUESTS, "", max + 1, chunk),
                            "frame too long at byte 65536;Ping;");
        assert_string_equal(decode_padded(&t, MVM_DIRECTION_REQUESTS, "x", 3 * max, chunk),
                            "unexpected character at byte 0;Ping;");
    }
}

/* A value that is ignored, of many tokens, reaches over the limit. */
static void a_frame_over_its_limit_is_refused_there_whatever_its_tokens(void **state)
{
    (void)state;
    static const size_t chunks[] = {1, 1000, 2 * MVM_REQUEST_FRAME_MAX};
    static const char front[] = "{\"Build\":{\"x\":[", end[] = "1]}}\n\"Ping\"\n";
    static char bytes[2 * MVM_REQUEST_FRAME_MAX];
    const size_t len = sizeof bytes - 1;
    struct trace t;
    for (size_t n = 0; n < len; n++) {
        bytes[n] = n % 2 == 0 ? ',' : '1';
    }
    memcpy(bytes, front, sizeof front - 1);
    memcpy(bytes + len - (sizeof end - 1), end, sizeof end - 1);
    for (size_t n = 0; n < sizeof chunks / sizeof chunks[0]; n++) {
        assert_string_equal(run_chunks(&t, MVM_DIRECTION_REQUESTS, bytes, len, chunks[n]),
                            "frame too long at byte 65536;Ping;");
    }
}

static void a_response_frame_is_whole_up_to_its_limit(void **state)
{
    (void)state;
    struct trace t;
    size_t max = MVM_RESPONSE_FRAME_MAX;
    assert_string_equal(decode_padded(&t, MVM_DIRECTION_RESPONSES, "\"Pong\"", max, 1 << 16),
                        "Pong;Pong;");
    assert_string_equal(decode_padded(&t, MVM_DIRECTION_RESPONSES, "\"Pong\"", max + 1, 1 << 16),
                        "frame too long at byte 16777216;Pong;");
}

static void explanations_fit_their_promise(void **state)
{
    (void)state;
    struct mvm_decoder d = {.field = "timeout_secs", .error_at = UINT32_MAX};
    for (int error = MVM_DECODER_FINE; error <= MVM_DECODER_FRAME_TOO_LONG; error++) {
        for (int json = MVM_JSON_FINE; json <= MVM_JSON_ENDED; json++) {
            char line[160];
            struct mvm_writer w;
            d.error = (enum mvm_decoder_error)error;
            d.json_error = (enum mvm_json_error)json;
            mvm_writer_init(&w, line, sizeof line);
            mvm_decoder_explain(&d, &w);
            assert_false(w.cut);
            assert_non_null(strstr(line, " at byte 4294967295"));
        }
    }
}

/* ---- properties ----------------------------------------------------------------------------- */

/* Valid frames with bytes changed, removed and inserted. */
static size_t make_garbage(uint64_t *seed, char *stream)
{
    static const char *const frames[] = {
        "\"Ping\"\n",
        "{\"Ping\":null}\n",
        "{\"Build\":{\"flake_ref\":\"\\u00e9\xe2\x82\xac\",\"attr\":\"a\",\"timeout_secs\":18}}\n",
        "{\"Build\":{\"x\":[{\"y\":\"\\ud800\"},-1e3],\"attr\":\"a\",\"flake_ref\":\"f\"}}\n",
        "{\"Build\":[\"f\",\"a\",null]}\n",
    };
    static const char odd[] = "{}[]\",:\\u0dn -.e\n\xc3\xa9\xff\xed\x80";
    size_t len = 0;
    for (uint32_t count = 1 + guard_random(seed, 3); count > 0; count--) {
        const char *frame = frames[guard_random(seed, 5)];
        memcpy(stream + len, frame, strlen(frame));
        len += strlen(frame);
    }
    for (uint32_t changes = guard_random(seed, 4); changes > 0; changes--) {
        size_t at = guard_random(seed, (uint32_t)len);
        char byte = odd[guard_random(seed, sizeof odd - 1)];
        uint32_t how = guard_random(seed, 3);
        if (how == 0) {
            stream[at] = byte;
        } else if (how == 1) {
            memmove(stream + at, stream + at + 1, --len - at);
        } else {
            memmove(stream + at + 1, stream + at, len++ - at);
            stream[at] = byte;
        }
    }
    return len;
}

static void any_stream_decodes_the_same_however_it_is_cut(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int round = 0; round < 5000; round++) {
        char stream[512];
        size_t len = make_garbage(&seed, stream);
        struct trace whole, cut;
        const char *expected = run_chunks(&whole, MVM_DIRECTION_REQUESTS, stream, len, len + 1);
        size_t a = guard_random(&seed, (uint32_t)len + 1);
        size_t b = a + guard_random(&seed, (uint32_t)(len - a) + 1);
        assert_string_equal(run_chunks(&cut, MVM_DIRECTION_REQUESTS, stream, len, 1), expected);
        assert_string_equal(run_cuts(&cut, MVM_DIRECTION_REQUESTS, stream, len, a, b), expected);
    }
}

static struct mvm_text random_text(uint64_t *seed, char *place)
{
    static const char *const pieces[] = {"a",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x1b[0m",
                                         "\x01",
                                         "\x7f",
                                         "\xc3\xa9",
                                         " ",
                                         "\t",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x9a\x80",
                                         "plain text of some length"};
    struct mvm_writer w;
    mvm_writer_init(&w, place, 256);
    for (uint32_t n = guard_random(seed, 9); n > 0; n--) {
        mvm_writer_add(&w, pieces[guard_random(seed, sizeof pieces / sizeof *pieces)]);
    }
    return mvm_writer_finish(&w);
}

static void assert_same_text(struct mvm_text a, struct mvm_text b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.bytes, b.bytes, a.len);
}

static void assert_same_message(const struct mvm_message *a, const struct mvm_message *b)
{
    assert_int_equal(a->kind, b->kind);
    if (a->kind == MVM_MESSAGE_BUILD) {
        assert_same_text(a->build.flake_ref, b->build.flake_ref);
        assert_same_text(a->build.attr, b->build.attr);
        assert_int_equal(a->build.has_timeout, b->build.has_timeout);
        assert_int_equal(a->build.timeout_secs, b->build.timeout_secs);
    } else if (a->kind != MVM_MESSAGE_PING && a->kind != MVM_MESSAGE_PONG) {
        assert_same_text(a->text, b->text);
    }
}

static void decoding_gives_back_what_was_encoded(void **state)
{
    (void)state;
    static const enum mvm_kind kinds[] = {MVM_MESSAGE_BUILD, MVM_MESSAGE_PING, MVM_MESSAGE_OK,
                                          MVM_MESSAGE_ERR,   MVM_MESSAGE_LOG,  MVM_MESSAGE_PONG};
    uint64_t seed = 9;
    struct trace t;
    for (int round = 0; round < 20000; round++) {
        char places[2][256];
        struct mvm_message in = {.kind =
                                     kinds[guard_random(&seed, sizeof kinds / sizeof kinds[0])]};
        if (in.kind == MVM_MESSAGE_BUILD) {
            in.build.flake_ref = random_text(&seed, places[0]);
            in.build.attr = random_text(&seed, places[1]);
            in.build.has_timeout = guard_random(&seed, 2) != 0;
            in.build.timeout_secs =
                in.build.has_timeout ? (uint64_t)guard_random(&seed, 99999) << seed % 48 : 0;
        } else if (in.kind != MVM_MESSAGE_PING && in.kind != MVM_MESSAGE_PONG) {
            in.text = random_text(&seed, places[0]);
        }
        struct mvm_encoder e;
        mvm_encoder_init(&e);
        mvm_encoder_start(&e, &in);
        begin(&t, in.kind <= MVM_MESSAGE_PING ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES);
        enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
        while (!mvm_encoder_idle(&e)) {
            uint8_t room[64];
            size_t used, len = mvm_encoder_pull(&e, room, 1 + guard_random(&seed, sizeof room));
            assert_int_equal(status, MVM_DECODER_PARTIAL);
            status = mvm_decoder_push(&t.decoder, room, len, &used);
            assert_int_equal(used, len);
        }
        assert_int_equal(status, MVM_DECODER_MESSAGE);
        assert_same_message(&t.decoder.message, &in);
    }
}

static void assert_absent(struct mvm_text text)
{
    assert_null(text.bytes);
    assert_int_equal(text.len, 0);
}

/* Also after a message that had them. */
static void a_field_that_is_absent_has_no_bytes_and_no_length(void **state)
{
    (void)state;
    static const char *const requests[] = {
        ("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":1,\"id\":\"i\",\"keep\":"
         "true}}\n"),
        "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"}}\n",
        "{ \"Build\": {\"flake_ref\":\"f\",\"attr\":\"a\"}}\n",
        "{\"Hello\":{\"nonce\":\"n\"}}\n",
        "{\"Hello\":{}}\n",
        "{ \"Hello\":{}}\n",
    };
    struct trace t;
    size_t used;
    begin(&t, MVM_DIRECTION_REQUESTS);
    for (size_t n = 0; n < sizeof requests / sizeof requests[0]; n++) {
        const struct mvm_message *m = &t.decoder.message;
        size_t len = strlen(requests[n]);
        assert_int_equal(mvm_decoder_push(&t.decoder, (const uint8_t *)requests[n], len, &used),
                         MVM_DECODER_MESSAGE);
        assert_absent(m->text);
        if (n % 3 == 0) {
            continue; /* with all of them */
        }
        assert_absent(m->id);
        if (n < 3) {
            assert_false(m->build.has_timeout || m->build.has_source);
            assert_int_equal(m->build.timeout_secs, 0);
            assert_int_equal(m->build.keep, MVM_FLAG_ABSENT);
        } else {
            assert_absent(m->hello.nonce);
            assert_absent(m->hello.agent);
            assert_absent(m->hello.boot);
            assert_absent(m->hello.features);
        }
    }
}

static void no_bytes_may_be_no_pointer(void **state)
{
    (void)state;
    struct trace t;
    size_t used = 1;
    begin(&t, MVM_DIRECTION_REQUESTS);
    assert_int_equal(mvm_decoder_push(&t.decoder, NULL, 0, &used), MVM_DECODER_PARTIAL);
    assert_int_equal(used, 0);
    assert_int_equal(mvm_run_copy(NULL, NULL, 0), 0);
    assert_int_equal(mvm_run_copy_portable(NULL, NULL, 0), 0);
    assert_int_equal(mvm_utf8_boundary(NULL, 0), 0);
    struct mvm_json j;
    mvm_json_init(&j);
    assert_int_equal(mvm_json_push(&j, NULL, 0, &used), MVM_JSON_PARTIAL);
    assert_int_equal(mvm_json_push_run(&j, NULL, 0, &used), MVM_JSON_PARTIAL);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_decoded),
        cmocka_unit_test(a_field_that_is_absent_has_no_bytes_and_no_length),
        cmocka_unit_test(no_bytes_may_be_no_pointer),
        cmocka_unit_test(numbers_are_decoded_where_serde_writes_them),
        cmocka_unit_test(a_frame_in_front_of_more_than_a_frame_may_have_is_taken),
        cmocka_unit_test(responses_are_decoded),
        cmocka_unit_test(white_space_may_stand_between_tokens),
        cmocka_unit_test(names_and_texts_may_carry_escapes),
        cmocka_unit_test(a_text_may_hold_nul),
        cmocka_unit_test(unknown_fields_are_skipped_whatever_they_hold),
        cmocka_unit_test(a_blank_line_is_nothing),
        cmocka_unit_test(what_is_not_json_is_refused_where_it_stops_being_it),
        cmocka_unit_test(what_is_not_a_message_is_refused_where_it_begins),
        cmocka_unit_test(fields_that_are_missing_or_twice_there_are_named),
        cmocka_unit_test(fields_of_another_type_are_named),
        cmocka_unit_test(the_fields_of_an_error_are_those_of_its_frame_alone),
        cmocka_unit_test(a_bad_frame_is_reported_immediately_and_once),
        cmocka_unit_test(frames_stand_for_themselves),
        cmocka_unit_test(a_decoder_may_move_between_frames_and_keeps_its_buffer),
        cmocka_unit_test(fields_fit_up_to_their_limits),
        cmocka_unit_test(a_response_s_field_fits_up_to_its_buffer),
        cmocka_unit_test(the_fields_of_a_request_share_the_buffer),
        cmocka_unit_test(a_buffer_may_be_larger_than_any_frame),
        cmocka_unit_test(unknown_values_nest_up_to_the_limit),
        cmocka_unit_test(a_request_frame_is_whole_up_to_its_limit),
        cmocka_unit_test(a_frame_over_its_limit_is_refused_there_whatever_its_tokens),
        cmocka_unit_test(a_response_frame_is_whole_up_to_its_limit),
        cmocka_unit_test(explanations_fit_their_promise),
        cmocka_unit_test(any_stream_decodes_the_same_however_it_is_cut),
        cmocka_unit_test(decoding_gives_back_what_was_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
