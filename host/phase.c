#include "phase.h"
#include <string.h>

void mvm_phase_init(struct mvm_phase *p)
{
    memset(p, 0, sizeof *p);
    p->kind = MVM_PHASE_MOUNTING;
}

/* ---- reading: each cuts what it names off the front of `rest` ---- */

static bool cut_word(struct mvm_text *rest, const char *word)
{
    size_t len = strlen(word);
    if (!mvm_text_begins(*rest, word)) {
        return false;
    }
    rest->bytes += len;
    rest->len -= len;
    return true;
}

static bool cut_number(struct mvm_text *rest, uint64_t *value)
{
    size_t at = 0;
    for (*value = 0; at < rest->len && rest->bytes[at] >= '0' && rest->bytes[at] <= '9'; at++) {
        *value = *value * 10 + (uint64_t)(rest->bytes[at] - '0');
        if (*value > MVM_PHASE_BYTES_MAX) {
            return false;
        }
    }
    rest->bytes += at;
    rest->len -= at;
    return at > 0;
}

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool cut_name(struct mvm_text *rest, struct mvm_text *name)
{
    size_t at = 0;
    while (at < rest->len && is_of_name(rest->bytes[at])) {
        at++;
    }
    *name = (struct mvm_text){rest->bytes, at};
    rest->bytes += at;
    rest->len -= at;
    return at > 0 && at <= MVM_PHASE_NAME_MAX;
}

/* ---- lines ---- */

static void begin_file(struct mvm_phase *p, struct mvm_text name, uint64_t done, uint64_t now_ms)
{
    memcpy(p->name, name.bytes, name.len);
    p->name[name.len] = '\0';
    p->first = done;
    p->first_ms = now_ms;
}

/* The text after "staging ". */
static bool parse_staging(struct mvm_phase *p, struct mvm_text rest, uint64_t now_ms)
{
    struct mvm_text name;
    uint64_t done, total;
    if (!cut_name(&rest, &name) || !cut_word(&rest, ", ") || !cut_number(&rest, &done) ||
        !cut_word(&rest, " of ") || !cut_number(&rest, &total) || !mvm_text_equal(rest, " bytes") ||
        done > total) {
        return false;
    }
    if (p->kind != MVM_PHASE_STAGING || !mvm_text_equal(name, p->name) || done < p->done) {
        begin_file(p, name, done, now_ms);
    }
    p->kind = MVM_PHASE_STAGING;
    p->total = total;
    p->done = done;
    p->done_ms = now_ms;
    return true;
}

void mvm_phase_move(struct mvm_phase *p, enum mvm_phase_kind kind, const char *name, uint64_t done,
                    uint64_t total, uint64_t now_ms)
{
    struct mvm_text text = mvm_text_from(name);
    if (p->kind != kind || !mvm_text_equal(text, p->name) || done < p->done) {
        text.len = text.len < MVM_PHASE_NAME_MAX ? text.len : MVM_PHASE_NAME_MAX;
        begin_file(p, text, done, now_ms);
    }
    p->kind = kind;
    p->total = total;
    p->done = done;
    p->done_ms = now_ms;
}

static bool parse_queued(struct mvm_phase *p, struct mvm_text rest)
{
    uint64_t ahead;
    if (!cut_number(&rest, &ahead) || !mvm_text_equal(rest, " ahead")) {
        return false;
    }
    p->kind = MVM_PHASE_QUEUED;
    p->ahead = ahead;
    return true;
}

bool mvm_phase_parse(struct mvm_phase *p, struct mvm_text line, uint64_t now_ms)
{
    bool own = cut_word(&line, "mvm: ");
    if (own && cut_word(&line, "staging ")) {
        return parse_staging(p, line, now_ms);
    }
    if (own && cut_word(&line, "waiting for another build, ") && parse_queued(p, line)) {
        return false;
    }
    if (own && p->kind == MVM_PHASE_QUEUED) {
        p->kind = MVM_PHASE_MOUNTING; /* it is our turn */
    } else if (!own && p->kind < MVM_PHASE_BUILDING) {
        p->kind = MVM_PHASE_BUILDING;
    }
    return false;
}

