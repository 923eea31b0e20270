#include "s3/xml_list.h"

#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "s3/parts.h"

struct page_reader;

/* What one kind of listing looks like. `item` is the path of one item, `delete_marker` of the other item
 * that a listing of versions has, or NULL. */
struct page_kind {
    const char *root, *item, *delete_marker;
    int (*show)(struct page_reader *r, struct err *e);
};

/* A page while it is read. The fields of an item are gathered until it ends. */
struct page_reader {
    const struct page_kind *kind;
    const struct xml_items *items;
    struct xml_page *page;
    bool url_encoded, showing;
    char error_code[64];

    char key[XML_KEY_MAX + 1];
    char upload_id[XML_UPLOAD_ID_MAX];
    char version_id[XML_VERSION_ID_MAX];
    char etag[S3_ETAG_MAX];
    uint64_t size;
    int64_t instant;
    bool is_latest, is_delete_marker;
    bool has_key, has_size, has_instant, has_upload_id, has_latest;
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

static int parse_bool(const char *text, bool *out, struct err *e)
{
    *out = is(text, "true");
    if (*out || is(text, "false"))
        return 0;
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "\"%.40s\" is neither true nor false", text);
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
    if (is(name, "VersionId"))
        return copy(r->version_id, sizeof(r->version_id), text, e);
    if (is(name, "ETag"))
        return copy(r->etag, sizeof(r->etag), text, e);
    if (is(name, "IsLatest")) {
        r->has_latest = true;
        return parse_bool(text, &r->is_latest, e);
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
    else if (is(name, "NextContinuationToken") || is(name, "NextUploadIdMarker") || is(name, "NextVersionIdMarker"))
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
    if (strchr(path, '/') || is(path, r->kind->root))
        return 0;
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%.64s>%s%s in place of <%s>", path,
            r->error_code[0] ? " " : "", r->error_code, r->kind->root);
}

static int show_object(struct page_reader *r, struct err *e)
{
    const struct s3_object o = {.key = r->key, .etag = r->etag, .size = r->size, .last_modified = r->instant};

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

/* An id that is empty would make a request for this version one for the current version. */
static int show_version(struct page_reader *r, struct err *e)
{
    const struct s3_version v = {
            .key = r->key,
            .version_id = r->version_id,
            .is_latest = r->is_latest,
            .is_delete_marker = r->is_delete_marker,
            .last_modified = r->instant,
            .size = r->is_delete_marker ? 0 : r->size,
    };

    if (!r->has_key || !r->version_id[0] || !r->has_latest || !r->has_instant || (!r->has_size && !r->is_delete_marker))
        return err_set(
                e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "a version listed without name, id, IsLatest, time or size");
    return r->items->on_version(r->items->ctx, &v, e);
}

static bool is_item(const struct page_reader *r, const char *path)
{
    return is(path, r->kind->item) || (r->kind->delete_marker && is(path, r->kind->delete_marker));
}

static int end_item(struct page_reader *r, const char *path, struct err *e)
{
    int result = 0;

    r->is_delete_marker = !is(path, r->kind->item);
    if (r->showing)
        result = r->kind->show(r, e);
    r->has_key = r->has_size = r->has_instant = r->has_upload_id = r->has_latest = false;
    r->version_id[0] = r->etag[0] = '\0';
    return result;
}

/* The name of an item's field, or NULL. */
static const char *below_item(const struct page_reader *r, const char *path)
{
    const char *name = below(path, r->kind->item);

    return name || !r->kind->delete_marker ? name : below(path, r->kind->delete_marker);
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct page_reader *r = ctx;
    const char *name;

    if (is(path, "Error/Code"))
        (void)snprintf(r->error_code, sizeof(r->error_code), "%s", text);
    /* An item without anything in it. */
    if (is_item(r, path))
        return end_item(r, path, e);
    name = below_item(r, path);
    if (name)
        return r->showing ? item_field(r, name, text, e) : 0;
    name = below(path, r->kind->root);
    if (name)
        return r->showing ? 0 : page_field(r, name, text, e);
    return check_root(r, path, e);
}

static int on_end(void *ctx, const char *path, struct err *e)
{
    struct page_reader *r = ctx;

    return is_item(r, path) ? end_item(r, path, e) : check_root(r, path, e);
}

static int read_page(const struct page_kind *kind, struct bytes doc, const struct xml_items *items,
        struct xml_page *page, struct err *e)
{
    struct page_reader r = {.kind = kind, .items = items, .page = page};
    const struct xml_visitor v = {.ctx = &r, .on_text = on_text, .on_end = on_end};

    page->truncated = false;
    page->marker[0] = page->key_marker[0] = '\0';
    if (xml_visit(doc, &v, e) < 0)
        return -1;
    if (r.url_encoded && xml_url_decode(page->key_marker, e) < 0)
        return -1;
    r.showing = true;
    return xml_visit(doc, &v, e);
}

int xml_page_objects(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e)
{
    static const struct page_kind objects = {
            .root = "ListBucketResult", .item = "ListBucketResult/Contents", .show = show_object};

    return read_page(&objects, doc, items, page, e);
}

int xml_page_unfinished(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e)
{
    static const struct page_kind uploads = {
            .root = "ListMultipartUploadsResult", .item = "ListMultipartUploadsResult/Upload", .show = show_unfinished};

    return read_page(&uploads, doc, items, page, e);
}

int xml_page_versions(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e)
{
    static const struct page_kind versions = {.root = "ListVersionsResult",
            .item = "ListVersionsResult/Version",
            .delete_marker = "ListVersionsResult/DeleteMarker",
            .show = show_version};

    return read_page(&versions, doc, items, page, e);
}

/* ---- parts ---- */

struct parts_reader {
    struct s3_parts_page *page;
    bool is_truncated;
};

static int on_part_text(void *ctx, const char *path, const char *text, struct err *e)
{
    static const char root[] = "ListPartsResult";
    struct parts_reader *r = ctx;
    const bool is_in_root = strncmp(path, root, strlen(root)) == 0;
    const char *field = is_in_root ? path + strlen(root) : "";
    int64_t instant;
    uint64_t number = 0;

    if (!is_in_root || (*field && *field != '/'))
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "<%.64s> in place of <%s>", path, root);
    if (strcmp(field, "/IsTruncated") == 0) {
        r->is_truncated = strcmp(text, "true") == 0;
    } else if (strcmp(field, "/NextPartNumberMarker") == 0) {
        if (*text && parse_size(text, &number, e) < 0) /* behind the last page it may be empty */
            return -1;
        if (number > PARTS_MAX)
            return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "parts with numbers greater than %d", PARTS_MAX);
        r->page->next = (unsigned)number;
    } else if (strcmp(field, "/Part/LastModified") == 0) {
        if (xml_instant(text, &instant, e) < 0)
            return -1;
        r->page->newest = instant > r->page->newest ? instant : r->page->newest;
    }
    return 0;
}

int xml_parse_parts(struct bytes doc, struct s3_parts_page *out, struct err *e)
{
    struct parts_reader r = {.page = out};
    const struct xml_visitor v = {.ctx = &r, .on_text = on_part_text};

    *out = (struct s3_parts_page){.next = 0};
    if (xml_visit(doc, &v, e) < 0)
        return -1;
    if (r.is_truncated && out->next == 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "more parts are to follow and it is not said from where");
    if (!r.is_truncated)
        out->next = 0; /* some say it all the same */
    return 0;
}
