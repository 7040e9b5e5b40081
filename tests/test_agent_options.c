/* The agent's command line. */
#include "options.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 64 };

static struct mvm_options options;
static char why_text[512];
static struct mvm_writer why;

static enum mvm_options_result parse(const char *const args[])
{
    char *argv[ARGS_MAX] = {(char *)"mvm-builder-agent"};
    int argc = 1;
    while (args[argc - 1] != NULL) {
        argv[argc] = (char *)args[argc - 1];
        argc++;
    }
    mvm_writer_init(&why, why_text, sizeof why_text);
    return mvm_options_parse(&options, argc, argv, &why);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void assert_mistake(enum mvm_options_result result, const char *text)
{
    assert_int_equal(result, MVM_OPTIONS_MISTAKE);
    assert_string_equal(why_text, text);
}

static void without_arguments_it_takes_the_known_agents_place(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    assert_int_equal(parse(none), MVM_OPTIONS_RUN);
    assert_int_equal(options.listen_len, 1);
    assert_int_equal(options.listen[0].kind, MVM_ADDRESS_VSOCK);
    assert_int_equal(options.listen[0].cid, UINT32_MAX);
    assert_int_equal(options.listen[0].port, 21470);
    assert_string_equal(options.listen[0].text, "vsock:21470");
    assert_string_equal(options.executor.out_dir, "/build-out");
    assert_string_equal(options.executor.out_device, "/dev/vdb");
    assert_string_equal(options.executor.in_dir, "/build-in");
    assert_string_equal(options.executor.in_device, "/dev/vdc");
    assert_string_equal(options.executor.policy_file, "/mnt/config/security-policy.json");
    assert_int_equal(options.executor.timeout_secs, 1800);
    assert_int_equal(options.executor.heartbeat_ms, 10000);
    assert_int_equal(options.executor.nix_options_len, 0);
    assert_int_equal(options.scheduler.heartbeat_ms, 10000);
    assert_false(options.scheduler.keep_building);
    assert_null(options.posix.nix);
    assert_true(options.posix.subreaper);
    assert_false(options.any_cid);
    assert_int_equal(options.allowed_cids_len, 0);
    assert_false(options.init);
    assert_false(options.exit_after_build);
    assert_int_equal(options.modules_len, 0);
    assert_int_equal(options.end, MVM_POWER_OFF);
    assert_false(options.posix.caller_reaps);
}

/* As an init parses them: words that are meant for another program are ignored. */
static void taken_one_by_one_options_go_on_after_a_mistake(void **state)
{
    (void)state;
    char *const argv[] = {(char *)"init",      (char *)"splash", (char *)"--end=never",
                          (char *)"--timeout", (char *)"9",      (char *)"--end=halt"};
    int mistakes = 0;
    mvm_options_begin(&options);
    for (int at = 1; at < 6; at++) {
        mvm_writer_init(&why, why_text, sizeof why_text);
        mistakes += mvm_options_parse_one(&options, 6, argv, &at, &why) == MVM_OPTIONS_MISTAKE;
    }
    mvm_options_end(&options);
    assert_int_equal(mistakes, 2);
    assert_int_equal(options.executor.timeout_secs, 9);
    assert_int_equal(options.end, MVM_POWER_HALT);
    assert_string_equal(options.listen[0].text, "vsock:21470");
}

static void each_kind_of_address_is_understood(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--listen", "vsock:1", "--listen=vsock:3:4294967294", "--listen",
                           "vsock:any:7", "--listen", "unix:/run/mvm.sock", "--listen", "fd:0",
                           "--listen", "fd:2147483647", "--listen", "serial:/dev/ttyS1"),
                     MVM_OPTIONS_RUN);
    const struct mvm_address *a = options.listen;
    assert_int_equal(options.listen_len, 7);
    assert_int_equal(a[0].kind, MVM_ADDRESS_VSOCK);
    assert_int_equal(a[0].cid, UINT32_MAX);
    assert_int_equal(a[0].port, 1);
    assert_int_equal(a[1].cid, 3);
    assert_int_equal(a[1].port, 4294967294);
    assert_int_equal(a[2].cid, UINT32_MAX);
    assert_int_equal(a[2].port, 7);
    assert_int_equal(a[3].kind, MVM_ADDRESS_UNIX);
    assert_string_equal(a[3].path, "/run/mvm.sock");
    assert_int_equal(a[4].kind, MVM_ADDRESS_FD);
    assert_int_equal(a[4].fd, 0);
    assert_int_equal(a[5].fd, INT_MAX);
    assert_int_equal(a[6].kind, MVM_ADDRESS_SERIAL);
    assert_string_equal(a[6].path, "/dev/ttyS1");
    assert_string_equal(a[6].text, "serial:/dev/ttyS1");
}

