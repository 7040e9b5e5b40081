/*
 * Measures an agent from outside, as its host:
 *     agent NAME start TIMES PROGRAM ARG…       from exec to the first answer
 *     agent NAME pump LINES PROGRAM ARG…        a build that prints, whose log is read
 *     agent NAME calls LINES PROGRAM ARG…       the same under strace: system calls
 *     agent NAME pings TIMES PROGRAM ARG…       ping to pong, when nothing else is to be done
 *     agent NAME busy-pings TIMES PROGRAM ARG…  the same, 1 ms apart, while a build prints
 * The program finds a listening socket at descriptor 3; with `--unix PATH` before NAME it makes its
 * own there. `--qemu-ga` sends the requests of that agent. Prints `NAME WHAT NUMBER` lines.
 * Starts and pings are on one processor; the client that pings a busy agent waits for none.
 */
#define _GNU_SOURCE
#include "guest.h"

static struct guest_address address;

static void build(int fd, long lines)
{
    char attr[32];
    snprintf(attr, sizeof attr, "%ld", lines);
    guest_say_build(fd, attr);
    long came = guest_hear(fd, "{\"Err\"");
    if (came < lines) { /* one more may report that build.log could not be written */
        fprintf(stderr, "agent: %ld lines of %ld came\n", came, lines);
        exit(1);
    }
}

static void measure_start(const char *name, long times, char **argv)
{
    guest_one_processor();
    for (long i = 0; i < times; i++) {
        double begin = guest_now_us();
        pid_t pid = guest_start(&address, argv);
        int fd = guest_dial(&address);
        guest_ping(fd);
        guest_took[i] = guest_now_us() - begin;
        guest_stop(pid);
        close(fd);
    }
    guest_sort(times);
    printf("%s start-us %.0f\n", name, guest_took[times / 2]);
}

static void measure_pump(const char *name, long lines, char **argv)
{
    pid_t pid = guest_start(&address, argv);
    int fd = guest_dial(&address);
    guest_ping(fd);
    printf("%s idle-kib %.0f\n", name, guest_resident_kib(pid));
    build(fd, 1000);
    printf("%s small-kib %.0f\n", name, guest_resident_kib(pid));
    double cpu = guest_cpu_ns(pid), begin = guest_now_us();
    build(fd, lines);
    printf("%s pump-cpu-ns %.1f\n", name, (guest_cpu_ns(pid) - cpu) / (double)lines);
    printf("%s pump-wall-ns %.1f\n", name, (guest_now_us() - begin) * 1e3 / (double)lines);
    printf("%s after-kib %.0f\n", name, guest_resident_kib(pid));
    guest_stop(pid);
}

static void measure_calls(const char *name, long lines, char **argv)
{
    char number[16];
    pid_t pid = guest_start(&address, argv);
    int fd = guest_dial(&address);
    guest_ping(fd);
    snprintf(number, sizeof number, "%d", (int)pid);
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0) {
        guest_fail("pipe");
    }
    pid_t tracer = fork();
    if (tracer == 0) {
        dup2(out[1], STDERR_FILENO);
        execlp("strace", "strace", "-c", "-U", "calls,name", "-p", number, (char *)NULL);
        guest_fail("strace");
    }
    close(out[1]);
    while (guest_figure(pid, "status", "\nTracerPid:") <= 0) {
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
    guest_stop(pid);
    printf("%s calls %.4f\n", name, total / (double)lines);
}

static void measure_pings(const char *name, long times, char **argv)
{
    guest_one_processor();
    pid_t pid = guest_start(&address, argv);
    int fd = guest_dial(&address);
    long n = 0;
    guest_ping(fd);
    while (n < times) {
        guest_time_ping(fd, &n);
    }
    guest_print_pings(name, "ping", n);
    printf("%s idle-kib %.0f\n", name, guest_resident_kib(pid));
    guest_stop(pid);
}

static void measure_busy_pings(const char *name, long times, char **argv)
{
    const long endless = 1000000000;
    pid_t pid = guest_start(&address, argv);
    int fd = guest_dial(&address), other = guest_dial(&address);
    long n = 0;
    guest_ping(fd);
    guest_ping(other);
    pid_t reader = fork();
    if (reader == 0) {
        build(fd, endless);
        fprintf(stderr, "agent: the build ended before the pings\n");
        _exit(1);
    }
    usleep(50000);
    guest_never_wait();
    while (n < times) {
        guest_time_ping(other, &n);
        usleep(1000);
    }
    guest_print_pings(name, "busy-ping", n);
    if (waitpid(reader, NULL, WNOHANG) != 0) {
        guest_fail("the build's reader");
    }
    guest_stop(reader);
    guest_stop(pid);
}

static char **read_options(char **argv)
{
    address.listener = -1;
    while (*argv != NULL && guest_begins(*argv, "--")) {
        if (strcmp(*argv, "--qemu-ga") == 0) {
            guest_ping_frame = "{\"execute\":\"guest-ping\"}\n";
            guest_pong = "{\"return\"";
        } else if (strcmp(*argv, "--unix") == 0 && argv[1] != NULL) {
            address = guest_at(*++argv);
        }
        argv++;
    }
    if (address.len == 0) {
        address = guest_listen();
    }
    return argv;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        void (*measure)(const char *name, long number, char **argv);
    } modes[] = {{"start", measure_start},
                 {"pump", measure_pump},
                 {"calls", measure_calls},
                 {"pings", measure_pings},
                 {"busy-pings", measure_busy_pings}};
    char **words = read_options(argv + 1);
    if (argc - (words - argv) < 4) {
        fputs("agent [--unix PATH] [--qemu-ga] NAME start|pump|calls|pings|busy-pings NUMBER "
              "PROGRAM ARG…\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    long number = strtol(words[2], NULL, 10);
    bool timed = strcmp(words[1], "pump") != 0 && strcmp(words[1], "calls") != 0;
    if (number < 1 || (timed && number > GUEST_TIMES_MAX)) {
        fputs("agent: NUMBER is out of range\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(words[1], modes[i].what) == 0) {
            modes[i].measure(words[0], number, words + 3);
            return 0;
        }
    }
    fputs("agent: no such mode\n", stderr);
    return 2;
}
