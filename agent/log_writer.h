/* A process that writes the log to a stderr that may block. */
#ifndef MVM_LOG_WRITER_H
#define MVM_LOG_WRITER_H

/* Starts it: a socket for the bytes, closed at the end of them; -1: it cannot be started. The
 * caller must not be a subreaper. */
int mvm_log_writer_start(void);

/* Moves a descriptor above the numbers that inherited ones have. */
int mvm_log_high(int fd);

#endif
