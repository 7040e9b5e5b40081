/* Latencies of Pings, while something else goes on. */
#define _GNU_SOURCE
#include "support.h"
#include <time.h>

enum { SAMPLES = 400000 };

static double took[SAMPLES];
static size_t taken;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void e2e_pings_begin(void)
{
    taken = 0;
}

void e2e_pings_add(struct e2e_conn *c)
{
    double begin = now_ms();
    e2e_ping(c, E2E_PATIENCE_MS);
    assert_true(taken < SAMPLES);
    took[taken++] = now_ms() - begin;
    e2e_sleep_ms(1);
}

double e2e_pings_end(const char *what)
{
    qsort(took, taken, sizeof took[0], compare);
    double p99 = took[taken * 99 / 100];
    const char *report = getenv("MVM_PINGS_REPORT");
    FILE *f = report != NULL ? fopen(report, "a") : NULL;
    if (f != NULL) {
        fprintf(f, "%s\t%zu\t%.2f\t%.2f\t%.2f\n", what, taken, took[taken / 2], p99,
                took[taken - 1]);
        fclose(f);
    }
    return p99;
}
