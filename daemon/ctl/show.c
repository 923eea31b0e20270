#include "ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "ctl/age.h"
#include "ctl/text.h"

enum { BAR_WIDTH = 24, LINE_EVERY_MS = 10000, OVERDUE_S = 60 };

/* MiB a second, as sizes are MiB. */
static double rate(uint64_t bytes, uint64_t ms)
{
    return (double)bytes * 1000 / (1 << 20) / (double)(ms ? ms : 1);
}

void show_progress_init(struct show_progress *s)
{
    *s = (struct show_progress){.is_terminal = isatty(STDERR_FILENO) == 1};
}

enum { AMOUNT_MAX = 2 * SIZE_TEXT_MAX + 64 };

/* "1.2 MiB of 3.4 MiB  56 MiB/s", or "12 of 34 keys". */
static const char *amount(const Control__Progress *p, const char *separator, char out[AMOUNT_MAX])
{
    char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

    if (p->unit[0])
        (void)snprintf(out, AMOUNT_MAX, "%" PRIu64 " of %" PRIu64 " %.20s", p->done, p->total, p->unit);
    else
        (void)snprintf(out, AMOUNT_MAX, "%s of %s%s%.0f MiB/s", size_format(p->done, done),
                size_format(p->total, total), separator, rate(p->done, p->elapsed_ms));
    return out;
}

static void draw_bar(const Control__Progress *p)
{
    char text[AMOUNT_MAX], left[DURATION_TEXT_MAX] = "";
    int filled = (int)((double)p->done / (double)p->total * (int)BAR_WIDTH);
    char bar[BAR_WIDTH + 1];

    filled = filled > BAR_WIDTH ? BAR_WIDTH : filled;
    (void)memset(bar, '.', BAR_WIDTH);
    (void)memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    if (p->done && p->done < p->total)
        (void)duration_format((uint64_t)((double)p->elapsed_ms * (double)(p->total - p->done) / (double)p->done), left);
    (void)fprintf(
            stderr, "\r\033[K%-10s [%s] %s%s%s", p->phase, bar, amount(p, "  ", text), left[0] ? "  left: " : "", left);
}

static void write_line(const Control__Progress *p)
{
    char text[AMOUNT_MAX];

    if (p->total)
        (void)fprintf(stderr, "%s: %s\n", p->phase, amount(p, ", ", text));
    else
        (void)fprintf(stderr, "%s\n", p->phase);
}

void show_progress(struct show_progress *s, const Control__Progress *p)
{
    if (s->is_terminal) {
        if (p->total)
            draw_bar(p);
        else
            (void)fprintf(stderr, "\r\033[K%s ...", p->phase);
        s->is_open = true;
        (void)fflush(stderr);
        return;
    }
    if (p->elapsed_ms < s->told_ms) /* another attempt */
        s->told_ms = 0;
    if (p->elapsed_ms - s->told_ms >= LINE_EVERY_MS) {
        s->told_ms = p->elapsed_ms;
        write_line(p);
    }
}

void show_progress_clear(struct show_progress *s)
{
    if (s->is_open)
        (void)fputs("\r\033[K", stderr);
    s->is_open = false;
}

/* Also what comes beside JSON, whose texts are still as they came. */
static void show_line(const char *before, const char *text)
{
    (void)fputs(before, stderr);
    text_put(stderr, text);
    (void)fputc('\n', stderr);
}

void show_note(const char *text)
{
    show_line("note: ", text);
}

void show_output(const char *text)
{
    show_line("  | ", text);
}

void show_failure(const char *text)
{
    show_line("etcd-backupctl: ", text);
}

void show_listed(const Control__ListResult *l)
{
    if (l->key[0])
        (void)printf("\nmaster key: %s; KEY shows the beginning of the one that opens a backup\n", l->key);
}

/* ---- verdicts ---- */

static const char *words_of_contents(const Control__Verdict *v)
{
    if (strcmp(v->contents, "proven") == 0)
        return ", proven to hold what its etcd had";
    if (strcmp(v->contents, "not recorded") == 0)
        return "; what its etcd had was not recorded";
    return v->contents[0] ? "; what it holds was not compared" : "";
}

