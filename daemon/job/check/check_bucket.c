#include "job/check/check_bucket.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/bucket/listing.h"
#include "job/check/check_bucket_inside.h"
#include "s3/request.h"

enum { LOCK_TRIED_S = 3600 };

static void go_on(struct check_bucket *b);

/* The same again, while there are more to be taken away. */
static void end_step(struct check_bucket *b)
{
    const bool is_of_many = b->step == ABORT || b->step == DELETE_VERSION;

    if (is_of_many)
        b->n_ids--;
    if (!is_of_many || !b->n_ids)
        b->step++;
}

static void on_answer(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct check_bucket *b = ctx;

    b->request = NULL;
    check_judge(b, res, err);
    end_step(b);
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

static void take_away(struct check_bucket *b, const char *id)
{
    if (b->n_ids < IDS_MAX)
        (void)snprintf(b->ids[b->n_ids++], ID_MAX, "%s", id);
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    struct check_bucket *b = ctx;

    (void)e;
    if (strcmp(u->key, b->name) != 0)
        return 0;
    if (strcmp(u->upload_id, b->upload_id) == 0)
        b->is_seen = true;
    else
        take_away(b, u->upload_id); /* of an attempt whose answer was lost */
    return 0;
}

static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    struct check_bucket *b = ctx;

    (void)e;
    if (b->step == LIST_VERSIONS && strcmp(v->key, b->name) == 0)
        take_away(b, v->version_id);
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

static bool has_tried(const struct check_bucket *b, enum step step)
{
    return b->tried & 1u << step;
}

/* Whether something may be there that was not before. */
static bool has_made(const struct check_bucket *b)
{
    return has_tried(b, CREATE) || has_tried(b, PUT) || (b->keeps_versions && has_tried(b, DELETE_NOTHING));
}

static bool takes_away(enum step step)
{
    return step == LIST_UPLOADS || step == ABORT || step >= DELETE;
}

/* What a delete leaves there is a version, too. */
static bool may_delete_object(const struct check_bucket *b)
{
    return !b->keeps_versions || (b->may_list_versions && b->may_delete_versions);
}

/* Passed over, and that is told. */
static bool is_not_tried(struct check_bucket *b)
{
    const bool is_delete = b->step == DELETE_NOTHING;

    if (is_delete ? may_delete_object(b) : b->may_delete && !b->locks)
        return false;
    if (is_delete)
        WARN(b, "delete", "prune",
                "not tried: the mark that it leaves where versions are kept could not be taken away again");
    else
        WARN(b, "read", "restore, verify", "not tried: what would be written for it could not be taken away again");
    return true;
}

static bool is_wanted(struct check_bucket *b)
{
    if (b->is_ending && (!takes_away(b->step) || (b->step == LIST_UPLOADS && b->is_upload_sure)))
        return false;
    switch (b->step) {
    case LOCK_NOTHING:
        return check_wants_lock(b) && b->has_lock;
    case LIST_NO_VERSIONS:
    case DELETE_NO_VERSION:
        return b->keeps_versions;
    case DELETE_NOTHING:
        return !is_not_tried(b);
    case CREATE:
        return b->may_abort;
    case LIST_UPLOADS:
        return has_tried(b, CREATE);
    case LIST_PARTS: /* of an upload that is there: Ceph says of another that it is not, whoever asks */
        return b->has_created && !b->hides_uploads;
    case ABORT:
    case DELETE_VERSION:
        return b->n_ids > 0;
    case PUT:
        return !is_not_tried(b) && (b->has_created || !b->may_abort);
    case PUT_AGAIN:
    case GET:
    case RANGE:
        return b->is_stored;
    case DELETE:
        return has_tried(b, PUT);
    case LIST_VERSIONS:
        return b->keeps_versions && (has_tried(b, PUT) || has_tried(b, DELETE_NOTHING));
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

/* Of what is not there. */
static struct s3_request *lock_nothing(struct check_bucket *b, struct err *e)
{
    static const struct s3_param query = {"retention", ""}, type = {"content-type", "application/xml"};
    const struct s3_lock lock = {S3_LOCK_GOVERNANCE, timestamp_now() + s3_client_clock_skew(b->client) + LOCK_TRIED_S};

    return s3_request_start(b->client,
            &(struct s3_request_spec){.method = S3_PUT,
                    .key = b->name,
                    .query = &query,
                    .n_query = 1,
                    .headers = &type,
                    .n_headers = 1,
                    .body = {(const uint8_t *)b->lock_body, s3_lock_body(&lock, b->lock_body)},
                    .with_md5 = true,
                    .ctx = b,
                    .on_done = on_answer},
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
    case LOCK_NOTHING:
        return lock_nothing(b, e);
    case DELETE_NO_VERSION:
        return s3_delete_version(b->client, b->name, "null", b, on_answer, e);
    case ABORT_NOTHING:
        return s3_abort(b->client, b->name, "no-such-upload", b, on_answer, e);
    case CREATE:
        return create(b, e);
    case LIST_PARTS:
        return s3_list_parts(b->client, b->name, b->upload_id, 0, b, on_answer, e);
    case ABORT:
        return s3_abort(b->client, b->name, b->ids[b->n_ids - 1], b, on_answer, e);
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
        return s3_delete_version(b->client, b->name, b->ids[b->n_ids - 1], b, on_answer, e);
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

static bool is_listing(enum step step)
{
    return step == LIST || step == LIST_NO_VERSIONS || step == LIST_UPLOADS || step == LIST_VERSIONS;
}

static int start_step(struct check_bucket *b, struct err *e)
{
    if (is_listing(b->step))
        b->listing = start_listing(b, e);
    else
        b->request = start_request(b, e);
    if (!b->listing && !b->request)
        return -1;
    b->tried |= 1u << b->step;
    return 0;
}

/* Nothing is tried any more; but what was made is taken away, or named. */
static void judge_start(struct check_bucket *b, const struct err *err)
{
    if (!b->is_ending)
        FAIL(b, "look", "", "%s", err->text);
    b->is_ending = true;
    if (!takes_away(b->step))
        return;
    if (is_listing(b->step))
        check_judge_listing(b, err);
    else
        check_judge(b, NULL, err);
}

static void go_on(struct check_bucket *b)
{
    while (b->step < N_STEPS) {
        struct err e = ERR_INIT;

        if (!is_wanted(b)) {
            b->step++;
            continue;
        }
        if (start_step(b, &e) == 0)
            return;
        judge_start(b, &e);
        end_step(b);
    }
    if (b->may_delete || b->may_abort)
        check_judge_clock(b);
    b->on_done(b->ctx);
}

struct check_bucket *check_bucket_start(
        struct core *core, struct check_report *report, void *ctx, void (*on_done)(void *ctx), struct err *e)
{
    _cleanup_(cleanup_check_bucket_free) struct check_bucket *b = calloc(1, sizeof(*b));
    uint64_t random;

    if (!b) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    randombytes_buf(&random, sizeof(random));
    if (name_format_check(b->name, core_conf(core)->s3.objects_prefix, random, e) < 0)
        return NULL;
    b->core = core;
    b->report = report;
    b->ctx = ctx;
    b->on_done = on_done;
    b->client = core_s3(core, e);
    if (!b->client || !(b->listing = start_listing(b, e)))
        return NULL;
    return TAKE_PTR(b);
}

bool check_bucket_stop(struct check_bucket *b)
{
    b->is_ending = true;
    return has_made(b);
}

void check_bucket_free(struct check_bucket *b)
{
    if (!b)
        return;
    if (b->listing)
        s3_listing_cancel(b->listing);
    if (b->request)
        s3_request_cancel(b->request);
    free(b);
}
