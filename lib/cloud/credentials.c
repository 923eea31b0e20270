#include "cloud/credentials.h"

#include <ctype.h>
#include <string.h>

#include "base/timestamp.h"

enum { INSTANT_TEXT_MAX = 64, SECONDS_END = 19 };

static bool is_visible(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return true;
}

static int check(const char *what, struct bytes text, size_t max, struct err *e)
{
    if (text.len == 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "no %s in the credentials", what);
    if (text.len > max)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the %s is longer than %zu bytes", what, max);
    if (!is_visible(text))
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the %s has a character that none has", what);
    return 0;
}

int cloud_credentials_set(struct cloud_credentials *c, struct bytes access_key, struct bytes secret_key,
        struct bytes token, struct err *e)
{
    struct cloud_credentials new = {.expires = c->expires};

    if (check("access key", access_key, CLOUD_ID_MAX, e) < 0 ||
            check("secret key", secret_key, CLOUD_SECRET_MAX, e) < 0)
        return -1;
    if (token.len && check("session token", token, CLOUD_TOKEN_MAX, e) < 0)
        return -1;
    if (memchr(access_key.data, '/', access_key.len) || memchr(access_key.data, ',', access_key.len))
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the access key has a character that none has");
    new.access_key = strndup((const char *)access_key.data, access_key.len);
    if (!new.access_key)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (!(new.secret_key = secret_copy(secret_key.data, secret_key.len, e)) ||
            (token.len && !(new.token = secret_copy(token.data, token.len, e)))) {
        cloud_credentials_clear(&new);
        return -1;
    }
    cloud_credentials_clear(c);
    *c = new;
    return 0;
}

void cloud_credentials_clear(struct cloud_credentials *c)
{
    free(c->access_key);
    secret_free(c->secret_key);
    secret_free(c->token);
    *c = (struct cloud_credentials){0};
}

int cloud_credentials_instant(const char *text, int64_t *instant, struct err *e)
{
    char whole[INSTANT_TEXT_MAX];
    struct err ignored = ERR_INIT;
    size_t len = strlen(text), end = SECONDS_END;

    if (len >= SECONDS_END && len < sizeof(whole)) {
        if (text[end] == '.')
            for (end++; isdigit((unsigned char)text[end]); end++)
                ;
        (void)snprintf(whole, sizeof(whole), "%.*s%s", SECONDS_END, text, text + end);
        if (timestamp_parse(whole, strlen(whole), instant, &ignored) == 0)
            return 0;
    }
    return err_set(
            e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the expiration in the credentials is no instant of RFC 3339");
}
