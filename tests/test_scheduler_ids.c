/* Builds with ids: which client gets their lines, cancel and join, and what survives a lost
 * connection. */
#include "test_scheduler_fixture.h"

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"
#define C "cccccccccccccccc"

#define BUILD(id, more)                                                                            \
    "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"" id "\",\"id\":\"" id "\"" more "}}\n"
#define KEEP         ",\"keep\":true"
#define JOIN(id)     "{\"Join\":{\"id\":\"" id "\"}}\n"
#define CANCEL(id)   "{\"Cancel\":{\"id\":\"" id "\"}}\n"
#define HELLO(nonce) "{\"Hello\":{\"nonce\":\"" nonce "\"}}\n"

#define WELCOME(nonce)                                                                             \
    "{\"Hello\":{\"nonce\":\"" nonce "\",\"agent\":\"agent 1\",\"boot\":\"b0\",\"features\":"      \
    "\"ids cancel join keep\"}}\n"
#define BEAT(id)           "{\"Log\":{\"line\":\"\",\"id\":\"" id "\",\"beat\":true}}\n"
#define LOG_OF(id, line)   "{\"Log\":{\"line\":\"" line "\",\"id\":\"" id "\"}}\n"
#define OK_OF(id, path)    "{\"Ok\":{\"out_path\":\"" path "\",\"id\":\"" id "\"}}\n"
#define CANCELLED(id, was) "{\"Cancelled\":{\"id\":\"" id "\",\"was\":\"" was "\"}}\n"
#define ERR_OF(id, m, word)                                                                        \
    "{\"Err\":{\"message\":\"" m "\",\"id\":\"" id "\",\"category\":\"" word "\"}}\n"
#define REFUSED(id, m, word)                                                                       \
    "{\"Err\":{\"message\":\"" m "\",\"refused\":\"" id "\",\"category\":\"" word "\"}}\n"

#define CONFLICT(id) REFUSED(id, "build rejected: another build has this id", "id_conflict")
#define UNKNOWN(id)  REFUSED(id, "no build with this id is known", "unknown_id")
#define INVALID(id)  REFUSED(id, "invalid id: not 16 to 64 of A-Z a-z 0-9 . _ -", "invalid_request")
#define MOVED(id)    ERR_OF(id, "build moved: another connection joined it", "moved")
#define ENDED(id)    ERR_OF(id, "build cancelled", "cancelled")
#define SUPERSEDED(id)                                                                             \
    ERR_OF(id, "artifacts superseded: a later build has the output disk", "superseded")
#define WAITING(n) "mvm: waiting for another build, " #n " ahead"

static const struct act endless[] = {{.event = MVM_EXECUTOR_LOG, .text = "endless"}};

static struct mvm_client *asks(const char *bytes)
{
    struct mvm_client *c = join();
    ask(c, bytes);
    run(0);
    return c;
}

/* The running build succeeds. */
static void end_well(void)
{
    fake.at = succeeds;
    run(0);
}

/* Reads everything a client is sent through a buffer that is too small for a frame. */
static const char *hear_all(struct mvm_client *c)
{
    static char all[OUT_CAP];
    size_t len = 0, n;
    const uint8_t *bytes;
    for (;;) {
        run(scheduler.now_ms);
        bytes = mvm_session_bytes(&c->session, &n);
        if (bytes == NULL) {
            break;
        }
        memcpy(all + len, bytes, n);
        len += n;
        mvm_session_sent(&c->session, n);
    }
    all[len] = '\0';
    return all;
}

/* ---- Hello ---- */

static void hello_is_answered_with_agent_boot_features_and_its_nonce(void **state)
{
    (void)state;
    assert_string_equal(hear(asks(HELLO("n1"))), WELCOME("n1"));
    assert_string_equal(hear(asks("{\"Hello\":{}}\n")),
                        "{\"Hello\":{\"agent\":\"agent 1\",\"boot\":\"b0\",\"features\":"
                        "\"ids cancel join keep\"}}\n");
}

static void without_names_of_its_own_the_agent_is_the_library(void **state)
{
    (void)state;
    scheduler.config.agent = scheduler.config.boot = NULL;
    assert_non_null(strstr(hear(asks(HELLO("n1"))), "\"agent\":\"mvm-guest "));
}

static void hello_on_a_connection_ends_nothing(void **state)
{
    (void)state;
    struct mvm_client *c = asks(BUILD(A, "") HELLO("n1"));
    assert_string_equal(hear(c), BEAT(A) WELCOME("n1"));
    end_well();
    assert_string_equal(hear(c), OK_OF(A, "/nix/store/a"));
}

/* ---- frames of a build ---- */

static void a_build_with_an_id_is_accepted_immediately_and_each_frame_has_the_id(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_LOG, .text = "one"},
        {.event = MVM_EXECUTOR_LOG, .text = ""},
        {.event = MVM_EXECUTOR_LOG, .text = "", .beat = true},
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    struct mvm_client *a = asks(BUILD(A, ""));
    assert_string_equal(hear(a), BEAT(A));
    struct mvm_client *b = asks(BUILD(B, ""));
    assert_string_equal(hear(b), BEAT(B) LOG_OF(B, WAITING(1)));
    fake.scripts[1] = script;
    end_well();
    assert_string_equal(hear(a), OK_OF(A, "/nix/store/a"));
    assert_string_equal(hear(b),
                        LOG_OF(B, "one") LOG_OF(B, "") BEAT(B) ERR_OF(B, "no", "build_failed"));
}

