/*
 * positions.h: which keys a YAML file has, and where each of them and each value stands.
 *
 * libcyaml fills our structs but tells little about where something is wrong, so libyaml goes over the text once
 * before it. The scan knows nothing of our keys; it refuses what no configuration needs (anchors and aliases, tags,
 * several documents, keys twice, keys that are no plain words) and what would only cost time (deep or endless
 * nesting). structure.h then compares the result with the schema.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "conf/place.h"

enum conf_node_kind { CONF_NODE_VALUE, CONF_NODE_SECTION, CONF_NODE_LIST };

struct conf_mark {
    unsigned line; /* from 1 */
    unsigned column;
};

/* A key with what follows it, an item of a list, or (the first node) the document. */
struct conf_node {
    char *path;       /* "s3_client.region", "etcd_client.endpoints[0]"; the document: "" */
    const char *name; /* the last part of path: "region" */
    size_t parent;    /* index of the section or list that it is in */
    enum conf_node_kind kind;
    bool empty; /* no value: nothing, "", ~ or null; a section or list without anything in it */
    struct conf_mark key;
    struct conf_mark value; /* where what follows the key begins; as `key` if there is nothing */
};

struct conf_positions;

/*
 * Scans `text`, which conf_text_check has passed and which has no mark in front, of the file `file`. The caller frees.
 * Errors: ERR_CONFIG with the place, ERR_RESOURCE.
 */
struct conf_positions *conf_positions_scan(const char *file, struct bytes text, struct err *e);

/* The nodes in the order of the file, *n of them, at least the document. Valid until conf_positions_free. */
const struct conf_node *conf_positions_nodes(const struct conf_positions *p, size_t *n);

/* The node of a path, or NULL. */
const struct conf_node *conf_positions_find(const struct conf_positions *p, const char *path);

/* The same, if something stands there: a key without a value means its default, as does one that is left out. */
const struct conf_node *conf_positions_find_value(const struct conf_positions *p, const char *path);

/* The places of a node's key and value; they point into *p. */
struct conf_place conf_positions_of_key(const struct conf_positions *p, const struct conf_node *node);
struct conf_place conf_positions_of_value(const struct conf_positions *p, const struct conf_node *node);

/* NULL is fine. */
void conf_positions_free(struct conf_positions *p);
CLEANUP_FUNC(struct conf_positions *, conf_positions_free)
