#include "cloud/document.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/wiped_heap.h"

/* What a kind calls its members; NULL: it has no such thing. */
static const struct names {
    const char *token;
    bool has_code, has_version, needs_expiration;
} kinds[] = {
        [CLOUD_DOCUMENT_INSTANCE] = {.token = "Token", .has_code = true, .needs_expiration = true},
        [CLOUD_DOCUMENT_CONTAINER] = {.token = "Token", .needs_expiration = true},
        [CLOUD_DOCUMENT_PROCESS] = {.token = "SessionToken", .has_version = true},
};

static int refuse(struct err *e, const char *name, const char *why)
{
    return err_set(
            e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the credentials are not what they should be: %s %s", name, why);
}

/* A string; empty if it is not there or null, which both mean the same to the AWS CLI. */
static int text_of(const json_t *object, const char *name, struct bytes *out, struct err *e)
{
    const json_t *value = json_object_get(object, name);

    *out = (struct bytes){NULL, 0};
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return refuse(e, name, "is no string");
    *out = (struct bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
    return 0;
}

static int check_code(const json_t *object, struct err *e)
{
    struct bytes code;

    if (text_of(object, "Code", &code, e) < 0)
        return -1;
    /* Some that imitate EC2 have none. */
    if (code.len == 0 || (code.len == strlen("Success") && memcmp(code.data, "Success", code.len) == 0))
        return 0;
    return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "it has no credentials: Code %.64s", (const char *)code.data);
}

static int take(const json_t *object, const struct names *names, struct cloud_credentials *out, struct err *e)
{
    struct bytes id, secret, token, expiration;

    if (names->has_version && json_integer_value(json_object_get(object, "Version")) != 1)
        return refuse(e, "Version", "is not 1");
    if (names->has_code && check_code(object, e) < 0)
        return -1;
    if (text_of(object, "AccessKeyId", &id, e) < 0 || text_of(object, "SecretAccessKey", &secret, e) < 0 ||
            text_of(object, names->token, &token, e) < 0 || text_of(object, "Expiration", &expiration, e) < 0)
        return -1;
    if (expiration.len == 0 && names->needs_expiration)
        return refuse(e, "Expiration", "is missing");
    if (expiration.len && cloud_credentials_instant((const char *)expiration.data, &out->expires, e) < 0)
        return -1;
    return cloud_credentials_set(out, id, secret, token, e);
}

int cloud_document_parse(struct bytes text, enum cloud_document kind, struct cloud_credentials *out, struct err *e)
{
    json_error_t why;
    json_t *document;
    int result;

    json_set_alloc_funcs(malloc, wiped_heap_free);
    document = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!document && json_error_code(&why) == json_error_out_of_memory)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (!document) /* its words may quote the text */
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, why.position,
                "the credentials are not JSON, from byte %d on", why.position);
    result = json_is_object(document) ? take(document, &kinds[kind], out, e)
                                      : refuse(e, "the document", "is no JSON object");
    if (result < 0)
        cloud_credentials_clear(out);
    json_decref(document);
    secret_wipe(&why, sizeof(why));
    return result;
}
