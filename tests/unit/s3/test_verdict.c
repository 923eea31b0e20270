/* Failures, and what a person is told about them. */
#include "expect.h"
#include "s3/request.h"
#include "s3/verdict.h"

#include <errno.h>
#include <openssl/x509_vfy.h>

#include "base/cleanup.h"
#include "http/multi.h"

static const struct s3_verdict_place at = {
        .host = "s3.example.com", .bucket = "bucket", .tls = true, .ca_cert = "/etc/ca.crt"};

static void test_http(void **state)
{
    static const struct {
        int status;
        struct xml_error error;
        enum err_kind kind;
        bool again;
        const char *text;
    } rows[] = {
            {503, {.code = "SlowDown", .message = "Reduce your request rate."}, ERR_TRANSIENT, true,
                    "HTTP 503 SlowDown: Reduce your request rate."},
            {503, {.code = "SlowDown"}, ERR_TRANSIENT, true, "HTTP 503 SlowDown: the store asks for fewer requests"},
            {200, {.code = "InternalError", .message = "m"}, ERR_TRANSIENT, true, "HTTP 200 InternalError: m"},
            {400, {.code = "RequestTimeout", .message = "m"}, ERR_TRANSIENT, true, "HTTP 400 RequestTimeout: m"},
            {409, {.code = "OperationAborted", .message = "m"}, ERR_TRANSIENT, true, "HTTP 409 OperationAborted: m"},
            {200, {.code = "SomethingElse", .message = "m"}, ERR_PROTOCOL, false, "HTTP 200 SomethingElse: m"},
            {500, {.code = ""}, ERR_TRANSIENT, true, "HTTP 500 Internal Server Error from s3.example.com"},
            {502, {.code = ""}, ERR_TRANSIENT, true, "HTTP 502 Bad Gateway from s3.example.com"},
            {503, {.code = ""}, ERR_TRANSIENT, true, "HTTP 503 Service Unavailable from s3.example.com"},
            {504, {.code = ""}, ERR_TRANSIENT, true, "HTTP 504 Gateway Timeout from s3.example.com"},
            {429, {.code = ""}, ERR_TRANSIENT, true, "HTTP 429 Too Many Requests from s3.example.com"},
            {408, {.code = ""}, ERR_TRANSIENT, true, "HTTP 408 Request Timeout from s3.example.com"},
            {599, {.code = ""}, ERR_TRANSIENT, false, "HTTP 599 from s3.example.com"},
            {501, {.code = "NotImplemented", .message = "m"}, ERR_CONFIG, false, "HTTP 501 NotImplemented: m"},
            {403, {.code = ""}, ERR_AUTH, false, "HTTP 403 Forbidden from s3.example.com"},
            {401, {.code = ""}, ERR_AUTH, false, "HTTP 401 Unauthorized from s3.example.com"},
            {403, {.code = "SignatureDoesNotMatch"}, ERR_AUTH, false,
                    "HTTP 403 SignatureDoesNotMatch: the signature is not the one that the store makes; the secret "
                    "key may be another one, or what stands before the store may change the host or the path"},
            {403, {.code = "InvalidObjectState"}, ERR_AUTH, false,
                    "HTTP 403 InvalidObjectState: the object is in an archive; it has to be brought back from the "
                    "archive "
                    "first (RestoreObject)"},
            {403, {.code = "AccessDenied"}, ERR_AUTH, false, "HTTP 403 AccessDenied: this access key may not do that"},
            {400, {.code = "ExpiredToken", .message = "m"}, ERR_AUTH, false, "HTTP 400 ExpiredToken: m"},
            {404, {.code = ""}, ERR_NOT_FOUND, false, "HTTP 404 Not Found from s3.example.com"},
            {404, {.code = "NoSuchBucket", .message = "m"}, ERR_NOT_FOUND, false,
                    "HTTP 404 NoSuchBucket: there is no bucket \"bucket\" at s3.example.com"},
            {400, {.code = "Odd"}, ERR_CONFIG, false, "HTTP 400 Odd"},
            {418, {.code = ""}, ERR_CONFIG, false, "HTTP 418 from s3.example.com"},
            {412, {.code = "PreconditionFailed"}, ERR_CONFIG, false,
                    "HTTP 412 PreconditionFailed: the object is not what it was required to be"},
            {301, {.code = "PermanentRedirect", .message = "m", .endpoint = "b.s3-eu-west-3.amazonaws.com"}, ERR_CONFIG,
                    false,
                    "HTTP 301 PermanentRedirect: bucket \"bucket\" is at the endpoint b.s3-eu-west-3.amazonaws.com"},
            {301, {.code = "", .region = "eu-west-3"}, ERR_CONFIG, false,
                    "HTTP 301 redirect: bucket \"bucket\" is in the region eu-west-3"},
            {307, {.code = "TemporaryRedirect", .message = "wait", .endpoint = "a b; c"}, ERR_CONFIG, false,
                    "HTTP 307 TemporaryRedirect from s3.example.com: wait; redirects are not followed, the "
                    "endpoint has to be the store itself"},
            {307, {.code = "TemporaryRedirect", .message = "m", .endpoint = "bucket.s3-eu-west-3.amazonaws.com"},
                    ERR_CONFIG, false,
                    "HTTP 307 TemporaryRedirect: bucket \"bucket\" is at the endpoint s3-eu-west-3.amazonaws.com"},
            {400, {.code = "AuthorizationHeaderMalformed", .message = "m"}, ERR_CONFIG, false,
                    "HTTP 400 AuthorizationHeaderMalformed from s3.example.com: m"},
            {400, {.code = "AuthorizationHeaderMalformed", .message = "m", .region = "eu-west-3"}, ERR_CONFIG, false,
                    "HTTP 400 AuthorizationHeaderMalformed: bucket \"bucket\" is in the region eu-west-3"},
            {42, {.code = ""}, ERR_PROTOCOL, false, "HTTP 42 from s3.example.com"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        const struct s3_verdict_answer a = {.status = rows[i].status, .error = rows[i].error};
        bool is_archived = strcmp(rows[i].error.code, "InvalidObjectState") == 0;

        assert_int_equal(s3_verdict_http(&at, &a, &e), rows[i].again);
        expect_error(&e, rows[i].kind, rows[i].text);
        assert_int_equal(e.domain, is_archived ? ERR_DOMAIN_S3 : ERR_DOMAIN_HTTP);
        assert_int_equal(e.code, is_archived ? S3_FAULT_ARCHIVED : rows[i].status);
    }
}

/* What was seen, and then what it may mean. */
static void test_what_stands_there(void **state)
{
    static const struct s3_verdict_place plain = {.host = "h", .bucket = "bucket"};
    static const struct {
        const struct s3_verdict_place *at;
        struct s3_verdict_answer answer;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {&at, {.status = 404, .is_bucket = true, .error = {.code = "NoSuchKey"}}, ERR_CONFIG,
                    "HTTP 404 NoSuchKey from s3.example.com, asked about the bucket \"bucket\": it took that for "
                    "the name of an object, as a store does when the endpoint's host names a bucket already"},
            {&at, {.status = 404, .error = {.code = "NoSuchKey"}}, ERR_NOT_FOUND,
                    "HTTP 404 NoSuchKey: there is no such object"},
            {&at, {.status = 404, .is_bucket = true}, ERR_NOT_FOUND,
                    "HTTP 404 Not Found from s3.example.com, asked about the bucket: the endpoint may be no S3 "
                    "store, or a host that names a bucket already"},
            {&at, {.status = 404, .content_type = "text/html"}, ERR_PROTOCOL,
                    "HTTP 404 Not Found from s3.example.com (text/html), which is no answer of S3: another service "
                    "may be there, or stand before the store"},
            {&at, {.status = 404, .content_type = "application/xml"}, ERR_NOT_FOUND,
                    "HTTP 404 Not Found from s3.example.com"},
            {&at, {.status = 502, .content_type = "text/HTML"}, ERR_TRANSIENT,
                    "HTTP 502 Bad Gateway from s3.example.com (text/HTML), which is no answer of S3: another "
                    "service may be there, or stand before the store"},
            {&at, {.status = 302, .location = "https://login.example.com/"}, ERR_CONFIG,
                    "HTTP 302 redirect from s3.example.com leads to https://login.example.com/; redirects are not "
                    "followed, the endpoint has to be the store itself"},
            {&at, {.status = 400, .error = {.message = "no"}}, ERR_CONFIG,
                    "HTTP 400 Bad Request from s3.example.com: no"},
            {&plain, {.status = 400, .error = {.message = "no"}}, ERR_CONFIG,
                    "HTTP 400 Bad Request from h: no; a port for TLS may answer so: https:// before the endpoint "
                    "asks for it"},
    };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)s3_verdict_http(rows[i].at, &rows[i].answer, &e);
        expect_error(&e, rows[i].kind, rows[i].text);
    }
    s3_verdict_page(&at, 200, "text/html", &e);
    expect_error(&e, ERR_PROTOCOL,
            "HTTP 200 from s3.example.com is text/html and no answer of S3: another service may be there, or stand "
            "before the store");
}

