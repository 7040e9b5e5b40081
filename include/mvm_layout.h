/*
 * Refuses a compiler's options that change structs. The caller owns this library's structs, so
 * program and library must agree on where each member is: with -fpack-struct, an open
 * `#pragma pack`, or -fshort-enums on one side alone, each would write into the other's members.
 *
 * Packing is refused in any case. Short enums, which some ABIs have by default, are fine if both
 * sides have them: where the compiler does not say so, compile both with -DMVM_ENUM_BYTES=1, which
 * the linker compares as it does limits (mvm_limits_match.h).
 */
#ifndef MVM_LAYOUT_H
#define MVM_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a small enum. */
#ifndef MVM_ENUM_BYTES
#ifdef __ARM_SIZEOF_MINIMAL_ENUM
#define MVM_ENUM_BYTES __ARM_SIZEOF_MINIMAL_ENUM
#elif defined(__SIZEOF_INT__)
#define MVM_ENUM_BYTES __SIZEOF_INT__
#else
#define MVM_ENUM_BYTES 4
#endif
#endif

#ifdef __cplusplus
#define MVM_LAYOUT_ASSERT static_assert
#define MVM_LAYOUT_ALIGN  alignof
#else
#define MVM_LAYOUT_ASSERT _Static_assert
#define MVM_LAYOUT_ALIGN  _Alignof
#endif

/* After a header's structs: one of them has a member of that type, and is aligned as it is. */
#define MVM_LAYOUT_OF(type, member)                                                                \
    MVM_LAYOUT_ASSERT(MVM_LAYOUT_ALIGN(type) == MVM_LAYOUT_ALIGN(member),                          \
                      "structs are packed: no -fpack-struct, no open #pragma pack")

enum mvm_layout {
    MVM_LAYOUT_SMALL,
};
MVM_LAYOUT_ASSERT(sizeof(enum mvm_layout) == MVM_ENUM_BYTES,
                  "-fshort-enums: compile library and program with -DMVM_ENUM_BYTES=1, too");

#endif
