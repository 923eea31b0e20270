#include "etcd/errors.h"

#include <stdbool.h>
#include <string.h>

struct meaning {
    const char *says; /* after "auth: " or "etcdserver: " */
    enum err_kind kind;
    enum etcd_errors_next next;
    const char *means; /* to the operator */
};

static const struct meaning meanings[] = {
        {"authentication failed, invalid user ID or password", ERR_AUTH, ETCD_ERRORS_FINAL,
                "wrong user name or password"},
        {"authentication failed, password was given for no password user", ERR_AUTH, ETCD_ERRORS_FINAL,
                "the user has no password in etcd, so it can only authenticate by its certificate"},
        {"permission denied", ERR_AUTH, ETCD_ERRORS_FINAL, "permission denied: the user needs the root role"},
        /* Who has a token has a user: it is the common name of the client certificate. 3.4 and 3.5, then 3.6. */
        {"user not found", ERR_AUTH, ETCD_ERRORS_FINAL, "the client certificate's common name is no user of etcd"},
        {"user name not found", ERR_AUTH, ETCD_ERRORS_FINAL, "the client certificate's common name is no user of etcd"},
        {"user name is empty", ERR_AUTH, ETCD_ERRORS_AUTHENTICATE, "etcd requires authentication, none is configured"},
        {"invalid auth token", ERR_AUTH, ETCD_ERRORS_AUTHENTICATE, "the authentication token is not accepted"},
        {"revision of auth store is old", ERR_TRANSIENT, ETCD_ERRORS_AUTHENTICATE,
                "users or roles have just been changed"},
        {"revision in header is old", ERR_TRANSIENT, ETCD_ERRORS_AUTHENTICATE, "users or roles have just been changed"},
        {"authentication is not enabled", ERR_CONFIG, ETCD_ERRORS_GO_WITHOUT, "authentication is switched off"},
        /* A member's state, not ours: another member may serve. */
        {"rpc not supported for learner", ERR_TRANSIENT, ETCD_ERRORS_FINAL, "the member is a learner"},
        {"mvcc: required revision has been compacted", ERR_TRANSIENT, ETCD_ERRORS_FINAL,
                "etcd was compacted meanwhile: that revision is gone"},
        {"no leader", ERR_TRANSIENT, ETCD_ERRORS_FINAL, "the cluster has no leader"},
};

/* What the server said: after "grpc-status 7 PERMISSION_DENIED: " and the name of the speaker. */
static const char *words_of(const char *text)
{
    static const char *const speakers[] = {"auth: ", "etcdserver: "};
    const char *colon = strstr(text, ": ");

    if (!colon)
        return text;
    text = colon + 2;
    for (size_t i = 0; i < sizeof(speakers) / sizeof(speakers[0]); i++)
        if (strncmp(text, speakers[i], strlen(speakers[i])) == 0)
            return text + strlen(speakers[i]);
    return text;
}

enum etcd_errors_next etcd_errors_refine(struct err *e)
{
    struct err raw = *e;
    const char *words = words_of(raw.text);

    /* Ours alone may be cancelled by us, and what we cancel does not report: it was the server, as when it stops. */
    if (e->kind == ERR_CANCELLED)
        e->kind = ERR_TRANSIENT;
    if (e->domain != ERR_DOMAIN_GRPC)
        return ETCD_ERRORS_FINAL;
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        const struct meaning *m = &meanings[i];

        if (strcmp(words, m->says) == 0) {
            err_set(e, m->kind, ERR_DOMAIN_GRPC, raw.code, "%s (%s)", m->means, raw.text);
            return m->next;
        }
    }
    return ETCD_ERRORS_FINAL;
}
