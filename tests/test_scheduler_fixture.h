/*
 * Set-up for tests of the scheduler: several clients, and an executor that is a script. The linker
 * takes these functions in place of the library's, so that each test decides what the build does
 * and when.
 */
#ifndef MVM_TEST_SCHEDULER_FIXTURE_H
#define MVM_TEST_SCHEDULER_FIXTURE_H

#include "mvm_scheduler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the scripted executor ---- */

enum { BUILDS_MAX = 2 * MVM_QUEUE_MAX };

struct act {
    enum mvm_executor_event event;
    const char *text;
    enum mvm_category category; /* of ERR */
    bool beat;                  /* a LOG that is a heartbeat */
};

static struct {
    const struct act *scripts[BUILDS_MAX]; /* one for each build; NULL: waits for ever */
    const struct act *at;
    char flakes[BUILDS_MAX][64]; /* FLAKE#ATTR of each start */
    int starts;
    int steps;
    int logged;
    int cancels;
    int abandoned; /* sources */
    bool idle;
    bool ending;
    bool unreleased;
    bool pending;   /* a line is pending, … */
    bool cancelled; /* … and then the build ends */
    enum mvm_executor_progress progress;
    uint64_t deadline_ms;
    uint64_t default_secs; /* the time limit of jobs without one; 0: none */
    int timeouts;
    /* builds without disks */
    struct mvm_job job; /* of the last start; its texts are not valid */
    uint64_t source_limit;
    char source[64]; /* the source bytes received, in order */
    size_t source_len;
    uint64_t source_offset; /* of the last piece */
    bool source_last;
    const char *artifacts[MVM_ARTIFACTS_MAX]; /* up to NULL; of 1000 bytes, 1001 … */
} fake;

static const struct act waits[] = {{.event = MVM_EXECUTOR_WAIT, .text = ""}};
static const struct act succeeds[] = {{.event = MVM_EXECUTOR_OK, .text = "/nix/store/a"}};
static const struct act cancelled[] = {
    {.event = MVM_EXECUTOR_ERR, .text = "build cancelled", .category = MVM_CATEGORY_CANCELLED}};

void mvm_executor_start(struct mvm_executor *x, const struct mvm_job *job, uint64_t now_ms)
{
    (void)x;
    (void)now_ms;
    assert_true(fake.idle);
    snprintf(fake.flakes[fake.starts], sizeof fake.flakes[0], "%.*s#%.*s", (int)job->flake_ref.len,
             job->flake_ref.bytes, (int)job->attr.len, job->attr.bytes);
    fake.job = *job;
    fake.at = fake.scripts[fake.starts] != NULL ? fake.scripts[fake.starts] : waits;
    fake.starts++;
    fake.idle = fake.ending = fake.pending = fake.cancelled = false;
    fake.progress = MVM_EXECUTOR_BUILDING;
}

enum mvm_executor_event mvm_executor_step(struct mvm_executor *x, uint64_t now_ms)
{
    assert_false(fake.idle);
    fake.steps++;
    if (now_ms >= fake.deadline_ms) {
        fake.deadline_ms = UINT64_MAX;
        fake.timeouts++;
        fake.ending = true;
    }
    x->text = mvm_text_from(fake.at->text);
    enum mvm_executor_event event = fake.at->event;
    fake.pending = event == MVM_EXECUTOR_LOG;
    if (event == MVM_EXECUTOR_OK || event == MVM_EXECUTOR_ERR) {
        fake.idle = fake.ending = true;
    } else if (event == MVM_EXECUTOR_AGAIN) {
        fake.at++;
    }
    return event;
}

/* The line "…" repeats forever. */
void mvm_executor_logged(struct mvm_executor *x, uint64_t now_ms)
{
    (void)now_ms;
    assert_int_equal(fake.at->event, MVM_EXECUTOR_LOG);
    fake.logged++;
    fake.pending = false;
    if (fake.cancelled) {
        fake.at = cancelled;
    } else if (strcmp(fake.at->text, "endless") != 0) {
        fake.at++;
    }
    /* From here on the lent text may change. */
    x->text = mvm_text_from("not to be seen");
}

void mvm_executor_cancel(struct mvm_executor *x)
{
    (void)x;
    fake.cancels++;
    if (fake.pending) {
        fake.cancelled = true;
    } else {
        fake.at = cancelled;
    }
}

bool mvm_executor_cancelled(const struct mvm_executor *x)
{
    (void)x;
    return fake.cancels > 0;
}

uint64_t mvm_executor_deadline(const struct mvm_executor *x)
{
    (void)x;
    return fake.deadline_ms;
}

bool mvm_executor_ending(const struct mvm_executor *x)
{
    (void)x;
    return fake.ending;
}

enum mvm_category mvm_executor_category(const struct mvm_executor *x)
{
    (void)x;
    return fake.at->category;
}

