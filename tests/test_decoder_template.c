/* Along the template the decoder works without its parser: it must then be in the state that
 * pushing the same bytes one at a time leads to, whatever follows. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "json_template.h"
#include "mvm_decoder.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES_MAX = 400, FIELDS_CAP = 300 };

struct bytes {
    uint8_t at[BYTES_MAX];
    size_t len;
};

static void add(struct bytes *b, const char *bytes, size_t len)
{
    len = len < BYTES_MAX - b->len ? len : BYTES_MAX - b->len;
    memcpy(b->at + b->len, bytes, len);
    b->len += len;
}

/* ---- what is compared ---- */

/* States of decoder.c and json.c in which a member is no longer used. */
enum { START, VARIANT, NOTHING, FIELDS, NAME, VALUE, IGNORED, ELEMENT };
enum {
    JSON_BLANK,
    JSON_FIRST_KEY,
    JSON_NEXT,
    JSON_IN_TOKEN = 8,
    JSON_STRING = 8,
    JSON_LITERAL = 13
};

static void assert_same_place(const struct mvm_decoder *a, const struct mvm_decoder *b)
{
    const char *name_a = a->name, *name_b = b->name;
    assert_int_equal(a->json.place == NULL, b->json.place == NULL);
    if (a->json.place != NULL) {
        assert_int_equal(a->json.place_cap, b->json.place_cap);
        assert_int_equal(a->json.place == name_a, b->json.place == name_b);
        assert_true(a->json.place == name_a ||
                    a->json.place - a->fields == b->json.place - b->fields);
    }
}

static void assert_same_parser(const struct mvm_json *a, const struct mvm_json *b)
{
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->depth, b->depth);
    for (unsigned level = 0; level < a->depth; level++) {
        assert_int_equal(a->nesting[level / 8] >> level % 8 & 1,
                         b->nesting[level / 8] >> level % 8 & 1);
    }
    assert_memory_equal(&a->utf8, &b->utf8, a->utf8.missing > 0 ? sizeof a->utf8 : 1);
    assert_int_equal(a->surrogate, b->surrogate);
    if (a->state >= JSON_IN_TOKEN) {
        assert_int_equal(a->begun, b->begun);
    }
    if (a->state >= JSON_STRING && a->state < JSON_LITERAL) {
        assert_int_equal(a->token, b->token);
        assert_int_equal(a->overflow, b->overflow);
        assert_int_equal(a->text.len, b->text.len);
        assert_int_equal(a->text.bytes == NULL, b->text.bytes == NULL);
    } else if (a->state > JSON_LITERAL) {
        assert_int_equal(a->is_u64, b->is_u64);
        assert_true(a->u64 == b->u64);
    }
}

static void assert_same_text(const struct mvm_decoder *a, struct mvm_text text_a,
                             const struct mvm_decoder *b, struct mvm_text text_b)
{
    assert_int_equal(text_a.bytes == NULL, text_b.bytes == NULL);
    assert_int_equal(text_a.len, text_b.len);
    assert_true(text_a.bytes == NULL || text_a.bytes - a->fields == text_b.bytes - b->fields);
}

static void assert_same_message(struct mvm_decoder *a, struct mvm_decoder *b)
{
    const struct mvm_variant *variant = &mvm_variants[a->message.kind];
    assert_int_equal(a->message.kind, b->message.kind);
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        const struct mvm_field *field = &mvm_fields[at];
        if (mvm_is_text(field)) {
            assert_same_text(a, *mvm_text_field(&a->message, field), b,
                             *mvm_text_field(&b->message, field));
        } else if (field->type == MVM_TYPE_FLAG) {
            assert_int_equal(*mvm_flag_field(&a->message, field),
                             *mvm_flag_field(&b->message, field));
        } else {
            assert_int_equal(a->message.build.has_timeout, b->message.build.has_timeout);
            assert_true(a->message.build.timeout_secs == b->message.build.timeout_secs);
        }
    }
}

static void assert_same_state(struct mvm_decoder *a, struct mvm_decoder *b)
{
    enum { SKIPPED = 10 };
    assert_int_equal(a->state, b->state);
    if (a->state == SKIPPED) {
        return;
    }
    assert_int_equal(a->fields_len, b->fields_len);
    assert_memory_equal(a->fields, b->fields, a->fields_len);
    assert_same_parser(&a->json, &b->json);
    if (a->json.state != JSON_BLANK) {
        assert_same_place(a, b);
    }
    if (a->state > VARIANT) {
        assert_same_message(a, b);
        assert_int_equal(a->seen, b->seen);
    }
    if (a->state == VALUE || a->state == ELEMENT) {
        assert_int_equal(a->at, b->at);
    }
}

