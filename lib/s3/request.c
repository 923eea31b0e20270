/*
 * The life of a request:
 *
 *     start → (turn of the loop) → slot → credentials → attempt → done
 *                  ↑                                      ↓ failed, and may be tried again
 *                  └─────────────── wait ←────────────────┘
 */
#include "s3/request.h"

#include <sodium.h>
#include <string.h>

#include "s3/request_state.h"

enum { PATH_LIMIT = 8 << 10, QUERY_LIMIT = 64 << 10, HEADERS_MAX = 40 };

/* How long the server may make us wait with Retry-After is bounded where that is read. */
enum { MS_PER_S = 1000 };

/* Who is patient is not to wait for long after the store has come back. */
enum { PATIENT_WAIT_MAX_MS = 12000 };

static void free_headers(struct s3_request *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        free(r->headers[i].name);
        free(r->headers[i].value);
    }
    free(r->headers);
}

static void destroy(struct s3_request *r)
{
    s3_headers_free(r);
    if (r->easy)
        curl_easy_cleanup(r->easy);
    s3_answer_reset(&r->answer);
    buf_reset(&r->answer_body);
    buf_reset(&r->path);
    buf_reset(&r->query);
    buf_reset(&r->url);
    free_headers(r);
    free(r->if_match);
    free(r->fine_code);
    free(r->key);
    free(r);
}
CLEANUP_FUNC(struct s3_request *, destroy)

static void on_closed(uv_handle_t *handle)
{
    destroy(CONTAINER_OF(handle, struct s3_request, timer));
}

static void give_slot(struct s3_request *r)
{
    if (!r->has_slot)
        return;
    r->has_slot = false;
    s3_client_give_slot(r->client);
}

