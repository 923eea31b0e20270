/*
 * Several who claim one name at the same time, on stores that keep the condition, forget it, or look and write in two
 * steps, in thousands of orders that a number generator decides and that can be had again by their seed. Time is made
 * up.
 */
#include "expect.h"

#include <string.h>
#include <uv.h>

#include "base/cleanup.h"
#include "job/bucket/claim.h"
#include "s3/dialect.h"
#include "s3/object.h"

enum { CLAIMERS = 3, ROUNDS = 3000, LATENCY = 40, REQUESTS = 64 };

static const char dump[] = "p-2024-12-06T21:22:25Z.dump", claim_name[] = "p-2024-12-06T21:22:25Z.claim";

enum manner {
    KEEPS,    /* If-None-Match: looked at and written in one step */
    FORGETS,  /* it; Ceph 16 in a versioned bucket */
    TWO_STEPS /* looks, and writes a moment later: Swift */
};

struct s3_request {
    enum request_kind { HEAD, GET, PUT, DELETE } what;
    bool is_on_its_way, has_arrived, if_none_match, is_refused;
    char key[64], body[64];
    size_t len;
    uint64_t arrives, answers;
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};

static struct store {
    enum manner manner;
    struct s3_dialect dialect;
    uint64_t seed, random, now;
    char claim[64]; /* "": none */
    bool has_dump;
    enum err_kind refuses[4]; /* by what is asked */
    unsigned puts, deletes;
    struct s3_request requests[REQUESTS];
} store;

static uv_loop_t *loop;

static uint64_t chance(uint64_t n)
{
    store.random = store.random * 6364136223846793005u + 1442695040888963407u;
    return (store.random >> 33) % n;
}

/* ---- time ---- */

static uv_timer_t *timers[CLAIMERS];
static uint64_t due[CLAIMERS];

uint64_t __wrap_uv_now(const uv_loop_t *l);
uint64_t __wrap_uv_now(const uv_loop_t *l)
{
    (void)l;
    return store.now;
}

int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    size_t i = 0;

    (void)repeat;
    while (timers[i] && timers[i] != t)
        i++;
    t->timer_cb = cb;
    timers[i] = t;
    due[i] = store.now + timeout;
    return 0;
}

/* ---- the store ---- */

static struct s3_request *ask(enum request_kind what, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err))
{
    for (size_t i = 0; i < REQUESTS; i++) {
        struct s3_request *r = &store.requests[i];

        if (r->is_on_its_way)
            continue;
        *r = (struct s3_request){.is_on_its_way = true, .ctx = ctx, .on_done = on_done};
        r->what = what;
        (void)snprintf(r->key, sizeof(r->key), "%s", key);
        r->arrives = store.now + 1 + chance(LATENCY);
        r->answers = r->arrives + 1 + chance(LATENCY);
        return r;
    }
    fail_msg("too many requests");
    return NULL;
}

struct s3_dialect *s3_client_dialect(struct s3_client *c)
{
    (void)c;
    return &store.dialect;
}

struct s3_request *s3_head(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c, (void)e;
    return ask(HEAD, key, ctx, on_done);
}

struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e)
{
    (void)c, (void)e;
    return ask(GET, spec->key, spec->ctx, spec->on_done);
}

struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e)
{
    struct s3_request *r = ask(PUT, spec->key, spec->ctx, spec->on_done);

    (void)c, (void)e;
    store.puts++;
    r->if_none_match = spec->if_none_match;
    r->len = spec->body.len;
    memcpy(r->body, spec->body.data, spec->body.len);
    return r;
}

struct s3_request *s3_delete(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c, (void)e;
    store.deletes++;
    return ask(DELETE, key, ctx, on_done);
}

void s3_request_cancel(struct s3_request *r)
{
    r->is_on_its_way = false;
}

