/* The command line: a table of options, and for each kind of value a function that takes it. */
#include "options.h"
#include "mvm_version.h"
#include "parse.h"
#include "small_files.h"
#include <limits.h>
#include <string.h>

struct option;

/* Parses an option's values; NULL, or what is wrong with them. */
typedef const char *setter(struct mvm_options *o, const struct option *option,
                           char *const values[]);

struct option {
    const char *name;
    const char *values; /* as the help shows them; NULL: none */
    uint8_t values_len;
    uint8_t result;  /* an enum mvm_options_result */
    uint16_t offset; /* of the member of struct mvm_options that it fills, for those that share */
    setter *set;     /* NULL: the option ends the parsing with `result` */
    const char *help;
};

_Static_assert(sizeof(struct mvm_options) <= UINT16_MAX, "an option's offset");

/* ---- values ---- */

static const char *parse_seconds(const char *text, uint64_t max, uint64_t *secs)
{
    switch (mvm_parse_u64(text, max, secs)) {
    case MVM_NUMBER_FINE:
        return NULL;
    case MVM_NUMBER_LARGE:
        return "too large a number of seconds";
    case MVM_NUMBER_NONE:
        break;
    }
    return "not a number of seconds";
}

/* ---- setters ---- */

static const char *set_listen(struct mvm_options *o, const struct option *option,
                              char *const values[])
{
    (void)option;
    if (o->listen_len == MVM_LISTENERS_MAX) {
        return "too many listeners";
    }
    struct mvm_address *a = &o->listen[o->listen_len];
    const char *wrong = mvm_address_parse(a, values[0]);
    for (size_t i = 0; wrong == NULL && i < o->listen_len; i++) {
        wrong = mvm_address_conflicts(a, &o->listen[i]) ? "given twice" : NULL;
    }
    o->listen_len += wrong == NULL;
    return wrong;
}

static void set_string(struct mvm_options *o, const struct option *option, const char *value)
{
    memcpy((char *)o + option->offset, &value, sizeof value);
}

static const char *set_path(struct mvm_options *o, const struct option *option,
                            char *const values[])
{
    const char *wrong = mvm_parse_path(values[0], MVM_PATH_MAX);
    if (wrong == NULL) {
        set_string(o, option, values[0]);
    }
    return wrong;
}

static const char *set_device(struct mvm_options *o, const struct option *option,
                              char *const values[])
{
    if (strcmp(values[0], "none") == 0) {
        set_string(o, option, NULL);
        return NULL;
    }
    return set_path(o, option, values);
}

/* nix is started in another directory than the agent. */
static const char *set_stream_dir(struct mvm_options *o, const struct option *option,
                                  char *const values[])
{
    bool none = strcmp(values[0], "none") == 0;
    return none || values[0][0] == '/' || values[0][0] == '\0'
               ? set_device(o, option, values)
               : "neither an absolute path nor none";
}

static const char *set_nix_option(struct mvm_options *o, const struct option *option,
                                  char *const values[])
{
    (void)option;
    if (values[0][0] == '\0') {
        return "no name";
    }
    if (o->executor.nix_options_len == MVM_NIX_OPTIONS_MAX) {
        return "too many nix options";
    }
    o->nix_options[o->executor.nix_options_len++] =
        (struct mvm_nix_option){.name = values[0], .value = values[1]};
    return NULL;
}

static const char *set_timeout(struct mvm_options *o, const struct option *option,
                               char *const values[])
{
    (void)option;
    uint64_t *secs = &o->executor.timeout_secs;
    const char *wrong = parse_seconds(values[0], MVM_TIMEOUT_NONE_SECS, secs);
    *secs = *secs > 0 ? *secs : MVM_TIMEOUT_NONE_SECS;
    return wrong;
}

static const char *set_heartbeat(struct mvm_options *o, const struct option *option,
                                 char *const values[])
{
    (void)option;
    uint64_t secs = o->executor.heartbeat_ms / 1000;
    const char *wrong = parse_seconds(values[0], UINT32_MAX / 1000, &secs);
    o->executor.heartbeat_ms = o->scheduler.heartbeat_ms = (uint32_t)secs * 1000;
    return wrong;
}

