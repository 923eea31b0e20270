#include "h2/tls_words.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define BAD_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#else
#define BAD_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#endif

#ifdef MBEDTLS_SSL_PROTO_TLS1_3
static const char our_newest[] = "1.3";
static const char to_do[] = "the server must take 1.2 or 1.3";
#else
static const char our_newest[] = "1.2";
static const char to_do[] =
        "start etcd with --tls-min-version=TLS1.2, or use a build with mbedTLS 3.6, as of Debian 13";
#endif

/* What the server says of our certificate. Go's servers use these; "bad certificate" also stands for none at all. */
static const char *certificate_alert(uint8_t alert)
{
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        return "bad certificate";
    case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        return "unsupported certificate";
    case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
        return "revoked";
    case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
        return "expired";
    case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        return "certificate unknown";
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        return "signed by an authority it does not know";
    case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
        return "access denied";
    case 116: /* certificate_required, TLS 1.3 */
        return "a certificate is required";
    default:
        return NULL;
    }
}

static int refused_by_number(const struct h2_tls_failure *f, struct err *e)
{
    switch (f->alert) {
    case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
                "the server takes none of our TLS versions (alert protocol_version; the newest here is %s): %s",
                our_newest, to_do);
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
    case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
                "the server takes none of our cipher suites, curves or signatures (alert %u): it must have an RSA or "
                "ECDSA certificate (Ed25519 does not work) and ECDHE with ChaCha20-Poly1305 or AES-GCM",
                f->alert);
    case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc, "the server has no certificate for %s", f->host);
    case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc, "the server does not offer HTTP/2 (ALPN)");
    case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_TLS, f->rc, "the server had an internal error in TLS");
    default:
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc, "the server ended TLS with alert %u", f->alert);
    }
}

static int alerted(const struct h2_tls_failure *f, struct err *e)
{
    const char *about = certificate_alert(f->alert);

    /* Newer Go servers say handshake_failure for a missing certificate; before their answer it is about ciphers. */
    if (!about && f->alert == MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE && !f->has_client &&
            f->doing != H2_TLS_DOING_HELLO)
        about = "handshake failure";
    if (!about)
        return refused_by_number(f, e);
    if (f->has_client)
        return err_set(
                e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc, "the server does not accept our client certificate: %s", about);
    return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc,
            "the server ended the handshake (%s), in which we had no client certificate: if it wants one, client_cert "
            "and "
            "client_key must be configured",
            about);
}

int h2_tls_words_unreadable(int rc, struct err *e)
{
    char detail[128] = "";

    if (rc)
        mbedtls_strerror(rc, detail, sizeof(detail));
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, rc,
            "mbedTLS cannot read the certificate that the server presents%s%s: its key and its signature must be RSA "
            "or "
            "ECDSA on a named curve (Ed25519 does not work)",
            detail[0] ? ": " : "", detail);
}

static int too_long(const struct h2_tls_failure *f, struct err *e)
{
    const char *what = "a message of the server's handshake", *help = "it must be shorter";

    if (f->doing == H2_TLS_DOING_CERTIFICATE) {
        what = "the certificates that the server presents";
        help = "let it present its own and the intermediates alone";
    } else if (f->doing == H2_TLS_DOING_CERTIFICATE_REQUEST) {
        what = "the server's list of authorities for client certificates";
        help = "let its --trusted-ca-file hold fewer";
    }
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
            "%s: more than mbedTLS takes at once (16 KiB, and with 2.28 one record): %s", what, help);
}

/* mbedTLS' modules by their numbers: X.509, PK, and OID and ASN.1, which are added to those (error.h). */
static bool is_about_a_certificate(int rc)
{
    int module = -rc & 0x7f80;

    return (module >= 0x2080 && module <= 0x2980) || (module >= 0x3880 && module <= 0x3f80);
}

static int not_tls(const struct h2_tls_failure *f, struct err *e)
{
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc,
            "what the server answers is not TLS: does it speak TLS on this port? Without, the endpoint is http://...");
}

int h2_tls_words_failure(const struct h2_tls_failure *f, struct err *e)
{
    char detail[128];

    switch (f->rc) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return alerted(f, e);
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_TLS, f->rc, "the server closed the connection%s",
                f->established ? "" : " during the TLS handshake");
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, f->rc, "out of memory for TLS");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        if (f->doing == H2_TLS_DOING_HELLO && !f->established)
            return not_tls(f, e);
        break;
    case BAD_VERSION:
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
                "the server chose a TLS version that is not taken here (1.2 to %s): %s", our_newest, to_do);
    case MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE:
    case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
    case MBEDTLS_ERR_SSL_BAD_INPUT_DATA: /* of 3.6: more than its buffer was asked for */
        if (!f->established)
            return too_long(f, e);
        break;
    default:
        if (!f->established && is_about_a_certificate(f->rc))
            return h2_tls_words_unreadable(f->rc, e);
        break;
    }
    mbedtls_strerror(f->rc, detail, sizeof(detail));
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc, "TLS failed: %s (-0x%04x)", detail, (unsigned)-f->rc);
}