static void the_id_goes_to_no_job(void **state)
{
    (void)state;
    asks("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"x\",\"id\":\"" A "\"}}\n");
    assert_string_equal(fake.flakes[0], "f#x");
}

static void a_build_without_an_id_gets_no_new_field(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_LOG, .text = "", .beat = true},
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    asks(BUILD(A, ""));
    struct mvm_client *c = join();
    ask_build(c, "x");
    run(0);
    fake.scripts[1] = script;
    end_well();
    assert_string_equal(hear(c), LOG(WAITING(1)) LOG("") ERR("no"));
}

static void an_err_that_has_no_category_is_internal(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_ERR, .text = "no"}};
    fake.scripts[0] = script;
    assert_string_equal(hear(asks(BUILD(A, ""))), BEAT(A) ERR_OF(A, "no", "internal"));
}

static void a_waiting_build_gets_heartbeats_well_within_its_own_time_out(void **state)
{
    (void)state;
    begin_with(false, 10000);
    asks(BUILD(A, ""));
    struct mvm_client *b = asks(BUILD(B, ",\"timeout_secs\":8")), *c = asks(BUILD(C, ""));
    struct mvm_client *endless_one = asks(BUILD("dddddddddddddddd", ",\"timeout_secs\":0"));
    struct mvm_client *long_one = asks(BUILD("eeeeeeeeeeeeeeee", ",\"timeout_secs\":20"));
    struct mvm_client *old =
        asks("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"x\",\"timeout_secs\":6}}\n");
    hear(b), hear(c), hear(old), hear(endless_one), hear(long_one);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 3000);
    run(3000);
    assert_string_equal(hear(old), LOG(""));
    run(3999);
    assert_string_equal(hear(b), "");
    run(4000);
    assert_string_equal(hear(b), BEAT(B));
    run(9999);
    assert_string_equal(hear(c), "");
    assert_string_equal(hear(endless_one), "");
    assert_string_equal(hear(long_one), "");
    run(10000);
    assert_string_equal(hear(c), BEAT(C));
    assert_string_equal(hear(endless_one), BEAT("dddddddddddddddd"));
    assert_string_equal(hear(long_one), BEAT("eeeeeeeeeeeeeeee"));
}

static void half_of_a_time_out_may_be_little_less_than_the_interval(void **state)
{
    (void)state;
    begin_with(false, 1100);
    asks(BUILD(A, ""));
    struct mvm_client *b = asks(BUILD(B, ",\"timeout_secs\":2"));
    hear(b);
    run(999);
    assert_string_equal(hear(b), "");
    run(1000);
    assert_string_equal(hear(b), BEAT(B));
}

static void the_agents_own_time_out_counts_where_the_build_has_none(void **state)
{
    (void)state;
    begin_with(false, 10000);
    fake.default_secs = 8;
    asks(BUILD(A, ""));
    asks(BUILD(B, ""));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 4000);
}

/* The builds after one that ends move up, whatever is being sent about them. */
static void a_heartbeat_that_is_being_sent_keeps_its_id(void **state)
{
    (void)state;
    begin_with(false, 100);
    asks(BUILD(A, ""));
    asks(BUILD(B, ""));
    struct mvm_client *c = join_with(4, 0);
    ask(c, BUILD(C, ""));
    run(0);
    hear_all(c);
    run(100);
    ask(clients, CANCEL(B) BUILD("dddddddddddddddd", ""));
    run(100);
    assert_string_equal(hear_all(c), BEAT(C));
}

/* ---- ids ---- */

static void ids_are_16_to_64_of_certain_characters(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0123456789abcdef", "AZaz09._-AZaz09._-",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const bad[] = {"",
                                      "0123456789abcde",
                                      "0123456789abcde ",
                                      "0123456789abcde/",
                                      "0123456789abcde\xc3\xa9",
                                      "0123456789abcde@",
                                      "0123456789abcde[",
                                      "0123456789abcde`",
                                      "0123456789abcde{"};
    char frame[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(frame, sizeof frame, BUILD("%s", ""), good[i], good[i]);
        assert_memory_equal(hear(asks(frame)), "{\"Log\"", 6);
    }
    struct mvm_client *longer = asks(BUILD("01234567890123456789012345678901234567890123456789"
                                           "012345678901234",
                                           ""));
    assert_memory_equal(hear(longer), "{\"Err\":{\"message\":\"parse error: id too long", 43);
    mvm_scheduler_detach(&scheduler, longer);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[256];
        snprintf(frame, sizeof frame, BUILD("%s", ""), bad[i], bad[i]);
        snprintf(expected, sizeof expected, INVALID("%s"), bad[i]);
        struct mvm_client *c = asks(frame);
        assert_string_equal(hear(c), expected);
        mvm_scheduler_detach(&scheduler, c);
    }
    assert_int_equal(scheduler.queued, 3);
}

