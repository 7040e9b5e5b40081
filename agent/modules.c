#define _GNU_SOURCE
#include "modules.h"
#include "log.h"
#include "small_files.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* MODULE_INIT_COMPRESSED_FILE of <linux/module.h>, which not every libc comes with: Linux 5.17. */
enum { COMPRESSED = 4 };

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long r =
        fd >= 0 ? syscall(SYS_finit_module, fd, "", ends_with(path, ".ko") ? 0 : COMPRESSED) : -1;
    if (r < 0 && errno != EEXIST) {
        struct mvm_log_line line;
        mvm_log_begin(&line, "cannot load ");
        mvm_writer_add3(&line.w, path, ": ", mvm_posix_error_text(errno));
        mvm_log_end(&line);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void load_line(struct mvm_text line)
{
    static const char blanks[] = {' ', '\t', '\r'};
    char path[MVM_PATH_MAX];
    struct mvm_writer w;
    while (line.len > 0 && memchr(blanks, line.bytes[line.len - 1], sizeof blanks) != NULL) {
        line.len--;
    }
    if (line.len == 0 || line.bytes[0] == '#') {
        return;
    }
    mvm_writer_init(&w, path, sizeof path);
    mvm_writer_add_text(&w, line);
    if (w.cut) {
        mvm_log("cannot load a module: ", "path too long", NULL);
        return;
    }
    load(path);
}

static void load_list(const char *path)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, path)) {
        const char *why = mvm_posix_error_text(errno);
        struct mvm_log_line log;
        mvm_log_begin(&log, "cannot read the list of modules ");
        mvm_writer_add3(&log.w, path, ": ", why);
        mvm_log_end(&log);
        return;
    }
    while (mvm_posix_lines_next(&l, &line)) {
        load_line(line);
    }
    mvm_posix_lines_close(&l);
}

void mvm_modules_load(const struct mvm_module *modules, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (modules[i].list) {
            load_list(modules[i].path);
        } else {
            load(modules[i].path);
        }
    }
}
