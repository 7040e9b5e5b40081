/*
 * What the tests of mvm-builder share: the tool as a process whose outputs are files, and an agent
 * that is played by the test, over a Unix socket or a pty.
 *
 *     host_listen("a.sock");
 *     host_start("build", "f", "a", NULL);
 *     struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
 *     host_await_request(c, "{\"Build\":");
 *     host_say(c, "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}", host_id());
 *     …
 *     assert_int_equal(host_finish(), HOST_OK);
 */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H

#include "support.h"

enum {
    HOST_OK,
    HOST_ERR,
    HOST_USAGE,
    HOST_NO_CONNECTION,
    HOST_OUTPUT,
    HOST_INTERRUPTED = 130,
};

#define HOST_FEATURES    "ids cancel join keep"
#define HOST_PARSE_ERROR "{\"Err\":{\"message\":\"parse error: unknown variant at byte 2\"}}"

/* ---- the tool ---- */

/* --to of the tool: set by listen and pty, or by the test. */
extern char host_address[E2E_PATH_CAP + 32];

/* Starts mvm-builder --to ADDRESS WORD…; its outputs go to files. */
pid_t host_start_words(const char *const words[]);
#define host_start(...) host_start_words((const char *const[]){__VA_ARGS__, NULL})

/* Waits for its end; the exit status. */
int host_finish(void);
/* Sends it a signal first. */
int host_end(int sig);
bool host_runs(void);
/* Stops it, and returns when it has stopped. */
void host_pause(void);
void host_continue(void);
pid_t host_pid(void);

/* Its output; valid until the next call of either. */
const char *host_out(void);
const char *host_err(void);
/* Waits until `text` is in its stderr. */
void host_await_err(const char *text);
/* … does at its end, or does not. */
void host_assert_err_has(const char *text);
void host_assert_err_lacks(const char *text);

/* ---- the agent ---- */

/* A socket NAME in the test's directory; it may be called again after host_stop_listening. */
void host_listen(const char *name);
void host_stop_listening(void);
/* The next connection of the tool. */
struct e2e_conn *host_accept(void);
/* No connection comes within `ms`. */
void host_assert_no_connection(int ms);

/* The agent's end of a serial line; the tool's end is host_address. */
struct e2e_conn *host_pty(void);

/* The next line, which must begin so; its bytes, good until the next one. */
const char *host_await_request(struct e2e_conn *c, const char *start);
/* A line, made as printf does; the newline is added. */
void host_say(struct e2e_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for the Hello and answers it. Returns `c`. */
struct e2e_conn *host_welcome(struct e2e_conn *c, const char *features);
/* … as an agent without Hello does. */
struct e2e_conn *host_refuse_hello(struct e2e_conn *c);

/* The id of the last request that had one, and the nonce of the last Hello. */
const char *host_id(void);
const char *host_nonce(void);

/* Waits for the Build or Join of this id and accepts it. */
void host_accept_build(struct e2e_conn *c);
void host_accept_join(struct e2e_conn *c);
void host_say_log(struct e2e_conn *c, const char *line);
void host_say_ok(struct e2e_conn *c);
#define HOST_STORE_PATH "/nix/store/x-image"

#endif
