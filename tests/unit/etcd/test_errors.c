#include "expect.h"

#include "base/cleanup.h"
#include "etcd/errors.h"

/* As lib/h2 tells of it, and what it becomes. The first four: etcd 3.4 and 3.5, then the same by 3.6. */
static const struct {
    int code;
    enum err_kind was;
    const char *text;
    enum etcd_errors_next next;
    enum err_kind kind;
    const char *becomes; /* NULL: stays */
} rows[] = {
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: user name is empty", ETCD_ERRORS_AUTHENTICATE, ERR_AUTH,
                "etcd requires authentication, none is configured (grpc-status 2 UNKNOWN: auth: user name is empty)"},
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: invalid auth token", ETCD_ERRORS_AUTHENTICATE, ERR_AUTH,
                "the authentication token is not accepted (grpc-status 2 UNKNOWN: auth: invalid auth token)"},
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: permission denied", ETCD_ERRORS_FINAL, ERR_AUTH,
                "permission denied: the user needs the root role (grpc-status 2 UNKNOWN: auth: permission denied)"},
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: revision in header is old", ETCD_ERRORS_AUTHENTICATE,
                ERR_TRANSIENT,
                "users or roles have just been changed (grpc-status 2 UNKNOWN: auth: revision in header is old)"},

        {3, ERR_CONFIG, "grpc-status 3 INVALID_ARGUMENT: etcdserver: user name is empty", ETCD_ERRORS_AUTHENTICATE,
                ERR_AUTH,
                "etcd requires authentication, none is configured (grpc-status 3 INVALID_ARGUMENT: etcdserver: user "
                "name "
                "is empty)"},
        {16, ERR_AUTH, "grpc-status 16 UNAUTHENTICATED: etcdserver: invalid auth token", ETCD_ERRORS_AUTHENTICATE,
                ERR_AUTH,
                "the authentication token is not accepted (grpc-status 16 UNAUTHENTICATED: etcdserver: invalid auth "
                "token)"},
        {7, ERR_AUTH, "grpc-status 7 PERMISSION_DENIED: etcdserver: permission denied", ETCD_ERRORS_FINAL, ERR_AUTH,
                "permission denied: the user needs the root role (grpc-status 7 PERMISSION_DENIED: etcdserver: "
                "permission "
                "denied)"},
        {3, ERR_CONFIG, "grpc-status 3 INVALID_ARGUMENT: etcdserver: revision of auth store is old",
                ETCD_ERRORS_AUTHENTICATE, ERR_TRANSIENT,
                "users or roles have just been changed (grpc-status 3 INVALID_ARGUMENT: etcdserver: revision of auth "
                "store is old)"},

        {3, ERR_CONFIG,
                "grpc-status 3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password",
                ETCD_ERRORS_FINAL, ERR_AUTH,
                "wrong user name or password (grpc-status 3 INVALID_ARGUMENT: etcdserver: authentication failed, "
                "invalid "
                "user ID or password)"},
        {9, ERR_CONFIG, "grpc-status 9 FAILED_PRECONDITION: etcdserver: authentication is not enabled",
                ETCD_ERRORS_GO_WITHOUT, ERR_CONFIG,
                "authentication is switched off (grpc-status 9 FAILED_PRECONDITION: etcdserver: authentication is not "
                "enabled)"},
        {9, ERR_CONFIG, "grpc-status 9 FAILED_PRECONDITION: etcdserver: rpc not supported for learner",
                ETCD_ERRORS_FINAL, ERR_TRANSIENT,
                "the member is a learner (grpc-status 9 FAILED_PRECONDITION: etcdserver: rpc not supported for "
                "learner)"},
        {14, ERR_TRANSIENT, "grpc-status 14 UNAVAILABLE: etcdserver: no leader", ETCD_ERRORS_FINAL, ERR_TRANSIENT,
                "the cluster has no leader (grpc-status 14 UNAVAILABLE: etcdserver: no leader)"},
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: user not found", ETCD_ERRORS_FINAL, ERR_AUTH,
                "the client certificate's common name is no user of etcd (grpc-status 2 UNKNOWN: auth: user not "
                "found)"},
        {9, ERR_CONFIG, "grpc-status 9 FAILED_PRECONDITION: etcdserver: user name not found", ETCD_ERRORS_FINAL,
                ERR_AUTH,
                "the client certificate's common name is no user of etcd (grpc-status 9 FAILED_PRECONDITION: "
                "etcdserver: "
                "user name not found)"},
        /* Without a speaker. */
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: permission denied", ETCD_ERRORS_FINAL, ERR_AUTH,
                "permission denied: the user needs the root role (grpc-status 2 UNKNOWN: permission denied)"},

        /* The words alone do not make it so. */
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: open /var/lib/etcd/member/snap/db: permission denied",
                ETCD_ERRORS_FINAL, ERR_TRANSIENT, NULL},
        {2, ERR_TRANSIENT, "grpc-status 2 UNKNOWN: auth: permission denied, or was it", ETCD_ERRORS_FINAL,
                ERR_TRANSIENT, NULL},
        {14, ERR_TRANSIENT, "grpc-status 14 UNAVAILABLE", ETCD_ERRORS_FINAL, ERR_TRANSIENT, NULL},
        {14, ERR_TRANSIENT, "grpc-status 14 UNAVAILABLE: ", ETCD_ERRORS_FINAL, ERR_TRANSIENT, NULL},
        {14, ERR_TRANSIENT, "", ETCD_ERRORS_FINAL, ERR_TRANSIENT, NULL},
        /* We do not cancel what reports; a server that stops does. */
        {1, ERR_CANCELLED, "grpc-status 1 CANCELLED: context canceled", ETCD_ERRORS_FINAL, ERR_TRANSIENT, NULL},
};

static void the_table_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        err_set(&e, rows[i].was, ERR_DOMAIN_GRPC, rows[i].code, "%s", rows[i].text);
        assert_int_equal(etcd_errors_refine(&e), rows[i].next);
        expect_error(&e, rows[i].kind, rows[i].becomes ? rows[i].becomes : rows[i].text);
        assert_int_equal(e.domain, ERR_DOMAIN_GRPC);
        assert_int_equal(e.code, rows[i].code);
    }
}

static void what_is_not_grpc_is_left_alone(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_HTTP2, 1, "somewhere: permission denied");
    assert_int_equal(etcd_errors_refine(&e), ETCD_ERRORS_FINAL);
    expect_error(&e, ERR_PROTOCOL, "somewhere: permission denied");
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_HTTP2, 8, "the server reset the stream: CANCEL");
    assert_int_equal(etcd_errors_refine(&e), ETCD_ERRORS_FINAL);
    expect_error(&e, ERR_TRANSIENT, "the server reset the stream: CANCEL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_table_holds),
            cmocka_unit_test(what_is_not_grpc_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
