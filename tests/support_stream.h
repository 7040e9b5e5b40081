/*
 * What the tests of builds without disks share: an agent that the test plays on the protobuf wire,
 * beside support_host.h, and the real one with small scripts for nix and nix-store.
 */
#ifndef TESTS_SUPPORT_STREAM_H
#define TESTS_SUPPORT_STREAM_H

#include "mvm_session.h"
#include "support_host.h"

#define STREAM_FEATURES HOST_FEATURES " source artifacts"

#define STREAM_NEEDS_PROTOBUF()                                                                    \
    if (!mvm_proto_present) {                                                                      \
        E2E_SKIP("no protobuf wire");                                                              \
    }

extern char stream_id[MVM_ID_MAX + 1];   /* of the last request that had one */
extern char stream_output[E2E_PATH_CAP]; /* the folder of --output */

/* Sends a response. */
void stream_say(struct mvm_message m);
/* The next request; NULL: the tool has hung up. */
const struct mvm_message *stream_next(void);
/* … which must be of this kind; its id is stream_id from now on. */
const struct mvm_message *stream_await(enum mvm_kind kind);
/* A response about the build stream_id. */
struct mvm_message stream_response(enum mvm_kind kind);
/* Accepts a connection of the tool and answers its Hello. */
void stream_welcome(const char *features);
/* Ends the connection. */
void stream_lose(void);
void stream_say_beat(void);
void stream_say_want(uint64_t bytes);
void stream_say_ok(const struct mvm_artifact_item *items, size_t len);
/* One of an Ok's artifacts. */
struct mvm_artifact_item stream_item(const char *name, uint64_t size);
/* An Artifact. */
void stream_say_piece(const char *name, uint64_t offset, const char *bytes, bool last);
void stream_await_get(const char *name, uint64_t offset, uint64_t length);
/* NAME in the folder of --output; valid until the next call. */
const char *stream_in_output(const char *name);
void stream_assert_file(const char *name, const char *content);
/* Nothing of an unfinished set is left, under any name. */
void stream_assert_nothing_there(void);
/* Starts a build of a flake of the guest's, with an option or NULL, up to its acceptance. */
void stream_begin(const char *option, const char *value);
/* A folder with a file of so many bytes: what `send:` takes. */
const char *stream_source_folder(size_t bytes);
/* Starts a build with a source of some 200 KiB; its archive's size. */
uint64_t stream_begin_with_source(const char *id);
/* Takes Source from `at` up to `end`, whose bytes are allowed, into `archive`. */
void stream_take_source(uint8_t *archive, uint64_t at, uint64_t end, uint64_t size);
/* From the Ok to the end: a kernel, "hello". */
void stream_fetch_kernel(void);
/* The tool ends with "no valid answer" and this reason, and leaves nothing. */
void stream_assert_rejected(const char *why);
/* The real agent; its nix has built `store_path`, and puts the archive that it was sent into the
 * file "archive". */
pid_t stream_start_agent(const char *store_path);

#define STREAM_SAY_OK(...)                                                                         \
    stream_say_ok((const struct mvm_artifact_item[]){__VA_ARGS__},                                 \
                  sizeof((const struct mvm_artifact_item[]){__VA_ARGS__}) /                        \
                      sizeof(struct mvm_artifact_item))

#endif
