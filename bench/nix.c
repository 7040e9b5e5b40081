/*
 * Stands in for nix: `nix build … FLAKE#N` prints N lines of 80 bytes, newline included, as fast as
 * its pipe takes them, and fails.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 80, LINES = 800 };

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

int main(int argc, char **argv)
{
    static const char version[] = "nix (Nix) 2.18.1\n";
    static const char line[LINE + 1] =
        "[ 17/412] cc -O2 -Wall -Wextra -c -o build/src/libutil/hash.o src/libutil/hash.\n";
    static char lines[LINE * LINES];
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        put(STDOUT_FILENO, version, sizeof version - 1);
        return 0;
    }
    long left = 0;
    for (int i = 1; i < argc; i++) {
        const char *hash = strchr(argv[i], '#');
        if (hash != NULL) {
            left = strtol(hash + 1, NULL, 10);
        }
    }
    for (size_t i = 0; i < LINES; i++) {
        memcpy(lines + i * LINE, line, LINE);
    }
    for (; left > 0; left -= LINES) {
        put(STDERR_FILENO, lines, (size_t)(left < LINES ? left : LINES) * LINE);
    }
    return 3;
}
