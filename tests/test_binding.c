/*
 * Messages through the binding: which fields each kind has, and that what was set is returned, for
 * every field of a message at the same time.
 */
#include "mvm_binding.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static void a_build_has_a_timeout_and_no_other_kind_does(void **state)
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
    }
}

static void a_build_may_be_kept_and_no_other_kind_may(void **state)
{
    (void)state;
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        bool is_build = kinds[n].is_build, keep = true;
        mvm_message_begin(&m, kinds[n].kind);
        assert_false(mvm_message_get_keep(&m, &keep));
        assert_false(keep);
        assert_int_equal(mvm_message_put_keep(&m, true), is_build);
        assert_int_equal(mvm_message_get_keep(&m, &keep), is_build);
        assert_int_equal(keep, is_build);
        assert_int_equal(mvm_message_put_keep(&m, false), is_build);
        assert_int_equal(mvm_message_get_keep(&m, &keep), is_build);
        assert_false(keep);
    }
}

static void a_build_without_disks_may_announce_a_source_and_no_other_kind_may(void **state)
{
    (void)state;
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        uint64_t size = 5;
        bool may = kinds[n].kind == MVM_MESSAGE_STREAM_BUILD;
        mvm_message_begin(&m, kinds[n].kind);
        assert_false(mvm_message_get_source_size(&m, &size));
        assert_int_equal(size, 0);
        assert_int_equal(mvm_message_put_source_size(&m, UINT64_MAX), may);
        assert_int_equal(mvm_message_get_source_size(&m, &size), may);
        assert_true(size == (may ? UINT64_MAX : 0));
    }
}

