/*
 * In a machine of run-suspend: the output disk as /dev/mapper/out, which the device mapper
 * suspends.
 *
 *     hang make DISK    makes it, all of /dev/DISK
 *     hang now          suspends it: what is asked of it waits
 *     hang over         resumes it
 *     hang in CALL      lets it work, a few requests at a time, until the agent's worker waits for
 * it in the system call of this number, /proc/PID/syscall's hang frozen       … and freezes its
 * file system first, as snapshots do
 *
 * Prints the call that the worker then waits in, or "none"; "ok" if it need not wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 150000, SETTLE_MS = 50, STEP_MS = 1 };

struct request {
    struct dm_ioctl head;
    struct dm_target_spec target;
    char parameters[64];
};

static void die(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void mapper(const char *what, unsigned long call, struct request *r, uint32_t flags)
{
    int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    r->head.version[0] = DM_VERSION_MAJOR;
    r->head.data_size = sizeof *r;
    r->head.data_start = sizeof r->head;
    r->head.flags = flags;
    strcpy(r->head.name, "out");
    if (fd < 0 || ioctl(fd, call, r) < 0) {
        die(what);
    }
    close(fd);
}

static void resume(void)
{
    struct request r = {.head.target_count = 0};
    mapper("resume", DM_DEV_SUSPEND, &r, 0);
}

static void suspend(uint32_t flags)
{
    struct request r = {.head.target_count = 0};
    mapper("suspend", DM_DEV_SUSPEND, &r, DM_SUSPEND_FLAG | flags);
}

static void suspend_alone(void)
{
    suspend(DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

static void read_text(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, cap - 1) : -1;
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

static void make(const char *disk)
{
    char path[128];
    char sectors[32];
    struct request create = {.head.target_count = 0};
    struct request load = {.head.target_count = 1};
    snprintf(path, sizeof path, "/sys/block/%s/size", disk);
    read_text(path, sectors, sizeof sectors);
    load.target.length = strtoull(sectors, NULL, 10);
    strcpy(load.target.target_type, "linear");
    snprintf(load.parameters, sizeof load.parameters, "/dev/%s 0", disk);
    mapper("create", DM_DEV_CREATE, &create, 0);
    mapper("load", DM_TABLE_LOAD, &load, 0);
    resume();
    snprintf(path, sizeof path, "../dm-%u", (unsigned)(create.head.dev & 0xff)); /* its minor */
    if (symlink(path, "/dev/mapper/out") < 0) {
        die("symlink");
    }
}

/* The agent's child that has its name. 0: none. */
static int worker(void)
{
    char children[512];
    read_text("/proc/1/task/1/children", children, sizeof children);
    for (char *at = strtok(children, " "); at != NULL; at = strtok(NULL, " ")) {
        char path[64];
        char name[32];
        snprintf(path, sizeof path, "/proc/%s/comm", at);
        read_text(path, name, sizeof name);
        if (strcmp(name, "init\n") == 0) {
            return atoi(at);
        }
    }
    return 0;
}

/* The system call that the worker waits for a disk in; -1: none. */
static int where(void)
{
    char path[64];
    char text[512];
    int pid = worker();
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_text(path, text, sizeof text);
    const char *state = strrchr(text, ')');
    if (state == NULL || state[2] != 'D') {
        return -1;
    }
    snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    read_text(path, text, sizeof text);
    return text[0] >= '0' && text[0] <= '9' ? atoi(text) : -1;
}

static int settled(void)
{
    int call = where();
    sleep_ms(SETTLE_MS);
    return where() == call ? call : -1;
}

static void step_to(int call)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        int at = settled();
        if (at == call) {
            return;
        }
        if (at >= 0) {
            resume();
            sleep_ms(STEP_MS);
            suspend_alone();
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < PATIENCE_MS / 1000);
}

static int show(void)
{
    int call = settled();
    printf(call >= 0 ? "%d\n" : "none\n", call);
    return 0;
}

static int ok(void)
{
    puts("ok");
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "make") == 0 && argc > 2) {
        make(argv[2]);
        return ok();
    }
    if (strcmp(what, "now") == 0) {
        suspend_alone();
        return ok();
    }
    if (strcmp(what, "over") == 0) {
        resume();
        return ok();
    }
    if (strcmp(what, "in") == 0 && argc > 2) {
        step_to(atoi(argv[2]));
        return show();
    }
    if (strcmp(what, "frozen") == 0) {
        resume();
        suspend(0);
        return show();
    }
    return 2;
}
