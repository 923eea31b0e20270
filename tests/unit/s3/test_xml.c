/* S3's small answers and its pages of listings, as servers write them and as no server should. */
#include "expect.h"
#include "failing.h"
#include "s3/xml.h"
#include "s3/xml_list.h"

#include <string.h>

#define DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NAMESPACE   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .len = strlen(text)};
}

static void test_errors(void **state)
{
    static const struct {
        const char *doc, *code, *message, *region, *endpoint;
    } rows[] = {
            {DECLARATION "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message>"
                         "<RequestId>x</RequestId></Error>",
                    "SlowDown", "Reduce your request rate.", "", ""},
            /* Ceph: on one line, without a message. */
            {"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>NoSuchBucket</Code><BucketName>b</BucketName>"
             "<RequestId>tx0</RequestId><HostId>h</HostId></Error>",
                    "NoSuchBucket", "", "", ""},
            {DECLARATION "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>"
                         "<Region>eu-west-3</Region></Error>",
                    "AuthorizationHeaderMalformed", "m", "eu-west-3", ""},
            {DECLARATION
                    "<Error><Endpoint>b.s3-eu-west-3.amazonaws.com</Endpoint><Code>PermanentRedirect</Code></Error>",
                    "PermanentRedirect", "", "", "b.s3-eu-west-3.amazonaws.com"},
            /* White space before, which keeps connections alive; between; and within. */
            {"   \n\r\t  " DECLARATION "   <Error>\n <Code>InternalError</Code> \n</Error>\n ", "InternalError", "", "",
                    ""},
            {"<Error xmlns=\"x\"><Code>A</Code></Error>", "A", "", "", ""},
            {"<s3:Error xmlns:s3=\"x\"><s3:Code>A</s3:Code></s3:Error>", "A", "", "", ""},
            /* What a person's terminal would obey, or what would look like a line of its own. */
            {"<Error><Code>A</Code><Message>a&#10;b&#9;c&#x7f;d\xc2\x9b"
             "e&lt;f&amp;\xc3\xbc</Message></Error>",
                    "A", "a b c d  e<f&\xc3\xbc", "", ""},
            {"<Error><Code>A</Code><Message><![CDATA[<b>]]></Message><!-- c --><?p?></Error>", "A", "<b>", "", ""},
            /* Not where they belong. */
            {"<Error><Code>A</Code><Details><Message>inner</Message></Details></Error>", "A", "", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct xml_error error;
        struct err e = ERR_INIT;

        expect_success(xml_parse_error(text_bytes(rows[i].doc), &error, &e) == 0, &e);
        assert_string_equal(error.code, rows[i].code);
        assert_string_equal(error.message, rows[i].message);
        assert_string_equal(error.region, rows[i].region);
        assert_string_equal(error.endpoint, rows[i].endpoint);
    }
}

/* Cut, and never in the middle of a character. */
static void test_long_message(void **state)
{
    char doc[2048] = "<Error><Code>A</Code><Message>x";
    struct xml_error error;
    struct err e = ERR_INIT;
    size_t len = strlen(doc);

    (void)state;
    for (; len < 1500; len += 2)
        memcpy(doc + len, "\xc3\xbc", 3);
    strcpy(doc + len, "</Message></Error>");
    expect_success(xml_parse_error(text_bytes(doc), &error, &e) == 0, &e);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    error.message[1] = '\0';
    assert_string_equal(error.message, "x");
    memmove(doc + strlen("<Error><Code>A</Code><Message>"), doc + strlen("<Error><Code>A</Code><Message>x"), len);
    expect_success(xml_parse_error(text_bytes(doc), &error, &e) == 0, &e);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 2);
}

static void test_upload_id(void **state)
{
    char out[XML_UPLOAD_ID_MAX];
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_parse_upload_id(text_bytes(DECLARATION "<InitiateMultipartUploadResult" NAMESPACE "><Bucket>b"
                                                              "</Bucket><Key>k</Key><UploadId>2~x/y=</UploadId>"
                                                              "</InitiateMultipartUploadResult>"),
                           out, &e) == 0,
            &e);
    assert_string_equal(out, "2~x/y=");
}

