/*
 * Measures how files get from the store to the output disk:
 *     stage NAME build STORE-PATH AGENT ARG…  by an agent: from the end of nix to the answer, and
 *                                             from the request to it
 *     stage NAME pings STORE-PATH AGENT ARG…  pings meanwhile, 1 ms apart, on another connection
 *     stage NAME run PROGRAM ARG…             by a program: from fork to exit
 * Prints `NAME WHAT NUMBER` lines: wall time, and CPU time of the whole agent with its children, or
 * of the program with its own. The client that pings waits for no processor.
 */
#define _GNU_SOURCE
#include "guest.h"
#include <sys/resource.h>

static void print_ms(const char *name, const char *what, double us)
{
    printf("%s %s-ms %.2f\n", name, what, us / 1e3);
}

static double timeval_us(struct timeval t)
{
    return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

/* Of the one child that was waited for, and its children. */
static void print_cpu(const char *name)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    double us = timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime);
    print_ms(name, "cpu", us);
}

/* ---- an agent ------------------------------------------------------------------------------- */

static void build(int fd, const char *store_path)
{
    guest_say_build(fd, store_path);
    guest_hear(fd, "{\"Ok\"");
}

static void measure_build(const char *name, char **argv)
{
    struct guest_address address = guest_listen();
    pid_t pid = guest_start(&address, argv + 1);
    int fd = guest_dial(&address);
    double begin = guest_now_us();
    build(fd, argv[0]);
    double end = guest_now_us();
    print_ms(name, "wall", end - guest_ended_us);
    print_ms(name, "answer", end - begin);
    guest_stop(pid);
    print_cpu(name);
}

static void measure_pings(const char *name, char **argv)
{
    struct guest_address address = guest_listen();
    pid_t pid = guest_start(&address, argv + 1);
    int fd = guest_dial(&address), other = guest_dial(&address);
    int status = 0;
    long n = 0;
    guest_ping(other);
    pid_t builder = fork();
    if (builder == 0) {
        build(fd, argv[0]);
        _exit(0);
    }
    guest_never_wait();
    while (waitpid(builder, &status, WNOHANG) == 0) {
        guest_time_ping(other, &n);
        usleep(1000);
    }
    if (status != 0 || n == 0) {
        fprintf(stderr, "stage: the build failed, or was over before a ping\n");
        exit(1);
    }
    printf("%s stage-pings %ld\n", name, n);
    guest_print_pings(name, "stage-ping", n);
    printf("%s stage-ping-most-us %.1f\n", name, guest_took[n - 1]);
    guest_stop(pid);
}

/* ---- any program ---------------------------------------------------------------------------- */

static void measure_run(const char *name, char **argv)
{
    int status = 0;
    double begin = guest_now_us();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        guest_fail(argv[0]);
    }
    waitpid(pid, &status, 0);
    double wall_us = guest_now_us() - begin;
    if (status != 0) {
        fprintf(stderr, "stage: %s failed\n", argv[0]);
        exit(1);
    }
    print_ms(name, "wall", wall_us);
    print_cpu(name);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        void (*measure)(const char *name, char **argv);
    } modes[] = {{"build", measure_build}, {"pings", measure_pings}, {"run", measure_run}};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 4 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[2], modes[i].what) == 0) {
            modes[i].measure(argv[1], argv + 3);
            return 0;
        }
    }
    fputs("stage NAME build|pings STORE-PATH AGENT ARG…\nstage NAME run PROGRAM ARG…\n", stderr);
    return 2;
}
