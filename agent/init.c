#define _GNU_SOURCE
#include "init.h"
#include "clock.h"
#include "cmdline.h"
#include "init_container.h"
#include "init_mounts.h"
#include "init_roles.h"
#include "init_root.h"
#include "init_store.h"
#include "log.h"
#include "modules.h"
#include "power_button.h"
#include "small_files.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const char *what)
{
    mvm_log(what, ": ", mvm_posix_error_text(errno));
}

/* A kernel without an initial console starts us with nothing open. The driver of one may be a
 * module: until it is loaded lines wait, and no disk that is opened gets the number of a standard
 * stream. Returns false in that case. */
static bool open_console(void)
{
    bool open_all = true;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/console", O_RDWR | O_NOCTTY) < 0) {
            open_all = false;
            (void)!open("/dev/null", O_RDWR);
        }
    }
    if (!open_all) {
        mvm_log_hold();
    }
    return open_all;
}

static void open_late_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int to = STDIN_FILENO; fd >= 0 && to <= STDERR_FILENO; to++) {
        dup2(fd, to);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
    mvm_log_again();
}

/* ---- options ---- */

/* Parses argv[1 … argc-1]; an unknown word is ignored, unless it concerns the
 * policy, see mvm_options_end. --help and --version have no effect at a machine's start. */
static void parse_words(struct mvm_options *o, int argc, char *const argv[])
{
    for (int at = 1; at < argc; at++) {
        char text[512];
        struct mvm_writer why;
        mvm_writer_init(&why, text, sizeof text);
        if (mvm_options_parse_one(o, argc, argv, &at, &why) == MVM_OPTIONS_MISTAKE) {
            mvm_log(text, "; ignored", NULL);
        }
    }
}

/* Each word separately: an option that lacks its value must not take the next word for it. */
static void parse_cmdline(struct mvm_options *o)
{
    static char text[MVM_CMDLINE_CAP];
    char *rest = text;
    char *words[3] = {NULL, NULL, NULL};
    int len;
    if (!mvm_posix_read_small(AT_FDCWD, "/proc/cmdline", text, sizeof text)) {
        mvm_log("cannot read /proc/cmdline", NULL, NULL);
        return;
    }
    if (mvm_cmdline_is_open(text)) {
        mvm_log("a quote is not closed on the kernel's command line", NULL, NULL);
        o->policy_unclear = true;
    }
    while ((len = mvm_cmdline_next(&rest, words + 1)) > 0) {
        parse_words(o, len + 1, words);
    }
}

static void find_options(struct mvm_options *o, int argc, char *const argv[])
{
    mvm_options_begin(o);
    parse_words(o, argc, argv);
    parse_cmdline(o);
    mvm_options_end(o);
    if (o->policy_unclear) {
        mvm_log("the option of the policy was not understood: builds are rejected", NULL, NULL);
    }
    o->init = true;
    o->posix.caller_reaps = true; /* we collect every orphan, so the build's processes too */
}

/* ---- the rest ---- */

static void raise_loopback(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0;
    if (done && (r.ifr_flags & IFF_UP) == 0) { /* a container's may be up, and not ours to raise */
        r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
        done = ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    }
    if (!done) {
        say("cannot raise the loopback interface");
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void name_host(void)
{
    static const char name[] = "mvm-builder";
    if (sethostname(name, sizeof name - 1) < 0) {
        say("cannot set the host name");
    }
}

void mvm_init_begin(struct mvm_options *o, int argc, char *const argv[])
{
    bool contained = !mvm_init_is_the_machines();
    bool apart = !contained || mvm_init_set_apart();
    if (apart) {
        mvm_init_mounts(contained);
    }
    bool has_console = open_console();
    mvm_init_mounts_say();
    find_options(o, argc, argv);
    o->contained = contained;
    if (o->host_epoch_secs > 0) {
        mvm_clock_not_before(o->host_epoch_secs);
    }
    mvm_modules_load(o->modules, o->modules_len);
    if (!has_console) {
        open_late_console();
    }
    mvm_power_button_watch();
    if (apart && o->root != NULL && mvm_init_root(o->root)) {
        mvm_init_mounts_say();
    }
    if (apart && o->store != NULL) {
        mvm_init_store(o);
    }
    mvm_init_roles(o);
    if (apart) {
        name_host();
    }
    raise_loopback();
}
