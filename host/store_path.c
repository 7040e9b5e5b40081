#include "store_path.h"
#include "store.h"

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.' || c == '_' || c == '?' || c == '=';
}

bool mvm_is_store_path(struct mvm_text text)
{
    static const char store[] = MVM_STORE "/";
    const size_t start = sizeof store - 1;
    if (!mvm_text_begins(text, store) || text.len == start ||
        text.len - start > MVM_STORE_NAME_MAX || text.bytes[start] == '.') {
        return false;
    }
    for (size_t i = start; i < text.len; i++) {
        if (!is_name_character(text.bytes[i])) {
            return false;
        }
    }
    return true;
}
