/* The real agent and builds without disks: a source is sent, artifacts are fetched. nix and nix-
 * store are small scripts. */
#define _GNU_SOURCE
#include "mvm_session.h"
#include "support.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

enum {
    PEERS = 12,
    BUFFER = MVM_BULK_DATA_MAX + MVM_ID_MAX + MVM_PROTO_SLACK,
    MIB = 1 << 20,
    SPARSE_SIZE = 64 * MIB,
    DATA_AT = 40 * MIB,
    DATA_LEN = 300000,
};

/* ---- a client ---- */

static struct peer {
    int fd;
    struct mvm_session session;
    uint8_t in[BUFFER], out[BUFFER];
    char fields[BUFFER];
} peers[PEERS];
static int peers_len;

static struct peer *dial(void)
{
    assert_true(peers_len < PEERS);
    struct peer *p = &peers[peers_len++];
    struct mvm_session_memory memory = {p->in,         sizeof p->in, p->out,
                                        sizeof p->out, p->fields,    sizeof p->fields};
    p->fd = e2e_try_connect(e2e_path("a.sock"));
    assert_true(p->fd >= 0);
    mvm_session_init(&p->session, MVM_DIRECTION_RESPONSES, &memory);
    mvm_session_speak(&p->session, MVM_WIRE_PROTO);
    return p;
}

static void hang_up(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
}

static void say(struct peer *p, const struct mvm_message *m)
{
    size_t len;
    const uint8_t *bytes;
    mvm_session_send(&p->session, m);
    while ((bytes = mvm_session_bytes(&p->session, &len)) != NULL) {
        ssize_t n = send(p->fd, bytes, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        mvm_session_sent(&p->session, (size_t)n);
    }
}

/* The next message; false: nothing for `ms`, or end of file. */
static bool heard(struct peer *p, struct mvm_message *m, int ms)
{
    while (mvm_session_next(&p->session) != MVM_SESSION_MESSAGE) {
        struct pollfd fd = {p->fd, POLLIN, 0};
        size_t cap;
        uint8_t *room = mvm_session_room(&p->session, &cap);
        ssize_t n = poll(&fd, 1, ms) == 1 ? read(p->fd, room, cap) : 0;
        if (n <= 0) {
            return false;
        }
        mvm_session_received(&p->session, (size_t)n);
    }
    *m = p->session.message;
    return true;
}

static struct mvm_message hear(struct peer *p)
{
    struct mvm_message m;
    assert_true(heard(p, &m, E2E_PATIENCE_MS));
    return m;
}

/* The next message that is not a Log. */
static struct mvm_message answer(struct peer *p)
{
    struct mvm_message m;
    do {
        m = hear(p);
    } while (m.kind == MVM_MESSAGE_LOG);
    return m;
}

static void ask(struct peer *p, enum mvm_kind kind, const char *id)
{
    struct mvm_message m = {.kind = kind};
    m.id = id == NULL ? m.id : mvm_text_from(id);
    say(p, &m);
}

static void ask_build(struct peer *p, const char *id, const char *attr, bool keep)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(id)};
    m.build.flake_ref = mvm_text_from("flake");
    m.build.attr = mvm_text_from(attr);
    m.build.keep = keep ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    say(p, &m);
}

static void ask_source_build(struct peer *p, const char *id, uint64_t size)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(id)};
    m.build.flake_ref = mvm_text_from("");
    m.build.attr = mvm_text_from("a");
    m.build.keep = MVM_FLAG_TRUE;
    m.build.has_source = true;
    m.build.source_size = size;
    say(p, &m);
}

static void ask_get(struct peer *p, const char *id, const char *name, uint64_t offset,
                    uint64_t length)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_GET, .id = mvm_text_from(id)};
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.length = length;
    say(p, &m);
}

static void send_source(struct peer *p, const char *id, uint64_t offset, const char *bytes,
                        size_t len, bool last)
{
    struct mvm_message m = {
        .kind = MVM_MESSAGE_SOURCE, .id = mvm_text_from(id), .text = {bytes, len}};
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    say(p, &m);
}

static void assert_refused(struct peer *p, const char *category)
{
    struct mvm_message m = answer(p);
    assert_int_equal(m.kind, MVM_MESSAGE_ERR);
    assert_non_null(m.refusal.refused.bytes);
    assert_true(mvm_text_equal(m.refusal.category, category));
}

