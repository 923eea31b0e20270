/* What comes before the first byte of a backup, and the way of the bytes: in which order it goes on, and how it ends.
 */
#include "expect.h"

#include <string.h>

#include "base/timestamp.h"
#include "job/bucket/listing.h"
#include "job/bucket/origin.h"
#include "job/restore/download.h"
#include "job/restore/reader.h"

enum { PLAIN = 4128, SEALED = 4168, NOTES_MAX = 4 };

static uv_loop_t loop;

/* ---- in place of core.c ---- */

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

void core_acquire(struct core *c)
{
    (void)c;
}

void core_release(struct core *c)
{
    (void)c;
}

const char *core_bucket_url(const struct core *c)
{
    (void)c;
    return "https://s3/bucket/backup-";
}

/* ---- in place of what is at work: whether it fails to start, how often it was freed or asked to end ---- */

static struct work {
    bool fails;
    unsigned running, started, freed, stopped;
} listing_work, etcdutl_work, opening_work, origin_work, download_work, unpack_work;

static bool starts(struct work *w, struct err *e, const char *what)
{
    if (w->fails) {
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no %s", what);
        return false;
    }
    w->started++;
    w->running++;
    return true;
}

struct listing {
    struct listing_spec spec;
};
static struct listing listing;

struct listing *listing_start(struct core *core, const struct listing_spec *spec, struct err *e)
{
    (void)core;
    listing.spec = *spec;
    return starts(&listing_work, e, "listing") ? &listing : NULL;
}

void listing_free(struct listing *l)
{
    listing_work.running -= l != NULL;
    listing_work.freed += l != NULL;
}

struct etcdutl {
    struct etcdutl_spec spec;
};
static struct etcdutl etcdutl;

struct etcdutl *etcdutl_find(uv_loop_t *l, const struct etcdutl_spec *spec, struct err *e)
{
    assert_ptr_equal(l, &loop);
    assert_string_equal(spec->tool, "my-etcdutl");
    etcdutl.spec = *spec;
    return starts(&etcdutl_work, e, "etcdutl") ? &etcdutl : NULL;
}

void etcdutl_stop(struct etcdutl *u)
{
    assert_ptr_equal(u, &etcdutl);
    etcdutl_work.stopped++;
}

void etcdutl_free(struct etcdutl *u)
{
    etcdutl_work.freed += u != NULL;
}

struct opened_backup {
    struct opened_backup_spec spec;
    char name[NAME_TEXT_MAX];
    uint64_t cluster;
};
static struct opened_backup opened;

struct opened_backup *opened_backup_open(struct core *core, const struct opened_backup_spec *spec, struct err *e)
{
    (void)core;
    assert_true(spec->allow_renamed && !spec->allow_plain);
    opened.spec = *spec;
    (void)snprintf(opened.name, sizeof(opened.name), "%s", spec->backup->name);
    return starts(&opening_work, e, "opening") ? &opened : NULL;
}

const char *opened_backup_name(const struct opened_backup *s)
{
    return s->name;
}

uint64_t opened_backup_size(const struct opened_backup *s)
{
    assert_ptr_equal(s, &opened);
    return 1000;
}

uint64_t opened_backup_cluster(const struct opened_backup *s)
{
    return s->cluster;
}

void opened_backup_free(struct opened_backup *s)
{
    opening_work.running -= s != NULL;
    opening_work.freed += s != NULL;
}

struct origin {
    struct origin_spec spec;
};
static struct origin origin;

struct origin *origin_start(struct core *core, const struct origin_spec *spec)
{
    struct err ignored;

    (void)core;
    assert_non_null(spec->list);
    assert_string_equal(spec->but, opened.name);
    origin.spec = *spec;
    return starts(&origin_work, &ignored, "origin") ? &origin : NULL;
}

bool origin_differs(const struct core *core, const struct origin_of *read, const struct origin_of *other,
        char note[ORIGIN_NOTE_MAX])
{
    (void)core;
    (void)snprintf(note, ORIGIN_NOTE_MAX, "%s, not as %s", read->name, other->name);
    return read->cluster && other->cluster && read->cluster != other->cluster;
}

