#include "status.h"
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink)
{
    *s = (struct mvm_status){.sink = sink, .on_terminal = isatty(sink->fd) == 1};
}

void mvm_status_start(struct mvm_status *s, const char *what)
{
    s->what = s->on_terminal ? what : NULL;
    s->since_ms = mvm_clock_ms();
    s->redraw_ms = s->since_ms;
}

static void add_two_digits(struct mvm_writer *w, uint64_t value)
{
    mvm_writer_add(w, value < 10 ? ":0" : ":");
    mvm_writer_add_u64(w, value);
}

static void add_elapsed(struct mvm_writer *w, uint64_t secs)
{
    if (secs < 3600) {
        mvm_writer_add_u64(w, secs / 60);
    } else {
        mvm_writer_add_u64(w, secs / 3600);
        add_two_digits(w, secs / 60 % 60);
    }
    add_two_digits(w, secs % 60);
}

void mvm_status_draw(struct mvm_status *s)
{
    uint64_t now_ms = mvm_clock_ms();
    if (s->what == NULL || (s->shown && now_ms < s->redraw_ms)) {
        return;
    }
    char text[80];
    struct mvm_writer w;
    uint64_t secs = (now_ms - s->since_ms) / 1000;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, CLEAR_LINE);
    mvm_writer_add(&w, s->what);
    mvm_writer_add(&w, " ");
    add_elapsed(&w, secs);
    mvm_sink_add(s->sink, mvm_writer_finish(&w));
    s->redraw_ms = s->since_ms + (secs + 1) * 1000;
    s->shown = true;
}

void mvm_status_clear(struct mvm_status *s)
{
    if (s->shown) {
        mvm_sink_add_string(s->sink, CLEAR_LINE);
        s->shown = false;
    }
}

void mvm_status_finish(struct mvm_status *s)
{
    mvm_status_clear(s);
    s->what = NULL;
}

uint64_t mvm_status_deadline(const struct mvm_status *s)
{
    return s->what != NULL ? s->redraw_ms : MVM_NEVER;
}