/* One side speaks TLS and the other does not. */
static void test_mixed_up(void **state)
{
    static const struct s3_verdict_place plain = {.host = "h", .bucket = "bucket"};
    const struct s3_verdict_failure tls = {CURLE_SSL_CONNECT_ERROR, 0, 0, "error:0A00010B:x::wrong version number"};
    const struct s3_verdict_failure other = {CURLE_SSL_CONNECT_ERROR, 0, 0, "no shared cipher"};
    const struct s3_verdict_failure odd = {CURLE_UNSUPPORTED_PROTOCOL, 0, 0, "Received HTTP/0.9 when not allowed"};
    struct err e = ERR_INIT;

    (void)state;
    (void)s3_verdict_curl(&at, &tls, &e);
    expect_error(&e, ERR_TRANSIENT,
            "no TLS with s3.example.com: error:0A00010B:x::wrong version number; what answers may speak plain "
            "HTTP, which http:// before the endpoint asks for");
    (void)s3_verdict_curl(&at, &other, &e);
    expect_error(&e, ERR_TRANSIENT, "no TLS with s3.example.com: no shared cipher");
    (void)s3_verdict_curl(&plain, &odd, &e);
    expect_error(&e, ERR_PROTOCOL,
            "no HTTP/1.1 from h: Received HTTP/0.9 when not allowed; a port for TLS may answer so: https:// before "
            "the endpoint asks for it");
}

