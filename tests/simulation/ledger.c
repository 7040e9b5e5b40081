#include "ledger.h"
#include <stdio.h>
#include <string.h>

unsigned ledger_add(struct ledger *l, bool has_id)
{
    if (l->count >= l->limit) {
        return LEDGER_MAX;
    }
    l->builds[l->count] = (struct ledger_build){.has_id = has_id};
    return l->count++;
}

void ledger_id(unsigned n, char id[LEDGER_ID_LEN + 1])
{
    snprintf(id, LEDGER_ID_LEN + 1, "a-build-of-number-%02u", n % 100);
}

static unsigned number_behind(struct mvm_text text, size_t start)
{
    unsigned n = 0;
    for (size_t i = start; i < text.len; i++) {
        unsigned digit = (unsigned)(text.bytes[i] - '0');
        if (digit > 9 || n >= LEDGER_MAX) {
            return LEDGER_MAX;
        }
        n = 10 * n + digit;
    }
    return n < LEDGER_MAX ? n : LEDGER_MAX;
}

unsigned ledger_number(struct mvm_text id)
{
    return id.len == LEDGER_ID_LEN && mvm_text_begins(id, "a-build-of-number-")
               ? number_behind(id, LEDGER_ID_LEN - 2)
               : LEDGER_MAX;
}

unsigned ledger_number_of_attr(struct mvm_text attr)
{
    return mvm_text_begins(attr, "n") ? number_behind(attr, 1) : LEDGER_MAX;
}

void ledger_path(unsigned n, char path[LEDGER_PATH_CAP])
{
    snprintf(path, LEDGER_PATH_CAP, "/nix/store/%04u-image", n % 10000);
}

/* A source repeats the alphabet; each build begins with another letter. */
const char *ledger_source(unsigned n, uint64_t offset)
{
    static char bytes[26 + LEDGER_SOURCE_MAX];
    for (size_t i = 0; bytes[0] == '\0' && i < sizeof bytes; i++) {
        bytes[sizeof bytes - 1 - i] = (char)('a' + (sizeof bytes - 1 - i) % 26);
    }
    return bytes + (n + offset) % 26;
}

const char *const ledger_artifacts[LEDGER_ARTIFACTS] = {"kernel", "rootfs.ext4"};

void ledger_artifact_text(unsigned n, unsigned artifact, char text[LEDGER_TEXT_CAP])
{
    static const char *const begins[LEDGER_ARTIFACTS] = {"kernel", "root file system"};
    snprintf(text, LEDGER_TEXT_CAP, "%s of build %u.", begins[artifact], n);
}

void ledger_drop(struct ledger *l, unsigned n)
{
    struct ledger_build *b = &l->builds[n];
    b->drop_turn = b->drop_turn == 0 ? l->turn : b->drop_turn;
}

unsigned ledger_held(const struct ledger *l, unsigned *oldest)
{
    unsigned held = 0;
    *oldest = LEDGER_MAX;
    for (unsigned i = 0; i < l->count; i++) {
        const struct ledger_build *b = &l->builds[i];
        if (b->stream && b->ok_turn != 0 && !b->dropped) {
            held++;
            bool older = *oldest == LEDGER_MAX || b->ok_turn < l->builds[*oldest].ok_turn;
            *oldest = older ? i : *oldest;
        }
    }
    return held;
}

void ledger_begin(struct ledger *l, unsigned n)
{
    struct ledger_build *b = &l->builds[n];
    b->ok = b->dropped = false;
    b->superseded_turn = b->ok_turn = b->drop_turn = 0;
}

void ledger_supersede(struct ledger *l, unsigned n)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct ledger_build *b = &l->builds[i];
        if (i != n && b->ok && b->superseded_turn == 0) {
            b->superseded_turn = l->turn;
        }
    }
}
