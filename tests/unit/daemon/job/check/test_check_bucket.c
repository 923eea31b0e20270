/*
 * Whatever goes wrong with whichever request, and whenever it is told to stop, a check leaves nothing in the bucket; or
 * where the taking away is what goes wrong, it names what it left. The bucket is made up, and one request at a time is
 * on its way.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "job/bucket/listing.h"
#include "job/check/check_bucket.h"
#include "s3/object.h"

enum { REQUESTS_MAX = 100, THINGS_MAX = 100, ATTEMPTS = 5 };

/* In the order of `names`. */
enum asked {
    LISTS,
    VERSIONING,
    LOCK,
    LIFECYCLE,
    LISTS_UPLOADS,
    LISTS_VERSIONS,
    LISTS_PARTS,
    CREATES,
    ABORTS,
    PUTS,
    GETS,
    DELETES,
    DELETES_VERSION,
    KINDS,
};

static const char *const names[] = {"ListBucket", "GetBucketVersioning", "GetBucketObjectLockConfiguration",
        "GetLifecycleConfiguration", "ListBucketMultipartUploads", "ListBucketVersions", "ListMultipartUploadParts",
        "PutObject", "AbortMultipartUpload", "PutObject", "GetObject", "DeleteObject", "DeleteObjectVersion"};

/* What happens to the request that it is the turn of. */
enum mishap {
    NONE,
    NO_START,
    REFUSED,     /* a 403 */
    UNREACHABLE, /* the store never hears of it */
    LOST,        /* it hears of each attempt, and no answer comes back */
    REPEATED,    /* it hears of each attempt, and the last is answered */
    GARBLED,     /* what comes back is no answer */
    STOPPED,     /* the check is told to stop while it is on its way */
    MISHAPS,
};

struct thing {
    bool is_there, is_upload, is_mark;
    char id[16];
};

static struct bucket {
    bool keeps_versions, locks, hides_uploads;
    unsigned denied; /* a bit a kind */
    enum mishap mishap;
    unsigned turn, n; /* of the requests; so many were started */
    struct thing things[THINGS_MAX];
    unsigned n_things;
    bool put_under_lock;
    enum asked hit;
    bool parts_were_asked;
    char told[16384];
    bool is_done;
} w;

/* What is on its way. */
static struct {
    bool is_there;
    enum asked what;
    bool is_nothing; /* it is tried on something that is not there */
    char id[32];
    struct s3_listing_spec listing;
    uint8_t *into;
    uint64_t start;
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
} way;

static char name[64]; /* of what is tried, once it is known */
static const char content[] = "etcd-backupd looks whether it may write here, and takes this away again.\n";
static struct conf conf;
static char place;

/* ---- the store ---- */

static void make(bool is_upload, bool is_mark)
{
    struct thing *t = &w.things[w.n_things];

    assert_true(w.n_things < THINGS_MAX);
    *t = (struct thing){.is_there = true, .is_upload = is_upload, .is_mark = is_mark};
    (void)snprintf(t->id, sizeof(t->id), is_upload ? "upload%u" : w.keeps_versions ? "v%u" : "null", w.n_things++);
}

static bool remove_thing(bool is_upload, const char *id)
{
    for (unsigned i = 0; i < w.n_things; i++)
        if (w.things[i].is_there && w.things[i].is_upload == is_upload && strcmp(w.things[i].id, id) == 0) {
            w.things[i].is_there = false;
            return true;
        }
    return false;
}

static bool has_object(void)
{
    for (unsigned i = w.n_things; i-- > 0;)
        if (w.things[i].is_there && !w.things[i].is_upload)
            return !w.things[i].is_mark;
    return false;
}

/* What the store does with what it hears; whether it does. */
static bool store_does(bool if_none_match)
{
    switch (way.what) {
    case CREATES:
        make(true, false);
        return true;
    case ABORTS:
        (void)remove_thing(true, way.id);
        return true;
    case PUTS:
        if (if_none_match && has_object())
            return false;
        if (!w.keeps_versions)
            (void)remove_thing(false, "null");
        make(false, false);
        w.put_under_lock = w.put_under_lock || w.locks;
        return true;
    case DELETES:
        if (w.keeps_versions)
            make(false, true);
        else
            (void)remove_thing(false, "null");
        return true;
    case DELETES_VERSION:
        (void)remove_thing(false, way.id);
        return true;
    default:
        return true;
    }
}

static struct bytes body_of(char id[128])
{
    const char *text = "";

