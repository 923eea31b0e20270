/* Whose certificate is it? Each fault alone, and what must pass. */
#include "expect.h"
#include "x509/issue.h"

#include <string.h>

#include "base/cleanup.h"
#include "x509/trust.h"

enum { CHAIN_MAX = 4 };

static struct issued ca, other;

static int make_authorities(void **state)
{
    if (issue_enter_folder(state) < 0)
        return -1;
    ca = issue_authority("ca");
    other = issue_authority("other");
    return 0;
}

static int clear_authorities(void **state)
{
    issue_clear(&ca);
    issue_clear(&other);
    return issue_leave_folder(state);
}

/* What a server is told that sends `sent`, where `believed` are the authorities. 0: nothing, it is the right one. */
static int judge(
        const struct issued *const *believed, const struct issued *const *sent, const char *host, struct err *e)
{
    _cleanup_x509_trust_ struct x509_trust *trust = NULL;
    struct bytes der[CHAIN_MAX];
    unsigned char *encoded[CHAIN_MAX] = {NULL};
    struct x509_peer peer = {.certificates = der, .host = host};
    uint8_t alert = 0;
    size_t n = 0;
    int rc;

    *e = ERR_INIT;
    while (believed[n])
        n++;
    issue_write_certificates("believed.pem", believed, n);
    trust = x509_trust_load("believed.pem", e);
    expect_success(trust != NULL, e);
    for (; sent[peer.n]; peer.n++) {
        int len = i2d_X509(sent[peer.n]->certificate, &encoded[peer.n]);

        der[peer.n] = (struct bytes){.data = encoded[peer.n], .len = (size_t)len};
    }
    rc = x509_trust_judge(trust, &peer, &alert, e);
    for (size_t i = 0; i < peer.n; i++)
        OPENSSL_free(encoded[i]);
    if (rc == 0)
        return 0;
    assert_int_equal(e->kind, ERR_AUTH);
    assert_true(alert != 0);
    return alert;
}

#define LIST(...) ((const struct issued *const[]){__VA_ARGS__, NULL})

