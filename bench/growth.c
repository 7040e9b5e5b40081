/*
 * What work costs the agent as it grows, and what memory it holds afterwards:
 *     growth AGENT ARG…
 * prints `WHAT AMOUNT CPU-NS KIB` lines: the agent's CPU time for all of that amount, and its Rss.
 * A fresh agent for each, that has built once before. All of them on one processor.
 */
#define _GNU_SOURCE
#include "guest.h"

static char **program;
static struct guest_address address;

struct guest {
    pid_t pid;
    int fd;
    double cpu_ns; /* at the start of the work */
};

static void build(int fd, long lines, long len)
{
    char attr[64];
    snprintf(attr, sizeof attr, "%ldx%ld", lines, len);
    guest_say_build(fd, attr);
    guest_hear(fd, "{\"Err\"");
}

static struct guest begin(void)
{
    struct guest g = {.pid = guest_start(&address, program), .fd = guest_dial(&address)};
    build(g.fd, 1000, 80);
    g.cpu_ns = guest_cpu_ns(g.pid);
    return g;
}

static void end(const struct guest *g, const char *what, long amount)
{
    printf("%s %ld %.0f %.0f\n", what, amount, guest_cpu_ns(g->pid) - g->cpu_ns,
           guest_resident_kib(g->pid));
    fflush(stdout);
    guest_stop(g->pid);
    close(g->fd);
}

/* ---- works ---------------------------------------------------------------------------------- */

/* A build of so many lines of 80 bytes. */
static void grow_lines(long lines)
{
    struct guest g = begin();
    build(g.fd, lines, 80);
    end(&g, "lines", lines);
}

/* A build of 10,000 lines of so many bytes, newline included. */
static void grow_length(long len)
{
    struct guest g = begin();
    build(g.fd, 10000, len);
    end(&g, "length", len);
}

enum { CLIENTS_MAX = 64, PINGS = 2000 };

/* So many clients are connected, and each sends 2000 Pings, one client at a time. */
static void grow_clients(long clients)
{
    struct guest g = begin();
    int fds[CLIENTS_MAX] = {g.fd};
    for (long i = 1; i < clients; i++) {
        fds[i] = guest_dial(&address);
        guest_ping(fds[i]);
    }
    g.cpu_ns = guest_cpu_ns(g.pid);
    for (int n = 0; n < PINGS; n++) {
        for (long i = 0; i < clients; i++) {
            guest_ping(fds[i]);
        }
    }
    end(&g, "clients", clients);
    for (long i = 1; i < clients; i++) {
        close(fds[i]);
    }
}

enum { AT_ONCE = 100 };

/* So many Pings on one connection, 100 sent before their answers are read. */
static void grow_frames(long frames)
{
    static char pings[AT_ONCE * sizeof "\"Ping\"\n"];
    struct guest g = begin();
    for (int i = 0; i < AT_ONCE; i++) {
        strcat(pings, guest_ping_frame);
    }
    for (long n = 0; n < frames; n += AT_ONCE) {
        char answers[AT_ONCE * (sizeof "\"Pong\"\n" - 1)];
        guest_say(g.fd, pings);
        if (recv(g.fd, answers, sizeof answers, MSG_WAITALL) != sizeof answers) {
            guest_fail("recv");
        }
    }
    end(&g, "frames", frames);
    pings[0] = '\0';
}

static const struct work {
    void (*grow)(long amount);
    long amounts[8];
} works[] = {
    {grow_lines, {1000, 10000, 100000, 1000000, 10000000}},
    {grow_length, {16, 64, 256, 1024, 4096, 16384, 65536}},
    {grow_clients, {1, 2, 4, 8, 16, 32, 64}},
    {grow_frames, {1000, 10000, 100000, 1000000}},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("growth AGENT ARG…\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    guest_one_processor();
    program = argv + 1;
    address = guest_listen();
    for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
        for (int i = 0; i < 8 && works[w].amounts[i] > 0; i++) {
            works[w].grow(works[w].amounts[i]);
        }
    }
    return 0;
}