void origin_free(struct origin *o)
{
    origin_work.running -= o != NULL;
    origin_work.freed += o != NULL;
}

struct download {
    struct download_spec spec;
};
static struct download download;

struct download *download_start(struct core *core, const struct download_spec *spec, struct err *e)
{
    (void)core;
    assert_ptr_equal(spec->source, &opened);
    assert_true(spec->skip_hash_check);
    download.spec = *spec;
    return starts(&download_work, e, "download") ? &download : NULL;
}

void download_cancel(struct download *d)
{
    assert_ptr_equal(d, &download);
    download_work.stopped++;
}

struct unpack {
    struct unpack_spec spec;
};
static struct unpack unpack;

struct unpack *unpack_start(uv_loop_t *l, const struct unpack_spec *spec, struct err *e)
{
    assert_ptr_equal(l, &loop);
    assert_ptr_equal(spec->tool, &etcdutl);
    unpack.spec = *spec;
    return starts(&unpack_work, e, "unpack") ? &unpack : NULL;
}

void unpack_cancel(struct unpack *u)
{
    assert_ptr_equal(u, &unpack);
    unpack_work.stopped++;
}

static bool destination_fails;

int destination_open(const struct destination *d, struct err *e)
{
    assert_non_null(d);
    return destination_fails ? err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no destination") : 0;
}

/* ---- the job ---- */

static struct told {
    unsigned looked, opened, fetched, unpacked, notes;
    struct err err; /* of the last */
    uint64_t written;
    int64_t revision;
    char note[NOTES_MAX][1024], line[64];
    struct job_progress progress;
} told;

static struct reader *reader;
static struct lifecycle life;

static void on_progress(void *ctx, const struct job_progress *p)
{
    assert_ptr_equal(ctx, &told);
    told.progress = *p;
}

static void on_note(void *ctx, const char *text)
{
    assert_ptr_equal(ctx, &told);
    assert_true(told.notes < NOTES_MAX);
    (void)snprintf(told.note[told.notes++], sizeof(told.note[0]), "%s", text);
}

static void on_output(void *ctx, const char *line)
{
    assert_ptr_equal(ctx, &told);
    (void)snprintf(told.line, sizeof(told.line), "%s", line);
}

static void on_looked(void *ctx)
{
    assert_ptr_equal(ctx, &told);
    told.looked++;
}

static void on_opened(void *ctx, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    told.opened++;
    told.err = err ? *err : ERR_INIT;
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    told.fetched++;
    told.written = written;
    told.err = err ? *err : ERR_INIT;
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    told.unpacked++;
    told.revision = status ? status->revision : 0;
    told.err = err ? *err : ERR_INIT;
}

static int set_up(void **state)
{
    struct reader_spec spec = {
            .life = &life,
            .phases = {"listing", NULL, "fetching", "unpacking"},
            .needs_etcdutl = true,
            .tool = "my-etcdutl",
            .allow_renamed = true,
            .skip_hash_check = true,
            .ctx = &told,
            .on_looked = on_looked,
            .on_opened = on_opened,
            .on_fetched = on_fetched,
            .on_unpacked = on_unpacked,
    };
    struct err e = ERR_INIT;

    (void)state;
    listing_work = etcdutl_work = opening_work = origin_work = download_work = unpack_work = (struct work){0};
    told = (struct told){0};
    destination_fails = false;
    opened.cluster = 0;
    life.sink = (struct job_sink){.ctx = &told, .progress = on_progress, .note = on_note, .output = on_output};
    reader = reader_new(&spec, &e);
    return reader ? 0 : -1;
}

/* Whatever was done, all that was started is freed once. */
static int tear_down(void **state)
{
    (void)state;
    reader_free(reader);
    return listing_work.running || opening_work.running || origin_work.running ||
           etcdutl_work.freed != etcdutl_work.started;
}

/* ---- the steps ---- */

static struct catalog_list *list_of(const char *const names[])
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("backup", &e);

    expect_success(l, &e);
    catalog_list_expect_keys(l);
    for (; *names; names++) {
        const bool is_key = strstr(*names, ".key") != NULL;
        const struct catalog_object object = {.name = *names, .size = is_key ? 72 : SEALED};

        expect_success(catalog_list_add(l, &object, &e) == 0, &e);
    }
    catalog_list_finish(l);
    return l;
}

