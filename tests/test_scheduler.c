/* Several clients, one executor: whose turn it is, and which client gets which lines and
 * answers. */
#include "test_scheduler_fixture.h"

/* ---- Ping and bad frames ---- */

static void a_ping_gets_a_pong(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    ask(c, PING PING);
    run(0);
    assert_string_equal(hear(c), PONG PONG);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), UINT64_MAX);
}

static void a_ping_is_answered_during_a_build_of_ones_own_and_of_others(void **state)
{
    (void)state;
    struct mvm_client *a = build_alone(waits), *b = join();
    ask(a, PING);
    ask(b, PING);
    run(0);
    assert_string_equal(hear(a), PONG);
    assert_string_equal(hear(b), PONG);
}

static void a_bad_frame_gets_one_err_and_the_next_frame_its_answer(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    ask(c, "{\"Build\":{\"attr\":1}}\n" PING);
    run(0);
    const char *heard = hear(c);
    const char *end = strchr(heard, '\n');
    assert_memory_equal(heard, "{\"Err\":{\"message\":\"parse error", 30);
    assert_string_equal(end + 1, PONG);
}

/* ---- one build ---- */

static void a_build_gets_its_lines_and_one_answer(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "one"},
                                        {.event = MVM_EXECUTOR_AGAIN, .text = ""},
                                        {.event = MVM_EXECUTOR_LOG, .text = "two"},
                                        {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    struct mvm_client *other = join();
    struct mvm_client *c = build_alone(script);
    assert_string_equal(fake.flakes[0], "f#a");
    assert_string_equal(hear(c), LOG("one") LOG("two") OK("/nix/store/a"));
    assert_string_equal(hear(other), "");
    run(1);
    assert_string_equal(hear(c), "");
    assert_true(mvm_scheduler_idle(&scheduler));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), UINT64_MAX);
}

static void a_failed_build_gets_one_err(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_ERR, .text = "nix build failed"}};
    assert_string_equal(hear(build_alone(script)), ERR("nix build failed"));
}

static void the_beginning_and_the_end_of_a_build_are_each_seen_between_two_steps(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    fake.scripts[0] = fake.scripts[1] = succeeds;
    ask_build(c, "a");
    ask_build(c, "b");
    for (int i = 0; i < 2; i++) {
        assert_true(mvm_scheduler_step(&scheduler, 0));
        assert_true(mvm_scheduler_building(&scheduler));
        assert_true(mvm_scheduler_step(&scheduler, 0));
        assert_false(mvm_scheduler_building(&scheduler));
        assert_int_equal(scheduler.answer.kind, MVM_MESSAGE_OK);
        mvm_scheduler_step(&scheduler, 0);
    }
    assert_true(mvm_scheduler_idle(&scheduler));
}

static void a_step_is_bounded_however_much_is_logged(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};
    begin_with(true, 0);
    fake.scripts[0] = script;
    struct mvm_client *c = join();
    ask_build(c, "a");
    assert_true(mvm_scheduler_step(&scheduler, 0));
    mvm_scheduler_detach(&scheduler, c);
    assert_true(mvm_scheduler_step(&scheduler, 0));
    assert_int_equal(fake.logged, MVM_SCHEDULER_LINES);
}

static void the_service_sleeps_until_the_executors_deadline(void **state)
{
    (void)state;
    fake.deadline_ms = 70;
    build_alone(waits);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 70);
}

/* ---- back-pressure ---- */

static void lines_wait_in_the_executor_while_their_client_has_no_room(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};
    struct mvm_client *c = build_alone(script);
    int logged = fake.logged;
    assert_in_range(logged, SEND_CAP / 64, SEND_CAP / (sizeof LOG("endless") - 1) + 1);
    run(1);
    run(2);
    assert_int_equal(fake.logged, logged);
    hear(c);
    run(3);
    assert_in_range(fake.logged, 2 * logged - 1, 2 * logged + 1);
}

