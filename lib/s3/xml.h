/*
 * xml.h: the XML answers of S3, read strictly. Pure; expat does the parsing.
 *
 * An answer comes from the network and is hostile until proved otherwise: a DOCTYPE is refused (no entities, so nothing
 * expands), elements nest at most XML_DEPTH_MAX deep, one text holds at most XML_TEXT_MAX bytes, and the whole is as
 * large as the caller lets it be (S3_BODY_LIMIT). White space before the document is skipped, since S3 sends some to
 * keep a connection alive while it assembles an object (S3 API, CompleteMultipartUpload). Namespaces are ignored:
 * stores disagree about them. Elements that nobody asked for are skipped.
 *
 * Every function returns ERR_PROTOCOL for what is not well-formed or is another document than expected; an <Error> in
 * place of the expected document is named by its code. ERR_RESOURCE: out of memory.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum { XML_DEPTH_MAX = 12, XML_NAME_MAX = 64, XML_TEXT_MAX = 16 << 10 };

/* What <Error> says, cut to these sizes; "" for what it does not. Plain text of one line, control characters replaced.
 */
struct xml_error {
    char code[64];
    char message[256];
    char region[64];    /* where the bucket lives, with AuthorizationHeaderMalformed and some redirects */
    char endpoint[128]; /* where to go instead, with PermanentRedirect */
};

/* 0 when the document is an <Error> with a <Code> (S3 API, "Error Responses"). */
int xml_parse_error(struct bytes doc, struct xml_error *out, struct err *e);

enum { XML_UPLOAD_ID_MAX = 1024 };
/* InitiateMultipartUploadResult: its UploadId, with a 0 at the end. */
int xml_parse_upload_id(struct bytes doc, char out[XML_UPLOAD_ID_MAX], struct err *e);

enum { XML_ETAG_MAX = 128 };
/* CompleteMultipartUploadResult: its ETag, with its quotes if it has any; "" if there is none. */
int xml_parse_complete(struct bytes doc, char out[XML_ETAG_MAX], struct err *e);

/* VersioningConfiguration: its Status, "Enabled" or "Suspended"; "" where no version was ever kept. */
enum { XML_VERSIONING_MAX = 32 };
int xml_parse_versioning(struct bytes doc, char out[XML_VERSIONING_MAX], struct err *e);

/*
 * The parser under them, for listings: calls on_text for each element that contains no other, when it ends, and on_end
 * for each that does. `path` is "ListBucketResult/Contents/Key"; `text` is valid during the call and ends with a 0 that
 * it does not contain. A callback that returns -1 ends the parsing with its error.
 */
struct xml_visitor {
    void *ctx;
    int (*on_text)(void *ctx, const char *path, const char *text, struct err *e);
    int (*on_end)(void *ctx, const char *path, struct err *e); /* or NULL */
};
int xml_visit(struct bytes doc, const struct xml_visitor *v, struct err *e);
