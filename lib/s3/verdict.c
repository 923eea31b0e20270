#include "s3/verdict.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/multi.h"
#include "s3/request.h"

/* Codes that mean more than their HTTP status, and words for those that some stores send without any. Sources: S3 API,
 * "Error Responses"; the codes of Ceph's gateway. */
static const char archived[] = "InvalidObjectState"; /* S3 API, GetObject: Glacier and the like */

static const struct code {
    const char *name;
    enum err_kind kind; /* ERR_NONE: by the status */
    bool again;
    const char *words; /* where the store has none */
    const char *more;  /* what it may mean beside that; or NULL */
} codes[] = {
        {"SlowDown", ERR_TRANSIENT, true, "the store asks for fewer requests", NULL},
        {"InternalError", ERR_TRANSIENT, true, "the store failed", NULL},
        {"RequestTimeout", ERR_TRANSIENT, true, "the store waited too long for us", NULL},
        {"ServiceUnavailable", ERR_TRANSIENT, true, "the store is not available", NULL},
        {"OperationAborted", ERR_TRANSIENT, true, "another operation was in the way", NULL},
        {"ConditionalRequestConflict", ERR_TRANSIENT, true, "another operation was in the way", NULL},
        {"AccessDenied", ERR_AUTH, false, "this access key may not do that", NULL},
        {archived, ERR_AUTH, false, "the object is in an archive",
                "; it has to be brought back from the archive first (RestoreObject)"},
        {"InvalidAccessKeyId", ERR_AUTH, false, "the store does not know this access key", NULL},
        {"SignatureDoesNotMatch", ERR_AUTH, false, "the signature is not the one that the store makes",
                "; the secret key may be another one, or what stands before the store may change the host or the path"},
        {"ExpiredToken", ERR_AUTH, false, "the session token has expired", NULL},
        {"InvalidToken", ERR_AUTH, false, "the session token is not valid", NULL},
        {"UserSuspended", ERR_AUTH, false, "the user of this access key is suspended", NULL},
        {"RequestTimeTooSkewed", ERR_AUTH, false, "our clock and the server's differ too much", NULL},
        {"NoSuchBucket", ERR_NOT_FOUND, false, "", NULL},
        {"NoSuchKey", ERR_NOT_FOUND, false, "there is no such object", NULL},
        {"NoSuchVersion", ERR_NOT_FOUND, false, "there is no such version", NULL},
        {"NoSuchUpload", ERR_NOT_FOUND, false, "there is no such upload", NULL},
        {"QuotaExceeded", ERR_NONE, false, "the quota of the bucket or its owner is used up", NULL},
        {"PreconditionFailed", ERR_NONE, false, "the object is not what it was required to be", NULL},
};

/* What an HTTP status is called (RFC 9110, section 15), for answers without a code. */
static const struct status {
    int number;
    enum err_kind kind;
    bool again;
    const char *name;
} statuses[] = {
        {400, ERR_CONFIG, false, "Bad Request"},
        {401, ERR_AUTH, false, "Unauthorized"},
        {403, ERR_AUTH, false, "Forbidden"},
        {404, ERR_NOT_FOUND, false, "Not Found"},
        {405, ERR_CONFIG, false, "Method Not Allowed"},
        {407, ERR_AUTH, false, "Proxy Authentication Required"},
        {408, ERR_TRANSIENT, true, "Request Timeout"},
        {411, ERR_CONFIG, false, "Length Required"},
        {412, ERR_CONFIG, false, "Precondition Failed"},
        {413, ERR_CONFIG, false, "Content Too Large"},
        {416, ERR_CONFIG, false, "Range Not Satisfiable"},
        {429, ERR_TRANSIENT, true, "Too Many Requests"},
        {500, ERR_TRANSIENT, true, "Internal Server Error"},
        {501, ERR_CONFIG, false, "Not Implemented"},
        {502, ERR_TRANSIENT, true, "Bad Gateway"},
        {503, ERR_TRANSIENT, true, "Service Unavailable"},
        {504, ERR_TRANSIENT, true, "Gateway Timeout"},
        {505, ERR_CONFIG, false, "HTTP Version Not Supported"},
};

/* What Object Lock keeps: S3 and Ceph say AccessDenied, and MinIO this, with these words ("Object is WORM protected and
 * cannot be overwritten", 400). */