static void no_line_is_lost_or_changed_at_any_size_of_the_send_buffer(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "one"},
                                        {.event = MVM_EXECUTOR_LOG, .text = ""},
                                        {.event = MVM_EXECUTOR_LOG, .text = "three"},
                                        {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    for (size_t cap = 1; cap < 120; cap++) {
        char all[256] = "";
        begin_with(false, 0);
        fake.scripts[0] = script;
        struct mvm_client *c = join_with(cap, 0);
        ask_build(c, "a");
        for (int i = 0; i < 200 && !(mvm_scheduler_idle(&scheduler) && i > 0); i++) {
            run(0);
            size_t len;
            const uint8_t *bytes = mvm_session_bytes(&c->session, &len);
            if (len > 0) {
                strncat(all, (const char *)bytes, len);
                mvm_session_sent(&c->session, len);
            }
        }
        strcat(all, hear(c));
        assert_string_equal(all, LOG("one") LOG("") LOG("three") OK("/nix/store/a"));
        assert_int_equal(fake.logged, 3);
    }
}

static void a_builds_deadline_holds_though_its_client_takes_nothing(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};
    for (size_t cap = 1; cap <= SEND_CAP; cap += SEND_CAP - 1) {
        begin_with(false, 0);
        fake.scripts[0] = script;
        fake.deadline_ms = 1000;
        struct mvm_client *c = join_with(cap, 0);
        ask_build(c, "a");
        run(0);
        assert_int_equal(mvm_scheduler_deadline(&scheduler), 1000);
        run(1000);
        assert_int_equal(fake.timeouts, 1);
    }
}

static void others_are_served_while_a_builds_client_takes_nothing(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};
    build_alone(script);
    struct mvm_client *other = join();
    ask(other, PING);
    run(0);
    assert_string_equal(hear(other), PONG);
}

/* ---- the queue ---- */

static void builds_wait_their_turn_and_their_clients_are_notified_once(void **state)
{
    (void)state;
    struct mvm_client *a = build_alone(waits), *b = join(), *c = join();
    fake.scripts[1] = fake.scripts[2] = succeeds;
    ask_build(b, "b");
    run(0);
    ask_build(c, "c");
    run(1);
    run(2);
    assert_string_equal(hear(b), LOG("mvm: waiting for another build, 1 ahead"));
    assert_string_equal(hear(c), LOG("mvm: waiting for another build, 2 ahead"));
    assert_int_equal(fake.starts, 1);
    fake.at = succeeds;
    run(3);
    assert_string_equal(hear(a), OK("/nix/store/a"));
    assert_string_equal(hear(b), OK("/nix/store/a"));
    assert_string_equal(hear(c), OK("/nix/store/a"));
    assert_string_equal(fake.flakes[1], "f#b");
    assert_string_equal(fake.flakes[2], "f#c");
}

static void a_client_may_send_several_builds_at_once(void **state)
{
    (void)state;
    static const struct act fails[] = {{.event = MVM_EXECUTOR_ERR, .text = "no"}};
    struct mvm_client *c = join();
    fake.scripts[0] = succeeds;
    fake.scripts[1] = fails;
    fake.scripts[2] = succeeds;
    ask_build(c, "a");
    ask_build(c, "b");
    ask_build(c, "c");
    run(0);
    assert_string_equal(hear(c), LOG("mvm: waiting for another build, 1 ahead")
                                     LOG("mvm: waiting for another build, 2 ahead")
                                         OK("/nix/store/a") ERR("no") OK("/nix/store/a"));
    assert_string_equal(fake.flakes[2], "f#c");
}

static void the_queue_holds_so_many_and_one_more_is_refused(void **state)
{
    (void)state;
    char expected[128];
    for (int i = 0; i < MVM_QUEUE_MAX; i++) {
        struct mvm_client *c = join();
        ask_build(c, "x");
        run(0);
        assert_null(strstr(hear(c), "Err"));
    }
    struct mvm_client *late = join();
    ask_build(late, "late");
    run(0);
    snprintf(expected, sizeof expected, ERR("build rejected: queue full (1 running, %d waiting)"),
             MVM_QUEUE_MAX - 1);
    assert_string_equal(hear(late), expected);
    fake.at = succeeds;
    run(0);
    assert_int_equal(fake.starts, 2);
    ask_build(late, "late");
    run(0);
    assert_null(strstr(hear(late), "Err"));
}

