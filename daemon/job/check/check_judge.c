#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "job/check/check_bucket_inside.h"

enum { SKEW_MAX_S = 300 };

/* What prune needs fails nothing where nothing is pruned. */
static void fail_of_prune(struct check_bucket *b, const char *what, const struct err *err)
{
    if (core_conf(b->core)->prune.max_age_ms)
        FAIL(b, what, "prune", "%s", err->text);
    else
        WARN(b, what, "prune", "%s", err->text);
}

bool check_is_right(const struct err *err)
{
    return strstr(err->text, ", which needs s3:") != NULL;
}

/* The store does not know what it was asked for, so it does not have it (s3/dialect.c). Whatever else fails leaves open
 * whether it does. */
static bool is_lacking(const struct err *err)
{
    return err->domain == ERR_DOMAIN_HTTP && (err->kind == ERR_CONFIG || err->kind == ERR_NOT_FOUND);
}

/* No more than an answer was lost. */
static bool may_have_happened(const struct err *err)
{
    return err->kind == ERR_TRANSIENT || err->kind == ERR_PROTOCOL;
}

static bool has(struct bytes body, const char *word)
{
    return body.len && memmem(body.data, body.len, word, strlen(word));
}

static void on_versioning(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    char status[XML_VERSIONING_MAX] = "";
    struct err e = ERR_INIT;

    if (!err && xml_parse_versioning(res->body, status, &e) < 0)
        err = &e;
    if (err) {
        b->keeps_versions = !is_lacking(err); /* what is made must go in any case */
        WARN(b, "versions", "prune, rotate-key", "nobody knows whether it keeps old versions: %s", err->text);
        return;
    }
    b->keeps_versions = status[0] != '\0';
    OK(b, "versions",
            b->keeps_versions ? "it keeps old versions: what prune deletes frees nothing until they go by a "
                                "lifecycle rule for noncurrent versions"
                              : "none are kept");
}

bool check_wants_lock(const struct check_bucket *b)
{
    return core_conf(b->core)->s3.object_lock.mode != CONF_LOCK_NONE;
}

static void on_lock(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    const bool is_document = !err && has(res->body, "<ObjectLockConfiguration");

    b->has_lock = err ? !is_lacking(err) : res->status == 200;
    if (check_wants_lock(b) && !b->has_lock)
        FAIL(b, "object lock", "backup, rotate-key",
                "s3_client.object_lock is asked for, but the bucket was not made with Object Lock");
    if (err) {
        b->locks = !is_lacking(err);
        WARN(b, "lock", "prune", "nobody knows whether objects come under retention: %s", err->text);
        return;
    }
    b->locks = res->status == 200 && (!is_document || has(res->body, "<DefaultRetention>"));
    if (res->status == 200 && !is_document) {
        WARN(b, "lock", "prune", "nobody knows whether objects come under retention: the answer cannot be read");
        return;
    }
    OK(b, "lock",
            b->locks ? "what is put comes under retention: prune deletes it when that is over"
                     : "no retention by default");
}

/* There is nothing that it could lock. */
static void on_lock_nothing(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (!err || err->kind == ERR_NOT_FOUND)
        OK(b, "object lock", "allowed");
    else
        FAIL(b, "object lock", "backup, rotate-key", "%s", err->text);
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
    b->may_delete_versions = !err || is_lacking(err);
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
    b->is_upload_sure = b->has_created ? res->attempts == 1 : !may_have_happened(&e);
    if (b->has_created)
        (void)snprintf(b->ids[b->n_ids++], ID_MAX, "%s", b->upload_id);
    if (b->has_created)
        OK(b, "write", "allowed, in parts");
    else
        FAIL(b, "write", "backup", "%s", e.text);
}

