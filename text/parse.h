/* Values of command lines, addresses and configuration: what follows a prefix, decimal numbers,
 * paths. The text is a NUL-terminated string and must be the value as a whole. Freestanding. */
#ifndef MVM_PARSE_H
#define MVM_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What follows `prefix` in `text`, within it; NULL: it does not begin with it. */
const char *mvm_parse_prefix(const char *text, const char *prefix);

enum mvm_number {
    MVM_NUMBER_FINE,
    MVM_NUMBER_NONE,  /* not decimal digits alone */
    MVM_NUMBER_LARGE, /* over the maximum */
};

/* A decimal number up to `max`. `*value` is unchanged unless the result is FINE. */
enum mvm_number mvm_parse_u64(const char *text, uint64_t max, uint64_t *value);
enum mvm_number mvm_parse_u32(const char *text, uint32_t max, uint32_t *value);

/* A path that fits `cap` bytes with its terminator: NULL, or what is wrong with it. */
const char *mvm_parse_path(const char *path, size_t cap);

#endif
