#include "h2/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>

#include "h2/chachapoly.h"
#include "h2/tls_words.h"
#include "x509/pair.h"
#include "x509/trust.h"

#ifndef MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#error "mbedTLS must keep the server's certificates: they are judged here"
#endif

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#define SSL_FIELD(ssl, field) ((ssl)->MBEDTLS_PRIVATE(field))
#else
#define SSL_FIELD(ssl, field) ((ssl)->field)
#endif

/* More certificates than 16 KiB of handshake can hold. */
enum { CHAIN_MAX = 64 };

struct h2_tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    struct x509_trust *trust;
    int64_t expires; /* of the certificate that the server has presented */
    mbedtls_x509_crt client;
    mbedtls_pk_context client_key;
    bool has_client;
    bool trusted; /* this connection's server has been judged, and may be told something */
    bool established;
    bool is_address; /* the host, which is no server name then (RFC 6066, section 3) */
    char host[ENDPOINT_HOST_MAX];
    struct bytes in;
    struct buf *out;
    char cipher[96];
};

/* ChaCha20 first: mbedTLS decrypts it twice as fast as AES, and Go's servers take the client's first. */
static const int ciphersuites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
        MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
        MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        0,
};

static const char *alpn[] = {"h2", NULL};

static int bio_send(void *ctx, const unsigned char *data, size_t len)
{
    struct h2_tls *t = ctx;
    struct err e = ERR_INIT;

    return buf_append(t->out, data, len, &e) < 0 ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)len;
}

static int bio_recv(void *ctx, unsigned char *data, size_t size)
{
    struct h2_tls *t = ctx;
    size_t n = size < t->in.len ? size : t->in.len;

    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(data, t->in.data, n);
    t->in.data += n;
    t->in.len -= n;
    return (int)n;
}

static int configure(struct h2_tls *t)
{
    int rc = mbedtls_ssl_config_defaults(
            &t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc != 0)
        return rc;
    /* That the server has the key to its certificate mbedTLS proves in any case; whose certificate it is `judge` says.
     */
    mbedtls_ssl_conf_authmode(&t->conf, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&t->conf, x509_pair_random, NULL);
    mbedtls_ssl_conf_ciphersuites(&t->conf, ciphersuites);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_min_tls_version(&t->conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(&t->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#ifdef MBEDTLS_SSL_SESSION_TICKETS
    /* Sessions are not resumed: connections are few, and each server is judged anew. */
    mbedtls_ssl_conf_session_tickets(&t->conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#ifdef MBEDTLS_SSL_RENEGOTIATION
    /* The judgement is on one handshake: there is no second. */
    mbedtls_ssl_conf_renegotiation(&t->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    rc = mbedtls_ssl_conf_alpn_protocols(&t->conf, alpn);
    if (rc == 0 && t->has_client)
        rc = mbedtls_ssl_conf_own_cert(&t->conf, &t->client, &t->client_key);
    if (rc == 0)
        rc = mbedtls_ssl_setup(&t->ssl, &t->conf);
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&t->ssl, t->is_address ? NULL : t->host);
    if (rc == 0)
        mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    return rc;
}

static struct h2_tls *tls_alloc(const struct h2_tls_spec *spec)
{
    struct h2_tls *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_x509_crt_init(&t->client);
    mbedtls_pk_init(&t->client_key);
    (void)snprintf(t->host, sizeof(t->host), "%s", spec->host);
    t->is_address = spec->is_address;
    t->has_client = spec->client_cert && spec->client_key;
    return t;
}

static int load_client(struct h2_tls *t, const struct h2_tls_spec *spec, struct err *e)
{
    if (x509_pair_load_certificate(&t->client, spec->client_cert, e) < 0 ||
            x509_pair_load_key(&t->client_key, spec->client_key, false, e) < 0)
        return -1;
    return x509_pair_match(&t->client, &t->client_key, spec->client_cert, spec->client_key, e);
}

struct h2_tls *h2_tls_new(const struct h2_tls_spec *spec, struct err *e)
{
    _cleanup_tls_ struct h2_tls *t = tls_alloc(spec);
    int rc;

    if (!t) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for TLS");
        return NULL;
    }
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (psa_crypto_init() != PSA_SUCCESS) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, 0, "cannot initialise the cryptography of TLS");
        return NULL;
    }
#endif
    t->trust = x509_trust_load(spec->ca_cert, e);
    if (!t->trust || (t->has_client && load_client(t, spec, e) < 0))
        return NULL;
    rc = configure(t);
    if (rc != 0) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, rc, "cannot set up TLS (mbedTLS -0x%04x)", (unsigned)-rc);
        return NULL;
    }
    return TAKE_PTR(t);
}

int h2_tls_begin(struct h2_tls *t, struct buf *out, struct err *e)
{
    int rc = mbedtls_ssl_session_reset(&t->ssl);

    t->out = out;
    t->established = t->trusted = false;
    t->in = (struct bytes){.len = 0};
    return rc == 0 ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, rc, "cannot set up TLS (-0x%04x)", (unsigned)-rc);
}

void h2_tls_input(struct h2_tls *t, struct bytes ciphertext)
{
    t->in = ciphertext;
}

/* What the handshake waits for. The order of TLS 1.3 is another one: its states stand behind those of 1.2. */
static enum h2_tls_doing doing(const struct h2_tls *t)
{
    switch (SSL_FIELD(&t->ssl, state)) {
    case MBEDTLS_SSL_HELLO_REQUEST:
    case MBEDTLS_SSL_CLIENT_HELLO:
    case MBEDTLS_SSL_SERVER_HELLO:
        return H2_TLS_DOING_HELLO;
    case MBEDTLS_SSL_SERVER_CERTIFICATE:
        return H2_TLS_DOING_CERTIFICATE;
    case MBEDTLS_SSL_CERTIFICATE_REQUEST:
        return H2_TLS_DOING_CERTIFICATE_REQUEST;
    default:
        return H2_TLS_DOING_REST;
    }
}

