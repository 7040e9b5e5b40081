/* The simulated world with random numbers from the input: the fuzzer searches for a scenario that
 * fails. */
#include "fuzz.h"
#include "simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_CHECK(simulate(rng_by_bytes(data, size), NULL) == NULL);
    return 0;
}
