/*
 * Builds without disks: credit for the source, what is held until when, and artifacts read piece by
 * piece for each client in its turn. The executor is a script, the reader a file in memory.
 */
#include "test_scheduler_fixture.h"

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

#define PLACE "/streams/" MVM_STREAM_ROOT

/* ---- the reader ---- */

enum { CALLS = 32 };

/* Every file has `size` bytes, a to z repeatedly, of which [from, to) are data. */
static struct {
    uint64_t from;
    uint64_t to;
    bool later;    /* no call is done yet */
    int64_t error; /* of read_data, unless 0 */
    int reads;
    int ends;
    int abandoned;
    char path[MVM_PATH_MAX]; /* of the last read */
    int removed;
    char removals[CALLS][MVM_PATH_MAX];
} disk;

static int64_t read_data(void *ctx, const char *within, const char *path, uint64_t size,
                         uint64_t *offset, uint8_t *buf, size_t cap)
{
    (void)ctx;
    if (disk.later) {
        return MVM_PORT_LATER;
    }
    disk.reads++;
    snprintf(disk.path, sizeof disk.path, "%s", path);
    assert_string_equal(within, "/nix/store");
    assert_true(cap > 0);
    assert_in_range(size, 1000, 1000 + MVM_ARTIFACTS_MAX);
    if (disk.error != 0) {
        return disk.error;
    }
    *offset = *offset < disk.from ? disk.from : *offset;
    size_t n = 0;
    for (; n < cap && *offset + n < disk.to; n++) {
        buf[n] = (uint8_t)('a' + (*offset + n) % 26);
    }
    return (int64_t)n;
}

static int remove_tree(void *ctx, const char *path)
{
    (void)ctx;
    if (disk.later) {
        return MVM_PORT_LATER;
    }
    assert_true(disk.removed < CALLS);
    snprintf(disk.removals[disk.removed++], sizeof disk.removals[0], "%s", path);
    return 0;
}

static int end_job(void *ctx)
{
    (void)ctx;
    disk.ends += disk.later ? 0 : 1;
    return disk.later ? MVM_PORT_LATER : 0;
}

static int abandon(void *ctx)
{
    (void)ctx;
    disk.abandoned++;
    return 0;
}

static const struct mvm_port reader = {
    .read_data = read_data, .remove_tree = remove_tree, .end_job = end_job, .abandon = abandon};

/* ---- set-up ---- */

enum { PIECE = 400 };

static uint8_t piece[PIECE];
static bool left;

static int begin_streams(void **state)
{
    (void)state;
    struct mvm_scheduler_config config = {.agent = "agent 1",
                                          .boot = "b0",
                                          .stream_dir = "/streams",
                                          .stream_left = left,
                                          .reader = &reader,
                                          .bulk = piece,
                                          .bulk_cap = sizeof piece};
    begin_with(false, 0);
    memset(&disk, 0, sizeof disk);
    disk.to = UINT64_MAX;
    fake.artifacts[0] = "kernel";
    fake.artifacts[1] = "image";
    mvm_scheduler_init(&scheduler, &executor, &config, clients, CLIENTS);
    return 0;
}

static int begin_after_another(void **state)
{
    left = true;
    begin_streams(state);
    left = false;
    return 0;
}

/* Sends a message to the scheduler, which is not stepped. */
static void say(struct mvm_client *c, const struct mvm_message *m)
{
    struct mvm_proto_encoder encoder = {.busy = false};
    size_t cap;
    uint8_t *room = mvm_session_room(&c->session, &cap);
    mvm_proto_encoder_start(&encoder, m);
    size_t len = mvm_proto_encoder_pull(&encoder, room, cap);
    assert_true(mvm_proto_encoder_idle(&encoder));
    mvm_session_received(&c->session, len);
}

/* The next message that the client is sent; false: none, after stepping. */
static bool heard(struct mvm_client *c, struct mvm_message *m)
{
    static struct mvm_proto_decoder decoder;
    static char response[2][MVM_RESPONSE_FIELDS_CAP];
    static unsigned turn;
    size_t len = 0, used;
    const uint8_t *bytes = mvm_session_bytes(&c->session, &len);
    if (bytes == NULL) {
        run(scheduler.now_ms);
        bytes = mvm_session_bytes(&c->session, &len);
    }
    if (bytes == NULL) {
        return false;
    }
    turn ^= 1;
    mvm_proto_decoder_init(&decoder, MVM_DIRECTION_RESPONSES, response[turn], sizeof response[0]);
    assert_int_equal(mvm_proto_decoder_push(&decoder, bytes, len, &used), MVM_DECODER_MESSAGE);
    mvm_session_sent(&c->session, used);
    *m = decoder.message;
    return true;
}