static void test_versioning(void **state)
{
    char out[XML_VERSIONING_MAX];
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_parse_versioning(text_bytes(DECLARATION "<VersioningConfiguration" NAMESPACE "><Status>Enabled"
                                                               "</Status></VersioningConfiguration>"),
                           out, &e) == 0,
            &e);
    assert_string_equal(out, "Enabled");
    expect_success(xml_parse_versioning(text_bytes("<VersioningConfiguration/>"), out, &e) == 0, &e);
    assert_string_equal(out, "");
    assert_int_equal(xml_parse_versioning(text_bytes("<html/>"), out, &e), -1);
}

#define PARTS(...) "<ListPartsResult" NAMESPACE ">" __VA_ARGS__ "</ListPartsResult>"
#define PART(time) "<Part><PartNumber>1</PartNumber><LastModified>" time "</LastModified><Size>5</Size></Part>"

static void test_parts(void **state)
{
    static const struct {
        const char *doc;
        int64_t newest;
        unsigned next;
        const char *refusal; /* or NULL */
    } rows[] = {
            {PARTS(""), 0, 0, NULL},
            {PARTS(PART("1970-01-01T00:00:09.000Z") PART("1970-01-01T00:00:07Z")), 9, 0, NULL},
            {PARTS("<IsTruncated>true</IsTruncated><NextPartNumberMarker>10000</NextPartNumberMarker>"), 0, 10000,
                    NULL},
            {PARTS("<NextPartNumberMarker>7</NextPartNumberMarker><IsTruncated>false</IsTruncated>"), 0, 0, NULL},
            {PARTS("<NextPartNumberMarker/><IsTruncated>false</IsTruncated>"), 0, 0, NULL},
            {PARTS("<IsTruncated>true</IsTruncated>"), 0, 0, "not said from where"},
            {PARTS("<IsTruncated>true</IsTruncated><NextPartNumberMarker/>"), 0, 0, "not said from where"},
            {"<ListPartsResults/>", 0, 0, "in place of <ListPartsResult>"},
            {PARTS("<NextPartNumberMarker>10001</NextPartNumberMarker>"), 0, 0, "greater than 10000"},
            {PARTS("<NextPartNumberMarker>-1</NextPartNumberMarker>"), 0, 0, ""},
            {PARTS("<NextPartNumberMarker>x</NextPartNumberMarker>"), 0, 0, ""},
            {PARTS(PART("yesterday")), 0, 0, ""},
            {"<ListBucketResult><Name>b</Name></ListBucketResult>", 0, 0, "in place of <ListPartsResult>"},
            {"<ListPartsResult><Part>", 0, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct s3_parts_page page;
        struct err e = ERR_INIT;
        int done = xml_parse_parts(text_bytes(rows[i].doc), &page, &e);

        if (rows[i].refusal) {
            assert_int_equal(done, -1);
            assert_int_equal(e.kind, ERR_PROTOCOL);
            assert_non_null(strstr(e.text, rows[i].refusal));
            continue;
        }
        expect_success(done == 0, &e);
        assert_int_equal(page.newest, rows[i].newest);
        assert_int_equal(page.next, rows[i].next);
    }
}

static void test_complete(void **state)
{
    char out[XML_ETAG_MAX];
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_parse_complete(text_bytes(DECLARATION "\n\n <CompleteMultipartUploadResult" NAMESPACE
                                                             "><Location>l</Location><ETag>&quot;abc-2&quot;</ETag>"
                                                             "</CompleteMultipartUploadResult>"),
                           out, &e) == 0,
            &e);
    assert_string_equal(out, "\"abc-2\"");
    expect_success(xml_parse_complete(text_bytes("<CompleteMultipartUploadResult/>"), out, &e) == 0, &e);
    assert_string_equal(out, "");
}

enum parser { PARSE_ERROR, PARSE_UPLOAD_ID, PARSE_COMPLETE, PARSE_OBJECTS, PARSE_UNFINISHED, PARSE_VERSIONS };

