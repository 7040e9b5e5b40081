/* What the tests of the Linux port share: a directory to work in, and functions that run other
 * programs. */
#ifndef TEST_POSIX_FIXTURE_H
#define TEST_POSIX_FIXTURE_H

#include "mvm_posix.h"
#include "temporary.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct mvm_port *const port = &mvm_posix_port;

/* A test that cannot run here prints why before it is skipped. */
#define SKIP_BECAUSE(...)                                                                          \
    do {                                                                                           \
        fprintf(stderr, "SKIPPED, because " __VA_ARGS__);                                          \
        fputc('\n', stderr);                                                                       \
        skip();                                                                                    \
    } while (0)

/* Initializes a port and leaves descriptor 0 free: the next one that is opened gets it, as in a
 * program that was started without a stdin. */
static inline void init_without_stdin(struct mvm_posix *p, const struct mvm_posix_config *config)
{
    int taken = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(taken >= 0);
    mvm_posix_init(p, config);
    close(taken);
    close(STDIN_FILENO);
}

struct place {
    char dir[TEMPORARY_CAP];
    char path[2][256];
};

static inline void make_place(struct place *place)
{
    assert_true(make_temporary(place->dir, "posix"));
}

/* A path in it; two slots, each valid until it is used again. */
static inline const char *in_place(struct place *place, int slot, const char *name)
{
    struct mvm_writer w;
    mvm_writer_init(&w, place->path[slot], sizeof place->path[slot]);
    mvm_writer_add(&w, place->dir);
    mvm_writer_add(&w, "/");
    mvm_writer_add(&w, name);
    assert_false(w.cut);
    return place->path[slot];
}

/* Runs a program on this machine; its exit status, 127 if it cannot be started. */
static inline int run(const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int err = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err != 0) {
        return 127;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* Waits for the port's descriptor, as a loop does. */
static inline void await_port(const struct mvm_posix *posix)
{
    struct pollfd fd = {mvm_posix_fd(posix), POLLIN, 0};
    assert_true(poll(&fd, 1, 60000) >= 0);
}

/* The result of a disk call; waits for its worker. */
#define AWAIT(result, call)                                                                        \
    do {                                                                                           \
        while (((result) = (call)) == MVM_PORT_LATER) {                                            \
            await_port(&posix);                                                                    \
        }                                                                                          \
    } while (0)

/* Copies a file by the worker; 0 or the error. `*sum`: the number of bytes it reported. */
static inline int64_t copy_by_worker(struct mvm_posix *posix, const char *within, const char *from,
                                     const char *to, int64_t *sum)
{
    uint64_t size;
    int64_t n;
    *sum = 0;
    while ((n = port->copy(posix, within, from, to, &size)) == MVM_PORT_LATER || n > 0) {
        if (n == MVM_PORT_LATER) {
            await_port(posix);
        } else {
            *sum += n;
        }
    }
    return n;
}

/* Ends the worker, as the executor does at the end of a job. */
static inline void end_job(struct mvm_posix *posix)
{
    while (port->end_job(posix) == MVM_PORT_LATER) {
        await_port(posix);
    }
}

static inline void remove_place(const struct place *place)
{
    const char *const argv[] = {"rm", "-rf", "--one-file-system", place->dir, NULL};
    assert_int_equal(run(argv), 0);
}

static inline void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* Bytes that encode their offset in a file. */
static inline void put_data(int fd, int64_t at, int64_t len)
{
    static uint8_t block[4096];
    for (int64_t done = 0; done < len;) {
        for (size_t i = 0; i < sizeof block; i++) {
            uint64_t position = (uint64_t)(at + done) + i;
            block[i] = (uint8_t)(1 + (position * 2654435761u >> 16) % 255);
        }
        size_t n = len - done < 4096 ? (size_t)(len - done) : sizeof block;
        assert_int_equal(pwrite(fd, block, n, at + done), (ssize_t)n);
        done += (int64_t)n;
    }
}

static inline void assert_same(const char *a, const char *b)
{
    const char *const argv[] = {"cmp", "--silent", a, b, NULL};
    assert_int_equal(run(argv), 0);
}

static inline uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* The number of this process's open descriptors. */
static inline int count_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static inline const char *reason_of(struct mvm_posix *p)
{
    return port->reason(p);
}

#endif
