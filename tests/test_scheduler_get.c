/* Fetching what a build without disks has made: Get, Drop, and how a hold ends. */
#include "stream_world.h"

enum { PIECE = 16, SMALL_BUFFER = 512 };

#define NO_ARTIFACT "Refused a invalid_request: invalid name: the build has no such artifact\n"
#define PAST_END    "Refused a invalid_request: invalid offset: past the artifact's end\n"
#define SECOND_GET  "Refused a invalid_request: invalid Get: another is not answered yet\n"
#define UNKNOWN(id) "Refused " id " unknown_id: no build with this id is known\n"
#define UNREADABLE  "Refused a internal: the artifact cannot be read\n"
#define DROPPED     "Err a superseded: artifacts dropped: they are not held any more\n"

/* ---- Get ---- */

static void each_artifact_comes_from_any_offset(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t offset;
        uint64_t length;
        const char *bytes;
        unsigned to;
    } cases[] = {
        {"kernel", 0, UINT64_MAX, "a kernel", 8},
        {"kernel", 0, 8, "a kernel", 8},
        {"kernel", 0, 9, "a kernel", 8},
        {"kernel", 2, 3, "ker", 5},
        {"kernel", 7, 1, "l", 8},
        {"kernel", 7, UINT64_MAX, "l", 8},
        {"kernel", 8, 0, "", 8},
        {"kernel", 8, UINT64_MAX, "", 8},
        {"kernel", 3, 0, "", 3},
        {"rootfs.ext4", 0, 6, "a root", 6},
        {"rootfs.ext4", 2, UINT64_MAX, "root file system", 18},
    };
    struct client *c = built(A);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[64];
        ask_get(c, A, cases[i].name, cases[i].offset, cases[i].length);
        settle();
        snprintf(expected, sizeof expected, "Artifact a %s to %u\n", cases[i].name, cases[i].to);
        assert_heard(c, expected);
        assert_memory_equal(c->file + cases[i].offset, cases[i].bytes, strlen(cases[i].bytes));
    }
}

static void an_output_that_is_one_file_comes_under_its_name(void **state)
{
    (void)state;
    static const char path[] = "/nix/store/00000000000000000000000000000000-file";
    sim.build.out = "/nix/store/00000000000000000000000000000000-file\n";
    mvm_sim_put(&sim, path, "12345");
    struct client *c = connect_client();
    ask_build(c, A, NO_SOURCE);
    finish();
    assert_heard(c, ACCEPTED_A "Ok a image=5\n");
    ask_get(c, A, "image", 1, 3);
    settle();
    assert_heard(c, "Artifact a image to 4\n");
    assert_string_equal((char *)c->file + 1, "234");
}

/* Data at 10 and 3000; the rest, including the end, is holes. */
static void holes_are_left_out_of_any_range(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_CAP];
    memcpy(bytes + 10, "first", 5);
    memcpy(bytes + 3000, "second", 6);
    mvm_sim_put_bytes(&sim, STORE "/rootfs.ext4", bytes, sizeof bytes);
    struct client *c = built(A);
    for (uint64_t from = 0; from <= FILE_CAP; from += 7) {
        for (uint64_t len = 0; len <= FILE_CAP; len += 331) {
            uint64_t end = from + len < FILE_CAP ? from + len : FILE_CAP;
            uint8_t expected[FILE_CAP] = {0};
            char said[64];
            memcpy(expected + from, bytes + from, (size_t)(end - from));
            ask_get(c, A, "rootfs.ext4", from, len);
            settle();
            snprintf(said, sizeof said, "Artifact a rootfs.ext4 to %u\n", (unsigned)end);
            assert_heard(c, said);
            assert_memory_equal(c->file, expected, sizeof expected);
        }
    }
    unsigned before = reader.reads;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    settle();
    assert_in_range(reader.reads - before, 3, 4);
}