static void hosts_and_names(void **state)
{
    static const struct {
        const char *name, *san, *host, *text; /* NULL: it is the right one */
    } cases[] = {
            {"x", "DNS:etcd1", "etcd1", NULL},
            {"x", "DNS:etcd1", "ETCD1", NULL},
            {"x", "DNS:*.etcd.example", "a.etcd.example", NULL},
            {"x", "IP:127.0.0.1", "127.0.0.1", NULL},
            {"x", "IP:::1", "::1", NULL},
            {"x", "IP:fe80::1", "fe80::1%eth0", NULL},
            {"x", "DNS:etcd1,IP:10.0.0.1", "etcd2", "the server's certificate is for etcd1, 10.0.0.1, not for etcd2"},
            {"x", "DNS:*.etcd.example", "a.b.etcd.example",
                    "the server's certificate is for *.etcd.example, not for a.b.etcd.example"},
            {"x", "DNS:a*.etcd.example", "ab.etcd.example",
                    "the server's certificate is for a*.etcd.example, not for ab.etcd.example"},
            {"x", "DNS:127.0.0.1", "127.0.0.1", "the server's certificate is for 127.0.0.1, not for 127.0.0.1"},
            {"x", "IP:10.0.0.2", "10.0.0.1", "the server's certificate is for 10.0.0.2, not for 10.0.0.1"},
            /* The common name is no name of a host. */
            {"etcd1", "DNS:etcd2", "etcd1", "the server's certificate is for etcd2, not for etcd1"},
            {"etcd1", NULL, "etcd1",
                    "the server's certificate (CN=etcd1) is for no host: it has no subject alternative name, and etcd1 "
                    "must be "
                    "one"},
            {"127.0.0.1", NULL, "127.0.0.1",
                    "the server's certificate (CN=127.0.0.1) is for no host: it has no subject alternative name, and "
                    "127.0.0.1 must be one"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct issue_spec spec = {.name = cases[i].name, .by = &ca};
        struct issued server;
        struct err e;
        int alert;

        if (cases[i].san)
            spec.extensions[0] = (struct issue_extension){"subjectAltName", cases[i].san};
        server = issue(&spec);
        alert = judge(LIST(&ca), LIST(&server), cases[i].host, &e);
        assert_string_equal(e.text, cases[i].text ? cases[i].text : "");
        assert_int_equal(alert, cases[i].text ? 42 : 0);
        issue_clear(&server);
    }
}

#define SAN "subjectAltName", "DNS:localhost,IP:127.0.0.1"

static void what_a_certificate_is_for(void **state)
{
    static const char no_server[] =
            "the server's certificate may not be used for a TLS server: its key usage or extended key "
            "usage leaves that out";
    static const struct {
        struct issue_spec spec;
        const char *text;
    } cases[] = {
            {{.extensions = {{SAN}, {"extendedKeyUsage", "serverAuth"}, {"keyUsage", "critical,digitalSignature"}}},
                    NULL},
            {{.extensions = {{SAN}, {"extendedKeyUsage", "clientAuth"}}}, no_server},
            {{.extensions = {{SAN}, {"keyUsage", "critical,keyCertSign"}}}, no_server},
            {{.key = "RSA", .extensions = {{SAN}}}, NULL},
            {{.key = "RSA-1024", .extensions = {{SAN}}},
                    "the server's certificate is not acceptable: EE certificate key too weak"},
            {{.digest = "SHA1", .extensions = {{SAN}}},
                    "the server's certificate is not acceptable: CA signature digest algorithm too weak"},
            {{.extensions = {{SAN}, {"1.2.3.4", "critical,ASN1:NULL"}}},
                    "the server's certificate is not acceptable: unhandled critical extension"},
            {{.extensions = {{SAN}, {"1.2.3.4", "ASN1:NULL"}}}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct issue_spec spec = cases[i].spec;
        struct issued server;
        struct err e;

        spec.name = "localhost";
        spec.by = &ca;
        server = issue(&spec);
        (void)judge(LIST(&ca), LIST(&server), "127.0.0.1", &e);
        assert_string_equal(e.text, cases[i].text ? cases[i].text : "");
        issue_clear(&server);
    }
}

/* Words before and behind a moment that the test does not know. */
static void expect_time(const struct err *e, const char *before, const char *behind)
{
    size_t len = strlen(before), time = strlen("2024-02-01 00:00:00 UTC");

    assert_int_equal(strncmp(e->text, before, len), 0);
    assert_true(strlen(e->text) >= len + time);
    assert_string_equal(e->text + len + time - 4, behind);
}

static void times(void **state)
{
    struct issued old =
            issue(&(struct issue_spec){.name = "x", .by = &ca, .from = -7200, .to = -60, .extensions = {{SAN}}});
    struct issued new =
            issue(&(struct issue_spec){.name = "x", .by = &ca, .from = 3600, .to = 7200, .extensions = {{SAN}}});
    struct issued old_ca = issue(&(struct issue_spec){
            .name = "old ca", .from = -7200, .to = -60, .extensions = {{"basicConstraints", "critical,CA:TRUE"}}});
    struct issued below = issue_server(&old_ca);
    struct err e;

    (void)state;
    assert_int_equal(judge(LIST(&ca), LIST(&old), "localhost", &e), 45);
    expect_time(&e, "the server's certificate expired on ", " UTC");
    assert_int_equal(judge(LIST(&ca), LIST(&new), "localhost", &e), 45);
    expect_time(&e, "the server's certificate is not valid before ", " UTC: is the clock right?");
    assert_int_equal(judge(LIST(&old_ca), LIST(&below), "localhost", &e), 45);
    expect_time(&e, "its authority's certificate (CN=old ca) expired on ", " UTC");
    issue_clear(&old);
    issue_clear(&new);
    issue_clear(&below);
    issue_clear(&old_ca);
}

/* Who may sign for what. */
static void authorities(void **state)
{
    struct issued limited = issue(&(struct issue_spec){.name = "limited",
            .by = &ca,
            .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                    {"nameConstraints", "critical,permitted;DNS:only.example,permitted;IP:10.0.0.0/255.0.0.0"}}});
    struct issued outside = issue_server(&limited);
    struct issued inside = issue(&(struct issue_spec){
            .name = "x", .by = &limited, .extensions = {{"subjectAltName", "DNS:a.only.example,IP:10.1.1.1"}}});
    struct issued no_ca = issue(&(struct issue_spec){.name = "no ca", .by = &ca}), below = issue_server(&no_ca);
    struct issued ed = issue(&(struct issue_spec){
            .name = "ed", .key = "ED25519", .extensions = {{"basicConstraints", "critical,CA:TRUE"}}});
    struct issued by_ed = issue_server(&ed), server = issue_server(&ca), own = issue_server(NULL);
    struct err e;

    (void)state;
    assert_int_equal(judge(LIST(&ca), LIST(&inside, &limited), "10.1.1.1", &e), 0);
    assert_int_equal(judge(LIST(&ca), LIST(&outside, &limited), "127.0.0.1", &e), 42);
    assert_string_equal(e.text, "the server's certificate has a name that an authority above it may not sign for (name "
                                "constraints: permitted "
                                "subtree violation)");
    assert_int_equal(judge(LIST(&ca), LIST(&below, &no_ca), "localhost", &e), 42);
    assert_non_null(strstr(e.text, "its authority's certificate (CN=no ca) is not acceptable: invalid CA certificate"));
    /* What an authority signs with is its own matter here, and one that is of no use does not spoil the others. */
    assert_int_equal(judge(LIST(&ed), LIST(&by_ed), "localhost", &e), 0);
    assert_int_equal(judge(LIST(&ed, &ca), LIST(&server), "localhost", &e), 0);
    /* Strangers, and an intermediate that is missing. */
    assert_int_equal(judge(LIST(&other), LIST(&server), "localhost", &e), 48);
    assert_string_equal(
            e.text, "the server's certificate is signed by an unknown authority (CN=ca): it is not in ca_cert");
    assert_int_equal(judge(LIST(&other), LIST(&server, &ca), "localhost", &e), 48);
    assert_string_equal(
            e.text, "the certificates that the server sent end at an unknown authority (CN=ca): it is not in ca_cert");
    assert_int_equal(judge(LIST(&ca), LIST(&inside), "10.1.1.1", &e), 48);
    assert_string_equal(
            e.text, "the server's certificate is signed by an unknown authority (CN=limited): it is not in ca_cert");
    assert_int_equal(judge(LIST(&ca), LIST(&own), "localhost", &e), 48);
    /* Anchors that are no roots: an intermediate, and the certificate itself. */
    assert_int_equal(judge(LIST(&limited), LIST(&inside), "10.1.1.1", &e), 0);
    assert_int_equal(judge(LIST(&own), LIST(&own), "localhost", &e), 0);
    issue_clear(&limited);
    issue_clear(&outside);
    issue_clear(&inside);
    issue_clear(&no_ca);
    issue_clear(&below);
    issue_clear(&ed);
    issue_clear(&by_ed);
    issue_clear(&server);
    issue_clear(&own);
}

/* A root that limits its own use in a critical extension which mbedTLS does not know. */
static void critical_constraints_of_a_root(void **state)
{
    struct issued root = issue(&(struct issue_spec){.name = "root",
            .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                    {"policyConstraints", "critical,requireExplicitPolicy:9"},
                    {"nameConstraints", "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0"}}});
    struct issued server = issue_server(&root);
    struct err e;

    (void)state;
    assert_int_equal(judge(LIST(&root), LIST(&server), "127.0.0.1", &e), 0);
    issue_clear(&root);
    issue_clear(&server);
}

