/*
 * The one hot loop of the text machines: how far bytes are plain, that is printable ASCII other
 * than '"' and '\', which JSON writes as they are. Sixteen at a time where the machine has SSE2 or
 * NEON, chosen at compile time; the portable twin is always there, tests hold them against each
 * other.
 */
#ifndef MVM_SCAN_H
#define MVM_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes at the front of bytes[0 … len-1] are in 0x20 … 0x7f and neither '"' nor '\'. */
size_t mvm_scan_plain(const uint8_t *bytes, size_t len);

/* The same, a byte at a time. */
size_t mvm_scan_plain_portable(const uint8_t *bytes, size_t len);

#endif
