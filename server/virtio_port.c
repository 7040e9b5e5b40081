#define _GNU_SOURCE
#include "virtio_port.h"
#include "mvm_text.h"
#include "small_files.h"
#include <fcntl.h>
#include <string.h>

enum { PORT_NAME_CAP = 256 };

/* Whether the port in directory `dir` of `class` is called `name`. Its file ends with a newline. */
static bool is_called(int class, const char *dir, const char *name)
{
    char path[MVM_VIRTIO_PORT_CAP];
    char text[PORT_NAME_CAP];
    if (!mvm_text_join(path, sizeof path, dir, "/name", "") ||
        !mvm_posix_read_small(class, path, text, sizeof text)) {
        return false;
    }
    struct mvm_text rest = mvm_text_from(text);
    return mvm_text_equal(mvm_posix_cut(&rest, '\n'), name);
}

bool mvm_virtio_port_find(const char *name, char path[MVM_VIRTIO_PORT_CAP])
{
    struct mvm_posix_directory d;
    const char *entry;
    bool found = false;
    if (!mvm_posix_directory_open(&d, AT_FDCWD, "/sys/class/virtio-ports")) {
        return false;
    }
    while (!found && (entry = mvm_posix_directory_next(&d)) != NULL) {
        found = mvm_text_join(path, MVM_VIRTIO_PORT_CAP, "/dev/", entry, "") &&
                is_called(d.fd, entry, name);
    }
    mvm_posix_directory_close(&d);
    return found;
}
