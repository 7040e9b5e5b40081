/*
 * Runs files of frame vectors against the codec; README.md here describes them.
 */
#define _GNU_SOURCE /* getline */
#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verdict { OK, ERR, BLANK };

struct bytes {
    uint8_t *at;
    size_t len;
};

struct test_case {
    char direction;
    struct bytes input; /* the frame with its newline, followed by a valid frame */
    size_t frame_len;   /* with its newline */
    enum verdict verdict;
    struct bytes canonical; /* with its newline */
};

static const size_t rooms[] = {1, 2, 3, 7, SIZE_MAX};
#define ROOMS (sizeof rooms / sizeof *rooms)

/* ---- reading -------------------------------------------------------------------------------- */

static void *allocate(size_t len)
{
    void *memory = malloc(len > 0 ? len : 1);
    if (memory == NULL) {
        perror("vectors");
        exit(1);
    }
    return memory;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return digit != NULL ? (int)(digit - digits) : -1;
}

/* Decodes `hex` to `to`; false: it is not hexadecimal. */
static bool read_hex(uint8_t *to, const char *hex)
{
    for (; hex[0] != '\0'; hex += 2) {
        int high = hex_digit(hex[0]);
        int low = high < 0 ? -1 : hex_digit(hex[1]);
        if (low < 0) {
            return false;
        }
        *to++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_verdict(enum verdict *verdict, const char *word)
{
    static const char *const words[] = {[OK] = "ok", [ERR] = "err", [BLANK] = "blank"};
    for (size_t n = 0; n < sizeof words / sizeof *words; n++) {
        if (word != NULL && strcmp(word, words[n]) == 0) {
            *verdict = (enum verdict)n;
            return true;
        }
    }
    return false;
}

/* A line of a file, without its newline, in pieces. False: it is malformed. */
static bool read_case(struct test_case *c, char *line)
{
    const char *direction = strsep(&line, "\t");
    const char *hex = strsep(&line, "\t");
    const char *verdict = strsep(&line, "\t");
    const char *canonical = line;
    if (hex == NULL || direction[0] == '\0' || strchr("qsl", direction[0]) == NULL ||
        direction[1] != '\0' || !read_verdict(&c->verdict, verdict) ||
        (canonical == NULL) != (c->verdict != OK) || (direction[0] == 'l' && c->verdict != OK)) {
        return false;
    }
    c->direction = direction[0];
    const char *next = c->direction == 'q' ? "\"Ping\"\n" : "\"Pong\"\n";
    size_t bytes = strlen(hex) / 2;
    c->frame_len = bytes + 1;
    c->input.len = c->frame_len + strlen(next);
    c->input.at = allocate(c->input.len);
    if (!read_hex(c->input.at, hex)) {
        free(c->input.at);
        return false;
    }
    c->input.at[bytes] = '\n';
    memcpy(c->input.at + c->frame_len, next, strlen(next));
    size_t len = canonical != NULL ? strlen(canonical) : 0;
    c->canonical.len = len + 1;
    c->canonical.at = allocate(len + 1);
    memcpy(c->canonical.at, canonical != NULL ? canonical : "", len);
    c->canonical.at[len] = '\n';
    return true;
}

static void free_case(struct test_case *c)
{
    free(c->input.at);
    free(c->canonical.at);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Whether the message, written into so much room at a time, is the canonical JSON. */
static bool encodes(const struct test_case *c, const struct mvm_message *message, size_t room)
{
    struct mvm_encoder e;
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, message);
    uint8_t *out = allocate(c->canonical.len);
    size_t len = 0;
    while (!mvm_encoder_idle(&e) && len < c->canonical.len) {
        size_t left = c->canonical.len - len;
        size_t written = mvm_encoder_pull(&e, out + len, left < room ? left : room);
        if (written == 0) {
            break;
        }
        len += written;
    }
    bool same =
        mvm_encoder_idle(&e) && len == c->canonical.len && memcmp(out, c->canonical.at, len) == 0;
    free(out);
    return same;
}

static bool encodes_in_any_room(const struct test_case *c, const struct mvm_message *message)
{
    for (size_t n = 0; n < ROOMS; n++) {
        if (!encodes(c, message, rooms[n])) {
            return false;
        }
    }
    return true;
}

struct run {
    const struct test_case *c;
    struct mvm_decoder decoder;
    int frames;      /* decoded so far, including the valid frame after the case's */
    int errors;      /* refused */
    bool went_wrong; /* a message that is not encoded as it should be */
};

static void push(struct run *run, size_t from, size_t to)
{
    const struct test_case *c = run->c;
    while (from < to) {
        size_t used;
        enum mvm_decoder_status status =
            mvm_decoder_push(&run->decoder, c->input.at + from, to - from, &used);
        from += used;
        run->errors += status == MVM_DECODER_BAD_FRAME;
        if (status != MVM_DECODER_MESSAGE) {
            run->went_wrong = run->went_wrong || used == 0;
            if (used == 0) {
                return;
            }
            continue;
        }
        run->frames++;
        if (from <= c->frame_len) {
            run->went_wrong |= c->verdict != OK || !encodes_in_any_room(c, &run->decoder.message);
        } else {
            enum mvm_kind kind = c->direction == 'q' ? MVM_MESSAGE_PING : MVM_MESSAGE_PONG;
            run->went_wrong |= run->decoder.message.kind != kind;
        }
    }
}

/* The case in pieces: up to `cut`, then `step` bytes each. */
static bool decodes(const struct test_case *c, size_t cut, size_t step, char *fields)
{
    struct run run = {.c = c};
    mvm_decoder_init(&run.decoder,
                     c->direction == 'q' ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES, fields,
                     c->input.len);
    push(&run, 0, cut);
    for (size_t at = cut; at < c->input.len;) {
        size_t end = c->input.len - at > step ? at + step : c->input.len;
        push(&run, at, end);
        at = end;
    }
    return !run.went_wrong && run.frames == 1 + (c->verdict == OK) &&
           run.errors == (c->verdict == ERR);
}

static bool decodes_in_any_pieces(const struct test_case *c)
{
    char *fields = allocate(c->input.len);
    bool fine = decodes(c, 0, 1, fields);
    for (size_t cut = 0; fine && cut < c->input.len; cut++) {
        fine = decodes(c, cut, SIZE_MAX, fields);
    }
    free(fields);
    return fine;
}

static bool passes(const struct test_case *c)
{
    if (c->direction != 'l') {
        return decodes_in_any_pieces(c);
    }
    struct mvm_message log = {.kind = MVM_MESSAGE_LOG,
                              .text = {(const char *)c->input.at, c->frame_len - 1}};
    return encodes_in_any_room(c, &log);
}

/* ---- verdicts of older types ---------------------------------------------------------------- */

static bool has_later_field(const struct mvm_message *m)
{
    return m->id.bytes != NULL || (m->kind == MVM_MESSAGE_BUILD && m->build.keep != 0) ||
           (m->kind == MVM_MESSAGE_LOG && m->beat != 0) ||
           (m->kind == MVM_MESSAGE_ERR &&
            (m->refusal.refused.bytes != NULL || m->refusal.category.bytes != NULL));
}

/* The first value after the variant's name is an array. */
static bool is_array(const struct test_case *c)
{
    const uint8_t *colon = memchr(c->input.at, ':', c->frame_len);
    size_t at = colon != NULL ? (size_t)(colon - c->input.at) + 1 : c->frame_len;
    while (at < c->frame_len && memchr(" \t\r", c->input.at[at], 3) != NULL) {
        at++;
    }
    return at < c->frame_len && c->input.at[at] == '[';
}

/*
 * A frame that types without the later fields refuse and types with them accept: an array that
 * continues with elements for these fields.
 */
static bool is_longer_array(const struct test_case *c)
{
    if (c->verdict != ERR || c->direction == 'l' || !is_array(c)) {
        return false;
    }
    char *fields = allocate(c->input.len);
    struct mvm_decoder d;
    size_t used;
    mvm_decoder_init(&d, c->direction == 'q' ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES,
                     fields, c->input.len);
    bool longer = mvm_decoder_push(&d, c->input.at, c->frame_len, &used) == MVM_DECODER_MESSAGE &&
                  has_later_field(&d.message);
    free(fields);
    return longer;
}

/* ---- files ---------------------------------------------------------------------------------- */

struct tally {
    unsigned long passed;
    unsigned long failed;
    unsigned long longer; /* arrays of is_longer_array, in files of older types alone */
    bool older;           /* the file's verdicts are of types without the later fields */
    bool broken;          /* a file could not be read, or not be understood */
};

static void run_line(struct tally *tally, const char *file, unsigned long number, char *line)
{
    struct test_case c;
    if (!read_case(&c, line)) {
        printf("%s:%lu: malformed line\n", file, number);
        tally->broken = true;
        return;
    }
    if (passes(&c)) {
        tally->passed++;
    } else if (tally->older && is_longer_array(&c)) {
        tally->longer++;
    } else {
        tally->failed++;
        printf("%s:%lu: failed\n", file, number);
    }
    free_case(&c);
}

/* Whether no Hello is accepted anywhere in the file, as by types from before Hello existed. */
static bool is_older(FILE *f)
{
    char *line = NULL;
    size_t cap = 0;
    bool older = true;
    while (older && getline(&line, &cap, f) > 0) {
        older = strstr(line, "\tok\t{\"Hello\":") == NULL;
    }
    free(line);
    rewind(f);
    return older;
}

static void run_file(struct tally *tally, const char *file)
{
    FILE *f = fopen(file, "r");
    if (f == NULL) {
        printf("%s: %s\n", file, strerror(errno));
        tally->broken = true;
        return;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    unsigned long number = 0;
    tally->older = is_older(f);
    while ((len = getline(&line, &cap, f)) > 0) {
        number++;
        if (line[len - 1] == '\n') {
            line[--len] = '\0';
        }
        if (strlen(line) < (size_t)len) {
            line[0] = '\0'; /* a NUL is in it: malformed */
        }
        run_line(tally, file, number, line);
    }
    if (ferror(f)) {
        printf("%s: %s\n", file, strerror(errno));
        tally->broken = true;
    }
    free(line);
    fclose(f);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE.tsv ...\n", argv[0]);
        return 1;
    }
    struct tally tally = {0};
    for (int n = 1; n < argc; n++) {
        run_file(&tally, argv[n]);
    }
    if (tally.longer > 0) {
        printf("%lu arrays with elements for later fields, which were refused before\n",
               tally.longer);
    }
    if (tally.passed == 0) {
        printf("no case\n");
    }
    printf("%lu passed, %lu failed\n", tally.passed, tally.failed);
    return tally.failed > 0 || tally.passed == 0 || tally.broken;
}
