/*
 * Messages through the binding: which fields each kind has, and that what was set is returned, for
 * every field of a message at the same time.
 */
#include "mvm_binding.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { FIELDS = MVM_FIELD_NAME + 1 };

#define HAS(field) 1u << MVM_FIELD_##field

static const struct kind {
    const char *name;
    enum mvm_kind kind;
    unsigned fields;
    bool is_build;
    bool is_bulk;
} kinds[] = {
    {"Build", MVM_MESSAGE_BUILD, HAS(ID) | HAS(FLAKE_REF) | HAS(ATTR), true, false},
    {"Ping", MVM_MESSAGE_PING, 0, false, false},
    {"Hello", MVM_MESSAGE_HELLO, HAS(NONCE), false, false},
    {"Join", MVM_MESSAGE_JOIN, HAS(ID), false, false},
    {"Cancel", MVM_MESSAGE_CANCEL, HAS(ID), false, false},
    {"StreamBuild", MVM_MESSAGE_STREAM_BUILD, HAS(ID) | HAS(FLAKE_REF) | HAS(ATTR), true, false},
    {"Source", MVM_MESSAGE_SOURCE, HAS(TEXT) | HAS(ID), false, true},
    {"Get", MVM_MESSAGE_GET, HAS(ID) | HAS(NAME), false, true},
    {"Drop", MVM_MESSAGE_DROP, HAS(ID), false, false},
    {"Ok", MVM_MESSAGE_OK, HAS(TEXT) | HAS(ID), false, false},
    {"Err", MVM_MESSAGE_ERR, HAS(TEXT) | HAS(ID) | HAS(REFUSED) | HAS(CATEGORY), false, false},
    {"Log", MVM_MESSAGE_LOG, HAS(TEXT) | HAS(ID), false, false},
    {"Pong", MVM_MESSAGE_PONG, 0, false, false},
    {"Welcome", MVM_MESSAGE_WELCOME, HAS(NONCE) | HAS(AGENT) | HAS(BOOT) | HAS(FEATURES), false,
     false},
    {"Cancelled", MVM_MESSAGE_CANCELLED, HAS(TEXT) | HAS(ID), false, false},
    {"Want", MVM_MESSAGE_WANT, HAS(ID), false, true},
    {"Artifact", MVM_MESSAGE_ARTIFACT, HAS(TEXT) | HAS(ID) | HAS(NAME), false, true},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void each_kind_is_found_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(KINDS, MVM_MESSAGE_ARTIFACT + 1);
    for (size_t n = 0; n < KINDS; n++) {
        assert_int_equal(mvm_kind_by_name(kinds[n].name), kinds[n].kind);
    }
    assert_int_equal(mvm_kind_by_name("build"), -1);
    assert_int_equal(mvm_kind_by_name(""), -1);
}

/* As a binding that is newer than the library may ask. */
static void a_field_that_this_release_lacks_is_in_no_message(void **state)
{
    (void)state;
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        size_t len = 7;
        mvm_message_begin(&m, kinds[n].kind);
        assert_false(mvm_message_put(&m, (enum mvm_message_field)FIELDS, "a", 1));
        assert_null(mvm_message_get(&m, (enum mvm_message_field)FIELDS, &len));
        assert_int_equal(len, 0);
    }
}

static void a_message_has_the_fields_of_its_kind_and_no_other(void **state)
{
    (void)state;
    static const char bytes[] = "abcdefghijklmnop";
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        memset(&m, 0x55, sizeof m);
        mvm_message_begin(&m, kinds[n].kind);
        assert_int_equal(mvm_message_kind(&m), kinds[n].kind);
        for (unsigned f = 0; f < FIELDS; f++) {
            size_t len = 7;
            bool has = (kinds[n].fields >> f & 1) != 0;
            assert_null(mvm_message_get(&m, (enum mvm_message_field)f, &len));
            assert_int_equal(len, 0);
            assert_int_equal(mvm_message_put(&m, (enum mvm_message_field)f, bytes + f, f + 1), has);
        }
        for (unsigned f = 0; f < FIELDS; f++) {
            size_t len = 77;
            bool has = (kinds[n].fields >> f & 1) != 0;
            const char *got = mvm_message_get(&m, (enum mvm_message_field)f, &len);
            assert_ptr_equal(got, has ? bytes + f : NULL);
            assert_int_equal(len, has ? f + 1 : 0);
        }
    }
}

static void a_build_has_a_timeout_and_may_be_kept_and_no_other_kind_does(void **state)
{
    (void)state;
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        uint64_t seconds = 5;
        mvm_message_begin(&m, kinds[n].kind);
        assert_false(mvm_message_get_timeout(&m, &seconds));
        assert_int_equal(seconds, 0);
        assert_int_equal(mvm_message_put_timeout(&m, 90), kinds[n].is_build);
        assert_int_equal(mvm_message_get_timeout(&m, &seconds), kinds[n].is_build);
        assert_int_equal(seconds, kinds[n].is_build ? 90 : 0);
        assert_int_equal(mvm_message_put_keep(&m, true), kinds[n].is_build);
        assert_int_equal(m.build.keep, kinds[n].is_build ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT);
        assert_int_equal(mvm_message_put_keep(&m, false), kinds[n].is_build);
        assert_int_equal(m.build.keep, kinds[n].is_build ? MVM_FLAG_FALSE : MVM_FLAG_ABSENT);
    }
}

