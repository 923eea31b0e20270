/*
 * race.h: from the addresses of a name to one connected socket.
 *
 * One address that drops packets must not cost the time to connect: so they race, as RFC 8305 has it (section 5): the
 * families in turns, the next address 250 ms after the last or as soon as one has failed, and who is connected first
 * has won. It takes addresses and no name: of S3's libcurl resolves the name, of etcd's h2/dial.h.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

enum { RACE_MAX = 16, RACE_STAGGER_MS = 250 };

/* IPv4 or IPv6, with its port. */
union race_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct race_addresses {
    unsigned n;
    union race_address list[RACE_MAX];
};

bool race_address_is(const union race_address *a, const union race_address *b);

/* Adds it, unless it is there, is of another family than these two, or there are RACE_MAX. */
void race_addresses_add(struct race_addresses *a, const struct sockaddr *sa);

/* "127.0.0.1:2379", "[::1]:2379". */
enum { RACE_ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN + 16 };
char *race_address_text(const union race_address *a, char out[RACE_ADDRESS_TEXT_MAX]);

/* The order of the race: the families in turns, beginning with the first address's, each in its order; `good`, if it is
 * among them, before all others and `bad` behind. Either may be of the family 0: none. */
void race_addresses_sort(struct race_addresses *a, const union race_address *good, const union race_address *bad);

struct race_spec {
    const struct race_addresses *addresses; /* one at least, in their order; copied */
    uint64_t timeout_ms;                    /* of all; 0: as long as the kernel tries */
    void *ctx;
    /* Once, unless cancelled; never inside race_start. A connected socket, which now belongs to the owner, and its
     * address, which is valid during the call; or -1 and why not: ERR_TRANSIENT, ERR_RESOURCE (a socket cannot be
     * waited for), of ERR_DOMAIN_ERRNO; the text has each address and its reason, or with a single one the reason
     * alone. */
    void (*on_done)(void *ctx, int fd, const union race_address *address, const struct err *err);
};

struct race;

/* Errors: ERR_RESOURCE. */
struct race *race_start(uv_loop_t *loop, const struct race_spec *spec, struct err *e);

/* Closes what is under way. Never calls back. NULL is fine. */
void race_cancel(struct race *d);
