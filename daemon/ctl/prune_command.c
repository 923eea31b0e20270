#include "ctl/prune_command.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "ctl/ask.h"
#include "ctl/show.h"
#include "ctl/words.h"

enum { OPT_DRY_RUN = 256, OPT_ALLOW_OTHER_KEYS };

const struct option prune_options[] = {
        {"max-age", required_argument, NULL, 'a'},
        {"min-count", required_argument, NULL, 'i'},
        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"allow-other-keys", no_argument, NULL, OPT_ALLOW_OTHER_KEYS},
        {0},
};

const char prune_usage[] =
        "  -a, --max-age DURATION       older backups may go; default: the configuration's, else 15d\n"
        "  -i, --min-count N            so many complete backups stay; default: the configuration's (20)\n"
        "      --dry-run                show what would go and what stays, and why; delete nothing\n"
        "      --allow-other-keys       also if backups are there that no configured master key opens\n";

static struct {
    bool has_max_age, has_min_count, is_none, dry_run, allow_other_keys;
    uint64_t max_age_ms, min_count;
} prune;

static int set_max_age(const char *value)
{
    struct err e = ERR_INIT;

    if (duration_parse(value, &prune.max_age_ms, &e) < 0) {
        show_failure(e.text);
        return -1;
    }
    if (prune.max_age_ms < 1000) {
        show_failure("--max-age: at least a second");
        return -1;
    }
    prune.has_max_age = true;
    return 0;
}

int prune_set(int letter, const char *value)
{
    switch (letter) {
    case 'a':
        return set_max_age(value);
    case 'i':
        prune.has_min_count = true;
        prune.is_none = strcmp(value, "0") == 0;
        prune.min_count = 1;
        return prune.is_none ? 0 : word_count("--min-count", value, &prune.min_count);
    case OPT_DRY_RUN:
        prune.dry_run = true;
        return 0;
    case OPT_ALLOW_OTHER_KEYS:
        prune.allow_other_keys = true;
        return 0;
    default:
        return -1;
    }
}

int prune_run(const struct ctl *ctl)
{
    Control__Prune body = CONTROL__PRUNE__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    if (prune.is_none && !ctl->quiet) /* which the Go tool takes by its word */
        show_note("--min-count 0: the newest complete backup stays all the same");
    body.dry_run = prune.dry_run;
    body.allow_other_keys = prune.allow_other_keys;
    body.has_max_age = prune.has_max_age;
    body.max_age_ms = prune.max_age_ms;
    body.has_min_count = prune.has_min_count;
    body.min_count = prune.min_count;
    request.body_case = CONTROL__REQUEST__BODY_PRUNE;
    request.prune = &body;
    return ask(ctl, &request, true);
}
