/* Both of text/plain*.c as a machine without vectors has them. */
#undef __SSE2__
#undef __ARM_NEON
#include "../text/plain_portable.c"
#include "../text/plain.c"