static void an_id_that_is_known_is_refused_and_nothing_ends(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(BUILD(B, ""));
    hear(a), hear(b);
    assert_string_equal(hear(asks(BUILD(A, ""))), CONFLICT(A)); /* runs */
    assert_string_equal(hear(asks(BUILD(B, ""))), CONFLICT(B)); /* waits */
    assert_string_equal(hear(a), "");
    end_well();
    assert_string_equal(hear(asks(BUILD(A, ""))), CONFLICT(A)); /* has ended */
    assert_int_equal(fake.starts, 2);
}

static void a_full_queue_names_the_build_that_it_refuses(void **state)
{
    (void)state;
    for (int i = 0; i < MVM_QUEUE_MAX; i++) {
        ask_build(join(), "x");
        run(0);
    }
    char expected[256];
    snprintf(expected, sizeof expected,
             ERR_OF(A, "build rejected: queue full (1 running, %d waiting)", "queue_full"),
             MVM_QUEUE_MAX - 1);
    assert_string_equal(hear(asks(BUILD(A, ""))), expected);
    assert_string_equal(hear(asks(JOIN(A))), UNKNOWN(A));
}

/* ---- Cancel ---- */

static void cancel_ends_a_build_that_waits(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(BUILD(B, ""));
    hear(a), hear(b);
    assert_string_equal(hear(asks(CANCEL(B))), CANCELLED(B, "waiting"));
    assert_string_equal(hear(b), ENDED(B));
    assert_string_equal(hear(asks(CANCEL(B))), CANCELLED(B, "ended"));
    assert_string_equal(hear(asks(JOIN(B))), ENDED(B));
    end_well();
    assert_int_equal(fake.starts, 1);
    assert_true(mvm_scheduler_idle(&scheduler));
}

static void cancel_right_behind_its_build_ends_it_before_it_begins(void **state)
{
    (void)state;
    assert_string_equal(hear(asks(BUILD(A, "") CANCEL(A))),
                        BEAT(A) CANCELLED(A, "waiting") ENDED(A));
    assert_int_equal(fake.starts, 0);
}

static void cancel_ends_a_build_that_waits_for_no_client(void **state)
{
    (void)state;
    asks(BUILD(A, ""));
    mvm_scheduler_detach(&scheduler, asks(BUILD(B, KEEP)));
    assert_string_equal(hear(asks(CANCEL(B) JOIN(B))), CANCELLED(B, "waiting") ENDED(B));
}

static void cancel_ends_a_build_that_runs(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, ""));
    hear(a);
    ask(a, CANCEL(A));
    run(0);
    assert_string_equal(hear(a), CANCELLED(A, "running") ENDED(A));
    assert_int_equal(fake.cancels, 1);
}

static void cancel_tells_that_it_may_be_too_late(void **state)
{
    (void)state;
    for (int placing = 0; placing < 2; placing++) {
        begin_with(false, 0);
        struct mvm_client *a = asks(BUILD(A, ""));
        fake.progress = placing ? MVM_EXECUTOR_PLACING : MVM_EXECUTOR_STAGING;
        hear(a);
        assert_string_equal(hear(asks(CANCEL(A))), CANCELLED(A, "staging"));
    }
}

static void cancel_of_what_has_ended_or_never_was_does_nothing(void **state)
{
    (void)state;
    asks(BUILD(A, ""));
    end_well();
    struct mvm_client *slow = join_with(4, 0);
    ask(slow, BUILD(B, ""));
    fake.scripts[1] = succeeds;
    run(0);
    ask(slow, CANCEL(B)); /* its answer waits for room */
    run(0);
    assert_string_equal(hear(asks(CANCEL(A))), CANCELLED(A, "ended"));
    assert_string_equal(hear(asks(CANCEL(C))), CANCELLED(C, "unknown"));
    assert_string_equal(hear(asks(CANCEL("no id"))), CANCELLED("no id", "unknown"));
    assert_int_equal(fake.cancels, 0);
}

static void cancel_is_read_though_nothing_can_be_sent(void **state)
{
    (void)state;
    fake.scripts[0] = endless;
    struct mvm_client *c = join_with(4, 0);
    ask(c, BUILD(A, ""));
    run(0);
    for (int i = 0; i < 100; i++) {
        ask(c, PING);
        run(0);
    }
    ask(c, "nonsense\n" HELLO("n1") BUILD(B, "") JOIN(B) CANCEL(B) CANCEL(A));
    run(0);
    assert_int_equal(fake.cancels, 1);
    const char *heard = hear_all(c);
    assert_memory_equal(heard, BEAT(A), strlen(BEAT(A)));
    heard = strstr(heard, "{\"Err\"");
    assert_non_null(heard);
    assert_string_equal(strchr(heard, '\n') + 1,
                        WELCOME("n1") BEAT(B) LOG_OF(B, WAITING(1)) BEAT(B) CANCELLED(B, "waiting")
                            ENDED(B) CANCELLED(A, "running") LOG_OF(A, "endless")
                                ENDED(A)); /* it was printed before */
}

static void each_of_many_pings_gets_its_pong(void **state)
{
    (void)state;
    enum { MANY = UINT16_MAX + 10 };
    struct mvm_client *c = join_with(1, 0);
    for (int i = 0; i < MANY; i++) {
        ask(c, PING);
        run(0);
    }
    const char *heard = hear_all(c);
    assert_int_equal(strlen(heard), MANY * strlen(PONG));
}

