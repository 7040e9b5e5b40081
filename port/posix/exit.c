/* The end of a process: of the build's first, and of one that is waited for. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

/* musl 1.2.3 and the older glibc lack the name. */
enum { ID_PIDFD = 3 };

void mvm_posix_collect(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Peeks at the first process's exit without reaping it: its number is not reused. */
static int peek_exit(const struct mvm_posix *p, siginfo_t *info)
{
    int flags = WEXITED | WNOHANG | WNOWAIT;
    memset(info, 0, sizeof *info);
    if (p->pidfd >= 0 && waitid((idtype_t)ID_PIDFD, (id_t)p->pidfd, info, flags) == 0) {
        return 0;
    }
    return waitid(P_PID, (id_t)p->pid, info, flags);
}

int mvm_posix_poll_exit(void *ctx, struct mvm_exit *e)
{
    struct mvm_posix *p = ctx;
    siginfo_t info;
    if (p->pid == 0) {
        return mvm_posix_fail_text(p, "poll_exit", "no build is running");
    }
    if (!p->exited && !p->config.caller_reaps) {
        if (peek_exit(p, &info) < 0) {
            return errno == ECHILD
                       ? mvm_posix_fail_text(p, "waitid",
                                             "another part of this program has taken the exit "
                                             "status: it is to hand it over, see caller_reaps")
                       : mvm_posix_fail(p, "waitid", errno);
        }
        if (info.si_pid != 0) {
            p->exit = (struct mvm_exit){info.si_code != CLD_EXITED, info.si_status};
            p->exited = true;
        }
    }
    if (p->exited) {
        *e = p->exit;
    }
    return p->exited ? 1 : 0;
}
