#include "control.h"
#include "mvm_utf8.h"

enum { DEL = 0x7f };

/* The number of a character of `len` bytes, 1 to 4. */
static int32_t decode(const uint8_t *bytes, int len)
{
    static const uint8_t bits[] = {0x7f, 0x1f, 0x0f, 0x07}; /* of the first byte */
    int32_t number = bytes[0] & bits[len - 1];
    for (int at = 1; at < len; at++) {
        number = number << 6 | (bytes[at] & 0x3f);
    }
    return number;
}

static bool is_bidirectional(int32_t number)
{
    return number == 0x61c || number == 0x200e || number == 0x200f ||
           (number >= 0x202a && number <= 0x202e) || (number >= 0x2066 && number <= 0x2069);
}

static int character_len(struct mvm_text text)
{
    return mvm_utf8_next((const uint8_t *)text.bytes, text.len);
}

int32_t mvm_control_number(struct mvm_text text)
{
    int len = character_len(text);
    int32_t number = len > 0 ? decode((const uint8_t *)text.bytes, len) : -1;
    bool is_control = number < ' ' || (number >= DEL && number < MVM_CONTROL_BIDIRECTIONAL) ||
                      is_bidirectional(number);
    return is_control ? number : -1;
}

bool mvm_control_may_begin(struct mvm_text bytes)
{
    uint8_t first = (uint8_t)bytes.bytes[0], last = (uint8_t)bytes.bytes[bytes.len - 1];
    return bytes.len == 1 ? first == 0xc2 || first == 0xd8 || first == 0xe2
                          : bytes.len == 2 && first == 0xe2 && (last == 0x80 || last == 0x81);
}

void mvm_control_mask(char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        const struct mvm_text rest = {bytes + at, len - at};
        int whole = character_len(rest);
        size_t end = at + (size_t)(whole > 0 ? whole : 1);
        bool is_shown = whole > 0 && mvm_control_number(rest) < 0;
        for (; at < end; at++) {
            bytes[at] = is_shown ? bytes[at] : '?';
        }
    }
}