static const char *set_exit_idle(struct mvm_options *o, const struct option *option,
                                 char *const values[])
{
    (void)option;
    uint64_t secs = o->exit_idle_ms / 1000;
    const char *wrong = parse_seconds(values[0], UINT32_MAX / 1000, &secs);
    o->exit_idle_ms = (uint32_t)secs * 1000;
    return wrong;
}

static const char *set_host_epoch(struct mvm_options *o, const struct option *option,
                                  char *const values[])
{
    (void)option;
    return parse_seconds(values[0], MVM_EPOCH_MAX_SECS, &o->host_epoch_secs);
}

static const char *set_allow_cid(struct mvm_options *o, const struct option *option,
                                 char *const values[])
{
    (void)option;
    if (strcmp(values[0], "any") == 0) {
        o->any_cid = true;
        return NULL;
    }
    uint32_t cid;
    if (mvm_parse_u32(values[0], UINT32_MAX - 1, &cid) != MVM_NUMBER_FINE) {
        return "neither a CID nor any";
    }
    if (o->allowed_cids_len == MVM_ALLOWED_CIDS_MAX) {
        return "too many CIDs";
    }
    o->allowed_cids[o->allowed_cids_len++] = cid;
    return NULL;
}

static const char *set_flag(struct mvm_options *o, const struct option *option,
                            char *const values[])
{
    (void)values;
    *((char *)o + option->offset) = true;
    return NULL;
}

static const char *add_module(struct mvm_options *o, const char *path, bool list)
{
    const char *wrong = mvm_parse_path(path, MVM_PATH_MAX);
    if (wrong == NULL && o->modules_len == MVM_MODULES_MAX) {
        wrong = "too many modules: list them in a file";
    }
    if (wrong == NULL) {
        o->modules[o->modules_len++] = (struct mvm_module){path, list};
    }
    return wrong;
}

static const char *set_module(struct mvm_options *o, const struct option *option,
                              char *const values[])
{
    (void)option;
    return add_module(o, values[0], false);
}

static const char *set_modules(struct mvm_options *o, const struct option *option,
                               char *const values[])
{
    (void)option;
    return add_module(o, values[0], true);
}

static const char *set_end(struct mvm_options *o, const struct option *option, char *const values[])
{
    static const char *const names[] = {
        [MVM_POWER_OFF] = "poweroff",
        [MVM_POWER_REBOOT] = "reboot",
        [MVM_POWER_HALT] = "halt",
    };
    (void)option;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(values[0], names[i]) == 0) {
            o->end = (enum mvm_power)i;
            return NULL;
        }
    }
    return "neither poweroff, reboot nor halt";
}

/* ---- the table ---- */

#define MEMBER(name) offsetof(struct mvm_options, name)