static void assert_ended(struct peer *p, const char *category)
{
    struct mvm_message m = answer(p);
    assert_int_equal(m.kind, MVM_MESSAGE_ERR);
    assert_null(m.refusal.refused.bytes);
    assert_true(mvm_text_equal(m.refusal.category, category));
}

/* The answer is Ok with this artifact in its list. */
static void assert_ok(struct peer *p, const char *name, uint64_t size)
{
    struct mvm_message m = answer(p);
    struct mvm_artifact_item item;
    if (m.kind != MVM_MESSAGE_OK) {
        fail_msg("%.*s", (int)m.text.len, m.text.bytes);
    }
    while (mvm_proto_next_artifact(&m.artifacts, &item)) {
        if (mvm_text_equal(item.name, name)) {
            assert_int_equal(item.size, size);
            return;
        }
    }
    fail_msg("%s is not listed", name);
}

/* ---- the stand-ins ---- */

static const char *dir(void)
{
    return e2e_path("stream");
}

/* nix prints the source's file and the store path, or waits; nix-store unpacks any bytes into one
 * file, slowly if they begin with s. */
static const char *begin(void)
{
    static char script[2048];
    peers_len = 0;
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script,
             "for word; do [ \"$before\" = --out-link ] && link=$word; before=$word; done\n"
             "case $attr in waits) exec sleep 60 ;; fails) exit 1 ;; esac\n"
             "flake=${installable%%#*}; flake=${flake#path:}\n"
             "[ -f \"$flake/all\" ] && wc -c <\"$flake/all\" >&2\n"
             "ln -s %s \"$link\"\necho %s\n",
             store_path, store_path);
    e2e_write_nix(script);
    e2e_write_text(e2e_path("nix-store"), "#!/bin/sh\n[ -e \"${0%/*}/hang\" ] && exec sleep 60\n"
                                          "mkdir \"$2\" && exec cat >\"$2/all\"\n");
    chmod(e2e_path("nix-store"), 0755);
    return store_path;
}

static pid_t start(void)
{
    return E2E_AGENT("a", "--stream-dir", dir());
}

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    int entries = 0;
    while (d != NULL && readdir(d) != NULL) {
        entries++;
    }
    if (d != NULL) {
        closedir(d);
    }
    return entries <= 2;
}

static bool is_gone(const char *path)
{
    struct stat st;
    return lstat(path, &st) < 0;
}

static bool is_there(const char *path)
{
    return !is_gone(path);
}

static void assert_nothing_left(void)
{
    assert_true(e2e_until(is_empty, dir(), E2E_PATIENCE_MS));
}

#define NEEDS_PROTOBUF()                                                                           \
    if (!mvm_proto_present) {                                                                      \
        E2E_SKIP("no protobuf wire");                                                              \
    }

/* ---- builds ---- */

static void a_build_is_done_and_its_artifacts_come(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial();
    ask(p, MVM_MESSAGE_HELLO, NULL);
    struct mvm_message m = hear(p);
    assert_non_null(memmem(m.hello.features.bytes, m.hello.features.len, " source artifacts", 17));
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    ask_get(p, A, "kernel", 0, 100);
    m = hear(p);
    assert_int_equal(m.kind, MVM_MESSAGE_ARTIFACT);
    assert_true(mvm_text_equal(m.text, "a kernel"));
    assert_true(mvm_text_equal(m.bulk.name, "kernel"));
    assert_int_equal(m.bulk.last, MVM_FLAG_TRUE);
    ask_get(p, A, "kernel", 2, 3);
    m = hear(p);
    assert_true(mvm_text_equal(m.text, "ker"));
    assert_int_equal(m.bulk.offset, 2);
    assert_int_equal(m.bulk.last, MVM_FLAG_TRUE);
    ask_get(p, A, "kernel", 8, 3);
    m = hear(p);
    assert_int_equal(m.text.len, 0);
    assert_int_equal(m.bulk.last, MVM_FLAG_TRUE);
    ask(p, MVM_MESSAGE_DROP, A);
    ask_get(p, A, "kernel", 0, 1);
    assert_refused(p, "unknown_id");
    assert_nothing_left();
}

static void a_client_on_the_json_wire_gets_nothing_of_it(void **state)
{
    (void)state;
    struct mvm_text line;
    begin();
    start();
    struct e2e_conn *c = e2e_dial("a");
    e2e_say(c, "{\"Hello\":{}}\n");
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_non_null(strstr(line.bytes, "\"features\":\"ids cancel join keep\"}}"));
}

