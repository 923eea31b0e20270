#include "job/restore/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "job/bucket/listing.h"
#include "job/bucket/origin.h"
#include "job/restore/download.h"

struct reader {
    struct reader_spec spec;
    enum reader_stage stage;
    struct objections objections;

    struct listing *listing; /* at work */
    struct catalog_list *list;
    struct etcdutl *etcdutl;
    bool is_listing, etcdutl_is_sought, etcdutl_is_found;
    struct err lacks_etcdutl;

    bool has_chosen;
    struct choice_others others; /* beside the chosen one */

    struct opened_backup *backup;
    bool is_opening;
    struct origin *origin; /* at work, and so the opening is; then: */
    struct origin_of other;
    char other_name[NAME_TEXT_MAX];
    bool has_told_cluster;

    struct download *download;
    struct unpack *unpack;
};

static void tell_progress(struct reader *r, uint64_t done)
{
    struct job_progress p = {
            .phase = r->spec.phases[r->stage],
            .done = done,
            .total = r->stage == READER_FETCHING ? opened_backup_size(r->backup) : 0,
    };

    if (p.phase)
        lifecycle_progress(r->spec.life, &p);
}

static void begin_stage(struct reader *r, enum reader_stage stage)
{
    r->stage = stage;
    tell_progress(r, 0);
}

static void on_note(void *ctx, const char *text)
{
    struct reader *r = ctx;

    lifecycle_note(r->spec.life, text);
}

/* ---- looking ---- */

static void look_on(struct reader *r)
{
    if (!r->is_listing && !r->etcdutl_is_sought)
        r->spec.on_looked(r->spec.ctx);
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct reader *r = ctx;

    r->is_listing = false;
    r->list = list;
    if (err)
        objections_add(&r->objections, err);
    listing_free(TAKE_PTR(r->listing));
    look_on(r);
}

/* One that is named is wanted. */
static void do_without_etcdutl(struct reader *r, const struct err *why)
{
    if (r->spec.may_lack_etcdutl && !(r->spec.tool && r->spec.tool[0]) && why->kind != ERR_CANCELLED)
        r->lacks_etcdutl = *why;
    else
        objections_add(&r->objections, why);
}

static void on_etcdutl(void *ctx, const struct err *err)
{
    struct reader *r = ctx;

    r->etcdutl_is_sought = false;
    r->etcdutl_is_found = !err;
    if (err)
        do_without_etcdutl(r, err);
    look_on(r);
}

bool reader_look(struct reader *r)
{
    struct listing_spec listing = {.ctx = r, .on_note = on_note, .on_done = on_listed};
    struct etcdutl_spec tool = {.tool = r->spec.tool, .ctx = r, .on_done = on_etcdutl};
    struct core *core = r->spec.life->core;
    struct err e = ERR_INIT;

    begin_stage(r, READER_LOOKING);
    if (r->spec.needs_etcdutl && !(r->etcdutl = etcdutl_find(core_loop(core), &tool, &e)))
        do_without_etcdutl(r, &e);
    r->etcdutl_is_sought = r->etcdutl != NULL;
    r->listing = listing_start(core, &listing, &e);
    r->is_listing = r->listing != NULL;
    if (!r->listing)
        objections_add(&r->objections, &e);
    return r->is_listing || r->etcdutl_is_sought;
}

struct objections *reader_objections(struct reader *r)
{
    return &r->objections;
}

const struct catalog_list *reader_list(const struct reader *r)
{
    return r->list;
}

const struct etcdutl *reader_etcdutl(const struct reader *r)
{
    return r->etcdutl_is_found ? r->etcdutl : NULL;
}

const struct err *reader_lacks_etcdutl(const struct reader *r)
{
    return r->lacks_etcdutl.kind != ERR_NONE ? &r->lacks_etcdutl : NULL;
}

void reader_drop_list(struct reader *r)
{
    catalog_list_free(TAKE_PTR(r->list));
}

/* ---- choosing ---- */

static void tell_of_newer(struct reader *r, const struct catalog_backup *newer, const struct catalog_backup *chosen)
{
    char note[2 * NAME_TEXT_MAX + 240];

    (void)snprintf(note, sizeof(note), "%s is newer, but %s: this is about %s", newer->name, choice_fault(newer),
            chosen->name);
    on_note(r, note);
}

static void tell_of_lone_key(struct reader *r, const struct catalog_backup *chosen)
{
    const struct catalog_backup *lone = choice_newer_lone_key(r->list, chosen);
    char note[2 * NAME_TEXT_MAX + 240];

    if (!lone)
        return;
    choice_tell_lone_key(lone, chosen, note, sizeof(note));
    on_note(r, note);
}

const struct catalog_backup *reader_choose(struct reader *r, const struct choice *choice, bool insists, struct err *e)
{
    const struct catalog_backup *chosen = choice_find(choice, r->list, core_bucket_url(r->spec.life->core), e);
    const struct catalog_backup *newer = choice->latest ? choice_newer_unreadable(r->list, chosen) : NULL;

    if (newer && insists && newer->doubt != CATALOG_FUTURE)
        chosen = newer;
    else if (newer && chosen)
        tell_of_newer(r, newer, chosen);
    if (!chosen)
        return NULL;
    if (choice->latest)
        tell_of_lone_key(r, chosen);
    r->has_chosen = true;
    r->others = choice_others(r->list, chosen);
    return chosen;
}

