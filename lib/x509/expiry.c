#include "x509/expiry.h"

#include <stdbool.h>
#include <time.h>

#include "x509/pem.h"

struct search {
    enum x509_expiry which;
    bool has_one;
    int64_t found;
};

static int look(void *ctx, X509 *certificate, struct err *e)
{
    struct search *s = ctx;
    struct tm tm = {0};
    int64_t expires;

    if (s->which == X509_EXPIRY_FIRST && s->has_one)
        return 0;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a certificate that does not say when it expires");
    expires = timegm(&tm);
    if (!s->has_one || expires > s->found)
        s->found = expires;
    s->has_one = true;
    return 0;
}

int x509_expiry_of(const char *path, enum x509_expiry which, int64_t *out, struct err *e)
{
    struct search s = {.which = which};

    if (x509_pem_each(path, look, &s, e) < 0)
        return -1;
    *out = s.found;
    return 0;
}
