/* An agent without disks that the test plays, and the real one with scripts for nix. */
#define _GNU_SOURCE
#include "support_stream.h"
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- the agent, on the protobuf wire ---- */

static struct {
    int fd;
    struct mvm_session session;
    uint8_t receive[65536], send[131072];
    char fields[2 * MVM_BULK_DATA_MAX];
} agent;

char stream_id[MVM_ID_MAX + 1];

void stream_say(struct mvm_message m)
{
    size_t len;
    const uint8_t *bytes;
    mvm_session_send(&agent.session, &m);
    while ((bytes = mvm_session_bytes(&agent.session, &len)) != NULL && len > 0) {
        ssize_t n = send(agent.fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the tool has hung up */
        }
        mvm_session_sent(&agent.session, (size_t)n);
    }
}

/* The next request; NULL: the tool has hung up. */
const struct mvm_message *stream_next(void)
{
    for (;;) {
        size_t cap;
        enum mvm_session_event event = mvm_session_next(&agent.session);
        if (event == MVM_SESSION_MESSAGE) {
            return &agent.session.message;
        }
        assert_int_equal(event, MVM_SESSION_NOTHING);
        uint8_t *room = mvm_session_room(&agent.session, &cap);
        ssize_t n = recv(agent.fd, room, cap, 0);
        if (n <= 0) {
            return NULL;
        }
        mvm_session_received(&agent.session, (size_t)n);
    }
}

const struct mvm_message *stream_await(enum mvm_kind kind)
{
    const struct mvm_message *m = stream_next();
    if (m == NULL) {
        fail_msg("the tool hung up; its stderr: %s", host_err());
    }
    assert_int_equal(m->kind, kind);
    if (m->id.len > 0) {
        memcpy(stream_id, m->id.bytes, m->id.len);
        stream_id[m->id.len] = '\0';
    }
    return m;
}

struct mvm_message stream_response(enum mvm_kind kind)
{
    return (struct mvm_message){.kind = kind, .id = mvm_text_from(stream_id)};
}

void stream_welcome(const char *features)
{
    const struct mvm_session_memory memory = {
        agent.receive,     sizeof agent.receive, agent.send,
        sizeof agent.send, agent.fields,         sizeof agent.fields,
    };
    char nonce[MVM_NONCE_MAX + 1] = "";
    agent.fd = host_accept()->fd;
    struct timeval patience = {.tv_sec = 20};
    setsockopt(agent.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    mvm_session_init(&agent.session, MVM_DIRECTION_REQUESTS, &memory);
    const struct mvm_message *m = stream_await(MVM_MESSAGE_HELLO);
    memcpy(nonce, m->hello.nonce.bytes, m->hello.nonce.len);
    struct mvm_message hello = {.kind = MVM_MESSAGE_WELCOME};
    hello.hello.nonce = mvm_text_from(nonce);
    hello.hello.agent = mvm_text_from("played 1.0");
    hello.hello.boot = mvm_text_from("b1");
    hello.hello.features = mvm_text_from(features);
    stream_say(hello);
}

void stream_lose(void)
{
    shutdown(agent.fd, SHUT_RDWR);
}

void stream_say_beat(void)
{
    struct mvm_message m = stream_response(MVM_MESSAGE_LOG);
    m.beat = MVM_FLAG_TRUE;
    stream_say(m);
}

void stream_say_want(uint64_t bytes)
{
    struct mvm_message m = stream_response(MVM_MESSAGE_WANT);
    m.bulk.length = bytes;
    stream_say(m);
}

void stream_say_ok(const struct mvm_artifact_item *items, size_t len)
{
    uint8_t list[1024];
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        at += mvm_proto_add_artifact(list + at, sizeof list - at, &items[i]);
    }
    struct mvm_message m = stream_response(MVM_MESSAGE_OK);
    m.text = mvm_text_from(HOST_STORE_PATH);
    m.artifacts = (struct mvm_text){(const char *)list, at};
    stream_say(m);
}
struct mvm_artifact_item stream_item(const char *name, uint64_t size)
{
    return (struct mvm_artifact_item){mvm_text_from(name), size};
}

void stream_say_piece(const char *name, uint64_t offset, const char *bytes, bool last)
{
    struct mvm_message m = stream_response(MVM_MESSAGE_ARTIFACT);
    m.text = mvm_text_from(bytes);
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    stream_say(m);
}

