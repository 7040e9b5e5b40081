#include "tail.h"
#include "visible.h"
#include <string.h>

enum { ESC = 0x1b };

void mvm_tail_init(struct mvm_tail *t)
{
    t->count = 0;
    t->next = 0;
}

/* The number of the first `len` bytes to keep so that no UTF-8 character is cut. */
static size_t before_character(const char *bytes, size_t len)
{
    size_t at = len;
    for (int i = 0; i < 3 && at > 0 && ((uint8_t)bytes[at] & 0xc0) == 0x80; i++) {
        at--;
    }
    return ((uint8_t)bytes[at] & 0xc0) == 0xc0 ? at : len;
}

/* Whether `bytes` begin a colour (ESC [ … m) that does not end within them. Other sequences are
 * shown, not sent, and may be cut anywhere. */
static bool is_open_colour(const char *bytes, size_t len)
{
    if (len == 1) {
        return true;
    }
    if (bytes[1] != '[') {
        return false;
    }
    for (size_t i = 2; i < len; i++) {
        if (bytes[i] == 'm' ||
            ((bytes[i] < '0' || bytes[i] > '9') && bytes[i] != ';' && bytes[i] != ':')) {
            return false;
        }
    }
    return true;
}

/* The same for colours. */
static size_t before_colour(const char *bytes, size_t len)
{
    for (size_t at = len; at > 0; at--) {
        if (bytes[at - 1] == ESC) {
            return is_open_colour(bytes + at - 1, len - (at - 1)) ? at - 1 : len;
        }
    }
    return len;
}

void mvm_tail_add(struct mvm_tail *t, struct mvm_text line)
{
    size_t len = line.len;
    if (len > MVM_TAIL_LINE_MAX) {
        len = before_character(line.bytes, MVM_TAIL_LINE_MAX);
        len = before_colour(line.bytes, len);
    }
    if (len > 0) { /* a blank line may have no bytes to point to */
        memcpy(t->lines[t->next].bytes, line.bytes, len);
    }
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
        mvm_sink_add_visible(sink, (struct mvm_text){t->lines[at].bytes, t->lines[at].len}, true);
        mvm_sink_add_string(sink, MVM_VISIBLE_RESET);
        if (t->lines[at].more > 0) {
            show_cut(sink, t->lines[at].more);
        }
        mvm_sink_add_string(sink, "\n");
    }
}
