/*
 * An agent that answers anything at any time, against all of mvm-builder: each command, both wires,
 * lost connections, --retry, Ctrl-C, with clock and connection simulated. Every request can be
 * decoded, the tool ends with a status of its manual, it waits for nothing that cannot come, and
 * the folder of --output is complete after a success, and not there otherwise.
 */
#define _GNU_SOURCE
#include "fuzz_files.h"
#include "mvm_proto.h"
#include "run.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum { FAKE_FD = 1000, ALLOWED = 5000, TURNS_MAX = 200000, BUFFER = 2 * MVM_BULK_DATA_MAX };

static char source[80];
static struct mvm_run run;

/* The rest of the input is what the agent does. */
static struct {
    const uint8_t *data;
    size_t size;
    struct fuzz_dice dice;
    enum mvm_wire wire;
    uint64_t now_ms;
    unsigned turns;
    bool up, signalled;
    struct mvm_session session;
    uint8_t received[BUFFER], sent[BUFFER];
    char fields[BUFFER];
    const uint8_t *raw; /* bytes that no encoder has made */
    size_t raw_len;
    char id[MVM_ID_MAX + 1], nonce[MVM_NONCE_MAX + 1]; /* the tool's */
} agent;

/* ---- what the agent sends ---- */

static uint64_t next(size_t bytes)
{
    return take(&agent.data, &agent.size, bytes);
}

static struct mvm_text next_text(size_t most)
{
    size_t len = (size_t)next(1) % (most + 1);
    len = len < agent.size ? len : agent.size;
    struct mvm_text text = {(const char *)agent.data, len};
    agent.data += len;
    agent.size -= len;
    return text;
}

static struct mvm_text next_id(void)
{
    uint64_t how = next(1);
    return how < 200   ? mvm_text_from(agent.id)
           : how < 230 ? (struct mvm_text){NULL, 0}
           : how < 240 ? mvm_text_from("another-build-of-32-letters-----")
                       : next_text(MVM_ID_MAX);
}

static void welcome(struct mvm_message *m)
{
    static const char *const features[] = {"ids cancel join keep source artifacts",
                                           "ids cancel join keep", "ids", "", "source artifacts"};
    uint64_t how = next(1);
    m->hello.nonce = how < 240 ? mvm_text_from(agent.nonce) : next_text(MVM_NONCE_MAX);
    m->hello.agent = mvm_text_from("played 1.0");
    m->hello.boot = mvm_text_from(how % 16 == 1 ? "another" : "boot");
    m->hello.features = mvm_text_from(features[how % 32 < 24 ? 0 : how % 5]);
}

static void ok(struct mvm_message *m, uint8_t *items, size_t cap)
{
    size_t len = 0;
    m->text = next(1) < 220 ? mvm_text_from("/nix/store/00000000000000000000000000000000-x")
                            : next_text(60);
    for (uint64_t n = next(1) % 4; n > 0; n--) {
        struct mvm_artifact_item item = {.name = take_name(&agent.data, &agent.size)};
        item.size = take_number(&agent.data, &agent.size);
        len += mvm_proto_add_artifact(items + len, cap - len, &item);
    }
    m->artifacts = (struct mvm_text){(const char *)items, len};
}

static void piece(struct mvm_message *m)
{
    static const char bytes[256];
    const struct mvm_artifacts *a = &run.stream.artifacts;
    uint64_t flags = next(1);
    size_t current = run.stream.current;
    m->text = (struct mvm_text){bytes, next(1)};
    m->bulk.name = flags < 230 && current < a->len ? mvm_text_from(a->files[current].name)
                                                   : take_name(&agent.data, &agent.size);
    m->bulk.offset = current < a->len ? a->files[current].done : 0;
    m->bulk.offset = flags % 8 == 0 ? take_number(&agent.data, &agent.size) : m->bulk.offset;
    m->bulk.last = flags % 4 == 1 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
}

