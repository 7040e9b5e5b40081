/* The parser's errors in words; linked only where somebody asks for them. */
#include "mvm_json.h"

const char *mvm_json_error_text(enum mvm_json_error error)
{
    switch (error) {
    case MVM_JSON_FINE:
        break;
    case MVM_JSON_UNEXPECTED:
        return "unexpected character";
    case MVM_JSON_BAD_ESCAPE:
        return "invalid escape";
    case MVM_JSON_LONE_SURROGATE:
        return "lone surrogate";
    case MVM_JSON_CONTROL:
        return "control character in a string";
    case MVM_JSON_NOT_UTF8:
        return "invalid UTF-8";
    case MVM_JSON_TOO_DEEP:
        return "nested too deep";
    case MVM_JSON_TRAILING:
        return "something after the value";
    case MVM_JSON_ENDED:
        return "unexpected end";
    }
    return "no error";
}
