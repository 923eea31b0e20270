/* Who the members of a restored cluster will be: what etcd would refuse, or silently misunderstand. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/peer_urls.h"

static unsigned count;
static char said[1024];

static void on_found(void *ctx, const struct err *e)
{
    (void)ctx;
    assert_int_equal(e->kind, ERR_CONFIG);
    (void)snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", count++ ? "; " : "", e->text);
}

static const char *check(const char *name, const char *cluster, const char *advertised)
{
    const struct peer_urls given = {.name = name, .cluster = cluster, .advertised = advertised};

    count = 0;
    said[0] = '\0';
    peer_urls_check(&given, on_found, NULL);
    return said;
}

/* All of it was tried with etcdutl 3.5.16 and etcdctl 3.4.23, which take it. */
static void test_right(void **state)
{
    static const char *const rows[][3] = {
            {NULL, NULL, NULL},
            {"", "", ""},
            {"default", "default=http://localhost:2380", "http://localhost:2380"},
            {"n2", "n1=https://10.0.0.1:2380,n2=https://10.0.0.2:2380,n3=https://10.0.0.3:2380",
                    "https://10.0.0.2:2380"},
            {"n1", "n1=http://a:2380,n1=http://b:2381", "http://b:2381,http://a:2380"}, /* a member with two URLs */
            {"n1", "n1=https://[::1]:2380,n2=https://[fd00::2]:2380", "https://[::1]:2380"},
            {"n1", "n1=http://a:2380,n2=https://b:2380", "http://a:2380"},
            {"n1", "n1=http://host.example:2380", "http://10.0.0.1:2380"}, /* only the resolver knows */
            {"n1", "n1=http://127.0.0.1:2380,", "http://127.0.0.1:2380,"},
            {"n1", "n1=unix://a:1", "unix://a:1"},
            {NULL, "n1=http://a:2380", "http://b:2380"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(check(rows[i][0], rows[i][1], rows[i][2]), "");
}

static void test_wrong(void **state)
{
    static const struct {
        const char *cluster, *advertised, *words; /* of the member n1 */
    } rows[] = {
            {"n1=http://127.0.0.1:2380", "http://127.0.0.2:2380",
                    "--initial-advertise-peer-urls: http://127.0.0.2:2380 is no URL of n1 in --initial-cluster "
                    "n1=http://127.0.0.1:2380; --initial-cluster: http://127.0.0.1:2380 of n1 is missing from "
                    "--initial-advertise-peer-urls http://127.0.0.2:2380"},
            {"n1=https://a:2380", "http://a:2380",
                    "--initial-advertise-peer-urls: http://a:2380 is no URL of n1 in --initial-cluster "
                    "n1=https://a:2380; --initial-cluster: https://a:2380 of n1 is missing from "
                    "--initial-advertise-peer-urls http://a:2380"},
            {"n1=http://localhost:2380", "http://127.0.0.1:2380",
                    "--initial-advertise-peer-urls: http://127.0.0.1:2380 is no URL of n1 in --initial-cluster "
                    "n1=http://localhost:2380; --initial-cluster: http://localhost:2380 of n1 is missing from "
                    "--initial-advertise-peer-urls http://127.0.0.1:2380"},
            {"n1=http://a:2380,n1=http://b:2381", "http://a:2380",
                    "--initial-cluster: http://b:2381 of n1 is missing from --initial-advertise-peer-urls "
                    "http://a:2380"},
            {"n1=http://127.0.0.1", "",
                    "--initial-cluster: n1=http://127.0.0.1: it has no port (etcd's for members is 2380)"},
            {"n1=http://[::1]", "", "--initial-cluster: n1=http://[::1]: it has no port (etcd's for members is 2380)"},
            {"n1=http://::1:2380", "", "--initial-cluster: n1=http://::1:2380: an IPv6 address stands in brackets"},
            {"n1=http://a:0", "", "--initial-cluster: n1=http://a:0: its port is no number from 1 to 65535"},
            {"n1=http://a:99999", "", "--initial-cluster: n1=http://a:99999: its port is no number from 1 to 65535"},
            {"n1=http://a:23x", "", "--initial-cluster: n1=http://a:23x: its port is no number from 1 to 65535"},
            {"n1=http://a:2380/", "",
                    "--initial-cluster: n1=http://a:2380/: nothing may stand behind the port, and no user before the "
                    "host"},
            {"n1=http://:2380", "",
                    "--initial-cluster: n1=http://:2380: it has no host, by which others could find this member"},
            {"n1=a:2380", "", "--initial-cluster: n1=a:2380: it begins with neither http:// nor https://"},
            {"n1=HTTP://a:2380", "",
                    "--initial-cluster: n1=HTTP://a:2380: it begins with neither http:// nor https://"},
            {"n1", "", "--initial-cluster: 'n1' is not NAME=URL"},
            {"n1=http://a:2380,=http://b:2380", "", "--initial-cluster: '=http://b:2380' is not NAME=URL"},
            {"n1=http://a:2380,n2=http://a:2380", "",
                    "--initial-cluster: http://a:2380 stands there twice: each member has URLs of its own"},
            {"n1=http://a:2380, n2=http://b:2380", "",
                    "--initial-cluster: ' n2=http://b:2380': the blank would be a part of the member's name: leave it "
                    "out"},
            {"n1=http://a:2380", "http://a:2380, http://b:2380",
                    "--initial-advertise-peer-urls: ' http://b:2380': there is a blank in it"},
            {"n10=http://a:2380", "", "--initial-cluster n10=http://a:2380 has no member of the --name n1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(check("n1", rows[i].cluster, rows[i].advertised), rows[i].words);
}

static void test_mixed(void **state)
{
    (void)state;
    assert_true(peer_urls_are_mixed("a=http://a:1,b=https://b:1"));
    assert_false(peer_urls_are_mixed("a=http://a:1,b=http://b:1") || peer_urls_are_mixed("a=https://a:1,b=https") ||
                 peer_urls_are_mixed(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_right),
            cmocka_unit_test(test_wrong),
            cmocka_unit_test(test_mixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
