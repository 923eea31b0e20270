#include "text.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

size_t text_char_len(const char *text)
{
    static const struct {
        unsigned char first, last, second_min, second_max, len;
    } rows[] = {
            {0x01, 0x7f, 0, 0, 1},
            {0xc2, 0xdf, 0x80, 0xbf, 2},
            {0xe0, 0xe0, 0xa0, 0xbf, 3},
            {0xe1, 0xec, 0x80, 0xbf, 3},
            {0xed, 0xed, 0x80, 0x9f, 3}, /* no surrogates */
            {0xee, 0xef, 0x80, 0xbf, 3},
            {0xf0, 0xf0, 0x90, 0xbf, 4},
            {0xf1, 0xf3, 0x80, 0xbf, 4},
            {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *s = (const unsigned char *)text;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (*s < rows[i].first || *s > rows[i].last)
            continue;
        if (rows[i].len > 1 && (s[1] < rows[i].second_min || s[1] > rows[i].second_max))
            return 0;
        for (size_t j = 2; j < rows[i].len; j++)
            if (s[j] < 0x80 || s[j] > 0xbf)
                return 0;
        return rows[i].len;
    }
    return 0;
}

static bool is_control(const char *s, size_t len)
{
    if (len == 1)
        return (unsigned char)*s < 0x20 || *s == 0x7f;
    return len == 2 && memcmp(s, "\xc2\x80", 2) >= 0 && memcmp(s, "\xc2\x9f", 2) <= 0;
}

void text_clean(char *s)
{
    for (size_t len; *s; s += len ? len : 1) {
        len = text_char_len(s);
        if (len == 0)
            *s = '?';
        else if (is_control(s, len))
            (void)memset(s, '?', len);
    }
}

/* How many values a field has, and where the first is (protobuf-c.h, struct ProtobufCFieldDescriptor). */
static void **values_of(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t *n)
{
    void *at = (char *)m + f->offset, *quantifier = (char *)m + f->quantifier_offset;

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        *n = *(size_t *)quantifier;
        return *(void ***)at;
    }
    *n = !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || *(uint32_t *)quantifier == f->id;
    return at;
}

void text_clean_message(ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        void **values;
        size_t n;

        if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        values = values_of(m, f, &n);
        for (size_t j = 0; j < n && values[j]; j++)
            if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                text_clean_message(values[j]);
            else if (*(char *)values[j]) /* the empty one is a constant */
                text_clean(values[j]);
    }
}
