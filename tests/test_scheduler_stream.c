/* Builds without disks as their clients see them: the source, and how the build ends. */
#include "stream_world.h"

enum { SMALL = 1000, LARGE = 300000 };

/* ---- requests ---- */

static void a_build_is_accepted_and_lists_its_artifacts(void **state)
{
    (void)state;
    struct client *c = connect_client();
    ask_build(c, A, NO_SOURCE);
    finish();
    assert_heard(c, ACCEPTED_A OK_A);
    assert_true(mvm_scheduler_holds(&scheduler));
}

static void a_build_needs_an_id(void **state)
{
    (void)state;
    static const char *const ids[] = {NULL, "", "short", "fifteen-bytes-x", "sixteen bytes ok"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct client *c = connect_client();
        ask_build(c, ids[i], NO_SOURCE);
        finish();
        assert_non_null(strstr(heard(c), "invalid id: "));
        disconnect(c);
    }
    assert_int_equal(sim.spawned, 0);
}

static void without_a_folder_such_a_build_is_refused_immediately(void **state)
{
    (void)state;
    scheduler_config.stream_dir = NULL;
    start_agent();
    struct client *c = connect_client();
    ask_build(c, A, SMALL);
    settle();
    assert_heard(c, "Refused a rejected: build rejected: builds without disks are not supported\n");
    ask_get(c, A, "kernel", 0, 8);
    ask(c, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(c, "Refused a unknown_id: no build with this id is known\nPong\n");
}

/* ---- the source ---- */

static void a_source_comes_by_credit_and_all_of_it_is_unpacked(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, SMALL, MVM_BULK_DATA_MAX, SOURCE_CAP, LARGE};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        world(NULL);
        struct client *c = connect_client();
        ask_build(c, A, sizes[i]);
        finish();
        assert_heard(c, ACCEPTED_A OK_A);
        assert_true(sim.fed == sizes[i] && c->sent == sizes[i] && c->credit == sizes[i]);
        assert_int_equal(left(), 1); /* the root */
        ask(c, MVM_MESSAGE_DROP, A);
        assert_nothing_left();
    }
}

/* A client that sends nothing: never more than the buffer is requested. */
static void credit_is_no_more_than_the_buffer(void **state)
{
    (void)state;
    struct client *c = connect_client();
    c->feeds = false;
    ask_build(c, A, LARGE);
    wait_ms(1000);
    assert_int_equal(c->credit, SOURCE_CAP);
    send_source(c, A, 0, 1, false);
    wait_ms(10);
    assert_int_equal(c->credit, SOURCE_CAP); /* … and no frame for one byte more */
    send_source(c, A, 1, MVM_BULK_DATA_MAX / 2, false);
    wait_ms(10);
    assert_int_equal(c->credit, SOURCE_CAP + 1 + MVM_BULK_DATA_MAX / 2);
}

static void the_source_is_asked_for_only_when_its_turn_has_come(void **state)
{
    (void)state;
    struct client *first = connect_client(), *second = connect_client();
    sim.build.run_ms = 5000;
    ask_build(first, B, NO_SOURCE);
    settle();
    second->feeds = false;
    ask_build(second, A, SMALL);
    wait_ms(4000);
    assert_heard(second, ACCEPTED_A);
    send_source(second, A, 0, SMALL, true); /* was not requested: dropped */
    wait_ms(2000);
    assert_heard(first, "accepted b\nOk b kernel=8 rootfs.ext4=18\n");
    assert_heard(second, "Want a 1000\n");
    send_source(second, A, 0, SMALL, true);
    finish();
    assert_heard(second, OK_A);
}

static void what_was_not_asked_for_does_not_count_as_received(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = next->feeds = false;
    ask_build_for(c, A, SMALL, true, 60);
    while (!mvm_scheduler_building(&scheduler)) {
        turn();
    }
    assert_int_equal(mvm_executor_source_limit(&executor), 0);
    send_source(c, A, 0, 10, false);
    while (mvm_executor_source_limit(&executor) == 0) {
        turn();
    }
    disconnect(c);
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    assert_heard(next, ACCEPTED_A "Want a 1000\n");
    send_source(next, A, 0, SMALL, true);
    finish();
    assert_heard(next, OK_A);
}

struct piece {
    uint64_t offset;
    size_t len;
    bool last;
};

