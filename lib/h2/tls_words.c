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
#else
static const char our_newest[] = "1.2";
#endif

static void note_time(struct h2_tls_verdict *v, const mbedtls_x509_time *t)
{
    (void)snprintf(v->when, sizeof(v->when), "%04d-%02d-%02d %02d:%02d:%02d UTC", t->year % 10000, t->mon % 100,
            t->day % 100, t->hour % 100, t->min % 100, t->sec % 100);
}

void h2_tls_words_note(struct h2_tls_verdict *v, const mbedtls_x509_crt *crt, int depth, uint32_t flags)
{
    struct bytes extensions = {.data = crt->v3_ext.p, .len = crt->v3_ext.len};

    v->flags |= flags;
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
        note_time(v, &crt->valid_to);
    else if (flags & MBEDTLS_X509_BADCERT_FUTURE)
        note_time(v, &crt->valid_from);
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH && depth == 0)
        h2_san_describe(extensions, v->names);
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED &&
            mbedtls_x509_dn_gets(v->issuer, sizeof(v->issuer), &crt->issuer) < 0)
        v->issuer[0] = '\0';
}

static int bad_certificate(const struct h2_tls_failure *f, struct err *e)
{
    const struct h2_tls_verdict *v = f->verdict;
    char other[200] = "";

    if (v->flags & MBEDTLS_X509_BADCERT_EXPIRED)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc, "the server's certificate expired on %s", v->when);
    if (v->flags & MBEDTLS_X509_BADCERT_FUTURE)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc,
                "the server's certificate is not valid before %s: is the clock right?", v->when);
    if (v->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc,
                "the server's certificate is signed by an unknown authority (%s): it is not %s", v->issuer,
                f->own_ca ? "in ca_cert" : "one of the system's, and no ca_cert is configured");
    if (v->flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc, "the server's certificate is for %s, not for %s", v->names,
                f->host);
    (void)mbedtls_x509_crt_verify_info(other, sizeof(other), "", v->flags);
    other[strcspn(other, "\n")] = '\0';
    return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc, "the server's certificate is not acceptable%s%s",
            other[0] ? ": " : "", other);
}

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

static int alerted(const struct h2_tls_failure *f, struct err *e)
{
    const char *about = certificate_alert(f->alert);

    if (f->alert == MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
                "the server accepts no TLS version that this program has (its newest is %s): the server's minimum must "
                "be lower",
                our_newest);
    /* Newer Go servers say handshake_failure for a missing certificate; before their answer it is about ciphers. */
    if (!f->has_client && (about || (f->alert == MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE && f->hello_seen)))
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc,
                "the server wants a client certificate: client_cert and client_key must be configured");
    if (about)
        return err_set(
                e, ERR_AUTH, ERR_DOMAIN_TLS, f->rc, "the server does not accept our client certificate: %s", about);
    switch (f->alert) {
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc,
                "the server accepts none of our cipher suites (ECDHE with ChaCha20-Poly1305 or AES-GCM)");
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

int h2_tls_words_failure(const struct h2_tls_failure *f, struct err *e)
{
    char detail[128];

    switch (f->rc) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return alerted(f, e);
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        return bad_certificate(f, e);
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_TLS, f->rc, "the server closed the connection%s",
                f->established ? "" : " during the TLS handshake");
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, f->rc, "out of memory for TLS");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        if (!f->hello_seen)
            return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc,
                    "the server does not speak TLS on this port; without TLS, the endpoint is http://...");
        break;
    case BAD_VERSION:
        return err_set(
                e, ERR_CONFIG, ERR_DOMAIN_TLS, f->rc, "the server speaks no TLS version that is safe (1.2 or newer)");
    default:
        break;
    }
    mbedtls_strerror(f->rc, detail, sizeof(detail));
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, f->rc, "TLS failed: %s (-0x%04x)", detail, (unsigned)-f->rc);
}