static const struct code worm = {"InvalidRequest", ERR_AUTH, false, "", NULL};
static const char worm_words[] = "WORM protected";

static const struct code *find_code(const struct xml_error *error)
{
    const char *name = error->code;

    if (strcmp(name, worm.name) == 0 && strstr(error->message, worm_words))
        return &worm;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].name, name) == 0)
            return &codes[i];
    return NULL;
}

static struct status find_status(int number)
{
    enum err_kind kind = ERR_PROTOCOL;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].number == number)
            return statuses[i];
    if (number >= 300 && number < 500)
        kind = ERR_CONFIG;
    else if (number >= 500 && number < 600)
        kind = ERR_TRANSIENT;
    return (struct status){.number = number, .kind = kind, .name = ""};
}

/* Whether a name that the server gave may be shown as a place to configure. */
static bool is_name(const char *s)
{
    const size_t len = strlen(s);

    return len > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") == len;
}

bool s3_verdict_is_foreign(const char *content_type)
{
    return content_type &&
           (strcasecmp(content_type, "text/html") == 0 || strcasecmp(content_type, "application/json") == 0);
}

void s3_verdict_page(const struct s3_verdict_place *at, int status, const char *content_type, struct err *e)
{
    (void)err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP, status,
            "HTTP %d from %s is %s and no answer of S3: another service may be there, or stand before the store",
            status, at->host, content_type);
}

/* The endpoint that belongs into the configuration where S3 names the host of a bucket: without the bucket. */
static const char *without_bucket(const struct s3_verdict_place *at, const char *endpoint)
{
    const size_t len = strlen(at->bucket);

    return strncmp(endpoint, at->bucket, len) == 0 && endpoint[len] == '.' && strchr(endpoint + len + 1, '.')
                   ? endpoint + len + 1
                   : endpoint;
}

/* S3 has the bucket somewhere else: a redirect, or a signature for the wrong region. We do not follow, because the
 * configuration should say what is true. Nothing is said of a place that the answer does not name. */
static bool elsewhere(const struct s3_verdict_place *at, const struct s3_verdict_answer *a, struct err *e)
{
    const struct xml_error *error = &a->error;
    const bool is_redirect = a->status >= 300 && a->status < 400;
    const char *code = error->code[0] ? error->code : "redirect";

    if (!is_redirect && strcmp(code, "AuthorizationHeaderMalformed") != 0 &&
            strcmp(code, "IllegalLocationConstraintException") != 0)
        return false;
    if (is_name(error->region))
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_HTTP, a->status, "HTTP %d %s: bucket \"%s\" is in the region %s",
                a->status, code, at->bucket, error->region);
    else if (is_name(error->endpoint))
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_HTTP, a->status, "HTTP %d %s: bucket \"%s\" is at the endpoint %s",
                a->status, code, at->bucket, without_bucket(at, error->endpoint));
    else
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_HTTP, a->status, "HTTP %d %s from %s%s%s%s%s%s", a->status, code,
                at->host, error->message[0] ? ": " : "", error->message,
                a->location && a->location[0] ? " leads to " : "", a->location ? a->location : "",
                is_redirect ? "; redirects are not followed, the endpoint has to be the store itself" : "");
    return true;
}

/* An answer without a code of S3's: what was seen, and what may stand there. */
static void uncoded(
        const struct s3_verdict_place *at, const struct s3_verdict_answer *a, const struct status *known, struct err *e)
{
    const bool foreign = s3_verdict_is_foreign(a->content_type);
    const char *message = a->error.message;
    enum err_kind kind = known->kind;
    const char *may = "";

    if (foreign && kind == ERR_NOT_FOUND)
        kind = ERR_PROTOCOL;
    if (foreign)
        may = ", which is no answer of S3: another service may be there, or stand before the store";
    else if (a->is_bucket && a->status == 404)
        may = ", asked about the bucket: the endpoint may be no S3 store, or a host that names a bucket already";
    else if (!at->tls && a->status == 400)
        may = "; a port for TLS may answer so: https:// before the endpoint asks for it";
    (void)err_set(e, kind, ERR_DOMAIN_HTTP, a->status, "HTTP %d%s%s from %s%s%s%s%s%s%s", a->status,
            known->name[0] ? " " : "", known->name, at->host, foreign ? " (" : "", foreign ? a->content_type : "",
            foreign ? ")" : "", message[0] ? ": " : "", message, may);
}

