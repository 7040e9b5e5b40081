#include "visible.h"
#include "control.h"
#include "mvm_utf8.h"
#include <string.h>

enum { ESC = 0x1b, DEL = 0x7f };

static struct mvm_text drop(struct mvm_text *rest, size_t len)
{
    struct mvm_text front = {rest->bytes, len};
    rest->bytes += len;
    rest->len -= len;
    return front;
}

/* The length of the SGR sequence that begins `text`; 0: there is none. */
static size_t colour_len(struct mvm_text text)
{
    if (text.len < 3 || text.bytes[0] != ESC || text.bytes[1] != '[') {
        return 0;
    }
    for (size_t i = 2; i < text.len; i++) {
        char c = text.bytes[i];
        if (c == 'm') {
            return i + 1;
        }
        if ((c < '0' || c > '9') && c != ';' && c != ':') {
            return 0;
        }
    }
    return 0;
}

/* The length of the UTF-8 character that begins `text`; 0: there is none. */
static size_t character_len(struct mvm_text text)
{
    int len = mvm_utf8_next((const uint8_t *)text.bytes, text.len);
    return len > 0 ? (size_t)len : 0;
}

/* The length of the unit that begins `text` if it passes unchanged; 0: it does not. */
static size_t passing_len(struct mvm_text text, bool colours)
{
    uint8_t first = (uint8_t)text.bytes[0];
    if (first == '\t' || (first >= ' ' && first < DEL)) {
        return 1;
    }
    if (first == ESC && colours) {
        return colour_len(text);
    }
    return mvm_control_number(text) < 0 ? character_len(text) : 0;
}

static struct mvm_text show_hex(uint32_t number, char shown[MVM_VISIBLE_CAP])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    shown[len++] = '<';
    for (int shift = number > 0xff ? 12 : 4; shift >= 0; shift -= 4) {
        shown[len++] = digits[number >> shift & 15];
    }
    shown[len++] = '>';
    return (struct mvm_text){shown, len};
}

static struct mvm_text show_caret(uint8_t byte, char shown[MVM_VISIBLE_CAP])
{
    shown[0] = '^';
    shown[1] = byte == DEL ? '?' : (char)(byte + '@');
    return (struct mvm_text){shown, 2};
}

struct mvm_text mvm_visible_next(struct mvm_text *rest, bool colours, char shown[MVM_VISIBLE_CAP])
{
    size_t run = 0;
    while (run < rest->len) {
        const struct mvm_text from = {rest->bytes + run, rest->len - run};
        size_t len = passing_len(from, colours);
        if (len == 0) {
            break;
        }
        run += len;
    }
    if (run > 0) {
        return drop(rest, run);
    }
    uint8_t first = (uint8_t)rest->bytes[0];
    if (first < 0x80) {
        drop(rest, 1);
        return show_caret(first, shown);
    }
    int32_t number = mvm_control_number(*rest);
    drop(rest, number >= 0 ? character_len(*rest) : 1);
    return show_hex(number >= 0 ? (uint32_t)number : first, shown);
}
