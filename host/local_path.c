#define _GNU_SOURCE /* PATH_MAX */
#include "local_path.h"
#include <limits.h>
#include <string.h>

enum { SHOWN_MAX = 256 };

void mvm_local_path_join(char *to, size_t cap, const char *folder, const char *path)
{
    struct mvm_writer w;
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') {
        len--;
    }
    mvm_writer_init(&w, to, cap);
    mvm_writer_add_text(&w, (struct mvm_text){folder, len});
    if (path[0] != '\0') {
        mvm_writer_add(&w, len == 1 && folder[0] == '/' ? "" : "/");
        mvm_writer_add(&w, path);
    }
}

bool mvm_local_path_fail(struct mvm_writer *why, const char *what, const char *folder,
                         const char *path, const char *reason)
{
    char whole[2 * PATH_MAX];
    mvm_local_path_join(whole, sizeof whole, folder, path);
    size_t len = strlen(whole);
    bool cut = len > SHOWN_MAX;
    mvm_writer_add3(why, what, cut ? "..." : "", whole + (cut ? len - SHOWN_MAX : 0));
    mvm_writer_add3(why, ": ", reason, "");
    return false;
}
