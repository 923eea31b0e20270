#include "conf/raw.h"

#include <assert.h>
#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/place.h"
#include "conf/schema.h"

enum { SECTIONS_MAX = 24, FIELDS_MAX = 128, NAME_LEN_MAX = 32, PATH_LEN_MAX = 96 };

/* One array of fields for each section, made once a load. */
struct conf_raw {
    cyaml_schema_field_t fields[SECTIONS_MAX][FIELDS_MAX + 1]; /* each ends with a key that is NULL */
    char names[SECTIONS_MAX][NAME_LEN_MAX];
    const struct conf_positions *positions; /* while it loads */
    size_t n_sections;
    cyaml_schema_value_t top;
    struct conf_raw_value *values; /* libcyaml's: one for each row of the schema */
};

/* libcyaml's allocator; our own, so that tests can make it fail. */
static void *allocate(void *ctx, void *p, size_t size)
{
    (void)ctx;
    if (size > 0)
        return realloc(p, size);
    free(p);
    return NULL;
}

static const cyaml_config_t config = {.mem_fn = allocate, .flags = CYAML_CFG_NO_ALIAS};

static const cyaml_schema_value_t text_value = {
        CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

/* A key of the row whose value is at `offset` of its section's part of the values. */
static cyaml_schema_field_t field_of_key(const struct conf_schema_key *key, const char *name, size_t offset)
{
    cyaml_schema_field_t f = {.key = name, .value = text_value};

    f.data_offset = (uint32_t)(offset + offsetof(struct conf_raw_value, text));
    if (conf_schema_is_list(key->kind)) {
        f.value = (cyaml_schema_value_t){
                CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER, char *, &text_value, 0, CYAML_UNLIMITED)};
        f.data_offset = (uint32_t)(offset + offsetof(struct conf_raw_value, items));
        f.count_offset = (uint32_t)(offset + offsetof(struct conf_raw_value, n_items));
        f.count_size = sizeof(uint32_t);
    }
    f.value.flags |= CYAML_FLAG_OPTIONAL; /* what is mandatory was checked with its place */
    return f;
}

/* What stands there has no value: libcyaml would object to nothing where a list or a section should be. `path` is the
 * first `len` bytes. */
static bool is_empty(const struct conf_raw *raw, const char *path, size_t len)
{
    char whole[PATH_LEN_MAX];
    const struct conf_node *node;

    (void)snprintf(whole, sizeof(whole), "%.*s", (int)len, path);
    node = conf_positions_find(raw->positions, whole);
    return node && node->empty;
}

static cyaml_schema_field_t field_to_ignore(const char *name)
{
    return (cyaml_schema_field_t){.key = name, .value = {.type = CYAML_IGNORE, .flags = CYAML_FLAG_OPTIONAL}};
}

/* How many rows from `first` on lie in the section that is the first `len` bytes of their keys. */
static size_t rows_of(const struct conf_schema_key *keys, size_t first, size_t n, size_t len)
{
    size_t i = first;

    while (i < n && strncmp(keys[i].key, keys[first].key, len) == 0 && keys[i].key[len] == '.')
        i++;
    return i - first;
}

/*
 * The fields of one section: rows `first` to `end`, whose keys have `prefix` bytes before the part that is looked at.
 * The rows of a section stand together, so its values are a part of the array of its parent's: no memory of its own.
 */
static const cyaml_schema_field_t *build(struct conf_raw *raw, size_t first, size_t end, size_t prefix)
{
    size_t n_keys, n = 0;
    const struct conf_schema_key *keys = conf_schema_keys(&n_keys);
    cyaml_schema_field_t *fields = raw->fields[raw->n_sections++];

    assert(raw->n_sections < SECTIONS_MAX && end - first <= FIELDS_MAX);
    for (size_t i = first, rows; i < end; i += rows) {
        const char *name = keys[i].key + prefix;
        size_t len = strcspn(name, "."), offset = (i - first) * sizeof(struct conf_raw_value);

        rows = 1;
        if (name[len] == '\0') {
            fields[n++] = is_empty(raw, keys[i].key, prefix + len) ? field_to_ignore(name)
                                                                   : field_of_key(&keys[i], name, offset);
        } else {
            char *copy = raw->names[raw->n_sections];
            cyaml_schema_field_t *f = &fields[n++];

            rows = rows_of(keys, i, end, prefix + len);
            (void)snprintf(copy, NAME_LEN_MAX, "%.*s", (int)len, name);
            *f = (cyaml_schema_field_t){.key = copy, .data_offset = (uint32_t)offset};
            f->value.type = CYAML_MAPPING;
            f->value.flags = CYAML_FLAG_OPTIONAL;
            f->value.data_size = (uint32_t)(rows * sizeof(struct conf_raw_value));
            f->value.mapping.fields = build(raw, i, i + rows, prefix + len + 1);
            if (is_empty(raw, keys[i].key, prefix + len))
                *f = field_to_ignore(copy);
        }
    }
    return fields;
}

struct conf_raw *conf_raw_load(
        const char *file, struct bytes text, const struct conf_positions *positions, struct err *e)
{
    _cleanup_(cleanup_conf_raw_free) struct conf_raw *raw = calloc(1, sizeof(*raw));
    cyaml_err_t result = CYAML_ERR_OOM;
    size_t n;

    (void)conf_schema_keys(&n);
    if (raw) {
        raw->positions = positions;
        raw->top = (cyaml_schema_value_t){.type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER};
        raw->top.data_size = (uint32_t)(n * sizeof(struct conf_raw_value));
        raw->top.mapping.fields = build(raw, 0, n, 0);
        result = cyaml_load_data(text.data, text.len, &config, &raw->top, (cyaml_data_t **)&raw->values, NULL);
    }
    if (result == CYAML_OK && raw->values)
        return TAKE_PTR(raw);
    if (result == CYAML_ERR_OOM)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for the configuration");
    else
        conf_place_error(e, &(struct conf_place){.file = file, .line = 1, .column = 1}, "cannot be loaded: %s",
                cyaml_strerror(result));
    return NULL;
}

const struct conf_raw_value *conf_raw_value(const struct conf_raw *raw, size_t i)
{
    return &raw->values[i];
}

void conf_raw_free(struct conf_raw *raw)
{
    if (!raw)
        return;
    if (raw->values)
        cyaml_free(&config, &raw->top, raw->values, 0);
    free(raw);
}
