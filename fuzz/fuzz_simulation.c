/* The simulated world, its chances taken from the input: the fuzzer looks for the life that breaks.
 */
#include "fuzz.h"
#include "simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_CHECK(simulate(rng_by_bytes(data, size), NULL) == NULL);
    return 0;
}
