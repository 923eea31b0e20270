#include "h2/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>

#include "base/endpoint.h"
#include "h2/certs.h"
#include "h2/chachapoly.h"
#include "h2/san.h"
#include "h2/tls_words.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#define SSL_FIELD(ssl, field) ((ssl)->MBEDTLS_PRIVATE(field))
#else
#define SSL_FIELD(ssl, field) ((ssl)->field)
#endif

struct h2_tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt client;
    mbedtls_pk_context client_key;
    bool own_ca;
    bool has_client;
    bool established;
    char host[ENDPOINT_HOST_MAX];
    uint8_t ip[16]; /* the host, if it is an address */
    size_t ip_len;  /* 0, 4 or 16 */
    struct bytes in;
    struct buf *out;
    struct h2_tls_verdict verdict; /* on the server's certificates */
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

/* Called by mbedTLS for each certificate of the chain, the server's own (depth 0) last, with its findings so far. */
static int verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct h2_tls *t = ctx;
    struct bytes extensions = {.data = crt->v3_ext.p, .len = crt->v3_ext.len};

    if (depth == 0 && t->ip_len && !h2_san_has_ip(extensions, t->ip, t->ip_len))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    h2_tls_words_note(&t->verdict, crt, depth, *flags);
    return 0;
}

static bool parse_ip(const char *host, uint8_t ip[16], size_t *len)
{
    char bare[ENDPOINT_HOST_MAX];

    (void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(host, "%"), host); /* a zone is not part of the name */
    *len = inet_pton(AF_INET, bare, ip) == 1 ? 4 : inet_pton(AF_INET6, bare, ip) == 1 ? 16 : 0;
    return *len > 0;
}

static int configure(struct h2_tls *t)
{
    int rc = mbedtls_ssl_config_defaults(
            &t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc != 0)
        return rc;
    mbedtls_ssl_conf_authmode(&t->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(&t->conf, verify, t);
    mbedtls_ssl_conf_ca_chain(&t->conf, &t->ca, NULL);
    mbedtls_ssl_conf_rng(&t->conf, h2_certs_random, NULL);
    mbedtls_ssl_conf_ciphersuites(&t->conf, ciphersuites);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_min_tls_version(&t->conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(&t->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#ifdef MBEDTLS_SSL_SESSION_TICKETS
    /* Sessions are not resumed: connections are few, and a changed certificate is to be noticed. */
    mbedtls_ssl_conf_session_tickets(&t->conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
    rc = mbedtls_ssl_conf_alpn_protocols(&t->conf, alpn);
    if (rc == 0 && t->has_client)
        rc = mbedtls_ssl_conf_own_cert(&t->conf, &t->client, &t->client_key);
    if (rc == 0)
        rc = mbedtls_ssl_setup(&t->ssl, &t->conf);
    if (rc == 0) /* an address is no server name (RFC 6066, section 3), and `verify` looks for it */
        rc = mbedtls_ssl_set_hostname(&t->ssl, t->ip_len ? NULL : t->host);
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
    mbedtls_x509_crt_init(&t->ca);
    mbedtls_x509_crt_init(&t->client);
    mbedtls_pk_init(&t->client_key);
    (void)snprintf(t->host, sizeof(t->host), "%s", spec->host);
    parse_ip(t->host, t->ip, &t->ip_len);
    t->own_ca = spec->ca_cert != NULL;
    t->has_client = spec->client_cert && spec->client_key;
    return t;
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
    if (h2_certs_load_ca(&t->ca, spec->ca_cert, e) < 0)
        return NULL;
    if (t->has_client && h2_certs_load_client(&t->client, &t->client_key, spec->client_cert, spec->client_key, e) < 0)
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
    t->established = false;
    t->in = (struct bytes){.len = 0};
    t->verdict = (struct h2_tls_verdict){.flags = 0};
    return rc == 0 ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_TLS, rc, "cannot set up TLS (-0x%04x)", (unsigned)-rc);
}

void h2_tls_input(struct h2_tls *t, struct bytes ciphertext)
{
    t->in = ciphertext;
}

/* Says in *e what mbedTLS reported as `rc`, negative. */
static int failed(struct h2_tls *t, int rc, struct err *e)
{
    struct h2_tls_failure f = {
            .rc = rc,
            .verdict = &t->verdict,
            .host = t->host,
            .own_ca = t->own_ca,
            .has_client = t->has_client,
            .established = t->established,
            .hello_seen = SSL_FIELD(&t->ssl, state) > MBEDTLS_SSL_SERVER_HELLO,
    };

    /* The alert's number is behind its level. */
    if (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        f.alert = SSL_FIELD(&t->ssl, in_msg)[1];
    return h2_tls_words_failure(&f, e);
}

int h2_tls_handshake(struct h2_tls *t, struct err *e)
{
    const char *protocol;
    int rc = mbedtls_ssl_handshake(&t->ssl);

    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return 0;
    if (rc != 0)
        return failed(t, rc, e);
    t->established = true;
    protocol = mbedtls_ssl_get_alpn_protocol(&t->ssl);
    if (!protocol || strcmp(protocol, "h2") != 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_TLS, 0,
                "the server does not offer HTTP/2 (ALPN): is this the client port of an etcd?");
    return 1;
}

ssize_t h2_tls_read(struct h2_tls *t, uint8_t *to, size_t size, struct err *e)
{
    int rc;

    do
        rc = mbedtls_ssl_read(&t->ssl, to, size);
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    while (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET); /* TLS 1.3: comes whether wanted or not */
#else
    while (0);
#endif
    if (rc > 0)
        return rc;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return 0;
    return failed(t, rc == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : rc, e);
}

int h2_tls_write(struct h2_tls *t, struct bytes plaintext, struct err *e)
{
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

const char *h2_tls_cipher(struct h2_tls *t)
{
    const char *suite = mbedtls_ssl_get_ciphersuite(&t->ssl);

    (void)snprintf(t->cipher, sizeof(t->cipher), "%s %s%s", mbedtls_ssl_get_version(&t->ssl), suite ? suite : "",
            suite && strstr(suite, "CHACHA20") && chachapoly_opened() ? " (libsodium)" : "");
    return t->cipher;
}

void h2_tls_free(struct h2_tls *t)
{
    if (!t)
        return;
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->conf);
    mbedtls_x509_crt_free(&t->ca);
    mbedtls_x509_crt_free(&t->client);
    mbedtls_pk_free(&t->client_key);
    free(t);
}
