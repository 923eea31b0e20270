/* HashKV of a file on the thread pool: the number, and each way in which there is none. */
#include "expect.h"

#include <sys/mman.h>
#include <unistd.h>

#include "job/verify/contents.h"
#include "made_up.h"

static struct {
    unsigned n;
    bool has_hash;
    struct keyspace_hash hash;
    struct err err;
} told;

static void on_read(void *ctx, const struct keyspace_hash *hash, const struct err *err)
{
    assert_ptr_equal(ctx, &told);
    assert_true((hash == NULL) == (err != NULL));
    told.n++;
    told.has_hash = hash != NULL;
    told.hash = hash ? *hash : (struct keyspace_hash){.hash = 0};
    told.err = err ? *err : ERR_INIT;
}

/* Reads a file of these bytes. */
static void read_all(struct bytes bytes, bool is_cancelled)
{
    struct contents_spec spec = {.fd = memfd_create("contents", MFD_CLOEXEC), .ctx = &told, .on_read = on_read};
    struct contents *c;
    struct err e = ERR_INIT;
    uv_loop_t loop;

    assert_true(spec.fd >= 0 && write(spec.fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
    assert_int_equal(uv_loop_init(&loop), 0);
    told.n = 0;
    c = contents_start(&loop, &spec, &e);
    assert_non_null(c);
    assert_int_equal(told.n, 0);
    if (is_cancelled)
        contents_cancel(c);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(told.n, 1);
    close(spec.fd);
}

/* The first made-up database that etcd could have, or could not. */
static void make(struct made_up *m, bool has_keys)
{
    for (uint64_t seed = 1;; seed++) {
        made_up_make(m, seed);
        if (m->has_keys == has_keys && m->has_meta == has_keys && (!has_keys || m->history.n_live > 3))
            return;
        made_up_release(m);
    }
}

static void test_number(void **state)
{
    struct made_up m;

    (void)state;
    make(&m, true);
    read_all((struct bytes){m.bytes, m.n_pages * m.page_size}, false);
    if (!told.has_hash)
        fail_msg("%s", told.err.text);
    assert_int_equal(told.hash.hash, m.history.hash);
    assert_int_equal(told.hash.keys, m.history.n_live);
    read_all((struct bytes){m.bytes, m.n_pages * m.page_size}, true);
    assert_int_equal(told.err.kind, ERR_CANCELLED);
    read_all((struct bytes){m.bytes, m.page_size * 2}, false);
    assert_int_equal(told.err.kind, ERR_INTEGRITY);
    read_all((struct bytes){m.bytes, 0}, false);
    assert_int_equal(told.err.kind, ERR_INTEGRITY);
    m.bytes[20] = m.bytes[m.page_size + 20] = 3;
    made_up_sign_meta(m.bytes);
    made_up_sign_meta(m.bytes + m.page_size);
    read_all((struct bytes){m.bytes, m.n_pages * m.page_size}, false);
    assert_int_equal(told.err.kind, ERR_CONFIG);
    made_up_release(&m);
}

static void test_no_database_of_etcd(void **state)
{
    struct made_up m;

    (void)state;
    make(&m, false);
    read_all((struct bytes){m.bytes, m.n_pages * m.page_size}, false);
    assert_int_equal(told.err.kind, ERR_NOT_FOUND);
    made_up_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_number), cmocka_unit_test(test_no_database_of_etcd)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