    switch (way.what) {
    case VERSIONING:
        text = w.keeps_versions ? "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
                                : "<VersioningConfiguration/>";
        break;
    case LOCK:
        text = w.locks ? "<ObjectLockConfiguration><Rule><DefaultRetention>" : "";
        break;
    case CREATES:
        (void)snprintf(id, 128,
                "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>",
                w.things[w.n_things - 1].id);
        text = id;
        break;
    case LISTS_PARTS:
        text = "<ListPartsResult/>";
        break;
    case GETS:
        text = content;
        break;
    default:
        break;
    }
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void show_things(void)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < w.n_things; i++) {
        const struct thing *t = &w.things[i];

        if (!t->is_there)
            continue;
        if (way.what == LISTS_UPLOADS && t->is_upload)
            (void)way.listing.on_unfinished(
                    way.listing.ctx, &(struct s3_unfinished){.key = name, .upload_id = t->id}, &e);
        if (way.what == LISTS_VERSIONS && !t->is_upload)
            (void)way.listing.on_version(way.listing.ctx, &(struct s3_version){.key = name, .version_id = t->id}, &e);
    }
    /* Others, whose names go on. */
    if (way.what == LISTS_UPLOADS)
        (void)way.listing.on_unfinished(
                way.listing.ctx, &(struct s3_unfinished){.key = "p-check-other", .upload_id = "other"}, &e);
    if (way.what == LISTS_VERSIONS)
        (void)way.listing.on_version(
                way.listing.ctx, &(struct s3_version){.key = "p-check-other", .version_id = "other"}, &e);
}

/* ---- requests, one at a time ---- */

static bool is_his_turn(void)
{
    return w.n == w.turn + 1;
}

static bool begin(enum asked what, struct err *e)
{
    assert_false(way.is_there);
    assert_true(w.n < REQUESTS_MAX);
    w.n++;
    if (is_his_turn())
        w.hit = what;
    if (is_his_turn() && w.mishap == NO_START) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return false;
    }
    memset(&way, 0, sizeof(way));
    way.is_there = true;
    way.what = what;
    return true;
}

static struct s3_request *on_its_way(
        void *ctx, void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err))
{
    way.ctx = ctx;
    way.on_done = on_done;
    return (struct s3_request *)(void *)&place;
}

static bool if_none_match;

struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e)
{
    (void)c;
    (void)snprintf(name, sizeof(name), "%s", spec->key);
    if (!begin(PUTS, e))
        return NULL;
    if_none_match = spec->if_none_match;
    return on_its_way(spec->ctx, spec->on_done);
}

struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e)
{
    (void)c;
    return begin(GETS, e) ? on_its_way(spec->ctx, spec->on_done) : NULL;
}

struct s3_request *s3_delete(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c;
    (void)snprintf(name, sizeof(name), "%s", key);
    return begin(DELETES, e) ? on_its_way(ctx, on_done) : NULL;
}

struct s3_request *s3_delete_version(struct s3_client *c, const char *key, const char *version_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c, (void)key;
    assert_string_not_equal(version_id, "other");
    if (!begin(DELETES_VERSION, e))
        return NULL;
    (void)snprintf(way.id, sizeof(way.id), "%s", version_id);
    return on_its_way(ctx, on_done);
}

struct s3_request *s3_abort(struct s3_client *c, const char *key, const char *upload_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c, (void)key;
    assert_string_not_equal(upload_id, "other");
    if (!begin(ABORTS, e))
        return NULL;
    (void)snprintf(way.id, sizeof(way.id), "%s", upload_id);
    return on_its_way(ctx, on_done);
}

struct s3_request *s3_list_parts(struct s3_client *c, const char *key, const char *upload_id, unsigned after, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    (void)c, (void)key;
    assert_int_equal(after, 0);
    assert_string_equal(upload_id, w.things[w.n_things - 1].id);
    w.parts_were_asked = true;
    return begin(LISTS_PARTS, e) ? on_its_way(ctx, on_done) : NULL;
}

int s3_parts_read(const struct s3_response *res, struct s3_parts_page *out, struct err *e)
{
    *out = (struct s3_parts_page){.next = 0};
    return res->body.len && *res->body.data == '<' ? 0 : err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "no parts");
}

static enum asked asked_of(const struct s3_request_spec *spec)
{
    if (!spec->n_query)
        return GETS;
    if (strcmp(spec->query->name, "uploads") == 0)
        return CREATES;
    if (strcmp(spec->query->name, "versioning") == 0)
        return VERSIONING;
    return strcmp(spec->query->name, "lifecycle") == 0 ? LIFECYCLE : LOCK;
}

struct s3_request *s3_request_start(struct s3_client *c, const struct s3_request_spec *spec, struct err *e)
{
    (void)c;
    if (!begin(asked_of(spec), e))
        return NULL;
    if (spec->key)
        (void)snprintf(name, sizeof(name), "%s", spec->key);
    way.into = spec->into;
    way.start = spec->range_start;
    return on_its_way(spec->ctx, spec->on_done);
}

