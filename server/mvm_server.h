/*
 * A builder for an event loop of your own, on Linux: listeners, connections, scheduler, executor
 * and port behind one descriptor, one deadline and one call.
 *
 *     static struct mvm_server server;
 *     static char memory[MVM_SERVER_MEMORY(8)];
 *
 *     mvm_server_init(&server, &config, memory, sizeof memory);
 *     do {
 *         uint64_t deadline = mvm_server_step(&server, mvm_server_now_ms());
 *         wait until mvm_server_fd(&server) is readable or the deadline is reached
 *     } while (!mvm_server_stopped(&server));
 *     mvm_server_fini(&server);
 *
 * The descriptor is an epoll set. It stays the same from init to fini and is readable exactly while
 * a step has something to do, so it works with poll, select, epoll (level or edge triggered) and
 * every loop built on these. The deadline is for timers.
 *
 * The server handles these itself: sockets are private to their owner (mode 0600); a lock file
 * gives a socket's path to one server, which creates the socket again if it is removed; vsock peers
 * other than the host are refused unless allowed; idle connections are closed for new ones; a
 * client that stops reading delays neither other clients nor the shutdown; no write raises SIGPIPE;
 * a listener that cannot be opened is retried every second, except an inherited descriptor.
 *
 * In your process it installs no signal handler, changes no signal mask, reaps only its own
 * children, allocates no memory, and opens all descriptors close-on-exec. It forks: builds, and a
 * worker for files. Call it from one thread, or under one lock; only fini waits.
 */
#ifndef MVM_SERVER_H
#define MVM_SERVER_H

#include "mvm_address.h"
#include "mvm_executor.h"
#include "mvm_limits.h"
#include "mvm_posix.h"
#include "mvm_scheduler.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_server_event_kind {
    MVM_SERVER_BUILD_STARTED, /* flake_ref and attr */
    MVM_SERVER_BUILD_ENDED,   /* ok and text */
};

/* Texts are borrowed for the length of the call. */
struct mvm_server_event {
    enum mvm_server_event_kind kind;
    bool ok;
    struct mvm_text flake_ref;
    struct mvm_text attr;
    struct mvm_text text; /* the store path, or the message of the Err */
};

/* Copied by init; what it points to is borrowed until fini. A zeroed struct with executor.out_dir
 * set is a valid configuration. The callbacks are called within init, step and fini and must not
 * call the server. */
struct mvm_server_config {
    const char *listen[MVM_LISTENERS_MAX]; /* addresses, up to the first NULL, see mvm_address.h;
                                            * none: "vsock:21470" */
    size_t clients;                        /* connections at a time, up to MVM_SERVER_CLIENTS_MOST;
                                            * 0: MVM_CLIENTS_MAX */
    size_t receive_cap; /* bytes of a connection's receive buffer; 0: MVM_RECEIVE_CAP */
    size_t send_cap;    /* … and of its send buffer; 0: MVM_SEND_CAP */

    const uint32_t *allowed_cids; /* vsock peers to serve besides the host, CID 2 */
    size_t allowed_cids_len;
    bool any_cid; /* serve every vsock peer */

    bool exit_after_build; /* stop once a build has ended; one without disks: once its artifacts are
                            * dropped, or nothing is connected that could get them. If the build
                            * was to be kept, its client has MVM_COLLECT_MS to come back */
    uint32_t exit_idle_ms; /* stop after so long without a build, a connection, or a byte on a
                            * serial line; 0: never */
    uint32_t linger_ms;    /* before the end, how long clients that got an answer have to read it
                            * and close; 0: it is enough that the kernel has accepted it. For a
                            * machine that ends with the server: its monitor's buffers are lost */

    /* With stream_dir, builds without disks are done, if the library has the protobuf wire; its
     * buffers, and the scheduler's members for it, are the server's to set. Memory: see
     * MVM_SERVER_STREAM_MEMORY. A folder that another process has locked is waited for, up to two
     * seconds; then there are none, and `log` gets it. */
    struct mvm_executor_config executor;
    struct mvm_scheduler_config scheduler; /* boot NULL: random */
    struct mvm_posix_config posix;

    void (*log)(void *ctx, const char *line); /* a message of the server's own, without control
                                               * characters or a newline, such as why init failed;
                                               * NULL: none; mvm_server_print */
    void (*event)(void *ctx, const struct mvm_server_event *event); /* NULL: none */
    void *ctx;
};

