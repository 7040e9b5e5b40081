/*
 * Messages → JSON lines. A frame is punctuation and, between it, texts or a number; `step` says
 * which of these comes. What does not fit the room whole (an escape, a character, the number) waits
 * in `pending`.
 */
#include "mvm_encoder.h"
#include "mvm_scan.h"
#include "mvm_utf8.h"
#include <string.h>

/* Punctuation n goes before text n; the last one ends the frame. */
static const char *const punctuation[][4] = {
    [MVM_BUILD] = {"{\"Build\":{\"flake_ref\":\"", "\",\"attr\":\"",
                   "\",\"timeout_secs\":", "}}\n"},
    [MVM_PING] = {"\"Ping\"\n"},
    [MVM_OK] = {"{\"Ok\":{\"out_path\":\"", "\"}}\n"},
    [MVM_ERR] = {"{\"Err\":{\"message\":\"", "\"}}\n"},
    [MVM_LOG] = {"{\"Log\":{\"line\":\"", "\"}}\n"},
    [MVM_PONG] = {"\"Pong\"\n"},
};

enum { PIECES = 4, TIMEOUT = 2 };

void mvm_encoder_init(struct mvm_encoder *e)
{
    memset(e, 0, sizeof *e);
}

bool mvm_encoder_idle(const struct mvm_encoder *e)
{
    return e->step == 0;
}

/* Steps are 1 for punctuation 0, 2 for text 0, 3 for punctuation 1, … */
static void begin_punctuation(struct mvm_encoder *e)
{
    unsigned n = e->step / 2u;
    const char *next = n < PIECES ? punctuation[e->message.kind][n] : NULL;
    if (next == NULL) {
        e->step = 0;
        return;
    }
    e->source = mvm_text_from(next);
    e->escaping = 0;
}

void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m)
{
    e->message = *m;
    e->step = 1;
    e->pending_at = e->pending_len = 0;
    begin_punctuation(e);
}

static void pend(struct mvm_encoder *e, const char *bytes, size_t len)
{
    memcpy(e->pending, bytes, len);
    e->pending_at = 0;
    e->pending_len = (uint8_t)len;
}

static void begin_timeout(struct mvm_encoder *e)
{
    const struct mvm_build *b = &e->message.build;
    char digits[21];
    struct mvm_writer w;
    mvm_writer_init(&w, digits, sizeof digits);
    if (b->has_timeout) {
        mvm_writer_add_u64(&w, b->timeout_secs);
    } else {
        mvm_writer_add(&w, "null");
    }
    pend(e, digits, w.len);
}

static void begin_text(struct mvm_encoder *e)
{
    unsigned n = e->step / 2u - 1;
    e->escaping = 1;
    if (e->message.kind != MVM_BUILD) {
        e->source = e->message.text;
    } else if (n == TIMEOUT) {
        begin_timeout(e);
    } else {
        e->source = n == 0 ? e->message.build.flake_ref : e->message.build.attr;
    }
}

/* The piece has been written: on to the next. A frame of one piece has no text behind it. */
static void advance(struct mvm_encoder *e)
{
    bool punctuated = e->step % 2 == 1;
    unsigned n = e->step / 2u + 1;
    e->step++;
    if (punctuated && n < PIECES && punctuation[e->message.kind][n] != NULL) {
        begin_text(e);
    } else if (punctuated) {
        e->step = 0;
    } else {
        begin_punctuation(e);
    }
}

static void drop(struct mvm_text *t, size_t len)
{
    t->bytes += len;
    t->len -= len;
}

/* serde_json's escapes: the short ones where JSON has them, else \u00XX in lower case. */
static void escape(struct mvm_encoder *e, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "btn?fr"; /* 0x08 … 0x0d; 0x0b has none */
    char text[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    bool quoted = byte == '"' || byte == '\\';
    bool named = byte >= 0x08 && byte <= 0x0d && byte != 0x0b;
    if (quoted || named) {
        text[1] = quoted ? (char)byte : shorts[byte - 0x08];
    }
    pend(e, text, quoted || named ? 2 : 6);
}

/* Characters outside ASCII, as long as they come. */
static size_t copy_characters(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    size_t at = 0;
    while (e->source.len > 0 && (uint8_t)e->source.bytes[0] >= 0x80) {
        int n = mvm_utf8_next((const uint8_t *)e->source.bytes, e->source.len);
        if (n <= 0) {
            pend(e, "\xef\xbf\xbd", 3);
            drop(&e->source, n < 0 ? (size_t)-n : e->source.len);
            break;
        }
        size_t len = (size_t)n;
        if (len > cap - at) {
            pend(e, e->source.bytes, len);
            drop(&e->source, len);
            break;
        }
        memcpy(out + at, e->source.bytes, len);
        at += len;
        drop(&e->source, len);
    }
    return at;
}

/* Some of the text, escaped; what is begun and does not fit is pending afterwards. */
static size_t write_text(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    const uint8_t *bytes = (const uint8_t *)e->source.bytes;
    size_t run = mvm_scan_plain(bytes, e->source.len < cap ? e->source.len : cap);
    if (run > 0) {
        memcpy(out, bytes, run);
        drop(&e->source, run);
        return run;
    }
    if (bytes[0] >= 0x80) {
        return copy_characters(e, out, cap);
    }
    escape(e, bytes[0]);
    drop(&e->source, 1);
    return 0;
}

static size_t write_pending(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    size_t len = (size_t)(e->pending_len - e->pending_at);
    len = len < cap ? len : cap;
    memcpy(out, e->pending + e->pending_at, len);
    e->pending_at = (uint8_t)(e->pending_at + len);
    return len;
}

static size_t write_punctuation(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    size_t len = e->source.len < cap ? e->source.len : cap;
    memcpy(out, e->source.bytes, len);
    drop(&e->source, len);
    return len;
}

size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    size_t at = 0;
    while (at < cap && e->step != 0) {
        if (e->pending_at < e->pending_len) {
            at += write_pending(e, out + at, cap - at);
        } else if (e->source.len == 0) {
            advance(e);
        } else if (e->escaping) {
            at += write_text(e, out + at, cap - at);
        } else {
            at += write_punctuation(e, out + at, cap - at);
        }
    }
    /* The last byte of a frame ends it, although nobody asked for another. */
    if (e->step != 0 && e->source.len == 0 && e->pending_at == e->pending_len) {
        advance(e);
    }
    return at;
}