void show_verdict(const Control__Verdict *v)
{
    if (v->good)
        (void)fprintf(stderr, "%s: good%s%s%s\n", v->name, words_of_contents(v), v->contents_why[0] ? ": " : "",
                v->contents_why);
    else if (v->vouched)
        (void)fprintf(stderr, "%s: vouched, not opened\n", v->name);
    else
        (void)fprintf(stderr, "%s: %s\n", v->unknown ? "NOT VERIFIED" : "BAD", v->text);
}

void show_verify(const Control__VerifyResult *v)
{
    char good[64], vouched[64] = "";

    (void)snprintf(good, sizeof(good), "%" PRIu32 " verified, all good", v->good);
    if (v->vouched)
        (void)snprintf(vouched, sizeof(vouched), "%s%" PRIu32 " vouched, not opened: --identity FILE verifies",
                v->good ? "; " : "", v->vouched);
    (void)fprintf(stderr, "%s%s, in %.1f s%s%s\n", v->good || !v->vouched ? good : "", vouched,
            (double)v->elapsed_ms / 1000,
            v->tool[0]       ? "; unpacked by "
            : v->left_out[0] ? "; not unpacked"
                             : "",
            v->tool);
}

/* ---- what prune decides ---- */

void show_prune(const Control__PruneResult *r, bool has_failed)
{
    char deleted[SIZE_TEXT_MAX], remaining[SIZE_TEXT_MAX];

    (void)printf("%s: %" PRIu32 " backups (%s), %" PRIu32 " lone keys", r->dry_run ? "would be deleted" : "deleted",
            r->deleted, size_format(r->deleted_bytes, deleted), r->lone_keys);
    if (!r->dry_run)
        (void)printf(", %" PRIu32 " unfinished uploads", r->uploads);
    if (r->locked)
        (void)printf("; %" PRIu32 " stay, because the store does not let them go", r->locked);
    if (r->deleted && r->keeps_versions)
        (void)printf("\nThat frees nothing yet: the bucket keeps versions, until a rule of its lifecycle removes them");
    else if (r->deleted && r->versions_unknown)
        (void)printf("\nWhether that frees anything is not known: the bucket may keep versions (GetBucketVersioning)");
    (void)printf("\n%s: %s%" PRIu64 " complete backups, %s\n", r->dry_run ? "would remain" : "remain",
            has_failed ? "at most " : "", r->remaining, size_format(r->remaining_bytes, remaining));
}

/* ---- a rotation ---- */

void show_unrotated(const Control__Unrotated *u)
{
    (void)fprintf(stderr, "%s: %s: %s\n", u->is_old_version ? "NOT PURGED" : "NOT ROTATED", u->name, u->text);
}

static void show_locked_versions(const Control__RotateResult *r)
{
    char until[TIMESTAMP_TEXT_MAX];

    if (r->locked_until == INT64_MAX)
        (void)printf("%" PRIu32
                     " old versions are locked, under a legal hold that somebody must lift. No backup needs the "
                     "previous key for them; who holds it can read those until then.\n",
                r->locked_versions);
    else if (r->locked_versions)
        (void)printf("%" PRIu32
                     " old versions are locked until %s. No backup needs the previous key for them; who holds "
                     "it can read those until then.\n",
                r->locked_versions, timestamp_format(r->locked_until, until));
}

static void show_old_versions(const Control__RotateResult *r)
{
    const bool has_people = r->n_recipients + r->n_previous_recipients;

    if (r->purged)
        (void)printf("%" PRIu32 " old versions of the keys were removed.\n", r->purged);
    show_locked_versions(r);
    if (r->other_versions)
        (void)printf("The bucket keeps %" PRIu32
                     " old versions of these keys that open with %s: %s has wrapped them%s. "
                     "rotate-key -p with that one, and --purge-versions, removes them, as long as it exists.\n",
                r->other_versions, has_people ? "nothing that was handed over" : "neither key",
                r->previous_key[0] ? "a master key before the previous one" : "a master key",
                has_people ? ", or they are sealed to others" : "");
    if (r->old_versions)
        (void)printf("The bucket keeps %" PRIu32 " old versions of these keys, which may open with older master keys. "
                     "--purge-versions removes those that open with %s: only now, while it exists.\n",
                r->old_versions, has_people ? "what was handed over" : "the previous one");
    if (r->lost_versions)
        (void)printf("The bucket keeps %" PRIu32
                     " old versions of keys of deleted backups. Undeleting such a backup needs "
                     "the master key that it was made with; a lifecycle rule of the bucket removes them.\n",
                r->lost_versions);
    if (r->versions_unknown)
        (void)puts("Whether the bucket keeps old versions of the keys could not be found out.");
}

