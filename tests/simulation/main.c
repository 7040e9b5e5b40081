/*
 * simulate FROM COUNT    runs the worlds of seeds FROM … FROM + COUNT - 1
 * simulate SEED          replays one and prints what happens
 */
#include "simulation.h"
#include <stdlib.h>
#include <string.h>

static int replay(uint64_t seed)
{
    const char *wrong = simulate(rng_by_seed(seed), stdout);
    printf("seed %llu: %s\n", (unsigned long long)seed, wrong != NULL ? wrong : "everything held");
    return wrong != NULL;
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return replay(strtoull(argv[1], NULL, 10));
    }
    if (argc != 3) {
        fprintf(stderr, "usage: simulate FROM COUNT | simulate SEED\n");
        return 2;
    }
    uint64_t from = strtoull(argv[1], NULL, 10);
    uint64_t count = strtoull(argv[2], NULL, 10);
    uint64_t violations = 0;
    for (uint64_t seed = from; seed < from + count; seed++) {
        const char *wrong = simulate(rng_by_seed(seed), NULL);
        if (wrong != NULL) {
            violations++;
            printf("seed %llu: %s; see %s %llu\n", (unsigned long long)seed, wrong, argv[0],
                   (unsigned long long)seed);
        }
    }
    printf("%llu worlds, %llu violations\n", (unsigned long long)count,
           (unsigned long long)violations);
    return violations != 0;
}