static void what_is_not_in_the_list_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",         "initrd",    "image",  "KERNEL", "kernel/",
                                        "./kernel", "build.log", "kerne",  "..",     "/etc/passwd",
                                        "../x",     "vmlinux",   "kernelx"};
    struct client *c = built(A);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ask_get(c, A, names[i], 0, 8);
        settle();
        assert_heard(c, NO_ARTIFACT);
    }
    ask_get(c, A, "kernel", 9, 1);
    settle();
    ask_get(c, A, "kernel", UINT64_MAX, UINT64_MAX);
    settle();
    assert_heard(c, PAST_END PAST_END);
    assert_int_equal(reader.reads, 0);
    ask_get(c, A, "kernel", 0, 8);
    settle();
    assert_heard(c, "Artifact a kernel to 8\n");
}

static void only_a_build_that_has_ended_well_can_be_fetched_from(void **state)
{
    (void)state;
    struct client *c = connect_client(), *other = connect_client();
    ask_get(other, A, "kernel", 0, 8); /* unknown */
    settle();
    ask_build(c, A, NO_SOURCE);
    settle();
    ask_get(other, A, "kernel", 0, 8); /* runs */
    settle();
    assert_heard(other, UNKNOWN("a") UNKNOWN("a"));
    finish();
    ask_get(other, A, "kernel", 0,
            8); /* the id suffices, whichever client has requested the build */
    settle();
    assert_heard(other, "Artifact a kernel to 8\n");
    sim.build.exit.code = 1;
    ask_build(c, B, NO_SOURCE);
    finish();
    ask_get(other, B, "kernel", 0, 8); /* has failed */
    settle();
    assert_heard(other, UNKNOWN("b"));
}

static void a_connection_whose_buffer_is_too_small_gets_an_err(void **state)
{
    (void)state;
    struct client *c = built(A), *other = connect_with(SMALL_BUFFER / 2, MVM_WIRE_PROTO);
    ask_get(other, A, "kernel", 0, 8);
    settle();
    assert_heard_begins(other, "Refused a rejected: Get rejected: this connection's buffer is too");
    other = connect_with(SMALL_BUFFER, MVM_WIRE_PROTO);
    ask_get(other, A, "rootfs.ext4", 0, UINT64_MAX);
    ask_get(c, A, "kernel", 0, 8);
    settle();
    assert_heard(other, "Artifact a rootfs.ext4 to 18\n");
    assert_heard(c, "Artifact a kernel to 8\n");
}

/* ---- several ---- */

static void a_second_get_is_refused_and_the_first_goes_on(void **state)
{
    (void)state;
    struct client *c = built(A);
    reader.late_ms = 5;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    ask_get(c, A, "kernel", 0, 8);
    wait_ms(100);
    assert_heard(c, SECOND_GET "Artifact a rootfs.ext4 to 18\n");
    ask_get(c, A, "kernel", 0, 8);
    wait_ms(100);
    assert_heard(c, "Artifact a kernel to 8\n");
}

/* They take turns, byte by byte, and each gets its own data. */
static void two_clients_fetch_at_once(void **state)
{
    (void)state;
    struct client *c = built(A), *other = connect_client(), *idle = connect_client();
    reader.piece = 1;
    idle->reads = false; /* it does not read, and delays neither */
    ask_get(idle, A, "rootfs.ext4", 0, UINT64_MAX);
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    ask_get(other, A, "kernel", 0, UINT64_MAX);
    for (int i = 0; i < 200 && other->said_len == 0; i++) {
        turn();
    }
    assert_in_range(c->file_at, 7, 9); /* as far as the other */
    settle();
    assert_heard(c, "Artifact a rootfs.ext4 to 18\n");
    assert_heard(other, "Artifact a kernel to 8\n");
    assert_string_equal((char *)c->file, "a root file system");
    assert_string_equal((char *)other->file, "a kernel");
    idle->reads = true;
    settle();
    assert_heard(idle, "Artifact a rootfs.ext4 to 18\n");
}