static struct mvm_message hear_kind(struct mvm_client *c, enum mvm_kind kind)
{
    struct mvm_message m;
    assert_true(heard(c, &m));
    assert_int_equal(m.kind, kind);
    return m;
}

static void hear_refusal(struct mvm_client *c, const char *id, const char *category)
{
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_ERR);
    assert_true(mvm_text_equal(m.refusal.refused, id));
    assert_true(mvm_text_equal(m.refusal.category, category));
    assert_true(m.text.len > 10);
}

static void hear_nothing(struct mvm_client *c)
{
    struct mvm_message m;
    assert_false(heard(c, &m));
}

static void ask_stream(struct mvm_client *c, const char *id, uint64_t source_size)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(id)};
    m.build.flake_ref = mvm_text_from("f");
    m.build.attr = mvm_text_from("a");
    m.build.keep = MVM_FLAG_TRUE;
    m.build.has_source = source_size > 0;
    m.build.source_size = source_size;
    say(c, &m);
    run(0);
    m = hear_kind(c, MVM_MESSAGE_LOG);
    assert_true(m.beat == MVM_FLAG_TRUE && mvm_text_equal(m.id, id));
}

/* The running build succeeds. */
static struct mvm_message end_stream(struct mvm_client *c)
{
    fake.at = succeeds;
    run(0);
    return hear_kind(c, MVM_MESSAGE_OK);
}

static struct mvm_client *built(const char *id)
{
    struct mvm_client *c = join();
    ask_stream(c, id, 0);
    end_stream(c);
    return c;
}

static void ask_get_of(struct mvm_client *c, const char *id, const char *name, uint64_t offset,
                       uint64_t length)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_GET, .id = mvm_text_from(id)};
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.length = length;
    say(c, &m);
}

static void ask_get(struct mvm_client *c, const char *name, uint64_t offset, uint64_t length)
{
    ask_get_of(c, A, name, offset, length);
}

static void ask_about(struct mvm_client *c, enum mvm_kind kind, const char *id)
{
    struct mvm_message m = {.kind = kind, .id = mvm_text_from(id)};
    say(c, &m);
    run(0);
}

/* A piece with these bytes of the file. */
static void hear_piece(struct mvm_client *c, uint64_t offset, size_t len, bool last)
{
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_ARTIFACT);
    assert_true(m.bulk.offset == offset);
    assert_int_equal(m.text.len, len);
    assert_int_equal(m.bulk.last, last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT);
    assert_true(mvm_text_equal(m.id, A));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(m.text.bytes[i], 'a' + (offset + i) % 26);
    }
}

/* ---- what is built ---- */

static void an_ok_lists_the_artifacts_and_they_are_held(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    struct mvm_artifact_item item;
    ask_stream(c, A, 0);
    assert_true(fake.job.stream && !fake.job.has_source && fake.job.slot == 0);
    assert_false(mvm_scheduler_holds(&scheduler));
    struct mvm_message m = end_stream(c);
    assert_true(mvm_text_equal(m.id, A) && mvm_text_equal(m.text, "/nix/store/a"));
    assert_true(mvm_proto_next_artifact(&m.artifacts, &item));
    assert_true(mvm_text_equal(item.name, "kernel") && item.size == 1000);
    assert_true(mvm_proto_next_artifact(&m.artifacts, &item));
    assert_true(mvm_text_equal(item.name, "image") && item.size == 1001);
    assert_false(mvm_proto_next_artifact(&m.artifacts, &item));
    assert_true(mvm_scheduler_holds(&scheduler));
    assert_int_equal(disk.removed, 0);
}

static void a_client_that_joins_an_ended_build_gets_the_list_again(void **state)
{
    (void)state;
    built(A);
    struct mvm_client *c = join();
    struct mvm_artifact_item item;
    ask_about(c, MVM_MESSAGE_JOIN, A);
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_OK);
    assert_true(mvm_proto_next_artifact(&m.artifacts, &item) && item.size == 1000);
    assert_true(mvm_proto_next_artifact(&m.artifacts, &item) && item.size == 1001);
    assert_false(mvm_proto_next_artifact(&m.artifacts, &item));
}

static void an_id_that_is_held_is_known(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(A)};
    say(c, &m);
    run(0);
    hear_refusal(c, A, "id_conflict");
}

