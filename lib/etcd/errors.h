/*
 * errors.h: what etcd means by a gRPC error. Pure.
 *
 * etcd speaks two dialects about authentication. Where the check is made in the handler itself, as for Maintenance, the
 * servers up to 3.5 return the bare error of the auth store, which gRPC turns into code 2 and "auth: ..."; elsewhere,
 * and everywhere from 3.6 on, it is a code of its own and "etcdserver: ..." (etcd, server/auth/store.go and
 * api/v3rpc/rpctypes/error.go). Both are matched by the words after the prefix, and the whole of them: "permission
 * denied" may also end the message of some other failure.
 */
#pragma once

#include "base/err.h"

enum etcd_errors_next {
    ETCD_ERRORS_FINAL,        /* as the error's kind says */
    ETCD_ERRORS_AUTHENTICATE, /* get a (new) token, and try once more with it */
    ETCD_ERRORS_GO_WITHOUT,   /* to Authenticate: etcd has authentication switched off; go on without a token */
};

/*
 * Looks at an error as grpc.h made it (nothing may have been put before its text yet), sets kind and text to what it
 * means to an operator, and says what may be tried next. Errors of other domains stay as they are, but ERR_CANCELLED: a
 * server that cancels our call is ERR_TRANSIENT.
 */
enum etcd_errors_next etcd_errors_refine(struct err *e);
