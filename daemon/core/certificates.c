#include "core/certificates.h"

#include <stdbool.h>
#include <string.h>

#include "x509/expiry.h"

/* Seconds since the epoch. 0 if the file cannot be read: the next backup will say why. */
static int64_t expiry_of(const char *file, bool is_client)
{
    struct err ignored;
    int64_t expires = 0;

    (void)x509_expiry_of(file, is_client ? X509_EXPIRY_FIRST : X509_EXPIRY_LAST, &expires, &ignored);
    return expires;
}

size_t certificates_find(const struct conf *conf, struct certificate_file out[CERTIFICATES_MAX])
{
    const char *files[CERTIFICATES_MAX] = {conf->etcd.client_cert, /* the first */
            conf->etcd.ca_cert, conf->s3.ca_cert};
    size_t n = 0;

    for (size_t i = 0; i < CERTIFICATES_MAX; i++) {
        bool is_known = files[i] == NULL;

        for (size_t j = 0; j < n; j++)
            is_known = is_known || strcmp(out[j].file, files[i]) == 0;
        if (is_known || !(out[n].expires = expiry_of(files[i], i == 0)))
            continue;
        out[n++].file = files[i];
    }
    return n;
}