static void a_client_that_never_reads_is_in_the_end_not_read_from(void **state)
{
    (void)state;
    struct mvm_client *c = join_with(1, 0);
    size_t cap = 1;
    for (int i = 0; i < 10 * MVM_OWED_MAX && cap > 0; i++) {
        (void)mvm_session_room(&c->session, &cap);
        if (cap >= strlen(CANCEL(A))) {
            ask(c, CANCEL(A));
            run(0);
        } else {
            cap = 0;
        }
    }
    assert_int_equal(cap, 0);
    const char *heard = hear_all(c);
    assert_memory_equal(heard, CANCELLED(A, "unknown"), strlen(CANCELLED(A, "unknown")));
}

/* ---- keep ---- */

static void a_kept_build_outlives_its_connection(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "one"},
                                        {.event = MVM_EXECUTOR_LOG, .text = "two"},
                                        {.event = MVM_EXECUTOR_WAIT, .text = ""}};
    struct mvm_client *a = asks(BUILD(A, KEEP)), *b = asks(BUILD(B, KEEP));
    mvm_scheduler_detach(&scheduler, a);
    mvm_scheduler_detach(&scheduler, b);
    fake.at = script;
    run(0);
    assert_int_equal(fake.logged, 2);
    assert_int_equal(fake.cancels, 0);
    end_well();
    assert_int_equal(fake.starts, 2);
    struct mvm_client *c = asks(JOIN(A) JOIN(B));
    assert_string_equal(hear(c), OK_OF(A, "/nix/store/a") BEAT(B));
    end_well();
    assert_string_equal(hear(c), OK_OF(B, "/nix/store/a"));
}

static void without_keep_it_is_cancelled_and_its_end_is_known(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(BUILD(B, ",\"keep\":false"));
    mvm_scheduler_detach(&scheduler, b);
    mvm_scheduler_detach(&scheduler, a);
    run(0);
    assert_int_equal(fake.cancels, 1);
    assert_int_equal(fake.starts, 1);
    assert_string_equal(hear(asks(JOIN(A) JOIN(B))), ENDED(A) ENDED(B));
}

static void keep_without_an_id_has_no_effect(void **state)
{
    (void)state;
    struct mvm_client *a =
        asks("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"" KEEP ",\"timeout_secs\":0}}\n");
    assert_int_equal(fake.starts, 1); /* an Err would be taken for another build's end */
    mvm_scheduler_detach(&scheduler, a);
    run(0);
    assert_int_equal(fake.cancels, 1);
}

static void keep_needs_a_time_out(void **state)
{
    (void)state;
    static const char message[] =
        ERR_OF(A, "invalid keep: a build without a time-out could run for ever", "invalid_request");
    fake.default_secs = 0;
    assert_string_equal(hear(asks(BUILD(A, KEEP))), message);
    assert_string_equal(hear(asks(BUILD(A, KEEP ",\"timeout_secs\":0"))), message);
    assert_string_equal(hear(asks(BUILD(A, ",\"keep\":false,\"timeout_secs\":0"))), BEAT(A));
    assert_string_equal(hear(asks(BUILD(B, KEEP ",\"timeout_secs\":1"))),
                        BEAT(B) LOG_OF(B, WAITING(1)));
}

/* ---- Join ---- */

static void a_client_that_joins_gets_the_rest_and_the_earlier_one_that_it_moved(void **state)
{
    (void)state;
    static const struct act one[] = {{.event = MVM_EXECUTOR_LOG, .text = "one"},
                                     {.event = MVM_EXECUTOR_WAIT, .text = ""}};
    static const struct act two[] = {{.event = MVM_EXECUTOR_LOG, .text = "two"},
                                     {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    fake.scripts[0] = one;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(JOIN(A));
    assert_string_equal(hear(a), BEAT(A) LOG_OF(A, "one") MOVED(A));
    assert_string_equal(hear(b), BEAT(A));
    mvm_scheduler_detach(&scheduler, a); /* is no longer its client */
    assert_int_equal(fake.cancels, 0);
    fake.at = two;
    run(0);
    assert_string_equal(hear(b), LOG_OF(A, "two") OK_OF(A, "/nix/store/a"));
}

static void a_build_that_waits_is_joined(void **state)
{
    (void)state;
    asks(BUILD(A, ""));
    struct mvm_client *b = asks(BUILD(B, ""));
    hear(b);
    struct mvm_client *c = asks(JOIN(B) JOIN(B));
    assert_string_equal(hear(c), BEAT(B) BEAT(B));
    assert_string_equal(hear(b), MOVED(B));
    mvm_scheduler_detach(&scheduler, b);
    end_well();
    end_well();
    assert_string_equal(hear(c), OK_OF(B, "/nix/store/a"));
}

static void an_ended_builds_answer_is_given_again_and_again(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_TIMEOUT}};
    asks(BUILD(A, ""));
    fake.scripts[1] = script;
    end_well();
    asks(BUILD(B, ""));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(hear(asks(JOIN(A) JOIN(B))),
                            OK_OF(A, "/nix/store/a") ERR_OF(B, "no", "timeout"));
    }
    assert_string_equal(hear(asks(JOIN(C))), UNKNOWN(C));
    assert_string_equal(hear(asks(JOIN("no id"))), UNKNOWN("no id"));
    assert_string_equal(hear(asks(JOIN(""))), UNKNOWN(""));
}