static bool is_among(char *const *list, size_t n, const char *recipient)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], recipient) == 0)
            return true;
    return false;
}

static void show_identity(const Control__RotateResult *r, const char *recipient)
{
    if (is_among(r->recipients, r->n_recipients, recipient))
        (void)printf("The identity of %s still opens them: keep it.\n", recipient);
    else if (is_among(r->opened_recipients, r->n_opened_recipients, recipient))
        (void)printf("The identity of %s opens none of them any more: it can be destroyed, unless something else is "
                     "sealed to it.\n",
                recipient);
    else /* nobody has seen that it ever opened one: of what else it opens nothing is known */
        (void)printf("The identity of %s opens none of them.\n", recipient);
}

/* It is all done. */
static void show_end(const Control__RotateResult *r)
{
    const char *others = r->n_recipients > 1 ? " and the others above" : "";

    if (r->n_recipients && r->new_key[0])
        (void)printf("The keys of all encrypted backups in %s are sealed to %s%s, and to nobody else.\n", r->bucket,
                r->recipients[0], others);
    else if (r->n_recipients)
        (void)printf(
                "The keys of all encrypted backups in %s say that they are sealed to %s%s; nobody vouches for that.\n",
                r->bucket, r->recipients[0], others);
    else if (r->n_previous_recipients)
        (void)printf("The keys of all encrypted backups in %s are wrapped by master key %s.\n", r->bucket, r->new_key);
    for (size_t i = 0; i < r->n_previous_recipients; i++)
        show_identity(r, r->previous_recipients[i]);
    if (!r->previous_key[0])
        return;
    if (strcmp(r->previous_key, r->new_key) == 0)
        (void)printf("Master key %s %s: keep it.\n", r->previous_key,
                r->n_recipients ? "opens none of them any more, and vouches for them" : "opens them");
    else
        (void)printf("No backup in %s needs the previous key %s any more: it can be destroyed.\n", r->bucket,
                r->previous_key);
}

/* What the two people of a ceremony want to read, and to find in what they wrote down. */
static void show_conclusion(const Control__RotateResult *r, bool has_failed)
{
    /* The middle of a ceremony in which the configuration is changed last is no failure, and no end either. */
    bool is_middle = has_failed && !r->dry_run && r->failed == 0 && r->configured_key[0] &&
                     strcmp(r->configured_key, r->new_key) != 0;
    const char *so_far = r->previous_key[0] ? "the previous key " : "what opens them so far";

    if (is_middle)
        (void)printf("Not done yet: the configuration does not name the new key, so %s%s is STILL NEEDED.\n", so_far,
                r->previous_key);
    else if (has_failed)
        (void)printf("This run FAILED: %s%s is STILL NEEDED.\n", so_far, r->previous_key);
    else if (r->dry_run && r->rotated + r->bound)
        (void)printf("This was a dry run: nothing was changed, and %s is still needed.\n",
                r->previous_key[0] ? "the previous key" : so_far);
    else if (r->dry_run)
        (void)printf("This was a dry run: nothing is left to rotate. A real run says whether %s can be destroyed.\n",
                r->previous_key[0] ? "the previous key" : "an identity");
    else
        show_end(r);
}

/* From what to what. */
static void show_both(const Control__RotateResult *r)
{
    const char *configured = strcmp(r->configured_key, r->new_key) == 0 ? "  (encryption_key_path)" : "";

    if (r->previous_key[0])
        (void)printf("previous key  %s\n", r->previous_key);
    for (size_t i = 0; i < r->n_previous_recipients; i++)
        (void)printf("%-12s  %s\n", i ? "" : "identity of", r->previous_recipients[i]);
    if (r->new_key[0])
        (void)printf("%s  %s%s\n", r->n_recipients ? "vouching key" : "new key     ", r->new_key, configured);
    for (size_t i = 0; i < r->n_recipients; i++)
        (void)printf("%-12s  %s\n", i ? "" : "sealed to", r->recipients[i]);
    (void)puts("");
}

