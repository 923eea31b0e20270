#include "job/check/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "job/bucket/listing.h"
#include "job/check/check_bucket.h"
#include "job/check/check_machine.h"
#include "job/check/check_members.h"
#include "job/check/check_policy.h"
#include "job/keys/key_check.h"
#include "job/restore/etcdutl.h"

struct check {
    struct lifecycle life;
    struct check_request request;
    struct check_report report;
    struct check_members *members;
    struct check_bucket *bucket; /* until it is done */
    struct listing *listing;
    struct catalog_list *list;
    struct key_check *keys;
    struct etcdutl *tool;
    bool tool_pending;
    char *policy;
};

static struct check *of(struct lifecycle *l)
{
    return CONTAINER_OF(l, struct check, life);
}

static void release(struct check *c)
{
    check_members_free(TAKE_PTR(c->members));
    check_bucket_free(TAKE_PTR(c->bucket));
    listing_free(TAKE_PTR(c->listing));
    key_check_free(TAKE_PTR(c->keys));
    catalog_list_free(TAKE_PTR(c->list));
}

static void end(struct check *c, const struct err *err)
{
    struct check_result *r = &c->report.result;
    struct err e = ERR_INIT;

    release(c);
    r->elapsed_ms = lifecycle_elapsed_ms(&c->life);
    r->policy = c->policy;
    if (!err && r->failures) {
        (void)err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%u of %u things would fail", r->failures,
                r->ok + r->warnings + r->failures);
        err = &e;
    }
    lifecycle_end(&c->life, &(struct job_result){.check = r}, err);
}

/* ---- the machine, and etcd's own tool ---- */

static void on_tool(void *ctx, const struct err *err)
{
    struct check *c = ctx;

    c->tool_pending = false;
    if (lifecycle_is_cancelled(&c->life)) {
        end(c, err);
        return;
    }
    if (err)
        check_report_add(&c->report, FINDING_WARNING, "machine", "etcdutl", "restore, verify --drill",
                "a data directory cannot be made here: %s", err->text);
    else
        check_report_add(&c->report, FINDING_OK, "machine", "etcdutl", "", "%s", etcdutl_version(c->tool));
    end(c, NULL);
}

static void look_at_machine(struct lifecycle *l)
{
    struct check *c = of(l);
    const struct etcdutl_spec spec = {.ctx = c, .on_done = on_tool};
    struct err e = ERR_INIT;

    check_machine(l->core, &c->report);
    c->tool = etcdutl_find(core_loop(l->core), &spec, &e);
    c->tool_pending = c->tool != NULL;
    if (!c->tool)
        on_tool(c, &e);
}

/* ---- keys ---- */

static void tell_keys(struct check *c, const struct key_check_result *r)
{
    if (r->is_rotated_away)
        check_report_add(&c->report, FINDING_FAILS, "keys", "master key", "backup", "%s", r->trouble.text);
    else if (r->trouble.kind != ERR_NONE)
        check_report_add(&c->report, FINDING_FAILS, "keys", "master key", "restore, prune", "%u of %u: %s", r->unopened,
                r->looked_at, r->trouble.text);
    else
        check_report_add(&c->report, FINDING_OK, "keys", "master key", "", "it opens the %u backups looked at%s",
                r->looked_at, r->needs_previous ? ", some by a previous key: rotate-key is not done" : "");
    if (r->gone)
        check_report_add(&c->report, FINDING_WARNING, "keys", "keys in the bucket", "restore", "%u are gone", r->gone);
    if (r->unreadable)
        check_report_add(&c->report, FINDING_WARNING, "keys", "keys in the bucket", "restore", "%u cannot be read: %s",
                r->unreadable, r->why_unreadable.text);
}

static void on_keys(void *ctx, const struct key_check_result *result, const struct err *err)
{
    struct check *c = ctx;

    if (err)
        check_report_add(
                &c->report, FINDING_WARNING, "keys", "master key", "restore", "it could not be tried: %s", err->text);
    else
        tell_keys(c, result);
    lifecycle_next(&c->life, look_at_machine);
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct check *c = ctx;
    const struct key_check_spec spec = {.list = list, .ctx = c, .on_done = on_keys};
    struct err e = ERR_INIT;

    c->list = list;
    if (!err)
        c->keys = key_check_start(c->life.core, &spec, &e);
    if (c->keys)
        return;
    if (e.kind != ERR_NONE)
        check_report_add(&c->report, FINDING_FAILS, "keys", "master key", "backup, restore", "%s", e.text);
    else if (!err)
        check_report_add(&c->report, FINDING_OK, "keys", "master key", "", "no encrypted backup is there to be opened");
    lifecycle_next(&c->life, look_at_machine); /* that the bucket cannot be listed was said */
}

static void look_at_keys(struct lifecycle *l)
{
    struct check *c = of(l);
    const struct listing_spec spec = {.ctx = c, .on_done = on_listed};
    struct err e = ERR_INIT;

    c->listing = listing_start(l->core, &spec, &e);
    if (!c->listing)
        lifecycle_next(l, look_at_machine);
}

/* ---- bucket and members ---- */

static void on_bucket(void *ctx)
{
    struct check *c = ctx;

    check_bucket_free(TAKE_PTR(c->bucket));
    lifecycle_next(&c->life, look_at_keys);
}

static void look_at_bucket(struct lifecycle *l)
{
    struct check *c = of(l);
    struct err e = ERR_INIT;

    c->bucket = check_bucket_start(l->core, &c->report, c, on_bucket, &e);
    if (c->bucket)
        return;
    check_report_add(&c->report, FINDING_FAILS, "bucket", "reach", "backup, restore, prune", "%s", e.text);
    lifecycle_next(l, look_at_machine);
}

static void on_members(void *ctx)
{
    struct check *c = ctx;

    lifecycle_next(&c->life, look_at_bucket);
}

static void begin(struct lifecycle *l)
{
    struct check *c = of(l);
    struct err e = ERR_INIT;

    lifecycle_progress(l, &(struct job_progress){.phase = "looking"});
    if (c->request.policy) {
        c->policy = check_policy(core_conf(l->core));
        end(c, NULL);
    } else if (!core_conf(l->core)->etcd.n_endpoints) {
        check_report_add(&c->report, FINDING_WARNING, "etcd", "endpoints", "backup",
                "etcd_client.endpoints is not there: this machine makes no backups");
        lifecycle_next(l, look_at_bucket);
    } else {
        c->members = check_members_start(l->core, &c->report, c, on_members, &e);
        if (!c->members)
            end(c, &e);
    }
}

/* ---- the life ---- */

static void cancel(struct lifecycle *l)
{
    struct check *c = of(l);
    struct err e = ERR_INIT;

    if (c->tool_pending) {
        etcdutl_stop(c->tool);
        return;
    }
    if (c->bucket && check_bucket_stop(c->bucket))
        return;
    (void)err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    end(c, &e);
}

static void free_job(struct lifecycle *l)
{
    struct check *c = of(l);

    release(c);
    etcdutl_free(c->tool);
    free(c->policy);
    free(c);
}

struct check *check_start(
        struct core *core, const struct check_request *request, const struct job_sink *sink, struct err *e)
{
    struct check *c = calloc(1, sizeof(*c));

    if (!c) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->request = *request;
    c->report.life = &c->life;
    lifecycle_start(
            &c->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return c;
}

void check_cancel(struct check *c)
{
    lifecycle_cancel(&c->life);
}