static void each_option_is_taken_with_a_space_or_an_equals_sign(void **state)
{
    (void)state;
    static const char *const forms[][32] = {
        {"--out-dir",   "/o", "--out-dev",       "/dev/a",
         "--in-dir",    "/i", "--in-dev",        "/dev/b",
         "--nix",       "/n", "--timeout",       "60",
         "--heartbeat", "5",  "--policy",        "/p",
         "--allow-cid", "1",  "--keep-building", "--require-disks",
         NULL},
        {"--out-dir=/o", "--out-dev=/dev/a", "--in-dir=/i", "--in-dev=/dev/b", "--nix=/n",
         "--timeout=60", "--heartbeat=5", "--policy=/p", "--allow-cid=1", "--keep-building",
         "--require-disks", NULL},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(parse(forms[i]), MVM_OPTIONS_RUN);
        assert_string_equal(options.executor.out_dir, "/o");
        assert_string_equal(options.executor.out_device, "/dev/a");
        assert_string_equal(options.executor.in_dir, "/i");
        assert_string_equal(options.executor.in_device, "/dev/b");
        assert_true(options.executor.require_devices);
        assert_string_equal(options.posix.nix, "/n");
        assert_int_equal(options.executor.timeout_secs, 60);
        assert_int_equal(options.executor.heartbeat_ms, 5000);
        assert_int_equal(options.scheduler.heartbeat_ms, 5000);
        assert_string_equal(options.executor.policy_file, "/p");
        assert_int_equal(options.allowed_cids_len, 1);
        assert_int_equal(options.allowed_cids[0], 1);
        assert_true(options.scheduler.keep_building);
    }
}

static void none_means_no_device(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--out-dev", "none", "--in-dev=none"), MVM_OPTIONS_RUN);
    assert_null(options.executor.out_device);
    assert_null(options.executor.in_device);
}

static void nix_options_are_pairs_and_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--nix-option", "cores", "2", "--nix-option=substitute", "false"),
                     MVM_OPTIONS_RUN);
    assert_int_equal(options.executor.nix_options_len, 2);
    const struct mvm_nix_option *pairs = options.executor.nix_options;
    assert_string_equal(pairs[0].name, "cores");
    assert_string_equal(pairs[0].value, "2");
    assert_string_equal(pairs[1].name, "substitute");
    assert_string_equal(pairs[1].value, "false");
}

static void an_init_gets_its_modules_in_order_and_how_to_end(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--init", "--module", "/a.ko", "--modules=/list", "--module=/b.ko",
                           "--exit-after-build", "--end", "reboot"),
                     MVM_OPTIONS_RUN);
    assert_true(options.init);
    assert_true(options.exit_after_build);
    assert_int_equal(options.end, MVM_POWER_REBOOT);
    assert_int_equal(options.modules_len, 3);
    assert_string_equal(options.modules[0].path, "/a.ko");
    assert_false(options.modules[0].list);
    assert_string_equal(options.modules[1].path, "/list");
    assert_true(options.modules[1].list);
    assert_string_equal(options.modules[2].path, "/b.ko");
    assert_int_equal(PARSE("--end=halt"), MVM_OPTIONS_RUN);
    assert_int_equal(options.end, MVM_POWER_HALT);
    assert_int_equal(PARSE("--end=reboot", "--end=poweroff"), MVM_OPTIONS_RUN);
    assert_int_equal(options.end, MVM_POWER_OFF);
}

/* Each of these is refused and changes nothing. */
static void an_option_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
        {"--listen=uinx:/x"},
        {"--listen=vsock:x"},
        {"--listen=unix:"},
        {"--listen=fd:x"},
        {"--allow-cid=bogus"},
        {"--allow-cid="},
        {"--policy="},
        {"--policy"},
        {"--out-dev="},
        {"--out-dir="},
        {"--in-dev="},
        {"--in-dir="},
        {"--nix="},
        {"--nix-option=", "x"},
        {"--nix-option=a"},
        {"--timeout=x"},
        {"--heartbeat=x"},
        {"--module="},
        {"--modules="},
        {"--end=never"},
        {"--root="},
        {"--store="},
        {"--hostepoch=x"},
        {"--exit-idle=x"},
        {"--init=1"},
        {"--exit-after-build=1"},
        {"--keep-building=0"},
        {"--require-disks=0"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        static struct mvm_options before;
        char *const argv[] = {(char *)"init", (char *)refused[i][0], (char *)refused[i][1]};
        int at = 1;
        mvm_options_begin(&options);
        mvm_options_begin(&before);
        mvm_writer_init(&why, why_text, sizeof why_text);
        assert_int_equal(
            mvm_options_parse_one(&options, refused[i][1] != NULL ? 3 : 2, argv, &at, &why),
            MVM_OPTIONS_MISTAKE);
        /* A listener, a CID or a module counts only if it was accepted. */
        memset(options.listen, 0, sizeof options.listen);
        options.policy_unclear = false;
        before.executor.nix_options = options.executor.nix_options;
        assert_memory_equal(&options, &before, sizeof options);
    }
}