static void a_request_of_the_longest_fields_waits_unharmed(void **state)
{
    (void)state;
    static char flake[MVM_FLAKE_REF_MAX], attr[MVM_ATTR_MAX];
    memset(flake, 'f', sizeof flake);
    memset(attr, 'a', sizeof attr);
    build_alone(waits);
    struct mvm_client *c = join();
    static const char head[] = "{\"Build\":{\"timeout_secs\":9,\"flake_ref\":\"";
    static char frame[sizeof head + sizeof flake + sizeof attr + 32];
    snprintf(frame, sizeof frame, "%s%.*s\",\"attr\":\"%.*s\"}}\n", head, (int)sizeof flake, flake,
             (int)sizeof attr, attr);
    for (const char *p = frame; *p != '\0';) {
        char piece[257];
        snprintf(piece, sizeof piece, "%.256s", p);
        ask(c, piece);
        run(0);
        p += strlen(piece);
    }
    assert_int_equal(scheduler.queued, 2);
    struct mvm_job job = mvm_scheduler_job(&scheduler.queue[1]);
    assert_int_equal(job.flake_ref.len, sizeof flake);
    assert_memory_equal(job.flake_ref.bytes, flake, sizeof flake);
    assert_int_equal(job.attr.len, sizeof attr);
    assert_memory_equal(job.attr.bytes, attr, sizeof attr);
    assert_true(job.has_timeout);
    assert_int_equal(job.timeout_secs, 9);
}

static void waiting_builds_get_heartbeats_and_no_others(void **state)
{
    (void)state;
    begin_with(false, 100);
    struct mvm_client *a = build_alone(waits), *b = join(), *idle = join();
    ask_build(b, "b");
    ask_build(b, "b");
    run(0);
    hear(b);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 100);
    run(99);
    assert_string_equal(hear(b), "");
    run(100);
    assert_string_equal(hear(b), LOG(""));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 200);
    run(250);
    assert_string_equal(hear(b), LOG(""));
    assert_string_equal(hear(a), "");
    assert_string_equal(hear(idle), "");
}

static void the_next_build_waits_until_the_answer_is_in_the_send_buffer(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0), *b = join();
    fake.scripts[0] = succeeds;
    ask_build(a, "a");
    ask_build(b, "b");
    run(0);
    assert_int_equal(fake.starts, 1);
    assert_string_equal(hear(a), OK("/nix/store/a"));
    run(0);
    assert_int_equal(fake.starts, 2);
}

/* ---- clients that leave ---- */

static void a_build_whose_client_has_gone_is_cancelled_and_the_next_begins(void **state)
{
    (void)state;
    struct mvm_client *a = build_alone(waits), *b = join();
    ask_build(b, "b");
    run(0);
    mvm_scheduler_detach(&scheduler, a);
    assert_int_equal(fake.cancels, 1);
    run(1);
    assert_int_equal(fake.starts, 2);
    assert_string_equal(fake.flakes[1], "f#b");
}

static void a_client_that_goes_with_a_line_half_sent_leaves_the_executor_sound(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_LOG, .text = "a line longer than four bytes"},
        {.event = MVM_EXECUTOR_WAIT, .text = ""}};
    fake.scripts[0] = script;
    struct mvm_client *a = join_with(4, 0);
    ask_build(a, "a");
    run(0);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_LINE_LENT);
    mvm_scheduler_detach(&scheduler, a);
    assert_int_equal(fake.logged, 1);
    assert_int_equal(fake.cancels, 1);
    run(0);
    assert_true(mvm_scheduler_idle(&scheduler));
}

/* Nothing else would wake the caller: the build waited only for the client. */
static void a_build_whose_client_goes_continues_immediately(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_LOG, .text = "a line longer than four bytes"},
        {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    for (int keep_building = 0; keep_building < 2; keep_building++) {
        begin_with(keep_building != 0, 0);
        fake.scripts[0] = script;
        struct mvm_client *a = join_with(4, 0);
        ask_build(a, "a");
        run(0);
        assert_true(mvm_scheduler_deadline(&scheduler) == UINT64_MAX);
        mvm_scheduler_detach(&scheduler, a);
        assert_true(mvm_scheduler_deadline(&scheduler) <= scheduler.now_ms);
        run(0);
        assert_true(mvm_scheduler_idle(&scheduler));
    }
}

