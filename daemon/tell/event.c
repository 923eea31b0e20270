#include "tell/event.h"

#include <stdbool.h>

#include "base/json.h"
#include "base/timestamp.h"
#include "control/message_json.h"
#include "job/message/backup_message.h"

/* The fields of etcd-backupctl --json backup. */
static void write_backup(FILE *out, bool *first, const struct backup_result *r)
{
    Control__BackupResult m = CONTROL__BACKUP_RESULT__INIT;

    backup_message_fill(&m, r);
    message_json_fields(out, first, &m.base);
}

void event_write(FILE *out, const struct core *core, const struct backup_result *result, const struct err *err)
{
    bool first = true;

    json_text(out, &first, "event", err ? "backup-failed" : result ? "backup-done" : "backup-started");
    json_instant(out, &first, "at", timestamp_now());
    json_text(out, &first, "bucket", core_bucket_url(core));
    if (err) {
        json_text(out, &first, "kind", err_kind_name(err->kind));
        json_text(out, &first, "text", err->text);
    } else if (result) {
        write_backup(out, &first, result);
    }
    (void)fputs("}\n", out);
}
