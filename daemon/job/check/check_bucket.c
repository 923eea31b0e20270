#include "job/check/check_bucket.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "job/bucket/listing.h"
#include "job/check/check_bucket_inside.h"
#include "s3/request.h"

static void go_on(struct check_bucket *b);

static void on_answer(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct check_bucket *b = ctx;

    b->request = NULL;
    check_judge(b, res, err);
    if (b->step == DELETE_VERSION && b->n_versions)
        b->n_versions--;
    if (!(b->step == DELETE_VERSION && b->n_versions))
        b->step++;
    go_on(b);
}

/* ---- listings ---- */

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    struct check_bucket *b = ctx;

    (void)o, (void)e;
    b->objects++;
    return 0;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    struct check_bucket *b = ctx;

    (void)e;
    b->is_seen = b->is_seen || strcmp(u->upload_id, b->upload_id) == 0;
    return 0;
}

static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    struct check_bucket *b = ctx;

    (void)e;
    if (strcmp(v->key, b->name) == 0 && b->n_versions < VERSIONS_MAX)
        (void)snprintf(b->versions[b->n_versions++], VERSION_ID_MAX, "%s", v->version_id);
    return 0;
}

static void on_listed(void *ctx, const struct err *err)
{
    struct check_bucket *b = ctx;

    b->listing = NULL;
    check_judge_listing(b, err);
    /* What is not a missing right (no network, no bucket, a wrong key) is the same for all that follows. */
    b->step = b->step == LIST && err && !check_is_right(err) ? N_STEPS : b->step + 1;
    go_on(b);
}

/* ---- the steps ---- */

static bool may_put(const struct check_bucket *b)
{
    return b->may_delete && !b->locks && (!b->keeps_versions || b->may_delete_versions);
}

static bool is_wanted(struct check_bucket *b)
{
    if (b->is_ending && b->step != ABORT && b->step < DELETE)
        return false;
    switch (b->step) {
    case DELETE_NO_VERSION:
        return b->keeps_versions;
    case CREATE:
        return b->may_abort;
    case LIST_UPLOADS:
    case ABORT:
        return b->has_created;
    case PUT:
        if (!may_put(b))
            WARN(b, "read", "restore, verify", "not tried: what would be written for it could not be taken away again");
        return may_put(b) && (b->has_created || !b->may_abort);
    case PUT_AGAIN:
    case GET:
    case RANGE:
    case DELETE:
        return b->is_stored;
    case LIST_VERSIONS:
        return b->is_stored && b->keeps_versions;
    case DELETE_VERSION:
        return b->n_versions > 0;
    default:
        return true;
    }
}

static struct s3_request *ask_bucket(struct check_bucket *b, const char *what, const char *fine, struct err *e)
{
    const struct s3_param query = {what, ""};

    return s3_request_start(b->client,
            &(struct s3_request_spec){
                    .method = S3_GET, .query = &query, .n_query = 1, .fine_code = fine, .ctx = b, .on_done = on_answer},
            e);
}

static struct s3_request *put(struct check_bucket *b, bool is_new, struct err *e)
{
    return s3_put(b->client,
            &(struct s3_put_spec){.key = b->name,
                    .body = {(const uint8_t *)CHECK_CONTENT, strlen(CHECK_CONTENT)},
                    .if_none_match = is_new,
                    .ctx = b,
                    .on_done = on_answer},
            e);
}

static struct s3_request *create(struct check_bucket *b, struct err *e)
{
    static const struct s3_param query = {"uploads", ""};

    return s3_request_start(b->client,
            &(struct s3_request_spec){
                    .method = S3_POST, .key = b->name, .query = &query, .n_query = 1, .ctx = b, .on_done = on_answer},
            e);
}

