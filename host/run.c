/* Ping and wait; and what any command begins and ends with. */
#include "exchange.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- ping ---- */

static void tell_pong(struct mvm_run *r, uint64_t us)
{
    char text[64];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, "Pong in ");
    mvm_writer_add_u64(&w, us / 1000);
    mvm_writer_add(&w, us % 1000 < 100 ? ".0" : ".");
    mvm_writer_add_u64(&w, us % 1000 / 10);
    mvm_writer_add(&w, " ms\n");
    mvm_sink_add(&r->out, mvm_writer_finish(&w));
}

static int ping(struct mvm_run *r)
{
    if (!mvm_run_open(r, MVM_NEVER)) {
        return mvm_run_not_connected(r);
    }
    uint64_t start_us = mvm_clock_us();
    enum mvm_arrival how = mvm_run_ping(r, mvm_clock_ms() + MVM_PONG_MS);
    if (how != MVM_ARRIVED) {
        return mvm_run_give_up(r, how);
    }
    if (r->session.message.kind == MVM_MESSAGE_ERR) {
        return mvm_run_refused(r);
    }
    if (!r->options->json) {
        tell_pong(r, mvm_clock_us() - start_us);
    }
    return MVM_EXIT_OK;
}

/* ---- wait ---- */

static bool answers(struct mvm_run *r, uint64_t until_ms)
{
    uint64_t pong_ms = mvm_clock_ms() + MVM_WAIT_PONG_MS;
    if (!mvm_run_open(r, until_ms)) {
        return false;
    }
    enum mvm_arrival how = mvm_run_ping(r, pong_ms < until_ms ? pong_ms : until_ms);
    if (how == MVM_LATE) {
        mvm_run_set_why(r, "connected, but no answer came", 0);
    }
    mvm_connection_close(&r->connection);
    return how == MVM_ARRIVED && r->session.message.kind == MVM_MESSAGE_PONG;
}

static int wait_for_agent(struct mvm_run *r)
{
    uint64_t until_ms = mvm_clock_ms() + r->options->for_secs * 1000;
    uint64_t retry_ms = MVM_WAIT_RETRY_FIRST_MS;
    mvm_status_start(&r->status, "waiting for the agent");
    for (;;) {
        uint64_t next_ms = mvm_clock_ms() + retry_ms;
        if (answers(r, until_ms)) {
            return MVM_EXIT_OK;
        }
        mvm_waiter_wait(&r->waiter, -1, 0, next_ms < until_ms ? next_ms : until_ms, NULL);
        if (r->waiter.signal != 0 || mvm_clock_ms() >= until_ms) {
            return mvm_run_not_connected(r);
        }
        retry_ms = retry_ms * 2 < MVM_WAIT_RETRY_MAX_MS ? retry_ms * 2 : MVM_WAIT_RETRY_MAX_MS;
    }
}

/* ---- all ---- */

/* Whenever somebody waits: the status line is kept true. */
static uint64_t keep_status(void *ctx)
{
    struct mvm_run *r = ctx;
    mvm_status_draw(&r->status);
    mvm_sink_flush(&r->err);
    return mvm_status_deadline(&r->status);
}

static void begin(struct mvm_run *r, const struct mvm_host_options *options)
{
    r->options = options;
    r->connection.fd = -1;
    r->waiter.tick = keep_status;
    r->waiter.tick_ctx = r;
    mvm_sink_init(&r->out, STDOUT_FILENO, &r->waiter);
    mvm_sink_init(&r->err, STDERR_FILENO, &r->waiter);
    mvm_sink_init(&r->log, -1, &r->waiter);
    mvm_status_init(&r->status, &r->err, !options->json);
    mvm_phase_init(&r->phase);
    mvm_tail_init(&r->tail);
}

/* `status`, unless that is OK and something is not written that should be. */
static int end(struct mvm_run *r, int status)
{
    mvm_connection_close(&r->connection);
    mvm_run_flush(r);
    if (r->log.fd >= 0 && close(r->log.fd) < 0 && r->log.error == 0) {
        r->log.error = errno;
        mvm_run_flush(r); /* a file system that tells late, such as NFS */
    }
    mvm_status_finish(&r->status);
    mvm_run_flush(r);
    if (r->out.error != 0) {
        MVM_RUN_TELL(r, "cannot write to stdout: ", strerror(r->out.error));
        mvm_run_flush(r);
    }
    return status == MVM_EXIT_OK && (r->out.error | r->log.error) != 0 ? MVM_EXIT_OUTPUT : status;
}

int mvm_run(struct mvm_run *r, const struct mvm_host_options *options)
{
    begin(r, options);
    switch (options->command) {
    case MVM_HOST_BUILD:
        return end(r, mvm_run_build(r));
    case MVM_HOST_WAIT:
        return end(r, wait_for_agent(r));
    case MVM_HOST_PING:
    case MVM_HOST_HELP:
    case MVM_HOST_VERSION:
        break;
    }
    return end(r, ping(r));
}
