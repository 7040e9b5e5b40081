/*
 * Runs files of recorded verdicts (see README.md beside this file) against decoder and encoder:
 *     vectors FILE.tsv …
 * Each frame is decoded whole, byte by byte, and cut in two at every position; each message is
 * encoded into room of every size in `rooms`. The last line is "N passed, M failed", in cases.
 */
#define _POSIX_C_SOURCE 200809L
#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    char direction; /* q, s: a frame · l: what a build printed */
    uint8_t *bytes;
    size_t len;
    const char *verdict;
    const char *canonical; /* after ok */
};

static char fields[1 << 20];

static const size_t rooms[] = {1, 2, 3, 7, 4096};

/* Encodes with `room` bytes at a time and compares with the canonical text and a newline. */
static bool encodes_to(const struct mvm_message *m, const char *canonical, size_t room)
{
    size_t want = strlen(canonical) + 1;
    uint8_t *out = malloc(want + room);
    struct mvm_encoder e;
    size_t at = 0;
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, m);
    while (!mvm_encoder_idle(&e) && at < want) {
        at += mvm_encoder_pull(&e, out + at, room);
    }
    bool same = mvm_encoder_idle(&e) && at == want && memcmp(out, canonical, want - 1) == 0 &&
                out[want - 1] == '\n';
    free(out);
    return same;
}

static bool encodes(const struct mvm_message *m, const char *canonical)
{
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        if (!encodes_to(m, canonical, rooms[i])) {
            return false;
        }
    }
    return true;
}

/* What one frame came to; a message's encoding is checked while its texts stand. */
struct outcome {
    unsigned messages;
    unsigned refusals;
    bool same; /* every message encodes to the canonical text */
};

static void push(struct mvm_decoder *d, const uint8_t *bytes, size_t len, const char *canonical,
                 struct outcome *o)
{
    while (len > 0) {
        size_t used;
        enum mvm_decoder_status status = mvm_decoder_push(d, bytes, len, &used);
        if (status == MVM_DECODER_MESSAGE) {
            o->messages++;
            o->same = o->same && canonical != NULL && encodes(&d->message, canonical);
        }
        o->refusals += status == MVM_DECODER_BAD_FRAME;
        bytes += used;
        len -= used;
    }
}

static bool as_expected(const struct test_case *c, const struct outcome *o)
{
    bool ok = strcmp(c->verdict, "ok") == 0;
    bool err = strcmp(c->verdict, "err") == 0;
    return o->messages == (ok ? 1u : 0u) && o->refusals == (err ? 1u : 0u) && o->same;
}

/* The next line on the connection decodes as if it had been the first. */
static bool goes_on(struct mvm_decoder *d, char direction)
{
    const char *line = direction == 'q' ? "\"Ping\"\n" : "\"Pong\"\n";
    const char *canonical = direction == 'q' ? "\"Ping\"" : "\"Pong\"";
    struct outcome o = {0, 0, true};
    push(d, (const uint8_t *)line, strlen(line), canonical, &o);
    return o.messages == 1 && o.refusals == 0 && o.same;
}

/* The line with a cut at `cut`; `single`: a byte at a time. */
static bool decodes(const struct test_case *c, const uint8_t *line, size_t len, size_t cut,
                    bool single)
{
    struct mvm_decoder d;
    struct outcome o = {0, 0, true};
    mvm_decoder_init(&d, c->direction == 'q' ? MVM_REQUESTS : MVM_RESPONSES, fields, sizeof fields);
    if (single) {
        for (size_t i = 0; i < len; i++) {
            push(&d, line + i, 1, c->canonical, &o);
        }
    } else {
        push(&d, line, cut, c->canonical, &o);
        push(&d, line + cut, len - cut, c->canonical, &o);
    }
    return as_expected(c, &o) && goes_on(&d, c->direction);
}

static bool run_frame(const struct test_case *c)
{
    uint8_t *line = malloc(c->len + 1);
    bool passed = true;
    memcpy(line, c->bytes, c->len);
    line[c->len] = '\n';
    for (size_t cut = 0; cut <= c->len && passed; cut++) {
        passed = decodes(c, line, c->len + 1, cut, false);
    }
    passed = passed && decodes(c, line, c->len + 1, 0, true);
    free(line);
    return passed;
}

static bool run_case(const struct test_case *c)
{
    if (c->direction == 'l') {
        struct mvm_message m = {.kind = MVM_LOG, .text = {(const char *)c->bytes, c->len}};
        return encodes(&m, c->canonical);
    }
    return run_frame(c);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Hex, in place of itself; false: it is none. */
static bool unhex(char *text, struct test_case *c)
{
    size_t len = strlen(text);
    c->bytes = (uint8_t *)text;
    c->len = len / 2;
    for (size_t i = 0; i < c->len; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        c->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return len % 2 == 0;
}

static bool known(const struct test_case *c)
{
    bool ok = strcmp(c->verdict, "ok") == 0;
    bool frame = c->direction == 'q' || c->direction == 's';
    bool refused = strcmp(c->verdict, "err") == 0 || strcmp(c->verdict, "blank") == 0;
    return (frame && refused && c->canonical == NULL) ||
           ((frame || c->direction == 'l') && ok && c->canonical != NULL);
}

/* direction TAB hex TAB verdict [TAB canonical]; cuts `line` up. False: malformed. */
static bool parse(char *line, struct test_case *c)
{
    char *hex = strchr(line, '\t');
    char *verdict = hex == NULL ? NULL : strchr(hex + 1, '\t');
    if (verdict == NULL || hex != line + 1) {
        return false;
    }
    *hex++ = *verdict++ = '\0';
    char *canonical = strchr(verdict, '\t');
    if (canonical != NULL) {
        *canonical++ = '\0';
    }
    c->direction = line[0];
    c->verdict = verdict;
    c->canonical = canonical;
    return unhex(hex, c) && known(c);
}

static bool run_file(const char *path, unsigned long *passed, unsigned long *failed)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    char *line = NULL;
    size_t cap = 0;
    unsigned long number = 0;
    bool sound = true;
    for (ssize_t len; (len = getline(&line, &cap, file)) > 0;) {
        struct test_case c;
        number++;
        line[len - (line[len - 1] == '\n')] = '\0';
        if (!parse(line, &c)) {
            fprintf(stderr, "%s:%lu: malformed line\n", path, number);
            sound = false;
        } else if (run_case(&c)) {
            ++*passed;
        } else {
            printf("%s:%lu: failed, expected %s %s\n", path, number, c.verdict,
                   c.canonical == NULL ? "" : c.canonical);
            ++*failed;
        }
    }
    sound = sound && !ferror(file);
    free(line);
    fclose(file);
    return sound;
}

int main(int argc, char **argv)
{
    unsigned long passed = 0;
    unsigned long failed = 0;
    bool sound = argc > 1;
    if (!sound) {
        fprintf(stderr, "usage: vectors FILE.tsv ...\n");
    }
    for (int i = 1; i < argc; i++) {
        sound = run_file(argv[i], &passed, &failed) && sound;
    }
    printf("%lu passed, %lu failed\n", passed, failed);
    return sound && failed == 0 ? 0 : 1;
}
