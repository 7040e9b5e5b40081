/*
 * How signals are handled, by the system call: libc's way there takes a lock and, in a static
 * program, a KiB. The kernel's struct, which is not libc's, begins with the handler and the flags;
 * no flags and no mask are all zeros.
 */
#define _GNU_SOURCE
#include "system.h"
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__mips__) /* its struct begins with the flags */

void mvm_posix_signal(int sig, void (*handler)(int))
{
    signal(sig, handler);
}

bool mvm_posix_signal_ignored(int sig)
{
    struct sigaction action;
    return sigaction(sig, NULL, &action) == 0 &&
           (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0);
}

#else

struct action {
    void (*handler)(int);
    unsigned long flags;
    uintptr_t none[1 + _NSIG / 8 / sizeof(uintptr_t)];
};

void mvm_posix_signal(int sig, void (*handler)(int))
{
    const struct action action = {.handler = handler};
    syscall(SYS_rt_sigaction, sig, &action, NULL, (_NSIG - 1) / 8);
}

bool mvm_posix_signal_ignored(int sig)
{
    struct action action = {.flags = 0};
    return syscall(SYS_rt_sigaction, sig, NULL, &action, (_NSIG - 1) / 8) == 0 &&
           (action.handler == SIG_IGN || (action.flags & (unsigned long)SA_NOCLDWAIT) != 0);
}

#endif

void mvm_posix_helper_signals(void)
{
    static const uint8_t ignored[] = {SIGINT, SIGTERM, SIGHUP,  SIGQUIT,
                                      SIGPWR, SIGPIPE, SIGTTOU, SIGXFSZ};
    for (size_t i = 0; i < sizeof ignored; i++) {
        mvm_posix_signal(ignored[i], SIG_IGN);
    }
}
