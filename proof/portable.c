/* Those of text/ that have vectors, as a machine without them has them. */
#undef __SSE2__
#undef __AVX2__
#undef __ARM_NEON
#include "../text/escape.c"
#include "../text/run.c"
#include "../text/run_portable.c"
#include "../text/unescape.c"