/* As one that does not read anything else: others need its slot. */
static void a_client_that_fetches_and_does_not_read_is_idle_after_a_while(void **state)
{
    (void)state;
    struct client *other = connect_client(), *c = connect_with(SMALL_BUFFER, MVM_WIRE_PROTO);
    static uint8_t bytes[FILE_CAP];
    memset(bytes, 'x', sizeof bytes);
    mvm_sim_put_bytes(&sim, STORE "/rootfs.ext4", bytes, sizeof bytes);
    ask_build(other, A, NO_SOURCE);
    finish();
    disconnect(other);
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    c->reads = false;
    settle();
    wait_ms(MVM_STALL_MS - 1000);
    assert_null(mvm_scheduler_idlest(&scheduler, 1000));
    wait_ms(1000);
    assert_ptr_equal(mvm_scheduler_idlest(&scheduler, 1000), c->slot);
}

/* Nothing else may ever happen, so the scheduler asks for a step. */
static void the_reader_ends_when_the_last_client_that_fetches_has_gone(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_CAP];
    memset(bytes, 'x', sizeof bytes);
    mvm_sim_put_bytes(&sim, STORE "/rootfs.ext4", bytes, sizeof bytes);
    struct client *other = built(A), *c = connect_with(SMALL_BUFFER, MVM_WIRE_PROTO);
    c->reads = false;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    settle();
    assert_true(mvm_scheduler_reading(&scheduler));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), UINT64_MAX);
    disconnect(c);
    assert_in_range(mvm_scheduler_deadline(&scheduler), 0, sim.now_ms);
    settle();
    assert_false(mvm_scheduler_reading(&scheduler));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), UINT64_MAX);
    assert_non_null(other->slot);
}

static void the_next_build_goes_on_while_artifacts_are_fetched(void **state)
{
    (void)state;
    struct client *c = built(A), *other = connect_client();
    reader.piece = 1;
    reader.late_ms = 40;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    ask_build(other, B, 1000);
    ask(other, MVM_MESSAGE_PING, NULL);
    settle();
    assert_heard(other, "accepted b\nPong\n");
    finish();
    assert_heard(other, "Ok b kernel=8 rootfs.ext4=18\n");
    wait_ms(1000);
    assert_heard(c, "Artifact a rootfs.ext4 to 18\n");
}

/* Its own Pongs fill the room while a piece is read: the piece is sent later, and is right. */
static void a_piece_is_sent_only_if_there_is_still_room_for_it(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_CAP];
    memset(bytes, 'x', sizeof bytes);
    mvm_sim_put_bytes(&sim, STORE "/rootfs.ext4", bytes, sizeof bytes);
    struct client *other = built(A), *c = connect_with(SMALL_BUFFER, MVM_WIRE_PROTO);
    c->reads = false;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    while (reader.asked.call == 0) {
        turn();
    }
    reader.asked.until_ms = reader.now_ms + 100;
    for (int i = 0; i < 100; i++) {
        ask(c, MVM_MESSAGE_PING, NULL);
        turn();
    }
    wait_ms(200);
    ask_get(other, A, "kernel", 0, 8);
    wait_ms(100);
    assert_heard(other, "Artifact a kernel to 8\n");
    c->reads = true;
    wait_ms(10000);
    assert_non_null(strstr(heard(c), "Artifact a rootfs.ext4 to 4096\n"));
    assert_memory_equal(c->file, bytes, sizeof bytes);
}

/* After a lost connection the rest is sent on another one. */
static void a_client_lost_at_any_piece_goes_on_from_there(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 80; n++) {
        world(NULL);
        struct client *c = built(A), *other = connect_client();
        reader.piece = 3;
        ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
        ask_get(other, A, "kernel", 0, UINT64_MAX);
        for (unsigned i = 0; i < n; i++) {
            turn();
        }
        uint64_t at = c->file_at;
        disconnect(c);
        c = connect_client();
        ask(c, MVM_MESSAGE_JOIN, A);
        settle();
        assert_heard(c, OK_A);
        ask_get(c, A, "rootfs.ext4", at, UINT64_MAX);
        settle();
        assert_heard(c, "Artifact a rootfs.ext4 to 18\n");
        assert_string_equal((char *)c->file + at, &"a root file system"[at]);
        assert_heard(other, "Artifact a kernel to 8\n");
    }
}

