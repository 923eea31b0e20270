#include "conf/positions.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "conf/text.h"

enum { DEPTH_MAX = 8, NODES_MAX = 1000, KEY_LEN_MAX = 128 };

struct conf_positions {
    char *file;
    struct conf_node *nodes; /* NODES_MAX of them */
    size_t n;
};

struct scan {
    struct conf_positions *out;
    struct bytes text;
    struct conf_mark end; /* of the text */
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    struct err *e;
};

/* Walks over `text` to the byte at `m`, if it gets there. Returns where it stopped, in *byte what is there, 0 for
 * nothing. Columns are characters: the continuation bytes of UTF-8 have none. */
static struct conf_mark walk(struct bytes text, struct conf_mark m, uint8_t *byte)
{
    struct conf_mark at = {.line = 1, .column = 1};

    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] & 0xc0) == 0x80)
            continue;
        *byte = text.data[i];
        if (at.line == m.line && at.column == m.column)
            return at;
        at.line += *byte == '\n';
        at.column = *byte == '\n' ? 1 : at.column + 1;
    }
    *byte = 0;
    return at;
}

/* libyaml puts the end of a text into a line of its own even if the last line has no end; an editor does not. */
static struct conf_mark mark_of(const struct scan *s, yaml_mark_t m)
{
    if (m.line >= s->end.line)
        return s->end;
    return (struct conf_mark){.line = (unsigned)m.line + 1, .column = (unsigned)m.column + 1};
}

static struct conf_place place_at(const struct conf_positions *p, struct conf_mark m, const char *path)
{
    return (struct conf_place){.file = p->file, .line = m.line, .column = m.column, .key = path};
}

/* Refuses the current event. */
static int refuse(struct scan *s, const char *path, const char *what)
{
    struct conf_place at = place_at(s->out, mark_of(s, s->event.start_mark), path);

    return conf_place_error(s->e, &at, "%s", what);
}

static int out_of_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for the configuration");
}

/* libyaml stopped: in its words, but where a person would look. */
static int refuse_syntax(struct scan *s)
{
    const yaml_parser_t *p = &s->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    /* What is not closed, or no key, is wrong where it begins and not where the search for its end stopped. */
    bool begins_wrong = p->context && (strstr(problem, "end of stream") || strstr(problem, "expected ':'"));
    struct conf_mark m = mark_of(s, begins_wrong ? p->context_mark : p->problem_mark);
    struct conf_place at = place_at(s->out, m, NULL);
    uint8_t there = 0;

    if (p->error == YAML_MEMORY_ERROR)
        return out_of_memory(s->e);
    (void)walk(s->text, m, &there);
    if (there == '\t')
        return conf_place_error(s->e, &at, "a tab; YAML is indented with spaces alone");
    if (strstr(problem, "cannot start any token")) /* @daily, and what else cannot stand there */
        return conf_place_error(s->e, &at, "a value that begins with %c must be in quotes", there);
    if (p->context && strstr(p->context, "an alias")) { /* "* * * * *" */
        at = place_at(s->out, mark_of(s, p->context_mark), NULL);
        return conf_place_error(s->e, &at, "a value that begins with * must be in quotes");
    }
    return conf_place_error(
            s->e, &at, "not valid YAML: %s%s%s", problem, p->context ? " " : "", p->context ? p->context : "");
}

static int next_event(struct scan *s)
{
    yaml_event_delete(&s->event);
    return yaml_parser_parse(&s->parser, &s->event) ? 0 : refuse_syntax(s);
}

/* What YAML has and a configuration does not need. An alias can make a small file huge. */
static int refuse_extras(struct scan *s, const char *path)
{
    const yaml_event_t *v = &s->event;
    bool scalar = v->type == YAML_SCALAR_EVENT, map = v->type == YAML_MAPPING_START_EVENT;

    if (v->type == YAML_ALIAS_EVENT || (scalar       ? v->data.scalar.anchor
                                               : map ? v->data.mapping_start.anchor
                                                     : v->data.sequence_start.anchor))
        return refuse(s, path, "anchors and aliases are not supported; write the value out");
    if (scalar ? v->data.scalar.tag : map ? v->data.mapping_start.tag : v->data.sequence_start.tag)
        return refuse(s, path, "tags are not supported; put the value in quotes");
    if (scalar && !conf_text_is_one_line((struct bytes){v->data.scalar.value, v->data.scalar.length}))
        return refuse(s, path, "contains a line break, a tab or a control character");
    return 0;
}

