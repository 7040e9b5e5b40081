#include "mvm_text.h"
#include "mvm_utf8.h"
#include <string.h>

static const char CUT_MARK[] = " [cut]";

void mvm_writer_init(struct mvm_writer *w, char *buf, size_t cap)
{
    *w = (struct mvm_writer){.buf = buf, .cap = cap};
    buf[0] = '\0';
}

void mvm_writer_add(struct mvm_writer *w, const char *string)
{
    mvm_writer_add_text(w, mvm_text_from(string));
}

void mvm_writer_add_text(struct mvm_writer *w, struct mvm_text text)
{
    size_t room = w->cut ? 0 : w->cap - 1 - w->len;
    if (text.len > room) {
        text.len = room;
        w->cut = true;
    }
    if (text.len > 0) {
        memcpy(w->buf + w->len, text.bytes, text.len);
    }
    w->len += text.len;
    w->buf[w->len] = '\0';
}

void mvm_writer_add_u64(struct mvm_writer *w, uint64_t value)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    mvm_writer_add_text(w, mvm_text_decimal(digits, value));
}

struct mvm_text mvm_writer_finish(struct mvm_writer *w)
{
    if (w->cut) {
        size_t kept = w->cap - sizeof CUT_MARK;
        kept = mvm_utf8_boundary((const uint8_t *)w->buf, kept);
        memcpy(w->buf + kept, CUT_MARK, sizeof CUT_MARK);
        w->len = kept + sizeof CUT_MARK - 1;
    }
    return (struct mvm_text){w->buf, w->len};
}