#define OLD    "backup-2024-12-01T00:00:00Z"
#define NEW    "backup-2024-12-02T00:00:00Z"
#define NEWER  "backup-2024-12-03T00:00:00Z"
#define NEWEST "backup-2024-12-04T00:00:00Z"

static const char *const two[] = {OLD ".dump", OLD ".key", NEW ".dump", NEW ".key", NULL};
static const char *const four[] = {
        OLD ".dump", OLD ".key", NEW ".dump", NEW ".key", NEWER ".dump", NEWEST ".key", NULL};

static const struct err *failure(enum err_kind kind)
{
    static struct err e;

    e = ERR_INIT;
    err_set(&e, kind, ERR_DOMAIN_NONE, 0, "broken");
    return &e;
}

static void end_listing(const char *const names[])
{
    listing.spec.on_done(listing.spec.ctx, names ? list_of(names) : NULL, names ? NULL : failure(ERR_TRANSIENT));
}

static void end_etcdutl(enum err_kind kind)
{
    etcdutl.spec.on_done(etcdutl.spec.ctx, kind ? failure(kind) : NULL);
}

static void look(const char *const names[])
{
    assert_true(reader_look(reader));
    end_etcdutl(ERR_NONE);
    end_listing(names);
    assert_int_equal(told.looked, 1);
}

static const struct catalog_backup *choose(bool insists)
{
    struct err e = ERR_INIT;
    const struct catalog_backup *b = reader_choose(reader, &(struct choice){.latest = true}, insists, &e);

    expect_success(b, &e);
    return b;
}

static void open_it(const struct catalog_backup *b)
{
    struct err e = ERR_INIT;

    expect_success(reader_open(reader, b, &e) == 0, &e);
}

static void end_opening(enum err_kind kind)
{
    opened.spec.on_done(opened.spec.ctx, kind ? failure(kind) : NULL);
}

static void end_origin(uint64_t cluster)
{
    origin.spec.on_done(origin.spec.ctx, "the other", cluster);
}

/* ---- looking ---- */

/* Both are waited for, whichever ends first. */
static void test_looked(void **state)
{
    const bool etcdutl_first = *(bool *)*state;

    assert_true(reader_look(reader));
    assert_string_equal(told.progress.phase, "listing");
    if (etcdutl_first)
        end_etcdutl(ERR_NONE);
    else
        end_listing(two);
    assert_int_equal(told.looked, 0);
    if (etcdutl_first)
        end_listing(two);
    else
        end_etcdutl(ERR_NONE);
    assert_int_equal(told.looked, 1);
    assert_int_equal(reader_objections(reader)->count, 0);
    assert_int_equal(catalog_list_count(reader_list(reader)), 2);
    assert_ptr_equal(reader_etcdutl(reader), &etcdutl);
    reader_drop_list(reader);
    assert_null(reader_list(reader));
    assert_false(reader_cancel(reader));
}

static void objections_are(unsigned n, const char *first, const char *second)
{
    const struct objections *o = reader_objections(reader);

    assert_int_equal(o->count, n);
    assert_string_equal(o->all[0].text, first);
    if (n > 1)
        assert_string_equal(o->all[1].text, second);
    assert_null(reader_list(reader));
    assert_null(reader_etcdutl(reader));
}

/* All that is in the way is collected, also what fails at once. */
static void test_what_is_in_the_way(void **state)
{
    (void)state;
    assert_true(reader_look(reader));
    end_listing(NULL);
    end_etcdutl(ERR_NOT_FOUND);
    assert_int_equal(told.looked, 1);
    objections_are(2, "broken", "broken");
}

static void test_the_listing_fails_at_once(void **state)
{
    (void)state;
    listing_work.fails = true;
    assert_true(reader_look(reader));
    assert_int_equal(told.looked, 0);
    end_etcdutl(ERR_CONFIG);
    assert_int_equal(told.looked, 1);
    objections_are(2, "no listing", "broken");
}