/* A source of three times the credit, in the longest pieces with the longest id, with Pings
 * between. */
static void a_source_goes_in_by_credit(void **state)
{
    (void)state;
    enum { SIZE = 700001 };
    static char bytes[SIZE], id[MVM_ID_MAX + 1];
    uint64_t sent = 0, credit = 0;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial(), *other = dial();
    memset(id, 'a', MVM_ID_MAX);
    ask_source_build(p, id, SIZE);
    while (sent < SIZE) {
        struct mvm_message m = answer(p);
        assert_int_equal(m.kind, MVM_MESSAGE_WANT);
        credit += m.bulk.length;
        assert_true(credit <= SIZE);
        while (sent < credit) {
            size_t n = (size_t)(credit - sent);
            n = n < MVM_BULK_DATA_MAX ? n : MVM_BULK_DATA_MAX;
            send_source(p, id, sent, bytes + sent, n, sent + n == SIZE);
            sent += n;
        }
        ask(other, MVM_MESSAGE_PING, NULL);
        assert_int_equal(hear(other).kind, MVM_MESSAGE_PONG);
    }
    bool seen = false;
    struct mvm_message m;
    while ((m = hear(p)).kind == MVM_MESSAGE_LOG) {
        seen = seen || mvm_text_equal(m.text, "700001");
    }
    assert_int_equal(m.kind, MVM_MESSAGE_OK);
    assert_true(seen);
    assert_true(is_gone(e2e_path("stream/mvm-source")));
    ask(p, MVM_MESSAGE_DROP, id);
    assert_nothing_left();
}

static struct peer *begin_source(const char *id)
{
    struct peer *p = dial();
    ask_source_build(p, id, 8 * MIB);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_WANT);
    send_source(p, id, 0, "abc", 3, false);
    return p;
}

static void a_cancel_while_the_source_comes_leaves_nothing(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = begin_source(A);
    ask(p, MVM_MESSAGE_CANCEL, A);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_CANCELLED);
    assert_ended(p, "cancelled");
    assert_nothing_left();
    send_source(p, A, 3, "abc", 3, false); /* of a build that has ended: dropped */
    ask(p, MVM_MESSAGE_PING, NULL);
    assert_int_equal(hear(p).kind, MVM_MESSAGE_PONG);
}

/* Even with keep: no other connection knows what was received. */
static void a_client_that_goes_while_its_source_comes_ends_the_build(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = begin_source(A), *next = dial();
    ask(p, MVM_MESSAGE_PING, NULL); /* the source before it has been handled */
    assert_int_equal(answer(p).kind, MVM_MESSAGE_PONG);
    hang_up(p);
    ask_build(next, B, "a", false);
    assert_ok(next, "rootfs", 8);
    ask(next, MVM_MESSAGE_JOIN, A);
    assert_ended(next, "cancelled");
}

static void a_client_that_joins_before_the_source_has_come_is_asked_for_it(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial(), *next = dial();
    ask_source_build(p, A, 5);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_WANT);
    hang_up(p);
    ask(next, MVM_MESSAGE_JOIN, A);
    struct mvm_message m = answer(next);
    assert_int_equal(m.kind, MVM_MESSAGE_WANT);
    assert_int_equal(m.bulk.length, 5);
    send_source(next, A, 0, "abcde", 5, true);
    assert_ok(next, "kernel", 8);
}

static void a_source_that_breaks_the_rules_ends_its_build(void **state)
{
    (void)state;
    static const char bytes[MVM_BULK_DATA_MAX];
    struct mvm_message m;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = begin_source(A); /* out of order */
    send_source(p, A, 2, "abc", 3, false);
    assert_ended(p, "invalid_request");
    e2e_write_text(e2e_path("hang"), ""); /* over the credit: nix-store does not read */
    p = begin_source(B);
    for (uint64_t at = 3; at < 6 * MIB; at += sizeof bytes) {
        send_source(p, B, at, bytes, sizeof bytes, false);
    }
    do {
        m = answer(p);
    } while (m.kind == MVM_MESSAGE_WANT);
    assert_true(mvm_text_equal(m.refusal.category, "invalid_request"));
    unlink(e2e_path("hang"));
    p = dial(); /* shorter than announced */
    ask_source_build(p, "cccccccccccccccc", 100);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_WANT);
    send_source(p, "cccccccccccccccc", 0, "abc", 3, true);
    assert_ended(p, "invalid_request");
    p = dial(); /* larger than any may be */
    ask_source_build(p, "dddddddddddddddd", (uint64_t)MVM_SOURCE_MAX + 1);
    assert_ended(p, "invalid_request");
}

