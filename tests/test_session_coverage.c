/*
 * The scheduler when several things coincide: a full send buffer and a heartbeat, a line or an
 * answer after a Pong; two idle clients; a stop with nothing to stop. The executor is a script
 * here, in place of the library's.
 */
#include "mvm_scheduler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- the scripted executor ---- */

struct act {
    enum mvm_executor_event event;
    const char *text;
};

static const struct act waits[] = {{MVM_EXECUTOR_WAIT, ""}};
static const struct act succeeds[] = {{MVM_EXECUTOR_OK, "/a"}};
static const struct act logs[] = {{MVM_EXECUTOR_LOG, "one"}, {MVM_EXECUTOR_WAIT, ""}};

static struct {
    const struct act *at;
    int starts;
    int cancels;
    size_t attr_len; /* of the last start */
} fake;

void mvm_executor_start(struct mvm_executor *x, const struct mvm_job *job, uint64_t now_ms)
{
    (void)x, (void)now_ms;
    fake.starts++;
    fake.attr_len = job->attr.len;
}

enum mvm_executor_event mvm_executor_step(struct mvm_executor *x, uint64_t now_ms)
{
    (void)now_ms;
    x->text = mvm_text_from(fake.at->text);
    return fake.at->event;
}

void mvm_executor_logged(struct mvm_executor *x, uint64_t now_ms)
{
    (void)x, (void)now_ms;
    assert_int_equal(fake.at->event, MVM_EXECUTOR_LOG);
    fake.at++;
}

void mvm_executor_cancel(struct mvm_executor *x)
{
    (void)x;
    fake.cancels++;
}

bool mvm_executor_cancelled(const struct mvm_executor *x)
{
    (void)x;
    return false;
}

uint64_t mvm_executor_deadline(const struct mvm_executor *x)
{
    (void)x;
    return UINT64_MAX;
}

bool mvm_executor_ending(const struct mvm_executor *x)
{
    (void)x;
    return false;
}

enum mvm_category mvm_executor_category(const struct mvm_executor *x)
{
    (void)x;
    return MVM_CATEGORY_NONE; /* of an Err: the scheduler makes it `internal` */
}

uint64_t mvm_executor_timeout_secs(const struct mvm_executor *x, const struct mvm_job *job)
{
    (void)x;
    return job->has_timeout ? job->timeout_secs : 1800;
}

bool mvm_executor_released(const struct mvm_executor *x)
{
    (void)x;
    return true;
}

/* Builds without disks have tests of their own, with the real executor. */
void mvm_executor_give_up_source(struct mvm_executor *x, uint64_t waited_ms)
{
    (void)x;
    (void)waited_ms;
}

uint64_t mvm_executor_source_limit(const struct mvm_executor *x)
{
    (void)x;
    return 0;
}

void mvm_executor_source(struct mvm_executor *x, uint64_t offset, struct mvm_text data, bool last)
{
    (void)x;
    (void)offset;
    (void)data;
    (void)last;
}

unsigned mvm_executor_artifacts(const struct mvm_executor *x)
{
    (void)x;
    return 0;
}

const char *mvm_executor_artifact(const struct mvm_executor *x, unsigned index, uint64_t *size)
{
    (void)x;
    (void)index;
    *size = 0;
    return NULL;
}

bool mvm_executor_is_heartbeat(const struct mvm_executor *x)
{
    (void)x;
    return false;
}

enum mvm_executor_progress mvm_executor_progress(const struct mvm_executor *x)
{
    (void)x;
    return MVM_EXECUTOR_BUILDING;
}

/* ---- set-up ---- */

enum { CLIENTS = 3, SEND_CAP = 4096 };

static struct mvm_executor executor;
static struct mvm_scheduler scheduler;
static struct mvm_client clients[CLIENTS];
static uint8_t receive_buffers[CLIENTS][256];
static uint8_t send_buffers[CLIENTS][SEND_CAP];
static char field_buffers[CLIENTS][MVM_REQUEST_FIELDS_CAP];
static char out[SEND_CAP];

static int begin(void **state)
{
    (void)state;
    struct mvm_scheduler_config config = {.heartbeat_ms = 100};
    memset(&fake, 0, sizeof fake);
    fake.at = waits;
    mvm_scheduler_init(&scheduler, &executor, &config, clients, CLIENTS);
    return 0;
}

/* The next free client; none leaves. */
static struct mvm_client *join(size_t send_cap, uint64_t now_ms)
{
    size_t slot = scheduler.clients_used;
    struct mvm_session_memory memory = {
        .receive = receive_buffers[slot],
        .receive_cap = sizeof receive_buffers[slot],
        .send = send_buffers[slot],
        .send_cap = send_cap,
        .fields = field_buffers[slot],
        .fields_cap = sizeof field_buffers[slot],
    };
    return mvm_scheduler_attach(&scheduler, &memory, now_ms);
}

static void ask(struct mvm_client *c, const char *bytes)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&c->session, &cap);
    assert_true(strlen(bytes) <= cap);
    memcpy(room, bytes, strlen(bytes));
    mvm_session_received(&c->session, strlen(bytes));
}