static void an_ok_is_superseded_when_a_later_build_begins_to_stage(void **state)
{
    (void)state;
    asks(BUILD(C, ""));
    ask(clients, CANCEL(C));
    run(0);
    asks(BUILD(A, ""));
    end_well();
    struct mvm_client *b = asks(BUILD(B, ""));
    assert_string_equal(hear(asks(JOIN(A))), OK_OF(A, "/nix/store/a"));
    fake.progress = MVM_EXECUTOR_STAGING;
    run(0);
    assert_string_equal(hear(asks(JOIN(A))), SUPERSEDED(A));
    assert_string_equal(hear(asks(JOIN(C))), ENDED(C)); /* which stays true */
    mvm_scheduler_detach(&scheduler, b); /* and remains so, however that build ends */
    run(0);
    assert_string_equal(hear(asks(JOIN(A))), SUPERSEDED(A));
    assert_string_equal(hear(asks(CANCEL(A))), CANCELLED(A, "ended"));
}

static void an_ok_is_superseded_while_a_later_build_has_the_disk(void **state)
{
    (void)state;
    asks(BUILD(A, ""));
    end_well();
    struct mvm_client *b = asks(BUILD(B, ""));
    fake.unreleased = true;
    run(0);
    assert_string_equal(hear(asks(JOIN(A))), SUPERSEDED(A));
    hear(b);
}

