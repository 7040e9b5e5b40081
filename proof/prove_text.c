/* What parser and encoder are built on: UTF-8, and runs of plain bytes without vectors. */
#include "any.h"
#include "mvm_run.h"
#include "mvm_utf8.h"

enum { RUN_MAX = 6 }; /* bytes: a character of the longest kind, and what may be around it */

bool copy_stays_in_place(const void *to, size_t len)
{
    (void)to;
    (void)len;
    return true;
}

void utf8_check(void)
{
    struct mvm_utf8 u;
    assume(mvm_utf8_invariant(&u));
    uint8_t byte;
    if (mvm_utf8_check(&u, byte)) {
        prove(mvm_utf8_invariant(&u), "a byte that is taken keeps the invariant");
        possible(u.missing == 3, "a character of four bytes");
    }
    possible(u.missing == 0, "a whole character");
}

void utf8_next(void)
{
    size_t len = any_len();
    assume(len > 0);
    int n = mvm_utf8_next(any_memory(len), len);
    prove(n >= -3 && n <= 4, "a character has up to four bytes, an ill-formed part up to three");
    prove(n <= 0 || (size_t)n <= len, "a character lies within the bytes");
    prove(n >= 0 || (size_t)-n <= len, "an ill-formed part lies within the bytes");
    possible(n == 4, "a character of four bytes");
    possible(n == -3, "an ill-formed part of three bytes");
    possible(n == 0, "a character cut short");
}

void plain_copy(void)
{
    size_t len = any_size();
    assume(len > 0 && len <= RUN_MAX);
    size_t run = mvm_run_copy(any_bool() ? NULL : any_memory(len), any_memory(len), len);
    prove(run <= len, "a run lies within the bytes");
    possible(run == RUN_MAX, "a run of everything");
    possible(run == 0, "no run");
}
