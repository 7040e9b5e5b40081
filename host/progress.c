#include "progress.h"
#include <string.h>

static const char before[] = "mvm: copying ";
static const char between[] = ": ";
static const char behind[] = " bytes so far";

/* Takes `end` off the end of a text. False: it does not end with that. */
static bool cut_end(struct mvm_text *text, const char *end)
{
    size_t len = strlen(end);
    if (text->len < len || memcmp(text->bytes + text->len - len, end, len) != 0) {
        return false;
    }
    text->len -= len;
    return true;
}

/* Takes a number off the end. */
static bool cut_number(struct mvm_text *text, uint64_t *value)
{
    uint64_t scale = 1;
    size_t digits = 0;
    *value = 0;
    while (text->len > 0 && digits < 19) {
        char c = text->bytes[text->len - 1];
        if (c < '0' || c > '9') {
            break;
        }
        *value += (uint64_t)(c - '0') * scale;
        scale *= 10;
        text->len--;
        digits++;
    }
    return digits > 0;
}

bool mvm_progress_take(struct mvm_progress *p, struct mvm_text line, uint64_t now_ms)
{
    uint64_t bytes;
    if (!mvm_text_begins(line, before)) {
        return false;
    }
    struct mvm_text name = {line.bytes + sizeof before - 1, line.len - (sizeof before - 1)};
    if (!cut_end(&name, behind) || !cut_number(&name, &bytes) || !cut_end(&name, between) ||
        name.len == 0 || name.len >= sizeof p->name) {
        return false;
    }
    bool same = mvm_text_equal(name, p->name) && bytes >= p->bytes && now_ms > p->at_ms;
    p->per_second = same ? (bytes - p->bytes) * 1000 / (now_ms - p->at_ms) : 0;
    p->bytes = bytes;
    p->at_ms = now_ms;
    memcpy(p->name, name.bytes, name.len);
    p->name[name.len] = '\0';
    return true;
}

/* With one digit behind the point, from KiB on. */
static void add_amount(struct mvm_writer *w, uint64_t bytes)
{
    static const char *const units[] = {" KiB", " MiB", " GiB", " TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
    while (tenths >= 10240 && unit + 1 < sizeof units / sizeof units[0]) {
        tenths /= 1024;
        unit++;
    }
    mvm_writer_add_u64(w, tenths / 10);
    mvm_writer_add(w, ".");
    mvm_writer_add_u64(w, tenths % 10);
    mvm_writer_add(w, units[unit]);
}

void mvm_progress_show(const struct mvm_progress *p, struct mvm_writer *w)
{
    mvm_writer_add(w, p->name);
    mvm_writer_add(w, ", ");
    add_amount(w, p->bytes);
    if (p->per_second > 0) {
        mvm_writer_add(w, ", ");
        add_amount(w, p->per_second);
        mvm_writer_add(w, "/s");
    }
}