void stream_await_get(const char *name, uint64_t offset, uint64_t length)
{
    const struct mvm_message *m = stream_await(MVM_MESSAGE_GET);
    assert_true(mvm_text_equal(m->bulk.name, name));
    assert_int_equal(m->bulk.offset, offset);
    assert_int_equal(m->bulk.length, length);
}

/* ---- files ---- */

char stream_output[E2E_PATH_CAP];

const char *stream_in_output(const char *name)
{
    static char path[E2E_PATH_CAP + 64];
    snprintf(path, sizeof path, "%s/%s", stream_output, name);
    return path;
}

void stream_assert_file(const char *name, const char *content)
{
    assert_string_equal(e2e_read(stream_in_output(name)).bytes, content);
}

/* Nothing of an unfinished set is left, under any name. */
void stream_assert_nothing_there(void)
{
    char command[E2E_PATH_CAP + 64];
    struct stat s;
    assert_int_equal(stat(stream_output, &s), -1);
    snprintf(command, sizeof command, "%s", e2e_path(".out.new-%d", (int)host_pid()));
    assert_int_equal(stat(command, &s), -1);
}

/* ---- builds ---- */

/* A flake in the guest, built without disks. */
void stream_begin(const char *option, const char *value)
{
    STREAM_NEEDS_PROTOBUF();
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", stream_output, option, value);
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    stream_say_beat();
}

const char *stream_source_folder(size_t bytes)
{
    static char folder[E2E_PATH_CAP];
    snprintf(folder, sizeof folder, "send:%s?dir=sub", e2e_path("flake"));
    mkdir(e2e_path("flake"), 0777);
    FILE *f = fopen(e2e_path("flake/big"), "w");
    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++) {
        fputc((int)(i % 251), f);
    }
    fclose(f);
    return folder;
}

/* Starts a build with a source of some 200 KiB; its archive's size. */
uint64_t stream_begin_with_source(const char *id)
{
    STREAM_NEEDS_PROTOBUF();
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", stream_source_folder(200000), "a", "--all-files", "--output", stream_output,
               "--retry", "20", id != NULL ? "--id" : NULL, id);
    stream_welcome(STREAM_FEATURES);
    const struct mvm_message *m = stream_await(MVM_MESSAGE_STREAM_BUILD);
    assert_true(mvm_text_equal(m->build.flake_ref, "?dir=sub"));
    assert_true(m->build.has_source);
    assert_true(m->build.source_size > 200000);
    uint64_t size = m->build.source_size;
    stream_say_beat();
    return size;
}

/* Takes Source from `at` up to `end`, whose bytes are allowed; appends them to `archive`. */
void stream_take_source(uint8_t *archive, uint64_t at, uint64_t end, uint64_t size)
{
    while (at < end) {
        const struct mvm_message *m = stream_await(MVM_MESSAGE_SOURCE);
        assert_int_equal(m->bulk.offset, at);
        assert_true(m->text.len > 0 && m->text.len <= end - at);
        memcpy(archive + at, m->text.bytes, m->text.len);
        at += m->text.len;
        assert_int_equal(m->bulk.last == MVM_FLAG_TRUE, at == size);
    }
}

void stream_fetch_kernel(void)
{
    STREAM_SAY_OK(stream_item("kernel", 5));
    stream_await_get("kernel", 0, 5);
    stream_say_piece("kernel", 0, "hello", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    stream_assert_file("kernel", "hello");
}

void stream_assert_rejected(const char *why)
{
    stream_lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(why);
    stream_assert_nothing_there();
}

pid_t stream_start_agent(const char *store_path)
{
    static char script[2048];
    snprintf(script, sizeof script,
             "for word; do [ \"$before\" = --out-link ] && link=$word; before=$word; done\n"
             "flake=${installable%%%%#*}; flake=${flake#path:}; flake=${flake%%%%\\?*}\n"
             "[ -f \"$flake/all\" ] && cp \"$flake/all\" %s\n"
             "[ -f \"$flake/all\" ] && echo \"unpacked $(wc -c <\"$flake/all\")\" >&2\n"
             "ln -s %s \"$link\"\necho %s\n",
             e2e_path("archive"), store_path, store_path);
    e2e_write_nix(script);
    e2e_write_text(e2e_path("nix-store"), "#!/bin/sh\nmkdir \"$2\" && exec cat >\"$2/all\"\n");
    chmod(e2e_path("nix-store"), 0755);
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    return E2E_AGENT("a", "--stream-dir", e2e_path("stream"));
}