/* ---- two decoders ---- */

struct side {
    struct mvm_decoder decoder;
    char fields[FIELDS_CAP];
    char said[4096];
    struct mvm_writer w;
};

static void say(struct side *s, enum mvm_decoder_status status)
{
    if (status == MVM_DECODER_MESSAGE) {
        mvm_writer_add(&s->w, "M;");
    } else if (status == MVM_DECODER_BAD_FRAME) {
        mvm_decoder_explain(&s->decoder, &s->w);
    }
}

static void begin(struct side *s, enum mvm_direction direction, size_t cap)
{
    mvm_writer_init(&s->w, s->said, sizeof s->said);
    mvm_decoder_init(&s->decoder, direction, s->fields, cap);
}

static enum mvm_decoder_status push(struct side *s, const uint8_t *bytes, size_t len, size_t step)
{
    enum mvm_decoder_status last = MVM_DECODER_PARTIAL;
    while (len > 0) {
        size_t used, n = step < len ? step : len;
        last = mvm_decoder_push(&s->decoder, bytes, n, &used);
        assert_in_range(used, 1, n);
        say(s, last);
        bytes += used;
        len -= used;
    }
    return last;
}

/* Each prefix of the bytes, ending at a guard page. */
static void check(const struct bytes *b, enum mvm_direction direction, size_t cap)
{
    static struct side whole, single;
    begin(&single, direction, cap);
    for (size_t len = 1; len <= b->len; len++) {
        bool message = push(&single, b->at + len - 1, 1, 1) == MVM_DECODER_MESSAGE;
        begin(&whole, direction, cap);
        assert_int_equal(push(&whole, guard_copy(0, b->at, len), len, len) == MVM_DECODER_MESSAGE,
                         message);
        assert_string_equal(whole.said, single.said);
        if (message) {
            assert_same_message(&whole.decoder, &single.decoder);
        } else {
            assert_same_state(&whole.decoder, &single.decoder);
        }
    }
}

/* ---- frames ---- */

static const char *const values[] = {"\"",
                                     "a\"",
                                     "abcdefghijklmnopqrstuvwxyz\"",
                                     "a\\nb\"",
                                     "\xc3\xa9\"",
                                     "\\u00e9\"",
                                     "\x1f\"",
                                     "\xff\"",
                                     "0",
                                     "1",
                                     "18",
                                     "1800",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "01",
                                     "1.5",
                                     "1e3",
                                     "-1",
                                     "null",
                                     "true",
                                     "false",
                                     "nul",
                                     "\n",
                                     " ",
                                     "[]",
                                     "{}",
                                     "x"};

static const char *random_value(uint64_t *seed, const struct mvm_step *step)
{
    if (step->field < MVM_JSON_FIELDS && guard_random(seed, 8) > 0) {
        bool is_text = mvm_is_text(&mvm_fields[step->field]);
        return is_text ? values[guard_random(seed, 6)] : values[8 + guard_random(seed, 13)];
    }
    return values[guard_random(seed, sizeof values / sizeof *values)];
}

/* Mostly as the encoder writes it; sometimes a step is missing, repeated, or of another kind. */
static void add_frame(struct bytes *b, uint64_t *seed, enum mvm_direction direction)
{
    unsigned kinds = (unsigned)mvm_last_kind(direction) - mvm_first_kind(direction) + 1;
    unsigned at = mvm_first_steps[mvm_first_kind(direction) + guard_random(seed, kinds)];
    unsigned bare = 0;
    for (unsigned left = 12; left > 0; left--) {
        const struct mvm_step *step = &mvm_steps[at];
        bool comma = bare == 1 && step->field != MVM_STEP_END;
        add(b, step->literal + comma, step->len - (comma ? 1u : 0u));
        bare = step->field == MVM_STEP_HEAD;
        if (step->field == MVM_STEP_END) {
            return;
        }
        if (step->field < MVM_JSON_FIELDS) {
            const char *value = random_value(seed, step);
            add(b, value, strlen(value));
        }
        switch (guard_random(seed, 12)) {
        case 0:
            break; /* again */
        case 1:
            at = 1 + guard_random(seed, MVM_STEPS - 1);
            break;
        case 2:
        case 3:
            at += mvm_steps[at + 1].field != MVM_STEP_END ? 2 : 1;
            break;
        default:
            at++;
            break;
        }
    }
}

