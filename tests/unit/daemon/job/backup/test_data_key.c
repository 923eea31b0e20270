/* The data key of a backup: with which master key it is wrapped, and what a look at it says. */
#include "expect.h"

#include <string.h>

#include "folder.h"
#include "job/backup/data_key.h"
#include "job/backup/key_object.h"
#include "job/keys/keyring.h"
#include "seal/key.h"

enum { INSTANT = 1733520145 };

static const char master[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
static const char other_master[] = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

static struct conf conf = {.encryption_key_path = (char *)(uintptr_t)("master.key")};
static struct core *const core = (struct core *)(void *)&conf;

const struct conf *core_conf(const struct core *c)
{
    assert_ptr_equal(c, core);
    return &conf;
}

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)e;
    assert_ptr_equal(c, core);
    return NULL;
}

/* ---- in place of key_object.c ---- */

static struct key_object {
    struct key_object_spec spec;
    uint8_t wrapped[KEY_WRAPPED_LEN];
    unsigned stored, freed;
    void *ctx;
    void (*on_checked)(void *ctx, struct bytes found, const struct err *err);
    void (*on_removed)(void *ctx);
} object;

struct key_object *key_object_store(struct s3_client *s3, const struct key_object_spec *spec, struct err *e)
{
    (void)s3;
    (void)e;
    object.spec = *spec;
    (void)memcpy(object.wrapped, spec->wrapped.data, sizeof(object.wrapped));
    object.stored++;
    return &object;
}

int key_object_check(struct key_object *k, void *ctx,
        void (*on_checked)(void *ctx, struct bytes found, const struct err *err), struct err *e)
{
    (void)e;
    assert_ptr_equal(k, &object);
    object.ctx = ctx;
    object.on_checked = on_checked;
    return 0;
}

void key_object_hurry(struct key_object *k)
{
    assert_ptr_equal(k, &object);
}

bool key_object_remove(struct key_object *k, void *ctx, void (*on_removed)(void *ctx))
{
    assert_ptr_equal(k, &object);
    object.ctx = ctx;
    object.on_removed = on_removed;
    return true;
}

void key_object_free(struct key_object *k)
{
    object.freed += k != NULL;
}

/* ---- the tests ---- */

static struct data_key *key;
static struct err told;
static unsigned n_checked, n_removed;

static void on_checked(void *ctx, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    told = err ? *err : ERR_INIT;
    n_checked++;
}

static void on_removed(void *ctx)
{
    assert_ptr_equal(ctx, &told);
    n_removed++;
}

static int setup(void **state)
{
    struct err e = ERR_INIT;

    if (folder_setup(state) < 0)
        return -1;
    folder_write("master.key", master, sizeof(master) - 1, 0600);
    object = (struct key_object){.stored = 0};
    n_checked = n_removed = 0;
    key = data_key_new(core, INSTANT, &e);
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    data_key_free(key);
    return object.freed == object.stored ? folder_teardown(state) : -1;
}

static void store(void)
{
    const struct backup_result backup = {
            .name = "a.dump", .member = {.cluster_id = 7, .revision = 5}, .revision_after = 6};
    struct err e = ERR_INIT;

    expect_success(data_key_store(key, &backup, &(struct data_key_events){.ctx = &told}, &e) == 0, &e);
    assert_string_equal(object.spec.dump, "a.dump");
    assert_int_equal(object.spec.cluster, 7);
    assert_int_equal(object.spec.revision_before, 5);
    assert_int_equal(object.spec.revision_after, 6);
}

static void look(struct bytes found, enum err_kind kind)
{
    struct err e = ERR_INIT, failure = ERR_INIT;

    expect_success(data_key_check(key, &told, on_checked, &e) == 0, &e);
    err_set(&failure, kind, ERR_DOMAIN_NONE, 0, "broken");
    object.on_checked(object.ctx, found, kind ? &failure : NULL);
}

static bool opens(const char *path, const uint8_t *wrapped)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *with = key_read_master(path, &e), *opened = NULL;

    expect_success(with, &e);
    opened = key_unwrap(with, (struct bytes){wrapped, KEY_WRAPPED_LEN}, INSTANT, false, &e);
    return opened && secret_equal(opened, data_key_secret(key));
}

/* What is wrong with the master key is known at once. */
static void test_no_master_key(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    conf.encryption_key_path = (char *)(uintptr_t)("none.key");
    assert_null(data_key_new(core, INSTANT, &e));
    assert_int_not_equal(e.kind, ERR_NONE);
    conf.encryption_key_path = (char *)(uintptr_t)("master.key");
}

/* By the master key of the backup's end: that of its beginning may have been rotated away. */
static void test_wrapped_when_it_is_stored(void **state)
{
    (void)state;
    assert_false(data_key_is_there(key));
    folder_write("first.key", master, sizeof(master) - 1, 0600);
    folder_write("master.key", other_master, sizeof(other_master) - 1, 0600);
    store();
    assert_true(data_key_is_there(key));
    assert_true(opens("master.key", object.wrapped));
    assert_false(opens("first.key", object.wrapped));
}

static void test_what_a_look_says(void **state)
{
    static const struct bytes same = {0};
    uint8_t anew[KEY_WRAPPED_LEN];
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *with = key_read_master("master.key", &e);

    (void)state;
    store();
    look(same, ERR_NONE);
    assert_int_equal(told.kind, ERR_NONE);
    assert_int_equal(key_wrap(with, data_key_secret(key), INSTANT, anew, &e), 0); /* as a rotation does */
    look((struct bytes){anew, sizeof(anew)}, ERR_NONE);
    assert_int_equal(told.kind, ERR_NONE);
    anew[40] ^= 1;
    look((struct bytes){anew, sizeof(anew)}, ERR_NONE);
    expect_error(&told, ERR_TRANSIENT,
            "the key beside a.dump is not the one that was stored: another backup has the same name, and this one "
            "cannot be read");
    look(same, ERR_NOT_FOUND); /* another attempt may do better */
    expect_error(&told, ERR_TRANSIENT, "the dump a.dump is stored, but its key was not seen: broken");
    look(same, ERR_RESOURCE);
    expect_error(&told, ERR_RESOURCE, "the dump a.dump is stored, but its key was not seen: broken");
    look(same, ERR_AUTH); /* who may not look has not seen anything wrong */
    expect_error(&told, ERR_AUTH, "broken");
    assert_int_equal(n_checked, 6);
}

/* Taken back, or left where it is, it is there no more to be taken back. */
static void test_the_end_of_it(void **state)
{
    (void)state;
    assert_false(data_key_remove(key, &told, on_removed));
    store();
    assert_true(data_key_remove(key, &told, on_removed));
    assert_true(data_key_is_there(key));
    object.on_removed(object.ctx);
    assert_int_equal(n_removed, 1);
    assert_false(data_key_is_there(key));
    store();
    data_key_leave(key);
    assert_false(data_key_is_there(key));
    assert_false(data_key_remove(key, &told, on_removed));
    assert_int_equal(object.freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_no_master_key, setup, teardown),
            cmocka_unit_test_setup_teardown(test_wrapped_when_it_is_stored, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_a_look_says, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_end_of_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
