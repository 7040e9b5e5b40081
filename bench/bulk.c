/*
 * Measures how artifacts get to a host over a connection:
 *     bulk NAME fetch SOCKET TOOL ARG… -- AGENT ARG…  from the tool's start to its exit
 *     bulk NAME pings SOCKET TOOL ARG… -- AGENT ARG…  pings meanwhile, 1 ms apart, on another
 *                                                     connection
 * SOCKET is the Unix socket that the agent listens on. Prints `NAME WHAT NUMBER` lines: wall time,
 * and CPU time of the tool and of the whole agent with all their children, start and end included.
 */
#define _GNU_SOURCE
#include "guest.h"
#include <sys/prctl.h>
#include <sys/resource.h>

static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* Reaps until `pid` has ended; its status. */
static int await(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        usleep(1000);
    }
    return status;
}

static pid_t start_tool(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        guest_fail(argv[0]);
    }
    return pid;
}

/* The agent ends in order, so that what its processes took is accounted for. */
static void stop_agent(pid_t agent)
{
    kill(agent, SIGTERM);
    await(agent);
    while (waitpid(-1, NULL, 0) > 0) { /* those that it has left behind */
    }
}

static void check(int status, const char *tool)
{
    if (status != 0) {
        fprintf(stderr, "bulk: %s failed\n", tool);
        exit(1);
    }
}

static void measure_fetch(const char *name, pid_t agent, char **tool)
{
    double begin = guest_now_us();
    int status = await(start_tool(tool));
    double wall_us = guest_now_us() - begin;
    double tool_ms = cpu_ms();
    stop_agent(agent);
    check(status, tool[0]);
    printf("%s wall-ms %.2f\n", name, wall_us / 1e3);
    printf("%s tool-cpu-ms %.2f\n", name, tool_ms);
    printf("%s cpu-ms %.2f\n", name, cpu_ms());
}

static void measure_pings(const char *name, pid_t agent, char **tool, int fd)
{
    int status = 0;
    long n = 0;
    pid_t pid = start_tool(tool);
    guest_never_wait();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        guest_time_ping(fd, &n);
        usleep(1000);
    }
    stop_agent(agent);
    check(status, tool[0]);
    if (n == 0) {
        fputs("bulk: it was over before a ping\n", stderr);
        exit(1);
    }
    guest_print_pings(name, "fetch-ping", n);
    printf("%s fetch-ping-most-us %.1f\n", name, guest_took[n - 1]);
    printf("%s fetch-pings %ld\n", name, n);
}

int main(int argc, char **argv)
{
    int dashes = 4;
    while (dashes < argc && strcmp(argv[dashes], "--") != 0) {
        dashes++;
    }
    if (dashes == 4 || dashes + 1 >= argc) {
        fputs("bulk NAME fetch|pings SOCKET TOOL ARG… -- AGENT ARG…\n", stderr);
        return 2;
    }
    argv[dashes] = NULL;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    struct guest_address address = guest_at(argv[3]);
    pid_t agent = guest_start(&address, argv + dashes + 1);
    int fd = guest_dial(&address);
    guest_ping(fd);
    if (strcmp(argv[2], "pings") == 0) {
        measure_pings(argv[1], agent, argv + 4, fd);
    } else {
        measure_fetch(argv[1], agent, argv + 4);
    }
    return 0;
}
