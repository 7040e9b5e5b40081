/* What the server's files share; each section is the file of that name. */
#ifndef MVM_SERVER_INTERNAL_H
#define MVM_SERVER_INTERNAL_H

#include "mvm_server.h"
#include "system.h"
#include <errno.h>
#include <sys/stat.h>

/* ---- listener.c: the life of a listener ---- */

enum mvm_server_listener_state {
    MVM_LISTENER_DOWN,    /* to be opened at retry_ms */
    MVM_LISTENER_UP,      /* `fd` listens */
    MVM_LISTENER_SERVING, /* `fd` is, or was handed over as, a connection of its own */
    MVM_LISTENER_OVER,    /* nothing comes from here any more */
};

enum {
    MVM_LISTENER_RETRY_MS = 1000, /* between two tries to open a listener */
    MVM_LISTENER_PAUSE_MS = 100,  /* after an accept that failed, while no connection is free, and
                                   * between two looks at a serial port whose host is away */
};

/* A listener that cannot be had, or is lost, is tried again every second and said once. Only an
 * inherited descriptor is never tried again: its number may be in other use by then. */
struct mvm_server_listener {
    struct mvm_address address;
    enum mvm_server_listener_state state;
    int fd;
    int parked;        /* UP: an accepted connection that waits for a free one; -1: none */
    int lock;          /* of a Unix socket's path; -1: none */
    int name_watch;    /* of a Unix socket's name; -1: none */
    bool said;         /* that it is down; OVER: that it could not be had */
    bool said_accept;  /* that accept fails */
    bool pending;      /* UP: connections may be waiting */
    bool vsock;        /* peers have a CID */
    bool look;         /* UP: the name may have been removed */
    uint64_t retry_ms; /* DOWN: when to open it; UP: no accept before this */
    dev_t dev;         /* of the Unix socket's name */
    ino_t ino;
};

/* To be called for each before the server opens anything of its own: an inherited descriptor that
 * is not there is OVER at once. */
void mvm_server_listener_init(struct mvm_server *s, struct mvm_server_listener *l);

/* Opens what is due to be opened, and looks at the names of sockets. */
void mvm_server_listener_tend(struct mvm_server *s, struct mvm_server_listener *l);

/* Its descriptor is closed and gone: back to DOWN, or OVER if it was inherited. */
void mvm_server_listener_lost(struct mvm_server *s, struct mvm_server_listener *l, const char *why);

/* Closes it and what waits for it, and removes its Unix socket if that is still its own. */
void mvm_server_listener_close(struct mvm_server *s, struct mvm_server_listener *l);

/* When it has something to do though nothing comes; UINT64_MAX: never. */
uint64_t mvm_server_listener_deadline(const struct mvm_server_listener *l);

/* Closes a descriptor, keeps errno, returns -1. */
int mvm_server_fail_closing(int fd);

/* ---- each kind: a descriptor, or -1 with errno ---- */
int mvm_server_vsock_open(const struct mvm_address *a);
int mvm_server_unix_open(struct mvm_server *s, struct mvm_server_listener *l);
int mvm_server_serial_open(const char *device);
int mvm_server_inherited_open(int fd);

/* ---- unix_socket.c ---- */

/* Whether the name still leads to the socket that was made. */
bool mvm_server_unix_is_there(const struct mvm_server_listener *l);

/* Gives up lock and watch, and removes the socket if its name still leads to it. */
void mvm_server_unix_close(struct mvm_server *s, struct mvm_server_listener *l);

/* The descriptor `names` is readable: marks the listeners whose name has changed. */
void mvm_server_unix_read_names(struct mvm_server *s);

/* ---- accept.c ---- */

/* Accepts what waits, up to a bound, while there is room. */
void mvm_server_accept(struct mvm_server *s, struct mvm_server_listener *l);

/* Opens the descriptor held in reserve again, if it was closed. False: it cannot be. */
bool mvm_server_reserve(struct mvm_server *s);

/* ---- peer.c: the CID rule ---- */

