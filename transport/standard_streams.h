/* The first three descriptors, which a program may be started without. */
#ifndef MVM_STANDARD_STREAMS_H
#define MVM_STANDARD_STREAMS_H

/*
 * Opens something for each of stdin, stdout and stderr that is closed, so that no descriptor opened
 * later becomes one of them and gets what is printed. Also without a /dev/null, as in an empty
 * root. Reading one fails or ends immediately; writing to one fails, so that lost output is
 * reported.
 */
void mvm_standard_streams_fill(void);

#endif
