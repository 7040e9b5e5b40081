/*
 * Measures an agent from outside, as its host:
 *     agent NAME start TIMES PROGRAM ARG…       from exec to the first Pong
 *     agent NAME pump LINES PROGRAM ARG…        a build that prints, whose log is read
 *     agent NAME calls LINES PROGRAM ARG…       the same under strace: system calls
 *     agent NAME pings TIMES PROGRAM ARG…       Ping to Pong, when nothing else is to be done
 *     agent NAME busy-pings TIMES PROGRAM ARG…  the same, 1 ms apart, while a build prints
 * The program finds a listening socket at descriptor 3. Prints `NAME WHAT NUMBER` lines.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LISTENER = 3, TIMES_MAX = 20000 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the agent ------------------------------------------------------------------------------ */

static struct sockaddr_un address; /* an abstract one, chosen by the kernel */
static socklen_t address_len;

static int listen_anywhere(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sun_family = AF_UNIX;
    address_len = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 ||
        listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&address, &address_len) < 0) {
        fail("listen");
    }
    return fd;
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_len) < 0) {
        fail("connect");
    }
    return fd;
}

static pid_t start(int listener, char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (listener == LISTENER) {
            fcntl(listener, F_SETFD, 0);
        } else {
            dup2(listener, LISTENER);
        }
        execv(argv[0], argv);
        fail(argv[0]);
    }
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- the kernel's figures ------------------------------------------------------------------- */

/* The first number behind `label` in /proc/PID/FILE. */
static double figure(pid_t pid, const char *file, const char *label)
{
    char path[64], bytes[8192];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail(path);
        return 0;
    }
    bytes[fread(bytes, 1, sizeof bytes - 1, f)] = '\0';
    fclose(f);
    const char *at = strstr(bytes, label);
    return at == NULL ? -1 : strtod(at + strlen(label), NULL);
}

static double cpu_ns(pid_t pid)
{
    return figure(pid, "schedstat", "");
}

static double resident_kib(pid_t pid)
{
    return figure(pid, "smaps_rollup", "\nRss:");
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- conversations -------------------------------------------------------------------------- */

static void say(int fd, const char *frame)
{
    if (write(fd, frame, strlen(frame)) != (ssize_t)strlen(frame)) {
        fail("write");
    }
}

/* Reads frames until one line that holds `last`; returns how many lines came before. */
static long hear(int fd, const char *last)
{
    static char bytes[1 << 20];
    size_t kept = 0;
    long lines = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + kept, sizeof bytes - 1 - kept);
        if (n <= 0) {
            fail("read");
        }
        size_t len = kept + (size_t)n;
        char *line = bytes, *end;
        bytes[len] = '\0';
        while ((end = memchr(line, '\n', len - (size_t)(line - bytes))) != NULL) {
            if (memcmp(line, last, strlen(last)) == 0) {
                return lines;
            }
            lines++;
            line = end + 1;
        }
        kept = len - (size_t)(line - bytes);
        memmove(bytes, line, kept);
    }
}

static void ping(int fd)
{
    say(fd, "\"Ping\"\n");
    hear(fd, "\"P"); /* an echo's Ping will do */
}

static void build(int fd, long lines)
{
    char frame[128];
    snprintf(frame, sizeof frame, "{\"Build\":{\"flake_ref\":\"path:/flake\",\"attr\":\"%ld\"}}\n",
             lines);
    say(fd, frame);
    long came = hear(fd, "{\"Err\"");
    if (came != lines) {
        fprintf(stderr, "agent: %ld lines of %ld came\n", came, lines);
        exit(1);
    }
}

/* ---- what is measured ----------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double took[TIMES_MAX]; /* µs */

static void sort_took(long times)
{
    qsort(took, (size_t)times, sizeof *took, by_size);
}

static void measure_start(const char *name, int listener, long times, char **argv)
{
    for (long i = 0; i < times; i++) {
        int fd = dial();
        double begin = now_us();
        pid_t pid = start(listener, argv);
        ping(fd);
        took[i] = now_us() - begin;
        stop(pid);
        close(fd);
    }
    sort_took(times);
    printf("%s start-us %.0f\n", name, took[times / 2]);
}