/* Whether the peer of a connected vsock socket may be served; if not this is said, or counted. */
bool mvm_server_peer_allowed(struct mvm_server *s, uint32_t cid);

/* The CID of a connected socket's peer. False: it is not a vsock socket. */
bool mvm_server_peer_cid(int fd, uint32_t *cid);

/* Logs how often peers were refused since the last such line, if it is due or `now`. */
void mvm_server_peer_say_counts(struct mvm_server *s, bool now);

/* ---- connection.c: bytes between the kernel and a session ---- */

enum mvm_connection_kind {
    MVM_CONNECTION_STREAM, /* end-of-file may be half a close: answers still go out */
    MVM_CONNECTION_VSOCK,  /* end-of-file means gone */
    MVM_CONNECTION_SERIAL, /* no connections: end-of-file means that no host is there now */
};

/*
 * One client's descriptor and what is known of it. The epoll set is edge-triggered, so each
 * connection is put into it once: `readable` and `writable` say what the kernel reported last, and
 * hold until a call would block. A client that reads nothing, or has closed its half, thus costs
 * nothing, and that it has gone is noticed all the same.
 *
 * Room to write is asked for only while a write waits for it: otherwise each client that reads what
 * it was sent would cause a wake-up.
 */
struct mvm_server_connection {
    struct mvm_client *client;            /* NULL: free */
    struct mvm_server_listener *listener; /* of a SERVING listener, which lives and ends with it */
    enum mvm_connection_kind kind;
    int fd;     /* -1: a serial line that is lost, until it can be opened again */
    bool awake; /* something has happened, or there is more to do */
    bool socket;
    bool tty;
    bool readable;
    bool writable;
    bool ended;       /* the peer has closed its half, or all: what is left to read is the last */
    bool room_asked;  /* epoll is to report when there is room to write */
    bool hung_up;     /* both halves: what is left to read is the last */
    bool gone;        /* to be closed after the next step of the scheduler */
    bool away;        /* serial: that the host has gone is settled */
    bool newline_due; /* serial: ends whatever was on the line before */
    bool answered;    /* a build of its was answered */
    bool shut;        /* its sending half is closed: the client sees that all has come */
    uint64_t look_ms; /* serial: when to check for a host again; 0: one is present */
};

/* A fresh connection in `*c`, for a client whose session is attached already. */
void mvm_server_connection_init(struct mvm_server_connection *c, struct mvm_client *client, int fd,
                                struct mvm_server_listener *listener);

/* A serial line that was opened again. */
void mvm_server_connection_reopen(struct mvm_server_connection *c, int fd);

/* What epoll_wait(2) reported. */
void mvm_server_connection_event(struct mvm_server_connection *c, uint32_t events);

/* At most one read, if there is something to read and room for it. */
void mvm_server_connection_read(struct mvm_server *s, struct mvm_server_connection *c);

/* At most one write of what there is. Returns whether the session can send again, and could not
 * before: the scheduler has something to do. */
bool mvm_server_connection_write(struct mvm_server *s, struct mvm_server_connection *c);

/* Whether another read or write would make progress now. */
bool mvm_server_connection_ready(struct mvm_server_connection *c);

/* Whether the kernel has passed on all that was written, as far as it says so. */
bool mvm_server_connection_drained(const struct mvm_server_connection *c);

/* ---- clients.c: which connections there are ---- */

/* Serves `fd` from now on. False: errno says why, and `fd` stays the caller's. */
bool mvm_server_clients_add(struct mvm_server *s, int fd, struct mvm_server_listener *listener);

/* Whether one is free. */
bool mvm_server_clients_free(const struct mvm_server *s);

/* Closes the one idle longest, if for long enough. False: all are busy. */
bool mvm_server_clients_evict(struct mvm_server *s);

/* Gives a SERVING listener's descriptor to its connection: the one it had, or a new one. */
bool mvm_server_clients_hand_over(struct mvm_server *s, struct mvm_server_listener *l);

/* Reads from each connection that has something to read. */
void mvm_server_clients_read(struct mvm_server *s);