static void what_is_held_can_be_joined_however_many_builds_have_ended_since(void **state)
{
    (void)state;
    static const struct act fails[] = {
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    struct mvm_client *c = built(A);
    struct mvm_artifact_item item;
    char id[17] = "dddddddddddddddd";
    for (int i = 0; i <= MVM_KEPT_ANSWERS; i++) {
        id[15] = (char)('a' + i);
        ask_stream(c, id, 0);
        fake.at = fails;
        run(0);
        hear_kind(c, MVM_MESSAGE_ERR);
    }
    ask_about(c, MVM_MESSAGE_JOIN, A);
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_OK);
    assert_true(mvm_text_equal(m.text, "/nix/store/a"));
    assert_true(mvm_proto_next_artifact(&m.artifacts, &item) && item.size == 1000);
    ask_about(c, MVM_MESSAGE_CANCEL, A);
    assert_true(mvm_text_equal(hear_kind(c, MVM_MESSAGE_CANCELLED).text, "ended"));
    ask_about(c, MVM_MESSAGE_DROP, A);
    ask_about(c, MVM_MESSAGE_JOIN, A);
    hear_refusal(c, A, "unknown_id");
}

static void a_build_with_disks_has_no_list_and_holds_nothing(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    struct mvm_message m = {.kind = MVM_MESSAGE_BUILD, .id = mvm_text_from(A)};
    m.build.flake_ref = m.build.attr = mvm_text_from("x");
    say(c, &m);
    run(0);
    hear_kind(c, MVM_MESSAGE_LOG);
    assert_false(fake.job.stream);
    m = end_stream(c);
    assert_false(mvm_proto_next_artifact(&m.artifacts, &(struct mvm_artifact_item){.size = 0}));
    assert_false(mvm_scheduler_holds(&scheduler));
    ask_get(c, "kernel", 0, 10);
    run(0);
    hear_refusal(c, A, "unknown_id");
}

static void a_build_that_fails_leaves_an_empty_place(void **state)
{
    (void)state;
    static const struct act fails[] = {
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    struct mvm_client *c = join();
    ask_stream(c, A, 0);
    fake.at = fails;
    run(0);
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_ERR);
    assert_true(mvm_text_equal(m.id, A) && mvm_text_equal(m.refusal.category, "build_failed"));
    assert_int_equal(m.artifacts.len, 0);
    assert_false(mvm_scheduler_holds(&scheduler));
    assert_int_equal(disk.removed, 1);
    assert_string_equal(disk.removals[0], PLACE "0");
    ask_stream(c, B, 0);
    assert_int_equal(fake.job.slot, 0);
}

static void the_features_name_it_on_the_protobuf_wire_alone(void **state)
{
    (void)state;
    struct mvm_client *c = join(), *lines = join();
    struct mvm_message m = {.kind = MVM_MESSAGE_HELLO};
    say(c, &m);
    run(0);
    m = hear_kind(c, MVM_MESSAGE_WELCOME);
    assert_true(mvm_text_equal(m.hello.features, "ids cancel join keep source artifacts"));
    ask(lines, "{\"Hello\":{}}\n");
    run(0);
    assert_non_null(strstr(hear(lines), "\"ids cancel join keep\""));
    scheduler.config.stream_dir = NULL;
    m = (struct mvm_message){.kind = MVM_MESSAGE_HELLO};
    say(c, &m);
    run(0);
    m = hear_kind(c, MVM_MESSAGE_WELCOME);
    assert_true(mvm_text_equal(m.hello.features, "ids cancel join keep"));
}

static void without_a_reader_there_are_no_builds_without_disks(void **state)
{
    (void)state;
    struct mvm_scheduler_config config = scheduler.config;
    config.reader = NULL;
    config.stream_left = true;
    mvm_scheduler_init(&scheduler, &executor, &config, clients, CLIENTS);
    struct mvm_client *c = join();
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(A)};
    say(c, &m);
    run(0);
    hear_refusal(c, A, "rejected");
    assert_false(mvm_scheduler_reading(&scheduler));
}

/* ---- Drop, and what is dropped when places run out ---- */

static void drop_empties_the_place_and_ends_the_answer(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    ask_about(c, MVM_MESSAGE_DROP, B);
    assert_true(mvm_scheduler_holds(&scheduler));
    ask_about(c, MVM_MESSAGE_DROP, A);
    hear_nothing(c);
    assert_false(mvm_scheduler_holds(&scheduler));
    assert_int_equal(disk.removed, 1);
    assert_string_equal(disk.removals[0], PLACE "0");
    ask_about(c, MVM_MESSAGE_JOIN, A);
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_ERR);
    assert_true(mvm_text_equal(m.id, A) && mvm_text_equal(m.refusal.category, "superseded"));
    assert_true(mvm_text_begins(m.text, "artifacts dropped"));
    ask_get(c, "kernel", 0, 1);
    run(0);
    hear_refusal(c, A, "unknown_id");
    ask_about(c, MVM_MESSAGE_DROP, A);
    assert_int_equal(disk.removed, 1);
}

