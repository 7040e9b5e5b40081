#include "tail.h"
#include "mvm_utf8.h"
#include <string.h>

void mvm_tail_add(struct mvm_tail *t, struct mvm_text line)
{
    size_t kept = line.len;
    if (kept > MVM_TAIL_LINE_CAP) {
        kept = mvm_utf8_boundary((const uint8_t *)line.bytes, MVM_TAIL_LINE_CAP);
    }
    size_t at = t->count % MVM_TAIL_LINES;
    memcpy(t->lines[at].bytes, line.bytes, kept);
    t->lines[at].kept = (uint32_t)kept;
    t->lines[at].left_out = line.len - kept;
    t->count++;
}

static void show_line(const struct mvm_tail *t, size_t at, struct mvm_sink *s, const char *reset)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    mvm_sink_add_string(s, "  | ");
    mvm_sink_add(s, (struct mvm_text){t->lines[at].bytes, t->lines[at].kept});
    mvm_sink_add_string(s, reset);
    if (t->lines[at].left_out > 0) {
        mvm_sink_add_string(s, " [and ");
        mvm_sink_add(s, mvm_text_decimal(digits, t->lines[at].left_out));
        mvm_sink_add_string(s, " bytes]");
    }
    mvm_sink_add_string(s, "\n");
}

void mvm_tail_show(const struct mvm_tail *t, struct mvm_sink *s, const char *reset)
{
    if (t->count <= MVM_TAIL_LINES) {
        return;
    }
    mvm_sink_add_string(s, "mvm-builder: the last lines of the log:\n");
    for (uint64_t n = t->count - MVM_TAIL_LINES; n < t->count; n++) {
        show_line(t, n % MVM_TAIL_LINES, s, reset);
    }
}
