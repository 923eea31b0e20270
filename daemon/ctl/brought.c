#include "ctl/brought.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "age/identity.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "ctl/key_commands.h"
#include "ctl/show.h"
#include "seal/sealed_key.h"

static struct {
    const char *identity, *data_key;
    bool allow_unvouched;
    struct secret *identities, *plain; /* until the process ends */
} brought;

bool brought_set(int letter, const char *value)
{
    switch (letter) {
    case OPT_IDENTITY:
        brought.identity = value;
        return true;
    case OPT_DATA_KEY:
        brought.data_key = value;
        return true;
    case OPT_ALLOW_UNVOUCHED:
        brought.allow_unvouched = true;
        return true;
    default:
        return false;
    }
}

static struct secret *read_stdin(size_t max, struct err *e)
{
    _cleanup_secret_ struct secret *s = secret_new(max + 1, e);
    size_t len = 0;
    ssize_t n = 1;

    while (s && n != 0 && len <= max) {
        n = read(STDIN_FILENO, secret_data(s) + len, max + 1 - len);
        if (n < 0 && errno != EINTR) {
            err_errno(e, errno, "standard input");
            return NULL;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    if (s && len > max) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "standard input: more than %zu bytes, which is no key", max);
        return NULL;
    }
    if (s)
        secret_truncate(s, len);
    return TAKE_PTR(s);
}

static struct secret *read_one(const char *path, size_t max, struct err *e)
{
    return strcmp(path, "-") == 0 ? read_stdin(max, e) : secret_read_file(path, max, false, e);
}

static int read_identities(struct err *e)
{
    const char *name = strcmp(brought.identity, "-") == 0 ? "standard input" : brought.identity;
    _cleanup_secret_ struct secret *file = read_one(brought.identity, AGE_IDENTITY_FILE_MAX, e);

    if (file)
        brought.identities = age_identities_parse(name, (struct bytes){secret_const_data(file), secret_len(file)}, e);
    return brought.identities ? 0 : -1;
}

static int read_data_key(struct err *e)
{
    brought.plain = read_one(brought.data_key, SEALED_KEY_PLAIN + 1, e);
    if (brought.plain && secret_len(brought.plain) != SEALED_KEY_PLAIN)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "--data-key: %zu bytes instead of %d: what is wanted is what age -d makes of the object BACKUP.key",
                secret_len(brought.plain), SEALED_KEY_PLAIN);
    return brought.plain ? 0 : -1;
}

/* The message only points to the secret. */
static ProtobufCBinaryData bytes_of(struct secret *s)
{
    return (ProtobufCBinaryData){.len = s ? secret_len(s) : 0, .data = s ? secret_data(s) : NULL};
}

static void wipe(void)
{
    secret_free(TAKE_PTR(brought.identities));
    secret_free(TAKE_PTR(brought.plain));
}

int brought_read(const struct ctl *ctl, Control__Brought *m, Control__Brought **out)
{
    struct err e = ERR_INIT;

    if (brought.identity && brought.data_key) {
        show_failure("--identity and --data-key: give one of them");
        return CTL_USAGE;
    }
    if (!brought.identities && !brought.plain) /* diff asks twice, and standard input can be read once */
        (void)atexit(wipe);
    if ((brought.identity && !brought.identities && read_identities(&e) < 0) ||
            (brought.data_key && !brought.plain && read_data_key(&e) < 0))
        return key_commands_failed(ctl, &e);
    m->identities = bytes_of(brought.identities);
    m->data_key = bytes_of(brought.plain);
    m->allow_unvouched = brought.allow_unvouched;
    *out = brought.identity || brought.data_key || brought.allow_unvouched ? m : NULL;
    return CTL_DONE;
}