static void refuse(struct mvm_message *m)
{
    static const char *const categories[] = {
        "build_failed", "unknown_id", "moved", "id_conflict",
        "cancelled",    "internal",   "",      "none of these"};
    uint64_t how = next(1);
    m->text = how < 128 ? mvm_text_from("build failed") : next_text(60);
    m->refusal.category = mvm_text_from(categories[how % 8]);
    if (how % 3 == 0) {
        m->refusal.refused = m->id;
        m->id = (struct mvm_text){NULL, 0};
    }
}

static void say(enum mvm_kind kind)
{
    uint8_t items[1024];
    struct mvm_message m = {.kind = kind, .id = next_id()};
    switch (kind) {
    case MVM_MESSAGE_WELCOME:
        welcome(&m);
        break;
    case MVM_MESSAGE_OK:
        ok(&m, items, sizeof items);
        break;
    case MVM_MESSAGE_ERR:
        refuse(&m);
        break;
    case MVM_MESSAGE_LOG:
        m.beat = next(1) % 2 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
        m.text = next_text(80);
        break;
    case MVM_MESSAGE_WANT:
        m.bulk.length = take_number(&agent.data, &agent.size);
        break;
    case MVM_MESSAGE_ARTIFACT:
        piece(&m);
        break;
    case MVM_MESSAGE_CANCELLED:
        m.text = mvm_text_from(next(1) % 2 ? "running" : "unknown");
        break;
    default:
        break;
    }
    bool of_json = kind != MVM_MESSAGE_WANT && kind != MVM_MESSAGE_ARTIFACT;
    if ((of_json || agent.wire == MVM_WIRE_PROTO) && mvm_session_can_send(&agent.session)) {
        mvm_session_send(&agent.session, &m);
    }
}

static void act(void)
{
    static const enum mvm_kind kinds[] = {
        MVM_MESSAGE_OK,        MVM_MESSAGE_ERR,  MVM_MESSAGE_LOG,      MVM_MESSAGE_PONG,
        MVM_MESSAGE_CANCELLED, MVM_MESSAGE_WANT, MVM_MESSAGE_ARTIFACT, MVM_MESSAGE_WELCOME};
    uint64_t what = next(1);
    if (what < 200) {
        say(kinds[what % 8]);
    } else if (what < 215) {
        agent.raw_len = (size_t)next(1) % 64;
        agent.raw_len = agent.raw_len < agent.size ? agent.raw_len : agent.size;
        agent.raw = agent.data;
        agent.data += agent.raw_len;
        agent.size -= agent.raw_len;
    } else if (what < 230) {
        agent.up = false;
    } else if (what < 235) {
        agent.signalled = true;
    } else {
        agent.now_ms += next(1) * (what % 4 == 0 ? 1000 : 1);
    }
}

/* ---- what the tool requests ---- */

static void keep_text(char *to, size_t cap, struct mvm_text text)
{
    if (text.len > 0) {
        FUZZ_CHECK(text.len < cap);
        memcpy(to, text.bytes, text.len);
        to[text.len] = '\0';
    }
}

static void listen(void)
{
    enum mvm_session_event event;
    while ((event = mvm_session_next(&agent.session)) != MVM_SESSION_NOTHING) {
        const struct mvm_message *m = &agent.session.message;
        FUZZ_CHECK(event == MVM_SESSION_MESSAGE);
        keep_text(agent.id, sizeof agent.id, m->id);
        if (m->kind == MVM_MESSAGE_HELLO) {
            keep_text(agent.nonce, sizeof agent.nonce, m->hello.nonce);
        }
    }
}

/* ---- in place of the tool's clock, signals, connection and output ---- */

uint64_t __wrap_mvm_clock_ms(void);
uint64_t __wrap_mvm_clock_us(void);
uint64_t __wrap_mvm_clock_after(uint64_t ms);
enum mvm_wake __wrap_mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                                     short *revents);
enum mvm_wake __wrap_mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms);
bool __wrap_mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p,
                                struct mvm_waiter *w, uint64_t until_ms, struct mvm_writer *why);
ptrdiff_t __wrap_mvm_connection_read(struct mvm_connection *c, void *room, size_t cap,
                                     struct mvm_writer *why);
