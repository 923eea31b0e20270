#include "conf/structure.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/schema.h"

enum { NAME_MAX_LEN = 32, PATH_MAX_LEN = 96 };

/* Lower case without `-` and `_`, so that connectionTimeout is near connection_timeout. Returns the length. */
static size_t simplify(const char *name, char out[NAME_MAX_LEN])
{
    size_t len = 0;

    for (; *name && len < NAME_MAX_LEN - 1; name++)
        if (*name != '-' && *name != '_')
            out[len++] = (char)tolower((unsigned char)*name);
    out[len] = '\0';
    return len;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* How many letters must be put in, left out or changed to make one name of the other (Levenshtein's distance). */
static unsigned distance(const char *left, const char *right)
{
    char a[NAME_MAX_LEN], b[NAME_MAX_LEN];
    size_t len_a = simplify(left, a), len_b = simplify(right, b);
    unsigned row[NAME_MAX_LEN];

    for (unsigned j = 0; j <= len_b; j++)
        row[j] = j;
    for (unsigned i = 1; i <= len_a; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= len_b; j++) {
            unsigned here = min3(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));

            diagonal = row[j];
            row[j] = here;
        }
    }
    return row[len_b];
}

/* A key or section that the user may have meant, with how far it is from what is there. */
struct guess {
    char path[PATH_MAX_LEN];
    unsigned cost;
};

/* What the first `len` bytes of `key` call: a key or a section of the schema. A near miss where the unknown one stands
 * costs less than the very name elsewhere, and the same top section less than another. */
static void consider(struct guess *best, const struct conf_node *node, const char *section, const char *key, size_t len)
{
    char path[PATH_MAX_LEN];
    const char *dot, *name;
    size_t parent_len;
    unsigned cost;

    (void)snprintf(path, sizeof(path), "%.*s", (int)len, key);
    dot = strrchr(path, '.');
    name = dot ? dot + 1 : path;
    parent_len = dot ? (size_t)(dot - path) : 0;
    cost = distance(node->name, name);
    if (cost > 2 || cost >= strlen(name) / 2)
        return;
    if (parent_len != strlen(section) || strncmp(path, section, parent_len) != 0)
        cost += strncmp(path, section, strcspn(section, ".")) == 0 ? 3 : 6;
    if (cost < best->cost) {
        best->cost = cost;
        memcpy(best->path, path, sizeof(path));
    }
}

static int refuse_unknown(
        const struct conf_positions *p, const struct conf_node *node, const char *section, struct err *e)
{
    struct conf_place at = conf_positions_of_key(p, node);
    struct guess best = {.cost = UINT32_MAX};
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        for (const char *dot = strchr(keys[i].key, '.'); dot; dot = strchr(dot + 1, '.'))
            consider(&best, node, section, keys[i].key, (size_t)(dot - keys[i].key));
        consider(&best, node, section, keys[i].key, strlen(keys[i].key));
    }
    if (best.cost != UINT32_MAX)
        return conf_place_error(e, &at, "unknown key; did you mean %s?", best.path);
    return conf_place_error(e, &at, "unknown key");
}

/* What an item of a list looks like. */
static const char *item_of(const struct conf_schema_key *key)
{
    if (!key || key->kind == CONF_KIND_ENDPOINTS)
        return "host:port";
    if (key->kind == CONF_KIND_EVENTS)
        return "failure";
    if (key->kind == CONF_KIND_TAGS)
        return "KEY=VALUE";
    if (key->kind == CONF_KIND_RECIPIENTS)
        return "age1...";
    return key->kind == CONF_KIND_ARGUMENTS ? "/program" : "/path";
}

static int check_key(
        const struct conf_positions *p, const struct conf_node *node, const struct conf_schema_key *key, struct err *e)
{
    struct conf_place at = conf_positions_of_value(p, node);
    bool list = conf_schema_is_list(key->kind);

    if (node->kind == CONF_NODE_VALUE && node->empty)
        return key->mandatory ? conf_place_error(e, &at, "has no value: %s", key->if_missing) : 0;
    if (list && node->kind != CONF_NODE_LIST)
        return conf_place_error(e, &at, "must be a list: [\"%s\", ...]", item_of(key));
    if (!list && node->kind != CONF_NODE_VALUE)
        return conf_place_error(e, &at, "must be a single value (%s), not a %s", conf_schema_kind_name(key->kind),
                node->kind == CONF_NODE_LIST ? "list" : "section");
    return 0;
}

static int check_item(
        const struct conf_positions *p, const struct conf_node *node, const struct conf_node *parent, struct err *e)
{
    const struct conf_schema_key *key = conf_schema_find(parent->path);
    struct conf_place at = conf_positions_of_value(p, node);

    if (node->kind != CONF_NODE_VALUE)
        return conf_place_error(e, &at, "must be a single value (%s)", item_of(key));
    if (node->empty)
        return conf_place_error(e, &at, "has no value; give it one or remove it");
    return 0;
}

static int check_section(const struct conf_positions *p, const struct conf_node *node, struct err *e)
{
    struct conf_place at = conf_positions_of_value(p, node);

    if (!node->empty && node->kind != CONF_NODE_SECTION)
        return conf_place_error(e, &at, "must be a section: keys, indented, below its name");
    return 0;
}

static int check_node(
        const struct conf_positions *p, const struct conf_node *node, const struct conf_node *parent, struct err *e)
{
    const struct conf_schema_key *key = conf_schema_find(node->path);

    if (parent->kind == CONF_NODE_LIST)
        return check_item(p, node, parent, e);
    if (strchr(node->name, '.')) { /* s3_client.region: would look like the real one */
        struct conf_place at = conf_positions_of_key(p, node);

        return conf_place_error(e, &at, "unknown key; a key stands indented below its section, not behind a dot");
    }
    if (key)
        return check_key(p, node, key, e);
    return conf_schema_is_section(node->path) ? check_section(p, node, e) : refuse_unknown(p, node, parent->path, e);
}

int conf_structure_missing(const struct conf_positions *p, const struct conf_schema_key *key, struct err *e)
{
    const struct conf_node *section = NULL;
    char path[PATH_MAX_LEN];
    struct conf_place at;

    (void)snprintf(path, sizeof(path), "%s", key->key);
    while (!section) {
        char *dot = strrchr(path, '.');

        *(dot ? dot : path) = '\0';
        section = conf_positions_find(p, path);
    }
    at = conf_positions_of_key(p, section);
    at.key = key->key;
    return conf_place_error(e, &at, "is missing: %s", key->if_missing);
}

int conf_structure_check(const struct conf_positions *p, struct err *e)
{
    size_t n, n_keys;
    const struct conf_node *nodes = conf_positions_nodes(p, &n);
    const struct conf_schema_key *keys = conf_schema_keys(&n_keys);
    struct conf_place at = conf_positions_of_value(p, &nodes[0]);

    if (nodes[0].empty)
        return conf_place_error(e, &at, "the file is empty; etcd-backupd.conf.example shows what belongs here");
    if (nodes[0].kind != CONF_NODE_SECTION)
        return conf_place_error(e, &at, "must be 'key: value' lines, not a %s",
                nodes[0].kind == CONF_NODE_LIST ? "list" : "single value");
    for (size_t i = 1; i < n; i++)
        if (check_node(p, &nodes[i], &nodes[nodes[i].parent], e) < 0)
            return -1;
    for (size_t i = 0; i < n_keys; i++)
        if (keys[i].mandatory && !conf_positions_find(p, keys[i].key))
            return conf_structure_missing(p, &keys[i], e);
    return 0;
}
