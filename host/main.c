/* mvm-builder: the command line, then what it asks for. */
#include "help.h"
#include "mvm_version.h"
#include "run.h"
#include "standard_streams.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
    mvm_standard_streams_fill();
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
