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

void event_write(FILE *out, const struct core *core, const struct event *event)
{
    const char *what = event->err ? "failed" : event->result ? "done" : "started";
    char name[32];
    bool first = true;

    (void)snprintf(name, sizeof(name), "%s-%s", event->of, what);
    json_text(out, &first, "event", name);
    json_instant(out, &first, "at", timestamp_now());
    json_text(out, &first, "bucket", core_bucket_url(core));
    if (event->err) {
        json_text(out, &first, "kind", err_kind_name(event->err->kind));
        json_text(out, &first, "text", event->err->text);
    } else if (event->result) {
        write_backup(out, &first, event->result);
    }
    (void)fputs("}\n", out);
}
