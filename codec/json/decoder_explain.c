#include "mvm_decoder.h"

/* The text before and after the name of the field, if there is one. */
struct phrase {
    const char *before;
    const char *behind;
};

static const struct phrase phrases[] = {
    [MVM_DECODER_FINE] = {"no error", ""},
    [MVM_DECODER_JSON] = {"", ""}, /* replaced by the parser's own text */
    [MVM_DECODER_NOT_A_MESSAGE] = {"neither a name nor an object with one member", ""},
    [MVM_DECODER_UNKNOWN_VARIANT] = {"unknown variant", ""},
    [MVM_DECODER_NEEDS_FIELDS] = {"variant without its fields", ""},
    [MVM_DECODER_NO_FIELDS] = {"variant has no fields", ""},
    [MVM_DECODER_WRONG_TYPE] = {"wrong type of ", ""},
    [MVM_DECODER_MISSING_FIELD] = {"missing field ", ""},
    [MVM_DECODER_DUPLICATE_FIELD] = {"duplicate field ", ""},
    [MVM_DECODER_EXTRA_ELEMENT] = {"more elements than fields", ""},
    [MVM_DECODER_FIELD_TOO_LONG] = {"", " too long"},
    [MVM_DECODER_FRAME_TOO_LONG] = {"frame too long", ""},
    [MVM_DECODER_NO_PREFIX] = {"not a length-prefixed message", ""},
    [MVM_DECODER_COMPRESSED] = {"compressed message", ""},
    [MVM_DECODER_NOT_PROTOBUF] = {"malformed protobuf message", ""},
    [MVM_DECODER_NOT_UTF8] = {"invalid UTF-8 in ", ""},
    [MVM_DECODER_CUT_SHORT] = {"unexpected end", ""},
};

void mvm_decoder_error_explain(enum mvm_decoder_error error, enum mvm_json_error json_error,
                               const char *field, uint32_t at, struct mvm_writer *w)
{
    mvm_writer_add(w, "parse error: ");
    if (error == MVM_DECODER_JSON) {
        mvm_writer_add(w, mvm_json_error_text(json_error));
    } else if (error == MVM_DECODER_WRONG_TYPE && field == NULL) {
        mvm_writer_add(w, "a variant's fields are neither an object nor an array");
    } else {
        mvm_writer_add3(w, phrases[error].before, field != NULL ? field : "",
                        phrases[error].behind);
    }
    mvm_writer_add(w, " at byte ");
    mvm_writer_add_u64(w, at);
}

void mvm_decoder_explain(const struct mvm_decoder *d, struct mvm_writer *w)
{
    mvm_decoder_error_explain(d->error, d->json_error, d->field, d->error_at, w);
}
