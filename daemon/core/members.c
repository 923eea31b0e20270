#include "core/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDPOINTS_MAX = 64 }; /* as many as lib/etcd takes */

/* One that failed. */
struct entry {
    char endpoint[ETCD_ENDPOINT_MAX];
    unsigned rank;
    uint64_t until, liar_until; /* ms */
};

struct members {
    unsigned failures; /* so far */
    size_t n;
    struct entry entries[ENDPOINTS_MAX];
};

struct members *members_new(void)
{
    return calloc(1, sizeof(struct members));
}

static size_t find(const struct members *m, const char *endpoint)
{
    size_t i = 0;

    while (i < m->n && strcmp(m->entries[i].endpoint, endpoint) != 0)
        i++;
    return i;
}

void members_tell(struct members *m, const char *endpoint, const struct err *why, uint64_t now)
{
    size_t i = find(m, endpoint);
    struct entry *entry = &m->entries[i];
    bool is_lie = why && why->kind == ERR_INTEGRITY;

    if (!why && i < m->n)
        *entry = m->entries[--m->n];
    if (!why || i == ENDPOINTS_MAX || strlen(endpoint) >= sizeof(entry->endpoint))
        return;
    if (i == m->n) {
        *entry = (struct entry){0};
        (void)snprintf(entry->endpoint, sizeof(entry->endpoint), "%s", endpoint);
        m->n++;
    }
    entry->rank = ++m->failures;
    if (is_lie)
        entry->liar_until = now + MEMBERS_LIAR_MS;
    if (entry->until < now + (is_lie ? MEMBERS_LIED_MS : MEMBERS_FAILED_MS))
        entry->until = now + (is_lie ? MEMBERS_LIED_MS : MEMBERS_FAILED_MS);
}

struct etcd_blame members_blame(const struct members *m, const char *endpoint, uint64_t now)
{
    size_t i = find(m, endpoint);

    if (i == m->n || now >= m->entries[i].until)
        return (struct etcd_blame){0};
    return (struct etcd_blame){.rank = m->entries[i].rank, .is_liar = now < m->entries[i].liar_until};
}

void members_forget(struct members *m)
{
    *m = (struct members){0};
}

void members_free(struct members *m)
{
    free(m);
}
