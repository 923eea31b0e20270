/* TLS with a server of OpenSSL's on the other end, in memory: who is spoken to, what is sent before that is known, and
 * what the handshake cannot do. */
#include "expect.h"
#include "x509/issue.h"

#include <string.h>

#include <mbedtls/version.h>
#include <openssl/ssl.h>

#include "base/cleanup.h"
#include "h2/tls.h"

enum { ALERT_RECORD = 21, HANDSHAKE_RECORD = 22, DATA_RECORD = 23 };

static struct issued ca, server, client;

static int make(void **state)
{
    if (issue_enter_folder(state) < 0)
        return -1;
    ca = issue_authority("ca");
    server = issue_server(&ca);
    client = issue(&(struct issue_spec){.name = "backup", .by = &ca});
    issue_write_certificates("ca.pem", (const struct issued *const[]){&ca}, 1);
    issue_write_certificates("client.pem", (const struct issued *const[]){&client}, 1);
    issue_write_key("client.key", &client);
    return 0;
}

static int clear(void **state)
{
    issue_clear(&ca);
    issue_clear(&server);
    issue_clear(&client);
    return issue_leave_folder(state);
}

/* Both ends, and what goes to and fro. */
struct both {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *to_server, *from_server;
    struct h2_tls *tls;
    struct buf out; /* of the client */
    struct err e;
};

static int choose_h2(
        SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    (void)arg;
    *out = (const unsigned char *)"h2";
    *len = 2;
    return SSL_TLSEXT_ERR_OK;
}

static int take_any(int ok, X509_STORE_CTX *ctx)
{
    (void)ok;
    (void)ctx;
    return 1;
}

static struct both begin(const struct issued *presented, int version)
{
    const struct h2_tls_spec spec = {.ca_cert = "ca.pem",
            .client_cert = "client.pem",
            .client_key = "client.key",
            .host = "127.0.0.1",
            .is_address = true};
    struct both b = {.ctx = SSL_CTX_new(TLS_server_method()), .out = BUF_INIT(1 << 20), .e = ERR_INIT};