static void with_every_place_held_the_oldest_is_dropped(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    char id[MVM_STREAM_BUILDS + 1][17];
    for (unsigned n = 0; n <= MVM_STREAM_BUILDS; n++) {
        snprintf(id[n], sizeof id[n], "bbbbbbbbbbbbbbb%u", n);
        ask_stream(c, id[n], 0);
        assert_int_equal(fake.job.slot, n % MVM_STREAM_BUILDS);
        end_stream(c);
    }
    assert_int_equal(disk.removed, 0); /* the executor makes it anew */
    ask_about(c, MVM_MESSAGE_JOIN, id[0]);
    hear_kind(c, MVM_MESSAGE_ERR);
    ask_about(c, MVM_MESSAGE_JOIN, id[1]);
    hear_kind(c, MVM_MESSAGE_OK);
    ask_about(c, MVM_MESSAGE_DROP, id[3]); /* a free place comes before the oldest one */
    ask_stream(c, A, 0);
    assert_int_equal(fake.job.slot, 3);
}

static void a_place_that_is_being_emptied_is_not_built_in(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.later = true;
    ask_about(c, MVM_MESSAGE_DROP, A);
    ask_stream(c, B, 0);
    assert_int_equal(fake.job.slot, 1);
    disk.later = false;
    run(0);
    assert_int_equal(disk.removed, 1);
    end_stream(c);
    ask_stream(c, A "2", 0);
    assert_int_equal(fake.job.slot, 0);
}

static void what_an_earlier_agent_left_is_removed_before_a_build_begins(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    disk.later = true;
    ask_stream(c, A, 0);
    assert_int_equal(fake.starts, 0);
    disk.later = false;
    assert_true(mvm_scheduler_step(&scheduler, 0));
    assert_in_range(disk.removed, 1, MVM_STREAM_BUILDS);
    assert_true(mvm_scheduler_reading(&scheduler)); /* between two calls, too */
    run(0);
    assert_int_equal(disk.removed, MVM_STREAM_BUILDS + 1);
    assert_string_equal(disk.removals[0], "/streams/" MVM_STREAM_SOURCE);
    assert_string_equal(disk.removals[1], PLACE "0");
    assert_string_equal(disk.removals[MVM_STREAM_BUILDS], PLACE "7");
    assert_int_equal(fake.starts, 1);
    assert_int_equal(disk.ends, 1);
    assert_false(mvm_scheduler_reading(&scheduler));
}

static void a_stop_drops_what_is_held(void **state)
{
    (void)state;
    struct mvm_client *c = built(A), *other = join();
    disk.later = true;
    ask_get(c, "kernel", 0, 10);
    run(0);
    mvm_scheduler_stop(&scheduler);
    run(0);
    hear_refusal(c, A, "stopping");
    ask_get(other, "kernel", 0, 10);
    run(0);
    hear_refusal(other, A, "stopping");
    assert_false(mvm_scheduler_holds(&scheduler));
    disk.later = false;
    run(0);
    hear_nothing(c);
    assert_string_equal(disk.removals[0], PLACE "0");
    assert_int_equal(disk.ends, 1);
}

/* ---- Get ---- */

static void an_artifact_comes_in_pieces_and_the_last_one_says_so(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.later = true;
    ask_get(c, "kernel", 0, UINT64_MAX);
    run(0);
    assert_true(mvm_scheduler_reading(&scheduler));
    disk.later = false;
    hear_piece(c, 0, PIECE, false);
    hear_piece(c, PIECE, PIECE, false);
    hear_piece(c, 2 * PIECE, 200, true);
    assert_string_equal(disk.path, "/nix/store/a/kernel");
    hear_nothing(c);
    assert_int_equal(disk.reads, 3);
    assert_int_equal(disk.ends, 1);
    assert_false(mvm_scheduler_reading(&scheduler));
    ask_get(c, "kernel", 999, 1); /* another one after it */
    hear_piece(c, 999, 1, true);
    assert_int_equal(disk.ends, 2);
}

static void an_output_that_is_one_file_is_read_as_such(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    ask_get(c, "image", 1000, 5);
    hear_piece(c, 1000, 1, true);
    assert_string_equal(disk.path, "/nix/store/a");
}