/* ---- Drop ---- */

static void what_was_dropped_is_not_held_and_cannot_be_fetched(void **state)
{
    (void)state;
    struct client *c = built(A);
    assert_int_equal(left(), 1);
    ask(c, MVM_MESSAGE_DROP, A);
    ask_get(c, A, "kernel", 0, 8);
    ask(c, MVM_MESSAGE_JOIN, A);
    ask(c, MVM_MESSAGE_DROP, A); /* again: nothing */
    ask(c, MVM_MESSAGE_DROP, B);
    settle();
    assert_heard(c, UNKNOWN("a") DROPPED);
    assert_false(mvm_scheduler_holds(&scheduler));
    assert_nothing_left();
    ask_build(c, A, NO_SOURCE); /* the id was used, and its end is kept */
    settle();
    assert_heard(c, "Refused a id_conflict: build rejected: another build has this id\n");
}

static void a_drop_at_any_piece_ends_each_get_once(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned n = 0; n < 60; n++) {
        world(NULL);
        struct client *c = built(A), *other = connect_client(), *third = connect_client();
        reader.piece = 3;
        reader.late_ms = n % 3;
        ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
        ask_get(third, A, "rootfs.ext4", 0, UINT64_MAX);
        for (unsigned i = 0; i < n; i++) {
            turn();
        }
        ask(other, MVM_MESSAGE_DROP, A);
        wait_ms(1000);
        const char *said = heard(c);
        if (strcmp(said, UNKNOWN("a")) == 0) {
            refused++;
        } else {
            assert_string_equal(said, "Artifact a rootfs.ext4 to 18\n");
        }
        said = heard(third);
        assert_true(strcmp(said, UNKNOWN("a")) == 0 ||
                    strcmp(said, "Artifact a rootfs.ext4 to 18\n") == 0);
        assert_nothing_left();
    }
    assert_in_range(refused, 5, 59);
}

static void past_the_limit_the_oldest_is_dropped(void **state)
{
    (void)state;
    struct client *c = connect_client(), *other = connect_client();
    char id[32], expected[64];
    for (int i = 0; i < MVM_STREAM_BUILDS; i++) {
        snprintf(id, sizeof id, "%d-in-all-are-held", i);
        ask_build(c, id, NO_SOURCE);
        finish();
    }
    assert_int_equal(left(), MVM_STREAM_BUILDS);
    heard(c);
    reader.piece = 1;
    reader.late_ms = 30;
    ask_get(other, "0-in-all-are-held", "rootfs.ext4", 0, UINT64_MAX);
    settle();
    ask_build(c, A, NO_SOURCE); /* takes its place amid the Get */
    finish();
    assert_heard(c, ACCEPTED_A OK_A);
    assert_heard(other, UNKNOWN("0"));
    reader.late_ms = 0;
    for (int i = 0; i < MVM_STREAM_BUILDS; i++) {
        snprintf(id, sizeof id, "%d-in-all-are-held", i);
        ask_get(other, id, "kernel", 0, UINT64_MAX);
        settle();
        snprintf(expected, sizeof expected, i == 0 ? UNKNOWN("0") : "Artifact %d kernel to 8\n", i);
        assert_heard(other, expected);
    }
    assert_int_equal(left(), MVM_STREAM_BUILDS);
}

static void a_place_that_was_dropped_is_used_before_a_held_one(void **state)
{
    (void)state;
    struct client *c = connect_client();
    char id[32];
    for (int i = 0; i < MVM_STREAM_BUILDS; i++) {
        snprintf(id, sizeof id, "%d-in-all-are-held", i);
        ask_build(c, id, NO_SOURCE);
        finish();
    }
    heard(c);
    reader.never_later = true;
    reader.hang_at = reader.calls + 1; /* emptying it takes a while: the build waits */
    ask(c, MVM_MESSAGE_DROP, "3-in-all-are-held");
    settle();
    ask_build(c, A, NO_SOURCE);
    wait_ms(1000);
    assert_heard(c, ACCEPTED_A);
    assert_false(mvm_scheduler_building(&scheduler));
    finish();
    assert_heard(c, OK_A);
    ask_get(c, "0-in-all-are-held", "kernel", 0, 8);
    settle();
    assert_heard(c, "Artifact 0 kernel to 8\n");
}

