#ifndef MVM_TESTS_SANITIZER_H
#define MVM_TESTS_SANITIZER_H

/* By how much the address sanitizer's own memory may grow while a test runs: shadow memory of
 * stacks and blocks that are used for the first time, which differs between compilers. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define MVM_SANITIZER_KIB 1024
#endif
#endif
#if defined __SANITIZE_ADDRESS__
#define MVM_SANITIZER_KIB 1024
#endif
#ifndef MVM_SANITIZER_KIB
#define MVM_SANITIZER_KIB 0
#endif

#endif
