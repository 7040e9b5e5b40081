/*
 * Stands in for nix, and takes its orders from the attribute:
 *     FLAKE#N      prints N lines of 80 bytes, newline included, as fast as its pipe takes them,
 *                  and fails
 *     FLAKE#NxLEN  the same with lines of LEN bytes
 *     FLAKE#PATH   has built PATH, and says so, and when it ends: "ended at " and µs
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 80, LONGEST = 65536, ROOM = 2 * LONGEST };

static void put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n <= 0) {
            _exit(1);
        }
        bytes += n;
        len -= (size_t)n;
    }
}

/* As many lines as fit the room, about 64 KB, at a time. */
static void print_lines(long left, size_t len)
{
    static const char text[LINE + 1] =
        "[ 17/412] cc -O2 -Wall -Wextra -c -o build/src/libutil/hash.o src/libutil/hash. ";
    static char lines[ROOM];
    size_t many = len > LONGEST / 2 ? 1 : 64000 / len;
    for (size_t i = 0; i < many * len; i++) {
        lines[i] = (i + 1) % len == 0 ? '\n' : text[i % len % LINE];
    }
    for (; left > 0; left -= (long)many) {
        put(STDERR_FILENO, lines, (left < (long)many ? (size_t)left : many) * len);
    }
}

static void say_end(void)
{
    char line[64];
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int len = snprintf(line, sizeof line, "ended at %lld.%03ld\n",
                       (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000, t.tv_nsec % 1000);
    put(STDERR_FILENO, line, (size_t)len);
}

int main(int argc, char **argv)
{
    static const char version[] = "nix (Nix) 2.18.1\n";
    const char *order = "0";
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        put(STDOUT_FILENO, version, sizeof version - 1);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        const char *hash = strchr(argv[i], '#');
        order = hash != NULL ? hash + 1 : order;
    }
    if (order[0] == '/') {
        put(STDOUT_FILENO, order, strlen(order));
        put(STDOUT_FILENO, "\n", 1);
        say_end();
        return 0;
    }
    char *end;
    long lines = strtol(order, &end, 10);
    long len = *end == 'x' ? strtol(end + 1, NULL, 10) : LINE;
    if (len < 1 || len > LONGEST) {
        return 2;
    }
    print_lines(lines, (size_t)len);
    return 3;
}
