#include "job/check/check_bucket.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "job/bucket/listing.h"
#include "s3/object.h"
#include "s3/request.h"
#include "s3/xml.h"

enum { SKEW_MAX_S = 300, VERSIONS_MAX = 8, VERSION_ID_MAX = 1024, RANGE_FIRST = 5, RANGE_LEN = 4 };

static const char content[] = "etcd-backupd looks whether it may write here, and takes this away again.\n";

/* In this order. */
enum step {
    LIST,
    VERSIONING,
    LOCK,
    LIFECYCLE,
    DELETE_NOTHING,
    DELETE_NO_VERSION,
    ABORT_NOTHING,
    CREATE,
    LIST_UPLOADS,
    ABORT,
    PUT,
    PUT_AGAIN,
    GET,
    RANGE,
    DELETE,
    LIST_VERSIONS,
    DELETE_VERSION,
    N_STEPS
};

struct check_bucket {
    struct core *core;
    struct check_report *report;
    struct s3_client *client;
    struct s3_request *request;
    struct s3_listing *listing;
    enum step step;
    char *name; /* of what is tried */
    char upload_id[XML_UPLOAD_ID_MAX];
    uint64_t objects;
    bool is_seen; /* the upload, in the list of them */
    bool keeps_versions, locks;
    bool may_delete, may_delete_versions, may_abort;
    bool is_stored, has_created;
    bool is_ending; /* what was made is taken away, and no more */
    char versions[VERSIONS_MAX][VERSION_ID_MAX];
    unsigned n_versions;
    uint8_t range[RANGE_LEN];
    void *ctx;
    void (*on_done)(void *ctx);
};

static const char subject[] = "bucket";

#define OK(b, what, ...)            check_report_add((b)->report, FINDING_OK, subject, what, "", __VA_ARGS__)
#define WARN(b, what, affects, ...) check_report_add((b)->report, FINDING_WARNING, subject, what, affects, __VA_ARGS__)
#define FAIL(b, what, affects, ...) check_report_add((b)->report, FINDING_FAILS, subject, what, affects, __VA_ARGS__)

static void go_on(struct check_bucket *b);

/* What prune needs fails nothing where nothing is pruned. */
static void fail_of_prune(struct check_bucket *b, const char *what, const struct err *err)
{
    if (core_conf(b->core)->prune.max_age_ms)
        FAIL(b, what, "prune", "%s", err->text);
    else
        WARN(b, what, "prune", "%s", err->text);
}

/* Only a right is missing, and other things may be allowed. */
static bool is_right(const struct err *err)
{
    return strstr(err->text, ", which needs s3:") != NULL;
}

static bool has(struct bytes body, const char *word)
{
    return body.len && memmem(body.data, body.len, word, strlen(word));
}

/* ---- what came of each step ---- */

static void on_versioning(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    char status[XML_VERSIONING_MAX] = "";
    struct err ignored = ERR_INIT;

    if (err) {
        WARN(b, "versions", "prune, rotate-key", "nobody knows whether it keeps old versions: %s", err->text);
        return;
    }
    (void)xml_parse_versioning(res->body, status, &ignored);
    b->keeps_versions = status[0] != '\0';
    OK(b, "versions",
            b->keeps_versions ? "it keeps old versions: what prune deletes frees nothing until they go by a "
                                "lifecycle rule for noncurrent versions"
                              : "none are kept");
}

static void on_lock(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    if (err) {
        WARN(b, "lock", "prune", "nobody knows whether objects come under retention: %s", err->text);
        return;
    }
    b->locks = res->status == 200 && has(res->body, "<DefaultRetention>");
    OK(b, "lock",
            b->locks ? "what is put comes under retention: prune deletes it when that is over"
                     : "no retention by default");
}

static void on_lifecycle(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    if (err)
        WARN(b, "lifecycle", "restore", "nobody knows whether the store deletes by itself: %s", err->text);
    else if (res->status == 200 && has(res->body, "<Expiration>") && has(res->body, "Enabled"))
        WARN(b, "lifecycle", "restore, prune",
                "a rule deletes objects by their age: it may take the last good backup; prune keeps those that count");
    else if (res->status == 200 && (has(res->body, "GLACIER") || has(res->body, "DEEP_ARCHIVE")))
        WARN(b, "lifecycle", "restore, verify",
                "a rule moves objects to an archive, where they cannot be read at once");
    else
        OK(b, "lifecycle", "no rule deletes backups");
}

static void on_delete_nothing(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    b->may_delete = !err;
    if (err)
        fail_of_prune(b, "delete", err);
    else
        OK(b, "delete", "allowed");
}

static void on_delete_no_version(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    b->may_delete_versions = !err || !is_right(err);
    if (b->may_delete_versions)
        OK(b, "delete versions", "allowed");
    else
        WARN(b, "delete versions", "rotate-key", "rotate-key --purge-versions cannot: %s", err->text);
}

static void on_abort_nothing(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    b->may_abort = !err;
    if (err)
        fail_of_prune(b, "abort uploads", err);
    else
        OK(b, "abort uploads", "allowed");
}

