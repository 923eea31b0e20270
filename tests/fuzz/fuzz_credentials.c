/*
 * A file with a name and a password: what our small reader takes, libyaml reads alike, and nothing that it takes has a
 * character that could break a line or a header. The other way round there is no promise: the reader may refuse YAML.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "conf/flat.h"

/* The next event, which must be of this type. */
static void expect(yaml_parser_t *parser, yaml_event_t *event, yaml_event_type_t type)
{
    FUZZ_CHECK(yaml_parser_parse(parser, event));
    FUZZ_CHECK(event->type == type);
}

static void skip(yaml_parser_t *parser, yaml_event_type_t type)
{
    yaml_event_t event;

    expect(parser, &event, type);
    yaml_event_delete(&event);
}

/* What says that there is no value, which only a key that may be left out has. */
static bool is_nothing(const yaml_event_t *value)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (value->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return value->data.scalar.length == 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp((const char *)value->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static void compare_value(const struct conf_flat_entry *entry, const yaml_event_t *value)
{
    if (!entry->value.data) {
        FUZZ_CHECK(!entry->mandatory && is_nothing(value));
        return;
    }
    FUZZ_CHECK(entry->value.len == value->data.scalar.length);
    FUZZ_CHECK(memcmp(entry->value.data, value->data.scalar.value, entry->value.len) == 0);
    FUZZ_CHECK(entry->line == value->start_mark.line + 1);
}

/* One pair of libyaml's is one of ours. Returns false at the end of the mapping. */
static bool compare_pair(yaml_parser_t *parser, const struct conf_flat_entry *entries, size_t n)
{
    yaml_event_t key, value;
    const struct conf_flat_entry *entry = NULL;

    FUZZ_CHECK(yaml_parser_parse(parser, &key));
    if (key.type == YAML_MAPPING_END_EVENT) {
        yaml_event_delete(&key);
        return false;
    }
    FUZZ_CHECK(key.type == YAML_SCALAR_EVENT);
    expect(parser, &value, YAML_SCALAR_EVENT);
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].key, (const char *)key.data.scalar.value) == 0)
            entry = &entries[i];
    FUZZ_CHECK(entry && entry->line);
    compare_value(entry, &value);
    yaml_event_delete(&key);
    yaml_event_delete(&value);
    return true;
}

static void compare(const uint8_t *data, size_t len, const struct conf_flat_entry *entries, size_t n)
{
    yaml_parser_t parser;
    size_t pairs = 0, ours = 0;

    FUZZ_CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, data, len);
    skip(&parser, YAML_STREAM_START_EVENT);
    skip(&parser, YAML_DOCUMENT_START_EVENT);
    skip(&parser, YAML_MAPPING_START_EVENT);
    while (compare_pair(&parser, entries, n))
        pairs++;
    skip(&parser, YAML_DOCUMENT_END_EVENT);
    skip(&parser, YAML_STREAM_END_EVENT);
    yaml_parser_delete(&parser);
    for (size_t i = 0; i < n; i++)
        ours += entries[i].line != 0;
    FUZZ_CHECK(pairs == ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct conf_flat_entry entries[] = {
            {.key = "username", .mandatory = true}, {.key = "password", .mandatory = true}, {.key = "t"}};
    struct err e = ERR_INIT;
    _cleanup_free_ uint8_t *copy = malloc(len ? len : 1);

    FUZZ_CHECK(copy);
    if (len)
        memcpy(copy, data, len);
    if (conf_flat_parse("f.yml", entries, ARRAY_LEN(entries), copy, len, &e) == 0) {
        for (size_t i = 0; i < ARRAY_LEN(entries); i++)
            for (size_t j = 0; j < entries[i].value.len; j++)
                FUZZ_CHECK(entries[i].value.data[j] >= ' ' && entries[i].value.data[j] != 0x7f);
        compare(data, len, entries, ARRAY_LEN(entries));
    } else {
        FUZZ_CHECK(e.kind == ERR_CONFIG && strncmp(e.text, "f.yml:", 6) == 0);
    }
    return 0;
}
