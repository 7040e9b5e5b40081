/*
 * The source of a build without disks, on its way through the executor's ring: whatever a client
 * sends, and however little nix-store accepts, no byte outside of the ring is written or read, and
 * no more than was allowed is stored. The file is included for its static functions; what it calls
 * elsewhere may return anything.
 */
#include "../executor/source.c"
#include "any.h"

/* In place of refuse, which writes the job's Err. */
void refusal_of(struct mvm_executor *x, const char *why)
{
    prove(x != NULL && why != NULL, "a refusal has a reason");
}

enum { FED_MAX = 3 /* bytes in the ring while it is fed: a turn of the loop each */ };

static uint8_t *ring;
static size_t ring_cap;

/* A copy may fill the ring, and nothing else of the executor. */
bool copy_stays_in_place(const void *to, size_t len)
{
    return lies_in(to, len, ring, ring_cap);
}

static bool holds(const struct mvm_executor *x)
{
    const struct mvm_source *s = &x->source;
    return s->out <= s->in && s->in <= s->size && s->in - s->out <= x->config->source_cap &&
           (!s->ended || s->out == s->size);
}

static int feed(void *ctx, const uint8_t *bytes, size_t len)
{
    int taken;
    (void)ctx;
    prove(len > 0 && lies_in(bytes, len, ring, ring_cap) && CAN_READ(bytes, len),
          "what is fed is in the ring");
    assume(taken < 0 || (size_t)taken <= len);
    return taken;
}

static void end_feed(void *ctx)
{
    (void)ctx;
}

static const struct mvm_port port = {.feed = feed, .end_feed = end_feed};

/* An executor in any state that has a ring. */
static struct mvm_executor *any_executor(struct mvm_executor_config *config)
{
    struct mvm_executor *x = any_memory(sizeof *x);
    ring_cap = any_bool() ? 2 * MVM_BULK_DATA_MAX : MVM_BULK_DATA_MAX + 1;
    ring = any_memory(ring_cap);
    config->source_buffer = ring;
    config->source_cap = ring_cap;
    x->config = config;
    x->port = &port;
    assume(holds(x));
    return x;
}

void source_accept(void)
{
    struct mvm_executor_config config;
    struct mvm_executor *x = any_executor(&config);
    uint64_t offset, before = x->source.in, limit = mvm_executor_source_limit(x);
    struct mvm_text data = any_text();
    bool last;
    mvm_executor_source(x, offset, data, last);
    prove(holds(x), "the ring is within its bounds again");
    prove(x->source.in == before || (x->source.in <= limit && offset == before),
          "only what was asked for is stored, and in order");
    possible(x->source.in > before && x->source.in == limit, "all that was asked for");
    possible(x->source.in == before && data.len > 0, "a refusal");
    possible(before % ring_cap > x->source.in % ring_cap, "the ring's end is passed");
}

void source_feed(void)
{
    struct mvm_executor_config config;
    struct mvm_executor *x = any_executor(&config);
    uint64_t before = x->source.out;
    assume(x->source.in - before <= FED_MAX);
    mvm_executor_feed(x);
    prove(holds(x), "the ring is within its bounds again");
    prove(x->source.out >= before, "nothing is fed twice");
    possible(x->source.out > before && x->source.out < x->source.in, "a part is accepted");
    possible(x->source.ended && x->source.out == x->source.size, "the end");
}