static void a_range_is_answered_as_far_as_there_are_bytes(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    ask_get(c, "kernel", 3, 4);
    hear_piece(c, 3, 4, true);
    ask_get(c, "kernel", 990, 10);
    hear_piece(c, 990, 10, true);
    ask_get(c, "kernel", 990, 11);
    hear_piece(c, 990, 10, true);
    int reads = disk.reads;
    ask_get(c, "kernel", 1000, 7);
    hear_piece(c, 1000, 0, true);
    ask_get(c, "kernel", 5, 0);
    hear_piece(c, 5, 0, true);
    assert_int_equal(disk.reads, reads);
    ask_get(c, "kernel", 1001, 1);
    run(0);
    hear_refusal(c, A, "invalid_request");
    hear_nothing(c);
}

static void holes_are_left_out(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.from = 100;
    disk.to = 150;
    ask_get(c, "kernel", 0, 1000);
    hear_piece(c, 100, 50, false);
    hear_piece(c, 1000, 0, true);
    ask_get(c, "kernel", 0, 120); /* the data continues after the range */
    hear_piece(c, 100, 20, true);
    ask_get(c, "kernel", 0, 100); /* the data begins after it */
    hear_piece(c, 100, 0, true);
    ask_get(c, "kernel", 0, 90);
    hear_piece(c, 90, 0, true);
    hear_nothing(c);
}

static void a_name_that_is_not_listed_is_refused(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    static const char *const names[] = {"kerne", "kernels", "vmlinux", "", "../kernel"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        ask_get(c, names[n], 0, 1);
        run(0);
        hear_refusal(c, A, "invalid_request");
    }
    assert_int_equal(disk.reads, 0);
}

static void a_second_get_is_refused_while_the_first_is_answered(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.later = true;
    ask_get(c, "kernel", 0, 5);
    ask_get(c, "kernel", 5, 5);
    run(0);
    hear_refusal(c, A, "invalid_request");
    disk.later = false;
    hear_piece(c, 0, 5, true);
    hear_nothing(c);
}

static void a_buffer_that_holds_no_piece_is_refused(void **state)
{
    (void)state;
    built(A);
    struct mvm_client *c = join_with(2 * (MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX), 0);
    ask_get(c, "kernel", 0, 5);
    run(0);
    hear_refusal(c, A, "rejected");
}

static void a_small_buffer_takes_smaller_pieces(void **state)
{
    (void)state;
    built(A);
    struct mvm_client *c =
        join_with(2 * (MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX) + 8, 0);
    ask_get(c, "kernel", 0, 6);
    hear_piece(c, 0, 4, false);
    hear_piece(c, 4, 2, true);
}

static void a_file_that_cannot_be_read_ends_its_get(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.error = MVM_PORT_FAILED;
    ask_get(c, "kernel", 0, 6);
    run(0);
    hear_refusal(c, A, "internal");
    disk.error = 0;
    ask_get(c, "kernel", 0, 6);
    hear_piece(c, 0, 6, true);
}

static void a_read_that_hangs_is_abandoned_in_time(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    run(7);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(9);
    run(9 + MVM_DISK_PATIENCE_MS - 1);
    assert_int_equal(disk.abandoned, 0);
    hear_nothing(c);
    run(9 + MVM_DISK_PATIENCE_MS);
    assert_int_equal(disk.abandoned, 1);
    hear_refusal(c, A, "internal");
    disk.later = false;
    ask_get(c, "kernel", 0, 6);
    hear_piece(c, 0, 6, true);
    assert_int_equal(disk.abandoned, 1);
}

static void a_drop_ends_the_gets_of_that_build(void **state)
{
    (void)state;
    struct mvm_client *c = built(A), *other = join();
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    ask_about(other, MVM_MESSAGE_DROP, A);
    hear_refusal(c, A, "unknown_id");
    hear_nothing(other);
    disk.later = false;
    run(0);
    hear_nothing(c);
    assert_false(mvm_scheduler_reading(&scheduler));
}

static void a_drop_leaves_the_gets_of_other_builds(void **state)
{
    (void)state;
    struct mvm_client *c = built(A), *other = built(B);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    ask_about(other, MVM_MESSAGE_DROP, B);
    disk.later = false;
    hear_piece(c, 0, 6, true);
}

