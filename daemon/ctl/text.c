#include "ctl/text.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static bool is_control(const char *s, size_t len)
{
    if (len == 1)
        return (unsigned char)*s < 0x20 || *s == 0x7f;
    return len == 2 && memcmp(s, "\xc2\x80", 2) >= 0 && memcmp(s, "\xc2\x9f", 2) <= 0;
}

void text_clean(char *s)
{
    for (size_t len; *s; s += len ? len : 1) {
        len = utf8_len(s);
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
