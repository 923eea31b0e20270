/*
 * upload_create.h: CreateMultipartUpload, a step of an upload. It may have made one whose id nobody knows.
 */
#pragma once

#include "s3/upload_store.h"

struct upload_create {
    struct upload_call call;
    void *ctx;
    /* Once unless cancelled, never inside the start. `id`: of the upload, the receiver frees; NULL: err says why, valid
     * during the call. `is_lost`: there may be an upload (another one, with an id) whose id got lost with an answer. */
    void (*on_created)(void *ctx, char *id, bool is_lost, const struct err *err);
};

/* create->ctx and on_created are set. Metadata of spec are copied. Errors: ERR_RESOURCE, ERR_CONFIG. */
int upload_create_start(
        struct upload_create *create, struct upload_store *store, const struct s3_upload_spec *spec, struct err *e);