bool s3_verdict_http(const struct s3_verdict_place *at, const struct s3_verdict_answer *a, struct err *e)
{
    const struct xml_error *error = &a->error;
    const struct code *code = find_code(error);
    const struct status by_status = find_status(a->status);
    const bool decides = code && code->kind != ERR_NONE, is_missing = strcmp(error->code, "NoSuchKey") == 0;
    const enum err_kind kind = decides ? code->kind : by_status.kind;
    const char *words = error->message[0] ? error->message : code ? code->words : "";
    const char *more = code && code->more ? code->more : "";

    if (elsewhere(at, a, e))
        return false;
    if (!error->code[0])
        uncoded(at, a, &by_status, e);
    else if (strcmp(error->code, "NoSuchBucket") == 0)
        (void)err_set(e, kind, ERR_DOMAIN_HTTP, a->status, "HTTP %d NoSuchBucket: there is no bucket \"%s\" at %s",
                a->status, at->bucket, at->host);
    else if (is_missing && a->is_bucket)
        (void)err_set(e, ERR_CONFIG, ERR_DOMAIN_HTTP, a->status,
                "HTTP %d NoSuchKey from %s, asked about the bucket \"%s\": it took that for the name of an object, "
                "as a store does when the endpoint's host names a bucket already",
                a->status, at->host, at->bucket);
    else
        (void)err_set(e, kind, ERR_DOMAIN_HTTP, a->status, "HTTP %d %s%s%s%s", a->status, error->code,
                words[0] ? ": " : "", words, more);
    if (strcmp(error->code, archived) == 0) {
        e->domain = ERR_DOMAIN_S3;
        e->code = S3_FAULT_ARCHIVED;
    }
    return decides ? code->again : by_status.again;
}

bool s3_verdict_code(const struct xml_error *error, struct err *e)
{
    const struct code *code = find_code(error);
    const char *words = error->message[0] ? error->message : code ? code->words : "";

    (void)err_set(e, code && code->kind != ERR_NONE ? code->kind : ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s%s%s",
            error->code[0] ? error->code : "an error without a code", words[0] ? ": " : "", words);
    return code && code->again;
}

/* Why a certificate is not accepted, for somebody who does not know OpenSSL. */
static void certificate(const struct s3_verdict_place *at, const struct s3_verdict_failure *f, struct err *e)
{
    const char *cas = at->ca_cert ? at->ca_cert : "the system's CAs", *why;

    switch (f->verify) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* what curl starts from; it compares the names itself */
        (void)err_set(e, ERR_AUTH, ERR_DOMAIN_CURL, f->code, "the certificate of %s is not accepted: %s", at->host,
                f->detail[0] ? f->detail : curl_easy_strerror(f->code));
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        (void)err_set(e, ERR_AUTH, ERR_DOMAIN_CURL, f->code,
                "the certificate of %s is not accepted: its issuer is not among %s", at->host, cas);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        why = "it has expired, or its issuer's has, if our clock is right";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        why = "it is not valid yet, if our clock is right";
        break;
    default:
        why = X509_verify_cert_error_string(f->verify);
        break;
    }
    (void)err_set(e, ERR_AUTH, ERR_DOMAIN_CURL, f->code, "the certificate of %s is not accepted: %s", at->host, why);
}

/* libcurl's codes, and words that the host's name follows. */
static const struct failure {
    CURLcode code;
    enum err_kind kind;
    bool again;
    const char *words;
} failures[] = {
        {CURLE_COULDNT_RESOLVE_HOST, ERR_TRANSIENT, true, "cannot resolve the name of"},
        {CURLE_COULDNT_CONNECT, ERR_TRANSIENT, true, "cannot connect to"},
        {CURLE_OPERATION_TIMEDOUT, ERR_TRANSIENT, true, "no connection in time to"},
        {CURLE_GOT_NOTHING, ERR_TRANSIENT, true, "the connection was closed without an answer by"},
        {CURLE_SEND_ERROR, ERR_TRANSIENT, true, "the connection broke while sending to"},
        {CURLE_RECV_ERROR, ERR_TRANSIENT, true, "the connection broke while receiving from"},
        {CURLE_PARTIAL_FILE, ERR_TRANSIENT, true, "the answer ended too early from"},
        {CURLE_SSL_CONNECT_ERROR, ERR_TRANSIENT, true, "no TLS with"},
        {CURLE_SSL_CACERT_BADFILE, ERR_CONFIG, false, "cannot read the CA file for"},
        {CURLE_ABORTED_BY_CALLBACK, ERR_RESOURCE, true, "cannot watch a connection to"},
        {CURLE_OUT_OF_MEMORY, ERR_RESOURCE, false, "out of memory, or a header without end, with"},
        {HTTP_MULTI_TOO_LARGE, ERR_PROTOCOL, false, "a header without end, or a value that is too long, with"},
        {CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, false, "no HTTP from"},
        {CURLE_UNSUPPORTED_PROTOCOL, ERR_PROTOCOL, false, "no HTTP/1.1 from"},
        {CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL, false, "a broken encoding from"},
};

