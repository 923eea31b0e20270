/* What is looked at on this machine before a restore: all that is in the way is told, and what is right is opened. */
#include "expect.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "job/restore/preflight.h"

/* ---- in place of etcdutl.c ---- */

struct etcdutl {
    bool can_bump, is_too_old;
};
static struct etcdutl etcdutl;

const char *etcdutl_path(const struct etcdutl *u)
{
    assert_ptr_equal(u, &etcdutl);
    return "/opt/etcdutl";
}

const char *etcdutl_version(const struct etcdutl *u)
{
    assert_ptr_equal(u, &etcdutl);
    return "etcdutl version: 3.5.4";
}

bool etcdutl_can_bump(const struct etcdutl *u)
{
    return u->can_bump;
}

int etcdutl_check_storage(const struct etcdutl *u, const char *storage_version, struct err *e)
{
    assert_string_equal(storage_version, "3.6.0");
    return u->is_too_old ? err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "too old for it") : 0;
}

/* ---- the tests ---- */

static struct objections found;
static struct destination to;
static char data[512], wal[512], output[512];
static struct unpack_options options;
static struct preflight_spec spec;

static int setup(void **state)
{
    if (folder_setup(state) < 0)
        return -1;
    (void)snprintf(data, sizeof(data), "%s/data", folder_path());
    (void)snprintf(wal, sizeof(wal), "%s/wal", folder_path());
    (void)snprintf(output, sizeof(output), "%s/snapshot.db", folder_path());
    etcdutl = (struct etcdutl){.can_bump = false};
    found = OBJECTIONS_INIT;
    options = (struct unpack_options){.data_dir = data};
    spec = (struct preflight_spec){.output = output,
            .unpacks = true,
            .unpack = &options,
            .etcdutl = &etcdutl,
            .name = "a.dump",
            .storage_version = "3.6.0",
            .snapshot_size = 1000};
    return 0;
}

static int teardown(void **state)
{
    destination_clear(&to);
    return folder_teardown(state);
}

static void check(void)
{
    destination_clear(&to);
    found = OBJECTIONS_INIT;
    preflight_check(&spec, &to, &found);
}

/* That of this number contains that. */
static void objects(unsigned i, const char *text)
{
    assert_true(i < found.count);
    if (!strstr(found.all[i].text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, found.all[i].text);
}

static void test_all_is_well(void **state)
{
    (void)state;
    options.wal_dir = wal;
    check();
    assert_int_equal(found.count, 0);
    assert_string_equal(data_dir_path(to.data), data);
    assert_string_equal(data_dir_path(to.wal), wal);
    assert_non_null(to.file);
    destination_clear(&to);
    assert_int_equal(folder_count(), 0); /* it has touched nothing */
    spec.unpacks = false;
    check();
    assert_int_equal(found.count, 0);
    assert_true(to.file && !to.data && !to.wal);
}

static void test_everything_at_once(void **state)
{
    (void)state;
    assert_int_equal(mkdir("data", 0700), 0);
    folder_write("data/member", "x", 1, 0600);
    assert_int_equal(mkdir("wal", 0700), 0);
    folder_write("wal/0.wal", "x", 1, 0600);
    options.wal_dir = wal;
    options.bump_revision = 1000;
    options.owner = (char *)(uintptr_t)("nobody-of-that-name");
    spec.output = folder_path();
    spec.output_is_chosen = true;
    check();
    assert_int_equal(found.count, 6);
    objects(0, "--bump-revision and --mark-compacted only work together");
    objects(1, "--bump-revision: /opt/etcdutl (etcdutl version: 3.5.4) does not know it");
    objects(2, "--data-dir: ");
    objects(3, "--wal-dir: ");
    objects(4, "nobody-of-that-name");
    objects(5, "is a directory, not the name of a file");
    assert_true(!to.file && !to.data && !to.wal);
}

/* One that can do it, or that is not there, which somebody else objects to. */
static void test_etcdutl(void **state)
{
    (void)state;
    options.bump_revision = 1000;
    options.mark_compacted = true;
    etcdutl.is_too_old = true;
    check();
    assert_int_equal(found.count, 2);
    objects(0, "a.dump: too old for it; --use-etcdutl=false leaves the snapshot in a file");
    etcdutl = (struct etcdutl){.can_bump = true};
    check();
    assert_int_equal(found.count, 0);
    spec.etcdutl = NULL;
    check();
    assert_int_equal(found.count, 0);
}

/* By a link, which the options do not show. */
static void test_one_in_the_other(void **state)
{
    char inside[600];

    (void)state;
    assert_int_equal(mkdir("data", 0700), 0);
    assert_int_equal(symlink("data", "other"), 0);
    (void)snprintf(inside, sizeof(inside), "%s/other/wal", folder_path());
    options.wal_dir = inside;
    check();
    assert_int_equal(found.count, 1);
    objects(0, "--wal-dir and --data-dir lie in each other");
}

/* What is chosen freely is named; of what is not known no room is asked for. */
static void test_room(void **state)
{
    (void)state;
    spec.snapshot_size = UINT64_C(1) << 60;
    check();
    assert_int_equal(found.count, 1);
    assert_int_equal(found.all[0].kind, ERR_RESOURCE);
    objects(0, "--output FILE takes another disk for the snapshot until it is unpacked");
    spec.unpacks = false;
    check();
    assert_int_equal(found.count, 1);
    objects(0, "--output FILE takes another disk for the snapshot");
    assert_null(strstr(found.all[0].text, "until"));
    spec.snapshot_size = UINT64_MAX;
    check();
    assert_int_equal(found.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
            cmocka_unit_test_setup_teardown(test_everything_at_once, setup, teardown),
            cmocka_unit_test_setup_teardown(test_etcdutl, setup, teardown),
            cmocka_unit_test_setup_teardown(test_one_in_the_other, setup, teardown),
            cmocka_unit_test_setup_teardown(test_room, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
