#include "x509/trust.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "x509/pem.h"
#include "x509/words.h"

static const char system_authorities[] = "/etc/ssl/certs/ca-certificates.crt";

enum {
    SECURITY_LEVEL = 2, /* as Debian's OpenSSL has it for TLS */
    HOST_LEN_MAX = 255,
    /* TLS alerts. */
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_UNKNOWN_CA = 48,
    ALERT_INTERNAL_ERROR = 80,
};

struct x509_trust {
    X509_STORE *store;
    bool is_system;
};

static int no_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for certificates");
}

void x509_trust_free(struct x509_trust *t)
{
    if (!t)
        return;
    X509_STORE_free(t->store);
    free(t);
}

static int add(void *ctx, X509 *certificate, struct err *e)
{
    return X509_STORE_add_cert(ctx, certificate) == 1 ? 0 : no_memory(e);
}

struct x509_trust *x509_trust_load(const char *path, struct err *e)
{
    _cleanup_x509_trust_ struct x509_trust *t = calloc(1, sizeof(*t));
    int rc;

    if (t)
        t->store = X509_STORE_new();
    if (!t || !t->store) {
        (void)no_memory(e);
        return NULL;
    }
    t->is_system = path == NULL;
    rc = x509_pem_each(path ? path : system_authorities, add, t->store, e);
    ERR_clear_error();
    return rc == 0 ? TAKE_PTR(t) : NULL;
}

/* ---- the judgement ---- */

/* What the server sent, as OpenSSL has it. */
struct chain {
    X509 *own;
    STACK_OF(X509) * others;
    X509_STORE_CTX *ctx;
};

static void chain_clear(struct chain *c)
{
    X509_STORE_CTX_free(c->ctx);
    sk_X509_pop_free(c->others, X509_free);
    X509_free(c->own);
    ERR_clear_error();
}

static X509 *parse(struct bytes der)
{
    const unsigned char *p = der.data;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);

    if (x && p == der.data + der.len)
        return x;
    X509_free(x);
    return NULL;
}

static int chain_read(struct chain *c, const struct x509_peer *peer, struct err *e)
{
    c->others = sk_X509_new_null();
    c->ctx = X509_STORE_CTX_new();
    if (!c->others || !c->ctx)
        return no_memory(e);
    for (size_t i = 0; i < peer->n; i++) {
        X509 *x = parse(peer->certificates[i]);

        if (!x)
            return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0,
                    "certificate %zu of those that the server sent cannot be read", i + 1);
        if (i == 0) {
            c->own = x;
        } else if (sk_X509_push(c->others, x) == 0) {
            X509_free(x);
            return no_memory(e);
        }
    }
    return c->own ? 0 : err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "the server sent no certificate");
}

static uint8_t alert_of(int reason)
{
    switch (reason) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return ALERT_CERTIFICATE_EXPIRED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return ALERT_UNKNOWN_CA;
    default:
        return ALERT_BAD_CERTIFICATE;
    }
}

/* Who has signed whom, when, and for what. */
static int check_chain(const struct x509_trust *t, struct chain *c, uint8_t *alert, struct err *e)
{
    X509_VERIFY_PARAM *param;
    struct x509_words_finding found;

    if (X509_STORE_CTX_init(c->ctx, t->store, c->own, c->others) != 1 ||
            X509_STORE_CTX_set_default(c->ctx, "ssl_server") != 1)
        return no_memory(e);
    param = X509_STORE_CTX_get0_param(c->ctx);
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) != 1)
        return no_memory(e);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    if (X509_verify_cert(c->ctx) == 1 && X509_STORE_CTX_get_error(c->ctx) == X509_V_OK)
        return 0;
    found = (struct x509_words_finding){
            .reason = X509_STORE_CTX_get_error(c->ctx),
            .depth = X509_STORE_CTX_get_error_depth(c->ctx),
            .certificate = X509_STORE_CTX_get_current_cert(c->ctx),
            .is_system = t->is_system,
    };
    if (found.reason == X509_V_ERR_OUT_OF_MEM)
        return no_memory(e);
    *alert = alert_of(found.reason);
    return x509_words_chain(&found, e);
}

static int check_name(X509 *own, const char *host, uint8_t *alert, struct err *e)
{
    static const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    char bare[HOST_LEN_MAX + 1];
    size_t len = strcspn(host, "%");
    uint8_t ip[sizeof(struct in6_addr)];
    size_t ip_len;
    int matches;

    if (len == 0 || len >= sizeof(bare))
        return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "the server has no name that a certificate could be for");
    memcpy(bare, host, len);
    bare[len] = '\0';
    ip_len = inet_pton(AF_INET, bare, ip) == 1 ? 4 : inet_pton(AF_INET6, bare, ip) == 1 ? 16 : 0;
    matches = ip_len ? X509_check_ip(own, ip, ip_len, flags) : X509_check_host(own, bare, len, flags, NULL);
    if (matches == 1)
        return 0;
    *alert = ALERT_BAD_CERTIFICATE;
    return matches == 0 ? x509_words_name(own, bare, e) : no_memory(e);
}

int x509_trust_judge(const struct x509_trust *t, const struct x509_peer *peer, uint8_t *alert, struct err *e)
{
    struct chain c = {.own = NULL};
    int rc;

    ERR_clear_error();
    *alert = ALERT_BAD_CERTIFICATE;
    rc = chain_read(&c, peer, e);
    if (rc == 0)
        rc = check_chain(t, &c, alert, e);
    if (rc == 0)
        rc = check_name(c.own, peer->host, alert, e);
    if (rc < 0 && e->kind == ERR_RESOURCE)
        *alert = ALERT_INTERNAL_ERROR;
    chain_clear(&c);
    return rc == 0 ? 0 : -1;
}
