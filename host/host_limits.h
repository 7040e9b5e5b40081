/*
 * Every limit of the host's tool, in one place: what it bounds, its default, why, and what happens
 * past it. The library's are in mvm_limits.h.
 */
#ifndef MVM_HOST_LIMITS_H
#define MVM_HOST_LIMITS_H

/* ---- time, in milliseconds unless the name says otherwise -------------------------------- */

/* How long a connection may take to be established: a running guest answers in milliseconds, one
 * that is booting under load can need a second or two.
 * Past it: no connection. */
#ifndef MVM_HOST_CONNECT_MS
#define MVM_HOST_CONNECT_MS 5000
#endif
_Static_assert(MVM_HOST_CONNECT_MS >= 1,
               "MVM_HOST_CONNECT_MS is less than 1: no connection could be made");

/* How long the answer to a Hello, Ping or Cancel may take: agents answer at any time, in
 * milliseconds. Past it: "no answer in time". */
#ifndef MVM_HOST_ANSWER_MS
#define MVM_HOST_ANSWER_MS 10000
#endif
_Static_assert(MVM_HOST_ANSWER_MS >= 1,
               "MVM_HOST_ANSWER_MS is less than 1: no answer could arrive");

/* The same for `wait`, which retries on a fresh connection, so that a request lost while the
 * machine was booting costs little. */
#ifndef MVM_HOST_WAIT_ANSWER_MS
#define MVM_HOST_WAIT_ANSWER_MS 2000
#endif
_Static_assert(MVM_HOST_WAIT_ANSWER_MS >= 1,
               "MVM_HOST_WAIT_ANSWER_MS is less than 1: no answer could arrive");

/* From the start of one attempt to connect to that of the next: first, and after doubling for each
 * attempt. Most machines are up within a second; the others should not be flooded. */
#ifndef MVM_HOST_RETRY_FIRST_MS
#define MVM_HOST_RETRY_FIRST_MS 50
#endif
#ifndef MVM_HOST_RETRY_MAX_MS
#define MVM_HOST_RETRY_MAX_MS 1000
#endif
_Static_assert(MVM_HOST_RETRY_FIRST_MS >= 1, "MVM_HOST_RETRY_FIRST_MS is less than 1: a busy loop");
_Static_assert(MVM_HOST_RETRY_MAX_MS >= MVM_HOST_RETRY_FIRST_MS,
               "MVM_HOST_RETRY_MAX_MS is below the first one");

/* After an Err in answer to Hello: how long a line must be quiet until the agent counts as one
 * without Hello. On a line without connections the Err can be an earlier client's, and our own
 * answer follows immediately. */
#ifndef MVM_HOST_SETTLE_MS
#define MVM_HOST_SETTLE_MS 100
#endif
_Static_assert(MVM_HOST_SETTLE_MS >= 1,
               "MVM_HOST_SETTLE_MS is less than 1: stale answers would count");

/* … and at most, on a line that is never quiet. */
#ifndef MVM_HOST_SETTLE_MAX_MS
#define MVM_HOST_SETTLE_MAX_MS 2000
#endif
_Static_assert(MVM_HOST_SETTLE_MAX_MS >= MVM_HOST_SETTLE_MS,
               "MVM_HOST_SETTLE_MAX_MS is below MVM_HOST_SETTLE_MS");

/* Seconds without a frame after which an agent that sends heartbeats counts as lost, if --silence
 * does not set it: thirty heartbeats. */
#ifndef MVM_HOST_SILENCE_SECS
#define MVM_HOST_SILENCE_SECS 300
#endif
_Static_assert(MVM_HOST_SILENCE_SECS >= 1,
               "MVM_HOST_SILENCE_SECS is less than 1: set --silence 0 instead");

/* How long a Build that was sent may be left without acceptance after a "parse error" that names
 * no build. Past it: the error is taken as the answer to the Build. */
#ifndef MVM_HOST_ACCEPT_MS
#define MVM_HOST_ACCEPT_MS 2000
#endif
_Static_assert(MVM_HOST_ACCEPT_MS >= 1,
               "MVM_HOST_ACCEPT_MS is less than 1: no Build could be accepted");

/* How long an abandoned connection is read after it was shut down, if the other side does not
 * close it: monitors pass the end on to the guest in that time. Some never do after a close with
 * unread bytes. */
#ifndef MVM_HOST_LINGER_MS
#define MVM_HOST_LINGER_MS 300
#endif
_Static_assert(MVM_HOST_LINGER_MS >= 0, "MVM_HOST_LINGER_MS is negative");

/* How long the answer to the Cancel of an interrupted build may take. */
#ifndef MVM_HOST_CANCEL_MS
#define MVM_HOST_CANCEL_MS 1000
#endif
_Static_assert(MVM_HOST_CANCEL_MS >= 1,
               "MVM_HOST_CANCEL_MS is less than 1: the Cancel would not be sent");

/* After the answer to that Cancel: how long the end of the build may take. An agent kills what has
 * not ended within 5 s of its SIGTERM, and unmounts. Past it: "its end has not come". */
#ifndef MVM_HOST_END_MS
#define MVM_HOST_END_MS 10000
#endif
_Static_assert(MVM_HOST_END_MS >= 1, "MVM_HOST_END_MS is less than 1: no end could be reported");

/* Silence after which the status line reports it: three heartbeats. */
#ifndef MVM_HOST_QUIET_MS
#define MVM_HOST_QUIET_MS 30000
#endif
_Static_assert(MVM_HOST_QUIET_MS >= 1000,
               "MVM_HOST_QUIET_MS is below a second: the line would flicker");

/* Seconds that `wait` waits without --for. */
#ifndef MVM_HOST_WAIT_FOR_SECS
#define MVM_HOST_WAIT_FOR_SECS 60
#endif

/* ---- sizes, in bytes ----------------------------------------------------------------------- */

/* Bytes of all artifacts that --output accepts if --max-size does not set it: images of some GiB,
 * and no disk is full because a guest says so. Past it: nothing is fetched. */
#ifndef MVM_HOST_MAX_SIZE
#define MVM_HOST_MAX_SIZE 17179869184
#endif
_Static_assert(MVM_HOST_MAX_SIZE >= 1,
               "MVM_HOST_MAX_SIZE is less than 1: nothing could be fetched");

/* The bytes quoted of an answer that is not an agent's. Past it: cut, with a mark. */
#ifndef MVM_HOST_QUOTE_MAX
#define MVM_HOST_QUOTE_MAX 80
#endif
_Static_assert(MVM_HOST_QUOTE_MAX >= 16,
               "MVM_HOST_QUOTE_MAX is less than 16: nothing would be recognized");

#endif
