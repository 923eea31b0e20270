#include "ctl/command.h"

#include "base/cleanup.h"
#include "ctl/ask.h"
#include "ctl/key_commands.h"
#include "ctl/prune_command.h"
#include "ctl/restore_command.h"
#include "ctl/rotate_command.h"
#include "ctl/verify_command.h"

/* ---- backup, list, status ---- */

static const struct option no_options[] = {{0}};

static int run_backup(const struct ctl *ctl)
{
    Control__Backup body = CONTROL__BACKUP__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_BACKUP;
    request.backup = &body;
    return ask(ctl, &request, true);
}

static int run_list(const struct ctl *ctl)
{
    Control__List body = CONTROL__LIST__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_LIST;
    request.list = &body;
    return ask(ctl, &request, false);
}

static int run_status(const struct ctl *ctl)
{
    Control__Status body = CONTROL__STATUS__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_STATUS;
    request.status = &body;
    return ask(ctl, &request, false);
}

const struct command command_table[] = {
        {
                .name = "backup",
                .help = "take a snapshot of etcd and store it in the bucket",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_backup,
        },
        {
                .name = "list",
                .help = "show the backups in the bucket, newest first",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_list,
        },
        {
                .name = "status",
                .help = "show what the daemon is doing and how it went",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_status,
        },
        {
                .name = "restore",
                .help = "read a backup back: into an etcd data directory, or into a snapshot file",
                .options = restore_options,
                .letters = "t:d:e:o:l:a:n:u::",
                .usage = restore_usage,
                .set = restore_set,
                .run = restore_run,
        },
        {
                .name = "verify",
                .help = "read backups as a restore would, write nothing, and say which are good",
                .options = verify_options,
                .letters = "t:e:",
                .usage = verify_usage,
                .set = verify_set,
                .run = verify_run,
        },
        {
                .name = "prune",
                .help = "delete backups that are too old, or show which would go and why",
                .options = prune_options,
                .letters = "a:i:",
                .usage = prune_usage,
                .set = prune_set,
                .run = prune_run,
        },
        {
                .name = "rotate-key",
                .help = "wrap all keys in the bucket by another master key",
                .options = rotate_options,
                .letters = "p:",
                .usage = rotate_usage,
                .set = rotate_set,
                .run = rotate_run,
        },
        {
                .name = "generate-key",
                .help = "make a master key in a new file, and show its fingerprint",
                .options = no_options,
                .letters = "",
                .usage = "",
                .argument = "FILE",
                .run = generate_key_run,
        },
        {
                .name = "key-fingerprint",
                .help = "show the fingerprint of the master key in a file",
                .options = no_options,
                .letters = "",
                .usage = "",
                .argument = "FILE",
                .run = key_fingerprint_run,
        },
};

const unsigned command_count = ARRAY_LEN(command_table);
