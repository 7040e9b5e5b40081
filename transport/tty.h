/* Serial lines that are ttys. */
#ifndef MVM_TTY_H
#define MVM_TTY_H

#include <termios.h>

/* Makes a tty raw and discards what it holds in either direction: bytes pass as they are, nothing
 * is echoed, none is a signal, and a hang-up is not sent when the line is closed. `*saved` gets its
 * earlier settings; NULL: not. Returns 0, or -1 with errno: ENOTTY is a line that needs none of
 * this. */
int mvm_tty_make_raw(int fd, struct termios *saved);

#endif