void show_rotate(const Control__RotateResult *r, bool has_failed)
{
    if (!r->new_key[0] && r->n_recipients == 0)
        return;
    if (r->rotated + r->already + r->bound + r->failed == 0) { /* it did not come so far */
        if (has_failed)
            show_conclusion(r, true);
        return;
    }
    show_both(r);
    (void)printf("%-12s  %6" PRIu32 "\n%-12s  %6" PRIu32 "\n%-12s  %6" PRIu32 "\n\n",
            r->dry_run ? "would rotate" : "rotated", r->rotated, "already", r->already, "failed", r->failed);
    if (r->bound)
        (void)printf("%" PRIu32 " keys that another program wrapped with the new key %s bound to their backups.\n",
                r->bound, r->dry_run ? "would be" : "were");
    show_old_versions(r);
    show_conclusion(r, has_failed);
}

/* ---- results of jobs ---- */

static void show_revisions(const Control__BackupResult *b)
{
    if (b->revision_after && b->revision_after != b->revision_before)
        (void)printf("revision %" PRId64 " to %" PRId64, b->revision_before, b->revision_after);
    else
        (void)printf("revision %" PRId64 "%s", b->revision_before, b->revision_after ? "" : " or later");
}

/* What was seen of the database. */
static void show_structure(const Control__BackupResult *b)
{
    char free_size[SIZE_TEXT_MAX], keys[40] = "";

    if (b->has_keys)
        (void)snprintf(keys, sizeof(keys), "%" PRIu64 " keys, ", b->keys);
    if (b->structure_why[0])
        (void)printf("  structure %s: %s\n", b->structure, b->structure_why);
    else if (b->revision == 0)
        (void)printf("  structure %s\n", b->structure);
    else
        (void)printf("  structure %s, %s%" PRIu64 " changes up to revision %" PRId64 ", %s free\n", b->structure, keys,
                b->revisions, b->revision, size_format(b->free, free_size));
}

static void show_members(const Control__BackupResult *b)
{
    if (strcmp(b->members, "equal") == 0)
        (void)printf("  %" PRIu32 " members have the same contents", b->members_compared);
    else if (strcmp(b->members, "diverge") == 0)
        (void)printf("  the members DIVERGE");
    else
        (void)printf("  members not compared");
    if (b->members_why[0])
        (void)printf(" (%s)", b->members_why);
    (void)putchar('\n');
}

void show_backup(const Control__BackupResult *b)
{
    char size[SIZE_TEXT_MAX], spooled[SIZE_TEXT_MAX], stored[SIZE_TEXT_MAX + 16] = "";

    if (b->compressed)
        (void)snprintf(stored, sizeof(stored), ", stored as %s", size_format(b->stored_size, size));
    (void)printf("%s\n  %s in %.1f s, %.0f MiB/s%s, %s\n  from %s%s%s (etcd %s), ", b->name,
            size_format(b->snapshot_size, size), (double)b->elapsed_ms / 1000, rate(b->snapshot_size, b->elapsed_ms),
            stored, b->encrypted ? "encrypted" : "NOT ENCRYPTED", b->endpoint, b->member[0] ? " " : "", b->member,
            b->etcd_version);
    show_revisions(b);
    if (b->attempts > 1)
        (void)printf(", at attempt %" PRIu32, b->attempts);
    (void)putchar('\n');
    show_structure(b);
    show_members(b);
    if (b->spooled)
        (void)printf("  S3 was slower than etcd: %s waited on disk, sealed\n", size_format(b->spooled, spooled));
}

static void show_where(const Control__RestoreResult *r)
{
    const char *verb = r->dry_run ? "would be" : "is";

    if (!r->data_dir[0]) {
        (void)printf("  %s %s\n", r->dry_run ? "would be written to" : "written to", r->output);
        return;
    }
    (void)printf("  the data directory %s %s, of %s, by %s\n", verb, r->data_dir, r->owner, r->tool);
    if (r->wal_dir[0])
        (void)printf("  etcd's log %s in %s\n", verb, r->wal_dir);
    (void)printf("  member %s of the new cluster %s, token %s%s\n", r->member, r->initial_cluster,
            r->initial_cluster_token, r->dry_run ? "" : ": start etcd with the same");
}

