#include "conf/flat.h"

#include <stdio.h>
#include <string.h>

#include "conf/place.h"
#include "conf/text.h"
#include "conf/unquote.h"

struct reader {
    const char *file;
    uint8_t *p, *end;
    const uint8_t *line_start;
    unsigned line;
    struct conf_flat_entry *entries;
    size_t n;
    struct err *e;
};

/* A key or value as it stands there, without its quotes. */
struct word {
    uint8_t *start;
    size_t len;
    uint8_t quote;
};

static unsigned column_of(const struct reader *r, const uint8_t *p)
{
    unsigned column = 1;

    for (const uint8_t *q = r->line_start; q < p; q++)
        column += (*q & 0xc0) != 0x80;
    return column;
}

static int refuse_at(struct reader *r, const uint8_t *p, const char *key, const char *why)
{
    struct conf_place at = {.file = r->file, .line = r->line, .column = column_of(r, p), .key = key};

    return conf_place_error(r->e, &at, "%s", why);
}

static int refuse(struct reader *r, const char *why)
{
    return refuse_at(r, r->p, NULL, why);
}

static bool is_break(uint8_t c)
{
    return c == '\n' || c == '\r'; /* conf_text_check lets \r stand before \n alone */
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The byte `ahead` of the reader; the end of the text is the end of a line. */
static uint8_t peek(const struct reader *r, size_t ahead)
{
    return (size_t)(r->end - r->p) > ahead ? r->p[ahead] : '\n';
}

static bool ends_word(uint8_t c)
{
    return is_blank(c) || is_break(c);
}

static void skip_blanks(struct reader *r)
{
    while (is_blank(peek(r, 0)))
        r->p++;
}

static void next_line(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n')
        r->p++;
    if (r->p < r->end) {
        r->p++;
        r->line++;
        r->line_start = r->p;
    }
}

/* A `#` begins a comment only where a line or a blank is before it. */
static bool at_comment(const struct reader *r)
{
    return peek(r, 0) == '#' && (r->p == r->line_start || is_blank(r->p[-1]));
}

/* From behind a value to the next line: nothing else may be there but a comment. */
static int end_line(struct reader *r)
{
    skip_blanks(r);
    if (!is_break(peek(r, 0)) && !at_comment(r))
        return refuse(r, "there is something after the value; put all of it in quotes");
    next_line(r);
    return 0;
}

/* Finds the closing quote, in the same line. What the escapes are is looked at in the end. */
static int read_quoted(struct reader *r, struct word *w)
{
    const uint8_t *start = r->p;

    w->quote = *r->p++;
    w->start = r->p;
    for (;; r->p++) {
        if (is_break(peek(r, 0)) || (*r->p == '\\' && is_break(peek(r, 1))))
            return refuse_at(r, start, NULL, "the closing quote is missing in this line");
        if (*r->p == w->quote && !(w->quote == '\'' && peek(r, 1) == '\'')) /* '' is an escape, too */
            break;
        if ((*r->p == '\\' && w->quote == '"') || *r->p == w->quote)
            r->p++; /* what is escaped closes nothing */
    }
    w->len = (size_t)(r->p++ - w->start);
    return 0;
}

/* Up to `: `, ` #` or the end of the line. What could mean something else to YAML at its start is refused. */
static int read_plain(struct reader *r, struct word *w)
{
    uint8_t first = peek(r, 0);

    w->start = r->p;
    if (strchr(",[]{}#&*!|>'\"%@`", first) || (strchr("-?:", first) && ends_word(peek(r, 1))))
        return refuse(r, "begins with a sign that has another meaning in YAML; put it in quotes");
    for (; !is_break(peek(r, 0)) && !at_comment(r); r->p++) {
        if (*r->p == ':' && ends_word(peek(r, 1)))
            break;
        if (!is_blank(*r->p))
            w->len = (size_t)(r->p - w->start) + 1;
    }
    r->p = w->start + w->len;
    return 0;
}

static int read_word(struct reader *r, struct word *w)
{
    uint8_t first = peek(r, 0);

    *w = (struct word){.start = r->p};
    if (first == '"' || first == '\'')
        return read_quoted(r, w);
    return is_break(first) ? 0 : read_plain(r, w);
}

static bool word_is(const struct word *w, const char *text)
{
    return w->len == strlen(text) && memcmp(w->start, text, w->len) == 0;
}

static bool is_empty(const struct word *w)
{
    return w->len == 0 ||
           (!w->quote && (word_is(w, "~") || word_is(w, "null") || word_is(w, "Null") || word_is(w, "NULL")));
}

static int refuse_unknown(struct reader *r, const uint8_t *key)
{
    char why[128] = "a key that is none of";

    for (size_t i = 0; i < r->n; i++) {
        size_t used = strlen(why);

        (void)snprintf(why + used, sizeof(why) - used, "%s %s", i ? "," : "", r->entries[i].key);
    }
    return refuse_at(r, key, NULL, why);
}

/* The key at the reader, with its colon. */
static int read_key(struct reader *r, struct conf_flat_entry **entry)
{
    const uint8_t *start = r->p;
    struct word w;

    if (read_word(r, &w) < 0)
        return -1;
    skip_blanks(r);
    if (peek(r, 0) != ':')
        return refuse_at(r, start, NULL, "is not 'key: value'");
    *entry = NULL;
    for (size_t i = 0; i < r->n; i++)
        if (word_is(&w, r->entries[i].key))
            *entry = &r->entries[i];
    if (!*entry)
        return refuse_unknown(r, start);
    if ((*entry)->line)
        return refuse_at(r, start, (*entry)->key, "is there a second time");
    r->p++;
    return 0;
}

static int read_value(struct reader *r, struct conf_flat_entry *entry)
{
    const uint8_t *start = r->p;
    struct word w;

    if (read_word(r, &w) < 0)
        return -1;
    entry->line = r->line;
    entry->column = column_of(r, start);
    if (is_empty(&w))
        return entry->mandatory ? refuse_at(r, start, entry->key, "has no value") : 0;
    entry->value = (struct bytes){.data = w.start, .len = w.len};
    entry->quote = w.quote;
    return 0;
}

static int read_pair(struct reader *r)
{
    struct conf_flat_entry *entry;

    if (read_key(r, &entry) < 0)
        return -1;
    if (!ends_word(peek(r, 0)))
        return refuse(r, "a blank is missing behind the colon");
    skip_blanks(r);
    if (read_value(r, entry) < 0)
        return -1;
    skip_blanks(r);
    if (at_comment(r) && entry->secret && !entry->quote)
        return refuse_at(r, r->p, entry->key,
                "a # behind a blank begins a comment; put the value in quotes if it is a part of it, else the comment "
                "into "
                "a line of its own");
    return end_line(r);
}

/* Over blanks, line breaks and comments inside of braces. */
static void skip_space(struct reader *r)
{
    while (r->p < r->end && (ends_word(*r->p) || at_comment(r)))
        if (is_blank(*r->p))
            r->p++;
        else
            next_line(r);
}

/* The reader is at `{`; afterwards it is in the line after `}`. */
static int read_braces(struct reader *r)
{
    struct conf_flat_entry *entry;

    r->p++;
    for (skip_space(r); peek(r, 0) != '}'; skip_space(r)) {
        if (read_key(r, &entry) < 0)
            return -1;
        skip_space(r);
        if (peek(r, 0) != '"' && peek(r, 0) != '\'')
            return refuse_at(r, r->p, entry->key, "inside of braces a value must be in quotes");
        if (read_value(r, entry) < 0)
            return -1;
        skip_space(r);
        if (peek(r, 0) == ',')
            r->p++;
        else if (peek(r, 0) != '}')
            return refuse(r, "a ',' or '}' is missing");
    }
    r->p++;
    return end_line(r);
}

/* Over blank lines and comments; the reader is at the first word of a line then, or at the end. */
static int skip_lines(struct reader *r)
{
    while (r->p < r->end) {
        while (peek(r, 0) == ' ')
            r->p++;
        if (peek(r, 0) == '\t')
            return refuse(r, "a tab; YAML is indented with spaces alone");
        if (!is_break(peek(r, 0)) && !at_comment(r))
            return 0;
        next_line(r);
    }
    return 0;
}

static bool at_marker(const struct reader *r, const char *marker)
{
    return r->p == r->line_start && r->end - r->p >= 3 && memcmp(r->p, marker, 3) == 0 && ends_word(peek(r, 3));
}

static int read_lines(struct reader *r)
{
    unsigned indent = 0;

    while (r->p < r->end && !at_marker(r, "...")) {
        if (indent == 0)
            indent = column_of(r, r->p);
        if (column_of(r, r->p) != indent) /* YAML would add it to the value before */
            return refuse(r, "is not indented like the first key");
        if (read_pair(r) < 0 || skip_lines(r) < 0)
            return -1;
    }
    return 0;
}

static int read_document(struct reader *r)
{
    if (skip_lines(r) < 0)
        return -1;
    if (at_marker(r, "---")) {
        r->p += 3;
        if (end_line(r) < 0 || skip_lines(r) < 0)
            return -1;
    }
    if ((peek(r, 0) == '{' ? read_braces(r) : read_lines(r)) < 0 || skip_lines(r) < 0)
        return -1;
    if (at_marker(r, "...")) {
        r->p += 3;
        if (end_line(r) < 0 || skip_lines(r) < 0)
            return -1;
    }
    return r->p == r->end ? 0 : refuse(r, "there is something after the end");
}

static int finish(struct reader *r, uint8_t *text)
{
    const uint8_t *begin = text;

    for (size_t i = 0; i < r->n; i++) {
        struct conf_flat_entry *entry = &r->entries[i];
        struct conf_place at = {r->file, entry->line, entry->column, entry->key};

        if (!entry->value.data) {
            at.line = at.column = 1;
            if (entry->mandatory)
                return conf_place_error(r->e, &at, "is missing");
            continue;
        }
        if (conf_unquote(text + (entry->value.data - begin), &entry->value.len, entry->quote) < 0)
            return conf_place_error(r->e, &at, "has an escape that is none of \\\" \\\\ \\/ \\xNN \\uNNNN");
        if (!conf_text_is_one_line(entry->value))
            return conf_place_error(r->e, &at, "contains a tab or a control character");
    }
    return 0;
}

int conf_flat_parse(
        const char *file, struct conf_flat_entry *entries, size_t n, uint8_t *text, size_t len, struct err *e)
{
    size_t mark = len - conf_text_without_mark((struct bytes){text, len}).len;
    struct reader r = {.file = file,
            .p = text + mark,
            .end = text + len,
            .line_start = text + mark,
            .line = 1,
            .entries = entries,
            .n = n,
            .e = e};

    if (conf_text_check(file, (struct bytes){text, len}, e) < 0 || read_document(&r) < 0)
        return -1;
    return finish(&r, text);
}
