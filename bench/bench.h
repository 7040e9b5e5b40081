/*
 * What the measuring programs in C and C++ share: the frames, read from files so that all peers get
 * the same bytes, and the clock. A program is run as `PROGRAM FRAMES [MS]` and prints a line `NAME
 * WORK NS` for each work: nanoseconds of CPU time per message, the best of several rounds.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    BENCH_ROUNDS = 5,
    BENCH_CAP = 1 << 16,  /* bytes of the largest frame */
    BENCH_PADDING = 64,   /* zero bytes after each, for peers that read past the end */
    BENCH_DEFAULT_MS = 20 /* of each work, all rounds together */
};

struct bench_bytes {
    uint8_t bytes[BENCH_CAP + BENCH_PADDING];
    size_t len;
};

/* The texts of a Log, by name: FRAMES/NAME.text is the line, FRAMES/NAME.json its frame. */
enum bench_log { BENCH_LOG80, BENCH_LOG4K, BENCH_ESCAPE, BENCH_UTF8, BENCH_LOGS };
static const char *const bench_log_names[BENCH_LOGS] = {"log80", "log4k", "escape", "utf8"};

/* Every result is added here, so that no compiler removes work. */
static volatile size_t bench_sink;

static inline void bench_fail(const char *peer, const char *what)
{
    fprintf(stderr, "%s: %s\n", peer, what);
    exit(1);
}

static inline void bench_read(struct bench_bytes *b, const char *folder, const char *name,
                              const char *suffix)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        bench_fail(path, "cannot be read; codec --frames writes it");
        return;
    }
    memset(b->bytes, 0, sizeof b->bytes);
    b->len = fread(b->bytes, 1, BENCH_CAP, file);
    fclose(file);
}

/* Before timing: the peer's result is right. Case does not count, some write \u001B; neither does a
 * missing newline at the end. */
static inline void bench_same(const char *peer, const struct bench_bytes *wanted, const void *bytes,
                              size_t len)
{
    size_t wanted_len = wanted->len;
    if (wanted_len == len + 1 && wanted->bytes[len] == '\n') {
        wanted_len = len;
    }
    if (len != wanted_len ||
        strncasecmp((const char *)wanted->bytes, (const char *)bytes, len) != 0) {
        bench_fail(peer, "other bytes than expected");
    }
}

/* Copies a result for bench_same, only in the one run made for that. */
static inline void bench_keep(void *where, const void *bytes, size_t len, long n)
{
    if (n == 1) {
        memcpy(where, bytes, len);
    }
    bench_sink = bench_sink + len;
}

/* CPU time of this process: a busy machine does not count. */
static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* `work(which, n)` does the work n times. */
static inline void bench_measure(const char *peer, const char *prefix, const char *name,
                                 void (*work)(int which, long n), int which, int ms)
{
    const double round = (double)ms * 1e6 / BENCH_ROUNDS;
    long n = 1;
    double best = 0;
    for (;;) { /* how many make a round; also warms up */
        double start = bench_now();
        work(which, n);
        best = bench_now() - start;
        if (best >= round / 4) {
            break;
        }
        n *= 2;
    }
    n = (long)((double)n * round / best) + 1;
    best = 1e18; /* none yet */
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        double start = bench_now();
        work(which, n);
        double each = (bench_now() - start) / (double)n;
        best = each < best ? each : best;
    }
    printf("%s %s%s %.2f\n", peer, prefix, name, best);
}

#endif