/* Adds a node whose path is that of its parent with `separator` and `name` behind it. Returns its index or -1. */
static ssize_t add_node(struct scan *s, struct conf_node node, const char *separator, const char *name)
{
    struct conf_positions *out = s->out;
    const char *parent = out->n > 0 ? out->nodes[node.parent].path : "";
    size_t name_at = strlen(parent) + strlen(separator), size = name_at + strlen(name) + 1;

    if (out->n == NODES_MAX)
        return refuse(s, parent, "the file has too many keys and values");
    node.path = malloc(size);
    if (!node.path)
        return out_of_memory(s->e);
    (void)snprintf(node.path, size, "%s%s%s", parent, separator, name);
    node.name = node.path + name_at;
    out->nodes[out->n] = node;
    return (ssize_t)out->n++;
}

static bool is_empty_scalar(const yaml_event_t *v)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL"};
    const char *text = (const char *)v->data.scalar.value;

    if (v->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return v->data.scalar.length == 0;
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        if (strcmp(text, nothing[i]) == 0)
            return true;
    return false;
}

static int read_section(struct scan *s, size_t index, unsigned depth);
static int read_list(struct scan *s, size_t index, unsigned depth);

/* The current event begins the value of node `index`; it is the last one of it afterwards. */
static int read_value(struct scan *s, size_t index, unsigned depth)
{
    struct conf_node *node = &s->out->nodes[index];

    if (refuse_extras(s, node->path) < 0)
        return -1;
    if (depth > DEPTH_MAX)
        return refuse(s, node->path, "nested too deeply");
    node->value = mark_of(s, s->event.start_mark);
    if (s->event.type == YAML_MAPPING_START_EVENT)
        return read_section(s, index, depth);
    if (s->event.type == YAML_SEQUENCE_START_EVENT)
        return read_list(s, index, depth);
    node->kind = CONF_NODE_VALUE;
    node->empty = is_empty_scalar(&s->event);
    if (node->empty && s->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && s->event.data.scalar.length == 0 &&
            node->key.line != 0)
        node->value = node->key; /* nothing stands nowhere */
    return 0;
}

/* An earlier key of the same section with the same name, or NULL. */
static const struct conf_node *find_twin(const struct conf_positions *p, size_t index)
{
    const struct conf_node *node = &p->nodes[index];

    for (size_t i = 1; i < index; i++)
        if (p->nodes[i].parent == node->parent && strcmp(p->nodes[i].name, node->name) == 0)
            return &p->nodes[i];
    return NULL;
}

/* The current event is a key of section `parent`. Returns the index of its node or -1. */
static ssize_t read_key(struct scan *s, size_t parent)
{
    const char *section = s->out->nodes[parent].path;
    const struct conf_node *twin;
    struct conf_node node = {.parent = parent, .key = mark_of(s, s->event.start_mark)};
    ssize_t index;

    if (s->event.type != YAML_SCALAR_EVENT)
        return refuse(s, section, "a key must be a plain word");
    if (refuse_extras(s, section) < 0)
        return -1;
    if (s->event.data.scalar.length == 0)
        return refuse(s, section, "a value without a key");
    if (s->event.data.scalar.length > KEY_LEN_MAX) /* every path below would carry it along */
        return refuse(s, section, "unknown key");
    index = add_node(s, node, *section ? "." : "", (const char *)s->event.data.scalar.value);
    twin = index < 0 ? NULL : find_twin(s->out, (size_t)index);
    if (twin) {
        struct conf_place at = place_at(s->out, node.key, twin->path);

        return conf_place_error(s->e, &at, "is there a second time; the first is in line %u, column %u", twin->key.line,
                twin->key.column);
    }
    return index;
}