static const struct bad_source {
    const char *what;
    uint64_t size;
    struct piece pieces[4]; /* up to one without bytes that is not the last */
    const char *answer;
} bad_sources[] = {
    {"begins later",
     SMALL,
     {{1, 10, false}},
     "Err a invalid_request: invalid source: its bytes are not in order, at byte 0 of 1000\n"},
    {"twice the same",
     SMALL,
     {{0, 10, false}, {0, 10, false}},
     "Err a invalid_request: invalid source: its bytes are not in order, at byte 10 of 1000\n"},
    {"a gap",
     SMALL,
     {{0, 10, false}, {11, 10, false}},
     "Err a invalid_request: invalid source: its bytes are not in order, at byte 10 of 1000\n"},
    {"an offset that wraps around",
     SMALL,
     {{0, 10, false}, {UINT64_MAX, 10, false}},
     "Err a invalid_request: invalid source: its bytes are not in order, at byte 10 of 1000\n"},
    {"longer than was said",
     10,
     {{0, 11, true}},
     "Err a invalid_request: invalid source: it is longer than was said, at byte 10 of 10\n"},
    {"more after the end",
     10,
     {{0, 10, true}, {10, 1, true}},
     "Err a invalid_request: invalid source: it is longer than was said, at byte 10 of 10\n"},
    {"shorter than was said",
     10,
     {{0, 9, true}},
     "Err a invalid_request: invalid source: it is shorter than was said, at byte 9 of 10\n"},
    {"more than was asked for",
     LARGE,
     {{0, MVM_BULK_DATA_MAX, false},
      {MVM_BULK_DATA_MAX, MVM_BULK_DATA_MAX, false},
      {2 * MVM_BULK_DATA_MAX, 1, false}},
     "Err a invalid_request: invalid source: more bytes came than were asked for, at byte 131072 "
     "of 300000\n"},
};

static void a_source_that_breaks_a_rule_ends_its_build(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_sources / sizeof bad_sources[0]; i++) {
        const struct bad_source *b = &bad_sources[i];
        world(NULL);
        struct client *c = connect_client();
        c->feeds = false;
        sim.unpack.reads_nothing = b->size == LARGE;
        ask_build(c, A, b->size);
        settle();
        heard(c);
        for (const struct piece *p = b->pieces; p->len > 0; p++) {
            send_source(c, A, p->offset, p->len, p->last);
            carry(&c->session, &c->slot->session); /* no step between them */
            carry(&c->session, &c->slot->session);
            mvm_scheduler_step(&scheduler, sim.now_ms);
        }
        finish();
        assert_heard(c, b->answer);
        assert_nothing_left();
    }
}

static void an_empty_piece_and_a_missing_last_are_accepted(void **state)
{
    (void)state;
    struct client *c = connect_client();
    c->feeds = false;
    ask_build(c, A, 10);
    settle();
    send_source(c, A, 0, 0, false);
    settle();
    send_source(c, A, 0, 10, false);
    settle();
    send_source(c, A, 10, 0, true);
    finish();
    assert_heard(c, ACCEPTED_A "Want a 10\n" OK_A);
}

static void a_piece_over_its_limit_is_a_parse_error_and_the_build_goes_on(void **state)
{
    (void)state;
    struct client *c = connect_client();
    c->feeds = false;
    ask_build(c, A, MVM_BULK_DATA_MAX);
    settle();
    heard(c);
    send_source(c, A, 0, MVM_BULK_DATA_MAX + 1, true);
    settle();
    assert_heard_begins(c, "Err - : parse error");
    send_source(c, A, 0, MVM_BULK_DATA_MAX, true);
    finish();
    assert_heard(c, OK_A);
}

static void a_source_up_to_the_limit_is_asked_for_and_one_past_it_is_refused(void **state)
{
    (void)state;
    struct client *c = connect_client();
    c->feeds = false;
    ask_build(c, A, MVM_SOURCE_MAX);
    settle();
    assert_heard(c, ACCEPTED_A "Want a 131072\n");
    ask(c, MVM_MESSAGE_CANCEL, A);
    finish();
    heard(c);
    ask_build(c, B, (uint64_t)MVM_SOURCE_MAX + 1);
    finish();
    assert_heard_begins(c, "accepted b\nErr b invalid_request: invalid source: it is larger than "
                           "1073741824 bytes\n");
    assert_nothing_left();
}

static void an_archive_that_ends_before_its_bytes_do_is_an_error(void **state)
{
    (void)state;
    struct client *c = connect_client();
    sim.unpack.reads = 400;
    ask_build(c, A, SMALL);
    finish();
    assert_heard(c, ACCEPTED_A "Err a invalid_request: invalid source: its archive ends before it "
                               "does, at byte 1000 of 1000\n");
    assert_nothing_left();
}

