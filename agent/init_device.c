#define _GNU_SOURCE
#include "init_device.h"
#include "log.h"
#include "mvm_limits.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

enum { ROUND_MS = 10 };

int mvm_init_device_open(const char *device)
{
    for (int ms = 0;; ms += ROUND_MS) {
        int fd = open(device, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 || (errno != ENOENT && errno != ENXIO) || ms >= MVM_ROOT_WAIT_MS) {
            return fd;
        }
        poll(NULL, 0, ROUND_MS);
    }
}

bool mvm_init_fail(const char *what, const char *name, const char *why)
{
    struct mvm_log_line line;
    mvm_log_begin(&line, what);
    mvm_writer_add3(&line.w, name, ": ", why);
    mvm_log_end(&line);
    return false;
}

bool mvm_init_fail_mount(const char *what, const char *device, const char *type, int err,
                         struct mvm_posix_kmsg *log)
{
    char why[256];
    struct mvm_writer w;
    bool lacks_type = err == ENODEV;
    mvm_writer_init(&w, why, sizeof why);
    mvm_writer_add3(&w, lacks_type ? "this kernel has no file system " : "",
                    lacks_type ? type : mvm_posix_error_text(err), "");
    mvm_posix_explain_mount(&w, device, err == EROFS || err == EACCES, log);
    mvm_writer_finish(&w);
    return mvm_init_fail(what, device, why);
}
