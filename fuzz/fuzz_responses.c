/* Responses on the JSON wire: any bytes, any cuts. */
#include "json_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_json_frames(MVM_DIRECTION_RESPONSES, data, size);
    return 0;
}