static void an_ok_is_superseded_when_a_later_build_leaves_the_disk_mounted(void **state)
{
    (void)state;
    static const struct act script[] = {
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    fake.scripts[0] = succeeds;
    fake.scripts[1] = fake.scripts[2] = script;
    asks(BUILD(A, "") BUILD(B, ""));
    assert_string_equal(hear(asks(JOIN(A))), OK_OF(A, "/nix/store/a"));
    fake.unreleased = true; /* though that is not why the build failed */
    asks(BUILD(C, ""));
    assert_string_equal(hear(asks(JOIN(A))), SUPERSEDED(A));
}

static void the_last_few_answers_are_kept(void **state)
{
    (void)state;
    char frame[256], expected[256];
    for (int i = 0; i <= MVM_KEPT_ANSWERS; i++) {
        fake.scripts[i] = succeeds;
        snprintf(frame, sizeof frame, BUILD("id-of-a-build-%02d", ""), i, i);
        mvm_scheduler_detach(&scheduler, asks(frame));
    }
    snprintf(expected, sizeof expected, UNKNOWN("id-of-a-build-%02d"), 0);
    assert_string_equal(hear(asks(JOIN("id-of-a-build-00"))), expected);
    assert_string_equal(hear(asks(JOIN("id-of-a-build-01"))),
                        OK_OF("id-of-a-build-01", "/nix/store/a"));
}

static void an_answer_that_is_forgotten_while_it_waits_for_room_is_unknown(void **state)
{
    (void)state;
    char frame[256];
    fake.scripts[0] = succeeds;
    asks(BUILD(A, ""));
    struct mvm_client *slow = join_with(4, 0);
    ask(slow, PING JOIN(A));
    run(0);
    for (int i = 0; i < MVM_KEPT_ANSWERS; i++) {
        fake.scripts[i + 1] = succeeds;
        snprintf(frame, sizeof frame, BUILD("id-of-a-build-%02d", ""), i, i);
        mvm_scheduler_detach(&scheduler, asks(frame));
    }
    assert_string_equal(hear_all(slow), PONG UNKNOWN(A));
}

static void a_kept_message_is_cut_with_a_mark(void **state)
{
    (void)state;
    static char longest[MVM_KEPT_TEXT_MAX + 1], longer[MVM_KEPT_TEXT_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    memset(longer, 'y', sizeof longer - 1);
    struct act scripts[] = {
        {.event = MVM_EXECUTOR_ERR, .text = longest, .category = MVM_CATEGORY_STAGING},
        {.event = MVM_EXECUTOR_ERR, .text = longer, .category = MVM_CATEGORY_STAGING}};
    fake.scripts[0] = &scripts[0];
    fake.scripts[1] = &scripts[1];
    asks(BUILD(A, "") BUILD(B, ""));
    assert_non_null(strstr(hear(asks(JOIN(A))), longest));
    assert_non_null(strstr(hear(asks(JOIN(B))), "yyyy [cut]\""));
}

/* A connection whose end is not noticed: its machine was paused, and its client has reconnected. */
static void a_line_that_the_former_client_does_not_take_holds_up_the_new_one_shortly(void **state)
{
    (void)state;
    static const struct act script[] = {{.event = MVM_EXECUTOR_LOG, .text = "a line of many bytes"},
                                        {.event = MVM_EXECUTOR_LOG, .text = "two"},
                                        {.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
    fake.scripts[0] = script;
    struct mvm_client *a = join_with(80, 0);
    ask(a, BUILD(A, ""));
    run(0);
    mvm_session_sent(&a->session, strlen(BEAT(A)) / 2);
    run(0);
    struct mvm_client *b = asks(JOIN(A));
    assert_string_equal(hear(b), BEAT(A));
    assert_int_equal(mvm_scheduler_deadline(&scheduler), MVM_TERM_GRACE_MS);
    run(MVM_TERM_GRACE_MS - 1);
    assert_false(a->stalled);
    run(MVM_TERM_GRACE_MS);
    assert_true(a->stalled);
    mvm_scheduler_detach(&scheduler, a);
    run(MVM_TERM_GRACE_MS);
    assert_string_equal(hear(b), LOG_OF(A, "two") OK_OF(A, "/nix/store/a"));
}

static void an_answer_that_is_being_sent_stays_where_it_goes(void **state)
{
    (void)state;
    fake.scripts[0] = succeeds;
    struct mvm_client *a = join_with(4, 0);
    ask(a, BUILD(A, ""));
    run(0);
    while (scheduler.state != MVM_SCHEDULER_ANSWER_LENT) {
        mvm_session_sent(&a->session, 4);
        run(0);
    }
    assert_string_equal(hear(asks(JOIN(A))), OK_OF(A, "/nix/store/a"));
    const char *heard = hear_all(a);
    assert_memory_equal(heard + strlen(heard) - 4, "\"}}\n", 4);
    assert_null(strstr(heard, "moved"));
    assert_true(mvm_scheduler_idle(&scheduler));
}

static void an_answer_that_is_not_yet_sent_goes_to_who_joins(void **state)
{
    (void)state;
    struct mvm_client *a = join_with(4, 0);
    fake.scripts[0] = succeeds;
    ask(a, BUILD(A, ""));
    run(0);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_ANSWERING);
    assert_string_equal(hear(asks(JOIN(A))), BEAT(A) OK_OF(A, "/nix/store/a"));
    assert_string_equal(hear_all(a), BEAT(A) MOVED(A));
}

/* ---- lines without connections ---- */

static struct mvm_client *line_with(size_t send_cap)
{
    struct mvm_client *c = join_with(send_cap, 0);
    c->permanent = true;
    return c;
}

static void on_a_line_hello_ends_what_the_earlier_client_did_not_keep(void **state)
{
    (void)state;
    struct mvm_client *line = line_with(SEND_CAP);
    ask(line, HELLO("n1") BUILD(A, "") "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"x\"}}\n");
    run(0);
    ask(line, BUILD(B, KEEP));
    run(0);
    hear(line);
    ask(line, HELLO("n2"));
    run(0);
    assert_string_equal(hear(line), WELCOME("n2"));
    assert_int_equal(fake.cancels, 1);
    assert_int_equal(fake.starts, 2);
    assert_string_equal(fake.flakes[1], "f#" B);
    ask(line, JOIN(A) JOIN(B));
    run(0);
    assert_string_equal(hear(line), ENDED(A) BEAT(B));
    end_well();
    assert_string_equal(hear(line), OK_OF(B, "/nix/store/a"));
}

static void nothing_of_an_earlier_client_comes_after_the_welcome(void **state)
{
    (void)state;
    static const char *const requests[] = {PING PING, "nonsense\n", BUILD(A, ""),
                                           "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"x\"}}\n",
                                           BUILD(A, "") BUILD(B, KEEP) CANCEL(B) JOIN(A)};
    for (size_t cap = 1; cap < 200; cap++) {
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
            begin_with(false, 0);
            fake.scripts[0] = cap % 2 ? succeeds : endless;
            struct mvm_client *line = line_with(cap);
            ask(line, requests[i]);
            run(0);
            ask(line, HELLO("n2"));
            run(0);
            const char *heard = strstr(hear_all(line), "{\"Hello\"");
            assert_non_null(heard);
            assert_string_equal(heard, WELCOME("n2"));
        }
    }
}

static void three_clients_in_a_row_on_one_line_each_get_their_own(void **state)
{
    (void)state;
    struct mvm_client *line = line_with(SEND_CAP);
    static const struct act fails[] = {
        {.event = MVM_EXECUTOR_ERR, .text = "no", .category = MVM_CATEGORY_BUILD_FAILED}};
    fake.scripts[2] = fails;
    ask(line, HELLO("n1") BUILD(A, ""));
    run(0);
    ask(line, "\n" HELLO("n2") BUILD(B, ""));
    run(0);
    ask(line, "\n" HELLO("n3") BUILD(C, ""));
    run(0);
    const char *heard = strstr(hear(line), "\"n3\"");
    assert_non_null(heard);
    assert_string_equal(strchr(heard, '\n') + 1,
                        BEAT(C) LOG_OF(C, WAITING(1)) ERR_OF(C, "no", "build_failed"));
}

static void a_line_that_hangs_up_takes_nothing_with_it_to_the_next_client(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 100; cap++) {
        begin_with(false, 0);
        fake.scripts[0] = endless;
        struct mvm_client *line = line_with(cap);
        ask(line, BUILD(A, "") BUILD(B, KEEP) PING "{\"Bui");
        run(0);
        mvm_scheduler_hung_up(&scheduler, line);
        assert_true(mvm_scheduler_deadline(&scheduler) <= scheduler.now_ms);
        run(0);
        assert_string_equal(hear(line), "");
        assert_int_equal(fake.starts, 2);
        ask(line, PING JOIN(B));
        assert_string_equal(hear_all(line), PONG BEAT(B));
    }
}

/* ---- stalls and the end ---- */

static void a_client_that_reads_no_lines_is_disconnected_if_others_wait(void **state)
{
    (void)state;
    fake.scripts[0] = endless;
    struct mvm_client *a = asks(BUILD(A, ",\"timeout_secs\":0"));
    run(10 * MVM_STALL_MS);
    assert_false(a->stalled); /* no other build waits */
    hear(a);
    run(10 * MVM_STALL_MS + 1);
    asks("");
    struct mvm_client *b = join();
    ask(b, BUILD(B, ""));
    run(10 * MVM_STALL_MS + 2);
    assert_int_equal(mvm_scheduler_deadline(&scheduler), 11 * MVM_STALL_MS + 1);
    run(11 * MVM_STALL_MS);
    assert_false(a->stalled);
    run(11 * MVM_STALL_MS + 1);
    assert_true(a->stalled);
}

static void a_silent_builds_client_is_not_stalled(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(BUILD(B, ""));
    hear(a), hear(b);
    run(2 * MVM_STALL_MS);
    fake.at = endless;
    run(3 * MVM_STALL_MS);
    assert_false(a->stalled);
    run(4 * MVM_STALL_MS);
    assert_true(a->stalled);
}

/* What ran is what a client may come back for; what was refused is not. */
static void only_the_end_of_a_build_that_ran_is_awaited(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, KEEP)), *b = asks(BUILD(B, KEEP));
    mvm_scheduler_detach(&scheduler, a);
    mvm_scheduler_detach(&scheduler, b);
    mvm_scheduler_close(&scheduler);
    end_well();
    assert_true(mvm_scheduler_awaits(&scheduler));
    run(0);
    assert_string_equal(hear(asks(JOIN(B))),
                        ERR_OF(B, "build rejected: the agent is stopping", "stopping"));
    assert_true(mvm_scheduler_awaits(&scheduler));
    assert_string_equal(hear(asks(JOIN(A))), OK_OF(A, "/nix/store/a"));
    assert_false(mvm_scheduler_awaits(&scheduler));
    assert_int_equal(fake.starts, 1);
}

