#include "parse.h"
#include <string.h>

const char *mvm_parse_prefix(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

enum mvm_number mvm_parse_u64(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;
    bool large = false;
    if (*text == '\0') {
        return MVM_NUMBER_NONE;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return MVM_NUMBER_NONE;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        large = large || digit > max || v > (max - digit) / 10;
        v = large ? 0 : v * 10 + digit;
    }
    if (large) {
        return MVM_NUMBER_LARGE;
    }
    *value = v;
    return MVM_NUMBER_FINE;
}

enum mvm_number mvm_parse_u32(const char *text, uint32_t max, uint32_t *value)
{
    uint64_t v;
    enum mvm_number result = mvm_parse_u64(text, max, &v);
    if (result == MVM_NUMBER_FINE) {
        *value = (uint32_t)v;
    }
    return result;
}

const char *mvm_parse_path(const char *path, size_t cap)
{
    if (path[0] == '\0') {
        return "no path";
    }
    return strlen(path) < cap ? NULL : "path too long";
}