/* Writes what there is and closes connections that have ended. `all`: not only of those that
 * something came from, since a build may have something to send. Returns whether there is more to
 * do at once. */
bool mvm_server_clients_write(struct mvm_server *s, bool all);

/* The client of the build that has just ended was answered. */
void mvm_server_clients_answered(struct mvm_server *s, const struct mvm_client *client);

/* Whether all that was sent is in the kernel; whether those answered have also read it and gone. */
bool mvm_server_clients_flushed(const struct mvm_server *s);
bool mvm_server_clients_gone(struct mvm_server *s);

/* When one has something to do though nothing comes; UINT64_MAX: never. */
uint64_t mvm_server_clients_deadline(const struct mvm_server *s);

/* Whether something is connected that is not a mere line. */
bool mvm_server_clients_any(const struct mvm_server *s);

void mvm_server_clients_close_all(struct mvm_server *s);

/* ---- watch.c: the epoll set ---- */

/* What an event is about; the index of a listener or connection in the low half. */
enum mvm_server_source {
    MVM_SOURCE_BUILD = 0,
    MVM_SOURCE_WAKE = 1 << 16,
    MVM_SOURCE_NAMES = 2 << 16,
    MVM_SOURCE_LISTENER = 3 << 16,
    MVM_SOURCE_CONNECTION = 4 << 16,
    MVM_SOURCE_CALLER = 5 << 16,
};

/* Makes the set. False: errno. */
bool mvm_server_watch_init(struct mvm_server *s);

/* Makes the set readable until the next look at it. */
void mvm_server_watch_arm(struct mvm_server *s);

/* Waits up to so many milliseconds, -1: without end, and takes what has happened. Returns whether
 * there may be more. */
bool mvm_server_watch_events(struct mvm_server *s, int timeout_ms);

/* Watches the caller's own descriptor, as long as it is readable. False: errno. */
bool mvm_server_watch_caller(struct mvm_server *s, int fd);

/* Watches a descriptor for reading; `tag` is its source, with an index. False: errno. */
bool mvm_server_watch_add(struct mvm_server *s, int fd, size_t tag);

/* Watches the descriptor that a connection has, or is about to get. False: errno. */
bool mvm_server_watch_connection(struct mvm_server *s, const struct mvm_server_connection *c,
                                 int fd);

/* To be called after writes: has epoll report room, from a write that found none until all is
 * written. If that cannot be asked for, the connection is `gone`. */
void mvm_server_watch_room(struct mvm_server *s, struct mvm_server_connection *c);

void mvm_server_watch_close(struct mvm_server *s);

/* ---- say.c: the log ---- */

enum { MVM_SERVER_LINE_CAP = 1024 }; /* bytes of a line; past it: it ends with " [cut]" */

struct mvm_server_line {
    struct mvm_writer w; /* add to it between begin and end */
    char text[MVM_SERVER_LINE_CAP];
};

void mvm_server_say_begin(struct mvm_server_line *line, const char *what);
void mvm_server_say_end(struct mvm_server *s, struct mvm_server_line *line);

/* Three strings in one line. */
void mvm_server_say(struct mvm_server *s, const char *a, const char *b, const char *c);

/* ---- memory.c ---- */

/* Divides the caller's memory. False: there is not enough. */
bool mvm_server_memory_divide(struct mvm_server *s, void *memory, size_t size);

/* The buffers of connection number `i`. */
struct mvm_session_memory mvm_server_memory_buffers(const struct mvm_server *s, size_t i);

/* Touches what a build of the first client writes to. */
void mvm_server_memory_take(struct mvm_server *s);

/* ---- build.c: what is said of builds ---- */

/* One step of the scheduler. Returns whether there is more to do now. */
bool mvm_server_build_step(struct mvm_server *s);

/* ---- server.c ---- */

/* Stops as the configuration wants it, and says why. */
void mvm_server_stop_itself(struct mvm_server *s, const char *why);

static inline uint64_t mvm_server_sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