static void what_is_read_for_a_get_that_was_ended_is_not_the_next_ones(void **state)
{
    (void)state;
    struct mvm_client *c = built(A), *other = built(B);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    ask_about(other, MVM_MESSAGE_DROP, A);
    hear_refusal(c, A, "unknown_id");
    ask_get_of(c, B, "kernel", 10, 6);
    run(0);
    disk.later = false;
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_ARTIFACT);
    assert_true(m.bulk.offset == 10 && mvm_text_equal(m.id, B));
    assert_memory_equal(m.text.bytes, "klmnop", 6);
    assert_int_equal(disk.reads, 2);
}

static void a_get_that_ends_leaves_the_one_that_is_read_for(void **state)
{
    (void)state;
    struct mvm_client *c = built(A), *other = built(B);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    ask_get_of(other, B, "kernel", 0, 6);
    ask_about(other, MVM_MESSAGE_DROP, B);
    disk.later = false;
    hear_piece(c, 0, 6, true);
    assert_int_equal(disk.reads, 1);
}

static void a_client_that_leaves_is_read_for_no_more(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    mvm_scheduler_detach(&scheduler, c);
    disk.later = false;
    run(0);
    assert_false(mvm_scheduler_reading(&scheduler));
    struct mvm_client *next = join(); /* in the same place */
    assert_ptr_equal(next, c);
    run(0);
    hear_nothing(next);
}

static void a_client_with_a_get_is_neither_done_nor_idle(void **state)
{
    (void)state;
    struct mvm_client *c = built(A);
    disk.later = true;
    ask_get(c, "kernel", 0, 6);
    run(0);
    mvm_session_peer_ended(&c->session);
    run(10);
    assert_false(mvm_scheduler_done(&scheduler, c));
    assert_null(mvm_scheduler_idlest(&scheduler, 1));
    disk.later = false;
    hear_piece(c, 0, 6, true);
    hear_nothing(c);
    assert_true(mvm_scheduler_done(&scheduler, c));
}

static void clients_are_read_for_in_turn(void **state)
{
    (void)state;
    struct mvm_client *a = built(A), *b = join(), *c = join();
    ask_get(a, "kernel", 0, 2 * PIECE);
    ask_get(b, "kernel", 0, 2 * PIECE);
    ask_get(c, "kernel", 0, 2 * PIECE);
    disk.later = true;
    run(0);
    disk.later = false;
    mvm_scheduler_step(&scheduler, 0);
    struct mvm_client *all[] = {a, b, c};
    for (size_t n = 0; n < 3; n++) {
        hear_piece(all[n], 0, PIECE, false);
    }
    for (size_t n = 0; n < 3; n++) {
        hear_piece(all[n], PIECE, PIECE, true);
    }
    assert_int_equal(disk.reads, 6);
}

static void a_client_that_does_not_read_delays_no_other(void **state)
{
    (void)state;
    struct mvm_client *a = built(A);
    struct mvm_client *b =
        join_with(2 * (MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX) + 8, 0);
    ask_get(b, "kernel", 0, 1000);
    run(0);
    ask_get(a, "kernel", 0, 1000);
    hear_piece(a, 0, PIECE, false);
    hear_piece(a, PIECE, PIECE, false);
    hear_piece(a, 2 * PIECE, 200, true);
    assert_int_equal(disk.ends, 0); /* b is to be read for, when it has read */
    hear_piece(b, 0, 4, false);
}

static void what_is_read_for_a_client_that_is_sent_something_else_is_read_again(void **state)
{
    (void)state;
    built(A);
    struct mvm_client *c =
        join_with(2 * (MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX) + 8, 0);
    disk.later = true;
    ask_get(c, "kernel", 0, 4);
    run(0);
    for (int n = 0; n < 30; n++) {
        ask_about(c, MVM_MESSAGE_PING, "");
    }
    disk.later = false;
    run(0);
    for (int n = 0; n < 30; n++) {
        hear_kind(c, MVM_MESSAGE_PONG);
    }
    hear_piece(c, 0, 4, true);
}

/* Before the step's last call, too: the step says that there is more to do. */
static void a_build_that_waits_for_its_place_begins_when_the_reader_is_done(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    disk.later = true;
    ask_stream(c, A, 0);
    disk.later = false;
    while (disk.ends == 0) {
        assert_true(mvm_scheduler_step(&scheduler, 0));
    }
    assert_int_equal(fake.starts, 1);
}

/* ---- the source ---- */

static void hear_want(struct mvm_client *c, uint64_t bytes)
{
    struct mvm_message m = hear_kind(c, MVM_MESSAGE_WANT);
    assert_true(mvm_text_equal(m.id, A));
    assert_true(m.bulk.length == bytes);
}

