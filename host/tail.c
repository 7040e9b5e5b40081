#include "tail.h"
#include <string.h>

#define OWN_COLOURS "\033[m"

enum { ESC = 0x1b, BEL = 0x07 };

void mvm_tail_init(struct mvm_tail *t)
{
    t->count = 0;
    t->next = 0;
}

/* Up to where `bytes` hold whole UTF-8 characters, if the first `len` of them are kept. */
static size_t before_character(const char *bytes, size_t len)
{
    size_t at = len;
    for (int i = 0; i < 3 && at > 0 && ((uint8_t)bytes[at] & 0xc0) == 0x80; i++) {
        at--;
    }
    return ((uint8_t)bytes[at] & 0xc0) == 0xc0 ? at : len;
}

/* Whether the escape sequence that begins `bytes` ends there: ESC [ … letter, ESC ] … BEL (its
 * other end, ESC \, is a sequence of its own), or ESC and one character. */
static bool ends(const char *bytes, size_t len)
{
    if (len < 2) {
        return false;
    }
    if (bytes[1] == ']') {
        return memchr(bytes, BEL, len) != NULL;
    }
    if (bytes[1] != '[') {
        return true;
    }
    for (size_t i = 2; i < len; i++) {
        if (bytes[i] >= '@' && bytes[i] <= '~') {
            return true;
        }
    }
    return false;
}

/* The same for escape sequences. */
static size_t before_sequence(const char *bytes, size_t len)
{
    for (size_t at = len; at > 0; at--) {
        if (bytes[at - 1] == ESC) {
            if (ends(bytes + at - 1, len - (at - 1))) {
                break;
            }
            len = at - 1;
        }
    }
    return len;
}

void mvm_tail_add(struct mvm_tail *t, struct mvm_text line)
{
    size_t len = line.len;
    if (len > MVM_TAIL_LINE_MAX) {
        len = before_character(line.bytes, MVM_TAIL_LINE_MAX);
        len = before_sequence(line.bytes, len);
    }
    memcpy(t->lines[t->next].bytes, line.bytes, len);
    t->lines[t->next].len = len;
    t->lines[t->next].more = line.len - len;
    t->next = (t->next + 1) % MVM_TAIL_LINES;
    t->count += t->count < MVM_TAIL_LINES ? 1 : 0;
}

static void show_cut(struct mvm_sink *sink, size_t more)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    mvm_sink_add_string(sink, " [\xe2\x80\xa6 ");
    mvm_sink_add(sink, mvm_text_decimal(digits, more));
    mvm_sink_add_string(sink, more == 1 ? " byte more]" : " bytes more]");
}

void mvm_tail_show(const struct mvm_tail *t, struct mvm_sink *sink)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t at = (t->next + MVM_TAIL_LINES - t->count + i) % MVM_TAIL_LINES;
        mvm_sink_add_string(sink, "  ");
        mvm_sink_add(sink, (struct mvm_text){t->lines[at].bytes, t->lines[at].len});
        mvm_sink_add_string(sink, OWN_COLOURS);
        if (t->lines[at].more > 0) {
            show_cut(sink, t->lines[at].more);
        }
        mvm_sink_add_string(sink, "\n");
    }
}