static void a_source_that_no_build_wants_is_dropped(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial(), *q = dial();
    send_source(p, A, 0, "abc", 3, false);
    ask_build(p, A, "waits", false);
    send_source(p, A, 0, "abc", 3, true);
    ask_source_build(q, B, 3); /* waits for its turn */
    send_source(q, B, 0, "xyz", 3, true);
    ask(p, MVM_MESSAGE_CANCEL, A);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_CANCELLED);
    assert_ended(p, "cancelled");
    assert_int_equal(answer(q).kind, MVM_MESSAGE_WANT);
    send_source(q, B, 0, "abc", 3, true);
    assert_ok(q, "kernel", 8);
}

/* ---- artifacts ---- */

static void write_sparse(const char *store_path)
{
    static char data[DATA_LEN];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)('a' + i % 26);
    }
    char path[512];
    snprintf(path, sizeof path, "%s/rootfs", store_path);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, SPARSE_SIZE), 0);
    assert_int_equal(pwrite(fd, data, sizeof data, DATA_AT), DATA_LEN);
    close(fd);
}

/* The sparse file from `offset` on; returns the number of data bytes. */
static size_t get_sparse(struct peer *p, const char *id, uint64_t offset)
{
    size_t bytes = 0;
    struct mvm_message m;
    ask_get(p, id, "rootfs", offset, UINT64_MAX);
    do {
        m = hear(p);
        assert_int_equal(m.kind, MVM_MESSAGE_ARTIFACT);
        assert_true(m.bulk.offset >= offset);
        for (size_t i = 0; i < m.text.len; i++) {
            uint64_t at = m.bulk.offset + i;
            bool data = at >= DATA_AT && at < DATA_AT + DATA_LEN;
            assert_int_equal(m.text.bytes[i], data ? 'a' + (int)((at - DATA_AT) % 26) : 0);
        }
        offset = m.bulk.offset + m.text.len;
        bytes += m.text.len;
    } while (m.bulk.last != MVM_FLAG_TRUE);
    assert_int_equal(offset, SPARSE_SIZE);
    return bytes;
}

static void holes_are_left_out(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    write_sparse(begin());
    start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "rootfs", SPARSE_SIZE);
    assert_in_range(get_sparse(p, A, 0), DATA_LEN, DATA_LEN + MIB);
    assert_in_range(get_sparse(p, A, DATA_AT + 1000), DATA_LEN - 1000, DATA_LEN + MIB);
    assert_int_equal(get_sparse(p, A, SPARSE_SIZE - 5), 0);
}

static void two_clients_fetch_and_one_that_does_not_read_holds_up_neither(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    const char *store_path = begin();
    write_sparse(store_path);
    start();
    struct peer *p = dial(), *q = dial(), *lazy = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "rootfs", SPARSE_SIZE);
    ask_get(lazy, A, "rootfs", 0, SPARSE_SIZE);
    ask_get(q, A, "kernel", 0, 8);
    get_sparse(p, A, 0);
    assert_true(mvm_text_equal(hear(q).text, "a kernel"));
    get_sparse(q, A, 0);
    ask_build(q, B, "a", false); /* the next build continues meanwhile */
    assert_ok(q, "kernel", 8);
}

/* A fetching client has filled the socket; another client's Ping is answered immediately. */
static void pings_are_answered_while_artifacts_go_out(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    write_sparse(begin());
    start();
    struct peer *p = dial(), *q = dial();
    struct mvm_message m;
    ask_build(p, A, "a", false);
    assert_ok(p, "rootfs", SPARSE_SIZE);
    ask_get(p, A, "rootfs", 0, SPARSE_SIZE);
    do {
        m = hear(p);
        bool last = m.bulk.last == MVM_FLAG_TRUE;
        ask(q, MVM_MESSAGE_PING, NULL);
        assert_int_equal(hear(q).kind, MVM_MESSAGE_PONG);
        ask(p, MVM_MESSAGE_PING, NULL); /* … and its own Ping, between two pieces */
        while (!last && (m = hear(p)).kind != MVM_MESSAGE_PONG) {
            last = m.bulk.last == MVM_FLAG_TRUE;
        }
        if (last) {
            break;
        }
    } while (true);
}

