#include "catalog/clusters.h"

/* The newest backup that says it, one that counts if there is one; or the count. */
static size_t newest_with_id(const struct catalog_list *l, const uint64_t *ids)
{
    size_t n = catalog_list_count(l), found = n;

    for (size_t i = 0; i < n; i++) {
        if (ids[i] && catalog_backup_counts(catalog_list_at(l, i)))
            return i;
        if (ids[i] && found == n)
            found = i;
    }
    return found;
}

/* Whether one of another cluster is newer than the oldest of this one. The newest come first. */
static bool alternates(const struct catalog_list *l, const uint64_t *ids, uint64_t own)
{
    bool has_other = false;

    for (size_t i = 0; i < catalog_list_count(l); i++) {
        if (ids[i] == own && has_other)
            return true;
        has_other = has_other || (ids[i] && ids[i] != own);
    }
    return false;
}

struct clusters_result clusters_judge(struct catalog_list *l, const uint64_t *ids, uint64_t own)
{
    struct clusters_result r = {.own = own};
    size_t n = catalog_list_count(l), newest = newest_with_id(l, ids);

    if (!own && newest < n) {
        r.own = ids[newest];
        r.is_unclear = alternates(l, ids, r.own);
    }
    for (size_t i = 0; i < n; i++) {
        if (!ids[i] || ids[i] == r.own)
            continue;
        r.other = r.other ? r.other : ids[i];
        r.n_other++;
        if (!r.is_unclear)
            catalog_list_doubt(l, i, CATALOG_OTHER_CLUSTER);
    }
    return r;
}
