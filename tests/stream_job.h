/*
 * A build without disks in the simulated world, for tests: its source is sent as it is requested.
 */
#ifndef TESTS_STREAM_JOB_H
#define TESTS_STREAM_JOB_H

#include "test_executor_fixture.h"

enum { SOURCE_CAP = MVM_BULK_DATA_MAX };

static uint8_t source_buffer[SOURCE_CAP];
static uint64_t source_sent;

struct stream_case {
    const char *flake_ref;
    bool has_source;
    uint64_t source_size;
    uint64_t
        sends; /* bytes that the client has; fewer than announced: it stops there with `last` */
    uint32_t piece; /* bytes of each Source; 0: as many as are allowed */
    uint64_t cancel_at_ms;
};

static inline void stream_world(void)
{
    setup(NULL);
    config.stream_dir = "/agent";
    config.source_buffer = source_buffer;
    config.source_cap = sizeof source_buffer;
    sim.unpack = (struct mvm_sim_script){.run_ms = 10};
    sim.build.run_ms = 100;
}

static inline void stream_start(const struct stream_case *c)
{
    const struct mvm_job job = {.flake_ref = mvm_text_from(c->flake_ref),
                                .attr = mvm_text_from("a"),
                                .has_timeout = true,
                                .timeout_secs = 60,
                                .stream = true,
                                .slot = 3,
                                .has_source = c->has_source,
                                .source_size = c->source_size};
    log_len = log_lines = 0;
    log_text[0] = '\0';
    source_sent = 0;
    spoil_executor();
    mvm_executor_start(&x, &job, sim.now_ms);
}

/* What the client has left to send and is allowed to. */
static inline void stream_send(const struct stream_case *c)
{
    static const char bytes[SOURCE_CAP];
    uint64_t limit = mvm_executor_source_limit(&x);
    uint64_t end = limit < c->sends ? limit : c->sends;
    while (source_sent < end) {
        uint64_t n = end - source_sent;
        n = c->piece != 0 && n > c->piece ? c->piece : n;
        bool last = source_sent + n == c->sends;
        mvm_executor_source(&x, source_sent, (struct mvm_text){bytes, (size_t)n}, last);
        source_sent += n;
    }
}

static inline void stream_finish(const struct stream_case *c)
{
    unsigned turns = 0;
    do {
        assert_in_range(++turns, 1, 2000000);
        stream_send(c);
        if (c->cancel_at_ms != 0 && sim.now_ms >= c->cancel_at_ms) {
            mvm_executor_cancel(&x);
        }
    } while (turn());
}

static inline void stream_run(const struct stream_case *c)
{
    stream_start(c);
    stream_finish(c);
}

#endif
