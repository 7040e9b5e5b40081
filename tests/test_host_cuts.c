/*
 * mvm-builder build send:DIR --output DIR, all of it, against the real scheduler and executor in
 * the simulated world, with time simulated on both sides. What happens after byte k happens for
 * each k of a whole session, in either direction: the connection ends, the agent is killed and
 * started again, Ctrl-C.
 */
#define _GNU_SOURCE
#include "run.h"
#include "scheduler_internal.h"
#include "stream_world.h"
#include "temporary.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define KERNEL "a kernel"
#define ROOTFS "a root file system"

enum direction { UP /* to the agent */, DOWN, DIRECTIONS };

enum event {
    NOTHING,
    CUT,       /* the connection ends, at both sides */
    HALF_CUT,  /* … the agent does not notice before the tool has ended */
    RESTARTED, /* the agent is killed and started again */
    CTRL_C,
};

enum { FAKE_FD = 1000 };

static struct mvm_run run;
static char base[TEMPORARY_CAP], source[TEMPORARY_CAP + 16], output[TEMPORARY_CAP + 16];
static uint8_t archive[4096];
static size_t archive_len;

/* One run of the tool. */
static struct session {
    enum event event;
    enum direction direction;
    uint64_t at;                /* … after so many bytes of that direction */
    uint64_t bytes[DIRECTIONS]; /* so far, over all connections */
    bool happened;
    bool signalled;      /* Ctrl-C, not yet seen by the tool */
    struct client *line; /* the connection; NULL: ended or not there */
    struct client *half; /* one that the tool has lost and the agent has not */
    bool unpacked;       /* the agent's nix-store has had the whole archive */
    unsigned turns;
} now;

/* ---- the world between ---- */

static void end_line(struct client **line)
{
    if (*line != NULL) {
        disconnect(*line);
        *line = NULL;
    }
}

static void restart_agent(void)
{
    mvm_sim_restart(&sim);
    mvm_sim_restart(&reader);
    scheduler_config.stream_left = true;
    start_agent();
    now.line = NULL;
}

static void happen(void)
{
    now.happened = true;
    switch (now.event) {
    case CUT:
        end_line(&now.line);
        break;
    case HALF_CUT:
        now.half = now.line;
        now.line = NULL;
        break;
    case RESTARTED:
        restart_agent();
        break;
    case CTRL_C:
        now.signalled = true;
        break;
    case NOTHING:
        break;
    }
}

static void count(enum direction direction, size_t n)
{
    now.bytes[direction] += n;
    if (now.event != NOTHING && !now.happened && direction == now.direction &&
        now.bytes[direction] == now.at) {
        happen();
    }
}

/* How many of `n` bytes pass before something happens. */
static size_t passing(enum direction direction, size_t n)
{
    bool counts = now.event != NOTHING && !now.happened && direction == now.direction;
    return counts && n > now.at - now.bytes[direction] ? (size_t)(now.at - now.bytes[direction])
                                                       : n;
}

/* What nix-store is given is the archive, from its beginning. */
static void check_unpacked(void)
{
    const struct mvm_sim_file *f = mvm_sim_find(&sim, "/agent/" MVM_STREAM_SOURCE MVM_SIM_UNPACKED);
    if (f != NULL) {
        assert_true(f->len <= archive_len);
        assert_memory_equal(f->bytes, archive, f->len);
        now.unpacked = now.unpacked || f->len == archive_len;
    }
}

/* What a server does with clients that are to be disconnected. */
static bool step_agent(void)
{
    assert_in_range(++now.turns, 1, TURNS_MAX);
    bool more = turn();
    check_unpacked();
    if (now.line != NULL &&
        (mvm_scheduler_done(&scheduler, now.line->slot) || now.line->slot->stalled)) {
        end_line(&now.line);
    }
    return more;
}

/* ---- in place of the tool's clock, signals and connection ---- */

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
int __wrap_fsync(int fd);

uint64_t __wrap_mvm_clock_ms(void)
{
    return sim.now_ms;
}

uint64_t __wrap_mvm_clock_us(void)
{
    return sim.now_ms * 1000;
}

uint64_t __wrap_mvm_clock_after(uint64_t ms)
{
    return ms < MVM_NEVER - sim.now_ms ? sim.now_ms + ms : MVM_NEVER;
}