static void stopping_is_reported_by_its_category(void **state)
{
    (void)state;
    struct mvm_client *a = asks(BUILD(A, "")), *b = asks(BUILD(B, ""));
    hear(a), hear(b);
    mvm_scheduler_stop(&scheduler);
    run(0);
    assert_string_equal(hear(a), ERR_OF(A, "build cancelled", "stopping"));
    assert_string_equal(hear(b), ERR_OF(B, "build rejected: the agent is stopping", "stopping"));
}

static void a_client_that_ended_its_half_waits_for_what_it_is_owed(void **state)
{
    (void)state;
    struct mvm_client *c = join_with(4, 0);
    ask(c, CANCEL(A) CANCEL(B));
    mvm_session_peer_ended(&c->session);
    run(0);
    assert_false(mvm_scheduler_done(&scheduler, c));
    assert_string_equal(hear(c), CANCELLED(A, "unknown"));
    assert_false(mvm_scheduler_done(&scheduler, c)); /* the next step has more */
    assert_string_equal(hear_all(c), CANCELLED(B, "unknown"));
    assert_true(mvm_scheduler_done(&scheduler, c));
}

/* ---- frames that are lost ---- */

#define PROTO_PING "\0\0\0\0\2\x12\0"
#define PROTO_PONG "\0\0\0\0\2\x22\0"

static void ask_bytes(struct mvm_client *c, const char *bytes, size_t len)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&c->session, &cap);
    assert_true(len <= cap);
    memcpy(room, bytes, len);
    mvm_session_received(&c->session, len);
    run(0);
}

/* One Err, the answers that were already due, and then the end. */
static void a_client_whose_frames_are_lost_is_closed(void **state)
{
    (void)state;
    static const char err[] = "parse error: not a length-prefixed message at byte 0";
    struct mvm_client *c = join();
    if (!mvm_proto_present) {
        skip();
    }
    ask_bytes(c, PROTO_PING "a line\n" PROTO_PING, 7 + 7 + 7);
    assert_false(mvm_scheduler_done(&scheduler, c));
    const char *heard = hear(c);
    assert_memory_equal(heard, PROTO_PONG, 7);
    assert_memory_equal(heard + 7 + 5 + 4, err, strlen(err));
    assert_int_equal(strlen(heard + 7 + 5 + 4), strlen(err));
    assert_true(mvm_scheduler_done(&scheduler, c));
}

/* The last message that a client is sent over protobuf. */
static struct mvm_message hear_message(struct mvm_client *c)
{
    static struct mvm_proto_decoder decoder;
    static char response[MVM_RESPONSE_FIELDS_CAP];
    size_t len = 0, used;
    const uint8_t *bytes = mvm_session_bytes(&c->session, &len);
    mvm_proto_decoder_init(&decoder, MVM_DIRECTION_RESPONSES, response, sizeof response);
    assert_int_equal(mvm_proto_decoder_push(&decoder, bytes, len, &used), MVM_DECODER_MESSAGE);
    mvm_session_sent(&c->session, used);
    return decoder.message;
}

static void ask_message(struct mvm_client *c, enum mvm_kind kind)
{
    struct mvm_proto_encoder encoder = {.busy = false};
    struct mvm_message m = {.kind = kind, .id = mvm_text_from(A)};
    uint8_t bytes[256];
    mvm_proto_encoder_start(&encoder, &m);
    ask_bytes(c, (const char *)bytes, mvm_proto_encoder_pull(&encoder, bytes, sizeof bytes));
}

