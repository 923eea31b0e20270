/*
 * xml_list.h: one page of a listing, read from S3's XML. Pure.
 *
 * A page is read twice: first what describes it (whether names are encoded, whether more follows and from where), since
 * stores put that before or after the items as they like; then the items. So a page that is not whole shows no item at
 * all.
 */
#pragma once

#include <stdbool.h>

#include "s3/object.h"
#include "s3/xml.h"

/* Sizes in bytes; a version id has at most 1,024 (S3 API, "Using S3 Versioning"), and its 0. */
enum { XML_KEY_MAX = 1024, XML_VERSION_ID_MAX = 1025, XML_MARKER_MAX = 4096 };

/* What describes a page. Both markers are decoded, as they have to be given in the next request's query. */
struct xml_page {
    bool truncated;              /* more follows ... */
    char marker[XML_MARKER_MAX]; /* ... from here: NextContinuationToken, NextUploadIdMarker, NextVersionIdMarker */
    char key_marker[3 * XML_KEY_MAX + 1]; /* NextKeyMarker, of listings of uploads and versions */
};

/* Where the items go. -1 ends the page with the callback's error. */
struct xml_items {
    void *ctx;
    int (*on_object)(void *ctx, const struct s3_object *o, struct err *e);
    int (*on_unfinished)(void *ctx, const struct s3_unfinished *u, struct err *e);
    int (*on_version)(void *ctx, const struct s3_version *v, struct err *e);
};

/* A ListBucketResult, in the order of the document. Errors: as in xml.h, and those of the callback. */
int xml_page_objects(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e);

/* A ListMultipartUploadsResult. */
int xml_page_unfinished(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e);

/* A ListVersionsResult, versions and delete markers in the order of the document. */
int xml_page_versions(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e);

/* A ListPartsResult. Errors: as in xml.h, also where more is to follow and it is not said from where. */
int xml_parse_parts(struct bytes doc, struct s3_parts_page *out, struct err *e);

/* Decodes %XX and + (a space, as S3's encoding-type=url writes it) in place. Errors: ERR_PROTOCOL for a broken escape
 * and for %00. */
int xml_url_decode(char *text, struct err *e);

/* "2009-10-12T17:50:30.000Z", the fraction being optional, into seconds. Errors: ERR_PROTOCOL. */
int xml_instant(const char *text, int64_t *instant, struct err *e);
