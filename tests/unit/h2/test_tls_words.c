#include "expect.h"

#include <string.h>

#include <mbedtls/ssl.h>

#include "base/cleanup.h"
#include "h2/tls_words.h"

static const struct h2_tls_verdict expired = {.flags = MBEDTLS_X509_BADCERT_EXPIRED, .when = "2024-02-01 00:00:00 UTC"};
static const struct h2_tls_verdict future = {.flags = MBEDTLS_X509_BADCERT_FUTURE, .when = "2099-02-01 00:00:00 UTC"};
static const struct h2_tls_verdict unknown = {.flags = MBEDTLS_X509_BADCERT_NOT_TRUSTED, .issuer = "CN=somebody"};
static const struct h2_tls_verdict other = {.flags = MBEDTLS_X509_BADCERT_CN_MISMATCH, .names = "a.example, 10.0.0.1"};
static const struct h2_tls_verdict fine = {.flags = 0};
/* Of several faults the one is told that the operator must mend first. */
static const struct h2_tls_verdict both = {
        .flags = MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCERT_EXPIRED, .names = "x", .when = "then"};

#define VERIFY(v) .rc = MBEDTLS_ERR_X509_CERT_VERIFY_FAILED, .verdict = &(v), .host = "etcd1"
#define ALERT(n)  .rc = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, .alert = (n), .verdict = &fine, .host = "etcd1"
#define FAIL(n)   .rc = (n), .verdict = &fine, .host = "etcd1"

static const struct {
    struct h2_tls_failure failure;
    enum err_kind kind;
    const char *text;
} rows[] = {
        {{VERIFY(expired)}, ERR_AUTH, "the server's certificate expired on 2024-02-01 00:00:00 UTC"},
        {{VERIFY(both)}, ERR_AUTH, "the server's certificate expired on then"},
        {{VERIFY(future)}, ERR_AUTH,
                "the server's certificate is not valid before 2099-02-01 00:00:00 UTC: is the clock right?"},
        {{VERIFY(unknown), .own_ca = true}, ERR_AUTH,
                "the server's certificate is signed by an unknown authority (CN=somebody): it is not in ca_cert"},
        {{VERIFY(unknown)}, ERR_AUTH,
                "the server's certificate is signed by an unknown authority (CN=somebody): it is not one of the "
                "system's, and no ca_cert is configured"},
        {{VERIFY(other)}, ERR_AUTH, "the server's certificate is for a.example, 10.0.0.1, not for etcd1"},
        {{ALERT(42), .has_client = true}, ERR_AUTH,
                "the server does not accept our client certificate: bad certificate"},
        {{ALERT(45), .has_client = true}, ERR_AUTH, "the server does not accept our client certificate: expired"},
        {{ALERT(48), .has_client = true}, ERR_AUTH,
                "the server does not accept our client certificate: signed by an authority it does not know"},
        {{ALERT(42)}, ERR_AUTH, "the server wants a client certificate: client_cert and client_key must be configured"},
        {{ALERT(116)}, ERR_AUTH,
                "the server wants a client certificate: client_cert and client_key must be configured"},
        {{ALERT(40), .hello_seen = true}, ERR_AUTH,
                "the server wants a client certificate: client_cert and client_key must be configured"},
        {{ALERT(40)}, ERR_CONFIG,
                "the server accepts none of our cipher suites (ECDHE with ChaCha20-Poly1305 or AES-GCM)"},
        {{ALERT(112)}, ERR_CONFIG, "the server has no certificate for etcd1"},
        {{ALERT(120)}, ERR_PROTOCOL, "the server does not offer HTTP/2 (ALPN)"},
        {{ALERT(80)}, ERR_TRANSIENT, "the server had an internal error in TLS"},
        {{ALERT(255)}, ERR_PROTOCOL, "the server ended TLS with alert 255"},
        {{FAIL(MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY), .established = true}, ERR_TRANSIENT,
                "the server closed the connection"},
        {{FAIL(MBEDTLS_ERR_SSL_CONN_EOF)}, ERR_TRANSIENT, "the server closed the connection during the TLS handshake"},
        {{FAIL(MBEDTLS_ERR_SSL_ALLOC_FAILED)}, ERR_RESOURCE, "out of memory for TLS"},
        {{FAIL(MBEDTLS_ERR_SSL_INVALID_RECORD)}, ERR_PROTOCOL,
                "the server does not speak TLS on this port; without TLS, the endpoint is http://..."},
};

static void each_failure_has_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        assert_int_equal(h2_tls_words_failure(&rows[i].failure, &e), -1);
        expect_error(&e, rows[i].kind, rows[i].text);
        assert_int_equal(e.domain, ERR_DOMAIN_TLS);
        assert_int_equal(e.code, rows[i].failure.rc);
    }
}

/* The words say what this build has, so they depend on it. */
static void a_server_that_is_too_new(void **state)
{
    const struct h2_tls_failure f = {ALERT(70)};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(h2_tls_words_failure(&f, &e), -1);
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "accepts no TLS version that this program has (its newest is 1."));
}

static void what_is_not_known_is_told_with_its_number(void **state)
{
    const struct h2_tls_failure damaged = {FAIL(MBEDTLS_ERR_SSL_INVALID_MAC)};
    const struct h2_tls_failure record = {FAIL(MBEDTLS_ERR_SSL_INVALID_RECORD), .hello_seen = true};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(h2_tls_words_failure(&damaged, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
    assert_non_null(strstr(e.text, "TLS failed: SSL - "));
    assert_non_null(strstr(e.text, "(-0x7180)"));
    assert_int_equal(h2_tls_words_failure(&record, &e), -1);
    assert_non_null(strstr(e.text, "TLS failed: SSL - "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_failure_has_its_words),
            cmocka_unit_test(a_server_that_is_too_new),
            cmocka_unit_test(what_is_not_known_is_told_with_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
