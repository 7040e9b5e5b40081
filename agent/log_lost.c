#define _GNU_SOURCE
#include "log_lost.h"
#include "system.h"

void mvm_log_lost_add(struct mvm_log_lost *lost, const char *bytes, size_t len, int error)
{
    for (size_t i = 0; i < len; i++) {
        lost->lines += bytes[i] == '\n';
    }
    lost->error = error;
}

size_t mvm_log_lost_report(const struct mvm_log_lost *lost, char *text)
{
    struct mvm_writer w;
    if (lost->lines == 0) {
        return 0;
    }
    mvm_writer_init(&w, text, MVM_LOG_LOST_CAP);
    mvm_writer_add(&w, lost->cut ? "\nmvm-builder-agent: " : "mvm-builder-agent: ");
    mvm_writer_add_u64(&w, lost->lines);
    mvm_writer_add(&w, " lines of this log were lost: ");
    mvm_writer_add(&w,
                   lost->error == 0 ? "stderr was not read" : mvm_posix_error_text(lost->error));
    mvm_writer_add(&w, "\n");
    return w.len;
}