struct shown {
    char text[1024];
    unsigned n, stop_at;
};

static int show(struct shown *s, const char *key, const char *more, uint64_t number, int64_t instant, struct err *e)
{
    const size_t len = strlen(s->text);

    (void)snprintf(s->text + len, sizeof(s->text) - len, "%s %s%llu %lld\n", key, more, (unsigned long long)number,
            (long long)instant);
    return ++s->n == s->stop_at ? err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "stopped") : 0;
}

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    return show(ctx, o->key, "", o->size, o->last_modified, e);
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    return show(ctx, u->key, u->upload_id, 0, u->initiated, e);
}

static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    char more[64];

    (void)snprintf(more, sizeof(more), "%.32s%s%s ", v->version_id, v->is_delete_marker ? " deleted" : "",
            v->is_latest ? " latest" : "");
    return show(ctx, v->key, more, v->size, v->last_modified, e);
}

static int parse(enum parser parser, struct bytes doc, struct shown *shown, struct err *e)
{
    const struct xml_items items = {
            .ctx = shown, .on_object = on_object, .on_unfinished = on_unfinished, .on_version = on_version};
    struct xml_error error;
    struct xml_page page;
    char id[XML_UPLOAD_ID_MAX], etag[XML_ETAG_MAX];

    switch (parser) {
    case PARSE_ERROR:
        return xml_parse_error(doc, &error, e);
    case PARSE_UPLOAD_ID:
        return xml_parse_upload_id(doc, id, e);
    case PARSE_COMPLETE:
        return xml_parse_complete(doc, etag, e);
    case PARSE_OBJECTS:
        return xml_page_objects(doc, &items, &page, e);
    case PARSE_UNFINISHED:
        return xml_page_unfinished(doc, &items, &page, e);
    case PARSE_VERSIONS:
        return xml_page_versions(doc, &items, &page, e);
    }
    return -1;
}

#define OBJECT(key, size, time)                                                                                        \
    "<Contents><Key>" key "</Key><LastModified>" time "</LastModified><ETag>&quot;e&quot;</ETag><Size>" size           \
    "</Size><Owner><ID>t</ID><Key>owner's</Key></Owner></Contents>"
#define OBJECTS(...) "<ListBucketResult" NAMESPACE ">" __VA_ARGS__ "</ListBucketResult>"
#define UPLOAD(key, id)                                                                                                \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>1970-01-01T00:00:09.5Z</Initiated></Upload>"
#define UNFINISHED(...) "<ListMultipartUploadsResult>" __VA_ARGS__ "</ListMultipartUploadsResult>"
#define NINE            "1970-01-01T00:00:09.000Z"
#define VERSION_FIELDS(key, id, latest)                                                                                \
    "<Key>" key "</Key><VersionId>" id "</VersionId><IsLatest>" latest "</IsLatest><LastModified>" NINE                \
    "</LastModified>"
#define VERSION(key, id, latest, size)                                                                                 \
    "<Version>" VERSION_FIELDS(key, id, latest) "<ETag>&quot;e&quot;</ETag><Size>" size                                \
                                                "</Size><Owner><ID>t</ID></Owner></Version>"
#define DELETED(key, id, latest) "<DeleteMarker>" VERSION_FIELDS(key, id, latest) "<Owner/></DeleteMarker>"
#define VERSIONS(...)            "<ListVersionsResult" NAMESPACE ">" __VA_ARGS__ "</ListVersionsResult>"

#define NO_VERSION "a version listed without name, id, IsLatest, time or size"

