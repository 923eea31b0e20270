#include "ctl/verify_command.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ctl/ask.h"
#include "ctl/brought.h"
#include "ctl/show.h"
#include "ctl/words.h"

enum { OPT_ALL = 256, OPT_DRILL, OPT_ALLOW_RENAMED, OPT_ALLOW_PLAIN };

const struct option verify_options[] = {
        {"backup-timestamp", required_argument, NULL, 't'},
        {"all", no_argument, NULL, OPT_ALL},
        {"drill", no_argument, NULL, OPT_DRILL},
        {"etcdutl-path", required_argument, NULL, 'e'},
        {"allow-renamed", no_argument, NULL, OPT_ALLOW_RENAMED},
        {"allow-plain", no_argument, NULL, OPT_ALLOW_PLAIN},
        BROUGHT_OPTIONS,
        {0},
};

const char verify_usage[] =
        "  -t, --backup-timestamp TIME  the backup of this instant (RFC 3339), or its name; default: the latest\n"
        "      --all                    every backup of the prefix, newest first\n"
        "      --drill                  also compare what it holds with what its etcd had, and unpack it with "
        "etcdutl,\n"
        "                               if there is one, into a scratch directory beside snapshot_path\n"
        "  -e, --etcdutl-path FILE      etcdutl, or etcdctl of 3.4; default: etcdutl in PATH, else etcdctl\n"
        "      --allow-renamed          accept a backup whose objects were renamed\n"
        "      --allow-plain            accept one that is not encrypted, though the master key is "
        "configured\n" BROUGHT_USAGE;

static struct {
    bool all, drill, allow_renamed, allow_plain;
    struct word_backup backup;
    const char *tool;
} verify = {.backup = {.name = ""}};

int verify_set(int letter, const char *value)
{
    if (brought_set(letter, value))
        return 0;
    switch (letter) {
    case 't':
        return word_backup(value, &verify.backup);
    case 'e':
        verify.tool = value;
        return 0;
    case OPT_ALL:
        verify.all = true;
        return 0;
    case OPT_DRILL:
        verify.drill = true;
        return 0;
    case OPT_ALLOW_RENAMED:
        verify.allow_renamed = true;
        return 0;
    case OPT_ALLOW_PLAIN:
        verify.allow_plain = true;
        return 0;
    default:
        return -1;
    }
}

int verify_run(const struct ctl *ctl)
{
    _cleanup_free_ char *tool = verify.tool ? word_program(verify.tool) : NULL;
    Control__Verify body = CONTROL__VERIFY__INIT;
    Control__Brought brought = CONTROL__BROUGHT__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    int status;

    if (verify.all && verify.backup.is_given) {
        show_failure("--all and --backup-timestamp: give one of them");
        return CTL_USAGE;
    }
    if (verify.tool && !verify.drill) {
        show_failure("--etcdutl-path is for --drill: nothing else unpacks");
        return CTL_USAGE;
    }
    if (verify.tool && !tool)
        return CTL_FAILED;
    status = brought_read(ctl, &brought, &body.brought);
    if (status != CTL_DONE)
        return status;
    body.all = verify.all;
    body.latest = !verify.all && !verify.backup.is_given;
    body.instant = verify.backup.instant;
    body.object = (char *)(uintptr_t)verify.backup.name; /* protobuf-c's strings are not const */
    body.drill = verify.drill;
    if (tool)
        body.tool = tool;
    body.allow_renamed = verify.allow_renamed;
    body.allow_plain = verify.allow_plain;
    request.body_case = CONTROL__REQUEST__BODY_VERIFY;
    request.verify = &body;
    return ask(ctl, &request, true);
}