void show_restore(const Control__RestoreResult *r)
{
    char size[SIZE_TEXT_MAX];

    if (r->dry_run)
        (void)printf("%s\n  %s, %s: nothing is in the way, and nothing was done\n", r->name,
                size_format(r->snapshot_size, size), r->encrypted ? "encrypted, and the key opens" : "not encrypted");
    else
        (void)printf("%s\n  %s in %.1f s, %.0f MiB/s, %s, %s\n", r->name, size_format(r->snapshot_size, size),
                (double)r->elapsed_ms / 1000, rate(r->snapshot_size, r->elapsed_ms),
                r->encrypted ? "decrypted and authenticated" : "was not encrypted",
                r->hash_checked ? "SHA-256 matches" : "SHA-256 NOT CHECKED");
    show_where(r);
}

static void show_running(const char *title, const Control__Running *r, int64_t now)
{
    char since[AGE_TEXT_MAX], done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

    (void)printf("%-13s %s, for %s, %s", title, r->job, age_format(r->since, now, since),
            r->progress ? r->progress->phase : "");
    if (r->progress && r->progress->total && r->progress->unit[0])
        (void)printf(", %" PRIu64 " of %" PRIu64 " %s", r->progress->done, r->progress->total, r->progress->unit);
    else if (r->progress && r->progress->total)
        (void)printf(", %s of %s", size_format(r->progress->done, done), size_format(r->progress->total, total));
    (void)putchar('\n');
    if (r->note[0])
        (void)printf("              %s\n", r->note);
}

static void show_schedule(const Control__StatusResult *s, int64_t now)
{
    char text[TIMESTAMP_TEXT_MAX], when[AGE_TEXT_MAX];

    if (!s->schedule[0])
        (void)puts("next backup   when somebody asks for one: no schedule is configured");
    else if (!s->next_backup)
        (void)printf("next backup   not known yet (%s): the bucket has not been seen\n", s->schedule);
    else if (s->next_backup + OVERDUE_S < now)
        (void)printf("next backup   %s, due for %s (%s)\n", timestamp_format(s->next_backup, text),
                age_format(s->next_backup, now, when), s->schedule);
    else
        (void)printf("next backup   %s, %s (%s)\n", timestamp_format(s->next_backup, text),
                s->next_backup <= now ? "now" : age_format(s->next_backup, now, when), s->schedule);
    if (s->failures_in_a_row)
        (void)printf("              %" PRIu32 " failed in a row\n", s->failures_in_a_row);
}

/* What is mended is told, too, for it says why there was no backup at that time. */
static void show_last_failure(const Control__StatusResult *s)
{
    const Control__Failure *f = s->last_failure;
    bool is_mended = strcmp(f->job, "backup") == 0 && s->last_success && s->last_success->instant > f->instant;
    char text[TIMESTAMP_TEXT_MAX];

    (void)printf("last failure  %s at %s%s: %s\n", f->job, timestamp_format(f->instant, text),
            is_mended ? ", mended since" : "", f->text);
}

/* A file's are not told of: there is nothing to know about them. */
static void show_credentials(const Control__StatusResult *s, int64_t now)
{
    char until[TIMESTAMP_TEXT_MAX], left[AGE_TEXT_MAX];

    if (!s->credentials[0])
        return;
    if (s->credentials_expire > now)
        (void)printf("credentials   from %s, valid until %s, for %s\n", s->credentials,
                timestamp_format(s->credentials_expire, until), age_format(now, s->credentials_expire, left));
    else if (s->credentials_expire)
        (void)printf("credentials   from %s, EXPIRED since %s\n", s->credentials,
                timestamp_format(s->credentials_expire, until));
    else
        (void)printf("credentials   from %s\n", s->credentials);
    if (s->credentials_trouble[0])
        (void)printf("              could not be fetched: %s\n", s->credentials_trouble);
}

