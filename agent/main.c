/* mvm-builder-agent: options, then the loop. */
#include "init.h"
#include "log.h"
#include "loop.h"
#include "mvm_version.h"
#include "power.h"
#include <fcntl.h>
#include <unistd.h>

/* A descriptor of ours must never be taken for stdin, stdout or stderr. */
static void fill_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

static int print_help(void)
{
    char text[4096];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_options_help(&w);
    mvm_log_write(STDOUT_FILENO, mvm_writer_finish(&w));
    return 0;
}

static int print_version(void)
{
    mvm_log_write(STDOUT_FILENO, mvm_text_from("mvm-builder-agent " MVM_VERSION "\n"));
    return 0;
}

static struct mvm_agent agent;
static struct mvm_options options;

/* Process 1 does not return: the kernel would panic. */
static int run_as_init(int argc, char *const argv[])
{
    mvm_init_begin(&options, argc, argv);
    fill_standard_streams();
    int status = mvm_agent_run(&agent, &options);
    mvm_power_end(options.end);
    return status;
}

int main(int argc, char *argv[])
{
    char text[512];
    struct mvm_writer why;
    if (getpid() == 1) {
        return run_as_init(argc, argv);
    }
    fill_standard_streams();
    mvm_writer_init(&why, text, sizeof text);
    switch (mvm_options_parse(&options, argc, argv, &why)) {
    case MVM_OPTIONS_RUN:
        return options.init ? run_as_init(argc, argv) : mvm_agent_run(&agent, &options);
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
