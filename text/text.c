#include "mvm_text.h"
#include <string.h>

struct mvm_text mvm_text_from(const char *string)
{
    return (struct mvm_text){string, string != NULL ? strlen(string) : 0};
}

bool mvm_text_equal(struct mvm_text text, const char *string)
{
    size_t len = strlen(string);
    return len == text.len && (len == 0 || memcmp(text.bytes, string, len) == 0);
}

bool mvm_text_begins(struct mvm_text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return len <= text.len && (len == 0 || memcmp(text.bytes, prefix, len) == 0);
}

struct mvm_text mvm_text_decimal(char digits[MVM_TEXT_DECIMAL_CAP], uint64_t value)
{
    size_t at = MVM_TEXT_DECIMAL_CAP;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return (struct mvm_text){digits + at, MVM_TEXT_DECIMAL_CAP - at};
}
