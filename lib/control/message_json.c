#include "control/message_json.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "control.pb-c.h"

enum how {
    AS_IT_IS,
    HIDDEN,        /* it is for people alone */
    INLINE,        /* the fields of that message stand among those of the one around it; none if it is not there */
    IF,            /* left out unless `other` is set, a bool or an instant of the same message */
    NULL_UNLESS,   /* null unless it is */
    NULL_FOR_EVER, /* null for the instant that never comes */
    OR,            /* `other` where it is empty */
};

static const struct exception {
    const ProtobufCMessageDescriptor *message;
    const char *field;
    enum how how;
    const char *other;
} exceptions[] = {
        {&control__entry__descriptor, "verified_good", NULL_UNLESS, "verified"},
        {&control__entry__descriptor, "hashkv", NULL_UNLESS, "has_hashkv"},
        {&control__entry__descriptor, "has_hashkv", HIDDEN, NULL},
        {&control__entry__descriptor, "keys", NULL_UNLESS, "has_keys"},
        {&control__entry__descriptor, "has_keys", HIDDEN, NULL},
        {&control__backup_result__descriptor, "hashkv", NULL_UNLESS, "has_hashkv"},
        {&control__backup_result__descriptor, "has_hashkv", HIDDEN, NULL},
        {&control__backup_result__descriptor, "keys", NULL_UNLESS, "has_keys"},
        {&control__backup_result__descriptor, "has_keys", HIDDEN, NULL},
        {&control__verdict__descriptor, "drilled", HIDDEN, NULL},
        {&control__verdict__descriptor, "revision", IF, "drilled"},
        {&control__verdict__descriptor, "keys", IF, "counts_keys"},
        {&control__verdict__descriptor, "entries", IF, "counts_entries"},
        {&control__verdict__descriptor, "counts_keys", HIDDEN, NULL},
        {&control__verdict__descriptor, "counts_entries", HIDDEN, NULL},
        {&control__verdict__descriptor, "contents", IF, "drilled"},
        {&control__verdict__descriptor, "contents_why", IF, "drilled"},
        {&control__verdict__descriptor, "hashkv", IF, "has_hashkv"},
        {&control__verdict__descriptor, "has_hashkv", HIDDEN, NULL},
        {&control__unrotated__descriptor, "is_old_version", HIDDEN, NULL},
        {&control__rotate_result__descriptor, "locked_until", NULL_FOR_EVER, NULL},
        {&control__running__descriptor, "progress", INLINE, NULL},
        {&control__progress__descriptor, "elapsed_ms", HIDDEN, NULL}, /* of what runs, `since` says it */
        {&control__progress__descriptor, "unit", OR, "bytes"},
};

static const struct exception *exception_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    static const struct exception none = {.how = AS_IT_IS};

    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (exceptions[i].message == m->descriptor && strcmp(exceptions[i].field, f->name) == 0)
            return &exceptions[i];
    return &none;
}

/* Where a field's value is (protobuf-c.h, struct ProtobufCFieldDescriptor). */
static const void *value_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (const char *)m + f->offset;
}

static bool is_set(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

    if (!f)
        return false;
    return f->type == PROTOBUF_C_TYPE_BOOL ? *(const protobuf_c_boolean *)value_of(m, f)
                                           : *(const int64_t *)value_of(m, f) != 0;
}

static void write_null(FILE *out, bool *first, const char *name)
{
    json_name(out, first, name);
    (void)fputs("null", out);
}

static void write_message(FILE *out, bool *first, const char *name, const ProtobufCMessage *m)
{
    json_name(out, first, name);
    if (m)
        message_json_write(out, m);
    else
        (void)fputs("null", out);
}

static void write_value(FILE *out, bool *first, const ProtobufCFieldDescriptor *f, const void *at, const char *instead)
{
    const char *text;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        text = *(char *const *)at;
        json_text(out, first, f->name, instead && !text[0] ? instead : text);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        json_bool(out, first, f->name, *(const protobuf_c_boolean *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        json_number(out, first, f->name, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        json_number(out, first, f->name, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
        json_signed(out, first, f->name, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_SFIXED64:
        json_instant(out, first, f->name, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(out, first, f->name, *(ProtobufCMessage *const *)at);
        break;
    default: /* bytes, which are keys, and what the protocol does not have */
        write_null(out, first, f->name);
        break;
    }
}

/* Of texts: there are no others. */
static void write_repeated(FILE *out, bool *first, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    size_t n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
    char *const *texts = *(char **const *)value_of(m, f);

    json_name(out, first, f->name);
    (void)putc('[', out);
    for (size_t i = 0; f->type == PROTOBUF_C_TYPE_STRING && i < n; i++) {
        if (i)
            (void)putc(',', out);
        json_string(out, texts[i]);
    }
    (void)putc(']', out);
}

static void write_field(FILE *out, bool *first, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const struct exception *x = exception_of(m, f);
    const void *at = value_of(m, f);
    const ProtobufCMessage *within = NULL;

    if (x->how == HIDDEN || (x->how == IF && !is_set(m, x->other)))
        return;
    if (x->how == INLINE) {
        within = *(ProtobufCMessage *const *)at;
        if (within)
            message_json_fields(out, first, within);
    } else if ((x->how == NULL_UNLESS && !is_set(m, x->other)) ||
               (x->how == NULL_FOR_EVER && *(const int64_t *)at == INT64_MAX)) {
        write_null(out, first, f->name);
    } else if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        write_repeated(out, first, m, f);
    } else {
        write_value(out, first, f, at, x->how == OR ? x->other : NULL);
    }
}

void message_json_fields(FILE *out, bool *first, const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        write_field(out, first, m, &m->descriptor->fields[i]);
}

void message_json_write(FILE *out, const ProtobufCMessage *m)
{
    bool first = true;

    message_json_fields(out, &first, m);
    (void)fputs(first ? "{}" : "}", out);
}