/* Says in *e what mbedTLS reported as `rc`, negative. */
static int failed(struct h2_tls *t, int rc, struct err *e)
{
    struct h2_tls_failure f = {
            .rc = rc,
            .host = t->host,
            .has_client = t->has_client,
            .established = t->established,
            .doing = doing(t),
    };

    /* The alert's number is behind its level. */
    if (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        f.alert = SSL_FIELD(&t->ssl, in_msg)[1];
    return h2_tls_words_failure(&f, e);
}

/* What the server has presented, as soon as mbedTLS has read it. */
static const mbedtls_x509_crt *presented(const struct h2_tls *t)
{
    const mbedtls_ssl_session *s = SSL_FIELD(&t->ssl, session_negotiate);

    if (!s)
        s = SSL_FIELD(&t->ssl, session);
    return s ? SSL_FIELD(s, peer_cert) : NULL;
}

static int64_t seconds_of(const mbedtls_x509_time *t)
{
    struct tm tm = {
            .tm_year = t->year - 1900,
            .tm_mon = t->mon - 1,
            .tm_mday = t->day,
            .tm_hour = t->hour,
            .tm_min = t->min,
            .tm_sec = t->sec,
    };

    return timegm(&tm);
}

/* Before anything is said to the server that a stranger must not hear: our certificate, a signature by our key, a
 * request with its token. */
static int judge(struct h2_tls *t, const mbedtls_x509_crt *own, struct err *e)
{
    struct bytes certificates[CHAIN_MAX];
    struct x509_peer peer = {.certificates = certificates, .host = t->host};
    uint8_t alert;

    /* What mbedTLS cannot read it has passed over: the list then has an empty element. */
    for (const mbedtls_x509_crt *c = own; c && c->raw.p && peer.n < CHAIN_MAX; c = c->next)
        certificates[peer.n++] = (struct bytes){.data = c->raw.p, .len = c->raw.len};
    if (peer.n == 0) {
        (void)mbedtls_ssl_send_alert_message(
                &t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT);
        return h2_tls_words_unreadable(0, e);
    }
    if (x509_trust_judge(t->trust, &peer, &alert, e) < 0) {
        (void)mbedtls_ssl_send_alert_message(&t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
        return -1;
    }
    t->trusted = true;
    t->expires = seconds_of(&own->valid_to);
    return 0;
}

/* Step by step, so that the judgement comes before the step that answers. */
int h2_tls_handshake(struct h2_tls *t, struct err *e)
{
    const mbedtls_x509_crt *own;
    const char *protocol;
    int rc;

    while (SSL_FIELD(&t->ssl, state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
        rc = mbedtls_ssl_handshake_step(&t->ssl);
        if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
            return 0;
        if (rc != 0)
            return failed(t, rc, e);
        own = t->trusted ? NULL : presented(t);
        if (own && judge(t, own, e) < 0)
            return -1;
    }
    if (!t->trusted)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, 0, "the server presented no certificate");
    t->established = true;
    protocol = mbedtls_ssl_get_alpn_protocol(&t->ssl);
    if (!protocol || strcmp(protocol, "h2") != 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, 0,
                "the server does not offer HTTP/2 (ALPN): is this the client port of an etcd?");
    return 1;
}

static bool is_no_plaintext(int rc)
{
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) /* TLS 1.3: comes whether wanted or not */
        return true;
#endif
    return rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/* A message of TLS itself, such as a HelloRequest that was refused, ends a read without plaintext, though more may have
 * arrived behind it. Each turn uses up some of it. */
static bool has_more(struct h2_tls *t)
{
    return t->in.len > 0 || mbedtls_ssl_check_pending(&t->ssl);
}

ssize_t h2_tls_read(struct h2_tls *t, uint8_t *to, size_t size, struct err *e)
{
    int rc;

    do
        rc = mbedtls_ssl_read(&t->ssl, to, size);
    while (is_no_plaintext(rc) && has_more(t));
    if (rc > 0)
        return rc;
    if (is_no_plaintext(rc))
        return 0;
    return failed(t, rc == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : rc, e);
}

int h2_tls_write(struct h2_tls *t, struct bytes plaintext, struct err *e)
{
    if (!t->established)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, 0, "TLS is not established");
    while (plaintext.len > 0) {
        int rc = mbedtls_ssl_write(&t->ssl, plaintext.data, plaintext.len);

        if (rc <= 0)
            return failed(t, rc < 0 ? rc : MBEDTLS_ERR_SSL_INTERNAL_ERROR, e);
        plaintext.data += rc;
        plaintext.len -= (size_t)rc;
    }
    return 0;
}

void h2_tls_bye(struct h2_tls *t)
{
    if (t->established)
        (void)mbedtls_ssl_close_notify(&t->ssl);
}

int64_t h2_tls_expires(const struct h2_tls *t)
{
    return t->expires;
}

const char *h2_tls_cipher(struct h2_tls *t)
{
    const char *suite = mbedtls_ssl_get_ciphersuite(&t->ssl);

    (void)snprintf(t->cipher, sizeof(t->cipher), "%s %s%s", mbedtls_ssl_get_version(&t->ssl), suite ? suite : "",
            suite && strstr(suite, "CHACHA20") && chachapoly_opened() ? " (libcrypto)" : "");
    return t->cipher;
}

void h2_tls_free(struct h2_tls *t)
{
    if (!t)
        return;
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->conf);
    x509_trust_free(t->trust);
    mbedtls_x509_crt_free(&t->client);
    mbedtls_pk_free(&t->client_key);
    free(t);
}