/* Results of init: 0, or one of these. */
enum mvm_server_error {
    MVM_SERVER_BAD_ADDRESS = -1, /* malformed, or given twice */
    MVM_SERVER_NO_MEMORY = -2,   /* NULL, less than mvm_server_needs, or more clients than can be */
    MVM_SERVER_NO_STATUS = -3,   /* SIGCHLD is ignored: the kernel discards exit statuses */
    MVM_SERVER_FAILED = -4,      /* a system call failed */
    MVM_SERVER_BAD_CONFIG = -5,  /* mvm_executor_config_unsound, or allowed_cids is NULL with a
                                  * length */
};

struct mvm_server_listener;
struct mvm_server_connection;

enum { MVM_SERVER_CLIENTS_MOST = 65535 }; /* their numbers have 16 bits */

enum { MVM_SERVER_REFUSED_CIDS = 8 };

/* Refusals of one vsock peer, logged once and then counted. */
struct mvm_server_refused {
    uint32_t cid;
    uint64_t unlogged;
};

/* The server's own, defined here so that the caller can own the memory. Do not move it. */
struct mvm_server {
    uint64_t now_ms;
    uint64_t deadline_ms; /* what the last step returned */
    int caller_fd;        /* of mvm_server_wait; -1: none */
    int stream_lock;      /* the folder of builds without disks; -1: not locked */
    bool caller_ready;
    bool stepped; /* by one step at least */
    bool settled; /* … and the next has done what the first leaves to it */
    bool stopping;
    bool stopped;
    bool built;          /* exit_after_build: one has ended, … */
    uint64_t collect_ms; /* … and its client may come back until then; 0: it is not waited for */
    bool incomplete;     /* it stopped with work left, see mvm_server_orderly */
    uint64_t stop_ms;    /* when to stop with work left; UINT64_MAX: no limit */
    uint64_t flush_ms;   /* when to stop waiting for clients; UINT64_MAX: a build is left */
    uint64_t linger_ms;  /* likewise, for them to close; UINT64_MAX: not all is sent */
    uint64_t drain_ms;   /* when to check a terminal's output queue again; UINT64_MAX: never */
    uint64_t active_ms;  /* time of the last activity */
    uint64_t listen_ms;  /* when to step a listener though nothing comes; UINT64_MAX: never */
    uint64_t check_ms;   /* when to check a serial port without a host again; UINT64_MAX: never */
    uint64_t reap_ms;    /* when to check for abandoned workers that have ended; UINT64_MAX: none */
    bool again;          /* a connection is new: serve it in this step */
    int epoll;           /* the descriptor of mvm_server_fd */
    int wake;            /* always readable; in the set from `arm` to the next wait */
    int reserve;         /* closed to accept one more if no descriptor is left; -1: closed */
    int names;           /* inotify, for the names of Unix sockets; -1: none */
    size_t served;       /* connections from here on are free */
    size_t listeners_len; /* of `listeners` */
    bool full;            /* it was logged that every connection is busy */
    struct mvm_server_listener *listeners;
    struct mvm_server_connection *connections;
    struct mvm_client *clients;
    uint8_t *buffers;
    size_t small_cap; /* of sessions */
    struct mvm_server_config config;
    struct mvm_server_refused refused[MVM_SERVER_REFUSED_CIDS];
    size_t refused_len;
    char boot[33];          /* random, for scheduler.boot */
    uint64_t refused_ms;    /* when to log how many more; UINT64_MAX: none */
    const char *error;      /* why init failed */
    const char *error_what; /* … and with what: an address, a call */
    struct mvm_posix posix;
    struct mvm_executor executor;
    struct mvm_scheduler scheduler;
    struct mvm_posix reader; /* of artifacts, for builds without disks */
};

/* Bytes of memory that init needs for a configuration; SIZE_MAX: more than there can be, or more
 * clients than MVM_SERVER_CLIENTS_MOST. */
size_t mvm_server_needs(const struct mvm_server_config *config);

/* The same as a constant, for a number of clients with buffers of the default size and any number
 * of listeners. */
#define MVM_SERVER_MEMORY(clients)                                                                 \
    ((clients) * (sizeof(struct mvm_client) + MVM_SERVER_CONNECTION_SIZE + MVM_RECEIVE_CAP +       \
                  MVM_SEND_CAP + MVM_REQUEST_FIELDS_CAP + 64) +                                    \
     MVM_LISTENERS_MAX * sizeof(char[MVM_SERVER_LISTENER_SIZE]) + 64)

