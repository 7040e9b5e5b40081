#define _GNU_SOURCE
#include "status.h"
#include "visible.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

enum { COLUMNS_UNKNOWN = 80 };

void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink, bool wanted)
{
    const char *term = getenv("TERM");
    *s = (struct mvm_status){.sink = sink};
    s->colours =
        isatty(sink->fd) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
    s->on_terminal = wanted && s->colours;
}

void mvm_status_start(struct mvm_status *s, const char *what)
{
    s->since_ms = mvm_clock_ms();
    s->drawn_ms = 0;
    s->heard_ms = 0;
    mvm_status_change(s, what, (struct mvm_text){NULL, 0});
}

void mvm_status_change(struct mvm_status *s, const char *what, struct mvm_text detail)
{
    struct mvm_writer w;
    mvm_writer_init(&w, s->detail, sizeof s->detail);
    mvm_writer_add_text(&w, detail);
    s->what = s->on_terminal ? what : NULL;
    s->permille = -1;
    s->stale = true;
}

void mvm_status_progress(struct mvm_status *s, const char *what, struct mvm_text detail,
                         int permille)
{
    mvm_status_change(s, what, detail);
    s->permille = permille;
}

static void add_two_digits(struct mvm_writer *w, uint64_t value)
{
    mvm_writer_add(w, value < 10 ? ":0" : ":");
    mvm_writer_add_u64(w, value);
}

static uint64_t seconds(const struct mvm_status *s)
{
    return (mvm_clock_ms() - s->since_ms) / 1000;
}

static void add_seconds(struct mvm_writer *w, uint64_t secs)
{
    if (secs < 3600) {
        mvm_writer_add_u64(w, secs / 60);
    } else {
        mvm_writer_add_u64(w, secs / 3600);
        add_two_digits(w, secs / 60 % 60);
    }
    add_two_digits(w, secs % 60);
}

void mvm_status_add_time(const struct mvm_status *s, struct mvm_writer *w)
{
    add_seconds(w, seconds(s));
}

void mvm_status_received(struct mvm_status *s)
{
    s->heard_ms = mvm_clock_ms();
}

static void add_detail(const struct mvm_status *s, uint64_t now_ms, struct mvm_writer *w)
{
    if (s->heard_ms != 0 && now_ms - s->heard_ms >= MVM_HOST_QUIET_MS) {
        mvm_writer_add(w, " nothing heard for ");
        add_seconds(w, (now_ms - s->heard_ms) / 1000);
    } else if (s->detail[0] != '\0') {
        mvm_writer_add(w, " ");
        mvm_writer_add(w, s->detail);
    }
}

/* Read for each draw: a terminal can change its size. */
static size_t columns(const struct mvm_status *s)
{
    struct winsize size;
    return ioctl(s->sink->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                         : COLUMNS_UNKNOWN;
}

static void add_bar(struct mvm_writer *w, size_t room, int permille)
{
    size_t width = room > w->len + sizeof " []" - 1 ? room - w->len - (sizeof " []" - 1) : 0;
    width = width < MVM_STATUS_BAR_MOST ? width : MVM_STATUS_BAR_MOST;
    if (permille < 0 || width < MVM_STATUS_BAR_LEAST) {
        return;
    }
    mvm_writer_add(w, " [");
    for (size_t i = 0; i < width; i++) {
        mvm_writer_add(w, i * 1000 < width * (size_t)permille ? "#" : ".");
    }
    mvm_writer_add(w, "]");
}

void mvm_status_draw(struct mvm_status *s)
{
    char text[MVM_STATUS_DETAIL_MAX + MVM_STATUS_BAR_MOST + 64];
    struct mvm_writer w;
    uint64_t now_ms = mvm_clock_ms();
    if (now_ms < mvm_status_deadline(s)) {
        return;
    }
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, s->what);
    mvm_writer_add(&w, " ");
    mvm_status_add_time(s, &w);
    add_detail(s, now_ms, &w);
    /* Some terminals wrap as soon as the last column is filled. */
    size_t room = columns(s) - 1;
    add_bar(&w, room, s->permille);
    mvm_sink_add_string(s->sink, MVM_VISIBLE_RESET CLEAR_LINE);
    mvm_sink_add(s->sink, (struct mvm_text){text, w.len < room ? w.len : room});
    s->second_ms = s->since_ms + (seconds(s) + 1) * 1000;
    s->drawn_ms = now_ms;
    s->shown = true;
    s->stale = false;
}

uint64_t mvm_status_deadline(const struct mvm_status *s)
{
    uint64_t earliest_ms = s->drawn_ms + MVM_STATUS_REDRAW_MS;
    if (s->what == NULL) {
        return MVM_NEVER;
    }
    return !s->shown || s->stale || s->second_ms < earliest_ms ? earliest_ms : s->second_ms;
}

void mvm_status_clear(struct mvm_status *s)
{
    if (s->shown) {
        mvm_sink_add_string(s->sink, CLEAR_LINE);
        s->shown = false;
    }
}

void mvm_status_plain(struct mvm_status *s)
{
    if (s->what != NULL) {
        mvm_sink_add_string(s->sink, MVM_VISIBLE_RESET);
    }
    mvm_status_clear(s);
}

void mvm_status_finish(struct mvm_status *s)
{
    mvm_status_clear(s);
    s->what = NULL;
}
