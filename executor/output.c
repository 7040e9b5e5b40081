/*
 * The build's two pipes: bytes in, lines out. Every byte goes to build.log as it was read; a line
 * is logged without its newline and the CR before it, and one over the limit in several pieces, cut
 * between UTF-8 characters.
 */
#include "internal.h"
#include "mvm_utf8.h"
#include <string.h>

void mvm_executor_output_reset(struct mvm_executor *x)
{
    for (int i = 0; i < MVM_PORT_STREAMS; i++) {
        struct mvm_output *o = &x->output[i];
        o->start = o->end = o->scanned = o->next = 0;
        o->ended = o->continued = false;
    }
    x->turn = MVM_PORT_STDERR;
    x->unlogged = 0;
}

bool mvm_executor_output_ended(const struct mvm_executor *x)
{
    return x->output[MVM_PORT_STDOUT].ended && x->output[MVM_PORT_STDERR].ended;
}

static struct mvm_text slice(const struct mvm_output *o, size_t len)
{
    return (struct mvm_text){(const char *)o->bytes + o->start, len};
}

/* The next piece of a stream, if one is complete: `*line`, and where the following one starts. */
static bool next_piece(struct mvm_output *o, struct mvm_text *line)
{
    size_t have = o->end - o->start;
    const uint8_t *newline = NULL;
    if (o->end > o->scanned) {
        newline = memchr(o->bytes + o->scanned, '\n', o->end - o->scanned);
    }
    o->scanned = newline != NULL ? (uint32_t)(newline - o->bytes) : o->end;
    size_t len = o->scanned - o->start;
    bool whole = newline != NULL || (o->ended && have > 0);
    if (!whole && have < sizeof o->bytes) {
        return false;
    }
    if (whole && len > 0 && o->bytes[o->start + len - 1] == '\r') {
        len--;
    }
    if (!whole || len > MVM_LOG_LINE_MAX) {
        len = mvm_utf8_boundary(o->bytes + o->start, MVM_LOG_LINE_MAX);
        o->next = o->start + (uint32_t)len;
    } else {
        o->next = o->scanned + (newline != NULL ? 1 : 0);
    }
    *line = slice(o, len);
    return true;
}

static void accept_piece(struct mvm_executor *x, struct mvm_text line)
{
    const struct mvm_output *o = &x->output[x->turn];
    x->text = line;
    if (x->turn == MVM_PORT_STDOUT && !o->continued) {
        mvm_nix_result_line(&x->result, line);
    }
}

/* A stream keeps its turn until it has no complete line left, so each gets one in every round. */
bool mvm_executor_next_line(struct mvm_executor *x)
{
    for (int i = 0; i < MVM_PORT_STREAMS; i++) {
        struct mvm_text line;
        if (next_piece(&x->output[x->turn], &line)) {
            accept_piece(x, line);
            return true;
        }
        x->turn = x->turn == MVM_PORT_STDERR ? MVM_PORT_STDOUT : MVM_PORT_STDERR;
    }
    return false;
}

void mvm_executor_drop_line(struct mvm_executor *x)
{
    struct mvm_output *o = &x->output[x->turn];
    o->continued = o->next == o->start + x->text.len && o->next < o->end;
    o->start = o->scanned = o->next;
    if (o->start == o->end) {
        o->start = o->end = o->scanned = 0;
    }
}

/* Moves what is left of a line to the front: less than a line, once a read. */
static void make_room(struct mvm_output *o)
{
    if (o->start > 0) {
        memmove(o->bytes, o->bytes + o->start, o->end - o->start);
        o->scanned -= o->start;
        o->end -= o->start;
        o->start = 0;
    }
}

static void note_broken(struct mvm_executor *x, const char *reason)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add(&w, "the build's output cannot be read on: ");
    mvm_writer_add(&w, reason);
    mvm_executor_noted(x, &w);
}

/* Reads from a stream. True: bytes were read, or the stream ended. */
static bool fill_output(struct mvm_executor *x, enum mvm_stream stream)
{
    struct mvm_output *o = &x->output[stream];
    if (o->ended || x->pending != MVM_EXECUTOR_PENDING_NONE || x->unlogged > 0) {
        return false;
    }
    make_room(o);
    int cap = (int)(sizeof o->bytes - o->end);
    int n = x->port->read_output(x->ctx, stream, o->bytes + o->end, (size_t)cap);
    if (n == 0) {
        return false;
    }
    if (n < 0 || n > cap) {
        o->ended = true;
        if (n != MVM_PORT_END) {
            note_broken(x, mvm_executor_reason(x, n > cap));
        }
        return true;
    }
    if (stream == MVM_PORT_STDOUT) {
        mvm_nix_result_push(&x->result, o->bytes + o->end, (size_t)n);
    }
    o->end += (uint32_t)n;
    x->drained += (uint32_t)n;
    x->unlogged_of = stream;
    x->unlogged = x->log_failed ? 0 : (uint32_t)n;
    mvm_executor_log_flush(x);
    return true;
}

bool mvm_executor_fill(struct mvm_executor *x)
{
    bool some = fill_output(x, MVM_PORT_STDOUT);
    return fill_output(x, MVM_PORT_STDERR) || some;
}