static void a_build_without_disks_is_refused_where_none_is_done(void **state)
{
    (void)state;
    size_t len;
    struct mvm_client *c = join();
    if (!mvm_proto_present) {
        skip();
    }
    ask_message(c, MVM_MESSAGE_STREAM_BUILD);
    struct mvm_message m = hear_message(c);
    assert_int_equal(m.kind, MVM_MESSAGE_ERR);
    assert_true(mvm_text_equal(m.refusal.refused, A));
    assert_true(mvm_text_equal(m.refusal.category, "rejected"));
    ask_message(c, MVM_MESSAGE_GET);
    m = hear_message(c);
    assert_true(mvm_text_equal(m.refusal.refused, A));
    assert_true(mvm_text_equal(m.refusal.category, "unknown_id"));
    ask_message(c, MVM_MESSAGE_SOURCE);
    ask_message(c, MVM_MESSAGE_DROP);
    assert_null(mvm_session_bytes(&c->session, &len));
    assert_true(mvm_scheduler_idle(&scheduler));
}

static void a_line_whose_frames_are_lost_is_read_on(void **state)
{
    (void)state;
    struct mvm_client *c = line_with(SEND_CAP);
    if (!mvm_proto_present) {
        skip();
    }
    ask_bytes(c, PROTO_PING "a line\n", 7 + 7);
    hear(c);
    assert_false(mvm_scheduler_done(&scheduler, c));
    ask(c, "\n" HELLO("n1"));
    run(0);
    assert_string_equal(hear(c), WELCOME("n1"));
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_is_answered_with_agent_boot_features_and_its_nonce),
        TEST(without_names_of_its_own_the_agent_is_the_library),
        TEST(hello_on_a_connection_ends_nothing),
        TEST(a_build_with_an_id_is_accepted_immediately_and_each_frame_has_the_id),
        TEST(the_id_goes_to_no_job),
        TEST(a_build_without_an_id_gets_no_new_field),
        TEST(an_err_that_has_no_category_is_internal),
        TEST(a_waiting_build_gets_heartbeats_well_within_its_own_time_out),
        TEST(half_of_a_time_out_may_be_little_less_than_the_interval),
        TEST(the_agents_own_time_out_counts_where_the_build_has_none),
        TEST(a_heartbeat_that_is_being_sent_keeps_its_id),
        TEST(ids_are_16_to_64_of_certain_characters),
        TEST(an_id_that_is_known_is_refused_and_nothing_ends),
        TEST(a_full_queue_names_the_build_that_it_refuses),
        TEST(cancel_ends_a_build_that_waits),
        TEST(cancel_right_behind_its_build_ends_it_before_it_begins),
        TEST(cancel_ends_a_build_that_waits_for_no_client),
        TEST(cancel_ends_a_build_that_runs),
        TEST(cancel_tells_that_it_may_be_too_late),
        TEST(cancel_of_what_has_ended_or_never_was_does_nothing),
        TEST(cancel_is_read_though_nothing_can_be_sent),
        TEST(each_of_many_pings_gets_its_pong),
        TEST(a_client_that_never_reads_is_in_the_end_not_read_from),
        TEST(a_kept_build_outlives_its_connection),
        TEST(without_keep_it_is_cancelled_and_its_end_is_known),
        TEST(keep_without_an_id_has_no_effect),
        TEST(keep_needs_a_time_out),
        TEST(a_client_that_joins_gets_the_rest_and_the_earlier_one_that_it_moved),
        TEST(a_build_that_waits_is_joined),
        TEST(an_ended_builds_answer_is_given_again_and_again),
        TEST(an_ok_is_superseded_when_a_later_build_begins_to_stage),
        TEST(an_ok_is_superseded_while_a_later_build_has_the_disk),
        TEST(an_ok_is_superseded_when_a_later_build_leaves_the_disk_mounted),
        TEST(the_last_few_answers_are_kept),
        TEST(an_answer_that_is_forgotten_while_it_waits_for_room_is_unknown),
        TEST(a_kept_message_is_cut_with_a_mark),
        TEST(a_line_that_the_former_client_does_not_take_holds_up_the_new_one_shortly),
        TEST(an_answer_that_is_being_sent_stays_where_it_goes),
        TEST(an_answer_that_is_not_yet_sent_goes_to_who_joins),
        TEST(on_a_line_hello_ends_what_the_earlier_client_did_not_keep),
        TEST(nothing_of_an_earlier_client_comes_after_the_welcome),
        TEST(three_clients_in_a_row_on_one_line_each_get_their_own),
        TEST(a_line_that_hangs_up_takes_nothing_with_it_to_the_next_client),
        TEST(a_client_that_reads_no_lines_is_disconnected_if_others_wait),
        TEST(a_silent_builds_client_is_not_stalled),
        TEST(only_the_end_of_a_build_that_ran_is_awaited),
        TEST(stopping_is_reported_by_its_category),
        TEST(a_client_that_ended_its_half_waits_for_what_it_is_owed),
        TEST(a_client_whose_frames_are_lost_is_closed),
        TEST(a_line_whose_frames_are_lost_is_read_on),
        TEST(a_build_without_disks_is_refused_where_none_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