/* It reaches the store. What a look saw may be old when it is answered; and a put in two steps has looked before. */
static void arrive(struct s3_request *r)
{
    bool is_dump = strcmp(r->key, dump) == 0;

    r->has_arrived = true;
    assert_true(is_dump || strcmp(r->key, claim_name) == 0);
    if (store.refuses[r->what])
        return;
    if (r->what == PUT) {
        r->is_refused = r->if_none_match && store.manner != FORGETS && store.claim[0];
        if (!r->is_refused && store.manner != TWO_STEPS)
            memcpy(store.claim, r->body, sizeof(store.claim));
    } else if (r->what == DELETE) {
        store.claim[0] = '\0';
    } else {
        r->is_refused = is_dump ? !store.has_dump : !store.claim[0];
        r->len = strlen(store.claim);
        memcpy(r->body, store.claim, sizeof(r->body));
    }
}

static void answer(struct s3_request *r)
{
    struct s3_response res = {.status = 200, .body = {.data = (const uint8_t *)r->body, .len = r->len}};
    struct err e = ERR_INIT;

    r->is_on_its_way = false;
    if (store.refuses[r->what])
        err_set(&e, store.refuses[r->what], ERR_DOMAIN_HTTP, 403, "refused");
    else if (r->is_refused)
        err_set(&e, r->what == PUT ? ERR_CONFIG : ERR_NOT_FOUND, ERR_DOMAIN_HTTP, r->what == PUT ? 412 : 404, "no");
    else if (r->what == PUT && store.manner == TWO_STEPS)
        memcpy(store.claim, r->body, sizeof(store.claim));
    r->on_done(r->ctx, e.kind ? NULL : &res, e.kind ? &e : NULL);
}

/* ---- who claims ---- */

static struct claimer {
    struct claim *claim;
    uint64_t begins;
    bool told, released;
    struct err err;
} claimers[CLAIMERS];

static void on_claimed(void *ctx, const struct err *err)
{
    struct claimer *c = ctx;

    assert_false(c->told);
    c->told = true;
    c->err = err ? *err : ERR_INIT;
}

static void on_released(void *ctx)
{
    ((struct claimer *)ctx)->released = true;
}

static void begin(struct claimer *c)
{
    struct claim_spec spec = {.loop = loop, .dump = dump, .ctx = c, .on_claimed = on_claimed};
    struct err e = ERR_INIT;

    c->claim = claim_start((struct s3_client *)(void *)&store, &spec, &e);
    expect_success(c->claim, &e);
}

/* One tick of whatever is due. Returns false when nothing is to come. */
static bool tick(void)
{
    bool more = false;

    store.now++;
    for (size_t i = 0; i < CLAIMERS; i++) {
        if (claimers[i].begins == store.now)
            begin(&claimers[i]);
        more = more || claimers[i].begins > store.now;
        if (!timers[i])
            continue;
        more = true;
        if (due[i] <= store.now) {
            uv_timer_t *timer = TAKE_PTR(timers[i]);

            timer->timer_cb(timer);
        }
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        struct s3_request *r = &store.requests[i];

        more = more || r->is_on_its_way;
        if (r->is_on_its_way && !r->has_arrived && r->arrives <= store.now)
            arrive(r);
        if (r->is_on_its_way && r->answers <= store.now)
            answer(r);
    }
    return more;
}

static void open_world(uint64_t seed, enum manner manner)
{
    memset(&store, 0, sizeof(store));
    memset(claimers, 0, sizeof(claimers));
    memset(timers, 0, sizeof(timers));
    store.seed = store.random = seed;
    store.manner = manner;
}

static void run(void)
{
    while (tick())
        assert_true(store.now < 100000);
}

static void close_world(void)
{
    for (size_t i = 0; i < CLAIMERS; i++)
        claim_free(claimers[i].claim);
    (void)uv_run(loop, UV_RUN_DEFAULT);
}

static unsigned owners(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < CLAIMERS; i++)
        n += claimers[i].told && claimers[i].err.kind == ERR_NONE;
    return n;
}

/* Whoever owns it shows that they live, others do nothing; it may still be on its way when the claim is released. */
static void renew(unsigned n_owners, bool has_time)
{
    char before[sizeof(store.claim)];
    const unsigned puts = store.puts;

    memcpy(before, store.claim, sizeof(before));
    for (size_t i = 0; i < CLAIMERS; i++)
        claim_renew(claimers[i].claim);
    assert_int_equal(store.puts, puts + n_owners);
    if (!has_time || n_owners == 0)
        return;
    run();
    assert_string_not_equal(store.claim, before);
}