static const struct option options[] = {
    {"--listen", "ADDRESS", 1, 0, 0, set_listen,
     "where to take requests (repeatable):\n"
     "vsock[:CID]:PORT, unix:PATH, fd:N (a listening socket, or\n"
     "one connection), serial:DEVICE, serial:NAME of a\n"
     "virtio-serial port [vsock:21470]"},
    {"--out-dir", "DIR", 1, 0, MEMBER(executor.out_dir), set_path,
     "where artifacts go [/build-out]"},
    {"--out-dev", "DEV|none", 1, 0, MEMBER(executor.out_device), set_device,
     "mounted there for a build, if nothing is [/dev/vdb]"},
    {"--in-dir", "DIR", 1, 0, MEMBER(executor.in_dir), set_path,
     "the flake reference that selects the input disk\n[/build-in]"},
    {"--in-dev", "DEV|none", 1, 0, MEMBER(executor.in_device), set_device,
     "mounted there read-only, if nothing is [/dev/vdc]"},
    {"--require-disks", NULL, 0, 0, MEMBER(executor.require_devices), set_flag,
     "fail a build if such a disk is absent; without it the\ndirectory is used as it is"},
    {"--stream-dir", "DIR|none", 1, 0, MEMBER(executor.stream_dir), set_stream_dir,
     "where builds without disks keep sources and results\n[/nix/var/mvm-builder]"},
    {"--nix", "PATH", 1, 0, MEMBER(posix.nix), set_path,
     "the nix program [PATH, then the usual places]"},
    {"--nix-option", "NAME VALUE", 2, 0, 0, set_nix_option, "an --option for nix (repeatable)"},
    {"--timeout", "SECONDS", 1, 0, 0, set_timeout,
     "for builds that ask for none; 0: no limit [1800]"},
    {"--heartbeat", "SECONDS", 1, 0, 0, set_heartbeat,
     "silence before an empty Log line; 0: none [10]"},
    {"--policy", "FILE", 1, 0, MEMBER(executor.policy_file), set_path,
     "may forbid builds; absent: they are allowed\n[/mnt/config/security-policy.json]"},
    {"--allow-cid", "CID|any", 1, 0, 0, set_allow_cid,
     "a vsock peer to serve besides the host (repeatable)"},
    {"--keep-building", NULL, 0, 0, MEMBER(scheduler.keep_building), set_flag,
     "continue a build whose client has gone"},
    {"--exit-after-build", NULL, 0, 0, MEMBER(exit_after_build), set_flag,
     "end once a build has been answered"},
    {"--exit-idle", "SECONDS", 1, 0, 0, set_exit_idle,
     "end after so long without a build or a client; 0: never\n[0]"},
    {"--init", NULL, 0, 0, MEMBER(init), set_flag,
     "be the machine's init, as process 1 always is; options\n"
     "also from mvm.NAME=VALUE of the kernel's command line"},
    {"--module", "FILE|NAME", 1, 0, 0, set_module, "init: a kernel module to load (repeatable)"},
    {"--modules", "FILE|DIR", 1, 0, 0, set_modules,
     "init: a list of those, one on each line, in order; or\n"
     "the directory of names [/lib/modules], for common ones"},
    {"--root", "DEV", 1, 0, MEMBER(root), set_path, "init: switch to the root file system there"},
    {"--store", "DEV", 1, 0, MEMBER(store), set_path, "init: a disk of its own for /nix, kept"},
    {"--hostepoch", "SECONDS", 1, 0, 0, set_host_epoch,
     "init: set a clock that is behind to so long after 1970"},
    {"--end", "HOW", 1, 0, 0, set_end,
     "init: how the machine ends: poweroff, reboot or halt\n[poweroff]"},
    {"--version", NULL, 0, MVM_OPTIONS_VERSION, 0, NULL, "print the version"},
    {"--help", NULL, 0, MVM_OPTIONS_HELP, 0, NULL, "print this"},
};

/* Compared by address: an option may name the same device. */
static const char default_out_device[] = "/dev/vdb";
static const char default_in_device[] = "/dev/vdc";

enum { OPTIONS_LEN = sizeof options / sizeof options[0], HELP_COLUMN = 26 };

void mvm_options_begin(struct mvm_options *o)
{
    memset(o, 0, sizeof *o);
    o->executor = (struct mvm_executor_config){
        .out_dir = "/build-out",
        .out_device = default_out_device,
        .in_dir = "/build-in",
        .in_device = default_in_device,
        .policy_file = "/mnt/config/security-policy.json",
        .nix_options = o->nix_options,
        .timeout_secs = MVM_TIMEOUT_DEFAULT_SECS,
        .heartbeat_ms = MVM_HEARTBEAT_MS,
        .stream_dir = "/nix/var/mvm-builder",
    };
    o->scheduler.heartbeat_ms = MVM_HEARTBEAT_MS;
    o->posix.subreaper = true;
}

/* The option that `arg` names; `*value` is what follows a '=', or NULL. */
static const struct option *find_option(const char *arg, const char **value)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        const char *rest = mvm_parse_prefix(arg, options[i].name);
        if (rest != NULL && (*rest == '\0' || *rest == '=')) {
            *value = *rest == '=' ? rest + 1 : NULL;
            return &options[i];
        }
    }
    return NULL;
}

