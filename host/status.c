#include "status.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

/* What a dumb terminal gets would stay. */
static bool can_be_written_over(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) == 1 && (term == NULL || strcmp(term, "dumb") != 0);
}

void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink)
{
    *s = (struct mvm_status){.sink = sink, .on_terminal = can_be_written_over(sink->fd)};
}

void mvm_status_start(struct mvm_status *s, const char *phase)
{
    s->since_ms = mvm_clock_ms();
    mvm_status_change(s, phase, "");
}

void mvm_status_change(struct mvm_status *s, const char *phase, const char *detail)
{
    s->phase = s->on_terminal ? phase : NULL;
    mvm_text_join(s->detail, sizeof s->detail, detail, "", "");
    s->redraw_ms = 0;
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

/* Bytes that fit in a line without going on in the next. */
static size_t width_of(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
}

void mvm_status_draw(struct mvm_status *s)
{
    uint64_t now_ms = mvm_clock_ms();
    if (s->phase == NULL || (s->shown && now_ms < s->redraw_ms)) {
        return;
    }
    char text[MVM_STATUS_DETAIL_CAP + 64];
    struct mvm_writer w;
    uint64_t secs = (now_ms - s->since_ms) / 1000;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add3(&w, s->phase, s->detail[0] != '\0' ? " " : "", s->detail);
    mvm_writer_add(&w, " ");
    add_elapsed(&w, secs);
    size_t width = width_of(s->sink->fd);
    mvm_sink_add_string(s->sink, CLEAR_LINE);
    mvm_sink_add(s->sink, (struct mvm_text){text, w.len < width ? w.len : width});
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

void mvm_status_finish(struct mvm_status *s, const char *done)
{
    mvm_status_clear(s);
    if (s->phase != NULL && done != NULL) {
        char text[64];
        struct mvm_writer w;
        mvm_writer_init(&w, text, sizeof text);
        mvm_writer_add3(&w, "mvm-builder: ", done, " ");
        add_elapsed(&w, (mvm_clock_ms() - s->since_ms) / 1000);
        mvm_writer_add(&w, "\n");
        mvm_sink_add(s->sink, mvm_writer_finish(&w));
    }
    s->phase = NULL;
}

uint64_t mvm_status_deadline(const struct mvm_status *s)
{
    return s->phase != NULL ? s->redraw_ms : MVM_NEVER;
}