void reader_advise(const struct reader *r, struct err *e)
{
    if (r->has_chosen)
        choice_advise(&r->others, e);
}

/* ---- opening ---- */

static void set_other(struct reader *r, const char *name, uint64_t cluster)
{
    (void)snprintf(r->other_name, sizeof(r->other_name), "%s", name);
    r->other = (struct origin_of){.name = r->other_name, .cluster = cluster};
}

static void on_opened(void *ctx, const struct err *err)
{
    struct reader *r = ctx;

    r->is_opening = false;
    if (err)
        origin_free(TAKE_PTR(r->origin));
    if (!r->origin)
        r->spec.on_opened(r->spec.ctx, err);
}

static void on_origin(void *ctx, const char *name, uint64_t cluster)
{
    struct reader *r = ctx;

    set_other(r, name, cluster);
    origin_free(TAKE_PTR(r->origin));
    if (!r->is_opening)
        r->spec.on_opened(r->spec.ctx, NULL);
}

int reader_open(struct reader *r, const struct catalog_backup *backup, struct err *e)
{
    struct opened_backup_spec spec = {
            .backup = backup,
            .allow_renamed = r->spec.allow_renamed,
            .allow_plain = r->spec.allow_plain,
            .brought = r->spec.brought,
            .ctx = r,
            .on_note = on_note,
            .on_done = on_opened,
    };
    struct origin_spec other = {.list = r->list, .but = backup->name, .ctx = r, .on_done = on_origin};

    begin_stage(r, READER_OPENING);
    r->backup = opened_backup_open(r->spec.life->core, &spec, e);
    r->is_opening = r->backup != NULL;
    if (r->backup && r->has_chosen)
        r->origin = origin_start(r->spec.life->core, &other);
    return r->backup ? 0 : -1;
}

const struct opened_backup *reader_opened(const struct reader *r)
{
    return r->backup;
}

void reader_tell_of_cluster(struct reader *r)
{
    const struct origin_of read = {.name = opened_backup_name(r->backup), .cluster = opened_backup_cluster(r->backup)};
    char note[ORIGIN_NOTE_MAX];

    if (!r->other.cluster) /* of several the newest comes first */
        set_other(r, read.name, read.cluster);
    if (r->has_told_cluster || !origin_differs(r->spec.life->core, &read, &r->other, note))
        return;
    r->has_told_cluster = true;
    on_note(r, note);
}

/* ---- reading ---- */

static void on_progress(void *ctx, uint64_t done)
{
    tell_progress(ctx, done);
}

static void on_downloaded(void *ctx, uint64_t written, const struct err *err)
{
    struct reader *r = ctx;

    r->download = NULL;
    r->spec.on_fetched(r->spec.ctx, written, err);
}

int reader_fetch(struct reader *r, const struct destination *to, struct err *e)
{
    struct download_spec spec = {
            .source = r->backup,
            .target = to->file,
            .skip_hash_check = r->spec.skip_hash_check,
            .ctx = r,
            .on_progress = on_progress,
            .on_note = on_note,
            .on_done = on_downloaded,
    };

    r->download = download_start(r->spec.life->core, &spec, e);
    if (!r->download)
        return -1;
    begin_stage(r, READER_FETCHING);
    return 0;
}

static void on_line(void *ctx, const char *line)
{
    const struct reader *r = ctx;
    const struct job_sink *sink = &r->spec.life->sink;

    sink->output(sink->ctx, line);
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct reader *r = ctx;

    r->unpack = NULL;
    r->spec.on_unpacked(r->spec.ctx, status, err);
}

int reader_unpack(
        struct reader *r, const struct destination *to, const struct unpack_options *options, bool drill, struct err *e)
{
    struct unpack_spec spec = {
            .tool = r->etcdutl,
            .snapshot = to->file,
            .options = options,
            .data = to->data,
            .wal = to->wal,
            .drill = drill,
            .ctx = r,
            .on_line = on_line,
            .on_done = on_unpacked,
    };

    begin_stage(r, READER_UNPACKING);
    if (destination_open(to, e) == 0)
        r->unpack = unpack_start(core_loop(r->spec.life->core), &spec, e);
    return r->unpack ? 0 : -1;
}

enum reader_stage reader_stage(const struct reader *r)
{
    return r->stage;
}

/* ---- the end ---- */

void reader_close(struct reader *r)
{
    r->stage = READER_LOOKING;
    r->is_opening = false;
    origin_free(TAKE_PTR(r->origin));
    opened_backup_free(TAKE_PTR(r->backup));
}

bool reader_cancel(struct reader *r)
{
    r->is_listing = false;
    listing_free(TAKE_PTR(r->listing));
    if (r->etcdutl_is_sought)
        etcdutl_stop(r->etcdutl);
    else if (r->download)
        download_cancel(r->download);
    else if (r->unpack)
        unpack_cancel(r->unpack);
    else if (r->is_opening || r->origin)
        reader_close(r);
    return r->etcdutl_is_sought || r->download || r->unpack;
}

struct reader *reader_new(const struct reader_spec *spec, struct err *e)
{
    struct reader *r = calloc(1, sizeof(*r));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->spec = *spec;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    reader_close(r);
    listing_free(r->listing);
    catalog_list_free(r->list);
    etcdutl_free(r->etcdutl);
    free(r);
}
