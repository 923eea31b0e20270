#include "s3/upload_store.h"

#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"

/* A Date header is cut to the second, and was written before we read it. */
enum { CLOCK_SLACK_S = 2 };

int upload_store_init(struct upload_store *s, struct s3_client *c, const struct s3_upload_spec *spec, struct err *e)
{
    *s = (struct upload_store){
            .client = c,
            .key = strdup(spec->key),
            .started = timestamp_now(),
            .outage_ms = spec->outage_ms,
            .answered_ms = uv_now(s3_client_loop(c)),
            .ctx = spec->ctx,
            .on_retry = spec->on_retry,
    };
    return s->key ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
}

void upload_store_reset(struct upload_store *s)
{
    free(TAKE_PTR(s->key));
}

uv_loop_t *upload_store_loop(const struct upload_store *s)
{
    return s3_client_loop(s->client);
}

uint64_t upload_store_patience(const struct upload_store *s)
{
    const uint64_t silent = uv_now(upload_store_loop(s)) - s->answered_ms;

    if (s->hurried)
        return 0;
    if (!s->leaving)
        return s->outage_ms;
    return silent < s->outage_ms ? s->outage_ms - silent : 0;
}

bool upload_store_since_start(const struct upload_store *s, int64_t instant)
{
    return instant >= s->started + s3_client_clock_skew(s->client) - CLOCK_SLACK_S;
}

bool upload_store_is_ours(const struct upload_store *s, const struct parts *parts, const struct s3_response *head)
{
    return head->content_length == parts_size(parts) &&
           (parts_match_etag(parts, head->etag) ||
                   (head->last_modified && upload_store_since_start(s, head->last_modified)));
}

void upload_store_saw(struct upload_store *s, const char *etag)
{
    (void)snprintf(s->etag, sizeof(s->etag), "%s", etag);
}

void upload_store_tell_retry(struct upload_store *s, const struct s3_retry *retry)
{
    const uint64_t now = uv_now(upload_store_loop(s));

    if (!s->on_retry || retry->attempts <= UPLOAD_RETRIES_UNTOLD ||
            (s->told_ms && now - s->told_ms < UPLOAD_RETRY_TOLD_MS))
        return;
    s->told_ms = now;
    s->on_retry(s->ctx, retry);
}

static void on_call_retry(void *ctx, const struct s3_retry *retry)
{
    struct upload_call *call = ctx;

    upload_store_tell_retry(call->store, retry);
}

static void on_call_done(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_call *call = ctx;

    call->request = NULL;
    if (res) {
        call->store->answered_ms = uv_now(upload_store_loop(call->store));
        call->store->retries += res->attempts - 1;
    }
    call->on_done(call->ctx, res, err);
}

int upload_call_start_within(struct upload_call *call, struct s3_request_spec spec, uint64_t patience_ms, struct err *e)
{
    spec.key = call->store->key;
    spec.patience_ms = patience_ms;
    spec.ctx = call;
    spec.on_retry = on_call_retry;
    spec.on_done = on_call_done;
    call->request = s3_request_start(call->store->client, &spec, e);
    return call->request ? 0 : -1;
}

int upload_call_start(struct upload_call *call, struct s3_request_spec spec, struct err *e)
{
    return upload_call_start_within(call, spec, upload_store_patience(call->store), e);
}

bool upload_call_is_under_way(const struct upload_call *call)
{
    return call->request != NULL;
}

void upload_call_hurry(struct upload_call *call)
{
    if (call->request)
        s3_request_hurry(call->request);
}

void upload_call_cancel(struct upload_call *call)
{
    if (call->request)
        s3_request_cancel(TAKE_PTR(call->request));
}