/* ---- saying ---- */

const char *mvm_phase_title(const struct mvm_phase *p)
{
    static const char *const titles[] = {
        [MVM_PHASE_QUEUED] = "queued",   [MVM_PHASE_MOUNTING] = "mounting",
        [MVM_PHASE_SENDING] = "sending", [MVM_PHASE_BUILDING] = "building",
        [MVM_PHASE_STAGING] = "staging", [MVM_PHASE_FETCHING] = "fetching",
    };
    bool prepares = p->without_disks && p->kind == MVM_PHASE_MOUNTING;
    return prepares ? "preparing" : titles[p->kind];
}

static const struct unit {
    const char *name;
    uint64_t bytes;
} units[] = {
    {" bytes", 1},      {" KiB", 1u << 10},          {" MiB", 1u << 20},
    {" GiB", 1u << 30}, {" TiB", UINT64_C(1) << 40},
};

static const struct unit *unit_for(uint64_t bytes)
{
    size_t i = sizeof units / sizeof units[0] - 1;
    while (i > 0 && bytes < units[i].bytes) {
        i--;
    }
    return &units[i];
}

/* With one decimal, rounded down: an incomplete copy is not shown as complete. */
static void add_amount(struct mvm_writer *w, uint64_t bytes, const struct unit *unit)
{
    mvm_writer_add_u64(w, bytes / unit->bytes);
    if (unit->bytes > 1) {
        mvm_writer_add(w, ".");
        mvm_writer_add_u64(w, bytes % unit->bytes * 10 / unit->bytes);
    }
}

static void add_rate(const struct mvm_phase *p, struct mvm_writer *w)
{
    if (p->done_ms > p->first_ms) {
        uint64_t rate = (p->done - p->first) * 1000 / (p->done_ms - p->first_ms);
        mvm_writer_add(w, ", ");
        add_amount(w, rate, unit_for(rate));
        mvm_writer_add(w, unit_for(rate)->name);
        mvm_writer_add(w, "/s");
    }
}

static void add_left(const struct mvm_phase *p, struct mvm_writer *w)
{
    uint64_t moved = p->done - p->first, left = p->total - p->done;
    uint64_t ms = p->done_ms - p->first_ms;
    if (moved == 0 || ms == 0 || left == 0) {
        return;
    }
    double secs = (double)left / (double)moved * (double)ms / 1000;
    uint64_t whole = secs < 359999 ? (uint64_t)secs : 359999; /* 100 hours, less a second */
    mvm_writer_add(w, ", ");
    mvm_writer_add_u64(w, whole / 60);
    mvm_writer_add(w, whole % 60 < 10 ? ":0" : ":");
    mvm_writer_add_u64(w, whole % 60);
    mvm_writer_add(w, " left");
}

int mvm_phase_permille(const struct mvm_phase *p)
{
    if (p->kind != MVM_PHASE_SENDING && p->kind != MVM_PHASE_FETCHING) {
        return -1;
    }
    return p->total > 0 ? (int)((double)p->done / (double)p->total * 1000) : 1000;
}

void mvm_phase_add_detail(const struct mvm_phase *p, struct mvm_writer *w)
{
    const struct unit *unit = unit_for(p->total);
    if (p->kind == MVM_PHASE_QUEUED) {
        mvm_writer_add_u64(w, p->ahead);
        mvm_writer_add(w, " ahead");
    }
    bool ours = mvm_phase_permille(p) >= 0;
    if (p->kind != MVM_PHASE_STAGING && !ours) {
        return;
    }
    mvm_writer_add(w, p->name);
    mvm_writer_add(w, ": ");
    add_amount(w, p->done, unit);
    mvm_writer_add(w, ours ? "/" : " of ");
    add_amount(w, p->total, unit);
    mvm_writer_add(w, unit->name);
    add_rate(p, w);
    if (ours) {
        add_left(p, w);
    }
}