static void test_curl(void **state)
{
    static const struct {
        struct s3_verdict_failure failure;
        enum err_kind kind;
        bool again, stale;
        const char *text;
    } rows[] = {
            {{CURLE_COULDNT_CONNECT, ECONNREFUSED, 0, "Failed to connect"}, ERR_TRANSIENT, true, false,
                    "cannot connect to s3.example.com: Connection refused"},
            {{CURLE_COULDNT_RESOLVE_HOST, 0, 0, "Could not resolve host: s3.example.com"}, ERR_TRANSIENT, true, false,
                    "cannot resolve the name of s3.example.com: Could not resolve host: s3.example.com"},
            {{CURLE_OPERATION_TIMEDOUT, 0, 0, "Connection timed out after 5000 ms"}, ERR_TRANSIENT, true, false,
                    "no connection in time to s3.example.com: Connection timed out after 5000 ms"},
            {{CURLE_GOT_NOTHING, 0, 0, "Empty reply from server"}, ERR_TRANSIENT, true, true,
                    "the connection was closed without an answer by s3.example.com: Empty reply from server"},
            {{CURLE_RECV_ERROR, 0, 0, "reset"}, ERR_TRANSIENT, true, true,
                    "the connection broke while receiving from s3.example.com: reset"},
            {{CURLE_SEND_ERROR, 0, 0, "reset"}, ERR_TRANSIENT, true, true,
                    "the connection broke while sending to s3.example.com: reset"},
            {{CURLE_SEND_FAIL_REWIND, 0, 0, "r"}, ERR_TRANSIENT, true, true,
                    "a failed exchange with s3.example.com: r"},
            {{CURLE_PARTIAL_FILE, 0, 0, "transfer closed"}, ERR_TRANSIENT, true, false,
                    "the answer ended too early from s3.example.com: transfer closed"},
            {{CURLE_ABORTED_BY_CALLBACK, ENOSPC, 0, "a"}, ERR_RESOURCE, true, false,
                    "cannot watch a connection to s3.example.com: No space left on device"},
            {{CURLE_OUT_OF_MEMORY, 0, 0, ""}, ERR_RESOURCE, false, false,
                    "out of memory, or a header without end, with s3.example.com: Out of memory"},
            {{HTTP_MULTI_TOO_LARGE, 0, 0, "grew larger than allowed"}, ERR_PROTOCOL, false, false,
                    "a header without end, or a value that is too long, with s3.example.com: grew larger than allowed"},
            {{CURLE_WEIRD_SERVER_REPLY, 0, 0, "w"}, ERR_PROTOCOL, false, false, "no HTTP from s3.example.com: w"},
            {{CURLE_SSL_CACERT_BADFILE, 0, 0, "b"}, ERR_CONFIG, false, false,
                    "cannot read the CA file for s3.example.com: b"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "x"}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: its issuer is not among /etc/ca.crt"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_CERT_HAS_EXPIRED, "x"}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: it has expired, or its issuer's has, if "
                    "our clock is right"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_CERT_NOT_YET_VALID, "x"}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: it is not valid yet, if our clock is right"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_INVALID_PURPOSE, "x"}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: unsuitable certificate purpose"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_UNSPECIFIED, "names differ"}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: names differ"},
            {{CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_OK, ""}, ERR_AUTH, false, false,
                    "the certificate of s3.example.com is not accepted: SSL peer certificate or SSH remote key was "
                    "not OK"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(s3_verdict_curl(&at, &rows[i].failure, &e), rows[i].again);
        expect_error(&e, rows[i].kind, rows[i].text);
        assert_int_equal(e.domain, ERR_DOMAIN_CURL);
        assert_int_equal(e.code, rows[i].failure.code);
        assert_int_equal(s3_verdict_is_stale(rows[i].failure.code), rows[i].stale);
    }
}

