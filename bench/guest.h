/*
 * What every program shares that measures an agent from outside, as its host: a listening socket
 * that the agent finds at descriptor 3, frames to and fro, and the kernel's account of a process.
 * Each fails loudly: a failed measurement is not a result. Needs _GNU_SOURCE.
 */
#ifndef GUEST_H
#define GUEST_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GUEST_LISTENER = 3 };

static inline void guest_fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The machine's clock, in µs. */
static inline double guest_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- processors ----------------------------------------------------------------------------- */

/* Binds this process, and all that it starts from now on, to one processor. The cost of waking
 * another one, most of all in a virtual machine, is not the agent's, and varies. */
static inline void guest_one_processor(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) == 0) {
        for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
            if (CPU_ISSET(cpu, &all)) {
                CPU_SET(cpu, &one);
            }
        }
        sched_setaffinity(0, sizeof one, &one);
    }
}

/* A host has its own processors: from now on this process waits for none, whatever runs beside the
 * agent. */
static inline void guest_never_wait(void)
{
    const struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0) {
        perror("not measured as a host with processors of its own: sched_setscheduler");
    }
}

/* ---- its address ---------------------------------------------------------------------------- */

struct guest_address {
    struct sockaddr_un name;
    socklen_t len;
    int listener; /* -1: the program opens it itself */
};

/* An abstract address, chosen by the kernel. */
static inline struct guest_address guest_listen(void)
{
    struct guest_address a = {.name.sun_family = AF_UNIX, .len = sizeof a.name};
    struct sockaddr *name = (struct sockaddr *)&a.name;
    a.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a.listener < 0 || bind(a.listener, name, sizeof a.name.sun_family) < 0 ||
        listen(a.listener, 128) < 0 || getsockname(a.listener, name, &a.len) < 0) {
        guest_fail("listen");
    }
    return a;
}

/* For a program that makes its socket itself. */
static inline struct guest_address guest_at(const char *path)
{
    struct guest_address a = {.name.sun_family = AF_UNIX, .len = sizeof a.name, .listener = -1};
    snprintf(a.name.sun_path, sizeof a.name.sun_path, "%s", path);
    return a;
}

/* Waits a few seconds for a program to make its socket, and no longer for an answer: a listener
 * that outlives its agent gives no other sign. */
static inline int guest_dial(const struct guest_address *a)
{
    const struct sockaddr *name = (const struct sockaddr *)&a->name;
    int tries = a->listener < 0 ? 100000 : 1;
    const struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (connect(fd, name, a->len) < 0) {
        if (--tries == 0) {
            guest_fail("connect");
        }
        usleep(10);
    }
    return fd;
}

/* ---- its process ---------------------------------------------------------------------------- */

/* With an environment as small as an init's. */
static inline pid_t guest_start(const struct guest_address *a, char **argv)
{
    static char path[] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
    char *const environment[] = {path, NULL};
    if (a->listener < 0) {
        unlink(a->name.sun_path); /* of one that was killed */
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (a->listener == GUEST_LISTENER) {
            fcntl(a->listener, F_SETFD, 0);
        } else if (a->listener >= 0) {
            dup2(a->listener, GUEST_LISTENER);
        }
        execve(argv[0], argv, environment);
        guest_fail(argv[0]);
    }
    return pid;
}

static inline void guest_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The first number after `label` in /proc/PID/FILE. */
static inline double guest_figure(pid_t pid, const char *file, const char *label)
{
    char path[64], bytes[8192];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        guest_fail(path);
        return 0;
    }
    bytes[fread(bytes, 1, sizeof bytes - 1, f)] = '\0';
    fclose(f);
    const char *at = strstr(bytes, label);
    return at == NULL ? -1 : strtod(at + strlen(label), NULL);
}

static inline double guest_cpu_ns(pid_t pid)
{
    return guest_figure(pid, "schedstat", "");
}

static inline double guest_resident_kib(pid_t pid)
{
    return guest_figure(pid, "smaps_rollup", "\nRss:");
}

/* ---- conversations -------------------------------------------------------------------------- */

static inline void guest_say(int fd, const char *frame)
{
    if (write(fd, frame, strlen(frame)) != (ssize_t)strlen(frame)) {
        guest_fail("write");
    }
}

static inline bool guest_begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static double guest_ended_us; /* when the stand-in for nix reported that it ended */

/* Reads Logs until a frame that begins with `last`; returns how many there were. */
static inline long guest_hear(int fd, const char *last)
{
    static char room[1 << 20];
    size_t kept = 0;
    long lines = 0;
    for (;;) {
        ssize_t n = read(fd, room + kept, sizeof room - 1 - kept);
        if (n <= 0) {
            guest_fail("read");
        }
        size_t len = kept + (size_t)n;
        char *line = room, *end;
        room[len] = '\0';
        while ((end = memchr(line, '\n', len - (size_t)(line - room))) != NULL) {
            if (guest_begins(line, last)) {
                return lines;
            }
            if (!guest_begins(line, "{\"Log\"")) {
                fprintf(stderr, "not %s: %.*s\n", last, (int)(end - line), line);
                exit(1);
            }
            static const char ended[] = "{\"Log\":{\"line\":\"ended at ";
            if (guest_begins(line, ended)) {
                guest_ended_us = strtod(line + sizeof ended - 1, NULL);
            }
            lines++;
            line = end + 1;
        }
        kept = len - (size_t)(line - room);
        memmove(room, line, kept);
    }
}

/* The attribute controls the stand-in for nix: see nix.c. */
static inline void guest_say_build(int fd, const char *attr)
{
    char frame[512];
    snprintf(frame, sizeof frame, "{\"Build\":{\"flake_ref\":\"path:/flake\",\"attr\":\"%s\"}}\n",
             attr);
    guest_say(fd, frame);
}

/* The request, and the beginning of its answer: an echo's Ping is accepted. */
static const char *guest_ping_frame = "\"Ping\"\n", *guest_pong = "\"P";

static inline void guest_ping(int fd)
{
    guest_say(fd, guest_ping_frame);
    guest_hear(fd, guest_pong);
}

/* ---- times ---------------------------------------------------------------------------------- */

enum { GUEST_TIMES_MAX = 100000 };
static double guest_took[GUEST_TIMES_MAX]; /* µs */

static inline int guest_by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void guest_sort(long times)
{
    qsort(guest_took, (size_t)times, sizeof *guest_took, guest_by_size);
}

/* Pings once and stores how long it took, if there is room. */
static inline void guest_time_ping(int fd, long *times)
{
    double begin = guest_now_us();
    guest_ping(fd);
    if (*times < GUEST_TIMES_MAX) {
        guest_took[(*times)++] = guest_now_us() - begin;
    }
}

static inline void guest_print_pings(const char *name, const char *what, long times)
{
    guest_sort(times);
    printf("%s %s-median-us %.2f\n", name, what, guest_took[times / 2]);
    printf("%s %s-99th-us %.1f\n", name, what, guest_took[times * 99 / 100]);
}

#endif