static bool take_signal(struct mvm_waiter *w)
{
    w->signal = now.signalled ? SIGINT : w->signal;
    now.signalled = false;
    return w->signal != 0;
}

/* poll(2) of the connection. */
static short ready(short events)
{
    size_t len;
    if (now.line == NULL) {
        return POLLHUP;
    }
    struct mvm_session *agent = &now.line->slot->session;
    bool readable = (events & POLLIN) != 0 && mvm_session_bytes(agent, &len) != NULL;
    bool writable = (events & POLLOUT) != 0 && mvm_session_room(agent, &len) != NULL;
    return (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
}

enum mvm_wake __wrap_mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                                     short *revents)
{
    for (;;) {
        if (take_signal(w)) {
            return MVM_WAKE_SIGNAL;
        }
        bool more = step_agent();
        short what = fd == FAKE_FD ? ready(events) : 0;
        if (what != 0) {
            *revents = what;
            return MVM_WAKE_READY;
        }
        if (more) {
            continue;
        }
        if (sim.now_ms >= until_ms) {
            return MVM_WAKE_TIME;
        }
        turn_clock(until_ms);
        if (sim.now_ms == MVM_NEVER) {
            fail_msg("the tool waits, and nothing will happen");
        }
    }
}

enum mvm_wake __wrap_mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms)
{
    (void)events;
    (void)until_ms;
    if (take_signal(w)) {
        return MVM_WAKE_SIGNAL;
    }
    return fd >= 0 ? MVM_WAKE_READY : MVM_WAKE_TIME;
}

bool __wrap_mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p,
                                struct mvm_waiter *w, uint64_t until_ms, struct mvm_writer *why)
{
    (void)p;
    (void)w;
    (void)until_ms;
    (void)why;
    mvm_connection_init(c);
    c->fd = FAKE_FD;
    now.line = connect_client();
    now.line->reads = now.line->feeds = false;
    count(now.direction, 0);
    return true;
}

ptrdiff_t __wrap_mvm_connection_read(struct mvm_connection *c, void *room, size_t cap,
                                     struct mvm_writer *why)
{
    size_t len;
    (void)c;
    if (now.line == NULL) {
        mvm_writer_add(why, "the agent's side closed it");
        return -1;
    }
    struct mvm_session *agent = &now.line->slot->session;
    const uint8_t *bytes = mvm_session_bytes(agent, &len);
    if (bytes == NULL) {
        return 0;
    }
    size_t n = passing(DOWN, len < cap ? len : cap);
    memcpy(room, bytes, n);
    mvm_session_sent(agent, n);
    count(DOWN, n);
    return (ptrdiff_t)n;
}

size_t __wrap_mvm_connection_write(struct mvm_connection *c, const void *bytes, size_t len)
{
    size_t room;
    (void)c;
    if (now.line == NULL) {
        return len;
    }
    struct mvm_session *agent = &now.line->slot->session;
    uint8_t *place = mvm_session_room(agent, &room);
    if (place == NULL) {
        return 0;
    }
    size_t n = passing(UP, len < room ? len : room);
    memcpy(place, bytes, n);
    mvm_session_received(agent, n);
    count(UP, n);
    return n;
}

/* What was written arrives before the end does. */
void __wrap_mvm_connection_close(struct mvm_connection *c)
{
    if (c->fd < 0) {
        return;
    }
    while (step_agent()) {
    }
    end_line(&now.line);
    c->fd = -1;
}

void __wrap_mvm_connection_abandon(struct mvm_connection *c)
{
    __wrap_mvm_connection_close(c);
}

/* Syncing the folder that the set is in fails. */
static bool parent_fails;
int __wrap_fsync(int fd)
{
    struct stat is, parent;
    if (!parent_fails || fstat(fd, &is) < 0 || stat(base, &parent) < 0 ||
        is.st_ino != parent.st_ino) {
        return 0;
    }
    errno = EIO;
    return -1;
}

/* ---- the tool ---- */

static void make_archive(void)
{
    struct mvm_writer why;
    char text[256];
    mvm_writer_init(&why, text, sizeof text);
    assert_true(mvm_tree_list(&run.stream.tree, source, MVM_TREE_ALL, &why));
    assert_true(mvm_nar_open(&run.stream.nar, source, &run.stream.tree, &why));
    ssize_t n = mvm_nar_pull(&run.stream.nar, archive, sizeof archive, &why);
    assert_in_range(n, 1, sizeof archive - 1);
    mvm_nar_close(&run.stream.nar);
    archive_len = (size_t)n;
}