static void test_both_fail_at_once(void **state)
{
    (void)state;
    listing_work.fails = etcdutl_work.fails = true;
    assert_false(reader_look(reader));
    assert_int_equal(told.looked, 0);
    objections_are(2, "no etcdutl", "no listing");
}

/* ---- choosing ---- */

/* What is newer is told, or is what is meant by who insists. */
static void test_the_latest(void **state)
{
    (void)state;
    look(four);
    assert_string_equal(choose(false)->name, NEW ".dump");
    assert_int_equal(told.notes, 2);
    assert_string_equal(told.note[0], NEWER ".dump is newer, but its key is missing: this is about " NEW ".dump");
    assert_non_null(strstr(told.note[1], NEWEST ".key is newer, and its dump is not there"));
    told.notes = 0;
    assert_string_equal(choose(true)->name, NEWER ".dump");
    assert_int_equal(told.notes, 1);
    assert_non_null(strstr(told.note[0], NEWEST ".key is newer"));
}

/* The one before it is meant, after all. */
static void test_the_latest_is_of_the_future(void **state)
{
    struct catalog_list *l = list_of(two);
    struct err e = ERR_INIT;
    int64_t instant;

    (void)state;
    expect_success(timestamp_parse("2024-12-01T12:00:00Z", 20, &instant, &e) == 0, &e);
    catalog_list_doubt_future(l, instant);
    assert_true(reader_look(reader));
    end_etcdutl(ERR_NONE);
    listing.spec.on_done(listing.spec.ctx, l, NULL);
    assert_string_equal(choose(true)->name, OLD ".dump");
    assert_int_equal(told.notes, 1);
    assert_string_equal(told.note[0], NEW ".dump is newer, but its time has not come yet: this is about " OLD ".dump");
}

/* Of one that was asked for by its time nothing newer is told; what failed says which other there is. */
static void test_of_a_time(void **state)
{
    struct choice c = {.latest = false};
    struct err e = ERR_INIT;
    const struct catalog_backup *b;

    (void)state;
    look(four);
    expect_success(timestamp_parse("2024-12-01T00:00:00Z", 20, &c.instant, &e) == 0, &e);
    b = reader_choose(reader, &c, true, &e);
    expect_success(b, &e);
    assert_string_equal(b->name, OLD ".dump");
    assert_int_equal(told.notes, 0);
    e = *failure(ERR_INTEGRITY);
    reader_advise(reader, &e);
    assert_string_equal(e.text, "broken; -t 2024-12-02T00:00:00Z asks for the nearest other backup");
}

static void test_none_is_meant(void **state)
{
    static const char *const none[] = {NULL};
    struct err e = ERR_INIT;

    (void)state;
    look(none);
    assert_null(reader_choose(reader, &(struct choice){.latest = true}, true, &e));
    expect_error(&e, ERR_NOT_FOUND, "no complete backup in https://s3/bucket/backup-");
    e = *failure(ERR_INTEGRITY);
    reader_advise(reader, &e);
    assert_string_equal(e.text, "broken");
}

/* ---- opening ---- */

/* The chosen one is open when it is known, too, whose the one beside it is: in either order. */
static void test_opened(void **state)
{
    const bool origin_first = *(bool *)*state;

    look(two);
    open_it(choose(false));
    reader_drop_list(reader);
    assert_string_equal(told.progress.phase, "listing"); /* the job has no name for this one */
    if (origin_first)
        end_origin(2);
    else
        end_opening(ERR_NONE);
    assert_int_equal(told.opened, 0);
    if (origin_first)
        end_opening(ERR_NONE);
    else
        end_origin(2);
    assert_int_equal(told.opened, 1);
    assert_int_equal(told.err.kind, ERR_NONE);
    assert_ptr_equal(reader_opened(reader), &opened);
    opened.cluster = 1;
    reader_tell_of_cluster(reader);
    reader_tell_of_cluster(reader);
    assert_int_equal(told.notes, 1);
    assert_string_equal(told.note[0], NEW ".dump, not as the other");
}

