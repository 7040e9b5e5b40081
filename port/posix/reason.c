/* Why a call of the port has failed: as text, and as the port's error. */
#include "posix_internal.h"
#include <errno.h>
#include <string.h>

enum { FILE_CAP = 300 }; /* a call and a file's name */

int mvm_posix_fail_text(struct mvm_posix *p, const char *call, const char *text)
{
    struct mvm_writer w;
    mvm_writer_init(&w, p->reason, sizeof p->reason);
    mvm_writer_add3(&w, call, ": ", text);
    mvm_writer_finish(&w);
    return MVM_PORT_FAILED;
}

int mvm_posix_fail(struct mvm_posix *p, const char *call, int err)
{
    const char *text = mvm_posix_error_text(err);
    mvm_posix_fail_text(p, call, text);
    if (text == mvm_posix_unknown_error) {
        struct mvm_writer w = {p->reason, sizeof p->reason, strlen(p->reason), false};
        mvm_writer_add(&w, " ");
        mvm_writer_add_u64(&w, (uint64_t)err);
    }
    switch (err) {
    case ENOENT:
        return MVM_PORT_NOT_FOUND;
    case ENOTDIR:
        return MVM_PORT_NOT_DIRECTORY;
    case EBUSY:
        return MVM_PORT_BUSY;
    default:
        return MVM_PORT_FAILED;
    }
}

int mvm_posix_fail_file(struct mvm_posix *p, const char *call, const char *path)
{
    char what[FILE_CAP];
    const char *slash = strrchr(path, '/');
    int err = errno;
    mvm_text_join(what, sizeof what, call, " ", slash != NULL ? slash + 1 : path);
    mvm_posix_fail(p, what, err);
    return MVM_PORT_FAILED;
}