static void run(uint64_t now_ms)
{
    int steps = 0;
    while (mvm_scheduler_step(&scheduler, now_ms)) {
        assert_true(++steps < 100);
    }
}

/* What the client's transport reads until there is no more; the scheduler is not stepped. */
static const char *hear(struct mvm_client *c)
{
    size_t len, total = 0;
    const uint8_t *bytes;
    while ((bytes = mvm_session_bytes(&c->session, &len)) != NULL) {
        assert_true(total + len < sizeof out);
        memcpy(out + total, bytes, len);
        total += len;
        mvm_session_sent(&c->session, len);
    }
    out[total] = '\0';
    return out;
}

#define BUILD "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"}}\n"
#define PING  "\"Ping\"\n"
#define PONG  "\"Pong\"\n"
#define WAITS "{\"Log\":{\"line\":\"mvm: waiting for another build, 1 ahead\"}}\n"

/* ---- coincidences ---- */

static void an_empty_field_reaches_the_executor_which_judges_it(void **state)
{
    (void)state;
    struct mvm_client *c = join(SEND_CAP, 0);
    fake.attr_len = 7;
    ask(c, "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"\"}}\n");
    run(0);
    assert_int_equal(fake.starts, 1);
    assert_int_equal(fake.attr_len, 0);
}

static void the_line_of_a_build_waits_behind_a_pong_that_has_no_room(void **state)
{
    (void)state;
    struct mvm_client *c = join(4, 0);
    ask(c, BUILD);
    run(0);
    ask(c, PING);
    fake.at = logs;
    run(1);
    assert_int_equal(fake.at->event, MVM_EXECUTOR_LOG);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_BUILDING);
    assert_string_equal(hear(c), PONG);
    run(2);
    assert_string_equal(hear(c), "{\"Log\":{\"line\":\"one\"}}\n");
}

static void the_answer_of_a_build_waits_behind_a_pong_that_has_no_room(void **state)
{
    (void)state;
    struct mvm_client *c = join(4, 0);
    ask(c, BUILD);
    run(0);
    ask(c, PING);
    fake.at = succeeds;
    run(1);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_ANSWERING);
    assert_string_equal(hear(c), PONG);
    run(2);
    assert_string_equal(hear(c), "{\"Ok\":{\"out_path\":\"/a\"}}\n");
    run(3);
    assert_true(mvm_scheduler_idle(&scheduler));
}

static void no_heartbeat_is_added_for_one_who_waits_and_takes_nothing(void **state)
{
    (void)state;
    struct mvm_client *builds = join(SEND_CAP, 0), *queued = join(8, 0);
    ask(builds, BUILD);
    run(0);
    ask(queued, BUILD);
    run(0);
    run(100);
    run(200);
    assert_string_equal(hear(queued), WAITS);
    run(300);
    assert_string_equal(hear(queued), "{\"Log\":{\"line\":\"\"}}\n");
}

static void of_two_that_are_idle_the_one_idle_longer_is_found(void **state)
{
    (void)state;
    struct mvm_client *late = join(SEND_CAP, 20);
    struct mvm_client *early = join(SEND_CAP, 10);
    struct mvm_client *middle = join(SEND_CAP, 15);
    (void)late, (void)middle;
    run(500);
    assert_ptr_equal(mvm_scheduler_idlest(&scheduler, 100), early);
}

static void a_permanent_client_is_not_disconnected_for_its_own_next_build(void **state)
{
    (void)state;
    struct mvm_client *c = join(62, 0);
    c->permanent = true;
    ask(c, BUILD BUILD PING);
    run(0);
    assert_int_equal(scheduler.queued, 2);
    assert_false(mvm_session_can_send(&c->session));
    fake.at = succeeds;
    run(1);
    run(2 * MVM_STALL_MS);
    assert_int_equal(scheduler.state, MVM_SCHEDULER_ANSWERING);
    assert_false(c->stalled);
    assert_string_equal(hear(c), WAITS PONG);
}

static void stopping_an_idle_service_cancels_nothing(void **state)
{
    (void)state;
    struct mvm_client *c = join(SEND_CAP, 0);
    mvm_scheduler_stop(&scheduler);
    assert_int_equal(fake.cancels, 0);
    ask(c, PING);
    run(0);
    assert_string_equal(hear(c), PONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_field_reaches_the_executor_which_judges_it, begin),
        cmocka_unit_test_setup(the_line_of_a_build_waits_behind_a_pong_that_has_no_room, begin),
        cmocka_unit_test_setup(the_answer_of_a_build_waits_behind_a_pong_that_has_no_room, begin),
        cmocka_unit_test_setup(no_heartbeat_is_added_for_one_who_waits_and_takes_nothing, begin),
        cmocka_unit_test_setup(of_two_that_are_idle_the_one_idle_longer_is_found, begin),
        cmocka_unit_test_setup(a_permanent_client_is_not_disconnected_for_its_own_next_build,
                               begin),
        cmocka_unit_test_setup(stopping_an_idle_service_cancels_nothing, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