static void an_ok_has_a_list_of_artifacts_and_no_other_kind_does(void **state)
{
    (void)state;
    char list[64];
    size_t len = mvm_artifact_write(list, sizeof list, "kernel", 6, UINT64_MAX), more;
    assert_int_equal(len > 0, mvm_has_protobuf());
    assert_int_equal(mvm_artifact_write(list, len - (len > 0), "kernel", 6, UINT64_MAX), 0);
    len = mvm_artifact_write(list, sizeof list, "kernel", 6, UINT64_MAX);
    len += mvm_artifact_write(list + len, sizeof list - len, "rootfs.ext4", 11, 0);
    for (size_t n = 0; n < KINDS; n++) {
        struct mvm_message m;
        uint64_t size = 5;
        bool may = kinds[n].kind == MVM_MESSAGE_OK, has = may && mvm_has_protobuf();
        mvm_message_begin(&m, kinds[n].kind);
        assert_null(mvm_message_get_artifact(&m, 0, &more, &size));
        assert_int_equal(mvm_message_put_artifacts(&m, list, len), may);
        const char *name = mvm_message_get_artifact(&m, 0, &more, &size);
        assert_true(size == (has ? UINT64_MAX : 0) && more == (has ? 6 : 0));
        assert_memory_equal(has ? name : "kernel", "kernel", 6);
        name = mvm_message_get_artifact(&m, 1, &more, &size);
        assert_true(size == 0 && more == (has ? 11 : 0));
        assert_memory_equal(has ? name : "rootfs.ext4", "rootfs.ext4", 11);
        assert_null(mvm_message_get_artifact(&m, 2, &more, &size));
        assert_null(mvm_message_get_artifact(&m, SIZE_MAX, &more, &size));
        assert_true(size == 0 && more == 0);
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
    assert_true(mvm_message_put_beat(&m, true));
    assert_true(mvm_message_is_beat(&m));
    m.kind = MVM_MESSAGE_CANCELLED;
    assert_false(mvm_message_is_beat(&m));
    assert_false(mvm_message_put_beat(&m, false));
    m.kind = MVM_MESSAGE_LOG;
    assert_true(mvm_message_put_beat(&m, false));
    assert_false(mvm_message_is_beat(&m));
    assert_int_equal(m.beat, MVM_FLAG_ABSENT); /* left out of the frame */
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

static void a_session_has_what_its_owner_may_read_and_set(void **state)
{
    (void)state;
    struct mvm_message ping;
    size_t len;
    mvm_session_init_buffers(&session, MVM_DIRECTION_RESPONSES, receive, sizeof receive, send,
                             sizeof send, fields, sizeof fields);
    assert_int_equal(mvm_session_get_wire(&session), MVM_WIRE_OPEN);
    mvm_session_speak(&session, MVM_WIRE_JSON);
    assert_int_equal(mvm_session_get_wire(&session), MVM_WIRE_JSON);
    mvm_message_begin(&ping, MVM_MESSAGE_PING);
    mvm_session_send(&session, &ping);
    assert_non_null(mvm_session_bytes(&session, &len));
    assert_int_equal(mvm_session_get_sent(&session), 0);
    mvm_session_sent(&session, len);
    assert_int_equal(mvm_session_get_sent(&session), len);
    mvm_session_put_small_cap(&session, 100);
    mvm_session_put_json_alone(&session, true);
    assert_true(session.small_cap == 100 && session.json_alone);
    mvm_session_put_json_alone(&session, false);
    assert_false(session.json_alone);
}

/* ---- every field of mvm.proto ---- */

static const struct text_field {
    const char *name; /* in mvm.proto */
    enum mvm_message_field field;
} text_fields[] = {
    {"out_path", MVM_FIELD_TEXT},       {"message", MVM_FIELD_TEXT},
    {"line", MVM_FIELD_TEXT},           {"was", MVM_FIELD_TEXT},
    {"data", MVM_FIELD_TEXT},           {"id", MVM_FIELD_ID},
    {"flake_ref", MVM_FIELD_FLAKE_REF}, {"attr", MVM_FIELD_ATTR},
    {"nonce", MVM_FIELD_NONCE},         {"agent", MVM_FIELD_AGENT},
    {"boot", MVM_FIELD_BOOT},           {"features", MVM_FIELD_FEATURES},
    {"refused", MVM_FIELD_REFUSED},     {"category", MVM_FIELD_CATEGORY},
    {"name", MVM_FIELD_NAME},
};

enum { TEXT_FIELDS = sizeof text_fields / sizeof text_fields[0], NUMBER = 123456789 };

/* Each field has another, which may be an id. */
static const char *text_of(const struct text_field *f)
{
    return &"abcdefghijklmnopqrstuvwxyz012345"[f - text_fields];
}

static const struct text_field *text_field(const char *name)
{
    for (size_t i = 0; i < TEXT_FIELDS; i++) {
        if (strcmp(text_fields[i].name, name) == 0) {
            return &text_fields[i];
        }
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *const names[])
{
    while (*names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

#define IS(name, ...) is_one_of(name, (const char *const[]){__VA_ARGS__, NULL})

/* Returns false if no call sets the field. */
static bool put_field(struct mvm_message *m, const char *name)
{
    static char list[64];
    const struct text_field *text = text_field(name);
    if (text != NULL) {
        return mvm_message_put(m, text->field, text_of(text), strlen(text_of(text)));
    }
    if (IS(name, "artifacts")) {
        return mvm_message_put_artifacts(
            m, list, mvm_artifact_write(list, sizeof list, "kernel", 6, NUMBER));
    }
    return IS(name, "timeout_secs")  ? mvm_message_put_timeout(m, NUMBER)
           : IS(name, "source_size") ? mvm_message_put_source_size(m, NUMBER)
           : IS(name, "keep")        ? mvm_message_put_keep(m, true)
           : IS(name, "beat")        ? mvm_message_put_beat(m, true)
           : IS(name, "offset", "length", "bytes", "last")
               ? mvm_message_put_bulk(m, NUMBER, NUMBER, true)
               : false;
}

static bool has_field(const struct mvm_message *m, const char *name)
{
    const struct text_field *text = text_field(name);
    uint64_t number = 0, length = 0;
    size_t len = 0;
    bool flag = false;
    if (text != NULL) {
        const char *got = mvm_message_get(m, text->field, &len);
        return len == strlen(text_of(text)) && memcmp(got, text_of(text), len) == 0;
    }
    if (IS(name, "artifacts")) {
        const char *got = mvm_message_get_artifact(m, 0, &len, &number);
        return len == 6 && memcmp(got, "kernel", len) == 0 && number == NUMBER;
    }
    if (IS(name, "keep", "beat")) {
        return IS(name, "beat") ? mvm_message_is_beat(m) : mvm_message_get_keep(m, &flag) && flag;
    }
    if (IS(name, "timeout_secs", "source_size")) {
        return (IS(name, "source_size") ? mvm_message_get_source_size(m, &number)
                                        : mvm_message_get_timeout(m, &number)) &&
               number == NUMBER;
    }
    bool there = mvm_message_get_bulk(m, &number, &length, &flag);
    return there && (IS(name, "last") ? flag : (IS(name, "offset") ? number : length) == NUMBER);
}

/* The message as the other end of a connection receives it. */
static const struct mvm_message *received(const struct mvm_message *m)
{
    static struct mvm_session sender, receiver;
    static uint8_t in[2][512], out[2][512];
    static char texts[2][MVM_RESPONSE_FIELDS_CAP];
    bool request = m->kind <= MVM_MESSAGE_CANCEL ||
                   (m->kind >= MVM_MESSAGE_STREAM_BUILD && m->kind <= MVM_MESSAGE_DROP);
    enum mvm_direction there = request ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES,
                       back = request ? MVM_DIRECTION_RESPONSES : MVM_DIRECTION_REQUESTS;
    size_t len, cap;
    mvm_session_init_buffers(&sender, back, in[0], sizeof in[0], out[0], sizeof out[0], texts[0],
                             sizeof texts[0]);
    mvm_session_init_buffers(&receiver, there, in[1], sizeof in[1], out[1], sizeof out[1], texts[1],
                             sizeof texts[1]);
    mvm_session_speak(&sender, MVM_WIRE_PROTO);
    mvm_session_send(&sender, m);
    assert_true(mvm_session_can_send(&sender));
    const uint8_t *bytes = mvm_session_bytes(&sender, &len);
    uint8_t *room = mvm_session_room(&receiver, &cap);
    assert_in_range(len, 1, cap);
    memcpy(room, bytes, len);
    mvm_session_received(&receiver, len);
    assert_int_equal(mvm_session_next(&receiver), MVM_SESSION_MESSAGE);
    assert_int_equal(mvm_session_get_wire(&receiver), MVM_WIRE_PROTO);
    return mvm_session_message(&receiver);
}

/* The name of the field that a line of mvm.proto declares; NULL: none. Cuts the line. */
static const char *declared_field(char *line)
{
    char *end = strncmp(line, "  ", 2) == 0 ? strstr(line, " = ") : NULL;
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    return strrchr(line, ' ') + 1;
}

/* The fields of one message, whose first line was read, up to its end. Returns their number. */
static int check_fields(FILE *f, int kind)
{
    char lines[16][128];
    const char *names[16], *name;
    struct mvm_message m;
    int len = 0;
    mvm_message_begin(&m, (enum mvm_kind)kind);
    while (fgets(lines[len], sizeof lines[len], f) != NULL && lines[len][0] != '}') {
        name = declared_field(lines[len]);
        if (name != NULL) {
            if (!put_field(&m, name)) {
                fail_msg("no setter: %s", name);
            }
            names[len++] = name;
        }
    }
    const struct mvm_message *got = received(&m);
    assert_int_equal(mvm_message_kind(got), kind);
    for (int i = 0; i < len; i++) {
        if (!has_field(got, names[i])) {
            fail_msg("set, but not returned: %s", names[i]);
        }
    }
    return len;
}

static void each_field_of_the_protobuf_wire_has_a_setter_and_a_getter(void **state)
{
    (void)state;
    char line[128], name[64];
    int fields_len = 0;
    FILE *f = fopen("codec/proto/mvm.proto", "r");
    assert_non_null(f);
    while (mvm_has_protobuf() && fgets(line, sizeof line, f) != NULL) {
        int kind = sscanf(line, "message %63s {", name) == 1 && strchr(line, '}') == NULL
                       ? mvm_kind_by_name(name)
                       : -1;
        fields_len += kind < 0 ? 0 : check_fields(f, kind);
    }
    assert_true(fields_len > 40 || !mvm_has_protobuf());
    fclose(f);
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
        cmocka_unit_test(a_build_has_a_timeout_and_no_other_kind_does),
        cmocka_unit_test(a_build_may_be_kept_and_no_other_kind_may),
        cmocka_unit_test(a_build_without_disks_may_announce_a_source_and_no_other_kind_may),
        cmocka_unit_test(an_ok_has_a_list_of_artifacts_and_no_other_kind_does),
        cmocka_unit_test(what_moves_bytes_has_an_offset_a_length_and_an_end),
        cmocka_unit_test(a_heartbeat_is_a_log_that_says_so),
        cmocka_unit_test(sizes_are_those_of_the_structs),
        cmocka_unit_test(a_session_has_its_message_and_its_explanation),
        cmocka_unit_test(a_session_has_what_its_owner_may_read_and_set),
        cmocka_unit_test(each_field_of_the_protobuf_wire_has_a_setter_and_a_getter),
        cmocka_unit_test(an_executor_gives_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