static struct s3_request *get_range(struct check_bucket *b, struct err *e)
{
    return s3_request_start(b->client,
            &(struct s3_request_spec){.method = S3_GET,
                    .key = b->name,
                    .into = b->range,
                    .into_len = RANGE_LEN,
                    .range_start = RANGE_FIRST,
                    .ctx = b,
                    .on_done = on_answer},
            e);
}

static struct s3_request *start_request(struct check_bucket *b, struct err *e)
{
    switch (b->step) {
    case VERSIONING:
        return ask_bucket(b, "versioning", NULL, e);
    case LOCK:
        return ask_bucket(b, "object-lock",
                "ObjectLockConfigurationNotFoundError NoSuchObjectLockConfiguration InvalidRequest", e);
    case LIFECYCLE:
        return ask_bucket(b, "lifecycle", "NoSuchLifecycleConfiguration", e);
    case DELETE_NO_VERSION:
        return s3_delete_version(b->client, b->name, "null", b, on_answer, e);
    case ABORT_NOTHING:
        return s3_abort(b->client, b->name, "no-such-upload", b, on_answer, e);
    case CREATE:
        return create(b, e);
    case ABORT:
        return s3_abort(b->client, b->name, b->upload_id, b, on_answer, e);
    case PUT:
    case PUT_AGAIN:
        return put(b, b->step == PUT_AGAIN, e);
    case GET:
        return s3_get(b->client,
                &(struct s3_get_spec){.key = b->name, .limit = sizeof(CHECK_CONTENT), .ctx = b, .on_done = on_answer},
                e);
    case RANGE:
        return get_range(b, e);
    case DELETE_VERSION:
        return s3_delete_version(b->client, b->name, b->versions[b->n_versions - 1], b, on_answer, e);
    default:
        return s3_delete(b->client, b->name, b, on_answer, e);
    }
}

static struct s3_listing *start_listing(struct check_bucket *b, struct err *e)
{
    struct s3_listing_spec spec = {.prefix = b->name, .ctx = b, .on_done = on_listed};

    spec.on_object = on_object;
    spec.on_unfinished = on_unfinished;
    spec.on_version = on_version;
    if (b->step == LIST)
        return listing_pages(b->core, s3_list_objects, spec, e);
    return b->step == LIST_UPLOADS ? s3_list_unfinished(b->client, &spec, e) : s3_list_versions(b->client, &spec, e);
}

static void go_on(struct check_bucket *b)
{
    struct err e = ERR_INIT;

    while (b->step < N_STEPS && !is_wanted(b))
        b->step++;
    if (b->step == N_STEPS) {
        if (b->may_delete || b->may_abort)
            check_judge_clock(b);
        b->on_done(b->ctx);
        return;
    }
    if (b->step == LIST || b->step == LIST_UPLOADS || b->step == LIST_VERSIONS)
        b->listing = start_listing(b, &e);
    else
        b->request = start_request(b, &e);
    if (b->listing || b->request)
        return;
    FAIL(b, "look", "", "%s", e.text);
    b->on_done(b->ctx);
}

struct check_bucket *check_bucket_start(
        struct core *core, struct check_report *report, void *ctx, void (*on_done)(void *ctx), struct err *e)
{
    _cleanup_(cleanup_check_bucket_free) struct check_bucket *b = calloc(1, sizeof(*b));
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1];

    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
    if (!b || asprintf(&b->name, "%s-check-%s", core_conf(core)->s3.objects_prefix, hex) < 0) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    b->core = core;
    b->report = report;
    b->ctx = ctx;
    b->on_done = on_done;
    b->client = core_s3(core, e);
    if (!b->client || !(b->listing = start_listing(b, e)))
        return NULL;
    return TAKE_PTR(b);
}

void check_bucket_stop(struct check_bucket *b)
{
    b->is_ending = true;
}

void check_bucket_free(struct check_bucket *b)
{
    if (!b)
        return;
    if (b->listing)
        s3_listing_cancel(b->listing);
    if (b->request)
        s3_request_cancel(b->request);
    free(b->name);
    free(b);
}
