/* A refused frame in words; linked only where somebody asks for them. */
#include "mvm_decoder.h"

static const char *phrase(const struct mvm_decoder *d)
{
    switch (d->error) {
    case MVM_DECODER_FINE:
        break;
    case MVM_DECODER_JSON:
        return mvm_json_error_text(d->json_error);
    case MVM_DECODER_NOT_A_MESSAGE:
        return "not a message";
    case MVM_DECODER_UNKNOWN_VARIANT:
        return "unknown variant";
    case MVM_DECODER_NEEDS_FIELDS:
        return "the variant needs its fields";
    case MVM_DECODER_NO_FIELDS:
        return "the variant has no fields";
    case MVM_DECODER_WRONG_TYPE:
        return "wrong type";
    case MVM_DECODER_MISSING_FIELD:
        return "missing field";
    case MVM_DECODER_DUPLICATE_FIELD:
        return "duplicate field";
    case MVM_DECODER_EXTRA_ELEMENT:
        return "more elements than fields";
    case MVM_DECODER_FIELD_TOO_LONG:
        return "too long";
    case MVM_DECODER_FRAME_TOO_LONG:
        return "frame too long";
    }
    return "no error";
}

void mvm_decoder_explain(const struct mvm_decoder *d, struct mvm_writer *w)
{
    mvm_writer_add(w, "parse error: ");
    if (d->field != NULL) {
        mvm_writer_add(w, d->field);
        mvm_writer_add(w, ": ");
    }
    mvm_writer_add(w, phrase(d));
    mvm_writer_add(w, " at byte ");
    mvm_writer_add_u64(w, d->error_at);
}
