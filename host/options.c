#define _GNU_SOURCE
#include "options.h"
#include "mvm_utf8.h"
#include "mvm_version.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char mvm_host_help[] =
    "mvm-builder " MVM_VERSION ": asks the builder agent in a microVM to build a flake.\n"
    "\n"
    "usage: mvm-builder [--to ADDRESS] ping\n"
    "       mvm-builder [--to ADDRESS] wait [--for SECONDS]\n"
    "       mvm-builder [--to ADDRESS] build FLAKE ATTR [--timeout SECONDS] [--log FILE]\n"
    "\n"
    "  --to ADDRESS      where the agent is [" MVM_HOST_TO " of the environment]\n"
    "    unix:PATH         a Unix socket\n"
    "    vsock:CID:PORT    the vsock of a virtual machine; agents listen on port 21470\n"
    "    uds:PATH:PORT     hybrid vsock: the socket of Firecracker or Cloud Hypervisor\n"
    "    serial:DEVICE     a tty or virtio-serial port\n"
    "\n"
    "  ping              ask whether the agent is there\n"
    "  wait              ask until it is, ever more rarely, down to once a second\n"
    "    --for SECONDS   at most for so long [60]\n"
    "  build             build FLAKE#ATTR: the log goes to stderr as it comes, the store path to\n"
    "                    stdout\n"
    "    --timeout SECONDS\n"
    "                    give up after so long; 0: never [the agent's default]\n"
    "    --log FILE      the log into FILE as well, which is made or emptied before\n"
    "  --json            print the frames as JSON lines to stdout, and no log or store path\n"
    "  --wire json|proto how to speak to the agent [json]\n"
    "  --version         print the version\n"
    "  --help            print this\n"
    "\n"
    "On a terminal, stderr ends with a status line: what goes on, and for how long. A build that\n"
    "fails has the last lines of its log told again there.\n"
    "\n"
    "Exit status: 0 done · 1 the agent answered Err · 2 usage, or FILE cannot be opened · 3 no\n"
    "connection, or lost before the answer · 4 done, but stdout or FILE could not be written ·\n"
    "130 after Ctrl-C: the connection is closed, which cancels the build.\n";

/* Options by number, above every character. */
enum { TO = 256, FOR, TIMEOUT, LOG, JSON, WIRE, VERSION, HELP };

static const struct option names[] = {
    {"to", required_argument, NULL, TO},
    {"for", required_argument, NULL, FOR},
    {"json", no_argument, NULL, JSON},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"wire", required_argument, NULL, WIRE},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {"log", required_argument, NULL, LOG},
    {NULL, 0, NULL, 0},
};

static bool mistake(const char *what, const char *about)
{
    fprintf(stderr, "mvm-builder: %s%s%s; --help tells more\n", about, *about != '\0' ? ": " : "",
            what);
    return false;
}

/* What was given, before it is known to fit together. */
struct given {
    bool timeout;
    bool wait_for;
};

/* `how` says where the address was given. */
static bool take_to(struct mvm_host_options *o, const char *how, const char *text)
{
    const char *wrong = mvm_peer_parse(&o->peer, text);
    o->address = text;
    if (wrong != NULL) {
        fprintf(stderr, "mvm-builder: %s%s: %s; --help tells more\n", how, text, wrong);
    }
    return wrong == NULL;
}

/* Where there was no --to. A variable that is empty is none. */
static bool take_to_of_environment(struct mvm_host_options *o)
{
    const char *text = getenv(MVM_HOST_TO);
    if (text == NULL || *text == '\0') {
        return mistake("give the agent's address: --to ADDRESS, or " MVM_HOST_TO, "");
    }
    return take_to(o, MVM_HOST_TO "=", text);
}

static bool take_wire(struct mvm_host_options *o, const char *text)
{
    if (strcmp(text, "json") == 0) {
        o->wire = MVM_WIRE_JSON;
    } else if (strcmp(text, "proto") != 0) {
        return mistake("the wire is json or proto", text);
    } else if (!mvm_proto_present) {
        return mistake("this build has no protobuf wire", text);
    } else {
        o->wire = MVM_WIRE_PROTO;
    }
    return true;
}

static bool take_option(struct mvm_host_options *o, struct given *given, int option,
                        const char *value)
{
    switch (option) {
    case TO:
        return take_to(o, "--to ", value);
    case FOR:
        given->wait_for = true;
        return mvm_number_parse(value, UINT32_MAX, &o->for_secs) ||
               mistake("no number of seconds", value);
    case TIMEOUT:
        given->timeout = o->has_timeout = true;
        return mvm_number_parse(value, UINT64_MAX, &o->timeout_secs) ||
               mistake("no number of seconds", value);
    case LOG:
        o->log = value;
        return true;
    case JSON:
        o->json = true;
        return true;
    case WIRE:
        return take_wire(o, value);
    case HELP:
        o->command = MVM_HOST_HELP;
        return true;
    case VERSION:
        o->command = MVM_HOST_VERSION;
        return true;
    default:
        return mistake("the options are wrong", ""); /* getopt has said which, and why */
    }
}

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

static bool take_build(struct mvm_host_options *o, int argc, char *argv[])
{
    if (argc != 3) {
        return mistake("give a flake and an attribute", "build");
    }
    o->flake = argv[1];
    o->attr = argv[2];
    return (is_utf8(o->flake) && is_utf8(o->attr)) ||
           mistake("flake and attribute must be UTF-8", "build");
}

/* The command and its operands. */
static bool take_command(struct mvm_host_options *o, const struct given *given, int argc,
                         char *argv[])
{
    if (argc == 0) {
        return mistake("give a command: ping, wait or build", "");
    }
    const char *command = argv[0];
    bool is_build = strcmp(command, "build") == 0;
    bool is_wait = strcmp(command, "wait") == 0;
    if (!is_build && !is_wait && strcmp(command, "ping") != 0) {
        return mistake("no such command", command);
    }
    if (given->timeout && !is_build) {
        return mistake("--timeout is for build", command);
    }
    if (o->log != NULL && !is_build) {
        return mistake("--log is for build", command);
    }
    if (given->wait_for && !is_wait) {
        return mistake("--for is for wait", command);
    }
    if (is_build) {
        o->command = MVM_HOST_BUILD;
        return take_build(o, argc, argv);
    }
    o->command = is_wait ? MVM_HOST_WAIT : MVM_HOST_PING;
    return argc == 1 || mistake("it takes no operand", command);
}

bool mvm_host_options_parse(struct mvm_host_options *o, int argc, char *argv[])
{
    struct given given = {0};
    memset(o, 0, sizeof *o);
    o->for_secs = MVM_WAIT_FOR_SECS;
    o->wire = MVM_WIRE_JSON;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (!take_option(o, &given, option, optarg)) {
            return false;
        }
        if (option == HELP || option == VERSION) {
            return true;
        }
    }
    if (!take_command(o, &given, argc - optind, argv + optind)) {
        return false;
    }
    if (o->address == NULL && !take_to_of_environment(o)) {
        return false;
    }
    /* Lengths cannot be found again after a host that went in mid-frame; lines can. */
    return o->peer.kind != MVM_PEER_SERIAL || o->wire == MVM_WIRE_JSON ||
           mistake("a serial line carries --wire json alone", o->address);
}