static void on_create(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    struct err e = err ? *err : ERR_INIT;

    if (!err)
        (void)xml_parse_upload_id(res->body, b->upload_id, &e);
    b->has_created = b->upload_id[0] != '\0';
    if (b->has_created)
        OK(b, "write", "allowed, in parts");
    else
        FAIL(b, "write", "backup", "%s", e.text);
}

static void on_abort(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err)
        WARN(b, "abort uploads", "prune", "the upload %s of %s is left there: %s", b->upload_id, b->name, err->text);
}

static void on_put(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    b->is_stored = !err;
    if (err)
        FAIL(b, "write", "backup", "%s", err->text);
    else if (!b->has_created)
        OK(b, "write", "allowed");
}

static void on_put_again(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err && err->domain == ERR_DOMAIN_HTTP && (err->code == 412 || err->code == 409))
        OK(b, "write if none is there", "the store keeps to it");
    else if (err)
        WARN(b, "write if none is there", "backup", "the store does not know it: %s", err->text);
    else
        WARN(b, "write if none is there", "backup",
                "the store forgets the condition%s: two daemons that begin in one second rely on their claims alone",
                b->keeps_versions ? ", as Ceph 16 does in a bucket with versions" : "");
}

static void on_get(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    if (err)
        FAIL(b, "read", "restore, verify", "%s", err->text);
    else if (res->body.len != strlen(content) || memcmp(res->body.data, content, strlen(content)) != 0)
        FAIL(b, "read", "restore, verify", "what was written comes back as something else");
    else
        OK(b, "read", "allowed");
}

static void on_range(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err && is_right(err))
        return; /* said already */
    if (err)
        FAIL(b, "read a part", "restore, verify", "%s", err->text);
    else if (memcmp(b->range, content + RANGE_FIRST, RANGE_LEN) != 0)
        FAIL(b, "read a part", "restore, verify",
                "the store, or a cache before it, gives another part than it is asked for");
    else
        OK(b, "read a part", "the store keeps to it");
}

static void on_delete(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err)
        WARN(b, "delete", "prune", "%s is left there: %s", b->name, err->text);
}

static void (*const judges[N_STEPS])(struct check_bucket *b, const struct s3_response *res, const struct err *err) = {
        [VERSIONING] = on_versioning,
        [LOCK] = on_lock,
        [LIFECYCLE] = on_lifecycle,
        [DELETE_NOTHING] = on_delete_nothing,
        [DELETE_NO_VERSION] = on_delete_no_version,
        [ABORT_NOTHING] = on_abort_nothing,
        [CREATE] = on_create,
        [ABORT] = on_abort,
        [PUT] = on_put,
        [PUT_AGAIN] = on_put_again,
        [GET] = on_get,
        [RANGE] = on_range,
        [DELETE] = on_delete,
        [DELETE_VERSION] = on_delete,
};

static void on_answer(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct check_bucket *b = ctx;

    b->request = NULL;
    judges[b->step](b, res, err);
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

static void judge_listing(struct check_bucket *b, const struct err *err)
{
    if (b->step == LIST && err)
        FAIL(b, "list", is_right(err) ? "restore, prune" : "backup, restore, prune", "%s", err->text);
    else if (b->step == LIST)
        OK(b, "list", "%" PRIu64 " objects with our prefix", b->objects);
    else if (b->step == LIST_UPLOADS && err)
        fail_of_prune(b, "list uploads", err);
    else if (b->step == LIST_UPLOADS && !b->is_seen)
        WARN(b, "list uploads", "prune", "the store does not show an upload that has just begun");
    else if (b->step == LIST_UPLOADS)
        OK(b, "list uploads", "allowed");
    else if (err)
        WARN(b, "list versions", "rotate-key", "old versions of %s are left there: %s", b->name, err->text);
}

static void on_listed(void *ctx, const struct err *err)
{
    struct check_bucket *b = ctx;

    b->listing = NULL;
    judge_listing(b, err);
    /* What is not a missing right (no network, no bucket, a wrong key) is the same for all that follows. */
    b->step = b->step == LIST && err && !is_right(err) ? N_STEPS : b->step + 1;
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
                    .body = {(const uint8_t *)content, strlen(content)},
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
                &(struct s3_get_spec){.key = b->name, .limit = sizeof(content), .ctx = b, .on_done = on_answer}, e);
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

static void tell_clock(const struct check_bucket *b)
{
    const int64_t skew = s3_client_clock_skew(b->client);

    if (skew > SKEW_MAX_S || skew < -SKEW_MAX_S)
        WARN(b, "clock", "backup, prune", "ours and the store's differ by %" PRId64 " s: backups are named by ours",
                skew);
    else
        OK(b, "clock", "as the store's, to %" PRId64 " s", skew < 0 ? -skew : skew);
}

static void go_on(struct check_bucket *b)
{
    struct err e = ERR_INIT;

    while (b->step < N_STEPS && !is_wanted(b))
        b->step++;
    if (b->step == N_STEPS) {
        if (b->may_delete || b->may_abort)
            tell_clock(b);
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