static void a_policy_that_is_not_understood_rejects_builds(void **state)
{
    (void)state;
    static const char *const words[] = {"--policy=", "--policy"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char *const argv[] = {(char *)"init", (char *)words[i], (char *)"--policy=/later"};
        mvm_options_begin(&options);
        for (int at = 1, last; at < 3; at = last + 1) {
            last = at;
            mvm_writer_init(&why, why_text, sizeof why_text);
            mvm_options_parse_one(&options, at + 1, argv, &last, &why);
        }
        mvm_options_end(&options);
        assert_string_equal(options.executor.policy_file, "");
    }
}

static void process_1_gets_time_and_root_by_option(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--hostepoch=1764358000", "--root", "/dev/vda", "--exit-idle", "90",
                           "--store=/dev/vdd"),
                     MVM_OPTIONS_RUN);
    assert_int_equal(options.host_epoch_secs, 1764358000);
    assert_string_equal(options.root, "/dev/vda");
    assert_string_equal(options.store, "/dev/vdd");
    assert_int_equal(options.exit_idle_ms, 90000);
    assert_int_equal(PARSE("--hostepoch=9223372036"), MVM_OPTIONS_RUN);
    assert_mistake(PARSE("--hostepoch=9223372037"),
                   "--hostepoch 9223372037: too large a number of seconds");
}

static void disks_that_no_option_names_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        const char *text;
    } cases[] = {
        {{NULL},
         "builds write to /dev/vdb, unless --out-dev none; /build-in is read from /dev/vdc, unless "
         "--in-dev none"},
        {{"--out-dev=none"}, "/build-in is read from /dev/vdc, unless --in-dev none"},
        {{"--in-dev=/dev/vdc"}, "builds write to /dev/vdb, unless --out-dev none"},
        {{"--in-dev=/dev/vdc", "--out-dev=/dev/vdb"}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        struct mvm_writer w;
        assert_int_equal(parse(cases[i].args), MVM_OPTIONS_RUN);
        mvm_writer_init(&w, text, sizeof text);
        assert_int_equal(mvm_options_default_disks(&options, &w), cases[i].text[0] != '\0');
        assert_false(w.cut);
        assert_string_equal(text, cases[i].text);
    }
}

static void any_peer_can_be_allowed(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--allow-cid", "any"), MVM_OPTIONS_RUN);
    assert_true(options.any_cid);
    assert_int_equal(options.allowed_cids_len, 0);
}

static void a_heartbeat_of_zero_is_none(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--heartbeat", "0"), MVM_OPTIONS_RUN);
    assert_int_equal(options.executor.heartbeat_ms, 0);
    assert_int_equal(options.scheduler.heartbeat_ms, 0);
}

/* Zero means the default in the executor's configuration, and no limit on the wire and here. */
static void a_timeout_of_zero_means_no_limit(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--timeout", "0"), MVM_OPTIONS_RUN);
    assert_true(options.executor.timeout_secs > UINT64_C(100) * 365 * 86400);
    assert_true(options.executor.timeout_secs <= UINT64_MAX / 1000);
}

static void the_last_word_of_an_option_holds(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--out-dev=none", "--out-dev", "/dev/vdx"), MVM_OPTIONS_RUN);
    assert_string_equal(options.executor.out_device, "/dev/vdx");
}

static void help_and_version_end_the_parsing(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--help", "--nonsense"), MVM_OPTIONS_HELP);
    assert_int_equal(PARSE("--keep-building", "--version", "--nonsense"), MVM_OPTIONS_VERSION);
}