/* Then nobody waits for what is of no use any more. */
static void test_it_does_not_open(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    look(two);
    open_it(choose(false));
    end_opening(ERR_INTEGRITY);
    assert_int_equal(told.opened, 1);
    assert_int_equal(told.err.kind, ERR_INTEGRITY);
    assert_int_equal(origin_work.running, 0);
    reader_close(reader);
    opening_work.fails = true;
    assert_int_equal(reader_open(reader, choose(false), &e), -1);
    expect_error(&e, ERR_CONFIG, "no opening");
    assert_int_equal(origin_work.running, 0);
    assert_false(reader_cancel(reader));
}

/* Where there is nothing beside it, or it cannot be looked at. */
static void test_nothing_beside_it(void **state)
{
    (void)state;
    look(two);
    origin_work.fails = true;
    open_it(choose(false));
    opened.cluster = 1;
    end_opening(ERR_NONE);
    assert_int_equal(told.opened, 1);
    reader_tell_of_cluster(reader);
    assert_int_equal(told.notes, 0);
}

/* Of several each is compared with the first, and one that is of another cluster is told. */
static void test_one_after_the_other(void **state)
{
    static const uint64_t clusters[] = {0, 5, 6, 7};

    (void)state;
    look(two);
    for (unsigned i = 0; i < ARRAY_LEN(clusters); i++) {
        open_it(catalog_list_at(reader_list(reader), i % 2));
        opened.cluster = clusters[i];
        end_opening(ERR_NONE);
        assert_int_equal(told.opened, i + 1);
        reader_tell_of_cluster(reader);
        assert_int_equal(told.notes, i >= 2);
        reader_close(reader);
        assert_int_equal(opening_work.freed, i + 1);
    }
    assert_string_equal(told.note[0], NEW ".dump, not as " OLD ".dump");
    assert_int_equal(origin_work.started, 0);
}

/* ---- reading ---- */

static const struct destination destination = {.file = (struct output_file *)(void *)&destination_fails};

static void fetch(void)
{
    struct err e = ERR_INIT;

    look(two);
    origin_work.fails = true;
    open_it(choose(false));
    end_opening(ERR_NONE);
    expect_success(reader_fetch(reader, &destination, &e) == 0, &e);
}

static void test_fetched_and_unpacked(void **state)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct err e = ERR_INIT;

    (void)state;
    fetch();
    assert_int_equal(reader_stage(reader), READER_FETCHING);
    assert_ptr_equal(download.spec.target, destination.file);
    assert_int_equal(told.progress.total, 1000);
    download.spec.on_progress(download.spec.ctx, 400);
    assert_string_equal(told.progress.phase, "fetching");
    assert_int_equal(told.progress.done, 400);
    download.spec.on_note(download.spec.ctx, "asked again");
    assert_string_equal(told.note[0], "asked again");
    download.spec.on_done(download.spec.ctx, 900, NULL);
    assert_int_equal(told.fetched, 1);
    assert_int_equal(told.written, 900);
    expect_success(reader_unpack(reader, &destination, &options, true, &e) == 0, &e);
    assert_int_equal(reader_stage(reader), READER_UNPACKING);
    assert_string_equal(told.progress.phase, "unpacking");
    assert_int_equal(told.progress.total, 0);
    assert_ptr_equal(unpack.spec.snapshot, destination.file);
    assert_true(unpack.spec.drill);
    unpack.spec.on_line(unpack.spec.ctx, "a line");
    assert_string_equal(told.line, "a line");
    unpack.spec.on_done(unpack.spec.ctx, &(struct unpack_status){.revision = 7}, NULL);
    assert_int_equal(told.unpacked, 1);
    assert_int_equal(told.revision, 7);
    assert_false(reader_cancel(reader));
}

