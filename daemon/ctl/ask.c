#include "ctl/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "ctl/answer.h"
#include "ctl/beside.h"
#include "ctl/results.h"
#include "ctl/rows.h"
#include "ctl/show.h"
#include "ctl/talk.h"

struct view {
    const struct ctl *ctl;
    Control__Request *request;
    Control__Beside beside; /* of a rotation by a private daemon */
    bool is_dry_run; /* what it shows is what was asked for, also of whoever wants to hear nothing when all goes well */
    struct show_progress progress;
    unsigned entries;
    FILE *table; /* of verdicts, shown at the end; NULL while there are none */
    char *table_text;
    size_t table_len;
};

static void on_progress(void *ctx, const Control__Progress *p)
{
    struct view *v = ctx;

    show_progress(&v->progress, p);
}

static void on_note(void *ctx, const Control__Note *note)
{
    struct view *v = ctx;

    if (note->passing && v->ctl->quiet)
        return;
    show_progress_clear(&v->progress);
    show_note(note->text);
}

static void on_entry(void *ctx, const Control__Entry *entry)
{
    struct view *v = ctx;

    if (v->ctl->json) {
        results_entry(entry);
        return;
    }
    if (v->entries++ == 0)
        rows_entry_header(entry);
    rows_entry(entry, timestamp_now());
}

static void on_output(void *ctx, const char *text)
{
    struct view *v = ctx;

    if (v->ctl->quiet)
        return;
    show_progress_clear(&v->progress);
    show_output(text);
}

/* A line now, since there may be hours of them, and the table at the end. */
static void on_verdict(void *ctx, const Control__Verdict *verdict)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json) {
        results_verdict(verdict);
        return;
    }
    if (!v->ctl->quiet)
        show_verdict(verdict);
    if (!v->table && (v->table = open_memstream(&v->table_text, &v->table_len)))
        rows_verdict_header(v->table, verdict);
    if (v->table)
        rows_verdict(v->table, verdict);
}

/* Whether what went well is not worth a word: cron(8) sends each as a mail. */
static bool is_silent(const struct view *v)
{
    return v->ctl->quiet && !v->is_dry_run;
}

static void on_planned(void *ctx, const Control__Planned *planned)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json) {
        results_planned(planned);
        return;
    }
    if (is_silent(v) && !planned->text[0])
        return;
    if (v->entries++ == 0)
        rows_planned_header(planned);
    rows_planned(planned, timestamp_now());
}

static void on_unrotated(void *ctx, const Control__Unrotated *u)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json)
        results_unrotated(u);
    else
        show_unrotated(u);
}

static void on_finding(void *ctx, const Control__Finding *f)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json) {
        results_finding(f);
        return;
    }
    if (is_silent(v) && strcmp(f->mark, "ok") == 0)
        return;
    if (v->entries++ == 0)
        rows_finding_header();
    rows_finding(f);
}

static void end_table(struct view *v, int status)
{
    if (!v->table)
        return;
    if (fclose(v->table) != 0)
        show_failure("out of memory for the table of verdicts");
    else if (!v->ctl->quiet || status != CTL_DONE)
        (void)fputs(v->table_text, stdout);
    free(v->table_text);
}

/* A daemon with a file system of its own (PrivateTmp=, a container) may have written where we see nothing. */
static void warn_if_out_of_sight(const struct view *v, const Control__RestoreResult *r)
{
    const char *path = r->data_dir[0] ? r->data_dir : r->output;

    if (!r->dry_run && !v->ctl->config && access(path, F_OK) < 0 && errno == ENOENT)
        show_note("it is not there for this process: the daemon sees another file system (PrivateTmp=, a container)");
}

static void on_done(void *ctx, const Control__Done *done)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json) {
        results_done(done);
        return;
    }
    switch (done->result_case) {
    case CONTROL__DONE__RESULT_BACKUP:
        if (!is_silent(v))
            show_backup(done->backup);
        break;
    case CONTROL__DONE__RESULT_RESTORE:
        if (!is_silent(v))
            show_restore(done->restore);
        warn_if_out_of_sight(v, done->restore);
        break;
    case CONTROL__DONE__RESULT_VERIFY:
        if (!is_silent(v))
            show_verify(done->verify);
        break;
    case CONTROL__DONE__RESULT_PRUNE:
        if (!is_silent(v) || done->failure)
            show_prune(done->prune, done->failure != NULL);
        break;
    case CONTROL__DONE__RESULT_ROTATE:
        show_rotate(done->rotate, done->failure != NULL);
        break;
    case CONTROL__DONE__RESULT_CHECK:
        if (done->check->policy[0])
            (void)puts(done->check->policy);
        else if (!is_silent(v))
            (void)printf("%" PRIu32 " ok, %" PRIu32 " warnings, %" PRIu32 " would fail\n", done->check->ok,
                    done->check->warnings, done->check->failures);
        break;
    case CONTROL__DONE__RESULT_LIST:
        if (v->entries)
            show_listed(done->list);
        break;
    case CONTROL__DONE__RESULT_STATUS:
        show_status(done->status, timestamp_now());
        break;
    default:
        break;
    }
}

/* A private daemon knows where the running one would listen. What that one makes of new keys goes along. */
static void on_welcome(void *ctx, const Control__Welcome *w)
{
    struct view *v = ctx;

    if (v->request->body_case == CONTROL__REQUEST__BODY_ROTATE_KEY && v->ctl->config && w->socket[0] &&
            beside_ask(w->socket, &v->beside))
        v->request->rotate_key->beside = &v->beside;
}

static bool is_dry_run(const Control__Request *request)
{
    if (request->body_case == CONTROL__REQUEST__BODY_RESTORE)
        return request->restore->dry_run;
    return request->body_case == CONTROL__REQUEST__BODY_PRUNE && request->prune->dry_run;
}

/* What is shown is all that it is for; of the others it tells what was done. */
static bool is_answer(const Control__Request *request)
{
    switch (request->body_case) {
    case CONTROL__REQUEST__BODY_LIST:
    case CONTROL__REQUEST__BODY_STATUS:
    case CONTROL__REQUEST__BODY_CHECK:
        return true;
    case CONTROL__REQUEST__BODY_ROTATE_KEY:
        return request->rotate_key->dry_run;
    default:
        return is_dry_run(request);
    }
}

int ask(const struct ctl *ctl, Control__Request *request, bool with_progress)
{
    struct view view = {.ctl = ctl, .request = request, .is_dry_run = is_dry_run(request)};
    struct talk t = {
            .ctx = &view,
            .on_welcome = on_welcome,
            .on_progress = with_progress && !ctl->quiet && !ctl->json ? on_progress : NULL,
            .on_note = on_note,
            .on_entry = on_entry,
            .on_output = on_output,
            .on_verdict = on_verdict,
            .on_planned = on_planned,
            .on_unrotated = on_unrotated,
            .on_finding = on_finding,
            .on_done = on_done,
    };
    int status;

    show_progress_init(&view.progress);
    status = talk(ctl, request, &t);
    beside_forget(&view.beside);
    show_progress_clear(&view.progress);
    end_table(&view, status);
    if (request->body_case == CONTROL__REQUEST__BODY_LIST && status == CTL_DONE && !ctl->json && view.entries == 0)
        (void)fputs("no backups with the configured prefix; etcd-backupctl status shows where they are looked for\n",
                stderr);
    return answer_end(status, is_answer(request));
}