static int begin(void **state)
{
    char path[TEMPORARY_CAP + 32];
    (void)state;
    if (!make_temporary(base, "cuts")) {
        return -1;
    }
    snprintf(source, sizeof source, "%s/flake", base);
    snprintf(output, sizeof output, "%s/out", base);
    snprintf(path, sizeof path, "%s/flake.nix", source);
    int fd = mkdir(source, 0777) == 0 ? open(path, O_WRONLY | O_CREAT, 0666) : -1;
    if (fd < 0 || write(fd, "{ }\n", 4) != 4) {
        return -1;
    }
    close(fd);
    make_archive();
    return 0;
}

static int end(void **state)
{
    char command[TEMPORARY_CAP + 16];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* The exit status; what it prints is dropped. */
static int run_tool(uint64_t retry_secs)
{
    struct mvm_host_options options = {.command = MVM_HOST_BUILD,
                                       .peer = {.kind = MVM_PEER_UNIX},
                                       .flake = "",
                                       .attr = "a",
                                       .output = output,
                                       .folder = source,
                                       .all_files = true,
                                       .max_size = 1000,
                                       .retry_secs = retry_secs,
                                       .silence_secs = 40,
                                       .wire = MVM_WIRE_PROTO};
    int kept[] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(NULL);
    run.waiter = (struct mvm_waiter){.signals = -1};
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    int status = mvm_run(&run, &options);
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    close(kept[0]);
    close(kept[1]);
    close(null);
    return status;
}

/* ---- what must hold ---- */

static void take_file(const char *name, const char *expected)
{
    char path[TEMPORARY_CAP + 64], text[64];
    snprintf(path, sizeof path, "%s/%s", output, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(text, expected, (size_t)n);
    assert_int_equal(unlink(path), 0);
}

/* The whole set or nothing; never a file under another name. The set is removed. */
static void check_output(bool whole)
{
    if (whole) {
        take_file("kernel", KERNEL);
        take_file("rootfs.ext4", ROOTFS);
        assert_int_equal(rmdir(output), 0);
    }
    DIR *dir = opendir(base);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "flake") != 0) {
            fail_msg("%s is left", name);
        }
    }
    closedir(dir);
}

/* What a build without an end of its own holds for another connection. */
static int drop_held(void)
{
    int held = 0;
    struct client *c = connect_client();
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        struct mvm_stream_build *b = &scheduler.streams.builds[i];
        char id[MVM_ID_MAX + 1];
        if (b->state == MVM_PLACE_HELD) {
            memcpy(id, b->id, b->id_len);
            id[b->id_len] = '\0';
            ask(c, MVM_MESSAGE_DROP, id);
            settle();
            held++;
        }
    }
    disconnect(c);
    return held;
}

/* The agent has nothing left but, if `may_hold`, one build's artifacts; the next build works. */
static void check_agent(bool may_hold)
{
    end_line(&now.half);
    finish();
    assert_null(mvm_sim_find(&sim, "/agent/" MVM_STREAM_SOURCE MVM_SIM_UNPACKED));
    assert_in_range(drop_held(), 0, may_hold);
    assert_nothing_left();
    struct client *c = connect_client();
    ask_build(c, A, 10);
    finish();
    assert_heard(c, ACCEPTED_A OK_A);
    ask(c, MVM_MESSAGE_DROP, A);
    assert_nothing_left();
}

static int run_session(enum event event, enum direction direction, uint64_t at, uint64_t retry_secs)
{
    world(NULL);
    memset(&now, 0, sizeof now);
    now.event = event;
    now.direction = direction;
    now.at = at;
    return run_tool(retry_secs);
}