static void test_refused(void **state)
{
    static const struct {
        enum parser parser;
        const char *doc, *text;
    } rows[] = {
            {PARSE_ERROR, "", "an empty answer in place of XML"},
            {PARSE_ERROR, " \n ", "an empty answer in place of XML"},
            {PARSE_ERROR, "<Error/>", "an <Error> without <Code>"},
            {PARSE_ERROR, "<Error><Code></Code></Error>", "an <Error> without <Code>"},
            {PARSE_ERROR, "<html><body>502</body></html>", "<html> in place of <Error>"},
            {PARSE_ERROR, "<Errors><Code>A</Code></Errors>", "<Errors> in place of <Error>"},
            {PARSE_ERROR, "<Error><Code>A</Code>", "not XML: no element found at byte 21"},
            {PARSE_ERROR, "<Error><Code>A</Error>", "not XML: mismatched tag at byte 16"},
            {PARSE_ERROR, "<Error><Code>A</Code></Error><Error/>", "not XML: junk after document element at byte 29"},
            {PARSE_ERROR, "<Error><Code>\xff</Code></Error>", "not XML: not well-formed (invalid token) at byte 13"},
            {PARSE_ERROR, "<Error><Code>&#0;</Code></Error>",
                    "not XML: reference to invalid character number at byte 13"},
            {PARSE_ERROR, "<Error><Code>&x;</Code></Error>", "not XML: undefined entity at byte 13"},
            {PARSE_ERROR, "<?xml version='1.0' encoding='x-mine'?><Error><Code>A</Code></Error>",
                    "not XML: unknown encoding at byte 30"},
            {PARSE_ERROR, "hello", "not XML: syntax error at byte 0"},
            {PARSE_ERROR, "<!DOCTYPE Error><Error><Code>A</Code></Error>", "XML with a DOCTYPE is refused"},
            {PARSE_ERROR,
                    "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b "
                    "\"&a;&a;&a;&a;&a;\">]><Error><Code>&b;</Code></Error>",
                    "XML with a DOCTYPE is refused"},
            {PARSE_ERROR, "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><Error><Code>A</Code></Error>",
                    "XML with a DOCTYPE is refused"},
            {PARSE_ERROR, "<a><a><a><a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a></a></a></a>",
                    "XML elements nest deeper than 12"},
            {PARSE_ERROR, "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>",
                    "an XML name is longer than 64 bytes"},
            {PARSE_UPLOAD_ID, "<InitiateMultipartUploadResult/>", "<InitiateMultipartUploadResult> without <UploadId>"},
            {PARSE_UPLOAD_ID, "<Error><Code>InternalError</Code></Error>",
                    "<Error> InternalError in place of <InitiateMultipartUploadResult>"},
            {PARSE_COMPLETE, "<Error><Code>InternalError</Code></Error>",
                    "<Error> InternalError in place of <CompleteMultipartUploadResult>"},
            {PARSE_COMPLETE, "<x/>", "<x> in place of <CompleteMultipartUploadResult>"},
            {PARSE_OBJECTS, "<x/>", "<x> in place of <ListBucketResult>"},
            {PARSE_OBJECTS, "<Error><Code>A</Code></Error>", "<Error> A in place of <ListBucketResult>"},
            {PARSE_OBJECTS, OBJECTS("<Contents/>"), "an object listed without name, size or time"},
            {PARSE_OBJECTS, OBJECTS("<Contents><Key>a</Key></Contents>"),
                    "an object listed without name, size or time"},
            /* The fields of one item are not those of the next. */
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "1", NINE) "<Contents><Key>a</Key></Contents>"),
                    "an object listed without name, size or time"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "", NINE)), "an empty size"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "-1", NINE)), "\"-1\" is no size"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "18446744073709551616", NINE)), "\"18446744073709551616\" is no size"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "1", "today")), "\"today\" is no time"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "1", "1970-01-01T00:00:09")), "\"1970-01-01T00:00:09\" is no time"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "1", "1970-01-01T00:00:09.5")), "\"1970-01-01T00:00:09.5\" is no time"},
            {PARSE_OBJECTS, OBJECTS(OBJECT("a", "1", "1970-13-01T00:00:09Z")), "\"1970-13-01T00:00:09Z\" is no time"},
            {PARSE_OBJECTS, OBJECTS("<EncodingType>url</EncodingType>" OBJECT("a%2", "1", NINE)),
                    "a name with a broken %-escape"},
            {PARSE_OBJECTS, OBJECTS("<EncodingType>url</EncodingType>" OBJECT("a%00b", "1", NINE)),
                    "a name with a broken %-escape"},
            {PARSE_UNFINISHED, UNFINISHED("<Upload/>"), "an upload listed without name, id or time"},
            {PARSE_UNFINISHED, OBJECTS(), "<ListBucketResult> in place of <ListMultipartUploadsResult>"},
            {PARSE_UNFINISHED, UNFINISHED("<EncodingType>url</EncodingType><NextKeyMarker>%</NextKeyMarker>"),
                    "a name with a broken %-escape"},
            {PARSE_VERSIONS, OBJECTS(), "<ListBucketResult> in place of <ListVersionsResult>"},
            {PARSE_VERSIONS, "<Error><Code>A</Code></Error>", "<Error> A in place of <ListVersionsResult>"},
            {PARSE_VERSIONS, VERSIONS("<Version/>"), NO_VERSION},
            {PARSE_VERSIONS, VERSIONS("<DeleteMarker/>"), NO_VERSION},
            {PARSE_VERSIONS, VERSIONS("<Version>" VERSION_FIELDS("a", "1", "true") "</Version>"), NO_VERSION},
            {PARSE_VERSIONS, VERSIONS(VERSION("a", "", "true", "1")), NO_VERSION},
            {PARSE_VERSIONS, VERSIONS(DELETED("a", "", "true")), NO_VERSION},
            {PARSE_VERSIONS,
                    VERSIONS("<DeleteMarker><Key>a</Key><VersionId>1</VersionId><LastModified>" NINE
                             "</LastModified></DeleteMarker>"),
                    NO_VERSION},
            /* What is lacking is not taken from the item before, be it of the other kind. */
            {PARSE_VERSIONS,
                    VERSIONS(DELETED("a", "1", "true") "<Version><Key>a</Key><IsLatest>false</IsLatest>"
                                                       "<LastModified>" NINE "</LastModified><Size>1</Size></Version>"),
                    NO_VERSION},
            {PARSE_VERSIONS,
                    VERSIONS(VERSION("a", "1", "true", "1") "<Version>" VERSION_FIELDS("a", "2", "false") "</Version>"),
                    NO_VERSION},
            {PARSE_VERSIONS,
                    VERSIONS(DELETED("a", "1", "true") "<DeleteMarker><Key>a</Key><VersionId>0</VersionId>"
                                                       "<LastModified>" NINE "</LastModified></DeleteMarker>"),
                    NO_VERSION},
            {PARSE_VERSIONS, VERSIONS(VERSION("a", "1", "yes", "1")), "\"yes\" is neither true nor false"},
            {PARSE_VERSIONS, VERSIONS(DELETED("a", "1", "")), "\"\" is neither true nor false"},
            {PARSE_VERSIONS, VERSIONS(VERSION("a", "1", "true", "x")), "\"x\" is no size"},
            {PARSE_VERSIONS, VERSIONS(VERSION("a&#1;", "1", "true", "1")),
                    "not XML: reference to invalid character number at byte 83"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct shown shown = {.n = 0};
        struct err e = ERR_INIT;

        assert_int_equal(parse(rows[i].parser, text_bytes(rows[i].doc), &shown, &e), -1);
        expect_error(&e, ERR_PROTOCOL, rows[i].text);
    }
}

