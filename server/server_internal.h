/* What the server's files share; each section is the file of that name. */
#ifndef MVM_SERVER_INTERNAL_H
#define MVM_SERVER_INTERNAL_H

#include "deadline.h"
#include "mvm_server.h"
#include "system.h"
#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Closes a descriptor, keeps errno, returns -1. */
static inline int mvm_server_fail_closing(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* ---- listener.c: the life of a listener ---- */

enum mvm_server_listener_state {
    MVM_LISTENER_DOWN,    /* to be opened at retry_ms */
    MVM_LISTENER_UP,      /* `fd` listens */
    MVM_LISTENER_SERVING, /* `fd` is a connection, inherited or handed over */
    MVM_LISTENER_OVER,    /* no more connections will come */
};

enum {
    MVM_LISTENER_RETRY_MS = 1000, /* between two attempts to open a listener */
    MVM_LISTENER_PAUSE_MS = 100,  /* after an accept that failed, while no connection is free, and
                                   * before the host of a serial port counts as gone */
};

/* A listener that cannot be opened, or is lost, is retried every second and logged once. Only an
 * inherited descriptor is not retried: its number may have been reused. */
struct mvm_server_listener {
    struct mvm_address address;
    enum mvm_server_listener_state state;
    int fd;
    int parked;         /* UP: an accepted connection that waits for a free one; -1: none */
    int lock;           /* of a Unix socket's path; -1: none */
    int name_watch;     /* of a Unix socket's name; -1: none */
    bool logged;        /* it was logged that it is down; OVER: that it could not be opened */
    bool accept_logged; /* it was logged that accept fails */
    bool pending;       /* UP: connections may be waiting */
    bool vsock;         /* peers have a CID */
    bool name_changed;  /* UP: the name may have been removed */
    uint64_t retry_ms;  /* DOWN: when to open it; UP: no accept before this */
    dev_t dev;          /* of the Unix socket's name, … */
    ino_t ino;
    struct sockaddr_un name; /* … which is absolute, and the address's path */
};

/* listener_down.c: it has no descriptor now: DOWN, or OVER if it was inherited. Logs it once, as
 * `what`, its address and `why`. */
void mvm_server_listener_down(struct mvm_server *s, struct mvm_server_listener *l, const char *what,
                              const char *why);

/* To be called for each before the server opens descriptors of its own: an inherited one that is
 * not open is OVER immediately. */
void mvm_server_listener_init(struct mvm_server *s, struct mvm_server_listener *l);

/* Opens it if that is due, accepts, checks its socket's name. Returns when it has something to do
 * though nothing comes; MVM_NEVER: never. */
uint64_t mvm_server_listener_step(struct mvm_server *s, struct mvm_server_listener *l);

/* Closes it and the connection parked at it, and removes its Unix socket if that is still its own.
 */
void mvm_server_listener_close(struct mvm_server *s, struct mvm_server_listener *l);

/* ---- each kind: a descriptor, or -1 with errno ---- */
enum { MVM_SERVER_BACKLOG = 1024 }; /* of listen(2) */

int mvm_server_vsock_open(const struct mvm_address *a);
int mvm_server_unix_open(struct mvm_server *s, struct mvm_server_listener *l);
int mvm_server_serial_open(const char *device);
int mvm_server_inherited_open(int fd);

/* ---- unix_socket.c ---- */

/* Makes the path absolute: the program may change its working directory, and the socket is removed,
 * or created again, later. NULL, or what is wrong. */
const char *mvm_server_unix_init(struct mvm_server_listener *l);

/* Whether the name still refers to the socket that was created. */
bool mvm_server_unix_is_there(const struct mvm_server_listener *l);

/* Releases lock and watch, and removes the socket if the name still refers to it. */
void mvm_server_unix_close(struct mvm_server *s, struct mvm_server_listener *l);

/* The descriptor `names` is readable: marks the listeners whose name has changed. */
void mvm_server_unix_read_names(struct mvm_server *s);

/* ---- accept.c ---- */

/* Accepts what waits, up to a bound, while there is room. */
void mvm_server_accept(struct mvm_server *s, struct mvm_server_listener *l);

/* Opens the descriptor held in reserve again, if it was closed. False: it cannot be. */
bool mvm_server_reserve(struct mvm_server *s);

/* ---- peer.c: the CID rule ---- */

/* Whether the peer of a connected vsock socket may be served; a refusal is logged, or counted. */
bool mvm_server_peer_allowed(struct mvm_server *s, uint32_t cid);

/* The CID of a connected socket's peer. False: it is not a vsock socket. */
bool mvm_server_peer_cid(int fd, uint32_t *cid);

/* Logs how often peers were refused since the last such line, if it is due or `now`. */
void mvm_server_peer_say_counts(struct mvm_server *s, bool now);

/* ---- connection.c: bytes between the kernel and a session ---- */

enum mvm_connection_kind {
    MVM_CONNECTION_STREAM, /* end-of-file may be a half-close: answers are still sent */
    MVM_CONNECTION_VSOCK,  /* end-of-file means gone */
    MVM_CONNECTION_SERIAL, /* no connections: end-of-file means that no host is there now */
};

/*
 * One client's descriptor and its state. The epoll set is edge-triggered, so each connection is
 * added once: `readable` and `writable` are what the kernel reported last, and hold until a call
 * would block. A client that does not read, or has closed its half, thus costs nothing, and its
 * hang-up is still noticed.
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
    bool ended;        /* the peer has closed its half, or both: the unread bytes are the last */
    bool room_asked;   /* epoll is to report when there is room to write */
    bool hung_up;      /* both halves are closed: the unread bytes are the last */
    bool gone;         /* to be closed after the next step of the scheduler */
    bool away;         /* serial: the host has gone, which was handled: wait for the next one */
    bool newline_due;  /* serial: ends whatever was on the line before */
    bool answered;     /* a build of its was answered */
    bool shut;         /* its sending half is shut down: the client reads end-of-file */
    uint64_t check_ms; /* serial: the host seems to have gone: when to check again; 0: no need */
};

