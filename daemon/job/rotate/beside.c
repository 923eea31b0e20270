#include "job/rotate/beside.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void drop(const char **text)
{
    free((char *)(uintptr_t)*text);
    *text = NULL;
}

int beside_copy(const struct beside *b, struct beside *out, struct err *e)
{
    *out = (struct beside){0};
    if (!b || !b->socket)
        return 0;
    *out = (struct beside){strdup(b->socket), strdup(b->bucket), strdup(b->form), strdup(b->trouble)};
    if (out->socket && out->bucket && out->form && out->trouble)
        return 0;
    beside_clear(out);
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* Bucket and prefix. */
static const char *names_of(const char *url)
{
    const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url, *names = strchr(host, '/');

    return names ? names : url;
}

int beside_check(const struct beside *b, const char *bucket, const char *words, struct err *e)
{
    bool is_same_url;

    if (!b->socket)
        return 0;
    is_same_url = strcmp(b->bucket, bucket) == 0;
    if (b->trouble[0] || !b->bucket[0])
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "the daemon on %s could not be asked what its next key would be: stop it or mend that, and run this "
                "again: %s",
                b->socket, b->trouble);
    if (strcmp(names_of(b->bucket), names_of(bucket)) != 0 || strcmp(b->form, words) == 0)
        return 0;
    if (!b->form[0])
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "the daemon on %s does not say what its next key would be: it is of another version; restart it, and "
                "run this again",
                b->socket);
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "the daemon on %s goes on with another configuration: reload it, and run this again (its next key%s%s "
            "would be %s, and not %s)",
            b->socket, is_same_url ? "" : " in ", is_same_url ? "" : b->bucket, b->form, words);
}

void beside_clear(struct beside *b)
{
    drop(&b->socket);
    drop(&b->bucket);
    drop(&b->form);
    drop(&b->trouble);
}
