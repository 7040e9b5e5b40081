/* Slices and the writer. */
#include "mvm_text.h"
#include <string.h>

struct mvm_text mvm_text_from(const char *string)
{
    return (struct mvm_text){string, strlen(string)};
}

bool mvm_text_equal(struct mvm_text text, const char *string)
{
    size_t len = strlen(string);
    return text.len == len && (len == 0 || memcmp(text.bytes, string, len) == 0);
}

bool mvm_text_begins(struct mvm_text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && (len == 0 || memcmp(text.bytes, prefix, len) == 0);
}

void mvm_writer_init(struct mvm_writer *w, char *buf, size_t cap)
{
    *w = (struct mvm_writer){buf, cap, 0, false};
    buf[0] = '\0';
}

void mvm_writer_add_text(struct mvm_writer *w, struct mvm_text text)
{
    size_t room = w->cap - 1 - w->len;
    if (w->cut || text.len == 0) {
        return;
    }
    w->cut = text.len > room;
    size_t len = w->cut ? room : text.len;
    memcpy(w->buf + w->len, text.bytes, len);
    w->len += len;
    w->buf[w->len] = '\0';
}

void mvm_writer_add(struct mvm_writer *w, const char *string)
{
    mvm_writer_add_text(w, mvm_text_from(string));
}

void mvm_writer_add_u64(struct mvm_writer *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    mvm_writer_add_text(w, (struct mvm_text){digits + at, sizeof digits - at});
}

struct mvm_text mvm_writer_finish(struct mvm_writer *w)
{
    static const char mark[] = " [cut]";
    if (w->cut && w->cap >= sizeof mark) {
        w->len = w->cap - 1;
        memcpy(w->buf + w->cap - sizeof mark, mark, sizeof mark);
    }
    return (struct mvm_text){w->buf, w->len};
}
