#include "job/keys/key_opener.h"

#include "age/identity.h"
#include "base/cleanup.h"
#include "seal/key.h"
#include "seal/sealed_key.h"

static bool is_anothers(const struct err *why)
{
    return why->domain == ERR_DOMAIN_KEY && why->code == KEY_FAULT_DOES_NOT_OPEN;
}

/* *e is of what failed last, and untouched if nothing did. */
static struct secret *unwrap(const struct key_opener *o, struct bytes object, int64_t instant, bool allow_renamed,
        const struct secret **authority, struct err *e)
{
    const struct secret *masters[] = {o->previous, o->next};
    struct err why = ERR_INIT;

    err_set(&why, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN, "it is wrapped by a master key");
    for (size_t i = 0; i < ARRAY_LEN(masters) && is_anothers(&why); i++) {
        struct secret *data_key;

        if (!masters[i])
            continue;
        *authority = masters[i];
        data_key = key_unwrap(masters[i], object, instant, allow_renamed, &why);
        if (data_key)
            return data_key;
    }
    *e = why;
    return NULL;
}

static int find_voucher(const struct key_opener *o, struct bytes object, int64_t instant, bool allow_renamed,
        const struct secret **authority, struct err *e)
{
    const struct secret *masters[] = {o->next, o->previous};
    struct err why = ERR_INIT;
    size_t by = KEYRING_CURRENT;

    err_set(&why, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_UNVOUCHED,
            "is sealed, and no master key here vouches for it");
    for (size_t i = 0; i < ARRAY_LEN(masters); i++) {
        if (!masters[i])
            continue;
        *authority = masters[i];
        if (sealed_key_check(masters[i], object, instant, allow_renamed, &why) == 0)
            return 0;
        if (!is_anothers(&why))
            break;
    }
    if ((is_anothers(&why) || why.code == KEY_FAULT_UNVOUCHED) && o->ring &&
            keyring_check(o->ring, object, instant, allow_renamed, &by, &why) == 0) {
        *authority = keyring_key(o->ring, by);
        return 0;
    }
    *e = why;
    return -1;
}

/* Which identities open it, each by itself: of several that were brought one is enough to open, and what is said
 * afterwards is said of each. One that was seen to open something is not asked again. */
static void see_openers(const struct key_opener *o, struct bytes object, int64_t instant, bool allow_renamed)
{
    const struct secret *all = o->brought->identities;

    for (size_t i = 0; i < age_identity_count(all) && i < AGE_IDENTITIES_MAX; i++) {
        _cleanup_secret_ struct secret *one = NULL, *data_key = NULL;
        struct err ignored = ERR_INIT; /* not seen, then */

        if (o->opened[i])
            continue;
        one = secret_copy(secret_const_data(all) + i * AGE_KEY_LEN, AGE_KEY_LEN, &ignored);
        data_key = one ? sealed_key_open(one, object, instant, allow_renamed, &ignored) : NULL;
        o->opened[i] = data_key != NULL;
    }
}

struct secret *key_opener_open(const struct key_opener *o, struct bytes object, int64_t instant, bool allow_renamed,
        const struct secret **authority, struct err *e)
{
    struct err why = ERR_INIT;
    struct secret *data_key;

    *authority = NULL;
    if (!sealed_key_is(object))
        return unwrap(o, object, instant, allow_renamed, authority, e);
    if (find_voucher(o, object, instant, allow_renamed, authority, &why) < 0) {
        *authority = NULL;
        if (brought_keys_forgive(o->brought, &why, e) < 0)
            return NULL;
    }
    data_key = brought_keys_open(o->brought, object, instant, allow_renamed, e);
    if (data_key && o->opened && o->brought->identities)
        see_openers(o, object, instant, allow_renamed);
    return data_key;
}

bool key_opener_is_previous(const struct key_opener *o, const struct secret *authority)
{
    return o->previous && authority && secret_equal(authority, o->previous);
}

int key_opener_knows(const struct key_opener *o, struct bytes object, int64_t instant, bool *is_known, struct err *e)
{
    _cleanup_secret_ struct secret *data_key = NULL;
    const struct secret *ignored;
    struct err why = ERR_INIT;

    if (sealed_key_is(object)) {
        *is_known = find_voucher(o, object, instant, true, &ignored, &why) == 0;
    } else {
        data_key = unwrap(o, object, instant, true, &ignored, &why);
        *is_known = data_key != NULL;
    }
    if (*is_known || why.kind != ERR_RESOURCE)
        return 0;
    *e = why;
    return -1;
}