static void a_second_get_is_refused_and_the_first_goes_on(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    write_sparse(begin());
    start();
    struct peer *p = dial();
    struct mvm_message m;
    int refused = 0;
    ask_build(p, A, "a", false);
    assert_ok(p, "rootfs", SPARSE_SIZE);
    ask_get(p, A, "rootfs", DATA_AT, DATA_LEN);
    ask_get(p, A, "kernel", 0, 8);
    do {
        m = hear(p);
        refused += m.kind == MVM_MESSAGE_ERR && mvm_text_equal(m.refusal.refused, A);
    } while (m.kind == MVM_MESSAGE_ERR || m.bulk.last != MVM_FLAG_TRUE);
    assert_true(mvm_text_equal(m.bulk.name, "rootfs"));
    assert_int_equal(refused, 1);
}

static void an_artifact_that_is_dropped_while_it_goes_out_ends_with_err(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    write_sparse(begin());
    start();
    struct peer *p = dial(), *q = dial();
    struct mvm_message m;
    ask_build(p, A, "a", false);
    assert_ok(p, "rootfs", SPARSE_SIZE);
    ask_get(p, A, "rootfs", DATA_AT, SPARSE_SIZE);
    (void)hear(p);
    ask(q, MVM_MESSAGE_DROP, A);
    do {
        m = hear(p);
    } while (m.kind == MVM_MESSAGE_ARTIFACT && m.bulk.last != MVM_FLAG_TRUE);
    assert_true(m.kind == MVM_MESSAGE_ARTIFACT || mvm_text_equal(m.refusal.category, "unknown_id"));
    assert_nothing_left();
}

static void a_get_that_breaks_the_rules_is_refused(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    write_sparse(begin());
    start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    ask_get(p, A, "../../../etc/passwd", 0, 8);
    assert_refused(p, "invalid_request");
    ask_get(p, A, "image", 0, 8);
    assert_refused(p, "invalid_request");
    ask_get(p, A, "", 0, 8);
    assert_refused(p, "invalid_request");
    ask_get(p, A, "kernel", 9, 1);
    assert_refused(p, "invalid_request");
    ask_get(p, A, "kernel", UINT64_MAX, UINT64_MAX);
    assert_refused(p, "invalid_request");
    ask_get(p, B, "kernel", 0, 1);
    assert_refused(p, "unknown_id");
    ask(p, MVM_MESSAGE_PING, NULL);
    assert_int_equal(hear(p).kind, MVM_MESSAGE_PONG);
}

static void a_connection_that_was_lost_is_followed_by_join_and_get(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial(), *next = dial();
    ask_build(p, A, "a", true);
    hear(p); /* accepted */
    hang_up(p);
    ask(next, MVM_MESSAGE_JOIN, A);
    assert_ok(next, "kernel", 8);
    ask(next, MVM_MESSAGE_JOIN, A); /* so has the kept answer */
    assert_ok(next, "rootfs", 8);
    ask_get(next, A, "rootfs", 0, 8);
    assert_true(mvm_text_equal(hear(next).text, "a rootfs"));
}

static void a_second_agent_leaves_the_folder_of_the_first_alone(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    E2E_AGENT("b", "--stream-dir", dir());
    struct e2e_conn *c = e2e_dial("b");
    e2e_say(c, E2E_PING);
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    ask_get(p, A, "kernel", 0, 8);
    assert_true(mvm_text_equal(hear(p).text, "a kernel"));
    assert_int_equal(access(dir(), F_OK), 0);
    char root[E2E_PATH_CAP];
    snprintf(root, sizeof root, "%s/mvm-root-0", dir());
    assert_int_equal(access(root, F_OK), 0);
}

static void past_the_limit_the_oldest_is_dropped(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial();
    char id[32];
    for (int i = 0; i <= MVM_STREAM_BUILDS; i++) {
        snprintf(id, sizeof id, "build-number-%03d", i);
        ask_build(p, id, "a", false);
        assert_ok(p, "kernel", 8);
    }
    ask_get(p, "build-number-000", "kernel", 0, 8);
    assert_refused(p, "unknown_id");
    ask_get(p, "build-number-001", "kernel", 0, 8);
    assert_true(mvm_text_equal(hear(p).text, "a kernel"));
    ask(p, MVM_MESSAGE_JOIN, "build-number-001");
    assert_ok(p, "kernel", 8);
}