static void the_state_behind_the_template_is_that_of_byte_after_byte(void **state)
{
    (void)state;
    uint64_t seed = 12;
    for (size_t round = 0; round < 4000; round++) {
        enum mvm_direction direction =
            guard_random(&seed, 2) == 0 ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
        struct bytes b = {.len = 0};
        add_frame(&b, &seed, direction);
        add_frame(&b, &seed, direction);
        if (guard_random(&seed, 4) == 0 && b.len > 0) {
            b.at[guard_random(&seed, (uint32_t)b.len)] = (uint8_t)guard_random(&seed, 256);
        }
        check(&b, direction, guard_random(&seed, 3) > 0 ? FIELDS_CAP : guard_random(&seed, 20));
    }
}

/* A step of one kind where a frame begins, and each byte of every literal changed. */
static void only_a_kind_s_own_first_literal_begins_a_frame(void **state)
{
    (void)state;
    for (unsigned at = 1; at < MVM_STEPS; at++) {
        for (unsigned direction = 0; direction <= 1; direction++) {
            for (size_t n = 0; n <= mvm_steps[at].len; n++) {
                struct bytes b = {.len = 0};
                add(&b, mvm_steps[at].literal, mvm_steps[at].len);
                add(&b, "a\"}}\n", 5);
                if (n < mvm_steps[at].len) {
                    b.at[n] ^= 1;
                }
                check(&b, (enum mvm_direction)direction, FIELDS_CAP);
            }
        }
    }
}

#if !defined(__OPTIMIZE_SIZE__) /* a build for size has no such way */
/* Its purpose: a frame as the encoder writes it, complete or not, reaches the parser at the end of
 * a literal or never, so that no name is copied. */
static void a_frame_as_it_is_written_goes_along_the_template(void **state)
{
    (void)state;
    static struct side side;
    for (unsigned kind = 0; kind < MVM_JSON_KINDS; kind++) {
        enum mvm_direction direction =
            kind < MVM_MESSAGE_OK ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
        struct bytes b = {.len = 0};
        unsigned bare = 0;
        if (mvm_first_steps[kind] == 0) {
            continue; /* not on this wire */
        }
        for (unsigned at = mvm_first_steps[kind]; at < MVM_STEPS && mvm_steps[at].kind == kind;
             at++) {
            const struct mvm_step *step = &mvm_steps[at];
            bool comma = bare == 1 && step->field != MVM_STEP_END;
            add(&b, step->literal + comma, step->len - (comma ? 1u : 0u));
            bare = step->field == MVM_STEP_HEAD;
            begin(&side, direction, FIELDS_CAP);
            memset(side.decoder.name, 0xff, sizeof side.decoder.name);
            enum mvm_decoder_status status = push(&side, guard_copy(0, b.at, b.len), b.len, b.len);
            assert_int_equal(status, step->field == MVM_STEP_END ? MVM_DECODER_MESSAGE
                                                                 : MVM_DECODER_PARTIAL);
            assert_int_equal((uint8_t)side.decoder.name[0], 0xff);
            if (step->field < MVM_JSON_FIELDS) {
                const struct mvm_field *field = &mvm_fields[step->field];
                const char *value = mvm_is_text(field) ? "text\"" : "18";
                if (field->type == MVM_TYPE_FLAG) {
                    break; /* true and false are the parser's */
                }
                add(&b, value, strlen(value));
            }
        }
    }
}
#endif

/* Schema and template agree: names, order, which fields may be absent. */
static void the_template_has_the_schema_s_names(void **state)
{
    (void)state;
    for (unsigned at = 1; at < MVM_STEPS; at++) {
        const struct mvm_step *step = &mvm_steps[at];
        const struct mvm_variant *variant = &mvm_variants[step->kind];
        assert_int_equal(step->len, strlen(step->literal));
        if (at == mvm_first_steps[step->kind]) {
            const char *name = step->literal + (step->literal[0] == '{' ? 2 : 1);
            assert_memory_equal(name, variant->name, variant->name_len);
            assert_int_equal(name[variant->name_len], '"');
        }
        if (step->field < MVM_JSON_FIELDS) {
            const struct mvm_field *field = &mvm_fields[step->field];
            const char *end = step->literal + step->len - (mvm_is_text(field) ? 3 : 2);
            assert_memory_equal(end - field->name_len, field->name, field->name_len);
            assert_int_equal(end[-1 - field->name_len], '"');
            assert_in_range(step->field, variant->first, variant->first + variant->count - 1u);
            assert_int_equal(field->bit, 1u << (step->field - variant->first));
            assert_int_equal((variant->required & field->bit) != 0,
                             field->presence == MVM_PRESENCE_REQUIRED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_behind_the_template_is_that_of_byte_after_byte),
        cmocka_unit_test(only_a_kind_s_own_first_literal_begins_a_frame),
#if !defined(__OPTIMIZE_SIZE__)
        cmocka_unit_test(a_frame_as_it_is_written_goes_along_the_template),
#endif
        cmocka_unit_test(the_template_has_the_schema_s_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
