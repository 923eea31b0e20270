#include "ctl/key_commands.h"

#include <stdio.h>

#include "base/secret.h"
#include "ctl/results.h"
#include "ctl/show.h"
#include "seal/key.h"

int key_commands_failed(const struct ctl *ctl, const struct err *e)
{
    if (ctl->json)
        results_failure(err_kind_name(e->kind), e->text);
    show_failure(e->text);
    return e->kind == ERR_CONFIG || e->kind == ERR_NOT_FOUND ? CTL_USAGE : CTL_FAILED;
}

static int tell(const struct ctl *ctl, const struct secret *key)
{
    char fingerprint[KEY_FINGERPRINT_MAX];

    key_fingerprint(key, fingerprint);
    if (ctl->json)
        results_key(ctl->argument, fingerprint);
    else
        (void)printf("%s  %s\n", fingerprint, ctl->argument);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CTL_DONE;
    show_failure("what was asked for could not be written to stdout");
    return CTL_FAILED;
}

int generate_key_run(const struct ctl *ctl)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_new_master(&e);

    if (!key || key_write_master(ctl->argument, key, &e) < 0)
        return key_commands_failed(ctl, &e);
    return tell(ctl, key);
}

int key_fingerprint_run(const struct ctl *ctl)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_read_brought(ctl->argument, &e);

    return key ? tell(ctl, key) : key_commands_failed(ctl, &e);
}
