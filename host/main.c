/* mvm-builder: the command line, then what it asks for. */
#define _GNU_SOURCE
#include "help.h"
#include "mvm_version.h"
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A program may be started without the first three descriptors; without this a socket would become
 * one of them, and the log would go there. Writes to its replacement fail, so that a lost store
 * path is reported. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) {
            open("/", O_RDONLY | O_DIRECTORY);
        }
    }
}

static int print(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) < 0) {
        fprintf(stderr, "mvm-builder: cannot write to stdout: %s\n", strerror(errno));
        return MVM_EXIT_OUTPUT;
    }
    return MVM_EXIT_OK;
}

int main(int argc, char *argv[])
{
    static struct mvm_run run;
    static struct mvm_host_options options;
    fill_standard_descriptors();
    if (!mvm_host_options_parse(&options, argc, argv)) {
        return MVM_EXIT_USAGE;
    }
    if (options.command == MVM_HOST_HELP) {
        return print(mvm_host_help);
    }
    if (options.command == MVM_HOST_VERSION) {
        return print("mvm-builder " MVM_VERSION "\n");
    }
    if (!mvm_waiter_open(&run.waiter)) {
        fprintf(stderr, "mvm-builder: signalfd: %s\n", strerror(errno));
        return MVM_EXIT_NO_CONNECTION;
    }
    return mvm_run(&run, &options);
}
