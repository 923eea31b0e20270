/*
 * sts.h: the Security Token Service: what is asked, and what it answers. Pure; expat does the parsing (s3/xml.h).
 *
 * Source: AWS STS API reference, version 2011-06-15: AssumeRole (signed) and AssumeRoleWithWebIdentity (unsigned: the
 * token is the proof). Ceph's gateway and MinIO speak the same on their own endpoints.
 */
#pragma once

#include "cloud/credentials.h"

struct cloud_sts_request {
    const char *role_arn;
    const char *session_name;
    const char *external_id;           /* of AssumeRole; or NULL */
    const struct secret *web_identity; /* the token of AssumeRoleWithWebIdentity; NULL: AssumeRole */
};

enum { CLOUD_STS_BODY_MAX = 64 << 10 };

/* Appends the form (application/x-www-form-urlencoded). *out wipes what it gives up (bytes.h); its limit is the
 * caller's, CLOUD_STS_BODY_MAX at most. Errors: ERR_RESOURCE, ERR_PROTOCOL (the limit). */
int cloud_sts_body(struct buf *out, const struct cloud_sts_request *r, struct err *e);

/*
 * What the answer of HTTP status `status` holds. Fills *out, which is empty; the caller clears it. Errors:
 *
 *     ERR_TRANSIENT  a status of 429 or 5xx, IDPCommunicationError, Throttling: later, perhaps
 *     ERR_AUTH       all other refusals, "HTTP 403 AccessDenied: message"
 *     ERR_PROTOCOL   no answer of STS
 *
 * A message that quotes `secret`, the token that was sent, is left out; NULL: none was.
 */
int cloud_sts_parse(
        struct bytes answer, int status, const struct secret *secret, struct cloud_credentials *out, struct err *e);

enum { CLOUD_STS_URL_MAX = 512, CLOUD_STS_HOST_MAX = 320, CLOUD_STS_SESSION_MAX = 65 };

/* Where STS is: `endpoint` as in the configuration, or NULL: Amazon's own of the region, never the global one. `host`
 * is what the Host header says. Errors: ERR_CONFIG. */
int cloud_sts_place(const char *endpoint, const char *region, char url[CLOUD_STS_URL_MAX],
        char host[CLOUD_STS_HOST_MAX], struct err *e);

/* A session's name from ours and the machine's: what STS does not take (other than letters, digits and _+=,.@-)
 * becomes `-`, and it ends after 64 characters. Returns out. */
char *cloud_sts_session_name(const char *host, char out[CLOUD_STS_SESSION_MAX]);
