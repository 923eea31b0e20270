#include "ctl/rotate_command.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "ctl/ask.h"
#include "ctl/brought.h"
#include "ctl/key_commands.h"
#include "ctl/show.h"
#include "seal/key.h"

enum { OPT_NEW_KEY = 256, OPT_DRY_RUN, OPT_PURGE_VERSIONS };

const struct option rotate_options[] = {
        {"previous-key", required_argument, NULL, 'p'},
        {"new-key", required_argument, NULL, OPT_NEW_KEY},
        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"purge-versions", no_argument, NULL, OPT_PURGE_VERSIONS},
        BROUGHT_OPTIONS,
        {0},
};

const char rotate_usage[] =
        "  -p, --previous-key FILE      the master key in use so far; mandatory without --identity\n"
        "      --new-key FILE           the new one; default: what encryption_key_path of the configuration names\n"
        "      --dry-run                show how many keys would be rotated; change nothing\n"
        "      --purge-versions         after success, remove the old versions of the keys that a versioned bucket\n"
        "                               keeps: they still open with what has opened the keys so far\n" BROUGHT_USAGE;

static struct {
    const char *previous_key, *new_key;
    bool dry_run, purge_versions;
} rotate;

int rotate_set(int letter, const char *value)
{
    if (brought_set(letter, value))
        return 0;
    switch (letter) {
    case 'p':
        rotate.previous_key = value;
        return 0;
    case OPT_NEW_KEY:
        rotate.new_key = value;
        return 0;
    case OPT_DRY_RUN:
        rotate.dry_run = true;
        return 0;
    case OPT_PURGE_VERSIONS:
        rotate.purge_versions = true;
        return 0;
    default:
        return -1;
    }
}

static struct secret *read_key(const struct ctl *ctl, const char *path, int *status)
{
    struct err e = ERR_INIT;
    struct secret *key = key_read_brought(path, &e);

    if (!key)
        *status = key_commands_failed(ctl, &e);
    return key;
}

/* The message only points to the secret. */
static ProtobufCBinaryData bytes_of(struct secret *key)
{
    return (ProtobufCBinaryData){.len = secret_len(key), .data = secret_data(key)};
}

int rotate_run(const struct ctl *ctl)
{
    _cleanup_secret_ struct secret *previous = NULL, *next = NULL;
    Control__RotateKey body = CONTROL__ROTATE_KEY__INIT;
    Control__Brought brought = CONTROL__BROUGHT__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    int status;

    status = brought_read(ctl, &brought, &body.brought);
    if (status != CTL_DONE)
        return status;
    if (!rotate.previous_key && !brought.identities.len) {
        show_failure("rotate-key: which key was in use so far? -p FILE, or --identity FILE of what is sealed");
        return CTL_USAGE;
    }
    if ((rotate.previous_key && !(previous = read_key(ctl, rotate.previous_key, &status))) ||
            (rotate.new_key && !(next = read_key(ctl, rotate.new_key, &status))))
        return status;
    if (previous)
        body.previous_key = bytes_of(previous);
    if (next)
        body.new_key = bytes_of(next);
    body.dry_run = rotate.dry_run;
    body.purge_versions = rotate.purge_versions;
    request.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    request.rotate_key = &body;
    return ask(ctl, &request, true);
}
