/* The small answers: <Error> and those of multipart uploads. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "s3/xml.h"

/* One text that is wanted: where it stands and where it goes. */
struct field {
    const char *path;
    char *out;
    size_t size;
    bool cut; /* a longer text is cut; otherwise it is an error */
};

struct document {
    const char *root; /* name of the element expected */
    struct field *fields;
    size_t n_fields;
    char error_code[64]; /* of an <Error> that came in its place */
};

/* How many bytes of `text` fit below `max` without cutting a UTF-8 character; expat lets no broken ones pass. */
static size_t fitting(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len <= max)
        return len;
    for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
        ;
    return len;
}

static int take(struct field *f, const char *text, struct err *e)
{
    const size_t len = fitting(text, f->size - 1);

    if (text[len] && !f->cut)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "%s is longer than %zu bytes", f->path, f->size - 1);
    memcpy(f->out, text, len);
    f->out[len] = '\0';
    return 0;
}

/* The root ends the document: it must be the one that was expected. */
static int check_root(const struct document *d, const char *path, struct err *e)
{
    if (strchr(path, '/') || strcmp(path, d->root) == 0)
        return 0;
    if (d->error_code[0])
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<Error> %s in place of <%s>", d->error_code, d->root);
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%.64s> in place of <%s>", path, d->root);
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct document *d = ctx;

    if (strcmp(path, "Error/Code") == 0)
        (void)snprintf(d->error_code, sizeof(d->error_code), "%s", text);
    for (size_t i = 0; i < d->n_fields; i++)
        if (strcmp(path, d->fields[i].path) == 0)
            return take(&d->fields[i], text, e);
    return check_root(d, path, e);
}

static int on_end(void *ctx, const char *path, struct err *e)
{
    return check_root(ctx, path, e);
}

static int read_document(struct document *d, struct bytes doc, struct err *e)
{
    const struct xml_visitor v = {.ctx = d, .on_text = on_text, .on_end = on_end};

    for (size_t i = 0; i < d->n_fields; i++)
        d->fields[i].out[0] = '\0';
    return xml_visit(doc, &v, e);
}

/* What a person will read in a log: no control characters, of ASCII or of Latin-1 (which UTF-8 writes as C2 80..9F and
 * terminals obey). */
static void make_plain(char *text)
{
    unsigned char *s = (unsigned char *)text;

    for (; *s; s++) {
        if (*s < 0x20 || *s == 0x7f)
            *s = ' ';
        else if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
            s[0] = s[1] = ' ';
    }
}

int xml_parse_error(struct bytes doc, struct xml_error *out, struct err *e)
{
    struct field fields[] = {
            {.path = "Error/Code", .out = out->code, .size = sizeof(out->code), .cut = true},
            {.path = "Error/Message", .out = out->message, .size = sizeof(out->message), .cut = true},
            {.path = "Error/Region", .out = out->region, .size = sizeof(out->region), .cut = true},
            {.path = "Error/Endpoint", .out = out->endpoint, .size = sizeof(out->endpoint), .cut = true},
    };
    struct document d = {.root = "Error", .fields = fields, .n_fields = ARRAY_LEN(fields)};

    if (read_document(&d, doc, e) < 0)
        return -1;
    if (!out->code[0])
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an <Error> without <Code>");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        make_plain(fields[i].out);
    return 0;
}

int xml_parse_upload_id(struct bytes doc, char out[XML_UPLOAD_ID_MAX], struct err *e)
{
    struct field field = {
            .path = "InitiateMultipartUploadResult/UploadId", .out = out, .size = XML_UPLOAD_ID_MAX, .cut = false};
    struct document d = {.root = "InitiateMultipartUploadResult", .fields = &field, .n_fields = 1};

    if (read_document(&d, doc, e) < 0)
        return -1;
    if (!out[0])
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%s> without <UploadId>", d.root);
    return 0;
}

int xml_parse_complete(struct bytes doc, char out[XML_ETAG_MAX], struct err *e)
{
    struct field field = {.path = "CompleteMultipartUploadResult/ETag", .out = out, .size = XML_ETAG_MAX, .cut = false};
    struct document d = {.root = "CompleteMultipartUploadResult", .fields = &field, .n_fields = 1};

    return read_document(&d, doc, e);
}

int xml_parse_versioning(struct bytes doc, char out[XML_VERSIONING_MAX], struct err *e)
{
    struct field field = {
            .path = "VersioningConfiguration/Status", .out = out, .size = XML_VERSIONING_MAX, .cut = true};
    struct document d = {.root = "VersioningConfiguration", .fields = &field, .n_fields = 1};

    return read_document(&d, doc, e);
}