static void a_client_that_goes_with_its_answer_half_sent_does_not_hold_up_the_next(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0), *b = join();
    fake.scripts[0] = succeeds;
    ask_build(a, "a");
    ask_build(b, "b");
    run(0);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_ANSWER_LENT);
    mvm_scheduler_detach(&scheduler, a);
    assert_int_equal(fake.cancels, 0);
    assert_true(mvm_scheduler_deadline(&scheduler) <= scheduler.now_ms);
    run(0);
    assert_string_equal(fake.flakes[1], "f#b");
}

static void the_queued_builds_of_a_client_that_has_gone_are_forgotten(void **state)
{
    (void)state;
    struct mvm_client *a = build_alone(waits), *b = join(), *c = join();
    ask_build(b, "b");
    run(0);
    ask_build(c, "c");
    run(0);
    ask_build(b, "b");
    run(0);
    mvm_scheduler_detach(&scheduler, b);
    assert_int_equal(fake.cancels, 0);
    assert_int_equal(scheduler.queued, 2);
    fake.at = succeeds;
    run(1);
    assert_string_equal(hear(a), OK("/nix/store/a"));
    assert_string_equal(fake.flakes[1], "f#c");
}

static void told_to_keep_building_it_goes_on_and_drops_the_lines(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "one"},
                                        {.event = MVM_EXECUTOR_LOG, .text = "two"},
                                        {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    begin_with(true, 100);
    struct mvm_client *a = build_alone(waits), *b = join(), *c = join();
    ask_build(b, "b");
    run(0);
    ask_build(c, "c");
    run(0);
    hear(c);
    mvm_scheduler_detach(&scheduler, a);
    mvm_scheduler_detach(&scheduler, b);
    assert_int_equal(fake.cancels, 0);
    fake.at = script;
    fake.scripts[1] = succeeds;
    run(1);
    assert_int_equal(fake.logged, 2);
    assert_int_equal(fake.starts, 3);
    assert_string_equal(fake.flakes[2], "f#c");
    assert_string_equal(hear(c), "");
}

static void a_slot_is_free_as_soon_as_its_client_has_gone(void **state)
{
    (void)state;
    struct mvm_client *all[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        all[i] = join();
        assert_non_null(all[i]);
    }
    assert_null(join());
    mvm_scheduler_detach(&scheduler, all[1]);
    assert_ptr_equal(join(), all[1]);
    assert_null(join());
}

static void a_new_client_in_an_old_slot_gets_nothing_of_the_old_ones_build(void **state)
{
    (void)state;
    begin_with(true, 0);
    struct mvm_client *a = build_alone(waits);
    mvm_scheduler_detach(&scheduler, a);
    struct mvm_client *b = join();
    assert_ptr_equal(a, b);
    fake.at = succeeds;
    run(0);
    assert_string_equal(hear(b), "");
}

/* ---- ends of halves, idleness, stalls ---- */

static void a_client_that_ended_its_half_is_done_when_all_its_answers_are_sent(void **state)
{
    (void)state;
    struct mvm_client *c = build_alone(waits);
    mvm_session_peer_ended(&c->session);
    run(0);
    assert_false(mvm_scheduler_done(&scheduler, c));
    fake.at = succeeds;
    run(0);
    assert_true(mvm_scheduler_idle(&scheduler));
    assert_false(mvm_scheduler_done(&scheduler, c));
    hear(c);
    assert_true(mvm_scheduler_done(&scheduler, c));
}

static void a_client_that_goes_on_is_never_done(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    run(0);
    assert_false(mvm_scheduler_done(&scheduler, c));
}

