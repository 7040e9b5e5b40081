#define _GNU_SOURCE
#include "options.h"
#include "help.h"
#include "host_limits.h"
#include "id.h"
#include "mvm_utf8.h"
#include "parse.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The largest number of seconds: a year fits, and milliseconds fit 64 bits. */
#define SECONDS_MAX UINT32_MAX

/* Options by number, above every character. */
enum {
    TO = 256,
    FOR,
    TIMEOUT,
    LOG,
    ID,
    RETRY,
    SILENCE,
    JSON,
    WIRE,
    OUTPUT,
    ALL_FILES,
    MAX_SIZE,
    SHA256,
    VERSION,
    HELP,
    OPTIONS_END
};

static const struct option names[] = {
    {"to", required_argument, NULL, TO},
    {"for", required_argument, NULL, FOR},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"log", required_argument, NULL, LOG},
    {"id", required_argument, NULL, ID},
    {"retry", required_argument, NULL, RETRY},
    {"silence", required_argument, NULL, SILENCE},
    {"json", no_argument, NULL, JSON},
    {"wire", required_argument, NULL, WIRE},
    {"output", required_argument, NULL, OUTPUT},
    {"all-files", no_argument, NULL, ALL_FILES},
    {"max-size", required_argument, NULL, MAX_SIZE},
    {"sha256", no_argument, NULL, SHA256},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

#define BIT(n) (1u << (n))

/* Options that only some commands have. */
static const struct {
    int option;
    unsigned commands;
    const char *mistake;
} scopes[] = {
    {FOR, BIT(MVM_HOST_WAIT), "--for is for wait"},
    {TIMEOUT, BIT(MVM_HOST_BUILD), "--timeout is for build"},
    {ID, BIT(MVM_HOST_BUILD), "--id is for build; join and cancel take it as a word"},
    {LOG, BIT(MVM_HOST_BUILD) | BIT(MVM_HOST_JOIN), "--log is for build and join"},
    {RETRY, BIT(MVM_HOST_BUILD) | BIT(MVM_HOST_JOIN), "--retry is for build and join"},
    {SILENCE, BIT(MVM_HOST_BUILD) | BIT(MVM_HOST_JOIN), "--silence is for build and join"},
    {OUTPUT, BIT(MVM_HOST_BUILD), "--output is for build"},
    {ALL_FILES, BIT(MVM_HOST_BUILD), "--all-files is for build"},
    {MAX_SIZE, BIT(MVM_HOST_BUILD), "--max-size is for build"},
    {SHA256, BIT(MVM_HOST_BUILD), "--sha256 is for build"},
};

static const struct {
    const char *name;
    int operands;
    const char *mistake;
} commands[] = {
    [MVM_HOST_PING] = {"ping", 0, "it takes no operand"},
    [MVM_HOST_WAIT] = {"wait", 0, "it takes no operand"},
    [MVM_HOST_HELLO] = {"hello", 0, "it takes no operand"},
    [MVM_HOST_BUILD] = {"build", 2, "give a flake and an attribute"},
    [MVM_HOST_JOIN] = {"join", 1, "give the id of a build"},
    [MVM_HOST_CANCEL] = {"cancel", 1, "give the id of a build"},
};

static bool mistake(const char *what, const char *about)
{
    fprintf(stderr, "mvm-builder: %s%s%s; see --help\n", about, *about != '\0' ? ": " : "", what);
    return false;
}

/* ---- values ---- */

static bool bad_value(int option, const char *value, const char *what)
{
    size_t i = 0;
    while (names[i].name != NULL && names[i].val != option) {
        i++;
    }
    fprintf(stderr, "mvm-builder: --%s %s: %s; see --help\n", names[i].name, value, what);
    return false;
}

/* `how` names the source of the address. */
static bool set_to(struct mvm_host_options *o, const char *how, const char *text)
{
    const char *wrong = mvm_peer_parse(&o->peer, text);
    o->address = text;
    if (wrong != NULL) {
        fprintf(stderr, "mvm-builder: %s%s: %s; see --help\n", how, text, wrong);
    }
    return wrong == NULL;
}

/* Without --to. An empty variable counts as unset. */
static bool set_to_from_environment(struct mvm_host_options *o)
{
    const char *text = getenv(MVM_HOST_TO);
    if (text == NULL || *text == '\0') {
        return mistake("give the agent's address: --to ADDRESS, or " MVM_HOST_TO, "");
    }
    return set_to(o, MVM_HOST_TO "=", text);
}

