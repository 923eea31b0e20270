/*
 * fuzz_cloud.h: what must hold of credentials, whatever they were read from.
 */
#pragma once

#include "fuzz.h"

#include <string.h>

#include "cloud/credentials.h"

static inline void fuzz_cloud_check_bytes(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        FUZZ_CHECK(p[i] > ' ' && p[i] < 0x7f);
}

/* Nothing in it could break a header, and there is something. */
static inline void fuzz_cloud_check(const struct cloud_credentials *c)
{
    FUZZ_CHECK(c->access_key && c->access_key[0] && !strpbrk(c->access_key, "/,"));
    fuzz_cloud_check_bytes((const uint8_t *)c->access_key, strlen(c->access_key));
    FUZZ_CHECK(c->secret_key && secret_len(c->secret_key) > 0);
    fuzz_cloud_check_bytes(secret_const_data(c->secret_key), secret_len(c->secret_key));
    if (c->token)
        fuzz_cloud_check_bytes(secret_const_data(c->token), secret_len(c->token));
}

static inline void fuzz_cloud_check_none(const struct cloud_credentials *c, const struct err *e)
{
    FUZZ_CHECK(e->kind != ERR_NONE && !strpbrk(e->text, "\n\r"));
    FUZZ_CHECK(!c->access_key && !c->secret_key && !c->token);
}
