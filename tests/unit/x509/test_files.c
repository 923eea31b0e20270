/* What can be in a file of certificates, or of a key. */
#include "expect.h"
#include "x509/issue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "x509/expiry.h"
#include "x509/pair.h"
#include "x509/trust.h"

static char certificate[4096]; /* in PEM */
static size_t lines;           /* of it */

/* The whole of a small file. */
static void read_all(const char *file, char *out, size_t size)
{
    FILE *f = fopen(file, "re");
    size_t n;

    assert_non_null(f);
    n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    assert_int_equal(fclose(f), 0);
}

static void write_all(const char *file, const char *text, size_t len)
{
    FILE *f = fopen(file, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
    struct issued ca;

    if (issue_enter_folder(state) < 0)
        return -1;
    ca = issue_authority("ca");
    issue_write_certificates("ca.pem", (const struct issued *const[]){&ca}, 1);
    issue_write_key("ca.key", &ca);
    read_all("ca.pem", certificate, sizeof(certificate));
    for (const char *p = certificate; *p; p++)
        lines += *p == '\n';
    issue_clear(&ca);
    return 0;
}

static int load(const char *path, struct err *e)
{
    _cleanup_x509_trust_ struct x509_trust *trust = x509_trust_load(path, e);

    return trust ? 0 : -1;
}

/* One that cannot be read may be the one that is needed: it is never passed over. */
static void bundles(void **state)
{
    static const struct {
        const char *behind; /* the good one */
        const char *text;   /* NULL: all is well. Behind the line's number */
    } cases[] = {
            {"", NULL},
            {"# a comment\n\n", NULL},
            {"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", NULL},
            {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "wrong tag"},
            {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", NULL},
            {"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "bad base64 decode"},
            {"-----BEGIN CERTIFICATE-----\nAAAA\n", "bad end line"},
            {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n", "bad end line"},
    };
    char text[8192], expected[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        int rc;

        (void)snprintf(text, sizeof(text), "# first\n%s\n%s", certificate, cases[i].behind);
        write_all("bundle.pem", text, strlen(text));
        rc = load("bundle.pem", &e);
        if (!cases[i].text) {
            if (strstr(cases[i].behind, "BEGIN CERTIFICATE"))
                continue; /* told or not: there is nothing in it */
            expect_success(rc == 0, &e);
            continue;
        }
        assert_int_equal(rc, -1);
        (void)snprintf(expected, sizeof(expected),
                "bundle.pem:%zu: the certificate that begins here cannot be read: %s", lines + 3, cases[i].text);
        expect_error(&e, ERR_CONFIG, expected);
    }
}

static void no_bundles(void **state)
{
    static const struct {
        const char *content;
        size_t len;
        const char *text;
    } cases[] = {
            {"", 0, "x.pem:1: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"},
            {"hello\n", 6, "x.pem:2: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"},
            {"\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 60,
                    "x.pem:2: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"},
            {"\x30\x82\x01\x00\x00", 5,
                    "x.pem: is not PEM, and looks like DER: openssl x509 -inform DER -in x.pem -out NEW makes it PEM"},
    };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_all("x.pem", cases[i].content, cases[i].len);
        assert_int_equal(load("x.pem", &e), -1);
        expect_error(&e, ERR_CONFIG, cases[i].text);
    }
    assert_int_equal(load("none.pem", &e), -1);
    expect_error(&e, ERR_NOT_FOUND, "none.pem: No such file or directory");
    assert_int_equal(load("/", &e), -1);
    expect_error(&e, ERR_CONFIG, "/: is a directory, not a file");
    assert_int_equal(load("/dev/null", &e), -1);
    expect_error(&e, ERR_CONFIG, "/dev/null: not a regular file");
}

/* As the connection loads them. */
static int load_pair(const char *certificate_file, const char *key_file, struct err *e)
{
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    int rc;

    *e = ERR_INIT;
    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&key);
    rc = x509_pair_load_certificate(&crt, certificate_file, e);
    if (rc == 0)
        rc = x509_pair_load_key(&key, key_file, false, e);
    if (rc == 0)
        rc = x509_pair_match(&crt, &key, certificate_file, key_file, e);
    mbedtls_x509_crt_free(&crt);
    mbedtls_pk_free(&key);
    return rc;
}

static void kinds_of_keys(void **state)
{
    static const struct {
        const char *key;
        const char *text; /* the beginning; NULL: it works */
    } cases[] = {
            {NULL, NULL},
            {"RSA", NULL},
            {"ED25519", "c.pem: is no certificate that mbedTLS can present (it has RSA and ECDSA on named curves): "},
            {"explicit", "c.pem: is no certificate that mbedTLS can present (it has RSA and ECDSA on named curves): "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct issued own = issue(&(struct issue_spec){.name = "backup", .key = cases[i].key});
        struct err e;
        int rc;

        issue_write_certificates("c.pem", (const struct issued *const[]){&own}, 1);
        issue_write_key("c.key", &own);
        rc = load_pair("c.pem", "c.key", &e);
        if (!cases[i].text) {
            expect_success(rc == 0, &e);
        } else {
            assert_int_equal(rc, -1);
            assert_memory_equal(e.text, cases[i].text, strlen(cases[i].text));
            assert_int_equal(e.kind, ERR_CONFIG);
        }
        issue_clear(&own);
    }
}

static void pairs(void **state)
{
    struct issued one = issue(&(struct issue_spec){.name = "one"}), two = issue(&(struct issue_spec){.name = "two"});
    struct issued ed = issue(&(struct issue_spec){.name = "ed", .key = "ED25519"});
    struct err e;

    (void)state;
    issue_write_certificates("one.pem", (const struct issued *const[]){&one, &two}, 2);
    issue_write_certificates("mixed.pem", (const struct issued *const[]){&one, &ed}, 2);
    issue_write_key("one.key", &one);
    issue_write_key("two.key", &two);
    issue_write_key("ed.key", &ed);
    expect_success(load_pair("one.pem", "one.key", &e) == 0, &e);
    assert_int_equal(load_pair("one.pem", "two.key", &e), -1);
    expect_error(&e, ERR_CONFIG, "two.key: this key does not belong to the certificate one.pem");
    /* It would be missing from what we present. */
    assert_int_equal(load_pair("mixed.pem", "one.key", &e), -1);
    expect_error(&e, ERR_CONFIG,
            "mixed.pem: 1 of its certificates are none that mbedTLS can present (it has RSA and ECDSA on named "
            "curves)");
    assert_int_equal(load_pair("one.pem", "ed.key", &e), -1);
    assert_non_null(strstr(e.text, "ed.key: the private key is damaged, or none that mbedTLS can use (it has RSA and "
                                   "ECDSA on named curves): "));
    assert_int_equal(load_pair("one.pem", "one.pem", &e), -1);
    expect_error(&e, ERR_CONFIG, "one.pem: holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
    assert_int_equal(load_pair("one.key", "one.key", &e), -1);
    expect_error(&e, ERR_CONFIG, "one.key:1: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    write_all("bad.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 59);
    assert_int_equal(load_pair("one.pem", "bad.key", &e), -1);
    assert_non_null(strstr(e.text, "bad.key: the private key is damaged, or "));
    issue_clear(&one);
    issue_clear(&two);
    issue_clear(&ed);
}

static void pass_phrases(void **state)
{
    static const char old[] = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"
                              "00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    static const char new[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    const char *all[] = {old, new};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        write_all("locked.key", all[i], strlen(all[i]));
        assert_int_equal(load_pair("ca.pem", "locked.key", &e), -1);
        expect_error(&e, ERR_CONFIG,
                "locked.key: the key has a pass phrase, which nobody can type in here; store it without");
    }
}

static int64_t expiry(const char *path, enum x509_expiry which)
{
    struct err e = ERR_INIT;
    int64_t expires = 0;

    expect_success(x509_expiry_of(path, which, &expires, &e) == 0, &e);
    return expires - time(NULL);
}

static void near(int64_t seconds, int64_t expected)
{
    assert_in_range(seconds, expected - 60, expected);
}

static void expiry_is_that_of_the_first_or_the_last(void **state)
{
    struct issued soon = issue(&(struct issue_spec){.name = "soon", .from = -3600, .to = 1000});
    struct issued late = issue(&(struct issue_spec){.name = "late", .from = -3600, .to = 9000});
    struct issued over = issue(&(struct issue_spec){.name = "over", .from = -3600, .to = -600});
    const struct issued *const all[] = {&soon, &late, &over};
    int64_t expires = 7;
    struct err e = ERR_INIT;

    (void)state;
    issue_write_certificates("three.pem", all, 3);
    near(expiry("three.pem", X509_EXPIRY_FIRST), 1000);
    near(expiry("three.pem", X509_EXPIRY_LAST), 9000);
    issue_write_certificates("over.pem", all + 2, 1);
    near(expiry("over.pem", X509_EXPIRY_LAST), -600);
    near(expiry("over.pem", X509_EXPIRY_FIRST), -600);
    assert_int_equal(x509_expiry_of("ca.key", X509_EXPIRY_LAST, &expires, &e), -1);
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_int_equal(x509_expiry_of("none", X509_EXPIRY_FIRST, &expires, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(expires, 7);
    issue_clear(&soon);
    issue_clear(&late);
    issue_clear(&over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(bundles),
            cmocka_unit_test(no_bundles),
            cmocka_unit_test(kinds_of_keys),
            cmocka_unit_test(pairs),
            cmocka_unit_test(pass_phrases),
            cmocka_unit_test(expiry_is_that_of_the_first_or_the_last),
    };

    return cmocka_run_group_tests(tests, make, issue_leave_folder);
}
