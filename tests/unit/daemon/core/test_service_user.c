/* What root can read and another user cannot. */
#include "expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/service_user.h"
#include "folder.h"
#include "version.h"

static char told[4096];

static void on_line(void *ctx, const char *text)
{
    size_t used = strlen(told);

    (void)ctx;
    (void)snprintf(told + used, sizeof(told) - used, "%s\n", text);
}

static void write_file(const char *name, mode_t mode)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static void test_files(void **state)
{
    struct conf c = {.file = (char[]){"conf.yml"},
            .encryption_key_path = (char[]){"closed/master.key"},
            .etcd = {.ca_cert = (char[]){"missing.crt"}},
            .s3 = {.ca_cert = (char[]){"ca.crt"}, .key_auth = (char[]){"keys.yml"}}};
    char *previous[] = {(char[]){"/run/credentials/unit/previous.key"}};

    (void)state;
    if (geteuid() != 0)
        skip();
    c.previous_key_paths = previous;
    c.n_previous_key_paths = 1;
    write_file("conf.yml", 0644);
    write_file("ca.crt", 0644);
    write_file("keys.yml", 0600);
    assert_int_equal(mkdir("closed", 0700), 0);
    write_file("closed/master.key", 0644);
    assert_int_equal(chmod(".", 0755), 0);
    service_user_check(&c, "nobody", on_line, NULL);
    assert_string_equal(told,
            "conf.yml: encryption_key_path: closed/master.key: the user nobody, whom the service runs as, cannot read "
            "it: "
            "chgrp nobody and chmod g+r, for a directory above it g+x; or LoadCredential= (keys.conf)\n"
            "conf.yml: s3_client.auth.key_auth: keys.yml: the user nobody, whom the service runs as, cannot read it: "
            "chgrp "
            "nobody and chmod g+r, for a directory above it g+x; or LoadCredential= (keys.conf)\n");
    told[0] = '\0';
    service_user_check(&c, "no-such-user-here", on_line, NULL);
    service_user_check(&c, "root", on_line, NULL);
    assert_string_equal(told, "");
    assert_int_equal(rename("closed/master.key", "keys.yml"), 0);
}

static void test_whose_file(void **state)
{
    (void)state;
    assert_true(service_user_has_file(DEFAULT_CONFIG));
    assert_true(service_user_has_file(SYSCONFDIR "/etcd-backupd/prod.conf"));
    assert_false(service_user_has_file("etcd-backupd.conf"));
    assert_false(service_user_has_file("/tmp/etcd-backupd/prod.conf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_files, folder_setup, folder_teardown),
            cmocka_unit_test(test_whose_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