static void say_source(struct mvm_client *c, const char *id, uint64_t offset, const char *data,
                       bool last)
{
    struct mvm_message m = {
        .kind = MVM_MESSAGE_SOURCE, .id = mvm_text_from(id), .text = mvm_text_from(data)};
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    say(c, &m);
    run(0);
}

static void a_source_is_wanted_as_the_executor_takes_it(void **state)
{
    (void)state;
    enum { HALF = MVM_BULK_DATA_MAX / 2, SIZE = 4 * MVM_BULK_DATA_MAX };
    struct mvm_client *c = join();
    fake.source_limit = HALF;
    ask_stream(c, A, SIZE);
    assert_true(fake.job.has_source && fake.job.source_size == SIZE);
    hear_want(c, HALF);
    fake.source_limit = 2 * HALF - 1; /* too little for a frame */
    hear_nothing(c);
    fake.source_limit = 2 * HALF;
    hear_want(c, HALF);
    fake.source_limit = SIZE - 3;
    hear_want(c, SIZE - 3 - 2 * HALF);
    fake.source_limit = SIZE; /* the rest */
    hear_want(c, 3);
    fake.source_limit = 0; /* no more is requested */
    hear_nothing(c);
}

static void a_huge_source_is_wanted_in_what_a_number_holds(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    fake.source_limit = (uint64_t)MVM_SOURCE_MAX + 5;
    ask_stream(c, A, fake.source_limit);
    hear_want(c, MVM_SOURCE_MAX);
}

static void a_build_without_a_source_wants_none(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    fake.source_limit = 1 << 20;
    ask_stream(c, A, 0);
    hear_nothing(c);
    say_source(c, A, 0, "abc", true);
    assert_int_equal(fake.source_len, 0);
}

static void a_source_goes_to_the_executor_if_it_is_the_running_builds(void **state)
{
    (void)state;
    struct mvm_client *c = join(), *other = join();
    fake.source_limit = 6;
    ask_stream(c, A, 6);
    hear_want(c, 6);
    say_source(c, B, 0, "no", false);
    say_source(other, A, 0, "no", false);
    assert_int_equal(fake.source_len, 0);
    say_source(c, A, 0, "abc", false);
    assert_true(fake.source_len == 3 && fake.source_offset == 0 && !fake.source_last);
    say_source(c, A, 3, "def", true);
    assert_true(fake.source_len == 6 && fake.source_offset == 3 && fake.source_last);
    assert_memory_equal(fake.source, "abcdef", 6);
    end_stream(c);
    say_source(c, A, 6, "ghi", true);
    assert_int_equal(fake.source_len, 6);
    hear_nothing(c);
}

static void a_client_that_joins_before_the_source_is_asked_for_all_of_it(void **state)
{
    (void)state;
    struct mvm_client *c = join(), *other = join();
    fake.source_limit = 6;
    ask_stream(c, A, 6);
    hear_want(c, 6);
    ask_about(other, MVM_MESSAGE_JOIN, A);
    hear_kind(other, MVM_MESSAGE_LOG);
    hear_want(other, 6);
    assert_int_equal(fake.cancels, 0);
    ask_about(other, MVM_MESSAGE_JOIN, A); /* the same client: it knows what it has sent */
    hear_kind(other, MVM_MESSAGE_LOG);
    hear_nothing(other);
}

static void a_client_that_joins_amid_the_source_ends_the_build(void **state)
{
    (void)state;
    struct mvm_client *c = join(), *other = join();
    fake.source_limit = 6;
    ask_stream(c, A, 6);
    say_source(c, A, 0, "abc", false);
    ask_about(other, MVM_MESSAGE_JOIN, A);
    assert_int_equal(fake.cancels, 1);
    hear_kind(other, MVM_MESSAGE_LOG);
    struct mvm_message m = hear_kind(other, MVM_MESSAGE_ERR);
    assert_true(mvm_text_equal(m.refusal.category, "cancelled"));
}

static void a_client_that_joins_after_the_source_gets_the_rest(void **state)
{
    (void)state;
    struct mvm_client *c = join(), *other = join();
    fake.source_limit = 6;
    ask_stream(c, A, 6);
    say_source(c, A, 0, "abcdef", true);
    ask_about(other, MVM_MESSAGE_JOIN, A);
    assert_int_equal(fake.cancels, 0);
    hear_kind(other, MVM_MESSAGE_LOG);
    hear_nothing(other);
    end_stream(other);
}

