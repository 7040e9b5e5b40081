/* Builds: the scheduler's steps, and the events and log lines of builds. */
#include "server_internal.h"

static void report(struct mvm_server *s, const struct mvm_server_event *e)
{
    if (s->config.event != NULL) {
        s->config.event(s->config.ctx, e);
    }
}

static void say_start(struct mvm_server *s)
{
    struct mvm_server_line line;
    struct mvm_job job = mvm_scheduler_job(&s->scheduler.queue[0]);
    mvm_server_say_begin(&line, "build started: ");
    mvm_writer_add_text(&line.w, job.flake_ref);
    mvm_writer_add(&line.w, "#");
    mvm_writer_add_text(&line.w, job.attr);
    mvm_server_say_end(s, &line);
    report(s, &(struct mvm_server_event){
                  .kind = MVM_SERVER_BUILD_STARTED, .flake_ref = job.flake_ref, .attr = job.attr});
}

static void say_end_of_build(struct mvm_server *s)
{
    const struct mvm_message *answer = &s->scheduler.answer;
    bool ok = answer->kind == MVM_MESSAGE_OK;
    struct mvm_server_line line;
    mvm_server_say_begin(&line, ok ? "build done: " : "build failed: ");
    mvm_writer_add_text(&line.w, answer->text);
    mvm_server_say_end(s, &line);
    report(s, &(struct mvm_server_event){
                  .kind = MVM_SERVER_BUILD_ENDED, .ok = ok, .text = answer->text});
}

bool mvm_server_build_step(struct mvm_server *s)
{
    bool was_building = mvm_scheduler_building(&s->scheduler);
    bool more = mvm_scheduler_step(&s->scheduler, s->now_ms);
    bool is_building = mvm_scheduler_building(&s->scheduler);
    if (!was_building && is_building) {
        say_start(s);
    } else if (was_building && !is_building) {
        say_end_of_build(s);
        mvm_server_clients_answered(s, s->scheduler.queue[0].client);
        if (s->config.exit_after_build && !s->built) {
            s->built = true;
            mvm_scheduler_close(&s->scheduler);
            s->collect_ms = s->scheduler.queue[0].keep ? s->now_ms + MVM_COLLECT_MS : 0;
        }
    }
    return more;
}
