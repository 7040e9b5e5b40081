/*
 * Buffered output to a descriptor that may be slow, closed or non-blocking. While it waits for
 * the reader, a signal still ends the program.
 */
#ifndef MVM_SINK_H
#define MVM_SINK_H

#include "mvm_text.h"
#include "wait.h"

enum { MVM_SINK_CAP = 32768 };

struct mvm_sink {
    int fd;
    int error; /* 0, or errno of the write that failed, or EINTR: a signal came while the reader
                * accepted nothing. Everything after it is dropped */
    struct mvm_waiter *waiter;
    size_t len;
    char bytes[MVM_SINK_CAP];
};

void mvm_sink_init(struct mvm_sink *s, int fd, struct mvm_waiter *w);

/* Adds all of it; flushes when the buffer is full. */
void mvm_sink_add(struct mvm_sink *s, struct mvm_text text);
void mvm_sink_add_string(struct mvm_sink *s, const char *string);

/* Writes the buffer, and waits until the reader has accepted it. After a signal it does not wait:
 * what is not accepted immediately is dropped. */
void mvm_sink_flush(struct mvm_sink *s);

/* Adds untrusted text for a terminal, in the form of visible.h; `colours` as there. */
void mvm_sink_add_visible(struct mvm_sink *s, struct mvm_text text, bool colours);

#endif
