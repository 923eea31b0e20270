#include "job/keys/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal/sealed_key.h"

struct slot {
    const char *path;   /* borrowed */
    struct secret *key; /* NULL: it could not be read, and unreadable says why */
    char fingerprint[KEY_FINGERPRINT_MAX];
    struct err unreadable;
};

struct keyring {
    size_t n;
    bool has_current; /* else the slot KEYRING_CURRENT is empty */
    struct slot slots[];
};

static void read_slot(struct slot *slot, const char *path)
{
    slot->path = path;
    slot->key = key_read_master(path, &slot->unreadable);
    if (slot->key)
        key_fingerprint(slot->key, slot->fingerprint);
}

struct keyring *keyring_new(const struct conf *conf, struct err *e)
{
    size_t n = 1 + conf->n_previous_key_paths;
    _cleanup_(cleanup_keyring_free) struct keyring *r = calloc(1, sizeof(*r) + n * sizeof(r->slots[0]));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->n = n;
    r->has_current = conf->encryption_key_path != NULL;
    if (r->has_current)
        read_slot(&r->slots[KEYRING_CURRENT], conf->encryption_key_path);
    if (r->has_current && !r->slots[KEYRING_CURRENT].key) {
        *e = r->slots[KEYRING_CURRENT].unreadable;
        return NULL;
    }
    for (size_t i = 1; i < n; i++)
        read_slot(&r->slots[i], conf->previous_key_paths[i - 1]);
    return TAKE_PTR(r);
}

/* None opens it, or vouches for it. Where memory or a disk kept one from being tried, that says nothing about the
 * backup.
 */
static int tell_none(const struct keyring *r, bool is_sealed, struct err *e)
{
    char tried[ERR_TEXT_MAX / 2] = "", unread[ERR_TEXT_MAX / 4] = ""; /* of many, as many as leave room for the rest */
    const struct err *lack = NULL;

    for (size_t i = 0; i < r->n; i++) {
        const struct slot *slot = &r->slots[i];
        size_t len = strlen(tried);

        if (slot->key)
            (void)snprintf(
                    tried + len, sizeof(tried) - len, "%s%s of %s", len ? ", " : "", slot->fingerprint, slot->path);
        else if (slot->unreadable.kind && !unread[0])
            (void)snprintf(unread, sizeof(unread), "; not tried: %.110s", slot->unreadable.text);
        if (slot->unreadable.kind == ERR_RESOURCE && !lack)
            lack = &slot->unreadable;
    }
    if (lack)
        return err_set(e, ERR_RESOURCE, lack->domain, lack->code, "not opened by %s; not tried: %.200s",
                tried[0] ? tried : "any", lack->text);
    if (is_sealed)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "sealed, and another master key vouches for it, or the key object was changed (not vouched for by "
                "%s%s); the right one goes into previous_key_paths",
                tried[0] ? tried : "any", unread);
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
            "wrong master key, or the key object is damaged (not opened by %s%s); the right one goes into "
            "previous_key_paths",
            tried[0] ? tried : "any", unread);
}

static bool is_next_to_be_tried(const struct err *why)
{
    return why->domain == ERR_DOMAIN_KEY && why->code == KEY_FAULT_DOES_NOT_OPEN;
}

static bool is_empty(const struct keyring *r)
{
    return !r->has_current && r->n == 1;
}

struct secret *keyring_unwrap(
        const struct keyring *r, struct bytes wrapped, int64_t instant, bool allow_renamed, size_t *by, struct err *e)
{
    if (is_empty(r) && !sealed_key_is(wrapped)) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "is encrypted, and encryption_key_path is not configured");
        return NULL;
    }
    for (size_t i = 0; i < r->n; i++) {
        struct err why = ERR_INIT;
        struct secret *key;

        if (!r->slots[i].key)
            continue;
        key = key_unwrap(r->slots[i].key, wrapped, instant, allow_renamed, &why);
        if (key && by)
            *by = i;
        if (key)
            return key;
        if (!is_next_to_be_tried(&why)) {
            *e = why;
            return NULL;
        }
    }
    tell_none(r, false, e);
    return NULL;
}

static int check_sealed(
        const struct keyring *r, struct bytes object, int64_t instant, bool allow_renamed, size_t *by, struct err *e)
{
    if (is_empty(r))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_UNVOUCHED,
                "is sealed, and there is no encryption_key_path whose key could vouch for it");
    for (size_t i = 0; i < r->n; i++) {
        struct err why = ERR_INIT;

        if (!r->slots[i].key)
            continue;
        if (sealed_key_check(r->slots[i].key, object, instant, allow_renamed, &why) == 0) {
            if (by)
                *by = i;
            return 0;
        }
        if (!is_next_to_be_tried(&why)) {
            *e = why;
            return -1;
        }
    }
    return tell_none(r, true, e);
}

int keyring_check(
        const struct keyring *r, struct bytes object, int64_t instant, bool allow_renamed, size_t *by, struct err *e)
{
    _cleanup_secret_ struct secret *data_key = NULL;

    if (sealed_key_is(object))
        return check_sealed(r, object, instant, allow_renamed, by, e);
    data_key = keyring_unwrap(r, object, instant, allow_renamed, by, e);
    return data_key ? 0 : -1;
}

const struct secret *keyring_current(const struct keyring *r)
{
    return r->slots[KEYRING_CURRENT].key;
}

const struct secret *keyring_key(const struct keyring *r, size_t i)
{
    return r->slots[i].key;
}

const char *keyring_fingerprint(const struct keyring *r, size_t i)
{
    return r->slots[i].fingerprint;
}

int keyring_current_fingerprint(const struct conf *conf, char out[KEY_FINGERPRINT_MAX], struct err *e)
{
    _cleanup_secret_ struct secret *key = NULL;

    out[0] = '\0';
    if (!conf->encryption_key_path)
        return 0;
    key = key_read_master(conf->encryption_key_path, e);
    if (!key)
        return -1;
    key_fingerprint(key, out);
    return 0;
}

void keyring_free(struct keyring *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        secret_free(r->slots[i].key);
    free(r);
}
