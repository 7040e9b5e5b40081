#define _GNU_SOURCE
#include "module_directory.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool has_index(const char *path)
{
    char file[MVM_PATH_MAX];
    return mvm_text_join(file, sizeof file, path, "/modules.dep", "") && access(file, R_OK) == 0;
}

void mvm_module_directory_init(struct mvm_module_directory *d, const char *base)
{
    struct utsname system;
    bool named = uname(&system) == 0;
    struct mvm_writer w;
    mvm_writer_init(&w, d->path, sizeof d->path);
    mvm_writer_add3(&w, base, "/", named ? system.release : "");
    d->indexed = named && !w.cut && has_index(d->path);
    if (!d->indexed && has_index(base)) {
        mvm_text_join(d->path, sizeof d->path, base, "", "");
        d->indexed = true;
    }
}

/* ---- names ---- */

static char folded(char c)
{
    return c == '-' ? '_' : c;
}

/* Whether the file `path` of an index is the module `name`. */
static bool is_named(struct mvm_text path, const char *name)
{
    while (path.len > 0) {
        const char *slash = memchr(path.bytes, '/', path.len);
        if (slash == NULL) {
            break;
        }
        path.len -= (size_t)(slash + 1 - path.bytes);
        path.bytes = slash + 1;
    }
    size_t len = strlen(name);
    if (path.len < len ||
        !mvm_text_begins((struct mvm_text){path.bytes + len, path.len - len}, ".ko")) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (folded(path.bytes[i]) != folded(name[i])) {
            return false;
        }
    }
    return true;
}

static bool open_index(const struct mvm_module_directory *d, const char *index,
                       struct mvm_posix_lines *lines)
{
    char path[MVM_PATH_MAX];
    errno = ENAMETOOLONG;
    return mvm_text_join(path, sizeof path, d->path, "/", index) &&
           mvm_posix_lines_open(lines, AT_FDCWD, path);
}

static bool is_built_in(const struct mvm_module_directory *d, const char *name)
{
    struct mvm_posix_lines lines;
    struct mvm_text line;
    bool found = false;
    if (!open_index(d, "modules.builtin", &lines)) {
        return false;
    }
    while (!found && mvm_posix_lines_next(&lines, &line)) {
        found = is_named(line, name);
    }
    mvm_posix_lines_close(&lines);
    return found;
}

enum mvm_module_found mvm_module_directory_find(const struct mvm_module_directory *d,
                                                const char *name, struct mvm_module_files *files)
{
    struct mvm_text line;
    if (!open_index(d, "modules.dep", &files->lines)) {
        return MVM_MODULE_UNREADABLE;
    }
    while (mvm_posix_lines_next(&files->lines, &line)) {
        files->self = mvm_posix_cut(&line, ':');
        files->rest = line;
        if (is_named(files->self, name)) {
            return MVM_MODULE_FOUND;
        }
    }
    mvm_posix_lines_close(&files->lines);
    return is_built_in(d, name) ? MVM_MODULE_BUILT_IN : MVM_MODULE_UNKNOWN;
}

/* ---- files ---- */

/* Cuts the last word off; empty: no more. */
static struct mvm_text cut_last(struct mvm_text *words)
{
    while (words->len > 0 && words->bytes[words->len - 1] == ' ') {
        words->len--;
    }
    size_t start = words->len;
    while (start > 0 && words->bytes[start - 1] != ' ') {
        start--;
    }
    struct mvm_text last = {words->bytes + start, words->len - start};
    words->len = start;
    return last;
}

bool mvm_module_files_next(struct mvm_module_files *files, const struct mvm_module_directory *d,
                           char path[MVM_MODULE_FILE_CAP])
{
    struct mvm_text file = cut_last(&files->rest);
    if (file.len == 0) {
        file = files->self;
        files->self.len = 0;
    }
    if (file.len == 0) {
        return false;
    }
    struct mvm_writer w;
    bool absolute = file.bytes[0] == '/';
    mvm_writer_init(&w, path, MVM_MODULE_FILE_CAP);
    mvm_writer_add3(&w, absolute ? "" : d->path, absolute ? "" : "/", "");
    mvm_writer_add_text(&w, file);
    return true;
}

void mvm_module_files_close(struct mvm_module_files *files)
{
    mvm_posix_lines_close(&files->lines);
}
