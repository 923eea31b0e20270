#include "ctl/text.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

void text_put(FILE *out, const char *s)
{
    for (size_t len; *s; s += len ? len : 1)
        if ((len = utf8_shown_len(s)) == 0)
            (void)fputc('?', out);
        else
            (void)fwrite(s, 1, len, out);
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
                utf8_clean(values[j]);
    }
}
