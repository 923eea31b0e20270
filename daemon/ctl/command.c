#include "ctl/command.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "ctl/ask.h"
#include "ctl/diff_command.h"
#include "ctl/export_command.h"
#include "ctl/get_command.h"
#include "ctl/key_commands.h"
#include "ctl/ls_command.h"
#include "ctl/prune_command.h"
#include "ctl/restore_command.h"
#include "ctl/rotate_command.h"
#include "ctl/verify_command.h"

/* ---- backup, list, status, check ---- */

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

static bool wants_policy;

static const struct option check_options[] = {{"policy", no_argument, NULL, 'P'}, {0}};

static int check_set(int letter, const char *value)
{
    (void)value;
    wants_policy = letter == 'P';
    return wants_policy ? 0 : -1;
}

static int run_check(const struct ctl *ctl)
{
    Control__Check body = CONTROL__CHECK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    body.policy = wants_policy;
    request.body_case = CONTROL__REQUEST__BODY_CHECK;
    request.check = &body;
    return ask(ctl, &request, true);
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
                .name = "check",
                .help = "look at all that a backup, a restore and a prune need, and say what would fail",
                .options = check_options,
                .letters = "P",
                .usage = "  -P, --policy                 only print the smallest IAM policy for this configuration\n",
                .set = check_set,
                .run = run_check,
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
                .name = "ls",
                .help = "show which keys are in a backup, or what fills it",
                .options = ls_options,
                .letters = "t:l",
                .usage = ls_usage,
                .argument = "[PREFIX]",
                .set = ls_set,
                .run = ls_run,
        },
        {
                .name = "get",
                .help = "show the value that a key has in a backup, or its history",
                .options = get_options,
                .letters = "t:",
                .usage = get_usage,
                .argument = "KEY",
                .set = get_set,
                .run = get_run,
        },
        {
                .name = "diff",
                .help = "show which keys differ between two backups",
                .options = diff_options,
                .letters = "t:",
                .usage = diff_usage,
                .argument = "[PREFIX]",
                .set = diff_set,
                .run = diff_run,
        },
        {
                .name = "export",
                .help = "write keys with their values as JSON, or as a script that puts them back",
                .options = export_options,
                .letters = "t:",
                .usage = export_usage,
                .argument = "[PREFIX]",
                .set = export_set,
                .run = export_run,
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
                .options = generate_key_options,
                .letters = "",
                .usage = generate_key_usage,
                .argument = "FILE",
                .asks_nobody = true,
                .set = generate_key_set,
                .run = generate_key_run,
        },
        {
                .name = "key-fingerprint",
                .help = "show the fingerprint of the master key in a file",
                .options = no_options,
                .letters = "",
                .usage = "",
                .argument = "FILE",
                .asks_nobody = true,
                .run = key_fingerprint_run,
        },
};

const unsigned command_count = ARRAY_LEN(command_table);