static void measure_pump(const char *name, int listener, long lines, char **argv)
{
    pid_t pid = start(listener, argv);
    int fd = dial();
    ping(fd);
    printf("%s idle-kib %.0f\n", name, resident_kib(pid));
    build(fd, 1000);
    printf("%s small-kib %.0f\n", name, resident_kib(pid));
    double cpu = cpu_ns(pid), begin = now_us();
    build(fd, lines);
    printf("%s pump-cpu-ns %.1f\n", name, (cpu_ns(pid) - cpu) / (double)lines);
    printf("%s pump-wall-ns %.1f\n", name, (now_us() - begin) * 1e3 / (double)lines);
    printf("%s after-kib %.0f\n", name, resident_kib(pid));
    stop(pid);
}

static void measure_calls(const char *name, int listener, long lines, char **argv)
{
    char number[16];
    pid_t pid = start(listener, argv);
    int fd = dial();
    ping(fd);
    snprintf(number, sizeof number, "%d", (int)pid);
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0) {
        fail("pipe");
    }
    pid_t tracer = fork();
    if (tracer == 0) {
        dup2(out[1], STDERR_FILENO);
        execlp("strace", "strace", "-c", "-U", "calls,name", "-p", number, (char *)NULL);
        fail("strace");
    }
    close(out[1]);
    while (figure(pid, "status", "\nTracerPid:") <= 0) {
        usleep(1000);
    }
    build(fd, lines);
    kill(tracer, SIGINT);
    double total = 0, calls;
    char line[256], call[64];
    FILE *table = fdopen(out[0], "r");
    while (table != NULL && fgets(line, sizeof line, table) != NULL) {
        if (sscanf(line, "%lf %63s", &calls, call) == 2 && strcmp(call, "total") != 0) {
            total += calls;
        }
    }
    waitpid(tracer, NULL, 0);
    stop(pid);
    printf("%s calls %.4f\n", name, total / (double)lines);
}

/* Of the pings' times the median and the 99th percentile; `pause_us` between two. */
static void measure_pings(const char *name, const char *what, long times, useconds_t pause_us)
{
    int fd = dial();
    ping(fd);
    for (long i = 0; i < times; i++) {
        double begin = now_us();
        ping(fd);
        took[i] = now_us() - begin;
        if (pause_us > 0) {
            usleep(pause_us);
        }
    }
    sort_took(times);
    printf("%s %s-median-us %.1f\n", name, what, took[times / 2]);
    printf("%s %s-99th-us %.1f\n", name, what, took[times * 99 / 100]);
}

static void measure_idle_pings(const char *name, int listener, long times, char **argv)
{
    pid_t pid = start(listener, argv);
    measure_pings(name, "ping", times, 0);
    stop(pid);
}

static void measure_busy_pings(const char *name, int listener, long times, char **argv)
{
    const long endless = 1000000000;
    pid_t pid = start(listener, argv);
    int fd = dial();
    ping(fd);
    pid_t reader = fork();
    if (reader == 0) {
        build(fd, endless);
        fprintf(stderr, "agent: the build ended before the pings\n");
        _exit(1);
    }
    usleep(50000);
    measure_pings(name, "busy-ping", times, 1000);
    if (waitpid(reader, NULL, WNOHANG) != 0) {
        fail("the build's reader");
    }
    stop(reader);
    stop(pid);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        void (*measure)(const char *name, int listener, long number, char **argv);
    } modes[] = {{"start", measure_start},
                 {"pump", measure_pump},
                 {"calls", measure_calls},
                 {"pings", measure_idle_pings},
                 {"busy-pings", measure_busy_pings}};
    if (argc < 5) {
        fputs("agent NAME start|pump|calls|pings|busy-pings NUMBER PROGRAM ARG…\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_anywhere();
    long number = strtol(argv[3], NULL, 10);
    bool timed = strcmp(argv[2], "pump") != 0 && strcmp(argv[2], "calls") != 0;
    if (number < 1 || (timed && number > TIMES_MAX)) {
        fputs("agent: NUMBER is out of range\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[2], modes[i].what) == 0) {
            modes[i].measure(argv[1], listener, number, argv + 4);
            return 0;
        }
    }
    fputs("agent: no such mode\n", stderr);
    return 2;
}