    assert_non_null(b.ctx);
    SSL_CTX_set_alpn_select_cb(b.ctx, choose_h2, NULL);
    SSL_CTX_set_verify(b.ctx, SSL_VERIFY_PEER, take_any);
    assert_int_equal(SSL_CTX_set_min_proto_version(b.ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(b.ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(b.ctx, presented->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(b.ctx, presented->key), 1);
    b.tls = h2_tls_new(&spec, &b.e);
    expect_success(b.tls, &b.e);
    return b;
}

/* On a new connection, perhaps once more. */
static void connect_anew(struct both *b)
{
    SSL_free(b->ssl);
    b->ssl = SSL_new(b->ctx);
    b->to_server = BIO_new(BIO_s_mem());
    b->from_server = BIO_new(BIO_s_mem());
    SSL_set_bio(b->ssl, b->to_server, b->from_server);
    SSL_set_accept_state(b->ssl);
    buf_reset(&b->out);
    expect_success(h2_tls_begin(b->tls, &b->out, &b->e) == 0, &b->e);
}

static void end(struct both *b)
{
    h2_tls_free(b->tls);
    buf_reset(&b->out);
    SSL_free(b->ssl);
    SSL_CTX_free(b->ctx);
}

/* Hands over what the server has to say; valid until it speaks again. */
static struct bytes from_server(struct both *b, uint8_t *to, size_t size)
{
    int n = BIO_read(b->from_server, to, (int)size);

    return (struct bytes){.data = to, .len = n > 0 ? (size_t)n : 0};
}

/* To the end, whatever that is. Returns what the client's side returned. */
static int shake(struct both *b)
{
    static uint8_t in[1 << 20];
    int rc = h2_tls_handshake(b->tls, &b->e);

    for (unsigned turn = 0; rc == 0 && turn < 10; turn++) {
        assert_int_equal(BIO_write(b->to_server, b->out.data, (int)b->out.len), b->out.len);
        b->out.len = 0;
        (void)SSL_do_handshake(b->ssl);
        h2_tls_input(b->tls, from_server(b, in, sizeof(in)));
        rc = h2_tls_handshake(b->tls, &b->e);
    }
    return rc;
}

static void the_right_server(void **state)
{
    struct both b = begin(&server, TLS1_2_VERSION);

    (void)state;
    connect_anew(&b);
    expect_success(shake(&b) == 1, &b.e);
    assert_non_null(strstr(h2_tls_cipher(b.tls), "TLSv1.2"));
    end(&b);
}

/* A stranger learns nothing: after its certificate an alert is all that it gets, not even our certificate. */
static void nothing_for_a_stranger(void **state)
{
    struct issued other = issue_authority("other"), stranger = issue_server(&other);
    struct both b = begin(&stranger, TLS1_2_VERSION);

    (void)state;
    for (unsigned i = 0; i < 2; i++) { /* and no second time either */
        connect_anew(&b);
        assert_int_equal(shake(&b), -1);
        expect_error(&b.e, ERR_AUTH,
                "the server's certificate is signed by an unknown authority (CN=other): it is not in ca_cert");
        assert_int_equal(b.out.len, 7);
        assert_int_equal(b.out.data[0], ALERT_RECORD);
        assert_int_equal(b.out.data[6], 48);
        b.out.len = 0;
        assert_int_equal(h2_tls_write(b.tls, (struct bytes){.data = (const uint8_t *)"secret", .len = 6}, &b.e), -1);
        expect_error(&b.e, ERR_PROTOCOL, "TLS is not established");
        h2_tls_bye(b.tls);
        assert_int_equal(b.out.len, 0);
    }
    end(&b);
    issue_clear(&stranger);
    issue_clear(&other);
}

/* Whoever was right once is judged again: a session is never resumed. */
static void judged_each_time(void **state)
{
    struct issued other = issue_authority("other"), stranger = issue_server(&other);
    struct both b = begin(&server, TLS1_2_VERSION);

    (void)state;
    assert_int_equal(SSL_CTX_set_session_id_context(b.ctx, (const unsigned char *)"x", 1), 1);
    connect_anew(&b);
    expect_success(shake(&b) == 1, &b.e);
    connect_anew(&b);
    expect_success(shake(&b) == 1, &b.e);
    assert_int_equal(SSL_session_reused(b.ssl), 0);
    assert_int_equal(SSL_CTX_use_certificate(b.ctx, stranger.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(b.ctx, stranger.key), 1);
    connect_anew(&b);
    assert_int_equal(shake(&b), -1);
    assert_int_equal(b.e.kind, ERR_AUTH);
    end(&b);
    issue_clear(&stranger);
    issue_clear(&other);
}

/* All plaintext that the client finds in what the server sent. */
static size_t read_all(struct both *b, uint8_t *to, size_t size)
{
    static uint8_t in[1 << 18];
    ssize_t n;
    size_t len = 0;

    h2_tls_input(b->tls, from_server(b, in, sizeof(in)));
    while ((n = h2_tls_read(b->tls, to + len, size - len, &b->e)) > 0)
        len += (size_t)n;
    assert_int_equal(n, 0);
    return len;
}

/* The server wants to negotiate anew, which is refused; what it sends behind that in the same packet must arrive. */
static void a_refused_hello_request(void **state)
{
    static const char before[] = "before", behind[] = "behind";
    struct both b = begin(&server, TLS1_2_VERSION);
    uint8_t plain[64];
    size_t len;

    (void)state;
    connect_anew(&b);
    expect_success(shake(&b) == 1, &b.e);
    assert_int_equal(BIO_write(b.to_server, b.out.data, (int)b.out.len), b.out.len);
    b.out.len = 0;
    (void)SSL_do_handshake(b.ssl);
    assert_int_equal(SSL_write(b.ssl, before, 6), 6);
    assert_int_equal(SSL_renegotiate(b.ssl), 1);
    assert_int_equal(SSL_do_handshake(b.ssl), 1); /* sends the HelloRequest */
    assert_int_equal(SSL_write(b.ssl, behind, 6), 6);
    len = read_all(&b, plain, sizeof(plain));
    assert_int_equal(len, 12);
    assert_memory_equal(plain, "beforebehind", 12);
    assert_true(b.out.len > 0);
    assert_int_equal(b.out.data[0], ALERT_RECORD); /* no_renegotiation */
    end(&b);
}

/* Told at once, and finally: no other attempt can do better. */
static void an_ed25519_server(void **state)
{
    struct issued ed = issue(&(struct issue_spec){
            .name = "localhost", .key = "ED25519", .by = &ca, .extensions = {{"subjectAltName", "IP:127.0.0.1"}}});
    struct both b = begin(&ed, TLS1_2_VERSION);

    (void)state;
    connect_anew(&b);
    assert_int_equal(shake(&b), -1);
    assert_int_equal(b.e.kind, ERR_CONFIG);
    assert_non_null(strstr(b.e.text, "RSA or ECDSA"));
    assert_non_null(strstr(b.e.text, "Ed25519 does not work"));
    end(&b);
    issue_clear(&ed);
}

/* OpenSSL accepts it, mbedTLS cannot read it: the server's own certificate, signed by an Ed25519 key. */
static void signed_with_ed25519(void **state)
{
    struct issued ed = issue(&(struct issue_spec){
            .name = "ed", .key = "ED25519", .extensions = {{"basicConstraints", "critical,CA:TRUE"}}});
    struct issued below = issue_server(&ed);
    struct both b = begin(&below, TLS1_2_VERSION);

    (void)state;
    connect_anew(&b);
    assert_int_equal(shake(&b), -1);
    assert_int_equal(b.e.kind, ERR_CONFIG);
    assert_non_null(strstr(b.e.text, "mbedTLS cannot read the certificate that the server presents"));
    end(&b);
    issue_clear(&ed);
    issue_clear(&below);
}

static void a_chain_of_more_than_16_kib(void **state)
{
    struct both b = begin(&server, TLS1_2_VERSION);

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(SSL_CTX_add1_chain_cert(b.ctx, ca.certificate), 1);
    connect_anew(&b);
    assert_int_equal(shake(&b), -1);
    expect_error(&b.e, ERR_CONFIG,
            "the certificates that the server presents: more than mbedTLS takes at once (16 KiB, and with 2.28 one "
            "record): let "
            "it present its own and the intermediates alone");
    end(&b);
}

static void tls_13_alone(void **state)
{
    struct both b = begin(&server, TLS1_3_VERSION);

    (void)state;
    connect_anew(&b);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    uint8_t plain[16];

    expect_success(shake(&b) == 1, &b.e);
    assert_int_equal(BIO_write(b.to_server, b.out.data, (int)b.out.len), b.out.len);
    assert_int_equal(SSL_do_handshake(b.ssl), 1); /* sends two tickets */
    assert_int_equal(SSL_write(b.ssl, "behind", 6), 6);
    assert_int_equal(read_all(&b, plain, sizeof(plain)), 6);
    assert_memory_equal(plain, "behind", 6);
#else
    assert_int_equal(shake(&b), -1);
    expect_error(&b.e, ERR_CONFIG,
            "the server takes none of our TLS versions (alert protocol_version; the newest here is 1.2): start etcd "
            "with "
            "--tls-min-version=TLS1.2, or use a build with mbedTLS 3.6, as of Debian 13");
#endif
    end(&b);
}

#ifdef MBEDTLS_SSL_PROTO_TLS1_3
static void nothing_for_a_stranger_in_13(void **state)
{
    struct issued other = issue_authority("other"), stranger = issue_server(&other);
    struct both b = begin(&stranger, TLS1_3_VERSION);

    (void)state;
    connect_anew(&b);
    assert_int_equal(shake(&b), -1);
    assert_int_equal(b.e.kind, ERR_AUTH);
    assert_true(b.out.len < 64); /* an alert, encrypted, and the record of compatibility before it */
    assert_int_equal(SSL_is_init_finished(b.ssl), 0);
    end(&b);
    issue_clear(&stranger);
    issue_clear(&other);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_right_server),
            cmocka_unit_test(nothing_for_a_stranger),
            cmocka_unit_test(judged_each_time),
            cmocka_unit_test(a_refused_hello_request),
            cmocka_unit_test(an_ed25519_server),
            cmocka_unit_test(signed_with_ed25519),
            cmocka_unit_test(a_chain_of_more_than_16_kib),
            cmocka_unit_test(tls_13_alone),
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
            cmocka_unit_test(nothing_for_a_stranger_in_13),
#endif
    };

    return cmocka_run_group_tests(tests, make, clear);
}