static struct s3_listing *list(enum asked what, const struct s3_listing_spec *spec, struct err *e)
{
    if (!begin(what, e))
        return NULL;
    way.listing = *spec;
    return (struct s3_listing *)(void *)&place;
}

struct s3_listing *s3_list_objects(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    (void)c;
    return list(LISTS, spec, e);
}

struct s3_listing *s3_list_unfinished(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    (void)c;
    return list(LISTS_UPLOADS, spec, e);
}

struct s3_listing *s3_list_versions(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    (void)c;
    return list(LISTS_VERSIONS, spec, e);
}

struct s3_listing *listing_pages(struct core *core, listing_kind *start, struct s3_listing_spec spec, struct err *e)
{
    return start(core_s3(core, e), &spec, e);
}

void s3_request_cancel(struct s3_request *r)
{
    (void)r;
    way.is_there = false;
}

void s3_listing_cancel(struct s3_listing *l)
{
    (void)l;
    way.is_there = false;
}

int64_t s3_client_clock_skew(const struct s3_client *c)
{
    (void)c;
    return 0;
}

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)e;
    return (struct s3_client *)(void *)c;
}

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

void check_report_add(struct check_report *r, enum finding_mark mark, const char *subject, const char *what,
        const char *affects, const char *fmt, ...)
{
    size_t len = strlen(w.told);
    va_list args;

    (void)r, (void)subject, (void)affects;
    len += (size_t)snprintf(w.told + len, sizeof(w.told) - len, "%d %s: ", mark, what);
    va_start(args, fmt);
    len += (size_t)vsnprintf(w.told + len, sizeof(w.told) - len, fmt, args);
    va_end(args);
    assert_true(len + 1 < sizeof(w.told));
    (void)strcat(w.told, "\n");
}

/* ---- answers ---- */

static void answer(unsigned attempts, const struct err *err)
{
    char id[128], text[] = "?";
    struct s3_response res = {.status = 200, .attempts = attempts};
    struct err hidden = ERR_INIT;

    way.is_there = false;
    if (way.listing.on_done) {
        if (!err)
            show_things();
        if (!err && way.what == LISTS_UPLOADS && w.hides_uploads) {
            (void)err_set(&hidden, ERR_CONFIG, ERR_DOMAIN_S3, S3_FAULT_HIDES_UPLOADS, "by their whole names alone");
            err = &hidden;
        }
        way.listing.on_done(way.listing.ctx, err);
        return;
    }
    if (!err)
        res.body = body_of(id);
    if (is_his_turn() && w.mishap == GARBLED)
        res.body = (struct bytes){(const uint8_t *)text, 1};
    else if (way.what == LOCK && !w.locks)
        res.status = 404; /* of the codes that are no error */
    if (way.into)
        memcpy(way.into, content + way.start, 4);
    way.on_done(way.ctx, err ? NULL : &res, err);
}

static void refuse(enum asked what)
{
    struct err e = ERR_INIT;

    (void)err_set(&e, ERR_AUTH, ERR_DOMAIN_HTTP, 403, "HTTP 403 AccessDenied, which needs s3:%s", names[what]);
    answer(1, &e);
}

/* The request that is on its way ends. */
static void end_request(void)
{
    const enum mishap mishap = is_his_turn() ? w.mishap : NONE;
    const unsigned attempts = mishap == UNREACHABLE ? 0 : mishap == LOST || mishap == REPEATED ? ATTEMPTS : 1;
    const bool is_conditional = if_none_match;
    struct err e = ERR_INIT;
    bool does = true;

    if_none_match = false;
    if (w.denied & 1u << way.what || mishap == REFUSED) {
        refuse(way.what);
        return;
    }
    for (unsigned i = 0; i < attempts; i++)
        does = store_does(is_conditional);
    if (mishap == UNREACHABLE || mishap == LOST)
        (void)err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_CURL, 56, "no answer (5 attempts)");
    else if (!does)
        (void)err_set(&e, ERR_CONFIG, ERR_DOMAIN_HTTP, 412, "HTTP 412 PreconditionFailed");
    answer(attempts, e.kind ? &e : NULL);
}

/* ---- the check ---- */

static void on_done(void *ctx)
{
    (void)ctx;
    assert_false(w.is_done);
    w.is_done = true;
}

/* One check of a bucket; false: it came to its end before the turn of the mishap. */
static bool look(const struct bucket *begins)
{
    _cleanup_(cleanup_check_bucket_free) struct check_bucket *b = NULL;
    struct err e = ERR_INIT;

    w = *begins;
    memset(&way, 0, sizeof(way));
    if_none_match = false;
    b = check_bucket_start((struct core *)(void *)&place, NULL, NULL, on_done, &e);
    if (!b)
        return true; /* the first could not be started */
    while (!w.is_done) {
        assert_true(way.is_there);
        if (is_his_turn() && w.mishap == STOPPED && !check_bucket_stop(b))
            return true; /* nothing is there, and what is on its way makes nothing: is_left_clean sees to it */
        end_request();
    }
    assert_false(way.is_there);
    return w.n > w.turn;
}