static const struct s3_verdict_place behind = {
        .host = "s3.example.com through the proxy http://p:3128",
        .bucket = "bucket",
        .proxy = "http://p:3128",
};

/* The proxy is what is dead, not the store. */
static void test_no_connection(void **state)
{
    const struct err refused = {.kind = ERR_TRANSIENT, .text = "Connection refused"};
    const struct err full = {.kind = ERR_RESOURCE, .text = "No space left on device"};
    const struct s3_verdict_failure unknown = {CURLE_COULDNT_RESOLVE_PROXY, 0, 0, "Could not resolve proxy: p"};
    struct err e;

    (void)state;
    s3_verdict_dial(&at, &refused, &e);
    expect_error(&e, ERR_TRANSIENT, "cannot connect to s3.example.com: Connection refused");
    assert_int_equal(e.domain, ERR_DOMAIN_CURL);
    assert_int_equal(e.code, CURLE_COULDNT_CONNECT);
    s3_verdict_dial(&behind, &refused, &e);
    expect_error(&e, ERR_TRANSIENT, "cannot connect to the proxy http://p:3128 (s3_client.proxy): Connection refused");
    s3_verdict_dial(&at, &full, &e);
    expect_error(&e, ERR_RESOURCE, "cannot watch a connection to s3.example.com: No space left on device");
    assert_true(s3_verdict_curl(&behind, &unknown, &e));
    expect_error(&e, ERR_TRANSIENT, "cannot resolve the name of the proxy http://p:3128 (s3_client.proxy)");
}

static void test_proxy(void **state)
{
    static const struct {
        int status;
        enum err_kind kind;
        bool again;
        const char *text;
    } rows[] = {
            {404, ERR_CONFIG, false, "HTTP 404 Not Found from the proxy http://p:3128 (s3_client.proxy)"},
            {403, ERR_CONFIG, false, "HTTP 403 Forbidden from the proxy http://p:3128 (s3_client.proxy)"},
            {401, ERR_CONFIG, false, "HTTP 401 Unauthorized from the proxy http://p:3128 (s3_client.proxy)"},
            {407, ERR_AUTH, false,
                    "HTTP 407 Proxy Authentication Required from the proxy http://p:3128 (s3_client.proxy)"},
            {302, ERR_CONFIG, false, "HTTP 302 from the proxy http://p:3128 (s3_client.proxy)"},
            {502, ERR_TRANSIENT, true, "HTTP 502 Bad Gateway from the proxy http://p:3128 (s3_client.proxy)"},
            {504, ERR_TRANSIENT, true, "HTTP 504 Gateway Timeout from the proxy http://p:3128 (s3_client.proxy)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(s3_verdict_proxy(&behind, rows[i].status, &e), rows[i].again);
        expect_error(&e, rows[i].kind, rows[i].text);
        assert_int_equal(e.domain, ERR_DOMAIN_CURL);
    }
}

static void test_system_cas(void **state)
{
    const struct s3_verdict_place no_ca = {.host = "h", .bucket = "b"};
    const struct s3_verdict_failure f = {
            CURLE_PEER_FAILED_VERIFICATION, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "x"};
    struct err e = ERR_INIT;

    (void)state;
    assert_false(s3_verdict_curl(&no_ca, &f, &e));
    expect_error(&e, ERR_AUTH, "the certificate of h is not accepted: its issuer is not among the system's CAs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_http),
            cmocka_unit_test(test_what_stands_there),
            cmocka_unit_test(test_mixed_up),
            cmocka_unit_test(test_curl),
            cmocka_unit_test(test_no_connection),
            cmocka_unit_test(test_proxy),
            cmocka_unit_test(test_system_cas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
