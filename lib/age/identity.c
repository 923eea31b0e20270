#include "age/identity.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "age/bech32.h"
#include "base/cleanup.h"

static const char identity_name[] = "AGE-SECRET-KEY-";

static_assert(AGE_IDENTITY_LEN == sizeof(identity_name) - 1 + BECH32_TAIL, "no 0");

struct secret *age_identity_new(struct err *e)
{
    struct secret *identity = secret_new(AGE_KEY_LEN, e);

    if (identity)
        randombytes_buf(secret_data(identity), AGE_KEY_LEN);
    return identity;
}

size_t age_identity_count(const struct secret *identities)
{
    return secret_len(identities) / AGE_KEY_LEN;
}

void age_identity_recipient(const struct secret *identities, size_t i, struct age_recipient *out)
{
    assert(i < age_identity_count(identities));
    (void)crypto_scalarmult_base(out->point, secret_const_data(identities) + i * AGE_KEY_LEN);
}

struct secret *age_identity_file(const struct secret *identity, struct err *e)
{
    static const char comment[] = "# public key: ";
    enum { COMMENT = sizeof(comment) - 1, RECIPIENT = AGE_RECIPIENT_MAX - 1 };
    struct secret *file = secret_new(COMMENT + RECIPIENT + 1 + AGE_IDENTITY_LEN + 1, e);
    char *p = file ? (char *)secret_data(file) : NULL;
    char text[AGE_RECIPIENT_MAX];
    struct age_recipient r;

    if (!file)
        return NULL;
    age_identity_recipient(identity, 0, &r);
    memcpy(p, comment, COMMENT);
    memcpy(p + COMMENT, age_recipient_format(&r, text), RECIPIENT);
    p[COMMENT + RECIPIENT] = '\n';
    bech32_encode(identity_name, secret_const_data(identity), p + COMMENT + RECIPIENT + 1);
    p[COMMENT + RECIPIENT + 1 + AGE_IDENTITY_LEN] = '\n';
    return file;
}

static bool begins_with(struct bytes text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static int refuse(struct err *e, const char *name, const char *why)
{
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "%s: %s", name, why);
}

static int check_kind(const char *name, struct bytes file, struct err *e)
{
    if (begins_with(file, "age-encryption.org/") || begins_with(file, "-----BEGIN AGE ENCRYPTED FILE-----"))
        return refuse(e, name,
                "this identity is itself encrypted: let age open it, and hand over what comes out: "
                "age -d FILE | etcd-backupctl … --identity -");
    if (begins_with(file, "-----BEGIN OPENSSH PRIVATE KEY-----") ||
            begins_with(file, "-----BEGIN RSA PRIVATE KEY-----"))
        return refuse(e, name, "an SSH key, and no identity of age (AGE-SECRET-KEY-1…)");
    return 0;
}

static int refuse_line(const char *name, size_t number, struct bytes line, enum bech32_fault fault, struct err *e)
{
    if (begins_with(line, "AGE-PLUGIN-"))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0,
                "%s: line %zu is an identity of a plugin: let age open the key, and hand that over: "
                "age -d -i FILE BACKUP.key | etcd-backupctl restore … --data-key -",
                name, number);
    if (begins_with(line, "age1"))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0,
                "%s: line %zu is a recipient, which only seals: its identity begins with AGE-SECRET-KEY-1", name,
                number);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "%s: line %zu is no identity of age (AGE-SECRET-KEY-1…): it %s",
            name, number, bech32_fault_text(fault));
}

/* The next line of the file, without its end, and without a carriage return before that. */
static struct bytes take_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct bytes line = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    const size_t taken = line.len + (end ? 1 : 0);

    *rest = (struct bytes){rest->data + taken, rest->len - taken};
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static int read_lines(const char *name, struct bytes file, struct secret *found, size_t *n, struct err *e)
{
    for (size_t number = 1; file.len > 0; number++) {
        struct bytes line = take_line(&file);
        enum bech32_fault fault;

        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (*n == AGE_IDENTITIES_MAX)
            return err_set(
                    e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "%s: more than %d identities", name, AGE_IDENTITIES_MAX);
        fault = bech32_decode(identity_name, (const char *)line.data, line.len, secret_data(found) + *n * AGE_KEY_LEN);
        if (fault != BECH32_GOOD)
            return refuse_line(name, number, line, fault, e);
        (*n)++;
    }
    return *n ? 0 : refuse(e, name, "no identity of age in it (AGE-SECRET-KEY-1…)");
}

struct secret *age_identities_parse(const char *name, struct bytes file, struct err *e)
{
    _cleanup_secret_ struct secret *found = secret_new((size_t)AGE_IDENTITIES_MAX * AGE_KEY_LEN, e);
    size_t n = 0;

    if (!found || check_kind(name, file, e) < 0 || read_lines(name, file, found, &n, e) < 0)
        return NULL;
    secret_truncate(found, n * AGE_KEY_LEN);
    return TAKE_PTR(found);
}