size_t __wrap_mvm_connection_write(struct mvm_connection *c, const void *bytes, size_t len);
void __wrap_mvm_connection_close(struct mvm_connection *c);
void __wrap_mvm_connection_abandon(struct mvm_connection *c);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __real_write(int fd, const void *bytes, size_t len);

uint64_t __wrap_mvm_clock_ms(void)
{
    return agent.now_ms;
}

uint64_t __wrap_mvm_clock_us(void)
{
    return agent.now_ms * 1000;
}

uint64_t __wrap_mvm_clock_after(uint64_t ms)
{
    return ms < MVM_NEVER - agent.now_ms ? agent.now_ms + ms : MVM_NEVER;
}

static bool signal_came(struct mvm_waiter *w)
{
    w->signal = agent.signalled ? SIGINT : w->signal;
    return w->signal != 0;
}

static short ready(short events)
{
    size_t len;
    if (!agent.up) {
        return POLLHUP;
    }
    bool readable = agent.raw_len > 0 || mvm_session_bytes(&agent.session, &len) != NULL;
    return (short)(events & (POLLOUT | (readable ? POLLIN : 0)));
}

enum mvm_wake __wrap_mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                                     short *revents)
{
    for (;;) {
        FUZZ_CHECK(++agent.turns < TURNS_MAX);
        short what = fd == FAKE_FD ? ready(events) : 0;
        if (signal_came(w)) {
            return MVM_WAKE_SIGNAL;
        }
        if (what != 0) {
            *revents = what;
            return MVM_WAKE_READY;
        }
        if (agent.now_ms >= until_ms) {
            return MVM_WAKE_TIME;
        }
        if (agent.size > 0) {
            act();
        } else if (until_ms != MVM_NEVER) {
            agent.now_ms = until_ms;
        } else {
            FUZZ_CHECK(agent.up); /* else it would wait for ever */
            agent.up = false;
        }
    }
}

enum mvm_wake __wrap_mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms)
{
    (void)events;
    (void)until_ms;
    return signal_came(w) ? MVM_WAKE_SIGNAL : fd >= 0 ? MVM_WAKE_READY : MVM_WAKE_TIME;
}

bool __wrap_mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p,
                                struct mvm_waiter *w, uint64_t until_ms, struct mvm_writer *why)
{
    const struct mvm_session_memory memory = {agent.received, sizeof agent.received,
                                              agent.sent,     sizeof agent.sent,
                                              agent.fields,   sizeof agent.fields};
    (void)p;
    (void)w;
    (void)until_ms;
    mvm_connection_init(c);
    if (agent.size == 0) {
        mvm_writer_add(why, "connect: Connection refused");
        return false;
    }
    c->fd = FAKE_FD;
    agent.up = true;
    agent.raw_len = 0;
    mvm_session_init(&agent.session, MVM_DIRECTION_REQUESTS, &memory);
    mvm_session_speak(&agent.session, agent.wire);
    return true;
}

ptrdiff_t __wrap_mvm_connection_read(struct mvm_connection *c, void *room, size_t cap,
                                     struct mvm_writer *why)
{
    size_t len;
    (void)c;
    if (!agent.up) {
        mvm_writer_add(why, "the agent's side closed it");
        return -1;
    }
    const uint8_t *bytes = mvm_session_bytes(&agent.session, &len);
    bool encoded = bytes != NULL;
    len = encoded ? len : agent.raw_len;
    len = len < cap ? len : cap;
    uint32_t step = fuzz_step(&agent.dice);
    len = len < step ? len : step;
    if (len > 0) {
        memcpy(room, encoded ? bytes : agent.raw, len);
    }
    if (encoded) {
        mvm_session_sent(&agent.session, len);
    } else {
        agent.raw += len;
        agent.raw_len -= len;
    }
    return (ptrdiff_t)len;
}

size_t __wrap_mvm_connection_write(struct mvm_connection *c, const void *bytes, size_t len)
{
    size_t room;
    (void)c;
    if (!agent.up) {
        return len;
    }
    uint8_t *place = mvm_session_room(&agent.session, &room);
    FUZZ_CHECK(place != NULL);
    len = len < room ? len : room;
    memcpy(place, bytes, len);
    mvm_session_received(&agent.session, len);
    listen();
    return len;
}