static void a_connection_lost_amid_the_source_ends_the_build_in_spite_of_keep(void **state)
{
    (void)state;
    struct mvm_client *c = join();
    fake.source_limit = 6;
    ask_stream(c, A, 6);
    say_source(c, A, 0, "abc", false);
    mvm_scheduler_detach(&scheduler, c);
    assert_int_equal(fake.cancels, 1);
}

static void a_connection_lost_before_or_after_the_source_ends_nothing(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        begin_streams(NULL);
        struct mvm_client *c = join();
        fake.source_limit = 6;
        ask_stream(c, A, 6);
        if (after == 1) {
            say_source(c, A, 0, "abcdef", true);
        }
        mvm_scheduler_detach(&scheduler, c);
        run(0);
        assert_int_equal(fake.cancels, 0);
        assert_true(mvm_scheduler_building(&scheduler));
    }
}

static void a_want_waits_until_what_is_owed_has_gone_out(void **state)
{
    (void)state;
    struct mvm_client *c = join_with(24, 0);
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD, .id = mvm_text_from(A)};
    m.build.flake_ref = m.build.attr = mvm_text_from("x");
    m.build.has_source = true;
    m.build.source_size = fake.source_limit = 6;
    say(c, &m);
    run(0);
    assert_false(mvm_session_can_send(&c->session)); /* the heartbeat that accepts it */
    assert_int_equal(c->owed_len, 0);
    assert_int_equal(scheduler.streams.credit, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, begin_streams)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ok_lists_the_artifacts_and_they_are_held),
        TEST(a_client_that_joins_an_ended_build_gets_the_list_again),
        TEST(an_id_that_is_held_is_known),
        TEST(what_is_held_can_be_joined_however_many_builds_have_ended_since),
        TEST(a_build_with_disks_has_no_list_and_holds_nothing),
        TEST(a_build_that_fails_leaves_an_empty_place),
        TEST(the_features_name_it_on_the_protobuf_wire_alone),
        TEST(without_a_reader_there_are_no_builds_without_disks),
        TEST(drop_empties_the_place_and_ends_the_answer),
        TEST(with_every_place_held_the_oldest_is_dropped),
        TEST(a_place_that_is_being_emptied_is_not_built_in),
        cmocka_unit_test_setup(what_an_earlier_agent_left_is_removed_before_a_build_begins,
                               begin_after_another),
        cmocka_unit_test_setup(a_build_that_waits_for_its_place_begins_when_the_reader_is_done,
                               begin_after_another),
        TEST(a_stop_drops_what_is_held),
        TEST(an_artifact_comes_in_pieces_and_the_last_one_says_so),
        TEST(an_output_that_is_one_file_is_read_as_such),
        TEST(a_range_is_answered_as_far_as_there_are_bytes),
        TEST(holes_are_left_out),
        TEST(a_name_that_is_not_listed_is_refused),
        TEST(a_second_get_is_refused_while_the_first_is_answered),
        TEST(a_buffer_that_holds_no_piece_is_refused),
        TEST(a_small_buffer_takes_smaller_pieces),
        TEST(a_file_that_cannot_be_read_ends_its_get),
        TEST(a_read_that_hangs_is_abandoned_in_time),
        TEST(a_drop_ends_the_gets_of_that_build),
        TEST(a_drop_leaves_the_gets_of_other_builds),
        TEST(what_is_read_for_a_get_that_was_ended_is_not_the_next_ones),
        TEST(a_get_that_ends_leaves_the_one_that_is_read_for),
        TEST(a_client_that_leaves_is_read_for_no_more),
        TEST(a_client_with_a_get_is_neither_done_nor_idle),
        TEST(clients_are_read_for_in_turn),
        TEST(a_client_that_does_not_read_delays_no_other),
        TEST(what_is_read_for_a_client_that_is_sent_something_else_is_read_again),
        TEST(a_source_is_wanted_as_the_executor_takes_it),
        TEST(a_huge_source_is_wanted_in_what_a_number_holds),
        TEST(a_build_without_a_source_wants_none),
        TEST(a_source_goes_to_the_executor_if_it_is_the_running_builds),
        TEST(a_client_that_joins_before_the_source_is_asked_for_all_of_it),
        TEST(a_client_that_joins_amid_the_source_ends_the_build),
        TEST(a_client_that_joins_after_the_source_gets_the_rest),
        TEST(a_connection_lost_amid_the_source_ends_the_build_in_spite_of_keep),
        TEST(a_connection_lost_before_or_after_the_source_ends_nothing),
        TEST(a_want_waits_until_what_is_owed_has_gone_out),
    };
    return mvm_proto_present ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