static int read_section(struct scan *s, size_t index, unsigned depth)
{
    s->out->nodes[index].kind = CONF_NODE_SECTION;
    s->out->nodes[index].empty = true;
    for (;;) {
        ssize_t child;

        if (next_event(s) < 0)
            return -1;
        if (s->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        s->out->nodes[index].empty = false;
        child = read_key(s, index);
        if (child < 0 || next_event(s) < 0 || read_value(s, (size_t)child, depth + 1) < 0)
            return -1;
    }
}

static int read_list(struct scan *s, size_t index, unsigned depth)
{
    s->out->nodes[index].kind = CONF_NODE_LIST;
    for (size_t i = 0;; i++) {
        struct conf_node item = {.parent = index};
        char name[24];
        ssize_t child;

        if (next_event(s) < 0)
            return -1;
        s->out->nodes[index].empty = i == 0;
        if (s->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        item.key = mark_of(s, s->event.start_mark);
        (void)snprintf(name, sizeof(name), "[%zu]", i);
        child = add_node(s, item, "", name);
        if (child < 0 || read_value(s, (size_t)child, depth + 1) < 0)
            return -1;
    }
}

/* The document itself becomes the first node; a file of comments alone has an empty one. */
static int read_document(struct scan *s)
{
    struct conf_node root = {.kind = CONF_NODE_SECTION, .empty = true, .key = {1, 1}, .value = {1, 1}};

    if (add_node(s, root, "", "") < 0 || next_event(s) < 0 || next_event(s) < 0)
        return -1;
    if (s->event.type == YAML_STREAM_END_EVENT)
        return 0;
    if (s->event.data.document_start.tag_directives.start != s->event.data.document_start.tag_directives.end)
        return refuse(s, NULL, "tags are not supported");
    if (next_event(s) < 0 || read_value(s, 0, 0) < 0 || next_event(s) < 0 || next_event(s) < 0)
        return -1;
    if (s->event.type != YAML_STREAM_END_EVENT)
        return refuse(s, NULL, "a second document; there can be only one in a file");
    return 0;
}

struct conf_positions *conf_positions_scan(const char *file, struct bytes text, struct err *e)
{
    _cleanup_(cleanup_conf_positions_free) struct conf_positions *p = calloc(1, sizeof(*p));
    struct scan s = {.out = p, .text = text, .e = e};
    uint8_t nothing;
    int result;

    if (p) {
        p->file = strdup(file);
        p->nodes = calloc(NODES_MAX, sizeof(*p->nodes));
    }
    if (!p || !p->file || !p->nodes || !yaml_parser_initialize(&s.parser)) {
        out_of_memory(e);
        return NULL;
    }
    s.end = walk(text, (struct conf_mark){.line = 0}, &nothing);
    yaml_parser_set_encoding(&s.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&s.parser, text.data, text.len);
    result = read_document(&s);
    yaml_event_delete(&s.event);
    yaml_parser_delete(&s.parser);
    return result < 0 ? NULL : TAKE_PTR(p);
}

const struct conf_node *conf_positions_nodes(const struct conf_positions *p, size_t *n)
{
    *n = p->n;
    return p->nodes;
}

const struct conf_node *conf_positions_find(const struct conf_positions *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->nodes[i].path, path) == 0)
            return &p->nodes[i];
    return NULL;
}

const struct conf_node *conf_positions_find_value(const struct conf_positions *p, const char *path)
{
    const struct conf_node *node = conf_positions_find(p, path);

    return node && !node->empty ? node : NULL;
}

struct conf_place conf_positions_of_key(const struct conf_positions *p, const struct conf_node *node)
{
    return place_at(p, node->key, node->path);
}

struct conf_place conf_positions_of_value(const struct conf_positions *p, const struct conf_node *node)
{
    return place_at(p, node->value, node->path);
}

void conf_positions_free(struct conf_positions *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        free(p->nodes[i].path);
    free(p->nodes);
    free(p->file);
    free(p);
}