void __wrap_mvm_connection_close(struct mvm_connection *c)
{
    c->fd = -1;
    agent.up = false;
}

void __wrap_mvm_connection_abandon(struct mvm_connection *c)
{
    __wrap_mvm_connection_close(c);
}

/* What the tool prints is dropped. */
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    return fd == STDOUT_FILENO || fd == STDERR_FILENO ? (ssize_t)len : __real_write(fd, bytes, len);
}

/* ---- a run ---- */

static void remove_source(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/flake.nix", source);
    unlink(path);
    rmdir(source);
    rmdir(root);
}

static void need_source(void)
{
    char path[96];
    need_root();
    if (source[0] == '\0') {
        snprintf(source, sizeof source, "%s/flake", root);
        snprintf(path, sizeof path, "%s/flake.nix", source);
        FUZZ_CHECK(mkdir(source, 0777) == 0);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        FUZZ_CHECK(fd >= 0 && __real_write(fd, "{ }\n", 4) == 4);
        close(fd);
        atexit(remove_source);
    }
}

static int run_tool(uint64_t how, bool *fetches)
{
    static const enum mvm_host_command commands[] = {
        MVM_HOST_BUILD, MVM_HOST_BUILD, MVM_HOST_JOIN, MVM_HOST_CANCEL,
        MVM_HOST_PING,  MVM_HOST_HELLO, MVM_HOST_WAIT, MVM_HOST_BUILD};
    struct mvm_host_options options = {.command = commands[how % 8],
                                       .peer = {.kind = MVM_PEER_UNIX},
                                       .address = "unix:a",
                                       .flake = "",
                                       .attr = "a",
                                       .all_files = true,
                                       .max_size = ALLOWED,
                                       .retry_secs = how & 8 ? 20 : 0,
                                       .silence_secs = 40,
                                       .for_secs = 10,
                                       .json = (how & 16) != 0,
                                       .wire = how & 32 ? MVM_WIRE_PROTO : MVM_WIRE_JSON};
    if (options.command == MVM_HOST_BUILD && how % 8 < 2) {
        options.output = output;
        options.folder = how % 8 == 0 ? source : NULL;
        options.wire = MVM_WIRE_PROTO;
    }
    if (options.command == MVM_HOST_JOIN || options.command == MVM_HOST_CANCEL || how & 64) {
        options.id = "0123456789abcdef";
    }
    *fetches = options.output != NULL;
    agent.wire = options.wire;
    run.waiter = (struct mvm_waiter){.signals = -1};
    return mvm_run(&run, &options);
}

/* The folder is there after a success, and has artifacts alone, within what is allowed. */
static void check_output(bool expected)
{
    uint64_t sum = 0;
    int entries = entries_of(output, true);
    FUZZ_CHECK(expected ? entries > 0 : entries == -1);
    for (unsigned i = 0; expected && mvm_artifact_name(i) != NULL; i++) {
        char path[128];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", output, mvm_artifact_name(i));
        sum += stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        unlink(path);
    }
    FUZZ_CHECK(sum <= ALLOWED);
    FUZZ_CHECK(!expected || rmdir(output) == 0);
    FUZZ_CHECK(entries_of(root, false) == 1); /* the source */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    need_source();
    agent.dice = fuzz_dice_from(&data, &size);
    agent.data = data;
    agent.size = size;
    agent.now_ms = 1000;
    agent.turns = 0;
    agent.up = agent.signalled = false;
    agent.id[0] = agent.nonce[0] = '\0';
    bool fetches;
    int status = run_tool(next(1), &fetches);
    FUZZ_CHECK((status >= MVM_EXIT_OK && status <= MVM_EXIT_NO_CONNECTION) ||
               (status == MVM_EXIT_SIGNAL + SIGINT && agent.signalled));
    check_output(status == MVM_EXIT_OK && fetches);
    return 0;
}
