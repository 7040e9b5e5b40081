#include "control.h"
#include "mvm_utf8.h"

enum { DEL = 0x7f };

/* The number of a character of `len` bytes, 1 to 4. */
static int32_t decode(const uint8_t *bytes, int len)
{
    int32_t number = bytes[0] & (len == 1 ? 0x7f : 0x7f >> len);
    for (int at = 1; at < len; at++) {
        number = number << 6 | (bytes[at] & 0x3f);
    }
    return number;
}

static const uint16_t controls[][2] = {{0, 0x1f},        {DEL, 0x9f},      {0x61c, 0x61c},
                                       {0x200e, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069}};

static int character_len(struct mvm_text text)
{
    return mvm_utf8_next((const uint8_t *)text.bytes, text.len);
}

int32_t mvm_control_number(struct mvm_text text)
{
    int len = character_len(text);
    int32_t number = len > 0 ? decode((const uint8_t *)text.bytes, len) : -1;
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        if (number >= controls[i][0] && number <= controls[i][1]) {
            return number;
        }
    }
    return -1;
}

bool mvm_control_may_begin(struct mvm_text bytes)
{
    uint8_t first = (uint8_t)bytes.bytes[0], last = (uint8_t)bytes.bytes[bytes.len - 1];
    return bytes.len == 1 ? first == 0xc2 || first == 0xd8 || first == 0xe2
                          : bytes.len == 2 && first == 0xe2 && (last == 0x80 || last == 0x81);
}

void mvm_control_mask(char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        const struct mvm_text rest = {bytes + at, len - at};
        bool plain = bytes[at] >= ' ' && bytes[at] < DEL; /* nearly all are */
        int whole = plain ? 1 : character_len(rest);
        if (plain || (whole > 0 && mvm_control_number(rest) < 0)) {
            at += (size_t)whole;
        } else {
            bytes[at++] = '?'; /* what is left of a character is not UTF-8 */
        }
    }
}