/* nix-store decides what an archive is; a disk that is full is its error, too. */
static void an_archive_that_cannot_be_unpacked_ends_the_build_with_its_status(void **state)
{
    (void)state;
    struct client *c = connect_client();
    sim.unpack.exit.code = 1;
    ask_build(c, A, SMALL);
    finish();
    assert_heard_begins(c, ACCEPTED_A "Err a build_failed: unpacking the source failed (exit "
                                      "status: 1): ");
    assert_nothing_left();
}

static void a_source_of_another_build_or_another_client_is_dropped(void **state)
{
    (void)state;
    struct client *c = connect_client(), *other = connect_client();
    c->feeds = false;
    ask_build(c, A, 10);
    settle();
    heard(c);
    send_source(c, B, 5, 10, true);
    send_source(other, A, 5, 10, true);
    ask(other, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(other, "Pong\n");
    send_source(c, A, 0, 10, true);
    finish();
    assert_heard(c, OK_A);
    send_source(c, A, 10, 10, true); /* it has ended */
    ask(c, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(c, "Pong\n");
}

static void a_client_that_sends_nothing_holds_up_others_no_longer_than_its_time_out(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = false;
    ask_build_for(c, A, SMALL, false, 5);
    settle();
    ask_build(next, B, SMALL);
    ask(next, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(next, "accepted b\nPong\n");
    finish();
    assert_heard_begins(c, ACCEPTED_A "Want a 1000\nErr a timeout: nix build timed out after 5 s");
    assert_heard(next, "Ok b kernel=8 rootfs.ext4=18\n");
    assert_in_range(sim.now_ms, 5000, 10000);
}

/* ---- at each step ---- */

/* How often a text occurs. */
static int count(const char *in, const char *text)
{
    int n = 0;
    for (; (in = strstr(in, text)) != NULL; in++) {
        n++;
    }
    return n;
}

static void a_source_that_stops_coming_holds_up_others_for_a_while_only(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = false;
    ask_build_for(c, A, SMALL, false, 0);
    settle();
    send_source(c, A, 0, 10, false);
    wait_ms(10 * MVM_STALL_MS); /* no other build waits */
    send_source(c, A, 10, 10, false);
    settle();
    heard(c);
    uint64_t since = sim.now_ms;
    ask_build(next, B, SMALL);
    finish();
    assert_heard(c, "Err a cancelled: build cancelled: others wait, and nothing of its source came "
                    "for 60 s, at byte 20 of 1000\n");
    assert_heard(next, "accepted b\nOk b kernel=8 rootfs.ext4=18\n");
    assert_in_range(sim.now_ms - since, MVM_STALL_MS, MVM_STALL_MS + 10000);
    ask(c, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(c, "Pong\n");
}

static void a_source_that_no_client_can_send_holds_up_others_for_a_while_only(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = false;
    ask_build_for(c, A, SMALL, true, 36000);
    settle();
    disconnect(c);
    ask_build(next, B, SMALL);
    finish();
    assert_heard(next, "accepted b\nOk b kernel=8 rootfs.ext4=18\n");
    assert_in_range(sim.now_ms, MVM_STALL_MS, 2 * MVM_STALL_MS);
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    assert_heard_begins(next, "Err a cancelled: build cancelled: others wait, ");
}

/* Begins a build with a source and runs it for so many turns. False: it ended before. */
static bool begin_for(struct client *c, bool keep, unsigned turns)
{
    ask_build_for(c, A, SMALL, keep, 60);
    c->piece = 150;
    sim.late_ms = 2;
    sim.piece = 300;
    for (unsigned i = 0; i < turns; i++) {
        if (!turn()) {
            turn_clock(UINT64_MAX);
        }
        if (i > 0 && mvm_scheduler_idle(&scheduler) && c->said_len > sizeof ACCEPTED_A) {
            return false;
        }
    }
    return true;
}

/* One end, any, and it leaves what its answer says. Returns whether it is Ok. */
static bool assert_one_end(struct client *c)
{
    const char *said = heard(c);
    bool ok = strstr(said, OK_A) != NULL;
    int ends = count(said, "Ok a") + count(said, "Err a");
    if (ends != 1) {
        fail_msg("%d ends: %s", ends, said);
    }
    if (!ok) {
        assert_nothing_left();
    }
    return ok;
}

static void assert_next_build_works(void)
{
    struct client *next = connect_client();
    ask_build(next, C, SMALL);
    finish();
    assert_heard(next, "accepted c\nOk c kernel=8 rootfs.ext4=18\n");
}

static void a_cancel_at_any_step_gives_one_end_and_leaves_nothing(void **state)
{
    (void)state;
    unsigned n = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        struct client *c = connect_client(), *other = connect_client();
        reached = begin_for(c, false, n);
        ask(other, MVM_MESSAGE_CANCEL, A);
        finish();
        const char *was = heard(other);
        assert_int_equal(count(was, "Cancelled a "), 1);
        bool ran = count(was, "Cancelled a running") > 0;
        assert_false(assert_one_end(c) && ran);
        assert_next_build_works();
    }
    assert_in_range(n, 20, TURNS_MAX);
}

/* One that was to be kept, too: its client does not want it any more. */
static void a_client_that_cancels_and_leaves_at_any_step_leaves_nothing(void **state)
{
    (void)state;
    unsigned n = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        struct client *c = connect_client();
        reached = begin_for(c, true, n);
        bool building = mvm_scheduler_building(&scheduler);
        ask(c, MVM_MESSAGE_CANCEL, A);
        settle();
        disconnect(c);
        finish();
        if (building && count(heard(c), "Ok a") == 0) {
            assert_nothing_left();
        }
        assert_next_build_works();
    }
    assert_in_range(n, 20, TURNS_MAX);
}

static void a_time_out_at_any_step_gives_one_end_and_leaves_nothing(void **state)
{
    (void)state;
    unsigned n = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        struct client *c = connect_client();
        reached = begin_for(c, false, n);
        sim.now_ms = reader.now_ms = sim.now_ms + 60000; /* no step for so long */
        finish();
        assert_one_end(c);
        assert_next_build_works();
    }
    assert_in_range(n, 20, TURNS_MAX);
}

static void a_client_lost_at_any_step_leaves_nothing(void **state)
{
    (void)state;
    unsigned n = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        struct client *c = connect_client();
        reached = begin_for(c, false, n);
        bool building = mvm_scheduler_building(&scheduler);
        disconnect(c);
        finish();
        if (building) {
            assert_nothing_left();
        }
        struct client *next = connect_client();
        ask(next, MVM_MESSAGE_JOIN, A);
        ask(next, MVM_MESSAGE_DROP, A);
        settle();
        const char *said = heard(next);
        const char *expected = building ? "Err a superseded: artifacts dropped: " : OK_A;
        if (strncmp(said, expected, strlen(expected)) != 0 &&
            strncmp(said, "Err a cancelled: ", 17) != 0 &&
            strncmp(said, "Refused a unknown_id: ", 22) != 0) {
            fail_msg("after %u turns: %s", n, said);
        }
        assert_nothing_left();
        assert_next_build_works();
    }
    assert_in_range(n, 20, TURNS_MAX);
}

