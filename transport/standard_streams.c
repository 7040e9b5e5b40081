#define _GNU_SOURCE
#include "standard_streams.h"
#include <fcntl.h>
#include <unistd.h>

void mvm_standard_streams_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) {
            (void)!open("/", O_RDONLY | O_DIRECTORY);
        }
    }
}
