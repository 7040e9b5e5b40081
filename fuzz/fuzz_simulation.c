/* The simulated world with random numbers from the input: the fuzzer searches for a scenario that
 * fails. */
#include "fuzz.h"
#include "simulation.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *wrong = simulate(rng_by_bytes(data, size), NULL);
    if (wrong != NULL) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    return 0;
}