static void nonsense_from_the_server(void **state)
{
    _cleanup_x509_trust_ struct x509_trust *trust = NULL;
    const struct bytes damaged = {.data = (const uint8_t *)"\x30\x03\x01\x01\x01", .len = 5};
    struct x509_peer peer = {.certificates = &damaged, .n = 0, .host = "localhost"};
    struct err e = ERR_INIT;
    uint8_t alert = 0;

    (void)state;
    issue_write_certificates("believed.pem", LIST(&ca), 1);
    trust = x509_trust_load("believed.pem", &e);
    expect_success(trust != NULL, &e);
    assert_int_equal(x509_trust_judge(trust, &peer, &alert, &e), -1);
    expect_error(&e, ERR_AUTH, "the server sent no certificate");
    peer.n = 1;
    assert_int_equal(x509_trust_judge(trust, &peer, &alert, &e), -1);
    expect_error(&e, ERR_AUTH, "certificate 1 of those that the server sent cannot be read");
    assert_int_equal(alert, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(hosts_and_names),
            cmocka_unit_test(what_a_certificate_is_for),
            cmocka_unit_test(times),
            cmocka_unit_test(authorities),
            cmocka_unit_test(critical_constraints_of_a_root),
            cmocka_unit_test(nonsense_from_the_server),
    };

    return cmocka_run_group_tests(tests, make_authorities, clear_authorities);
}