/* ---- failures ---- */

static void every_call_of_the_reader_may_fail(void **state)
{
    (void)state;
    for (unsigned with = 0; with < 4; with++) {
        bool reached = true;
        for (unsigned n = 1; reached; n++) {
            world(NULL);
            struct client *c = built(A);
            reader.piece = 5;
            reader.fail_at = n;
            reader.fail_with = with;
            ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
            settle();
            reached = reader.failed;
            const char *said = heard(c);
            assert_string_equal(said, reached ? UNREADABLE : "Artifact a rootfs.ext4 to 18\n");
            reader.fail_at = 0;
            ask_get(c, A, "kernel", 0, 8);
            settle();
            assert_heard(c, "Artifact a kernel to 8\n");
            ask(c, MVM_MESSAGE_DROP, A);
            assert_nothing_left();
        }
    }
}

/* If removing fails or hangs, the next build in that place tries again, and nothing waits for
 * it. */
static void a_place_that_cannot_be_emptied_is_used_again(void **state)
{
    (void)state;
    for (int hangs = 0; hangs < 2; hangs++) {
        world(NULL);
        struct client *c = built(A);
        reader.fail_at = hangs ? 0 : 1;
        reader.hang_at = hangs ? 1 : 0;
        ask(c, MVM_MESSAGE_DROP, A);
        wait_ms(2 * MVM_DISK_PATIENCE_MS);
        assert_true(reader.failed);
        assert_int_equal(left(), 1);
        ask_build(c, B, NO_SOURCE);
        finish();
        assert_heard(c, "accepted b\nOk b kernel=8 rootfs.ext4=18\n");
        ask(c, MVM_MESSAGE_DROP, B);
        assert_nothing_left();
    }
}

static void a_get_from_a_disk_that_hangs_ends_and_nothing_else_waits(void **state)
{
    (void)state;
    struct client *c = built(A), *other = connect_client();
    reader.hang_at = 1;
    ask_get(c, A, "kernel", 0, 8);
    ask(other, MVM_MESSAGE_PING, NULL);
    ask_build(other, B, 1000);
    finish();
    assert_heard(other, "Pong\naccepted b\nOk b kernel=8 rootfs.ext4=18\n");
    assert_heard(c, "");
    wait_ms(MVM_DISK_PATIENCE_MS);
    assert_heard(c, UNREADABLE);
    assert_int_equal(reader.hung, 1);
    ask_get(c, A, "kernel", 0, 8);
    settle();
    assert_heard(c, "Artifact a kernel to 8\n");
}

/* The reader's time limit is a deadline even if no build waits. */
static void a_call_that_hangs_has_a_deadline(void **state)
{
    (void)state;
    struct client *c = built(A);
    assert_true(mvm_scheduler_deadline(&scheduler) == UINT64_MAX);
    uint64_t began = sim.now_ms;
    reader.hang_at = 1;
    ask_get(c, A, "kernel", 0, 8);
    settle();
    assert_true(mvm_scheduler_deadline(&scheduler) == began + MVM_DISK_PATIENCE_MS);
}

/* A server that ends with its machine waits for it. */
static void a_get_whose_client_has_no_room_yet_is_still_to_be_answered(void **state)
{
    (void)state;
    struct client *other = built(A), *c = connect_with(SMALL_BUFFER, MVM_WIRE_PROTO);
    assert_false(mvm_scheduler_reading(&scheduler));
    c->reads = false;
    for (int i = 0; i < SMALL_BUFFER; i++) {
        ask(c, MVM_MESSAGE_PING, NULL);
        settle();
    }
    ask_get(c, A, "kernel", 0, 8);
    settle();
    assert_true(mvm_scheduler_reading(&scheduler));
    assert_int_equal(reader.reads, 0);
    c->reads = true;
    settle();
    assert_non_null(strstr(heard(c), "Pong\nArtifact a kernel to 8\n"));
    assert_false(mvm_scheduler_reading(&scheduler));
    disconnect(other);
}

