/*
 * Runs of bytes that need no thought: what stands in a JSON string as it is. The decoder copies
 * such a run into its field, the encoder into its room, each with one memcpy; all other bytes go
 * one at a time. Freestanding.
 */
#ifndef MVM_PLAIN_H
#define MVM_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How many bytes at the front of bytes[0 … len-1] are plain: whole well-formed UTF-8 characters
 * (RFC 3629), none of them a control character below U+0020, a quote or a backslash. What follows
 * is one of those three, ill formed, cut short by the end of the bytes, or the end itself.
 */
size_t mvm_plain_run(const uint8_t *bytes, size_t len);

/* The same for ASCII alone: stops at the first byte from 0x80 on, too. Sixteen bytes at a time with
 * SSE2 or NEON where the compiler may use them. */
size_t mvm_plain_ascii(const uint8_t *bytes, size_t len);

/* What mvm_plain_ascii does, one byte at a time: the only version on other machines, the short ends
 * on these, and what the tests compare with. */
size_t mvm_plain_ascii_portable(const uint8_t *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