static void a_build_that_fails_leaves_nothing(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    start();
    struct peer *p = dial();
    ask_build(p, A, "fails", false);
    assert_ended(p, "build_failed");
    assert_nothing_left();
}

static void what_a_dead_agent_left_is_removed_at_the_start(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    pid_t agent = start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    begin_source(B);
    /* Without cgroups a process that has only begun would make its folder after the agent's end. */
    assert_true(e2e_until(is_there, e2e_path("stream/mvm-source/all"), E2E_PATIENCE_MS));
    e2e_end(agent, SIGKILL);
    assert_false(is_empty(dir()));
    start();
    assert_nothing_left();
}

/* As one that a killed agent was starting has its lock, until it ends. */
static void a_process_that_is_about_to_end_is_not_another_agent(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    assert_int_equal(mkdir(dir(), 0700), 0);
    int folder = open(dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(folder, LOCK_EX | LOCK_NB), 0);
    pid_t holder = fork();
    if (holder == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        _exit(0);
    }
    close(folder);
    start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

/* Before the first build, so that no second agent takes it for one that was left. */
static void a_folder_is_made_with_what_is_above_it_and_locked_at_the_start(void **state)
{
    (void)state;
    struct stat st;
    begin();
    E2E_AGENT("a", "--stream-dir", e2e_path("deep/er/stream"));
    assert_int_equal(stat(e2e_path("deep/er/stream"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    int folder = open(e2e_path("deep/er/stream"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(folder, LOCK_EX | LOCK_NB), -1);
    close(folder);
}

static void an_agent_that_ends_drops_what_it_holds(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    pid_t agent = start();
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    assert_false(is_empty(dir()));
    assert_int_equal(e2e_end(agent, SIGTERM), 0);
    assert_true(is_empty(dir()));
}

/* Only the agent's own names are removed; a link is not followed. */
static void what_is_not_an_agents_own_in_its_folder_stays(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    static const char *const foreign[] = {"source", "0", "mvm-source.old", "mvm-root-"};
    begin();
    e2e_make_dir(dir());
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        e2e_make_dir(e2e_path("stream/%s", foreign[i]));
        e2e_write_text(e2e_path("stream/%s/file", foreign[i]), "mine");
    }
    e2e_make_dir(e2e_path("target"));
    e2e_write_text(e2e_path("target/file"), "mine");
    e2e_make_dir(e2e_path("stream/mvm-source"));
    e2e_make_dir(e2e_path("stream/mvm-source/deep"));
    assert_int_equal(symlink(e2e_path("target"), e2e_path("stream/mvm-source/deep/link")), 0);
    assert_int_equal(symlink(e2e_path("target"), e2e_path("stream/mvm-root-7")), 0);
    start();
    assert_true(e2e_until(is_gone, e2e_path("stream/mvm-source"), E2E_PATIENCE_MS));
    struct peer *p = dial();
    ask_source_build(p, A, 3);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_WANT);
    send_source(p, A, 0, "abc", 3, true);
    assert_ok(p, "kernel", 8);
    ask(p, MVM_MESSAGE_DROP, A);
    assert_true(e2e_until(is_gone, e2e_path("stream/mvm-root-0"), E2E_PATIENCE_MS));
    assert_true(is_gone(e2e_path("stream/mvm-root-7")));
    e2e_assert_file(e2e_path("target/file"), "mine");
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        e2e_assert_file(e2e_path("stream/%s/file", foreign[i]), "mine");
    }
}

static void a_disk_that_fills_up_amid_a_source_ends_the_build_and_leaves_nothing(void **state)
{
    (void)state;
    enum { SIZE = 2 * MIB };
    static const char bytes[MVM_BULK_DATA_MAX];
    struct mvm_message m;
    NEEDS_PROTOBUF();
    begin();
    e2e_make_dir(dir());
    if (mount("tmpfs", dir(), "tmpfs", 0, "size=512k") < 0) {
        E2E_SKIP("mount: %s", strerror(errno));
    }
    start();
    struct peer *p = dial();
    ask_source_build(p, A, SIZE);
    uint64_t sent = 0, credit = 0;
    while ((m = answer(p)).kind == MVM_MESSAGE_WANT) {
        credit += m.bulk.length;
        while (sent < credit) {
            size_t n = credit - sent < sizeof bytes ? (size_t)(credit - sent) : sizeof bytes;
            send_source(p, A, sent, bytes, n, sent + n == SIZE);
            sent += n;
        }
    }
    assert_int_equal(m.kind, MVM_MESSAGE_ERR);
    assert_true(mvm_text_begins(m.text, "unpacking the source failed (exit status: 1): "));
    assert_true(mvm_text_equal(m.refusal.category, "build_failed"));
    assert_nothing_left();
    ask_source_build(p, B, 3);
    assert_int_equal(answer(p).kind, MVM_MESSAGE_WANT);
    send_source(p, B, 0, "abc", 3, true);
    assert_ok(p, "kernel", 8);
    ask(p, MVM_MESSAGE_DROP, B);
    assert_nothing_left();
}

/* ---- agents that end by themselves ---- */

static void after_its_build_an_agent_stays_while_artifacts_can_be_fetched(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    begin();
    pid_t agent = E2E_AGENT("a", "--stream-dir", dir(), "--exit-after-build");
    struct peer *p = dial();
    ask_build(p, A, "a", false);
    assert_ok(p, "kernel", 8);
    e2e_sleep_ms(300);
    ask_get(p, A, "kernel", 0, 8);
    assert_true(mvm_text_equal(hear(p).text, "a kernel"));
    ask(p, MVM_MESSAGE_DROP, A);
    hang_up(p);
    assert_int_equal(e2e_wait(agent, E2E_PATIENCE_MS), 0);
    assert_nothing_left();
}

static void an_agent_without_clients_does_not_stay_for_what_it_holds(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    static const char *const options[][2] = {{"--exit-after-build", NULL}, {"--exit-idle", "5"}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        begin();
        pid_t agent = E2E_AGENT("a", "--stream-dir", dir(), options[i][0], options[i][1]);
        struct peer *p = dial();
        ask_build(p, A, "a", false);
        assert_ok(p, "kernel", 8);
        hang_up(p);
        assert_int_equal(e2e_wait(agent, E2E_PATIENCE_MS), 0);
        assert_nothing_left();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_is_done_and_its_artifacts_come),
        E2E_TEST(a_client_on_the_json_wire_gets_nothing_of_it),
        E2E_TEST(a_source_goes_in_by_credit),
        E2E_TEST(a_cancel_while_the_source_comes_leaves_nothing),
        E2E_TEST(a_client_that_goes_while_its_source_comes_ends_the_build),
        E2E_TEST(a_client_that_joins_before_the_source_has_come_is_asked_for_it),
        E2E_TEST(a_source_that_breaks_the_rules_ends_its_build),
        E2E_TEST(a_source_that_no_build_wants_is_dropped),
        E2E_TEST(holes_are_left_out),
        E2E_TEST(two_clients_fetch_and_one_that_does_not_read_holds_up_neither),
        E2E_TEST(pings_are_answered_while_artifacts_go_out),
        E2E_TEST(a_second_get_is_refused_and_the_first_goes_on),
        E2E_TEST(an_artifact_that_is_dropped_while_it_goes_out_ends_with_err),
        E2E_TEST(a_get_that_breaks_the_rules_is_refused),
        E2E_TEST(a_connection_that_was_lost_is_followed_by_join_and_get),
        E2E_TEST(a_second_agent_leaves_the_folder_of_the_first_alone),
        E2E_TEST(past_the_limit_the_oldest_is_dropped),
        E2E_TEST(a_build_that_fails_leaves_nothing),
        E2E_TEST(what_a_dead_agent_left_is_removed_at_the_start),
        E2E_TEST(a_process_that_is_about_to_end_is_not_another_agent),
        E2E_TEST(a_folder_is_made_with_what_is_above_it_and_locked_at_the_start),
        E2E_TEST(an_agent_that_ends_drops_what_it_holds),
        E2E_TEST(what_is_not_an_agents_own_in_its_folder_stays),
        E2E_TEST(a_disk_that_fills_up_amid_a_source_ends_the_build_and_leaves_nothing),
        E2E_TEST(after_its_build_an_agent_stays_while_artifacts_can_be_fetched),
        E2E_TEST(an_agent_without_clients_does_not_stay_for_what_it_holds),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