/* With stream_dir. */
#define MVM_SERVER_STREAM_MEMORY(clients)                                                          \
    (MVM_SERVER_MEMORY(clients) +                                                                  \
     (clients)*3 * sizeof(char[MVM_BULK_DATA_MAX + MVM_ID_MAX + MVM_PROTO_SLACK]) +                \
     MVM_SERVER_SOURCE_CAP + MVM_BULK_DATA_MAX)
enum { MVM_SERVER_SOURCE_CAP = 2 * MVM_BULK_DATA_MAX };
enum { MVM_SERVER_CONNECTION_SIZE = 80, MVM_SERVER_LISTENER_SIZE = 240 };

/* Checks the configuration and begins to listen. `memory` needs no alignment and no initial value,
 * and belongs to the server until fini. 0, or an error: then nothing is left open except inherited
 * descriptors. A listener that cannot be opened is not an error, but logged. If all are inherited
 * descriptors that are not open, the server stops with its first step, and is not orderly. */
int mvm_server_init(struct mvm_server *s, const struct mvm_server_config *config, void *memory,
                    size_t size);
#define mvm_server_init(...) (mvm_limits_match(), mvm_server_init(__VA_ARGS__))

/* After init failed: writes the reason, such as "fd:33: given twice". `log` got it, too. */
void mvm_server_explain(const struct mvm_server *s, struct mvm_writer *w);

/* The one descriptor to poll for reading. Add it once; do not close it. */
int mvm_server_fd(const struct mvm_server *s);

/*
 * Does everything that can be done without waiting, in bounded time: if more is left, the
 * descriptor stays readable and the deadline is now. `now_ms` is mvm_server_now_ms(), read just
 * before: of an earlier step's time, or of another clock, deadlines are wrong. Returns the
 * deadline, when to call it again even if the descriptor is not readable; UINT64_MAX: never.
 */
uint64_t mvm_server_step(struct mvm_server *s, uint64_t now_ms);

/* For a program with no other loop, one system call less than poll and step: waits until there is
 * something to do, the deadline is reached, or `fd` is readable, then steps. `fd`, such as a
 * signalfd(2), must be the same in every call; -1: none. Returns whether `fd` is readable. */
bool mvm_server_wait(struct mvm_server *s, int fd);

/* For a program that reaps children itself (posix.caller_reaps): child `pid` ended with this
 * status of waitpid(2). True: it was the server's. Any other pid is ignored. If the program does
 * not call this, each build fails MVM_STATUS_WAIT_MS after its process has ended. */
bool mvm_server_child_exited(struct mvm_server *s, pid_t pid, int status);

/* Ends the running build and answers waiting and later builds with Err. Until the end connections
 * are accepted and Pings answered; those to an inherited socket wait for the next process that
 * serves it. After further steps `mvm_server_stopped` returns true, at the latest in `grace_ms`;
 * 0: with the next one. A second call may shorten the grace, not extend it. */
void mvm_server_stop(struct mvm_server *s, uint32_t grace_ms);

/* Whether the server has stopped: after mvm_server_stop, as configured, or because there is nothing
 * left to serve (only inherited connections, all closed). */
bool mvm_server_stopped(const struct mvm_server *s);

/* Of a stopped server: whether every build ended and every answer was accepted within the grace,
 * and each inherited descriptor could be served. */
bool mvm_server_orderly(const struct mvm_server *s);

/* Kills a build that still runs and waits up to two seconds for its end, and as long again if a
 * disk holds what reads artifacts; closes everything. Harmless after an init that failed, and a
 * second time. */
void mvm_server_fini(struct mvm_server *s);

/* For `log`: writes the line to standard error, `ctx` unused. A line is dropped if a pipe there is
 * full or has no reader, or a terminal's output is stopped. The latter makes it wait if the
 * terminal cannot be opened again: without /proc, or as another user than the terminal's. */
void mvm_server_print(void *ctx, const char *line);

/* ---- for the loop around it ---- */

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t mvm_server_now_ms(void);

/* Converts a deadline to a time-out of poll(2) or epoll_wait(2): -1: none. */
int mvm_server_timeout(uint64_t deadline, uint64_t now_ms);

MVM_LAYOUT_OF(struct mvm_server, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
