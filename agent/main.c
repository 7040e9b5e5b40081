/* mvm-builder-agent: options, then the loop. */
#include "init.h"
#include "init_container.h"
#include "log.h"
#include "loop.h"
#include "mvm_version.h"
#include "power.h"
#include "standard_streams.h"
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Bytes of stack that the agent and its worker may need, with room for a usual environment. */
enum { STACK_MIN = 64 * 1024 };

/* Prints what the command line asks for; the exit status: 1 if not all of it can be written. */
static int print(struct mvm_text text)
{
    while (text.len > 0) {
        ssize_t n = write(STDOUT_FILENO, text.bytes, text.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return 1;
        }
        text.bytes += n;
        text.len -= (size_t)n;
    }
    return 0;
}

static int print_help(void)
{
    char text[4096];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_options_help(&w);
    return print(mvm_writer_finish(&w));
}

static int print_version(void)
{
    return print(mvm_text_from("mvm-builder-agent " MVM_VERSION "\n"));
}

static struct mvm_agent agent;
static struct mvm_options options;

/* Whether an argument asks for something to be printed: a container's first process may be asked,
 * too. An option's value of that form counts, too. */
static bool is_asked(int argc, char *const argv[], const char *for_what)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], for_what) == 0) {
            return true;
        }
    }
    return false;
}

static void log_default_disks(void)
{
    char text[256];
    struct mvm_writer disks;
    mvm_writer_init(&disks, text, sizeof text);
    if (mvm_options_default_disks(&options, &disks)) {
        mvm_log(text, NULL, NULL);
    }
}

/* A machine's process 1 does not return: the kernel would panic. */
static int run_as_init(int argc, char *const argv[])
{
    bool machines = mvm_init_is_the_machines();
    if (!machines && is_asked(argc, argv, "--help")) {
        return print_help();
    }
    if (!machines && is_asked(argc, argv, "--version")) {
        return print_version();
    }
    mvm_agent_hold_signals();
    mvm_init_begin(&options, argc, argv);
    mvm_standard_streams_fill();
    mvm_log_start();
    if (options.contained) {
        log_default_disks(); /* they are the machine's */
    }
    int status = mvm_agent_run(&agent, &options);
    mvm_log_finish();
    mvm_power_end(options.end, options.contained);
    return status;
}

static bool has_stack(void)
{
    struct rlimit stack;
    return getrlimit(RLIMIT_STACK, &stack) < 0 || stack.rlim_cur >= STACK_MIN;
}

static int run(void)
{
    if (options.init) {
        mvm_log("--init is for process 1: on a running system it would mount over /run and /tmp, "
                "and in the end stop every process and power off",
                NULL, NULL);
        return 2;
    }
    if (!has_stack()) {
        mvm_log("cannot start: the limit on the stack (ulimit -s) is below 64 KiB", NULL, NULL);
        return 1;
    }
    mvm_log_start();
    log_default_disks();
    int status = mvm_agent_run(&agent, &options);
    mvm_log_finish();
    return status;
}

int main(int argc, char *argv[])
{
    char text[512];
    struct mvm_writer why;
    if (getpid() == 1) {
        return run_as_init(argc, argv);
    }
    mvm_standard_streams_fill();
    mvm_writer_init(&why, text, sizeof text);
    switch (mvm_options_parse(&options, argc, argv, &why)) {
    case MVM_OPTIONS_RUN:
        return run();
    case MVM_OPTIONS_HELP:
        return print_help();
    case MVM_OPTIONS_VERSION:
        return print_version();
    case MVM_OPTIONS_MISTAKE:
        mvm_log(text, "; --help lists the options", NULL);
        return 2;
    }
    return 2;
}
