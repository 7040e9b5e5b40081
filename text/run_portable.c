#include "mvm_run.h"
#include "mvm_utf8.h"
#include <stdbool.h>
#include <string.h>

static bool is_plain_ascii(uint8_t byte)
{
    return byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\';
}

size_t mvm_run_copy_portable(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t run = 0;
    int character = 1;
    while (run < len && character > 0) {
        if (is_plain_ascii(from[run])) {
            run++; /* a fixed step, so that the next byte need not wait for this one */
            continue;
        }
        character = from[run] < 0x80 ? 0 : mvm_utf8_next(from + run, len - run);
        run += character > 0 ? (size_t)character : 0;
    }
    if (to != NULL && run > 0) {
        memcpy(to, from, run);
    }
    return run;
}
