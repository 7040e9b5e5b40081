#define _GNU_SOURCE
#include "clock.h"
#include "log.h"
#include "mvm_limits.h"
#include "small_files.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NAME_CAP = 64 };

static const int64_t second_ns = 1000000000;

/* Logs that the clock was set, or why it could not be. */
static void set(int64_t ours_ns, int64_t to_ns, const char *whose)
{
    struct mvm_log_line line;
    const struct timespec t = {.tv_sec = (time_t)(to_ns / second_ns),
                               .tv_nsec = (long)(to_ns % second_ns)};
    bool done = clock_settime(CLOCK_REALTIME, &t) == 0;
    const char *why = done ? "" : mvm_posix_error_text(errno);
    bool behind = ours_ns < to_ns;
    int64_t off_ms = (behind ? to_ns - ours_ns : ours_ns - to_ns) / 1000000;
    mvm_log_begin(&line, "the clock is ");
    mvm_writer_add_u64(&line.w, (uint64_t)off_ms);
    mvm_writer_add3(&line.w, " ms ", behind ? "behind " : "ahead of ", whose);
    mvm_writer_add3(&line.w, done ? ": set" : ": cannot set it: ", why, "");
    mvm_log_end(&line);
}

static int64_t now_ns(void)
{
    return (int64_t)mvm_posix_clock_ns(CLOCK_REALTIME);
}

void mvm_clock_not_before(uint64_t secs)
{
    int64_t ours = now_ns();
    if ((int64_t)secs * second_ns > ours) { /* at most MVM_EPOCH_MAX_SECS, which fits */
        set(ours, (int64_t)secs * second_ns, "mvm.hostepoch");
    }
}

/* ---- KVM's clock ---- */

bool mvm_clock_is_off(int64_t ours_ns, int64_t host_ns)
{
    int64_t off = ours_ns < host_ns ? host_ns - ours_ns : ours_ns - host_ns;
    return off >= (int64_t)MVM_CLOCK_OFF_MS * 1000000;
}

/* Whether the clock `name` of sysfs is KVM's. */
static bool is_kvm(int class, const char *name)
{
    char path[NAME_CAP];
    char text[NAME_CAP];
    if (!mvm_text_join(path, sizeof path, name, "/clock_name", "") ||
        !mvm_posix_read_small(class, path, text, sizeof text)) {
        return false;
    }
    struct mvm_text rest = mvm_text_from(text);
    return mvm_text_equal(mvm_posix_cut(&rest, '\n'), "KVM virtual PTP");
}

bool mvm_clock_find(const char *class, char path[MVM_CLOCK_DEVICE_CAP])
{
    struct mvm_posix_directory d;
    const char *name;
    bool found = false;
    if (!mvm_posix_directory_open(&d, AT_FDCWD, class)) {
        return false;
    }
    while (!found && (name = mvm_posix_directory_next(&d)) != NULL) {
        found = mvm_text_join(path, MVM_CLOCK_DEVICE_CAP, "/dev/", name, "") && is_kvm(d.fd, name);
    }
    mvm_posix_directory_close(&d);
    return found;
}

/* The clock id of an open PTP device, see clock_gettime(2). */
static clockid_t clock_of(int fd)
{
    return (clockid_t)((~(unsigned)fd << 3) | 3u);
}

void mvm_clock_follow_host(void)
{
    char path[MVM_CLOCK_DEVICE_CAP];
    if (!mvm_clock_find("/sys/class/ptp", path)) {
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    int64_t host = (int64_t)mvm_posix_clock_ns(clock_of(fd));
    close(fd);
    int64_t ours = now_ns();
    if (host > 0 && mvm_clock_is_off(ours, host)) {
        set(ours, host, "the host's");
    }
}
