/*
 * Untrusted bytes in one of our own messages: between quotes, on one line, with every
 * control character shown, and cut at MVM_HOST_QUOTE_MAX.
 */
#ifndef MVM_QUOTE_H
#define MVM_QUOTE_H

#include "host_limits.h"
#include "mvm_text.h"

/* Adds "TEXT", or the beginning of it and a mark. */
void mvm_quote_add(struct mvm_writer *w, struct mvm_text text);

#endif