/* One text up to the limit passes, one byte more does not. */
static void test_text_limit(void **state)
{
    static char doc[XML_TEXT_MAX + 100];
    struct xml_error error;

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct err e = ERR_INIT;
        size_t len = (size_t)snprintf(doc, sizeof(doc), "<Error><Code>A</Code><Message>");

        memset(doc + len, 'x', XML_TEXT_MAX + extra);
        strcpy(doc + len + XML_TEXT_MAX + extra, "</Message></Error>");
        assert_int_equal(xml_parse_error(text_bytes(doc), &error, &e), extra ? -1 : 0);
        if (extra)
            expect_error(&e, ERR_PROTOCOL, "an XML text is longer than 16384 bytes");
    }
}

static void test_too_long_for_their_place(void **state)
{
    static char doc[8192], id[XML_UPLOAD_ID_MAX + 1], key[XML_KEY_MAX + 2];
    char out[XML_UPLOAD_ID_MAX];
    struct shown shown = {.n = 0};
    struct err e = ERR_INIT;

    (void)state;
    memset(id, 'i', sizeof(id) - 1);
    (void)snprintf(doc, sizeof(doc),
            "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id);
    assert_int_equal(xml_parse_upload_id(text_bytes(doc), out, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "InitiateMultipartUploadResult/UploadId is longer than 1023 bytes");

    memset(key, 'k', sizeof(key) - 1);
    (void)snprintf(doc, sizeof(doc), OBJECTS("<Contents><Key>%s</Key></Contents>"), key);
    assert_int_equal(parse(PARSE_OBJECTS, text_bytes(doc), &shown, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "a name or a marker of 1025 bytes");
    (void)snprintf(doc, sizeof(doc), VERSIONS("<Version><VersionId>%s</VersionId></Version>"), key);
    e = ERR_INIT;
    assert_int_equal(parse(PARSE_VERSIONS, text_bytes(doc), &shown, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "a name or a marker of 1025 bytes");
}

static void test_objects(void **state)
{
    /* What describes the page may come after the items. */
    static const char doc[] = DECLARATION OBJECTS(
            "<Name>b</Name>" OBJECT("a%2Fb%3Ac%2Bd+e%25%C3%BC", "0", NINE) OBJECT("b", "18446744073709551615",
                    "2024-12-06T23:22:25+02:00") "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                                                 "<NextContinuationToken>a+%2F</NextContinuationToken>");
    struct shown shown = {.n = 0};
    const struct xml_items items = {.ctx = &shown, .on_object = on_object};
    struct xml_page page;
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_page_objects(text_bytes(doc), &items, &page, &e) == 0, &e);
    assert_string_equal(shown.text, "a/b:c+d e%\xc3\xbc 0 9\nb 18446744073709551615 1733520145\n");
    assert_true(page.truncated);
    assert_string_equal(page.marker, "a+%2F");
}

static void test_objects_not_encoded(void **state)
{
    static const char doc[] = OBJECTS("<IsTruncated>false</IsTruncated>" OBJECT("a%2F+&amp;", "1", NINE));
    struct shown shown = {.n = 0};
    const struct xml_items items = {.ctx = &shown, .on_object = on_object};
    struct xml_page page;
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_page_objects(text_bytes(doc), &items, &page, &e) == 0, &e);
    assert_string_equal(shown.text, "a%2F+& 1 9\n");
    assert_false(page.truncated);
    assert_string_equal(page.marker, "");
}

static void test_unfinished(void **state)
{
    static const char doc[] =
            UNFINISHED("<NextKeyMarker>a%3A+b</NextKeyMarker><NextUploadIdMarker>i%2</NextUploadIdMarker>"
                       "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" UPLOAD("a%3A", "i%2")
                               UPLOAD("a%3A", "j"));
    struct shown shown = {.n = 0};
    const struct xml_items items = {.ctx = &shown, .on_unfinished = on_unfinished};
    struct xml_page page;
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_page_unfinished(text_bytes(doc), &items, &page, &e) == 0, &e);
    assert_string_equal(shown.text, "a: i%20 9\na: j0 9\n");
    assert_true(page.truncated);
    assert_string_equal(page.key_marker, "a: b");
    assert_string_equal(page.marker, "i%2");
}

/* Both kinds of items in the order of the document, names as they are. */
static void test_versions(void **state)
{
    static const char doc[] = DECLARATION VERSIONS(
            "<KeyMarker>k</KeyMarker><VersionIdMarker>v</VersionIdMarker><IsTruncated>true</IsTruncated>" DELETED(
                    "a/%2F+&amp;\xc3\xbc", "3", "true") VERSION("a/%2F+&amp;\xc3\xbc", "2", "false", "7")
                    DELETED("a/%2F+&amp;\xc3\xbc", "null", "false") VERSION("b", "1", "true", "0") VERSION("b", "0",
                            "false", "18446744073709551615") "<NextKeyMarker>a+ %2F</NextKeyMarker>"
                                                             "<NextVersionIdMarker>i%2</NextVersionIdMarker>");
    struct shown shown = {.n = 0};
    const struct xml_items items = {.ctx = &shown, .on_version = on_version};
    struct xml_page page;
    struct err e = ERR_INIT;

    (void)state;
    expect_success(xml_page_versions(text_bytes(doc), &items, &page, &e) == 0, &e);
    assert_string_equal(shown.text, "a/%2F+&\xc3\xbc 3 deleted latest 0 9\na/%2F+&\xc3\xbc 2 7 9\n"
                                    "a/%2F+&\xc3\xbc null deleted 0 9\nb 1 latest 0 9\n"
                                    "b 0 18446744073709551615 9\n");
    assert_true(page.truncated);
    assert_string_equal(page.key_marker, "a+ %2F");
    assert_string_equal(page.marker, "i%2");
}

/* An item within another, or with what belongs to the other kind. */
static void test_versions_oddly_built(void **state)
{
    static const char doc[] = VERSIONS("<Version>" VERSION_FIELDS("a", "1", "true") "<Size>1</Size>" DELETED(
            "b", "2", "false") "</Version><DeleteMarker>" VERSION_FIELDS("c", "3",
            "false") "<Size>5</Size></DeleteMarker><CommonPrefixes>" VERSION("d", "4", "true",
            "1") "</CommonPrefixes>");
    struct shown shown = {.n = 0};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(parse(PARSE_VERSIONS, text_bytes(doc), &shown, &e) == 0, &e);
    assert_string_equal(shown.text, "a 1 latest 1 9\nc 3 deleted 0 9\n");
}

/* A page that breaks in its last byte has shown nothing. */
static void test_broken_pages_show_nothing(void **state)
{
    static const char doc[] = OBJECTS(OBJECT("a", "1", NINE) OBJECT("b", "1", NINE));

    (void)state;
    for (size_t len = 0; len < sizeof(doc) - 1; len++) {
        struct shown shown = {.n = 0};
        struct err e = ERR_INIT;

        assert_int_equal(parse(PARSE_OBJECTS, (struct bytes){(const uint8_t *)doc, len}, &shown, &e), -1);
        assert_int_equal(e.kind, ERR_PROTOCOL);
        assert_int_equal(shown.n, 0);
    }
}

static void test_callback_stops(void **state)
{
    static const char doc[] = OBJECTS(OBJECT("a", "1", NINE) OBJECT("b", "1", NINE) OBJECT("c", "1", NINE));
    struct shown shown = {.stop_at = 2};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(parse(PARSE_OBJECTS, text_bytes(doc), &shown, &e), -1);
    expect_error(&e, ERR_BUSY, "stopped");
    assert_int_equal(shown.n, 2);
}

/* expat allocates by itself, within its shared library: what fails here is ours. */
static void test_no_memory(void **state)
{
    static const char doc[] = OBJECTS(OBJECT("a", "1", NINE));
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct shown shown = {.n = 0};
        struct err e = ERR_INIT;
        int result;

        failing_arm(++n);
        result = parse(PARSE_OBJECTS, text_bytes(doc), &shown, &e);
        reached = failing_disarm();
        assert_int_equal(result, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_errors),
            cmocka_unit_test(test_long_message),
            cmocka_unit_test(test_upload_id),
            cmocka_unit_test(test_complete),
            cmocka_unit_test(test_versioning),
            cmocka_unit_test(test_parts),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_text_limit),
            cmocka_unit_test(test_too_long_for_their_place),
            cmocka_unit_test(test_objects),
            cmocka_unit_test(test_objects_not_encoded),
            cmocka_unit_test(test_unfinished),
            cmocka_unit_test(test_versions),
            cmocka_unit_test(test_versions_oddly_built),
            cmocka_unit_test(test_broken_pages_show_nothing),
            cmocka_unit_test(test_callback_stops),
            cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
