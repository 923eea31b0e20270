#include "ctl/key_commands.h"

#include <stdbool.h>
#include <stdio.h>

#include "age/identity.h"
#include "base/secret.h"
#include "ctl/answer.h"
#include "ctl/results.h"
#include "ctl/show.h"
#include "seal/key.h"

enum { OPT_MAKE_IDENTITY = 256 };

const struct option generate_key_options[] = {
        {"identity", no_argument, NULL, OPT_MAKE_IDENTITY},
        {0},
};

const char generate_key_usage[] =
        "      --identity               not a master key, but an identity of age, and show its recipient: for\n"
        "                               encryption_recipients; on a machine that makes no backups\n";

static bool is_identity;

int generate_key_set(int letter, const char *value)
{
    (void)value;
    is_identity = is_identity || letter == OPT_MAKE_IDENTITY;
    return 0;
}

int key_commands_failed(const struct ctl *ctl, const struct err *e)
{
    if (ctl->json)
        results_failure(err_kind_name(e->kind), e->text);
    show_failure(e->text);
    return e->kind == ERR_CONFIG || e->kind == ERR_NOT_FOUND ? CTL_USAGE : CTL_FAILED;
}

/* `name` is what may be known of it, and, unless the key was made, all that was asked for. */
static int tell_name(const struct ctl *ctl, const char *kind, const char *name, bool is_made)
{
    if (ctl->json)
        results_key(ctl->argument, kind, name);
    else
        (void)printf("%s  %s\n", name, ctl->argument);
    return answer_end(CTL_DONE, !is_made);
}

static int tell(const struct ctl *ctl, const struct secret *key, bool is_made)
{
    char fingerprint[KEY_FINGERPRINT_MAX];

    return tell_name(ctl, "fingerprint", key_fingerprint(key, fingerprint), is_made);
}

static int generate_master(const struct ctl *ctl)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_new_master(&e);

    if (!key || key_write_master(ctl->argument, key, &e) < 0)
        return key_commands_failed(ctl, &e);
    return tell(ctl, key, true);
}

static int generate_identity(const struct ctl *ctl)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *identity = age_identity_new(&e), *file = NULL;
    char text[AGE_RECIPIENT_MAX];
    struct age_recipient recipient;

    if (identity)
        file = age_identity_file(identity, &e);
    if (!file || key_write_text(ctl->argument, file, &e) < 0)
        return key_commands_failed(ctl, &e);
    age_identity_recipient(identity, 0, &recipient);
    return tell_name(ctl, "recipient", age_recipient_format(&recipient, text), true);
}

int generate_key_run(const struct ctl *ctl)
{
    if (is_identity)
        return generate_identity(ctl);
    return generate_master(ctl);
}

int key_fingerprint_run(const struct ctl *ctl)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *key = key_read_brought(ctl->argument, &e);

    return key ? tell(ctl, key, false) : key_commands_failed(ctl, &e);
}
