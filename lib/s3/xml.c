#include "s3/xml.h"

#include <expat.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/wiped_heap.h"

enum { PATH_MAX_LEN = XML_DEPTH_MAX * (XML_NAME_MAX + 1) };

/* One parsing. The path of the element that is open and its text; texts of elements that contain others are white space
 * and are forgotten when the first child begins. */
struct reader {
    const struct xml_visitor *visitor;
    XML_Parser parser;
    unsigned depth;
    char path[PATH_MAX_LEN + 1];
    struct buf text;
    bool leaf; /* the open element has had no child yet */
    bool failed;
    struct err *err;
};

static void stop(struct reader *r)
{
    r->failed = true;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

/* "s3:Key" is Key: stores use prefixes or not as they like. */
static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon ? colon + 1 : name;
}

static int push(struct reader *r, const char *name)
{
    const size_t len = strlen(name), at = strlen(r->path);

    if (r->depth == XML_DEPTH_MAX)
        return err_set(r->err, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "XML elements nest deeper than %d", XML_DEPTH_MAX);
    if (len > XML_NAME_MAX)
        return err_set(r->err, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an XML name is longer than %d bytes", XML_NAME_MAX);
    if (at > 0)
        r->path[at] = '/';
    memcpy(r->path + at + (at > 0), name, len + 1);
    r->depth++;
    return 0;
}

static void pop(struct reader *r)
{
    char *slash = strrchr(r->path, '/');

    *(slash ? slash : r->path) = '\0';
    r->depth--;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = ctx;

    (void)attributes;
    /* Expat may still call for what it had read ahead when it was told to stop. */
    if (r->failed)
        return;
    r->text.len = 0;
    r->leaf = true;
    if (push(r, local_name(name)) < 0)
        stop(r);
}

static int tell_end(struct reader *r)
{
    const struct xml_visitor *v = r->visitor;

    if (!r->leaf)
        return v->on_end ? v->on_end(v->ctx, r->path, r->err) : 0;
    if (buf_append(&r->text, "", 1, r->err) < 0)
        return -1;
    return v->on_text(v->ctx, r->path, (const char *)r->text.data, r->err);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;

    (void)name;
    if (r->failed)
        return;
    if (tell_end(r) < 0) {
        stop(r);
        return;
    }
    r->text.len = 0;
    r->leaf = false;
    pop(r);
}

static void XMLCALL on_characters(void *ctx, const XML_Char *text, int len)
{
    struct reader *r = ctx;

    if (r->failed || !r->leaf)
        return;
    /* One byte is kept for the 0 at the end. */
    if ((size_t)len > XML_TEXT_MAX - r->text.len) {
        (void)err_set(r->err, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an XML text is longer than %d bytes", XML_TEXT_MAX);
        stop(r);
    } else if (buf_append(&r->text, text, (size_t)len, r->err) < 0) {
        stop(r);
    }
}

static void XMLCALL on_doctype(
        void *ctx, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id, int internal_subset)
{
    struct reader *r = ctx;

    (void)name, (void)system_id, (void)public_id, (void)internal_subset;
    (void)err_set(r->err, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "XML with a DOCTYPE is refused");
    stop(r);
}

/* Newer versions of Expat deprecate the one with a type that is not 64 bits wide everywhere; older ones have no other.
 */
static int64_t byte_index(XML_Parser parser)
{
#ifdef HAVE_XML_BYTE_INDEX_64
    return XML_GetCurrentByteIndex64(parser);
#else
    return XML_GetCurrentByteIndex(parser);
#endif
}

static int read_all(struct reader *r, struct bytes doc)
{
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_characters);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    if (XML_Parse(r->parser, (const char *)doc.data, (int)doc.len, XML_TRUE) == XML_STATUS_OK)
        return 0;
    if (r->failed)
        return -1;
    if (XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY)
        return err_set(r->err, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return err_set(r->err, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, byte_index(r->parser), "not XML: %s at byte %lld",
            XML_ErrorString(XML_GetErrorCode(r->parser)), (long long)byte_index(r->parser));
}

/* Some answers hold keys. */
static const XML_Memory_Handling_Suite memory = {malloc, wiped_heap_realloc, wiped_heap_free};

int xml_visit(struct bytes doc, const struct xml_visitor *v, struct err *e)
{
    struct reader r = {.visitor = v, .text = BUF_INIT(XML_TEXT_MAX + 1), .err = e};
    int result;

    while (doc.len > 0 && strchr(" \t\r\n", doc.data[0]) && doc.data[0] != '\0') {
        doc.data++;
        doc.len--;
    }
    if (doc.len == 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "an empty answer in place of XML");
    if (doc.len > INT32_MAX)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "more than 2 GiB of XML");
    r.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!r.parser)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    result = read_all(&r, doc);
    XML_ParserFree(r.parser);
    buf_reset(&r.text);
    return result;
}