static void the_client_idle_longest_is_found_and_no_other(void **state)
{
    (void)state;
    struct mvm_client *builds = build_alone(waits);
    struct mvm_client *permanent = join_with(SEND_CAP, 0);
    permanent->permanent = true;
    struct mvm_client *pings = join_with(SEND_CAP, 10);
    struct mvm_client *unread = join_with(SEND_CAP, 15);
    struct mvm_client *quiet = join_with(SEND_CAP, 20);
    (void)builds;
    ask(unread, PING);
    run(30);
    assert_null(mvm_scheduler_idlest(&scheduler, 100));
    ask(pings, PING);
    run(119);
    hear(pings);
    assert_null(mvm_scheduler_idlest(&scheduler, 100));
    run(120);
    assert_ptr_equal(mvm_scheduler_idlest(&scheduler, 100), quiet);
    mvm_scheduler_detach(&scheduler, quiet);
    run(219);
    assert_null(mvm_scheduler_idlest(&scheduler, 100));
    run(220);
    assert_ptr_equal(mvm_scheduler_idlest(&scheduler, 100), pings);
    mvm_scheduler_detach(&scheduler, pings);
    run(30 + MVM_STALL_MS - 1);
    assert_null(mvm_scheduler_idlest(&scheduler, 100));
    run(30 + MVM_STALL_MS);
    assert_ptr_equal(mvm_scheduler_idlest(&scheduler, 100), unread);
}

static void a_client_is_not_idle_right_after_its_build(void **state)
{
    (void)state;
    struct mvm_client *c = build_alone(waits);
    fake.at = succeeds;
    run(5000);
    hear(c);
    assert_null(mvm_scheduler_idlest(&scheduler, 1000));
}

static void a_client_that_reads_nothing_after_its_build_is_disconnected_in_time(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0), *b = join();
    fake.scripts[0] = succeeds;
    ask_build(a, "a");
    ask_build(b, "b");
    run(7);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 7 + MVM_STALL_MS);
    run(7 + MVM_STALL_MS - 1);
    assert_false(a->stalled);
    run(7 + MVM_STALL_MS);
    assert_true(a->stalled);
    assert_false(b->stalled);
    mvm_scheduler_detach(&scheduler, a);
    run(7 + MVM_STALL_MS);
    assert_int_equal(fake.starts, 2);
}

static void each_byte_taken_buys_a_slow_client_more_time(void **state)
{
    (void)state;
    struct mvm_client *c = join_with(4, 0);
    fake.scripts[0] = succeeds;
    ask_build(c, "a");
    run(0);
    run(MVM_STALL_MS - 1);
    mvm_session_sent(&c->session, 1);
    run(MVM_STALL_MS - 1);
    run(2 * MVM_STALL_MS - 2);
    assert_false(c->stalled);
    run(2 * MVM_STALL_MS - 1);
    assert_true(c->stalled);
}

static void a_client_that_reads_no_lines_is_disconnected_only_when_its_build_is_ending(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};
    struct mvm_client *c = build_alone(script);
    run(10 * MVM_STALL_MS);
    assert_false(c->stalled);
    fake.ending = true;
    run(10 * MVM_STALL_MS + 1);
    assert_false(c->stalled);
    run(11 * MVM_STALL_MS + 1);
    assert_true(c->stalled);
}

static void a_permanent_client_is_disconnected_only_for_another_clients_build(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0), *b = join();
    a->permanent = true;
    fake.scripts[0] = succeeds;
    ask_build(a, "a");
    run(0);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), UINT64_MAX);
    run(2 * MVM_STALL_MS);
    assert_false(a->stalled);
    ask_build(b, "b");
    run(2 * MVM_STALL_MS + 1);
    assert_true(a->stalled);
}

/* ---- stopping ---- */

static void stopping_cancels_the_build_and_answers_all_that_wait(void **state)
{
    (void)state;
    struct mvm_client *a = build_alone(waits), *b = join(), *c = join();
    ask_build(b, "b");
    run(0);
    hear(b);
    mvm_scheduler_stop(&scheduler);
    assert_int_equal(fake.cancels, 1);
    run(0);
    assert_true(mvm_scheduler_idle(&scheduler));
    assert_string_equal(hear(a), ERR("build cancelled"));
    assert_string_equal(hear(b), ERR("build rejected: the agent is stopping"));
    ask_build(c, "c");
    run(0);
    assert_string_equal(hear(c), ERR("build rejected: the agent is stopping"));
    assert_int_equal(fake.starts, 1);
}