/* ---- the end ---- */

static void an_agent_that_stops_removes_what_it_holds_before_it_is_done(void **state)
{
    (void)state;
    built(A);
    assert_false(mvm_scheduler_reading(&scheduler));
    mvm_scheduler_stop(&scheduler);
    assert_true(mvm_scheduler_reading(&scheduler));
    settle();
    assert_false(mvm_scheduler_reading(&scheduler));
    assert_nothing_left();
}

static void an_agent_that_stops_drops_what_it_holds(void **state)
{
    (void)state;
    struct client *c = built(A);
    reader.piece = 1;
    reader.late_ms = 3;
    ask_get(c, A, "rootfs.ext4", 0, UINT64_MAX);
    settle();
    mvm_scheduler_stop(&scheduler);
    assert_true(mvm_scheduler_reading(&scheduler)); /* it has to remove what it held */
    ask_get(c, A, "kernel", 0, 8);
    wait_ms(1000);
    assert_heard(c, "Refused a stopping: Get rejected: the agent is stopping\n"
                    "Refused a stopping: Get rejected: the agent is stopping\n");
    assert_false(mvm_scheduler_reading(&scheduler));
    assert_nothing_left();
}

/* At any step: what the build has made is not left behind. */
static void an_agent_that_stops_during_a_build_leaves_nothing(void **state)
{
    (void)state;
    unsigned oks = 0;
    for (unsigned n = 0; n < 60; n++) {
        world(NULL);
        struct client *c = connect_client();
        sim.late_ms = n % 2;
        sim.build.run_ms = 1;
        ask_build(c, A, 10);
        for (unsigned i = 0; i < n; i++) {
            if (!turn()) {
                turn_clock(sim.now_ms + 1);
            }
        }
        mvm_scheduler_stop(&scheduler);
        finish();
        wait_ms(1000);
        const char *said = heard(c);
        oks += strstr(said, OK_A) != NULL;
        assert_true((strstr(said, "Ok a") != NULL) + (strstr(said, "Err a") != NULL) == 1);
        assert_false(mvm_scheduler_reading(&scheduler));
        assert_nothing_left();
    }
    assert_in_range(oks, 1, 59);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_artifact_comes_from_any_offset),
        TEST(an_output_that_is_one_file_comes_under_its_name),
        TEST(holes_are_left_out_of_any_range),
        TEST(what_is_not_in_the_list_is_refused),
        TEST(only_a_build_that_has_ended_well_can_be_fetched_from),
        TEST(a_connection_whose_buffer_is_too_small_gets_an_err),
        TEST(a_second_get_is_refused_and_the_first_goes_on),
        TEST(two_clients_fetch_at_once),
        TEST(a_client_that_fetches_and_does_not_read_is_idle_after_a_while),
        TEST(the_reader_ends_when_the_last_client_that_fetches_has_gone),
        TEST(the_next_build_goes_on_while_artifacts_are_fetched),
        TEST(a_piece_is_sent_only_if_there_is_still_room_for_it),
        TEST(a_client_lost_at_any_piece_goes_on_from_there),
        TEST(what_was_dropped_is_not_held_and_cannot_be_fetched),
        TEST(a_drop_at_any_piece_ends_each_get_once),
        TEST(past_the_limit_the_oldest_is_dropped),
        TEST(a_place_that_was_dropped_is_used_before_a_held_one),
        TEST(every_call_of_the_reader_may_fail),
        TEST(a_place_that_cannot_be_emptied_is_used_again),
        TEST(a_get_from_a_disk_that_hangs_ends_and_nothing_else_waits),
        TEST(a_call_that_hangs_has_a_deadline),
        TEST(a_get_whose_client_has_no_room_yet_is_still_to_be_answered),
        TEST(an_agent_that_stops_removes_what_it_holds_before_it_is_done),
        TEST(an_agent_that_stops_drops_what_it_holds),
        TEST(an_agent_that_stops_during_a_build_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