/* A fresh connection in `*c`, for a client whose session is attached already. */
void mvm_server_connection_init(struct mvm_server_connection *c, struct mvm_client *client, int fd,
                                struct mvm_server_listener *listener);

/* A serial line that was opened again. */
void mvm_server_connection_reopen(struct mvm_server_connection *c, int fd);

/* Closes its descriptor, if it has one. */
void mvm_server_connection_close(struct mvm_server *s, struct mvm_server_connection *c);

/* What epoll_wait(2) reported. */
void mvm_server_connection_event(struct mvm_server_connection *c, uint32_t events);

/* At most one read, if there is something to read and room for it. */
void mvm_server_connection_read(struct mvm_server *s, struct mvm_server_connection *c);

/* At most one write of what there is. Returns whether the session can send again, and could not
 * before: the scheduler has something to do. */
bool mvm_server_connection_write(struct mvm_server *s, struct mvm_server_connection *c);

/* Whether another read or write would make progress now. */
bool mvm_server_connection_ready(struct mvm_server_connection *c);

/* Whether the kernel has sent all that was written, as far as it reports that. */
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

/* Writes pending bytes and closes connections that have ended. `all`: also those without events,
 * since a build may have something to send. Returns whether there is more to do now. */
bool mvm_server_clients_write(struct mvm_server *s, bool all);

/* The client of the build that has just ended was answered. */
void mvm_server_clients_answered(struct mvm_server *s, const struct mvm_client *client);
void mvm_server_clients_all_answered(struct mvm_server *s); /* as any of them may have been */

/* Whether all that was sent is in the kernel; whether those answered have also read it and gone. */
bool mvm_server_clients_flushed(const struct mvm_server *s);
bool mvm_server_clients_gone(struct mvm_server *s);

/* Whether there is a connection other than serial lines. */
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

/* Makes the set readable until the next wait. */
void mvm_server_watch_arm(struct mvm_server *s);

/* Watches the caller's own descriptor, as long as it is readable. False: errno. */
bool mvm_server_watch_caller(struct mvm_server *s, int fd);

/* Watches a descriptor for reading; `tag` is its source, with an index. False: errno. */
bool mvm_server_watch_add(struct mvm_server *s, int fd, size_t tag);

/* Watches the descriptor that a connection has, or is about to get. False: errno. */
bool mvm_server_watch_connection(struct mvm_server *s, const struct mvm_server_connection *c,
                                 int fd);

/* To be called after writes: has epoll report room, from a write that found none until all is
 * written. If that fails, the connection is `gone`. */
void mvm_server_watch_room(struct mvm_server *s, struct mvm_server_connection *c);

/* Takes a descriptor out of the set and closes it. */
void mvm_server_watch_drop(struct mvm_server *s, int fd);

void mvm_server_watch_close(struct mvm_server *s);

/* ---- events.c ---- */

/* Waits up to so many milliseconds, -1: forever, and records the events. Returns whether there may
 * be more. */
bool mvm_server_events(struct mvm_server *s, int timeout_ms);

/* ---- stream_lock.c: stream_dir is this server's, or there are no builds without disks ---- */
void mvm_server_stream_lock(struct mvm_server *s);
void mvm_server_stream_unlock(struct mvm_server *s);

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
void mvm_server_memory_touch(struct mvm_server *s);

/* ---- build.c: events of builds ---- */

/* One step of the scheduler. Returns whether there is more to do now. */
bool mvm_server_build_step(struct mvm_server *s);

#endif
