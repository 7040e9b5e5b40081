#include "mvm_plain.h"

size_t mvm_plain_ascii_portable(const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && bytes[at] >= ' ' && bytes[at] < 0x80 && bytes[at] != '"' &&
           bytes[at] != '\\') {
        at++;
    }
    return at;
}
