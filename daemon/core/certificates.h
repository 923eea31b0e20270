/*
 * certificates.h: when the certificates that the configuration names expire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum { CERTIFICATES_MAX = 3 };

struct certificate_file {
    const char *file; /* of the configuration */
    int64_t expires;  /* what it is good for does, seconds since the epoch */
};

/* Each file once: our certificate for etcd, and of the CAs the last, for while one is replaced the old one stands
 * beside it. One that cannot be read is left out: whoever uses it will say why. Returns how many. */
size_t certificates_find(const struct conf *conf, struct certificate_file out[CERTIFICATES_MAX]);
