#include "x509/words.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"

enum { NAME_TEXT_MAX = 160, NAMES_TEXT_MAX = 256, TIME_TEXT_MAX = 40, SUBJECT_TEXT_MAX = NAME_TEXT_MAX + 32 };

/* "CN=etcd, O=example", cut where it is long. */
static const char *name_text(const X509_NAME *name, char out[NAME_TEXT_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;

    if (bio && name && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(bio, out, NAME_TEXT_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
    if (n <= 0)
        (void)snprintf(out, NAME_TEXT_MAX, "without a name");
    return out;
}

static const char *time_text(const ASN1_TIME *t, char out[TIME_TEXT_MAX])
{
    struct tm tm;

    if (!t || ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        (void)snprintf(out, TIME_TEXT_MAX, "a day that cannot be read");
    return out;
}

/* Which certificate it is about. */
static const char *subject_text(const struct x509_words_finding *found, char out[SUBJECT_TEXT_MAX])
{
    char name[NAME_TEXT_MAX];

    if (found->depth == 0 || !found->certificate)
        (void)snprintf(out, SUBJECT_TEXT_MAX, "the server's certificate");
    else
        (void)snprintf(out, SUBJECT_TEXT_MAX, "its authority's certificate (%s)",
                name_text(X509_get_subject_name(found->certificate), name));
    return out;
}

static int unknown_authority(const struct x509_words_finding *found, struct err *e)
{
    char name[NAME_TEXT_MAX] = "";
    const char *where = found->is_system ? "one of the system's, and no ca_cert is configured" : "in ca_cert";

    if (found->certificate)
        (void)name_text(X509_get_issuer_name(found->certificate), name);
    if (found->depth == 0)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason,
                "the server's certificate is signed by an unknown authority (%s): it is not %s", name, where);
    return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason,
            "the certificates that the server sent end at an unknown authority (%s): it is not %s", name, where);
}

int x509_words_chain(const struct x509_words_finding *found, struct err *e)
{
    char subject[SUBJECT_TEXT_MAX], when[TIME_TEXT_MAX];
    const X509 *x = found->certificate;

    (void)subject_text(found, subject);
    switch (found->reason) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason, "%s expired on %s", subject,
                time_text(x ? X509_get0_notAfter(x) : NULL, when));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason, "%s is not valid before %s: is the clock right?",
                subject, time_text(x ? X509_get0_notBefore(x) : NULL, when));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return unknown_authority(found, e);
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason,
                "%s has a name that an authority above it may not sign for (name constraints: %s)", subject,
                X509_verify_cert_error_string(found->reason));
    case X509_V_ERR_INVALID_PURPOSE:
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason,
                "%s may not be used for a TLS server: its key usage or extended key usage leaves that out", subject);
    default:
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, found->reason, "%s is not acceptable: %s", subject,
                X509_verify_cert_error_string(found->reason));
    }
}

/* Appends to the text, never past its end. */
static void add(char out[NAMES_TEXT_MAX], const char *text, int len)
{
    size_t have = strlen(out);

    (void)snprintf(out + have, NAMES_TEXT_MAX - have, "%s%.*s", have ? ", " : "", len, text);
}

static void add_name(char out[NAMES_TEXT_MAX], const GENERAL_NAME *name)
{
    char ip[INET6_ADDRSTRLEN];
    int kind, len;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);

    if (kind != GEN_DNS && kind != GEN_IPADD)
        return;
    len = ASN1_STRING_length(value);
    if (kind == GEN_DNS)
        add(out, (const char *)ASN1_STRING_get0_data(value), len);
    else if ((len == 4 || len == 16) &&
             inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), ip, sizeof(ip)))
        add(out, ip, (int)strlen(ip));
}

int x509_words_name(X509 *own, const char *host, struct err *e)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
    char text[NAMES_TEXT_MAX] = "", subject[NAME_TEXT_MAX];

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        add_name(text, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    if (*text)
        return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, X509_V_ERR_HOSTNAME_MISMATCH,
                "the server's certificate is for %s, not for %s", text, host);
    return err_set(e, ERR_AUTH, ERR_DOMAIN_TLS, X509_V_ERR_HOSTNAME_MISMATCH,
            "the server's certificate (%s) is for no host: it has no subject alternative name, and %s must be one",
            name_text(X509_get_subject_name(own), subject), host);
}