/* Before its source has begun, or after all of it was received, the next client continues. */
static void a_kept_build_outlives_its_client_at_any_step_but_amid_its_source(void **state)
{
    (void)state;
    unsigned n = 0, kept = 0, ended = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        struct client *c = connect_client(), *next = connect_client();
        reached = begin_for(c, true, n);
        uint64_t came = scheduler.streams.received;
        bool accepted = scheduler.queued > 0 || c->said_len > 0;
        disconnect(c);
        ask(next, MVM_MESSAGE_JOIN, A);
        next->id = A;
        next->source = SMALL;
        finish();
        const char *said = heard(next);
        bool amid = came > 0 && came < SMALL;
        if (!accepted) {
            assert_non_null(strstr(said, "Refused a unknown_id: "));
        } else if (amid) {
            assert_non_null(strstr(said, "Err a cancelled: "));
            assert_nothing_left();
        } else {
            assert_non_null(strstr(said, OK_A));
            ask_get(next, A, "kernel", 0, 8);
            settle();
            assert_string_equal((const char *)next->file, "a kernel");
        }
        kept += accepted && !amid;
        ended += accepted && amid;
    }
    assert_true(kept > 10 && ended > 0);
}

/* No other client could know how much of it was received. */
static void a_kept_build_ends_immediately_when_its_client_is_lost_amid_its_source(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = false;
    ask_build_for(c, A, SMALL, true, 60);
    settle();
    send_source(c, A, 0, 10, false);
    settle();
    disconnect(c);
    wait_ms(1000);
    assert_true(mvm_scheduler_idle(&scheduler));
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    assert_heard_begins(next, "Err a cancelled: ");
}