static unsigned left(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w.n_things; i++)
        n += w.things[i].is_there;
    return n;
}

static bool is_named(void)
{
    return strstr(w.told, name) && strstr(w.told, " left there");
}

/* Each with each: of every right that is missing, every mishap at every request. */
static void check_all(unsigned denied, bool keeps_versions, bool locks)
{
    struct bucket begins = {.keeps_versions = keeps_versions, .locks = locks, .denied = denied};

    for (begins.mishap = NO_START; begins.mishap < MISHAPS; begins.mishap++)
        for (begins.turn = 0; look(&begins); begins.turn++) {
            const bool may_leave = w.hit == ABORTS || w.hit == DELETES || w.hit == DELETES_VERSION ||
                                   w.hit == LISTS_VERSIONS || w.hit == LISTS_UPLOADS ||
                                   (w.hit == CREATES && denied & 1u << LISTS_UPLOADS); /* so nobody knows its id */

            if (w.put_under_lock || (left() && !(may_leave && is_named())))
                fail_msg("denied %x, versions %d, locks %d, mishap %d at request %u (%s): %u left\n%s", denied,
                        keeps_versions, locks, begins.mishap, begins.turn, names[w.hit], left(), w.told);
        }
}

static void nothing_is_left(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind <= KINDS; kind++)
        for (unsigned second = kind; second <= KINDS; second++)
            for (int manner = 0; manner < 3; manner++)
                check_all(
                        (kind < KINDS ? 1u << kind : 0) | (second < KINDS ? 1u << second : 0), manner > 0, manner > 1);
}

/* Without a mishap, and so that the above does not hold because nothing is ever tried. */
static void all_is_tried(void **state)
{
    struct bucket begins = {.turn = REQUESTS_MAX};

    (void)state;
    assert_false(look(&begins));
    assert_non_null(strstr(w.told, "read a part: the store keeps to it"));
    begins.keeps_versions = true;
    assert_false(look(&begins));
    assert_non_null(strstr(w.told, "read a part: the store keeps to it"));
    assert_int_equal(left(), 0);
    begins.denied = 1u << VERSIONING;
    assert_false(look(&begins));
    assert_non_null(strstr(w.told, "read a part: the store keeps to it"));
    assert_int_equal(left(), 0);
}

static void what_is_not_tried_is_told(void **state)
{
    static const unsigned denied[] = {1u << DELETES_VERSION, 1u << LISTS_VERSIONS,
            1u << VERSIONING | 1u << DELETES_VERSION, 1u << VERSIONING | 1u << LISTS_VERSIONS};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
        assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .keeps_versions = true, .denied = denied[i]}));
        assert_non_null(strstr(w.told, "delete: not tried"));
        assert_non_null(strstr(w.told, "read: not tried"));
        assert_int_equal(w.n_things, 1); /* an upload */
    }
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .denied = 1u << LOCK}));
    assert_null(strstr(w.told, "delete: not tried"));
    assert_non_null(strstr(w.told, "read: not tried"));
}

/* Prune asks for the parts of what it has seen in the list. What is missing fails it, as the list itself would. */
static void parts_of_uploads(void **state)
{
    (void)state;
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX}));
    assert_true(w.parts_were_asked);
    assert_non_null(strstr(w.told, "0 list parts: allowed"));
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .denied = 1u << LISTS_PARTS}));
    assert_non_null(strstr(w.told, "1 list parts: unfinished uploads stay: HTTP 403"));
    conf.prune.max_age_ms = 1;
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .denied = 1u << LISTS_PARTS | 1u << LISTS_UPLOADS}));
    assert_non_null(strstr(w.told, "2 list parts: unfinished uploads stay: HTTP 403"));
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .denied = 1u << LISTS_PARTS, .hides_uploads = true}));
    assert_null(strstr(w.told, "list parts"));
    assert_non_null(strstr(w.told, "1 list uploads: by their whole names alone"));
    assert_false(w.parts_were_asked);
    assert_false(look(&(struct bucket){.turn = REQUESTS_MAX, .denied = 1u << CREATES})); /* there is none to ask of */
    assert_false(w.parts_were_asked);
    conf.prune.max_age_ms = 0;
}

int main(void)
{
    static char prefix[] = "p";
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(all_is_tried),
            cmocka_unit_test(what_is_not_tried_is_told),
            cmocka_unit_test(parts_of_uploads),
            cmocka_unit_test(nothing_is_left),
    };

    conf.s3.objects_prefix = prefix;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