/* What a failure looks like where one side speaks TLS and the other does not. "" where it does not look so. */
static const char *mixed_up(const struct s3_verdict_place *at, const struct s3_verdict_failure *f)
{
    if (at->tls && f->code == CURLE_SSL_CONNECT_ERROR && strstr(f->detail, "wrong version number"))
        return "; what answers may speak plain HTTP, which http:// before the endpoint asks for";
    if (!at->tls && (f->code == CURLE_UNSUPPORTED_PROTOCOL || f->code == CURLE_WEIRD_SERVER_REPLY))
        return "; a port for TLS may answer so: https:// before the endpoint asks for it";
    return "";
}

bool s3_verdict_curl(const struct s3_verdict_place *at, const struct s3_verdict_failure *f, struct err *e)
{
    struct failure known = {.kind = ERR_TRANSIENT, .again = true, .words = "a failed exchange with"};
    const char *detail = f->detail[0] ? f->detail : curl_easy_strerror(f->code);

    if (f->code == CURLE_PEER_FAILED_VERIFICATION || f->code == CURLE_SSL_ISSUER_ERROR) {
        certificate(at, f, e);
        return false;
    }
    if (f->code == CURLE_COULDNT_RESOLVE_PROXY && at->proxy) {
        (void)err_set(e, ERR_TRANSIENT, ERR_DOMAIN_CURL, f->code,
                "cannot resolve the name of the proxy %s (s3_client.proxy)", at->proxy);
        return true;
    }
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (failures[i].code == f->code)
            known = failures[i];
    if ((f->code == CURLE_COULDNT_CONNECT || f->code == CURLE_ABORTED_BY_CALLBACK) && f->os_error != 0)
        detail = strerror((int)f->os_error);
    (void)err_set(
            e, known.kind, ERR_DOMAIN_CURL, f->code, "%s %s: %s%s", known.words, at->host, detail, mixed_up(at, f));
    return known.again;
}

void s3_verdict_dial(const struct s3_verdict_place *at, const struct err *why, struct err *e)
{
    const char *verb = why->kind == ERR_RESOURCE ? "watch a connection" : "connect";
    const CURLcode code = why->kind == ERR_RESOURCE ? CURLE_ABORTED_BY_CALLBACK : CURLE_COULDNT_CONNECT;

    if (at->proxy)
        (void)err_set(e, why->kind, ERR_DOMAIN_CURL, code, "cannot %s to the proxy %s (s3_client.proxy): %s", verb,
                at->proxy, why->text);
    else
        (void)err_set(e, why->kind, ERR_DOMAIN_CURL, code, "cannot %s to %s: %s", verb, at->host, why->text);
}

/* Of what a proxy refuses only 407 asks for credentials (RFC 9110, 15.5.8); the rest is its address or its rules. */
bool s3_verdict_proxy(const struct s3_verdict_place *at, int status, struct err *e)
{
    const struct status known = find_status(status);
    const bool is_rule = known.kind == ERR_NOT_FOUND || (known.kind == ERR_AUTH && status != 407);

    (void)err_set(e, is_rule ? ERR_CONFIG : known.kind, ERR_DOMAIN_CURL, CURLE_RECV_ERROR,
            "HTTP %d%s%s from the proxy %s (s3_client.proxy)", status, known.name[0] ? " " : "", known.name, at->proxy);
    return known.again;
}

bool s3_verdict_is_stale(CURLcode code)
{
    return code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
           code == CURLE_SEND_FAIL_REWIND;
}