/* … and the agent answers others while it waits. */
static void a_disk_that_hangs_at_any_step_gives_one_end_and_pings_meanwhile(void **state)
{
    (void)state;
    bool reached = true;
    for (unsigned n = 1; reached; n++) {
        world(NULL);
        struct client *c = connect_client(), *other = connect_client();
        sim.hang_at = n;
        ask_build_for(c, A, SMALL, false, 5);
        wait_ms(3000);
        ask(other, MVM_MESSAGE_PING, NULL);
        settle();
        assert_heard(other, "Pong\n");
        finish();
        reached = sim.failed;
        const char *said = heard(c);
        assert_int_equal(count(said, "Ok a") + count(said, "Err a"), 1);
        sim.hang_at = 0;
        assert_next_build_works();
    }
}

/* ---- the agent's folder ---- */

static void only_what_an_agent_left_is_removed_from_its_folder(void **state)
{
    (void)state;
    static const char *const ours[] = {"/agent/mvm-source/flake.nix", "/agent/mvm-root-0/result",
                                       "/agent/mvm-root-7/result"};
    static const char *const foreign[] = {
        "/agent/source",           "/agent/source/x",         "/agent/0/result", "/agent/0",
        "/agent/mvm-source.mine",  "/agent/mvm-root-",        "/agent/result",   "/agent/7/x",
        "/agent/mvm-root-0.old/x", "/agent/mvm-root-00/file", "/agent/mvm-root"};
    const size_t foreign_len = sizeof foreign / sizeof foreign[0];
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        mvm_sim_put(&sim, ours[i], "left");
    }
    for (size_t i = 0; i < foreign_len; i++) {
        mvm_sim_put(&sim, foreign[i], "mine");
    }
    scheduler_config.stream_left = true;
    start_agent();
    wait_ms(10);
    struct client *c = connect_client();
    ask_build(c, A, SMALL);
    finish();
    assert_heard(c, ACCEPTED_A OK_A);
    ask(c, MVM_MESSAGE_DROP, A);
    wait_ms(10);
    for (size_t i = 0; i < foreign_len; i++) {
        if (mvm_sim_find(&sim, foreign[i]) == NULL) {
            fail_msg("%s is removed", foreign[i]);
        }
    }
    assert_int_equal(left(), (int)foreign_len);
}

static void a_build_waits_until_what_an_agent_left_is_removed(void **state)
{
    (void)state;
    mvm_sim_put(&sim, "/agent/mvm-source/flake.nix", "left");
    scheduler_config.stream_left = true;
    reader.late_ms = 1;
    start_agent();
    reader.hang_at = 1;
    struct client *c = connect_client();
    ask_build(c, A, SMALL);
    wait_ms(MVM_DISK_PATIENCE_MS - 1);
    assert_heard(c, ACCEPTED_A);
    wait_ms(2000); /* a disk that hangs is abandoned */
    assert_heard(c, OK_A);
    ask(c, MVM_MESSAGE_DROP, A);
    assert_nothing_left();
}

static void an_agent_killed_at_any_step_leaves_nothing_to_the_next(void **state)
{
    (void)state;
    unsigned n = 0;
    for (bool reached = true; reached; n++) {
        world(NULL);
        reached = begin_for(connect_client(), true, n);
        mvm_sim_restart(&sim);
        mvm_sim_restart(&reader);
        scheduler_config.stream_left = true;
        start_agent();
        assert_nothing_left();
        assert_next_build_works();
    }
}

/* ---- joins ---- */

static void a_client_that_joins_before_the_source_has_begun_is_asked_for_it(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = next->feeds = false;
    ask_build(c, A, SMALL);
    settle();
    assert_heard(c, ACCEPTED_A "Want a 1000\n");
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    assert_heard_begins(c, "Err a moved: ");
    assert_heard(next, ACCEPTED_A "Want a 1000\n");
    send_source(c, A, 0, 10, false); /* it is no longer this client's */
    settle();
    send_source(next, A, 0, SMALL, true);
    finish();
    assert_heard(next, OK_A);
}

static void a_client_that_joins_during_the_source_is_sent_that_the_build_is_cancelled(void **state)
{
    (void)state;
    struct client *c = connect_client(), *next = connect_client();
    c->feeds = false;
    ask_build_for(c, A, SMALL, true, 60);
    settle();
    send_source(c, A, 0, 10, false);
    settle();
    ask(next, MVM_MESSAGE_JOIN, A);
    finish();
    assert_heard_begins(next, ACCEPTED_A "Err a cancelled: ");
    assert_nothing_left();
}