static bool set_wire(struct mvm_host_options *o, const char *text)
{
    if (strcmp(text, "json") == 0) {
        o->wire = MVM_WIRE_JSON;
    } else if (strcmp(text, "proto") != 0) {
        return bad_value(WIRE, text, "the wire is json or proto");
    } else if (!mvm_proto_present) {
        return bad_value(WIRE, text, "this build has no protobuf wire");
    } else {
        o->wire = MVM_WIRE_PROTO;
    }
    return true;
}

static bool set_seconds(uint64_t *secs, int option, const char *text, uint64_t max)
{
    switch (mvm_parse_u64(text, max, secs)) {
    case MVM_NUMBER_FINE:
        return true;
    case MVM_NUMBER_NONE:
        return bad_value(option, text, "not a number of seconds");
    case MVM_NUMBER_LARGE:
        break;
    }
    return bad_value(option, text, "too large a number of seconds");
}

/* With K, M, G or T behind it: that many KiB, MiB, GiB or TiB. */
static bool set_size(uint64_t *bytes, const char *text)
{
    static const char units[] = "KMGT";
    char number[32];
    size_t len = strlen(text);
    const char *unit = len > 1 && len <= sizeof number ? strchr(units, text[len - 1]) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (unit != NULL) {
        memcpy(number, text, len - 1);
        number[len - 1] = '\0';
    }
    switch (mvm_parse_u64(unit != NULL ? number : text, INT64_MAX >> shift, bytes)) {
    case MVM_NUMBER_FINE:
        *bytes <<= shift;
        return true;
    case MVM_NUMBER_NONE:
        return bad_value(MAX_SIZE, text, "not a number of bytes");
    case MVM_NUMBER_LARGE:
        break;
    }
    return bad_value(MAX_SIZE, text, "too large a number of bytes");
}

static const char no_id[] = "an id is 16 to 64 of A-Z a-z 0-9 . _ -";

static bool set_id(struct mvm_host_options *o, const char *text)
{
    o->id = text;
    return mvm_id_valid(mvm_text_from(text));
}

static bool set_output(struct mvm_host_options *o, const char *text)
{
    o->output = text;
    return text[0] != '\0' || bad_value(OUTPUT, text, "not the name of a folder");
}

/* Those of a build without disks. */
static bool set_output_option(struct mvm_host_options *o, int option, const char *value)
{
    switch (option) {
    case OUTPUT:
        return set_output(o, value);
    case ALL_FILES:
        o->all_files = true;
        return true;
    case MAX_SIZE:
        return set_size(&o->max_size, value);
    case SHA256:
        o->sha256 = true;
        return true;
    default:
        return mistake("the options are wrong", ""); /* getopt has reported which, and why */
    }
}

static bool set_option(struct mvm_host_options *o, int option, const char *value)
{
    switch (option) {
    case TO:
        return set_to(o, "--to ", value);
    case FOR:
        return set_seconds(&o->for_secs, option, value, SECONDS_MAX);
    case TIMEOUT:
        o->has_timeout = true;
        return set_seconds(&o->timeout_secs, option, value, UINT64_MAX);
    case LOG:
        o->log = value;
        return true;
    case ID:
        return set_id(o, value) || bad_value(ID, value, no_id);
    case RETRY:
        return set_seconds(&o->retry_secs, option, value, SECONDS_MAX);
    case SILENCE:
        return set_seconds(&o->silence_secs, option, value, SECONDS_MAX);
    case JSON:
        o->json = true;
        return true;
    case WIRE:
        return set_wire(o, value);
    case HELP:
        o->command = MVM_HOST_HELP;
        return true;
    case VERSION:
        o->command = MVM_HOST_VERSION;
        return true;
    default:
        return set_output_option(o, option, value);
    }
}

/* ---- commands ---- */

/* Both wires carry text here: other bytes would reach the agent changed. */
static bool is_utf8(const char *text)
{
    struct mvm_utf8 state = {0};
    for (; *text != '\0'; text++) {
        if (!mvm_utf8_check(&state, (uint8_t)*text)) {
            return false;
        }
    }
    return mvm_utf8_whole(&state);
}

/* send:FOLDER?dir=SUB: the flake is the part from the question mark on. */
static bool split_folder(struct mvm_host_options *o)
{
    const char *path = mvm_parse_prefix(o->flake, "send:");
    if (path == NULL) {
        return true;
    }
    size_t len = strcspn(path, "?");
    if (len == 0 || len >= sizeof o->folder_path) {
        return mistake(len == 0 ? "give a folder behind send:" : "the path is too long", o->flake);
    }
    if (path[len] != '\0' && strncmp(path + len, "?dir=", 5) != 0) {
        return mistake("behind the folder, ?dir= alone can follow", o->flake);
    }
    memcpy(o->folder_path, path, len);
    o->folder_path[len] = '\0';
    o->folder = o->folder_path;
    o->flake = path + len;
    return true;
}

