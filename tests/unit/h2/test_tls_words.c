#include "expect.h"

#include <string.h>

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>

#include "base/cleanup.h"
#include "h2/tls_words.h"

#define ALERT(n) .rc = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, .alert = (n), .host = "etcd1"
#define WANTS(alert_)                                                                                                  \
    "the server ended the handshake (" alert_                                                                          \
    "), in which we had no client certificate: if it wants one, client_cert and "                                      \
    "client_key must be configured"
#define FAIL(n) .rc = (n), .host = "etcd1"

static const struct {
    struct h2_tls_failure failure;
    enum err_kind kind;
    const char *text;
} rows[] = {
        {{ALERT(42), .has_client = true}, ERR_AUTH,
                "the server does not accept our client certificate: bad certificate"},
        {{ALERT(45), .has_client = true}, ERR_AUTH, "the server does not accept our client certificate: expired"},
        {{ALERT(48), .has_client = true}, ERR_AUTH,
                "the server does not accept our client certificate: signed by an authority it does not know"},
        {{ALERT(42)}, ERR_AUTH, WANTS("bad certificate")},
        {{ALERT(116)}, ERR_AUTH, WANTS("a certificate is required")},
        {{ALERT(40), .doing = H2_TLS_DOING_REST}, ERR_AUTH, WANTS("handshake failure")},
        {{ALERT(40)}, ERR_CONFIG,
                "the server takes none of our cipher suites, curves or signatures (alert 40): it must have an RSA or "
                "ECDSA "
                "certificate (Ed25519 does not work) and ECDHE with ChaCha20-Poly1305 or AES-GCM"},
        {{ALERT(112)}, ERR_CONFIG, "the server has no certificate for etcd1"},
        {{ALERT(120)}, ERR_PROTOCOL, "the server does not offer HTTP/2 (ALPN)"},
        {{ALERT(80)}, ERR_TRANSIENT, "the server had an internal error in TLS"},
        {{ALERT(255)}, ERR_PROTOCOL, "the server ended TLS with alert 255"},
        {{FAIL(MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY), .established = true}, ERR_TRANSIENT,
                "the server closed the connection"},
        {{FAIL(MBEDTLS_ERR_SSL_CONN_EOF)}, ERR_TRANSIENT, "the server closed the connection during the TLS handshake"},
        {{FAIL(MBEDTLS_ERR_SSL_ALLOC_FAILED)}, ERR_RESOURCE, "out of memory for TLS"},
        {{FAIL(MBEDTLS_ERR_SSL_INVALID_RECORD)}, ERR_PROTOCOL,
                "what the server answers is not TLS: does it speak TLS on this port? Without, the endpoint is "
                "http://..."},
        /* What this handshake cannot do, now or later. */
        {{FAIL(MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE), .doing = H2_TLS_DOING_CERTIFICATE}, ERR_CONFIG,
                "the certificates that the server presents: more than mbedTLS takes at once (16 KiB, and with 2.28 one "
                "record): let it present its own and the intermediates alone"},
        {{FAIL(MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE), .doing = H2_TLS_DOING_CERTIFICATE_REQUEST}, ERR_CONFIG,
                "the server's list of authorities for client certificates: more than mbedTLS takes at once (16 KiB, "
                "and with "
                "2.28 one record): let its --trusted-ca-file hold fewer"},
        {{FAIL(MBEDTLS_ERR_PK_UNKNOWN_PK_ALG), .doing = H2_TLS_DOING_CERTIFICATE}, ERR_CONFIG,
                "mbedTLS cannot read the certificate that the server presents: PK - Key algorithm is unsupported (only "
                "RSA "
                "and EC are supported): its key and its signature must be RSA or ECDSA on a named curve (Ed25519 does "
                "not "
                "work)"},
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
    assert_non_null(strstr(e.text, "takes none of our TLS versions (alert protocol_version; the newest here is 1."));
}

static void what_is_not_known_is_told_with_its_number(void **state)
{
    const struct h2_tls_failure damaged = {FAIL(MBEDTLS_ERR_SSL_INVALID_MAC)};
    const struct h2_tls_failure record = {FAIL(MBEDTLS_ERR_SSL_INVALID_RECORD), .doing = H2_TLS_DOING_REST};
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