static void stopping_gives_up_a_client_that_takes_nothing_soon(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0);
    a->permanent = true;
    ask_build(a, "a");
    run(0);
    mvm_scheduler_stop(&scheduler);
    run(1000);
    run(1000 + MVM_TERM_GRACE_MS - 1);
    assert_false(a->stalled);
    run(1000 + MVM_TERM_GRACE_MS);
    assert_true(a->stalled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_ping_gets_a_pong, begin),
        cmocka_unit_test_setup(a_ping_is_answered_during_a_build_of_ones_own_and_of_others, begin),
        cmocka_unit_test_setup(a_bad_frame_gets_one_err_and_the_next_frame_its_answer, begin),
        cmocka_unit_test_setup(a_build_gets_its_lines_and_one_answer, begin),
        cmocka_unit_test_setup(a_failed_build_gets_one_err, begin),
        cmocka_unit_test_setup(the_beginning_and_the_end_of_a_build_are_each_seen_between_two_steps,
                               begin),
        cmocka_unit_test_setup(a_step_is_bounded_however_much_is_logged, begin),
        cmocka_unit_test_setup(the_service_sleeps_until_the_executors_deadline, begin),
        cmocka_unit_test_setup(lines_wait_in_the_executor_while_their_client_has_no_room, begin),
        cmocka_unit_test_setup(no_line_is_lost_or_changed_at_any_size_of_the_send_buffer, begin),
        cmocka_unit_test_setup(a_builds_deadline_holds_though_its_client_takes_nothing, begin),
        cmocka_unit_test_setup(others_are_served_while_a_builds_client_takes_nothing, begin),
        cmocka_unit_test_setup(builds_wait_their_turn_and_their_clients_are_notified_once, begin),
        cmocka_unit_test_setup(a_client_may_send_several_builds_at_once, begin),
        cmocka_unit_test_setup(the_queue_holds_so_many_and_one_more_is_refused, begin),
        cmocka_unit_test_setup(a_request_of_the_longest_fields_waits_unharmed, begin),
        cmocka_unit_test_setup(waiting_builds_get_heartbeats_and_no_others, begin),
        cmocka_unit_test_setup(the_next_build_waits_until_the_answer_is_in_the_send_buffer, begin),
        cmocka_unit_test_setup(a_build_whose_client_has_gone_is_cancelled_and_the_next_begins,
                               begin),
        cmocka_unit_test_setup(a_client_that_goes_with_a_line_half_sent_leaves_the_executor_sound,
                               begin),
        cmocka_unit_test_setup(
            a_client_that_goes_with_its_answer_half_sent_does_not_hold_up_the_next, begin),
        cmocka_unit_test_setup(the_queued_builds_of_a_client_that_has_gone_are_forgotten, begin),
        cmocka_unit_test_setup(a_build_whose_client_goes_continues_immediately, begin),
        cmocka_unit_test_setup(told_to_keep_building_it_goes_on_and_drops_the_lines, begin),
        cmocka_unit_test_setup(a_slot_is_free_as_soon_as_its_client_has_gone, begin),
        cmocka_unit_test_setup(a_new_client_in_an_old_slot_gets_nothing_of_the_old_ones_build,
                               begin),
        cmocka_unit_test_setup(a_client_that_ended_its_half_is_done_when_all_its_answers_are_sent,
                               begin),
        cmocka_unit_test_setup(a_client_that_goes_on_is_never_done, begin),
        cmocka_unit_test_setup(the_client_idle_longest_is_found_and_no_other, begin),
        cmocka_unit_test_setup(a_client_is_not_idle_right_after_its_build, begin),
        cmocka_unit_test_setup(a_client_that_reads_nothing_after_its_build_is_disconnected_in_time,
                               begin),
        cmocka_unit_test_setup(each_byte_taken_buys_a_slow_client_more_time, begin),
        cmocka_unit_test_setup(
            a_client_that_reads_no_lines_is_disconnected_only_when_its_build_is_ending, begin),
        cmocka_unit_test_setup(a_permanent_client_is_disconnected_only_for_another_clients_build,
                               begin),
        cmocka_unit_test_setup(stopping_cancels_the_build_and_answers_all_that_wait, begin),
        cmocka_unit_test_setup(stopping_gives_up_a_client_that_takes_nothing_soon, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