static void a_mistake_names_option_value_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        const char *text;
    } cases[] = {
        {{"--nonsense"}, "--nonsense: unknown option"},
        {{"--out-dirs=/o"}, "--out-dirs=/o: unknown option"},
        {{"--out"}, "--out: unknown option"},
        {{"word"}, "word: unknown option"},
        {{""}, ": unknown option"},
        {{"--out-dir"}, "--out-dir DIR: value missing"},
        {{"--nix-option"}, "--nix-option NAME VALUE: value missing"},
        {{"--nix-option", "cores"}, "--nix-option NAME VALUE: value missing"},
        {{"--nix-option=cores"}, "--nix-option NAME VALUE: value missing"},
        {{"--keep-building=yes"}, "--keep-building yes: takes no value"},
        {{"--help="}, "--help : takes no value"},
        {{"--out-dir", ""}, "--out-dir : no path"},
        {{"--out-dev="}, "--out-dev : no path"},
        {{"--nix="}, "--nix : no path"},
        {{"--policy="}, "--policy : no path"},
        {{"--module="}, "--module : no path"},
        {{"--modules="}, "--modules : no path"},
        {{"--end=now"}, "--end now: neither poweroff, reboot nor halt"},
        {{"--init=yes"}, "--init yes: takes no value"},
        {{"--in-dir="}, "--in-dir : no path"},
        {{"--in-dev="}, "--in-dev : no path"},
        {{"--nix-option=", "x"}, "--nix-option : no name"},
        {{"--timeout", "abc"}, "--timeout abc: not a number of seconds"},
        {{"--timeout", ""}, "--timeout : not a number of seconds"},
        {{"--timeout", "-1"}, "--timeout -1: not a number of seconds"},
        {{"--timeout", "1.5"}, "--timeout 1.5: not a number of seconds"},
        {{"--timeout", "9223372036854776"},
         "--timeout 9223372036854776: too large a number of seconds"},
        {{"--timeout", "9223372036854775"}, NULL},
        {{"--timeout", "18446744073709551616"},
         "--timeout 18446744073709551616: too large a number of seconds"},
        {{"--heartbeat", "4294967"}, NULL},
        {{"--heartbeat", "4294968"}, "--heartbeat 4294968: too large a number of seconds"},
        {{"--heartbeat", "ten"}, "--heartbeat ten: not a number of seconds"},
        {{"--allow-cid", "host"}, "--allow-cid host: neither a CID nor any"},
        {{"--allow-cid", "4294967294"}, NULL},
        {{"--allow-cid", "4294967295"}, "--allow-cid 4294967295: neither a CID nor any"},
        {{"--listen", "tcp:80"},
         "--listen tcp:80: neither vsock[:CID]:PORT, unix:PATH, fd:N nor serial:DEVICE"},
        {{"--listen", ""}, "--listen : empty address"},
        {{"--listen", "vsock:"}, "--listen vsock:: the port is not a number"},
        {{"--listen", "vsock:4294967295"}, "--listen vsock:4294967295: the port is not a number"},
        {{"--listen", "vsock:1:2:3"}, "--listen vsock:1:2:3: the port is not a number"},
        {{"--listen", "vsock::1"}, "--listen vsock::1: the CID is neither a number nor any"},
        {{"--listen", "vsock:x:1"}, "--listen vsock:x:1: the CID is neither a number nor any"},
        {{"--listen", "vsock:00000000000000000001:1"},
         "--listen vsock:00000000000000000001:1: the CID is neither a number nor any"},
        {{"--listen", "vsock:4294967295:1"},
         "--listen vsock:4294967295:1: the CID is neither a number nor any"},
        {{"--listen", "unix:"}, "--listen unix:: no path"},
        {{"--listen", "serial:"}, "--listen serial:: no path"},
        {{"--listen", "fd:"}, "--listen fd:: not a descriptor's number"},
        {{"--listen", "fd:-1"}, "--listen fd:-1: not a descriptor's number"},
        {{"--listen", "fd:2147483648"}, "--listen fd:2147483648: not a descriptor's number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const args[] = {cases[i].args[0], cases[i].args[1], NULL};
        enum mvm_options_result result = parse(args);
        if (cases[i].text == NULL) {
            assert_int_equal(result, MVM_OPTIONS_RUN);
        } else {
            assert_mistake(result, cases[i].text);
        }
    }
}

/* The option is valid up to `count` times; one more is a mistake. */
static void assert_at_most(const char *arg, int count, const char *what)
{
    const char *args[ARGS_MAX] = {0};
    for (int i = 0; i < count; i++) {
        args[i] = arg;
    }
    assert_int_equal(parse(args), MVM_OPTIONS_RUN);
    args[count] = arg;
    assert_int_equal(parse(args), MVM_OPTIONS_MISTAKE);
    assert_non_null(strstr(why_text, what));
}

