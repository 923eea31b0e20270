/*
 * credentials.h: what a cloud gives to a machine, a pod or a program for a while: a name, a secret, a token, an end.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

/* Owned by who filled it; zero: there are none. */
struct cloud_credentials {
    char *access_key;          /* no secret: it is sent with each request */
    struct secret *secret_key; /* without a 0 */
    struct secret *token;      /* of the session; or NULL */
    int64_t expires;           /* by the clock of who issued it, seconds since the epoch; 0: it does not say */
};

/* The longest of each, in bytes: tokens of some kilobytes exist. */
enum { CLOUD_ID_MAX = 256, CLOUD_SECRET_MAX = 1024, CLOUD_TOKEN_MAX = 16 << 10 };

/*
 * Copies the three; those that are not there are NULL in `data`. What cannot be sent in the head of a request is
 * refused: anything but visible ASCII, in the access key also `/` and `,`. Errors: ERR_PROTOCOL, which names the
 * field and never quotes it; ERR_RESOURCE.
 */
int cloud_credentials_set(struct cloud_credentials *c, struct bytes access_key, struct bytes secret_key,
        struct bytes token, struct err *e);

/* Wipes and releases what *c holds. */
void cloud_credentials_clear(struct cloud_credentials *c);

/* "2026-11-29T12:00:00Z", also with a fraction of a second, which is dropped, or an offset. Errors: ERR_PROTOCOL. */
int cloud_credentials_instant(const char *text, int64_t *instant, struct err *e);
