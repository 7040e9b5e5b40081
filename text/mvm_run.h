/*
 * Runs of bytes that are valid unescaped in a JSON string. The decoder copies such a run into its
 * field, the encoder into its room; all other bytes go one at a time. Freestanding.
 */
#ifndef MVM_RUN_H
#define MVM_RUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How many bytes at the front of from[0 … len-1] are plain: whole well-formed UTF-8 characters
 * (RFC 3629), none of them a control character below U+0020, a quote or a backslash. What follows
 * is one of those three, ill formed, cut short by the end of the bytes, or the end itself.
 *
 * They are copied to to[0 … run-1], and to[run … len-1] may be overwritten with anything; `to`
 * NULL: nothing is copied. The two may not overlap. Sixteen bytes at a time with SSE2 or NEON,
 * thirty-two with AVX2, sixty-four with AVX-512, if the compiler may use them (-march=native).
 */
size_t mvm_run_copy(uint8_t *to, const uint8_t *from, size_t len);

/* The same a character at a time: the only version on other machines, the ends of runs on these,
 * and what the tests compare with. */
size_t mvm_run_copy_portable(uint8_t *to, const uint8_t *from, size_t len);

#ifdef __cplusplus
}
#endif

#endif