static void repeated_options_have_their_limits(void **state)
{
    (void)state;
    assert_at_most("--listen=vsock:1", MVM_LISTENERS_MAX, ": too many listeners");
    assert_at_most("--allow-cid=1", MVM_ALLOWED_CIDS_MAX, ": too many CIDs");
    assert_at_most("--module=/m", MVM_MODULES_MAX, ": too many modules");
    const char *args[2 * MVM_NIX_OPTIONS_MAX + 3] = {0};
    for (int i = 0; i < MVM_NIX_OPTIONS_MAX; i++) {
        args[2 * i] = "--nix-option=n";
        args[2 * i + 1] = "v";
    }
    assert_int_equal(parse(args), MVM_OPTIONS_RUN);
    args[2 * MVM_NIX_OPTIONS_MAX] = "--nix-option=n";
    args[2 * MVM_NIX_OPTIONS_MAX + 1] = "v";
    assert_mistake(parse(args), "--nix-option n: too many nix options");
}

/* "unix:" and a path of `len` bytes. */
static enum mvm_options_result parse_path(const char *prefix, size_t len)
{
    static char text[2 * MVM_PATH_MAX];
    size_t prefix_len = strlen(prefix);
    memcpy(text, prefix, prefix_len);
    memset(text + prefix_len, 'p', len);
    text[prefix_len + len] = '\0';
    return PARSE(text);
}

static void paths_have_their_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_path("--listen=unix:", 107), MVM_OPTIONS_RUN);
    assert_int_equal(parse_path("--listen=unix:", 108), MVM_OPTIONS_MISTAKE);
    assert_non_null(strstr(why_text, ": path too long"));
    assert_int_equal(parse_path("--listen=serial:", MVM_PATH_MAX - 1), MVM_OPTIONS_RUN);
    assert_int_equal(parse_path("--listen=serial:", MVM_PATH_MAX), MVM_OPTIONS_MISTAKE);
    assert_int_equal(parse_path("--out-dir=", MVM_PATH_MAX - 1), MVM_OPTIONS_RUN);
    assert_int_equal(parse_path("--out-dir=", MVM_PATH_MAX), MVM_OPTIONS_MISTAKE);
}

static void the_help_names_every_option_and_fits_its_buffer(void **state)
{
    (void)state;
    static const char *const names[] = {
        "--listen ADDRESS",
        "--out-dir DIR",
        "--out-dev DEV|none",
        "--in-dir DIR",
        "--in-dev DEV|none",
        "--stream-dir DIR|none",
        "--nix PATH",
        "--nix-option NAME VALUE",
        "--timeout SECONDS",
        "--heartbeat SECONDS",
        "--policy FILE",
        "--allow-cid CID|any",
        "--keep-building",
        "--require-disks",
        "--exit-after-build",
        "--exit-idle SECONDS",
        "--init",
        "--module FILE|NAME",
        "--modules FILE|DIR",
        "--root DEV",
        "--store DEV",
        "--hostepoch SECONDS",
        "--end HOW",
        "--version",
        "--help",
    };
    char text[4096];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_options_help(&w);
    assert_false(w.cut);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(strstr(text, names[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_it_takes_the_known_agents_place),
        cmocka_unit_test(taken_one_by_one_options_go_on_after_a_mistake),
        cmocka_unit_test(each_kind_of_address_is_understood),
        cmocka_unit_test(each_option_is_taken_with_a_space_or_an_equals_sign),
        cmocka_unit_test(none_means_no_device),
        cmocka_unit_test(nix_options_are_pairs_and_keep_their_order),
        cmocka_unit_test(an_init_gets_its_modules_in_order_and_how_to_end),
        cmocka_unit_test(an_option_that_is_refused_changes_nothing),
        cmocka_unit_test(a_policy_that_is_not_understood_rejects_builds),
        cmocka_unit_test(process_1_gets_time_and_root_by_option),
        cmocka_unit_test(disks_that_no_option_names_are_named),
        cmocka_unit_test(any_peer_can_be_allowed),
        cmocka_unit_test(a_heartbeat_of_zero_is_none),
        cmocka_unit_test(a_timeout_of_zero_means_no_limit),
        cmocka_unit_test(the_last_word_of_an_option_holds),
        cmocka_unit_test(help_and_version_end_the_parsing),
        cmocka_unit_test(a_mistake_names_option_value_and_reason),
        cmocka_unit_test(repeated_options_have_their_limits),
        cmocka_unit_test(paths_have_their_limits),
        cmocka_unit_test(the_help_names_every_option_and_fits_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