uint64_t mvm_executor_timeout_secs(const struct mvm_executor *x, const struct mvm_job *job)
{
    (void)x;
    return job->has_timeout ? job->timeout_secs : fake.default_secs;
}

bool mvm_executor_released(const struct mvm_executor *x)
{
    (void)x;
    return !fake.unreleased;
}

bool mvm_executor_is_heartbeat(const struct mvm_executor *x)
{
    (void)x;
    return fake.at->beat;
}

enum mvm_executor_progress mvm_executor_progress(const struct mvm_executor *x)
{
    (void)x;
    return fake.progress;
}

void mvm_executor_give_up_source(struct mvm_executor *x, uint64_t waited_ms)
{
    (void)x;
    (void)waited_ms;
    fake.abandoned++;
    fake.source_limit = 0;
}

uint64_t mvm_executor_source_limit(const struct mvm_executor *x)
{
    (void)x;
    return fake.source_limit;
}

void mvm_executor_source(struct mvm_executor *x, uint64_t offset, struct mvm_text data, bool last)
{
    (void)x;
    assert_true(fake.source_len + data.len < sizeof fake.source);
    memcpy(fake.source + fake.source_len, data.bytes, data.len);
    fake.source_len += data.len;
    fake.source_offset = offset;
    fake.source_last = last;
}

unsigned mvm_executor_artifacts(const struct mvm_executor *x)
{
    unsigned n = 0;
    (void)x;
    while (n < MVM_ARTIFACTS_MAX && fake.artifacts[n] != NULL) {
        n++;
    }
    return n;
}

const char *mvm_executor_artifact(const struct mvm_executor *x, unsigned index, uint64_t *size)
{
    (void)x;
    *size = 1000 + index;
    return fake.artifacts[index];
}

/* ---- set-up ---- */

enum { CLIENTS = MVM_QUEUE_MAX + 3, SEND_CAP = 4096, OUT_CAP = 1 << 20 };

static struct mvm_executor executor;
static struct mvm_scheduler scheduler;
static struct mvm_client clients[CLIENTS];
static uint8_t receive_buffers[CLIENTS][512];
static uint8_t send_buffers[CLIENTS][SEND_CAP];
static char field_buffers[CLIENTS][MVM_REQUEST_FIELDS_CAP];
static char out[OUT_CAP];

static inline void begin_with(bool keep_building, uint32_t heartbeat_ms)
{
    struct mvm_scheduler_config config = {.keep_building = keep_building,
                                          .heartbeat_ms = heartbeat_ms,
                                          .agent = "agent 1",
                                          .boot = "b0"};
    memset(&fake, 0, sizeof fake);
    fake.default_secs = MVM_TIMEOUT_DEFAULT_SECS;
    memset(clients, 0xa5, sizeof clients); /* attach must not rely on earlier contents */
    fake.idle = true;
    fake.deadline_ms = UINT64_MAX;
    mvm_scheduler_init(&scheduler, &executor, &config, clients, CLIENTS);
}

static inline int begin(void **state)
{
    (void)state;
    begin_with(false, 0);
    return 0;
}

static inline struct mvm_client *join_with(size_t send_cap, uint64_t now_ms)
{
    size_t slot = 0;
    while (slot < scheduler.clients_used && clients[slot].attached) {
        slot++;
    }
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

static inline struct mvm_client *join(void)
{
    return join_with(SEND_CAP, 0);
}

static inline void ask(struct mvm_client *c, const char *bytes)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&c->session, &cap);
    assert_true(strlen(bytes) <= cap);
    memcpy(room, bytes, strlen(bytes));
    mvm_session_received(&c->session, strlen(bytes));
}

static inline void ask_build(struct mvm_client *c, const char *attr)
{
    char frame[128];
    snprintf(frame, sizeof frame, "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"%s\"}}\n", attr);
    ask(c, frame);
}

/* Steps as an event loop does, until there is nothing to do now. */
static inline void run(uint64_t now_ms)
{
    int steps = 0;
    while (mvm_scheduler_step(&scheduler, now_ms)) {
        assert_true(++steps < 1000);
    }
}

static inline struct mvm_client *build_alone(const struct act *script)
{
    struct mvm_client *c = join();
    fake.scripts[0] = script;
    ask_build(c, "a");
    run(0);
    return c;
}

/* Everything the client is sent now: its transport reads it, the scheduler is not stepped. */
static inline const char *hear(struct mvm_client *c)
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

#define LOG(line)    "{\"Log\":{\"line\":\"" line "\"}}\n"
#define OK(path)     "{\"Ok\":{\"out_path\":\"" path "\"}}\n"
#define ERR(message) "{\"Err\":{\"message\":\"" message "\"}}\n"
#define PING         "\"Ping\"\n"
#define PONG         "\"Pong\"\n"

#endif