/* Prune aborts none of which it does not know whether it had a part lately. */
static void on_parts(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    struct s3_parts_page page;
    struct err e = err ? *err : ERR_INIT;

    if (!err && s3_parts_read(res, &page, &e) == 0) {
        OK(b, "list parts", "allowed");
        return;
    }
    err_prepend(&e, "unfinished uploads stay: ");
    fail_of_prune(b, "list parts", &e);
}

static void on_abort(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err)
        WARN(b, "abort uploads", "prune", "the upload %s of %s is left there: %s", b->ids[b->n_ids - 1], b->name,
                err->text);
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
    else if (res->body.len != strlen(CHECK_CONTENT) ||
             memcmp(res->body.data, CHECK_CONTENT, strlen(CHECK_CONTENT)) != 0)
        FAIL(b, "read", "restore, verify", "what was written comes back as something else");
    else
        OK(b, "read", "allowed");
}

static void on_range(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    (void)res;
    if (err && check_is_right(err))
        return; /* said already */
    if (err)
        FAIL(b, "read a part", "restore, verify", "%s", err->text);
    else if (memcmp(b->range, &CHECK_CONTENT[RANGE_FIRST], RANGE_LEN) != 0)
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
        [LOCK_NOTHING] = on_lock_nothing,
        [DELETE_NOTHING] = on_delete_nothing,
        [DELETE_NO_VERSION] = on_delete_no_version,
        [ABORT_NOTHING] = on_abort_nothing,
        [CREATE] = on_create,
        [LIST_PARTS] = on_parts,
        [ABORT] = on_abort,
        [PUT] = on_put,
        [PUT_AGAIN] = on_put_again,
        [GET] = on_get,
        [RANGE] = on_range,
        [DELETE] = on_delete,
        [DELETE_VERSION] = on_delete,
};

void check_judge(struct check_bucket *b, const struct s3_response *res, const struct err *err)
{
    judges[b->step](b, res, err);
}

static void judge_uploads(struct check_bucket *b, const struct err *err)
{
    b->hides_uploads = err && err->domain == ERR_DOMAIN_S3 && err->code == S3_FAULT_HIDES_UPLOADS;
    if (b->hides_uploads) /* prune leaves them to it */
        WARN(b, "list uploads", "rotate-key", "%s", err->text);
    else if (err)
        fail_of_prune(b, "list uploads", err);
    else if (b->has_created && !b->is_seen)
        WARN(b, "list uploads", "prune", "the store does not show an upload that has just begun");
    else
        OK(b, "list uploads", "allowed");
    if (err && !b->hides_uploads && !b->is_upload_sure)
        WARN(b, "abort uploads", "prune", "an upload of %s may be left there", b->name);
}

static void judge_no_versions(struct check_bucket *b, const struct err *err)
{
    b->may_list_versions = !err;
    if (err)
        WARN(b, "list versions", "rotate-key", "%s", err->text);
    else
        OK(b, "list versions", "allowed");
}

void check_judge_listing(struct check_bucket *b, const struct err *err)
{
    if (b->step == LIST && err)
        FAIL(b, "list", check_is_right(err) ? "restore, prune" : "backup, restore, prune", "%s", err->text);
    else if (b->step == LIST)
        OK(b, "list", "%" PRIu64 " objects with our prefix", b->objects);
    else if (b->step == LIST_UPLOADS)
        judge_uploads(b, err);
    else if (b->step == LIST_NO_VERSIONS)
        judge_no_versions(b, err);
    else if (err)
        WARN(b, "list versions", "rotate-key", "old versions of %s are left there: %s", b->name, err->text);
}

void check_judge_clock(const struct check_bucket *b)
{
    const int64_t skew = s3_client_clock_skew(b->client);

    if (skew > SKEW_MAX_S || skew < -SKEW_MAX_S)
        WARN(b, "clock", "backup, prune", "ours and the store's differ by %" PRId64 " s: backups are named by ours",
                skew);
    else
        OK(b, "clock", "as the store's, to %" PRId64 " s", skew < 0 ? -skew : skew);
}
