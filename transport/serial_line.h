/* Serial lines: ttys and virtio-serial ports. Each end has one user. */
#ifndef MVM_SERIAL_LINE_H
#define MVM_SERIAL_LINE_H

#include <termios.h>

/* Opens the device, without waiting. A file or a disk would be overwritten, and a FIFO returns what
 * is written: only character devices are opened. The descriptor, or -1 with errno; ENOTTY: it is
 * another kind of file. */
int mvm_serial_line_open(const char *path);

/* Locks the line by flock(2), until the descriptor is closed: two readers would each get a part of
 * the frames. 0, also for a device that has no locks; -1: another process has locked it. */
int mvm_serial_line_lock(int fd);
void mvm_serial_line_unlock(int fd);

/* Makes a tty raw and discards what it holds in either direction: bytes pass as they are, nothing
 * is echoed, none is a signal, and a close is no hang-up. `*saved` gets its earlier settings; NULL:
 * not. 0, or -1 with errno; ENOTTY: it is not a tty, which needs none of this. */
int mvm_serial_line_make_raw(int fd, struct termios *saved);

#endif
