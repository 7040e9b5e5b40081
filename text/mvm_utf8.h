/*
 * UTF-8 (RFC 3629): validation, of one sequence or byte by byte. Freestanding.
 *
 * "Maximal subpart" is Unicode 15, 3.9: the longest prefix of an ill-formed sequence that could
 * have begun a well-formed one. Each becomes one U+FFFD; that is what Rust's from_utf8_lossy,
 * the reference agent's conversion, does.
 */
#ifndef MVM_UTF8_H
#define MVM_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One sequence at the front of bytes[0 … len-1], len ≥ 1.
 *   > 0  a well-formed character of that many bytes (1 to 4)
 *   < 0  ill formed: a maximal subpart of minus that many bytes (1 to 3)
 *   0    a well-formed beginning that the end of the bytes cuts short
 */
int mvm_utf8_next(const uint8_t *bytes, size_t len);

/* Writes the character `code`, up to U+10FFFF, and returns its length, 1 to 4. */
size_t mvm_utf8_put(uint8_t *to, uint32_t code);

/*
 * How many bytes of bytes[0 … len-1] to use so that no character is cut in two: `len`, or up to
 * three less if they end inside a sequence. 0 only if len is 0 or all bytes (at most three) are the
 * beginning of one sequence. Reads four bytes at most.
 */
size_t mvm_utf8_boundary(const uint8_t *bytes, size_t len);

/*
 * An incremental validator; zero-initialised it is between characters. `mvm_utf8_check` takes one
 * byte; false: the bytes so far are ill formed and the state is void. `mvm_utf8_whole`: whether the
 * bytes so far end after a whole character.
 */
struct mvm_utf8 {
    uint8_t missing; /* continuation bytes still to come, 0 to 3 */
    uint8_t low;     /* bounds of the next one, if missing > 0 */
    uint8_t high;
};

bool mvm_utf8_check(struct mvm_utf8 *u, uint8_t byte);
bool mvm_utf8_whole(const struct mvm_utf8 *u);

#ifdef __cplusplus
}
#endif

#endif