/* What fails at once calls nobody; of what was done with the last backup nothing is left for the next. */
static void test_it_fails_at_once(void **state)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct err e = ERR_INIT;

    (void)state;
    fetch();
    download.spec.on_done(download.spec.ctx, 0, failure(ERR_INTEGRITY));
    assert_int_equal(told.err.kind, ERR_INTEGRITY);
    download_work.fails = unpack_work.fails = true;
    assert_int_equal(reader_fetch(reader, &destination, &e), -1);
    expect_error(&e, ERR_CONFIG, "no download");
    assert_int_equal(reader_unpack(reader, &destination, &options, false, &e), -1);
    expect_error(&e, ERR_CONFIG, "no unpack");
    unpack_work.fails = false;
    destination_fails = true;
    assert_int_equal(reader_unpack(reader, &destination, &options, false, &e), -1);
    expect_error(&e, ERR_CONFIG, "no destination");
    assert_int_equal(told.fetched, 1);
    assert_int_equal(told.unpacked, 0);
    assert_int_equal(reader_stage(reader), READER_UNPACKING);
    reader_close(reader);
    assert_true(reader_stage(reader) < READER_FETCHING);
}

/* ---- cancelling ---- */

static void test_cancelled_before_it_looks(void **state)
{
    (void)state;
    assert_false(reader_cancel(reader));
}

/* What runs as a process is waited for. */
static void test_cancelled_looking(void **state)
{
    (void)state;
    assert_true(reader_look(reader));
    assert_true(reader_cancel(reader));
    assert_int_equal(listing_work.running, 0);
    assert_int_equal(etcdutl_work.stopped, 1);
    assert_int_equal(told.looked, 0);
    end_etcdutl(ERR_CANCELLED);
    assert_int_equal(told.looked, 1);
    assert_false(reader_cancel(reader));
}

static void test_cancelled_listing(void **state)
{
    (void)state;
    assert_true(reader_look(reader));
    end_etcdutl(ERR_NONE);
    assert_false(reader_cancel(reader));
    assert_int_equal(listing_work.running, 0);
    assert_int_equal(etcdutl_work.stopped, 0);
}

static void test_cancelled_opening(void **state)
{
    (void)state;
    for (unsigned ended = 0; ended < 3; ended++) {
        told.looked = 0;
        look(two);
        open_it(choose(false));
        if (ended == 1)
            end_opening(ERR_NONE);
        else if (ended == 2)
            end_origin(1);
        assert_false(reader_cancel(reader));
        assert_int_equal(opening_work.running + origin_work.running, 0);
        assert_int_equal(told.opened, 0);
        etcdutl_free(&etcdutl); /* of this round */
        reader_drop_list(reader);
    }
    etcdutl_work.freed--;
}

static void test_cancelled_reading(void **state)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct err e = ERR_INIT;

    (void)state;
    fetch();
    assert_true(reader_cancel(reader));
    assert_true(reader_cancel(reader));
    assert_int_equal(download_work.stopped, 2);
    assert_int_equal(told.fetched, 0);
    download.spec.on_done(download.spec.ctx, 0, NULL); /* it was too late */
    assert_false(reader_cancel(reader));
    expect_success(reader_unpack(reader, &destination, &options, true, &e) == 0, &e);
    assert_true(reader_cancel(reader));
    assert_int_equal(unpack_work.stopped, 1);
    unpack.spec.on_done(unpack.spec.ctx, NULL, failure(ERR_CANCELLED));
    assert_int_equal(told.err.kind, ERR_CANCELLED);
    assert_false(reader_cancel(reader));
}

static bool yes = true, no = false;

#define TEST(name)           cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OF(name, value) cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, &(value))

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST_OF(test_looked, yes),
            TEST_OF(test_looked, no),
            TEST(test_what_is_in_the_way),
            TEST(test_the_listing_fails_at_once),
            TEST(test_both_fail_at_once),
            TEST(test_the_latest),
            TEST(test_the_latest_is_of_the_future),
            TEST(test_of_a_time),
            TEST(test_none_is_meant),
            TEST_OF(test_opened, yes),
            TEST_OF(test_opened, no),
            TEST(test_it_does_not_open),
            TEST(test_nothing_beside_it),
            TEST(test_one_after_the_other),
            TEST(test_fetched_and_unpacked),
            TEST(test_it_fails_at_once),
            TEST(test_cancelled_before_it_looks),
            TEST(test_cancelled_looking),
            TEST(test_cancelled_listing),
            TEST(test_cancelled_opening),
            TEST(test_cancelled_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
