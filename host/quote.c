#include "quote.h"
#include "mvm_utf8.h"
#include "visible.h"

void mvm_quote_add(struct mvm_writer *w, struct mvm_text text)
{
    char shown[MVM_VISIBLE_CAP];
    bool cut = text.len > MVM_HOST_QUOTE_MAX;
    text.len = cut ? mvm_utf8_boundary((const uint8_t *)text.bytes, MVM_HOST_QUOTE_MAX) : text.len;
    mvm_writer_add(w, "\"");
    while (text.len > 0) {
        mvm_writer_add_text(w, mvm_visible_next(&text, false, shown));
    }
    mvm_writer_add(w, cut ? "\" [cut]" : "\"");
}