static void show_round(const Control__StatusResult *s, int64_t now)
{
    char text[TIMESTAMP_TEXT_MAX], when[AGE_TEXT_MAX], vouched[64] = "";

    if (s->verify_vouched)
        (void)snprintf(vouched, sizeof(vouched), ", %" PRIu32 " vouched, not opened", s->verify_vouched);
    if (s->verify_ended)
        (void)printf("last verified %s, %s ago: %" PRIu32 " good%s, %" PRIu32 " %s%s%s\n",
                timestamp_format(s->verify_ended, text), age_format(s->verify_ended, now, when), s->verify_good,
                vouched, s->verify_bad, s->verify_bad ? "BAD" : "bad", s->verify_left_out[0] ? "; not unpacked: " : "",
                s->verify_left_out);
    else
        (void)printf("last verified %" PRIu32 " good%s, %" PRIu32 " %s since %s, %" PRIu32 " to go\n", s->verify_good,
                vouched, s->verify_bad, s->verify_bad ? "BAD" : "bad", timestamp_format(s->verify_began, text),
                s->verify_left);
    if (s->verify_text[0])
        (void)printf("              %s\n", s->verify_text);
}

static void show_verification(const Control__StatusResult *s, int64_t now)
{
    char text[TIMESTAMP_TEXT_MAX], when[AGE_TEXT_MAX];

    if (s->next_verify > now)
        (void)printf("next verify   %s, %s (%s)\n", timestamp_format(s->next_verify, text),
                age_format(s->next_verify, now, when), s->verify_schedule);
    else if (s->verify_schedule[0])
        (void)printf("next verify   %s (%s)\n", s->next_verify ? "now" : "not known yet", s->verify_schedule);
    if (s->verify_began)
        show_round(s, now);
}

void show_status(const Control__StatusResult *s, int64_t now)
{
    char text[TIMESTAMP_TEXT_MAX], when[AGE_TEXT_MAX], size[SIZE_TEXT_MAX];

    (void)printf("daemon        %s, process %" PRIu32 ", up for %s\n", s->program, s->pid,
            age_format(s->started, now, when));
    (void)printf("configuration %s\n", s->config);
    for (size_t i = 0; i < s->n_endpoints; i++)
        (void)printf("%-13s %s\n", i ? "" : "etcd", s->endpoints[i]);
    (void)printf("bucket        %s\n", s->bucket);
    if (s->bucket_trouble[0])
        (void)printf("              could not be looked at: %s\n", s->bucket_trouble);
    show_credentials(s, now);
    (void)printf("encryption    %s%s%s%s\n", s->encrypting ? "on" : "OFF: backups are stored as they are",
            s->n_recipients ? ", sealed to people" : "",
            !s->key[0]        ? ""
            : s->n_recipients ? ", vouched for by master key "
                              : ", master key ",
            s->key);
    for (size_t i = 0; i < s->n_recipients; i++)
        (void)printf("%-13s %s\n", i ? "" : "sealed to", s->recipients[i]);
    if (s->key_trouble[0])
        (void)printf("              %s\n", s->key_trouble);
    if (s->running)
        show_running("running", s->running, now);
    else
        (void)puts("running       nothing");
    if (s->beside)
        show_running("beside it", s->beside, now);
    for (size_t i = 0; i < s->n_waiting; i++)
        (void)printf("%-13s %s\n", i ? "" : "waiting", s->waiting[i]);
    show_schedule(s, now);
    if (s->last_success && s->newest <= s->last_success->instant)
        (void)printf("last backup   %s, %s ago, %s in %.1f s\n", timestamp_format(s->last_success->instant, text),
                age_format(s->last_success->instant, now, when), size_format(s->last_success->snapshot_size, size),
                (double)s->last_success->elapsed_ms / 1000);
    else if (s->newest)
        (void)printf("last backup   %s, %s ago, by %s\n", timestamp_format(s->newest, text),
                age_format(s->newest, now, when), s->last_success ? "another daemon" : "another process");
    else
        (void)puts("last backup   none by this process; list shows those in the bucket");
    if (s->bad_newest[0])
        (void)printf("              %s\n", s->bad_newest);
    show_verification(s, now);
    if (s->last_prune)
        (void)printf("last prune    %s, %s ago: %" PRIu32 " deleted, %" PRIu64 " remain\n",
                timestamp_format(s->pruned, text), age_format(s->pruned, now, when), s->last_prune->deleted,
                s->last_prune->remaining);
    if (s->last_failure)
        show_last_failure(s);
    else
        (void)puts("last failure  none");
}
