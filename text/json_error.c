#include "mvm_json.h"

const char *mvm_json_error_text(enum mvm_json_error error)
{
    static const char *const texts[] = {
        [MVM_JSON_FINE] = "no error",
        [MVM_JSON_UNEXPECTED] = "unexpected character",
        [MVM_JSON_BAD_ESCAPE] = "bad escape in a string",
        [MVM_JSON_LONE_SURROGATE] = "lone surrogate in a string",
        [MVM_JSON_CONTROL] = "control character in a string",
        [MVM_JSON_NOT_UTF8] = "string is not UTF-8",
        [MVM_JSON_TOO_DEEP] = "nested too deep",
        [MVM_JSON_TRAILING] = "characters after the value",
        [MVM_JSON_ENDED] = "unexpected end",
    };
    return texts[error];
}