static unsigned round_of_many(uint64_t seed, enum manner manner)
{
    unsigned n;

    open_world(seed, manner);
    for (size_t i = 0; i < CLAIMERS; i++)
        claimers[i].begins = 1 + chance(seed % 2 ? 10 : 500);
    run();
    n = owners();
    for (size_t i = 0; i < CLAIMERS; i++)
        if (claimers[i].err.kind)
            assert_true(claim_is_taken(&claimers[i].err));
    if (n > 1)
        fail_msg("seed %llu, manner %d: %u own the name", (unsigned long long)seed, (int)manner, n);
    renew(n, seed % 3 != 0);
    for (size_t i = 0; i < CLAIMERS; i++)
        if (claim_release(claimers[i].claim, &claimers[i], on_released))
            run();
    assert_string_equal(store.claim, ""); /* whoever put the last one takes it away, and no other */
    close_world();
    return n;
}

static void one_of_many_owns_the_name(void **state)
{
    (void)state;
    for (enum manner manner = KEEPS; manner <= TWO_STEPS; manner++) {
        unsigned owned = 0;

        for (uint64_t seed = 1; seed <= ROUNDS; seed++)
            owned += round_of_many(seed, manner);
        assert_true(owned > ROUNDS * 9 / 10); /* and seldom nobody */
    }
}

static const struct err *claim_alone(void)
{
    claimers[0].begins = 1;
    run();
    assert_true(claimers[0].told);
    return &claimers[0].err;
}

static void who_comes_later_puts_nothing(void **state)
{
    (void)state;
    for (unsigned has_dump = 0; has_dump < 2; has_dump++) {
        open_world(7, FORGETS);
        store.has_dump = has_dump;
        strcpy(store.claim, has_dump ? "" : "somebody");
        assert_true(claim_is_taken(claim_alone()));
        assert_non_null(strstr(claimers[0].err.text, "p-2024-12-06T21:22:25Z.dump exists already"));
        assert_int_equal(store.puts, 0);
        assert_false(claim_release(claimers[0].claim, &claimers[0], on_released));
        close_world();
    }
}

/* Then the condition alone decides; and what may not be deleted stays. */
static void who_may_not_look_claims_all_the_same(void **state)
{
    (void)state;
    for (unsigned is_there = 0; is_there < 2; is_there++) {
        open_world(8, KEEPS);
        store.refuses[HEAD] = store.refuses[GET] = store.refuses[DELETE] = ERR_AUTH;
        strcpy(store.claim, is_there ? "somebody" : "");
        /* 412, and nobody can say whose it is: somebody else's, until the contrary is seen */
        assert_int_equal(claim_alone()->kind, is_there ? ERR_TRANSIENT : ERR_NONE);
        close_world();
    }
}

static void what_goes_wrong_is_told(void **state)
{
    (void)state;
    for (enum request_kind what = HEAD; what <= PUT; what++) {
        open_world(9, KEEPS);
        store.refuses[what] = ERR_TRANSIENT;
        expect_error(claim_alone(), ERR_TRANSIENT, "claiming the name: refused");
        close_world();
    }
}

/* At each moment: nothing of it is left behind, and who waits is told once. */
static void it_can_be_released_at_any_time(void **state)
{
    (void)state;
    for (uint64_t when = 2; when < 600; when++) {
        open_world(when, when % 2 ? KEEPS : FORGETS);
        claimers[0].begins = 1;
        while (store.now < when)
            (void)tick();
        if (claim_release(claimers[0].claim, &claimers[0], on_released)) {
            bool told = claimers[0].told;

            run();
            assert_true(claimers[0].released);
            assert_int_equal(claimers[0].told, told);
        }
        assert_string_equal(store.claim, "");
        close_world();
    }
}

static int set_up(void **state)
{
    static uv_loop_t one;

    (void)state;
    loop = &one;
    return uv_loop_init(loop);
}

static int tear_down(void **state)
{
    (void)state;
    return uv_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(one_of_many_owns_the_name),
            cmocka_unit_test(who_comes_later_puts_nothing),
            cmocka_unit_test(who_may_not_look_claims_all_the_same),
            cmocka_unit_test(what_goes_wrong_is_told),
            cmocka_unit_test(it_can_be_released_at_any_time),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
