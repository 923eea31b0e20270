/*
 * S3's XML: any document is either refused with one line or yields texts that fit and are what they promise.
 */
#include "fuzz.h"

#include <string.h>

#include "s3/parts.h"
#include "s3/xml.h"
#include "s3/xml_list.h"

static void check_refusal(const struct err *e)
{
    FUZZ_CHECK(e->kind == ERR_PROTOCOL && e->text[0] && !strchr(e->text, '\n'));
}

/* One line, which a terminal shows and does not obey. */
static void check_plain(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size));
    for (; *text; text++)
        FUZZ_CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_small(struct bytes doc)
{
    struct xml_error error;
    char id[XML_UPLOAD_ID_MAX], etag[XML_ETAG_MAX];
    struct s3_parts_page parts;
    struct err e = ERR_INIT;

    if (xml_parse_error(doc, &error, &e) == 0) {
        FUZZ_CHECK(error.code[0]);
        check_plain(error.code, sizeof(error.code));
        check_plain(error.message, sizeof(error.message));
        check_plain(error.region, sizeof(error.region));
        check_plain(error.endpoint, sizeof(error.endpoint));
    } else {
        check_refusal(&e);
    }
    if (xml_parse_upload_id(doc, id, &e) == 0)
        FUZZ_CHECK(id[0] && memchr(id, '\0', sizeof(id)));
    else
        check_refusal(&e);
    if (xml_parse_complete(doc, etag, &e) == 0)
        FUZZ_CHECK(memchr(etag, '\0', sizeof(etag)));
    else
        check_refusal(&e);
    if (xml_parse_parts(doc, &parts, &e) == 0)
        FUZZ_CHECK(parts.next <= PARTS_MAX);
    else
        check_refusal(&e);
}

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    (void)ctx, (void)e;
    FUZZ_CHECK(strlen(o->key) <= XML_KEY_MAX);
    return 0;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    (void)ctx, (void)e;
    FUZZ_CHECK(strlen(u->key) <= XML_KEY_MAX && strlen(u->upload_id) < XML_UPLOAD_ID_MAX);
    return 0;
}

static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    (void)ctx, (void)e;
    FUZZ_CHECK(strlen(v->key) <= XML_KEY_MAX && v->version_id[0] && strlen(v->version_id) < XML_VERSION_ID_MAX);
    FUZZ_CHECK(!v->is_delete_marker || v->size == 0);
    return 0;
}

static void check_page(struct bytes doc)
{
    static int (*const readers[])(struct bytes doc, const struct xml_items *items, struct xml_page *page,
            struct err *e) = {xml_page_objects, xml_page_unfinished, xml_page_versions};
    const struct xml_items items = {.on_object = on_object, .on_unfinished = on_unfinished, .on_version = on_version};
    struct xml_page page;
    struct err e = ERR_INIT;

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i](doc, &items, &page, &e) == 0)
            FUZZ_CHECK(memchr(page.marker, '\0', sizeof(page.marker)) &&
                       memchr(page.key_marker, '\0', sizeof(page.key_marker)));
        else
            check_refusal(&e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct bytes doc = {.data = data, .len = len};

    check_small(doc);
    check_page(doc);
    return 0;
}
