#include "x509/issue.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sodium.h>

#include "expect.h"

static char folder[64];

static EVP_PKEY *make_key(const char *kind)
{
    bool rsa = kind && strncmp(kind, "RSA", 3) == 0, ed = kind && strcmp(kind, "ED25519") == 0;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : ed ? "ED25519" : "EC", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    if (rsa)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, strcmp(kind, "RSA-1024") == 0 ? 1024 : 2048), 1);
    else if (!ed)
        assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, "P-256"), 1);
    if (kind && strcmp(kind, "explicit") == 0)
        assert_int_equal(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void extend(X509 *x, X509 *by, const struct issue_extension *extension)
{
    X509V3_CTX ctx;
    X509_EXTENSION *made;

    X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    made = X509V3_EXT_nconf(NULL, &ctx, extension->name, extension->value);
    assert_non_null(made);
    assert_int_equal(X509_add_ext(x, made, -1), 1);
    X509_EXTENSION_free(made);
}

struct issued issue(const struct issue_spec *spec)
{
    static long serial;
    struct issued i = {.certificate = X509_new(), .key = make_key(spec->key)};
    const struct issued *by = spec->by ? spec->by : &i;
    bool ed = EVP_PKEY_is_a(by->key, "ED25519");
    X509_NAME *name = X509_get_subject_name(i.certificate);

    assert_int_equal(X509_set_version(i.certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(i.certificate), ++serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(i.certificate), spec->from || spec->to ? spec->from : -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(i.certificate), spec->from || spec->to ? spec->to : 86400));
    assert_int_equal(X509_set_pubkey(i.certificate, i.key), 1);
    assert_int_equal(
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->name, -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(i.certificate, X509_get_subject_name(by->certificate)), 1);
    for (size_t n = 0; n < ISSUE_EXTENSIONS_MAX && spec->extensions[n].name; n++)
        extend(i.certificate, by->certificate, &spec->extensions[n]);
    assert_true(X509_sign(i.certificate, by->key,
                        ed ? NULL : EVP_get_digestbyname(spec->digest ? spec->digest : "SHA256")) > 0);
    return i;
}

void issue_clear(struct issued *i)
{
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
    *i = (struct issued){.certificate = NULL};
}

struct issued issue_authority(const char *name)
{
    return issue(&(struct issue_spec){.name = name,
            .extensions = {{"basicConstraints", "critical,CA:TRUE"}, {"keyUsage", "critical,keyCertSign,cRLSign"}}});
}

struct issued issue_server(const struct issued *by)
{
    return issue(&(struct issue_spec){.name = "localhost",
            .by = by,
            .extensions = {{"subjectAltName", "DNS:localhost,IP:127.0.0.1"}, {"extendedKeyUsage", "serverAuth"}}});
}

/* A new one: what was there may be open to others, or no file. */
static FILE *open_new(const char *file)
{
    FILE *f;

    (void)unlink(file);
    f = fopen(file, "wex");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    return f;
}

void issue_write_certificates(const char *file, const struct issued *const *all, size_t n)
{
    FILE *f = open_new(file);

    for (size_t i = 0; i < n; i++)
        assert_int_equal(PEM_write_X509(f, all[i]->certificate), 1);
    assert_int_equal(fclose(f), 0);
}

void issue_write_key(const char *file, const struct issued *i)
{
    FILE *f = open_new(file);

    assert_int_equal(PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

int issue_enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-x509.XXXXXX");
    return sodium_init() >= 0 && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int issue_leave_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}