static bool set_operands(struct mvm_host_options *o, char *const operands[])
{
    switch (o->command) {
    case MVM_HOST_BUILD:
        o->flake = operands[0];
        o->attr = operands[1];
        return split_folder(o) && ((is_utf8(o->flake) && is_utf8(o->attr)) ||
                                   mistake("flake and attribute must be UTF-8", "build"));
    case MVM_HOST_JOIN:
    case MVM_HOST_CANCEL:
        return set_id(o, operands[0]) || mistake(no_id, operands[0]);
    case MVM_HOST_PING:
    case MVM_HOST_WAIT:
    case MVM_HOST_HELLO:
    case MVM_HOST_HELP:
    case MVM_HOST_VERSION:
        break;
    }
    return true;
}

/* `given`: the options given, by BIT of their number from TO on. */
static bool check_scopes(enum mvm_host_command command, unsigned given)
{
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if ((given & BIT(scopes[i].option - TO)) != 0 && (scopes[i].commands & BIT(command)) == 0) {
            return mistake(scopes[i].mistake, commands[command].name);
        }
    }
    return true;
}

static bool set_command(struct mvm_host_options *o, unsigned given, int argc, char *argv[])
{
    if (argc == 0) {
        return mistake("give a command: ping, wait, hello, build, join or cancel", "");
    }
    unsigned i = 0;
    while (i < sizeof commands / sizeof commands[0] && strcmp(argv[0], commands[i].name) != 0) {
        i++;
    }
    if (i == sizeof commands / sizeof commands[0]) {
        return mistake("no such command", argv[0]);
    }
    o->command = (enum mvm_host_command)i;
    if (!check_scopes(o->command, given)) {
        return false;
    }
    if (argc != 1 + commands[i].operands) {
        return mistake(commands[i].mistake, argv[0]);
    }
    return set_operands(o, argv + 1);
}

/* A build without disks: bytes, which JSON lines do not carry. */
static bool check_output(struct mvm_host_options *o, unsigned given)
{
    const unsigned of_output = BIT(MAX_SIZE - TO) | BIT(SHA256 - TO);
    if (o->output == NULL) {
        if (o->folder != NULL) {
            return mistake("a flake that is sent needs --output", "build");
        }
        return (given & of_output) == 0 ||
               mistake("--max-size and --sha256 require --output", "build");
    }
    if (!mvm_proto_present) {
        return mistake("--output needs the protobuf wire, which this build lacks", "build");
    }
    if ((given & BIT(WIRE - TO)) != 0 && o->wire == MVM_WIRE_JSON) {
        return mistake("--output cannot be combined with --wire json", "build");
    }
    if (o->peer.kind == MVM_PEER_SERIAL) {
        return mistake("a serial line does not carry --output", o->address);
    }
    o->wire = MVM_WIRE_PROTO;
    return true;
}

static bool check_together(struct mvm_host_options *o, unsigned given)
{
    if (o->all_files && o->folder == NULL) {
        return mistake("--all-files requires send:", "build");
    }
    if (!check_output(o, given)) {
        return false;
    }
    /* After a host that ended within a frame the next line can be found, the next length cannot. */
    if (o->peer.kind == MVM_PEER_SERIAL && o->wire != MVM_WIRE_JSON) {
        return mistake("a serial line carries --wire json alone", o->address);
    }
    if (o->retry_secs > 0 && o->has_timeout && o->timeout_secs == 0) {
        return mistake(
            "a build that is kept needs a time-out: --retry cannot be combined with --timeout 0",
            "build");
    }
    return true;
}

bool mvm_host_options_parse(struct mvm_host_options *o, int argc, char *argv[])
{
    static char name[] = "mvm-builder";
    unsigned given = 0;
    _Static_assert(OPTIONS_END - TO <= 32, "an option for each bit of `given`");
    memset(o, 0, sizeof *o);
    if (argc > 0) {
        argv[0] = name; /* getopt's messages begin with it */
    }
    o->for_secs = MVM_HOST_WAIT_FOR_SECS;
    o->silence_secs = MVM_HOST_SILENCE_SECS;
    o->wire = MVM_WIRE_JSON;
    o->max_size = MVM_HOST_MAX_SIZE;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (!set_option(o, option, optarg)) {
            return false;
        }
        if (option == HELP || option == VERSION) {
            return true;
        }
        given |= BIT(option - TO);
    }
    if (!set_command(o, given, argc - optind, argv + optind)) {
        return false;
    }
    return (o->address != NULL || set_to_from_environment(o)) && check_together(o, given);
}