static enum mvm_options_result mistake(struct mvm_options *o, struct mvm_writer *why,
                                       const char *name, const char *value, const char *what)
{
    o->policy_unclear = o->policy_unclear || strcmp(name, "--policy") == 0;
    mvm_writer_add(why, name);
    if (value != NULL) {
        mvm_writer_add(why, " ");
        mvm_writer_add(why, value);
    }
    mvm_writer_add(why, ": ");
    mvm_writer_add(why, what);
    mvm_writer_finish(why);
    return MVM_OPTIONS_MISTAKE;
}

enum mvm_options_result mvm_options_parse_one(struct mvm_options *o, int argc, char *const argv[],
                                              int *at, struct mvm_writer *why)
{
    const char *attached = NULL;
    const struct option *option = find_option(argv[*at], &attached);
    if (option == NULL) {
        return mistake(o, why, argv[*at], NULL, "unknown option");
    }
    if (attached != NULL && option->values_len == 0) {
        return mistake(o, why, option->name, attached, "takes no value");
    }
    if (option->set == NULL) {
        return option->result;
    }
    char *values[2] = {NULL, NULL};
    for (int i = 0; i < option->values_len; i++) {
        if (i == 0 && attached != NULL) {
            values[0] = argv[*at] + (attached - argv[*at]);
        } else if (++*at < argc) {
            values[i] = argv[*at];
        } else {
            return mistake(o, why, option->name, option->values, "value missing");
        }
    }
    const char *what = option->set(o, option, values);
    return what == NULL ? MVM_OPTIONS_RUN : mistake(o, why, option->name, values[0], what);
}

void mvm_options_end(struct mvm_options *o)
{
    if (o->policy_unclear) {
        o->executor.policy_file = "";
    }
    if (o->listen_len == 0) {
        mvm_address_parse(&o->listen[o->listen_len++], "vsock:21470");
    }
}

enum mvm_options_result mvm_options_parse(struct mvm_options *o, int argc, char *const argv[],
                                          struct mvm_writer *why)
{
    mvm_options_begin(o);
    for (int at = 1; at < argc; at++) {
        enum mvm_options_result result = mvm_options_parse_one(o, argc, argv, &at, why);
        if (result != MVM_OPTIONS_RUN) {
            return result;
        }
    }
    mvm_options_end(o);
    return MVM_OPTIONS_RUN;
}

bool mvm_options_default_disks(const struct mvm_options *o, struct mvm_writer *w)
{
    bool out = o->executor.out_device == default_out_device;
    bool in = o->executor.in_device == default_in_device;
    if (out) {
        mvm_writer_add3(w, "builds write to ", default_out_device, ", unless --out-dev none");
    }
    if (in) {
        mvm_writer_add3(w, out ? "; " : "", "/build-in is read from ", default_in_device);
        mvm_writer_add(w, ", unless --in-dev none");
    }
    return out || in;
}

/* ---- help ---- */

static void add_spaces(struct mvm_writer *w, size_t n)
{
    for (; n > 0; n--) {
        mvm_writer_add(w, " ");
    }
}

static void add_option(struct mvm_writer *w, const struct option *option)
{
    size_t start = w->len;
    mvm_writer_add(w, "  ");
    mvm_writer_add(w, option->name);
    if (option->values != NULL) {
        mvm_writer_add(w, " ");
        mvm_writer_add(w, option->values);
    }
    size_t len = w->len - start;
    add_spaces(w, len < HELP_COLUMN ? HELP_COLUMN - len : 1);
    for (struct mvm_text rest = mvm_text_from(option->help); rest.len > 0;) {
        mvm_writer_add_text(w, mvm_posix_cut(&rest, '\n'));
        mvm_writer_add(w, "\n");
        add_spaces(w, rest.len > 0 ? HELP_COLUMN : 0);
    }
}

void mvm_options_help(struct mvm_writer *w)
{
    mvm_writer_add(w, "mvm-builder-agent " MVM_VERSION
                      ": builds with nix what a microVM's host asks for\n\n"
                      "usage: mvm-builder-agent [OPTION]…   (--name VALUE or --name=VALUE)\n\n");
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        add_option(w, &options[i]);
    }
}
