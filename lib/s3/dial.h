/*
 * dial.h: from the addresses of a name to one connected socket, which libcurl then works on.
 *
 * libcurl tries the addresses of one family one after the other, and where it is driven by curl_multi_socket_action up
 * to 7.88 at least it asks for no timer for the second: one address that drops packets and all of the time to connect
 * is gone. So the race is run here, as RFC 8305 has it (section 5): the families in turns, the next address 250 ms
 * after the last or as soon as one has failed, and who is connected first has won. It takes addresses and no name,
 * since libcurl resolves: it alone knows whether a proxy stands between (attempt.c collects what it was about to
 * connect to).
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

enum { S3_DIAL_MAX = 16, S3_DIAL_STAGGER_MS = 250 };

/* IPv4 or IPv6, with its port. */
union s3_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct s3_addresses {
    unsigned n;
    union s3_address list[S3_DIAL_MAX];
};

bool s3_address_is(const union s3_address *a, const union s3_address *b);

/* Adds it, unless it is there, is of another family than these two, or there are S3_DIAL_MAX. */
void s3_addresses_add(struct s3_addresses *a, const struct sockaddr *sa);

/* The order of the race: the families in turns, beginning with the first address's, each in its order; `good`, if it is
 * among them, before all others and `bad` behind. Either may be of the family 0: none. */
void s3_addresses_sort(struct s3_addresses *a, const union s3_address *good, const union s3_address *bad);

struct s3_dial_spec {
    const struct s3_addresses *addresses; /* one at least, in their order; copied */
    uint64_t timeout_ms;                  /* of all; 0: as long as the kernel tries */
    void *ctx;
    /* Once, unless cancelled; never inside s3_dial_start. A connected socket, which now belongs to the owner, and its
     * address, which is valid during the call; or -1 and why not: ERR_TRANSIENT, ERR_RESOURCE (a socket cannot be
     * waited for), of ERR_DOMAIN_ERRNO; the text has each address and its reason, or with a single one the reason
     * alone. */
    void (*on_done)(void *ctx, int fd, const union s3_address *address, const struct err *err);
};

struct s3_dial;

/* Errors: ERR_RESOURCE. */
struct s3_dial *s3_dial_start(uv_loop_t *loop, const struct s3_dial_spec *spec, struct err *e);

/* Closes what is under way. Never calls back. NULL is fine. */
void s3_dial_cancel(struct s3_dial *d);
