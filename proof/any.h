/*
 * Unknown things, for harnesses: a variable without a value is any value to CBMC, a function
 * without a body returns any. What holds pointers is given memory of any size, and its invariant is
 * assumed.
 */
#ifndef MVM_ANY_H
#define MVM_ANY_H

#include "invariant.h"
#include <stdlib.h>

#define assume(condition)         __CPROVER_assume(condition)
#define prove(condition, meaning) __CPROVER_assert(condition, meaning)

/* What a harness must be able to come to, or its assumptions are too many. Looked at in a run of
 * its own, in which each of these must "fail". */
#ifdef LOOK_FOR_POSSIBLE
#define possible(condition, meaning) __CPROVER_assert(!(condition), "possible: " meaning)
#else
#define possible(condition, meaning) ((void)0)
#endif

static inline bool any_bool(void)
{
    bool any;
    return any;
}

static inline size_t any_size(void)
{
    size_t any;
    return any;
}

/* `len` bytes of memory, holding anything; CBMC catches every access outside of them. */
static inline void *any_memory(size_t len)
{
    void *memory = malloc(len);
    assume(memory != NULL);
    return memory;
}

/* A length that a buffer may have: what ptrdiff_t and CBMC's pointers can count. */
static inline size_t any_len(void)
{
    size_t len = any_size();
    assume(len <= (size_t)1 << 48);
    return len;
}

/* Whether bytes that lie in the object of `array` lie in its `cap` bytes. */
static inline bool lies_in(const void *bytes, size_t len, const void *array, size_t cap)
{
    const char *from = bytes;
    const char *start = array;
    if (!__CPROVER_same_object(from, start)) {
        return true;
    }
    return from >= start && (size_t)(from - start) <= cap && len <= cap - (size_t)(from - start);
}

static inline struct mvm_text any_text(void)
{
    struct mvm_text text = {NULL, 0};
    if (any_bool()) {
        text.len = any_len();
        text.bytes = any_memory(text.len);
    }
    return text;
}

/* Calls `any` for each text that a message of its kind may have, by name: a solver follows a fixed
 * place much better than one that is looked up. */
static inline void each_text(struct mvm_message *m, void (*any)(struct mvm_text *text))
{
    any(&m->text);
    any(&m->id);
    if (m->kind == MVM_MESSAGE_BUILD) {
        any(&m->build.flake_ref);
        any(&m->build.attr);
    } else if (m->kind != MVM_MESSAGE_LOG) {
        any(&m->hello.nonce);
        any(&m->hello.agent);
        any(&m->hello.boot);
        any(&m->hello.features);
    }
}

#endif