/* Nothing calls back any more; what the answer points to lives until the loop's next turn. */
static void end(struct s3_request *r)
{
    http_multi_remove(&r->transfer);
    s3_connect_forget(r);
    s3_client_leave(r->client, &r->waiter);
    s3_client_leave_credentials(r->client, &r->credentials);
    give_slot(r);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

static uint64_t now_ms(const struct s3_request *r)
{
    return uv_now(s3_client_loop(r->client));
}

/* The last attempt's error and what was tried, as the one line that the person will see. */
static void fail(struct s3_request *r, const struct err *why)
{
    struct err e = *why;
    const unsigned long long seconds = (now_ms(r) - r->start_ms + MS_PER_S / 2) / MS_PER_S;

    if (r->attempts > 1)
        (void)err_set(&e, why->kind, why->domain, why->code, "%.400s (%u attempts over %llu s)", why->text, r->attempts,
                seconds);
    end(r);
    r->on_done(r->ctx, NULL, &e);
}

static void succeed(struct s3_request *r)
{
    end(r);
    r->on_done(r->ctx, &r->response, NULL);
}

static void on_turn(uv_timer_t *timer);

static void soon(struct s3_request *r, uint64_t ms)
{
    (void)uv_timer_start(&r->timer, on_turn, ms, 0);
}

/* A new byte makes everything as it was at the beginning. */
static void look_for_growth(struct s3_request *r)
{
    if (r->into_done <= r->into_most)
        return;
    r->backoff.attempt = 0;
    r->into_most = r->into_done;
    r->into_grew_ms = now_ms(r);
}

static bool may_try_again(struct s3_request *r, struct s3_retry *retry)
{
    const unsigned max_attempts = s3_client_conf(r->client)->max_attempts;
    uint64_t waited;

    if (!r->patience_ms) {
        retry->max_attempts = max_attempts;
        return r->attempts < max_attempts;
    }
    if (r->into)
        look_for_growth(r);
    else if (r->attempts == 1)
        r->into_grew_ms = now_ms(r);
    waited = now_ms(r) - r->into_grew_ms;
    retry->left_ms = waited < r->patience_ms ? r->patience_ms - waited : 0;
    if (retry->left_ms == 0 && !r->into)
        retry->max_attempts = max_attempts;
    return retry->left_ms > 0 || r->attempts < retry->max_attempts;
}

/* After an attempt that failed for a time. */
static void wait_or_fail(struct s3_request *r, const struct err *why)
{
    struct s3_retry retry = {.why = why, .attempts = r->attempts};

    if (!may_try_again(r, &retry)) {
        fail(r, why);
        return;
    }
    retry.wait_ms = backoff_next(&r->backoff, randombytes_random());
    if (retry.wait_ms < r->answer.retry_after_s * (uint64_t)MS_PER_S)
        retry.wait_ms = r->answer.retry_after_s * (uint64_t)MS_PER_S;
    r->fresh = false;
    soon(r, retry.wait_ms);
    if (r->on_retry)
        r->on_retry(r->ctx, &retry);
}

static void conclude(struct s3_request *r, enum s3_attempt_end what, const struct err *why)
{
    (void)uv_timer_stop(&r->timer);
    s3_connect_forget(r);
    give_slot(r);
    switch (what) {
    case S3_ATTEMPT_DONE:
        succeed(r);
        return;
    case S3_ATTEMPT_FAILED:
        fail(r, why);
        return;
    case S3_ATTEMPT_AGAIN:
        wait_or_fail(r, why);
        return;
    case S3_ATTEMPT_AT_ONCE:
        soon(r, 0);
        return;
    }
}

static void on_curl_done(struct http_multi_transfer *t, CURLcode code)
{
    struct s3_request *r = CONTAINER_OF(t, struct s3_request, transfer);
    struct err e = ERR_INIT;

    if (!s3_connect_is_wanted(r, code))
        conclude(r, s3_attempt_end(r, code, &e), &e);
    else if (s3_connect_start(r, &e) < 0)
        conclude(r, S3_ATTEMPT_FAILED, &e);
}

/* What keeps an attempt from its beginning passes where it is the credentials that could not be fetched. */
static enum s3_attempt_end not_begun(const struct err *why)
{
    return err_is_transient(why) ? S3_ATTEMPT_AGAIN : S3_ATTEMPT_FAILED;
}

void s3_request_connected(struct s3_request *r, const struct err *err)
{
    struct err e = ERR_INIT;

    if (err)
        conclude(r, S3_ATTEMPT_AGAIN, err);
    else if (s3_attempt_start(r, &e) < 0)
        conclude(r, not_begun(&e), &e);
}

static void on_curl_progress(struct http_multi_transfer *t)
{
    struct s3_request *r = CONTAINER_OF(t, struct s3_request, transfer);
    uint64_t bytes = r->sent;

    if (r->method == S3_GET)
        bytes = r->into ? r->into_done - r->into_begun : r->answer_body.len;
    r->on_progress(r->ctx, bytes);
}

static void on_look(uv_timer_t *timer)
{
    struct s3_request *r = CONTAINER_OF(timer, struct s3_request, timer);
    struct err e = ERR_INIT;

    if (!s3_attempt_stalled(r)) {
        (void)uv_timer_start(&r->timer, on_look, s3_attempt_look_ms(r), 0);
        return;
    }
    http_multi_remove(&r->transfer);
    conclude(r, s3_attempt_end(r, CURLE_OPERATION_TIMEDOUT, &e), &e);
}

static void begin_attempt(struct s3_request *r)
{
    struct err e = ERR_INIT;

    r->attempts++;
    r->dialed = false;
    r->address.sa.sa_family = AF_UNSPEC;
    if (s3_attempt_start(r, &e) < 0) {
        conclude(r, not_begun(&e), &e);
        return;
    }
    if (s3_client_conf(r->client)->stall_timeout_ms > 0)
        (void)uv_timer_start(&r->timer, on_look, s3_attempt_look_ms(r), 0);
}

static void on_begin(uv_timer_t *timer)
{
    begin_attempt(CONTAINER_OF(timer, struct s3_request, timer));
}

static void on_credentials(struct wait_link *w)
{
    struct s3_request *r = CONTAINER_OF(w, struct s3_request, credentials);

    (void)uv_timer_start(&r->timer, on_begin, 0, 0);
}

/* With a slot. What is signed with is taken when it is signed, and may have to be fetched before. */
static void attempt(struct s3_request *r)
{
    if (!s3_client_wait_for_credentials(r->client, &r->credentials))
        begin_attempt(r);
}

static void on_attempt(uv_timer_t *timer)
{
    attempt(CONTAINER_OF(timer, struct s3_request, timer));
}

static void on_slot(struct s3_client_waiter *w)
{
    struct s3_request *r = CONTAINER_OF(w, struct s3_request, waiter);

    r->has_slot = true;
    (void)uv_timer_start(&r->timer, on_attempt, 0, 0);
}

static void on_turn(uv_timer_t *timer)
{
    struct s3_request *r = CONTAINER_OF(timer, struct s3_request, timer);

    r->has_slot = s3_client_take_slot(r->client, &r->waiter);
    if (r->has_slot)
        attempt(r);
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static int copy_headers(struct s3_request *r, const struct s3_request_spec *spec, struct err *e)
{
    if (spec->n_headers == 0)
        return 0;
    if (spec->n_headers > HEADERS_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "more than %d headers in a request", HEADERS_MAX);
    r->headers = calloc(spec->n_headers, sizeof(r->headers[0]));
    if (!r->headers)
        return no_memory(e);
    r->n_headers = spec->n_headers;
    for (size_t i = 0; i < spec->n_headers; i++) {
        r->headers[i].name = strdup(spec->headers[i].name);
        r->headers[i].value = strdup(spec->headers[i].value);
        if (!r->headers[i].name || !r->headers[i].value)
            return no_memory(e);
    }
    return 0;
}

static int copy_text(char **out, const char *text, struct err *e)
{
    if (!text)
        return 0;
    *out = strdup(text);
    return *out ? 0 : no_memory(e);
}

/* https://host/path?query, of the same strings that are signed. */
static int make_url(struct s3_request *r, const struct s3_request_spec *spec, struct err *e)
{
    const struct s3_url_target *target = s3_client_target(r->client);
    const size_t base_len = strlen(target->base);

    r->path = BUF_INIT(PATH_LIMIT);
    r->query = BUF_INIT(QUERY_LIMIT);
    r->url = BUF_INIT(PATH_LIMIT + QUERY_LIMIT + 1024);
    if (s3_url_path(&r->path, target, spec->key, e) < 0 || s3_url_query(&r->query, spec->query, spec->n_query, e) < 0)
        return -1;
    if (buf_append(&r->url, target->base, base_len, e) < 0 || buf_append(&r->url, r->path.data, r->path.len - 1, e) < 0)
        return -1;
    if (r->query.len > 1 && buf_append(&r->url, "?", 1, e) < 0)
        return -1;
    return buf_append(&r->url, r->query.data, r->query.len, e);
}

static int check_into(const struct s3_request_spec *spec, struct err *e)
{
    if (!spec->into)
        return 0;
    if (spec->method != S3_GET || spec->into_len == 0 || spec->range_start > UINT64_MAX - spec->into_len)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a range that cannot be read");
    return 0;
}

static int copy_spec(struct s3_request *r, const struct s3_request_spec *spec, struct err *e)
{
    if (check_into(spec, e) < 0)
        return -1;
    r->method = spec->method;
    r->body = spec->body;
    r->send_rate = spec->send_rate;
    r->with_md5 = spec->with_md5;
    r->into = spec->into;
    r->into_len = spec->into_len;
    r->range_start = spec->range_start;
    r->patience_ms = spec->patience_ms;
    r->is_bucket = !spec->key;
    r->right = s3_right_of(spec->method, r->is_bucket, spec->query, spec->n_query);
    r->body_limit_is_integrity = spec->body_limit > 0;
    r->body_limit = spec->body_limit > 0 && spec->body_limit < S3_BODY_LIMIT ? spec->body_limit : S3_BODY_LIMIT;
    r->ctx = spec->ctx;
    r->on_done = spec->on_done;
    r->on_retry = spec->on_retry;
    r->on_progress = spec->on_progress;
    if (make_url(r, spec, e) < 0 || copy_headers(r, spec, e) < 0 || copy_text(&r->if_match, spec->if_match, e) < 0)
        return -1;
    return copy_text(&r->key, spec->key, e) < 0 ? -1 : copy_text(&r->fine_code, spec->fine_code, e);
}

struct s3_request *s3_request_start(struct s3_client *c, const struct s3_request_spec *spec, struct err *e)
{
    _cleanup_(cleanup_destroy) struct s3_request *r = calloc(1, sizeof(*r));
    const struct s3_conf *conf = s3_client_conf(c);

    if (!r) {
        (void)no_memory(e);
        return NULL;
    }
    r->client = c;
    r->ready_fd = -1;
    r->answer_body = BUF_INIT(S3_BODY_LIMIT);
    if (copy_spec(r, spec, e) < 0)
        return NULL;
    r->transfer.on_done = on_curl_done;
    r->transfer.on_progress = on_curl_progress;
    r->waiter.on_slot = on_slot;
    r->credentials.on_ready = on_credentials;
    r->backoff = (struct backoff){.initial_ms = conf->retry_min_ms, .max_ms = conf->retry_max_ms};
    if (r->patience_ms && r->backoff.max_ms > PATIENT_WAIT_MAX_MS)
        r->backoff.max_ms = PATIENT_WAIT_MAX_MS;
    r->start_ms = r->into_grew_ms = now_ms(r);
    (void)uv_timer_init(s3_client_loop(c), &r->timer);
    soon(r, 0);
    return TAKE_PTR(r);
}

void s3_request_hurry(struct s3_request *r)
{
    r->patience_ms = 0;
}

void s3_request_cancel(struct s3_request *r)
{
    end(r);
}
