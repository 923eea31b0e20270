#include "s3/xml_list.h"

#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"

/* A page while it is read. `item` is the path of one item; its fields are gathered until it ends. */
struct page_reader {
    const char *root, *item;
    const struct xml_items *items;
    struct xml_page *page;
    bool url_encoded, showing;
    char error_code[64];

    char key[XML_KEY_MAX + 1];
    char upload_id[XML_UPLOAD_ID_MAX];
    uint64_t size;
    int64_t instant;
    bool has_key, has_size, has_instant, has_upload_id;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int xml_url_decode(char *text, struct err *e)
{
    const char *in = text;
    char *out = text;

    for (; *in; in++) {
        if (*in != '%') {
            *out++ = (char)(*in == '+' ? ' ' : *in);
            continue;
        }
        const int high = hex_digit(in[1]), low = high < 0 ? -1 : hex_digit(in[2]);
        if (low < 0 || high * 16 + low == 0)
            return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "a name with a broken %%-escape");
        *out++ = (char)(high * 16 + low);
        in += 2;
    }
    *out = '\0';
    return 0;
}

int xml_instant(const char *text, int64_t *instant, struct err *e)
{
    enum { WITHOUT_ZONE = TIMESTAMP_TEXT_LEN - 1 };
    const size_t len = strlen(text);
    char plain[WITHOUT_ZONE + sizeof("+00:00")];
    struct err ignored = ERR_INIT;
    const char *zone;

    if (len > WITHOUT_ZONE) {
        zone = text + WITHOUT_ZONE;
        if (*zone == '.')
            zone += 1 + strspn(zone + 1, "0123456789");
        (void)snprintf(plain, sizeof(plain), "%.*s%s", WITHOUT_ZONE, text, zone);
        if (strlen(zone) < sizeof(plain) - WITHOUT_ZONE &&
                timestamp_parse(plain, strlen(plain), instant, &ignored) == 0)
            return 0;
    }
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "\"%.40s\" is no time", text);
}

static int parse_size(const char *text, uint64_t *out, struct err *e)
{
    uint64_t n = 0;

    for (const char *s = text; *s; s++) {
        const unsigned digit = (unsigned)(*s - '0');

        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "\"%.40s\" is no size", text);
        n = n * 10 + digit;
    }
    if (!*text)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an empty size");
    *out = n;
    return 0;
}

static int copy(char *out, size_t size, const char *text, struct err *e)
{
    const size_t len = strlen(text);

    if (len >= size)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "a name or a marker of %zu bytes", len);
    memcpy(out, text, len + 1);
    return 0;
}

static int copy_name(const struct page_reader *r, char *out, size_t size, const char *text, struct err *e)
{
    char decoded[XML_TEXT_MAX + 1];

    (void)snprintf(decoded, sizeof(decoded), "%s", text);
    if (r->url_encoded && xml_url_decode(decoded, e) < 0)
        return -1;
    return copy(out, size, decoded, e);
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static int item_field(struct page_reader *r, const char *name, const char *text, struct err *e)
{
    if (is(name, "Key")) {
        r->has_key = true;
        return copy_name(r, r->key, sizeof(r->key), text, e);
    }
    if (is(name, "UploadId")) {
        r->has_upload_id = true;
        return copy(r->upload_id, sizeof(r->upload_id), text, e);
    }
    if (is(name, "Size")) {
        r->has_size = true;
        return parse_size(text, &r->size, e);
    }
    if (is(name, "LastModified") || is(name, "Initiated")) {
        r->has_instant = true;
        return xml_instant(text, &r->instant, e);
    }
    return 0;
}

static int page_field(struct page_reader *r, const char *name, const char *text, struct err *e)
{
    struct xml_page *p = r->page;

    if (is(name, "IsTruncated"))
        p->truncated = is(text, "true");
    else if (is(name, "EncodingType"))
        r->url_encoded = is(text, "url");
    else if (is(name, "NextContinuationToken") || is(name, "NextUploadIdMarker"))
        return copy(p->marker, sizeof(p->marker), text, e);
    else if (is(name, "NextKeyMarker"))
        return copy(p->key_marker, sizeof(p->key_marker), text, e);
    return 0;
}

/* The rest of `path` below `parent`, or NULL. */
static const char *below(const char *path, const char *parent)
{
    const size_t len = strlen(parent);

    return strncmp(path, parent, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static int check_root(struct page_reader *r, const char *path, struct err *e)
{
    if (strchr(path, '/') || is(path, r->root))
        return 0;
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%.64s>%s%s in place of <%s>", path,
            r->error_code[0] ? " " : "", r->error_code, r->root);
}

static int show_object(struct page_reader *r, struct err *e)
{
    const struct s3_object o = {.key = r->key, .size = r->size, .last_modified = r->instant};

    if (!r->has_key || !r->has_size || !r->has_instant)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an object listed without name, size or time");
    return r->items->on_object(r->items->ctx, &o, e);
}

static int show_unfinished(struct page_reader *r, struct err *e)
{
    const struct s3_unfinished u = {.key = r->key, .upload_id = r->upload_id, .initiated = r->instant};

    if (!r->has_key || !r->has_upload_id || !r->has_instant)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an upload listed without name, id or time");
    return r->items->on_unfinished(r->items->ctx, &u, e);
}

static int end_item(struct page_reader *r, struct err *e)
{
    int result = 0;

    if (r->showing)
        result = r->items->on_object ? show_object(r, e) : show_unfinished(r, e);
    r->has_key = r->has_size = r->has_instant = r->has_upload_id = false;
    return result;
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct page_reader *r = ctx;
    const char *name;

    if (is(path, "Error/Code"))
        (void)snprintf(r->error_code, sizeof(r->error_code), "%s", text);
    /* An item without anything in it. */
    if (is(path, r->item))
        return end_item(r, e);
    name = below(path, r->item);
    if (name)
        return r->showing ? item_field(r, name, text, e) : 0;
    name = below(path, r->root);
    if (name)
        return r->showing ? 0 : page_field(r, name, text, e);
    return check_root(r, path, e);
}

static int on_end(void *ctx, const char *path, struct err *e)
{
    struct page_reader *r = ctx;

    return is(path, r->item) ? end_item(r, e) : check_root(r, path, e);
}

static int read_page(struct page_reader *r, struct bytes doc, struct err *e)
{
    const struct xml_visitor v = {.ctx = r, .on_text = on_text, .on_end = on_end};

    r->page->truncated = false;
    r->page->marker[0] = r->page->key_marker[0] = '\0';
    if (xml_visit(doc, &v, e) < 0)
        return -1;
    if (r->url_encoded && xml_url_decode(r->page->key_marker, e) < 0)
        return -1;
    r->showing = true;
    return xml_visit(doc, &v, e);
}

int xml_page_objects(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e)
{
    const struct xml_items objects = {.ctx = items->ctx, .on_object = items->on_object};
    struct page_reader r = {
            .root = "ListBucketResult", .item = "ListBucketResult/Contents", .items = &objects, .page = page};

    return read_page(&r, doc, e);
}

int xml_page_unfinished(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e)
{
    const struct xml_items uploads = {.ctx = items->ctx, .on_unfinished = items->on_unfinished};
    struct page_reader r = {.root = "ListMultipartUploadsResult",
            .item = "ListMultipartUploadsResult/Upload",
            .items = &uploads,
            .page = page};

    return read_page(&r, doc, e);
}