static void what_moves_bytes_has_an_offset_a_length_and_an_end(void **state)
{
    (void)state;
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        uint64_t offset = 1, length = 1;
        bool is_bulk = kinds[n].is_bulk, last = true;
        mvm_message_begin(&m, kinds[n].kind);
        assert_int_equal(mvm_message_get_bulk(&m, &offset, &length, &last), is_bulk);
        assert_true(offset == 0 && length == 0 && !last);
        assert_int_equal(mvm_message_put_bulk(&m, 4096, UINT64_MAX, true), is_bulk);
        assert_int_equal(mvm_message_get_bulk(&m, &offset, &length, &last), is_bulk);
        assert_true(offset == (is_bulk ? 4096 : 0) && length == (is_bulk ? UINT64_MAX : 0));
        assert_int_equal(last, is_bulk);
        assert_int_equal(mvm_message_put_bulk(&m, 0, 0, false), is_bulk);
        mvm_message_get_bulk(&m, &offset, &length, &last);
        assert_false(last);
        assert_int_equal(m.bulk.last, MVM_FLAG_ABSENT); /* left out of the frame */
    }
}

static void a_heartbeat_is_a_log_that_says_so(void **state)
{
    (void)state;
    struct mvm_message m;
    mvm_message_begin(&m, MVM_MESSAGE_LOG);
    assert_false(mvm_message_is_beat(&m));
    m.beat = MVM_FLAG_FALSE;
    assert_false(mvm_message_is_beat(&m));
    m.beat = MVM_FLAG_TRUE;
    assert_true(mvm_message_is_beat(&m));
    m.kind = MVM_MESSAGE_CANCELLED;
    assert_false(mvm_message_is_beat(&m));
}

static void sizes_are_those_of_the_structs(void **state)
{
    (void)state;
    assert_int_equal(mvm_message_size(), sizeof(struct mvm_message));
    assert_int_equal(mvm_decoder_size(), sizeof(struct mvm_decoder));
    assert_int_equal(mvm_encoder_size(), sizeof(struct mvm_encoder));
    assert_int_equal(mvm_session_size(), sizeof(struct mvm_session));
    assert_int_equal(mvm_executor_size(), sizeof(struct mvm_executor));
    assert_int_equal(mvm_scheduler_size(), sizeof(struct mvm_scheduler));
    assert_int_equal(mvm_client_size(), sizeof(struct mvm_client));
    assert_int_equal(mvm_fields_cap(MVM_DIRECTION_REQUESTS), MVM_REQUEST_FIELDS_CAP);
    assert_int_equal(mvm_fields_cap(MVM_DIRECTION_RESPONSES), MVM_RESPONSE_FIELDS_CAP);
}

/* ---- a session by plain arguments ---- */

static uint8_t receive[256], send[256];
static char fields[MVM_REQUEST_FIELDS_CAP];
static struct mvm_session session;

static void receive_text(const char *text)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&session, &cap);
    assert_true(strlen(text) <= cap);
    memcpy(room, text, strlen(text));
    mvm_session_received(&session, strlen(text));
}

static void a_session_has_its_message_and_its_explanation(void **state)
{
    (void)state;
    char why[64], cut[8];
    size_t len;
    mvm_session_init_buffers(&session, MVM_DIRECTION_REQUESTS, receive, sizeof receive, send,
                             sizeof send, fields, sizeof fields);
    receive_text("{\"Join\":{\"id\":\"0123\"}}\nnonsense\n");
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    const char *id = mvm_message_get(mvm_session_message(&session), MVM_FIELD_ID, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(id, "0123", 4);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_BAD_FRAME);
    len = mvm_session_explanation(&session, why, sizeof why);
    assert_int_equal(len, strlen(why));
    assert_true(len > sizeof cut);
    assert_int_equal(mvm_session_explanation(&session, cut, sizeof cut), sizeof cut - 1);
    assert_memory_equal(cut, why, sizeof cut - 1);
}

static void an_executor_gives_its_text(void **state)
{
    (void)state;
    static struct mvm_executor executor;
    size_t len;
    executor.text = mvm_text_from("a line");
    assert_ptr_equal(mvm_executor_text(&executor, &len), executor.text.bytes);
    assert_int_equal(len, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_found_by_its_name),
        cmocka_unit_test(a_message_has_the_fields_of_its_kind_and_no_other),
        cmocka_unit_test(a_field_that_this_release_lacks_is_in_no_message),
        cmocka_unit_test(a_build_has_a_timeout_and_may_be_kept_and_no_other_kind_does),
        cmocka_unit_test(what_moves_bytes_has_an_offset_a_length_and_an_end),
        cmocka_unit_test(a_heartbeat_is_a_log_that_says_so),
        cmocka_unit_test(sizes_are_those_of_the_structs),
        cmocka_unit_test(a_session_has_its_message_and_its_explanation),
        cmocka_unit_test(an_executor_gives_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