/* It can neither send a source nor fetch artifacts; it receives the answer. */
static void a_client_on_the_json_wire_that_joins_gets_the_plain_end(void **state)
{
    (void)state;
    struct client *c = connect_client();
    struct client *next = connect_with(2 * BUFFER, MVM_WIRE_JSON);
    ask_build_for(c, A, NO_SOURCE, true, 60);
    settle();
    disconnect(c);
    ask(next, MVM_MESSAGE_JOIN, A);
    finish();
    assert_heard(next, ACCEPTED_A "Ok a\n");
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    assert_heard(next, "Ok a\n");
}

static void a_client_on_the_json_wire_cannot_join_a_build_that_waits_for_its_source(void **state)
{
    (void)state;
    static const char refused[] =
        "Refused a rejected: Join rejected: the build waits for its source, "
        "and a JSON client cannot send it\n";
    struct client *c = connect_client(), *first = connect_client();
    struct client *next = connect_with(2 * BUFFER, MVM_WIRE_JSON);
    c->feeds = first->feeds = false;
    ask_build_for(first, B, SMALL, false, 60);
    ask_build_for(c, A, SMALL, true, 60);
    ask(next, MVM_MESSAGE_JOIN, A); /* while it is queued */
    settle();
    ask(first, MVM_MESSAGE_CANCEL, B);
    settle();
    ask(next, MVM_MESSAGE_JOIN, A); /* when it has begun */
    send_source(c, A, 0, 10, false);
    settle();
    ask(next, MVM_MESSAGE_JOIN, A);
    settle();
    const char *said = heard(next);
    assert_int_equal(count(said, refused), 3);
    assert_int_equal(strlen(said), 3 * (sizeof refused - 1));
    send_source(c, A, 10, SMALL - 10, true);
    finish();
    assert_heard(c, ACCEPTED_A "Want a 1000\n" OK_A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_build_is_accepted_and_lists_its_artifacts),
        TEST(a_build_needs_an_id),
        TEST(without_a_folder_such_a_build_is_refused_immediately),
        TEST(a_source_comes_by_credit_and_all_of_it_is_unpacked),
        TEST(credit_is_no_more_than_the_buffer),
        TEST(the_source_is_asked_for_only_when_its_turn_has_come),
        TEST(what_was_not_asked_for_does_not_count_as_received),
        TEST(a_source_that_breaks_a_rule_ends_its_build),
        TEST(an_empty_piece_and_a_missing_last_are_accepted),
        TEST(a_piece_over_its_limit_is_a_parse_error_and_the_build_goes_on),
        TEST(a_source_up_to_the_limit_is_asked_for_and_one_past_it_is_refused),
        TEST(an_archive_that_ends_before_its_bytes_do_is_an_error),
        TEST(an_archive_that_cannot_be_unpacked_ends_the_build_with_its_status),
        TEST(a_source_of_another_build_or_another_client_is_dropped),
        TEST(a_client_that_sends_nothing_holds_up_others_no_longer_than_its_time_out),
        TEST(a_source_that_stops_coming_holds_up_others_for_a_while_only),
        TEST(a_source_that_no_client_can_send_holds_up_others_for_a_while_only),
        TEST(a_cancel_at_any_step_gives_one_end_and_leaves_nothing),
        TEST(a_client_that_cancels_and_leaves_at_any_step_leaves_nothing),
        TEST(a_time_out_at_any_step_gives_one_end_and_leaves_nothing),
        TEST(a_client_lost_at_any_step_leaves_nothing),
        TEST(a_kept_build_outlives_its_client_at_any_step_but_amid_its_source),
        TEST(a_kept_build_ends_immediately_when_its_client_is_lost_amid_its_source),
        TEST(a_disk_that_hangs_at_any_step_gives_one_end_and_pings_meanwhile),
        TEST(only_what_an_agent_left_is_removed_from_its_folder),
        TEST(a_build_waits_until_what_an_agent_left_is_removed),
        TEST(an_agent_killed_at_any_step_leaves_nothing_to_the_next),
        TEST(a_client_that_joins_before_the_source_has_begun_is_asked_for_it),
        TEST(a_client_that_joins_during_the_source_is_sent_that_the_build_is_cancelled),
        TEST(a_client_on_the_json_wire_that_joins_gets_the_plain_end),
        TEST(a_client_on_the_json_wire_cannot_join_a_build_that_waits_for_its_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