/* Bytes of the Drop that ends a session. */
static size_t drop_len(void)
{
    static struct client c;
    size_t len;
    struct mvm_session_memory memory = {c.in[0],         sizeof c.in[0], c.out[0],
                                        sizeof c.out[0], c.fields[0],    sizeof c.fields[0]};
    struct mvm_message m = {.kind = MVM_MESSAGE_DROP};
    char id[MVM_ID_FRESH_LEN + 1];
    memset(id, 'a', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    m.id = mvm_text_from(id);
    mvm_session_init(&c.session, MVM_DIRECTION_RESPONSES, &memory);
    mvm_session_speak(&c.session, MVM_WIRE_PROTO);
    mvm_session_send(&c.session, &m);
    return mvm_session_bytes(&c.session, &len) != NULL ? len : 0;
}

/* A session in which nothing happens: its bytes. */
static void measure(uint64_t retry_secs, uint64_t bytes[DIRECTIONS])
{
    assert_int_equal(run_session(NOTHING, UP, 0, retry_secs), MVM_EXIT_OK);
    assert_true(now.unpacked);
    check_output(true);
    check_agent(false);
    memcpy(bytes, now.bytes, sizeof now.bytes);
    assert_in_range(bytes[UP], archive_len + 100, archive_len + 1000);
    assert_in_range(bytes[DOWN], 100, 2000);
}

/* Runs `check` after each byte of a session, in both directions. */
static void after_each_byte(enum event event, uint64_t retry_secs,
                            void (*check)(int status, bool complete))
{
    uint64_t bytes[DIRECTIONS];
    measure(retry_secs, bytes);
    const uint64_t complete_at[] = {bytes[UP] - drop_len() + 1, bytes[DOWN]};
    for (enum direction d = UP; d < DIRECTIONS; d++) {
        for (uint64_t at = 0; at <= bytes[d]; at++) {
            int status = run_session(event, d, at, retry_secs);
            assert_true(now.happened);
            check(status, at >= complete_at[d]);
        }
    }
}

/* ---- the tests ---- */

static void assert_lost_or_complete(int status, bool complete)
{
    assert_int_equal(status, complete ? MVM_EXIT_OK : MVM_EXIT_NO_CONNECTION);
    check_output(complete);
    check_agent(true);
}

static void a_connection_lost_after_any_byte_leaves_nothing_half(void **state)
{
    (void)state;
    after_each_byte(CUT, 0, assert_lost_or_complete);
    after_each_byte(HALF_CUT, 0, assert_lost_or_complete);
}

static void assert_complete(int status, bool complete)
{
    (void)complete;
    assert_int_equal(status, MVM_EXIT_OK);
    assert_true(now.unpacked);
    check_output(true);
    check_agent(true);
}

static void with_retry_a_connection_lost_after_any_byte_costs_nothing(void **state)
{
    (void)state;
    after_each_byte(CUT, 20, assert_complete);
    after_each_byte(HALF_CUT, 20, assert_complete);
}

static void an_agent_killed_after_any_byte_leaves_nothing_half(void **state)
{
    (void)state;
    after_each_byte(RESTARTED, 0, assert_lost_or_complete);
}

/* The new agent does not know the build unless the tool could send it again. */
static void assert_err_or_complete(int status, bool complete)
{
    bool whole = status == MVM_EXIT_OK;
    assert_true(whole || (status == MVM_EXIT_ERR && !complete));
    check_output(whole);
    check_agent(true);
}

static void with_retry_an_agent_killed_after_any_byte_leaves_nothing_half(void **state)
{
    (void)state;
    after_each_byte(RESTARTED, 20, assert_err_or_complete);
}

static void assert_interrupted(int status, bool complete)
{
    assert_int_equal(status, complete ? MVM_EXIT_OK : MVM_EXIT_SIGNAL + SIGINT);
    check_output(complete);
    check_agent(false);
}

static void ctrl_c_after_any_byte_cancels_the_build_and_leaves_nothing(void **state)
{
    (void)state;
    after_each_byte(CTRL_C, 0, assert_interrupted);
    after_each_byte(CTRL_C, 20, assert_interrupted);
}

static void a_set_that_a_power_cut_may_undo_is_complete_and_exit_4(void **state)
{
    (void)state;
    parent_fails = true;
    int status = run_session(NOTHING, UP, 0, 0);
    parent_fails = false;
    assert_int_equal(status, MVM_EXIT_OUTPUT);
    check_output(true);
    check_agent(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_lost_after_any_byte_leaves_nothing_half),
        cmocka_unit_test(with_retry_a_connection_lost_after_any_byte_costs_nothing),
        cmocka_unit_test(an_agent_killed_after_any_byte_leaves_nothing_half),
        cmocka_unit_test(with_retry_an_agent_killed_after_any_byte_leaves_nothing_half),
        cmocka_unit_test(ctrl_c_after_any_byte_cancels_the_build_and_leaves_nothing),
        cmocka_unit_test(a_set_that_a_power_cut_may_undo_is_complete_and_exit_4),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
