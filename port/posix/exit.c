/* The end of a process: of the build's first, and of one that is waited for. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* musl 1.2.3 and the older glibc lack the name. */
enum { ID_PIDFD = 3 };

void mvm_posix_collect(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Peeks at a child's exit without reaping it: its number is not reused. */
static int peek_exit(pid_t pid, int pidfd, siginfo_t *info)
{
    int flags = WEXITED | WNOHANG | WNOWAIT;
    memset(info, 0, sizeof *info);
    if (pidfd >= 0 && waitid((idtype_t)ID_PIDFD, (id_t)pidfd, info, flags) == 0) {
        return 0;
    }
    return pidfd >= 0 && errno == ECHILD ? -1 : waitid(P_PID, (id_t)pid, info, flags);
}

bool mvm_posix_is_reaped(pid_t pid)
{
    siginfo_t info;
    return peek_exit(pid, -1, &info) < 0 && errno == ECHILD;
}

/* Polls are counted, not the time: if the whole program was stopped meanwhile, it gets its chance
 * to pass the status on. */
bool mvm_posix_is_overdue(struct mvm_posix_awaited *a, pid_t pid, int pidfd)
{
    siginfo_t info;
    uint64_t now = mvm_posix_clock_ns(CLOCK_MONOTONIC) / 1000000;
    if (peek_exit(pid, pidfd, &info) == 0 && info.si_pid == 0) {
        return false;
    }
    if (a->polls == 0 || now - a->polled_ms >= MVM_KILL_POLL_MS) {
        a->polled_ms = now;
        a->polls++;
    }
    return a->polls > MVM_STATUS_WAIT_MS / MVM_KILL_POLL_MS;
}

/* Its status will not come. Its number is not the build's any more. */
static int fail_lost(struct mvm_posix *p, const char *call, const char *why)
{
    p->lost = true;
    return mvm_posix_fail_text(p, call, why);
}

int mvm_posix_poll_exit(void *ctx, struct mvm_exit *e)
{
    struct mvm_posix *p = ctx;
    siginfo_t info;
    if (p->pid == 0) {
        return mvm_posix_fail_text(p, "poll_exit", "no build is running");
    }
    if (!p->exited && p->config.caller_reaps &&
        mvm_posix_is_overdue(&p->awaited, p->pid, p->pidfd)) {
        return fail_lost(p, "exit status",
                         "this program has set caller_reaps, but did not pass the process to "
                         "mvm_server_child_exited or mvm_posix_child_exited");
    }
    if (!p->exited && !p->config.caller_reaps) {
        if (peek_exit(p->pid, p->pidfd, &info) < 0) {
            return errno == ECHILD ? fail_lost(p, "waitid",
                                               "another part of this program has taken the exit "
                                               "status: it must pass it on, see caller_reaps")
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
