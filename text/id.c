#include "id.h"
#include "mvm_limits.h"

static bool is_id_byte(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

bool mvm_id_valid(struct mvm_text id)
{
    if (id.len < MVM_ID_MIN || id.len > MVM_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (!is_id_byte(id.bytes[i])) {
            return false;
        }
    }
    return true;
}

void mvm_id_write(char *id, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *id++ = digits[bytes[i] >> 4];
        *id++ = digits[bytes[i] & 15];
    }
    *id = '\0';
}
