/* Processes as /proc shows them. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

uint64_t mvm_posix_ticks(void)
{
    return mvm_posix_clock_ns(CLOCK_BOOTTIME) / (1000000000u / getauxval(AT_CLKTCK));
}

/* The program's name in /proc/PID/stat may have any characters, but no ')' follows it. */
bool mvm_posix_process_read(int dir, const char *path, struct mvm_posix_process *is)
{
    char buf[1024];
    if (!mvm_posix_read_small(dir, path, buf, sizeof buf)) {
        return false;
    }
    char *name_end = strrchr(buf, ')');
    if (name_end == NULL || name_end[1] != ' ') {
        errno = EINVAL;
        return false;
    }
    struct mvm_text rest = mvm_text_from(name_end + 2);
    is->pid = (pid_t)mvm_posix_number(mvm_text_from(buf));
    is->state = rest.len > 0 ? rest.bytes[0] : '?';
    for (int field = 3; field <= 22; field++) {
        uint64_t value = mvm_posix_number(mvm_posix_cut(&rest, ' '));
        switch (field) {
        case 4:
            is->parent = (pid_t)value;
            break;
        case 6:
            is->session = (pid_t)value;
            break;
        case 20:
            is->threads = value;
            break;
        case 22:
            is->since = value;
            break;
        }
    }
    return true;
}

/* A first thread that has ended shows as a zombie while others of its process live on. */
bool mvm_posix_process_is_dead(const struct mvm_posix_process *is)
{
    return (is->state == 'Z' || is->state == 'X') && is->threads <= 1;
}

bool mvm_posix_process_is_stopped(const struct mvm_posix_process *is)
{
    return is->state == 'T' || is->state == 't';
}

const char *mvm_posix_pid_path(char *buf, size_t cap, pid_t pid, const char *rest)
{
    struct mvm_writer w;
    mvm_writer_init(&w, buf, cap);
    mvm_writer_add(&w, "/proc/");
    mvm_writer_add_u64(&w, (uint64_t)pid);
    mvm_writer_add(&w, rest);
    mvm_writer_finish(&w);
    return buf;
}

/* NSpid has a number for each pid namespace from /proc's own inwards: more than one if the /proc
 * is that of an outer namespace. Before Linux 4.1 there is only Pid. */
static bool shows_self(struct mvm_posix_lines *l)
{
    struct mvm_text line;
    struct mvm_text name;
    uint64_t pid = 0;
    while (mvm_posix_lines_next(l, &line)) {
        name = mvm_posix_cut(&line, '\t');
        if (mvm_text_equal(name, "Pid:")) {
            pid = mvm_posix_number(line);
        } else if (mvm_text_equal(name, "NSpid:")) {
            pid = mvm_posix_number(mvm_posix_cut(&line, '\t'));
            return line.len == 0 && pid == (uint64_t)getpid();
        }
    }
    return pid == (uint64_t)getpid();
}

bool mvm_posix_proc_is_usable(void)
{
    struct mvm_posix_lines l;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/status")) {
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM; /* it may succeed later */
    }
    bool usable = shows_self(&l);
    mvm_posix_lines_close(&l);
    return usable;
}
