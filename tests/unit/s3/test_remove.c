/*
 * Deleting many objects: what is asked for, what is read from the answer, and each allocation failing in turn. What a
 * store does with it is in tests/system/test_s3_remove.py.
 */
#include "expect.h"
#include "failing.h"
#include "s3/remove.h"
#include "s3/remove_batch.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define TAIL "<Quiet>false</Quiet></Delete>"

/* libcrypto as it is where FIPS 140 rules (without_md5), or broken. */
static bool without_md5, without_digests;

int __real_EVP_Digest(const void *data, size_t len, uint8_t *hash, unsigned *hash_len, const EVP_MD *md, ENGINE *impl);
int __wrap_EVP_Digest(const void *data, size_t len, uint8_t *hash, unsigned *hash_len, const EVP_MD *md, ENGINE *impl);
int __wrap_EVP_Digest(const void *data, size_t len, uint8_t *hash, unsigned *hash_len, const EVP_MD *md, ENGINE *impl)
{
    if (without_digests || (without_md5 && md == EVP_md5())) {
        ERR_raise(ERR_LIB_EVP, EVP_R_UNSUPPORTED_ALGORITHM);
        return 0;
    }
    return __real_EVP_Digest(data, len, hash, hash_len, md, impl);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .len = strlen(text)};
}

static struct remove_batch batch;

static void fill(const char *const *keys, size_t n)
{
    enum remove_batch_fit fit;
    struct err e = ERR_INIT;

    remove_batch_reset(&batch);
    for (size_t i = 0; i < n; i++) {
        expect_success(remove_batch_add(&batch, keys[i], i, &fit, &e) == 0, &e);
        assert_int_equal(fit, REMOVE_BATCH_TAKEN);
    }
    expect_success(remove_batch_close(&batch, &e) == 0, &e);
}

static void test_what_xml_carries(void **state)
{
    static const struct {
        const char *key;
        bool carried;
    } rows[] = {
            {"a", true},
            {"a b", true},
            {"<&>\"'", true},
            {"\x7f", true},
            {"\xc2\x80", true},
            {"\xc3\xbc/\xe6\x97\xa5\xf0\x9f\x98\x80", true},
            {"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd", true}, /* around the surrogates, and U+FFFD */
            {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},     /* U+10000, U+10FFFF */
            {"", false},
            {" a", false},
            {"a ", false},
            {" ", false},
            {"a\nb", false},
            {"a\rb", false},
            {"a\tb", false},
            {"\x01", false},
            {"\x1f", false},
            {"\x80", false}, /* a byte that continues nothing */
            {"\xff", false},
            {"\xc0\xaf", false}, /* longer than need be */
            {"\xc1\xbf", false},
            {"\xe0\x9f\xbf", false},
            {"\xf0\x8f\xbf\xbf", false},
            {"\xed\xa0\x80", false}, /* surrogates */
            {"\xed\xbf\xbf", false},
            {"\xef\xbf\xbe", false}, /* U+FFFE, U+FFFF */
            {"\xef\xbf\xbf", false},
            {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
            {"\xf5\x80\x80\x80", false},
            {"\xc3", false}, /* cut */
            {"\xe6\x97", false},
            {"\xf0\x9f\x98", false},
            {"\xe6\x97"
             "a",
                    false},
            {"a\xf0\x9f\x98", false},
    };
    char longest[1026];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (remove_batch_carries(rows[i].key) != rows[i].carried)
            fail_msg("row %zu", i);
    memset(longest, 'k', sizeof(longest));
    longest[1025] = '\0';
    assert_false(remove_batch_carries(longest));
    longest[1024] = '\0';
    assert_true(remove_batch_carries(longest));
}

static void test_body(void **state)
{
    static const char *const keys[] = {"b", "a&b<c>d\"e'f", "\xc3\xbc"};
    static const char body[] = HEAD "<Object><Key>b</Key></Object>"
                                    "<Object><Key>a&amp;b&lt;c&gt;d&quot;e&apos;f</Key></Object>"
                                    "<Object><Key>\xc3\xbc</Key></Object>" TAIL;

    (void)state;
    fill(keys, ARRAY_LEN(keys));
    assert_int_equal(batch.body.len, strlen(body));
    assert_memory_equal(batch.body.data, body, strlen(body));
    remove_batch_reset(&batch);
}

/* By number and by size, whichever comes first; and what is full is not too much. */
static void test_full(void **state)
{
    char ampersands[1025], name[16];
    enum remove_batch_fit fit = REMOVE_BATCH_TAKEN;
    struct err e = ERR_INIT;
    size_t n;

    (void)state;
    (void)snprintf(name, sizeof(name), "key");
    remove_batch_reset(&batch);
    for (n = 0; fit == REMOVE_BATCH_TAKEN; n++)
        expect_success(remove_batch_add(&batch, name, n, &fit, &e) == 0, &e);
    assert_int_equal(fit, REMOVE_BATCH_FULL);
    assert_int_equal(batch.n, 1000);

    memset(ampersands, '&', sizeof(ampersands));
    ampersands[1024] = '\0';
    fit = REMOVE_BATCH_TAKEN;
    remove_batch_reset(&batch);
    for (n = 0; fit == REMOVE_BATCH_TAKEN; n++)
        expect_success(remove_batch_add(&batch, ampersands, n, &fit, &e) == 0, &e);
    assert_int_equal(fit, REMOVE_BATCH_FULL);
    assert_int_equal(batch.n, ((512 << 10) - strlen(HEAD TAIL)) / (strlen("<Object><Key></Key></Object>") + 5 * 1024));
    /* What is smaller still goes in, up to the last byte. */
    for (fit = REMOVE_BATCH_TAKEN; fit == REMOVE_BATCH_TAKEN; n++)
        expect_success(remove_batch_add(&batch, name, n, &fit, &e) == 0, &e);
    expect_success(remove_batch_close(&batch, &e) == 0, &e);
    assert_true(batch.body.len <= REMOVE_BATCH_BODY_MAX && batch.body.len > REMOVE_BATCH_BODY_MAX - 32);
    expect_success(remove_batch_add(&batch, " x", n, &fit, &e) == 0, &e);
    assert_int_equal(fit, REMOVE_BATCH_UNFIT);
    remove_batch_reset(&batch);
}

/* The digests are those that md5sum and sha256sum make of this body. */
static void test_digest(void **state)
{
    static const char *const keys[] = {"a"};
    const char *name = NULL;
    char value[BODY_DIGEST_MAX];
    struct err e = ERR_INIT;

    (void)state;
    fill(keys, 1);
    expect_success(remove_batch_digest(&batch, &name, value, &e) == 0, &e);
    assert_string_equal(name, "content-md5");
    assert_string_equal(value, "sqrgJXyY5EvJzUIanjmH2g==");
    without_md5 = true;
    expect_success(remove_batch_digest(&batch, &name, value, &e) == 0, &e);
    without_md5 = false;
    assert_string_equal(name, "x-amz-checksum-sha256");
    assert_string_equal(value, "c8YBcL3Oj8bH2MYzqWRgryh9nxVyNnytRQcTuDFfRDY=");
    without_digests = true;
    assert_int_equal(remove_batch_digest(&batch, &name, value, &e), -1);
    without_digests = false;
    expect_error(&e, ERR_RESOURCE, "libcrypto makes neither an MD5 nor a SHA-256");
    assert_int_equal(ERR_peek_error(), 0);
    remove_batch_reset(&batch);
}

/* The answers for the keys a, b and <c>, as letters in this order: Silent, Gone, aGain, Refused. */
static void test_answers(void **state)
{
    static const char *const keys[] = {"b", "a", "<c>"};
    static const struct {
        const char *doc;
        const char *answers;
        const char *text; /* why a is not gone */
    } rows[] = {
            {"<DeleteResult/>", "SSS", NULL},
            {"<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>&lt;c&gt;</Key></Deleted></DeleteResult>",
                    "GSG", NULL},
            /* As S3 answers for a versioned bucket, and as Ceph does. */
            {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <Deleted>\n  <Key>b</Key>\n"
             "  <DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v</DeleteMarkerVersionId>\n </Deleted>\n"
             " <Error><Key>a</Key><VersionId></VersionId><Code>AccessDenied</Code><Message>Access\nDenied</Message>"
             "</Error></DeleteResult>",
                    "RGS", "AccessDenied: Access?Denied"},
            {"<DeleteResult><Error><Code>AccessDenied</Code><Key>a</Key></Error></DeleteResult>", "RSS",
                    "AccessDenied: this access key may not do that"},
            {"<DeleteResult><Error><Key>a</Key><Code>InternalError</Code><Message>m</Message></Error></DeleteResult>",
                    "ASS", "InternalError: m"},
            {"<DeleteResult><Error><Key>a</Key><Code>SlowDown</Code></Error></DeleteResult>", "ASS",
                    "SlowDown: the store asks for fewer requests"},
            {"<DeleteResult><Error><Key>a</Key><Code>New</Code></Error></DeleteResult>", "RSS", "New"},
            {"<DeleteResult><Error><Key>a</Key></Error></DeleteResult>", "RSS", "an error without a code"},
            {"<DeleteResult><Error><Key>a</Key><Code>NoSuchKey</Code></Error></DeleteResult>", "GSS", NULL},
            /* What an item says is not kept for the next one. */
            {"<DeleteResult><Error><Key>b</Key><Code>SlowDown</Code><Message>m</Message></Error>"
             "<Error><Key>a</Key></Error></DeleteResult>",
                    "RAS", "an error without a code"},
            /* Twice: bad news is believed. */
            {"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>m</Message></Error>"
             "<Deleted><Key>a</Key></Deleted></DeleteResult>",
                    "RSS", "AccessDenied: m"},
            {"<DeleteResult><Deleted><Key>a</Key></Deleted>"
             "<Error><Key>a</Key><Code>AccessDenied</Code><Message>m</Message></Error>"
             "<Error><Key>a</Key><Code>SlowDown</Code><Message>m</Message></Error></DeleteResult>",
                    "RSS", "SlowDown: m"},
            {"<DeleteResult><Error><Key>a</Key><Code>SlowDown</Code><Message>m</Message></Error>"
             "<Deleted><Key>a</Key></Deleted></DeleteResult>",
                    "ASS", "SlowDown: m"},
            /* Of no concern. */
            {"<DeleteResult><Deleted><Key>d</Key></Deleted><Deleted><Key/></Deleted><Deleted><Key>A</Key></Deleted>"
             "<Error><Key>aa</Key><Code>AccessDenied</Code></Error><New><Key>a</Key></New>"
             "<Deleted><X><Key>a</Key></X><Key>b</Key></Deleted></DeleteResult>",
                    "SGS", NULL},
    };
    static const char letters[] = {[REMOVE_BATCH_SILENT] = 'S',
            [REMOVE_BATCH_GONE] = 'G',
            [REMOVE_BATCH_AGAIN] = 'A',
            [REMOVE_BATCH_REFUSED] = 'R'};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char answers[4] = "";
        struct err e = ERR_INIT;

        fill(keys, ARRAY_LEN(keys));
        expect_success(remove_batch_read(&batch, text_bytes(rows[i].doc), &e) == 0, &e);
        /* Sorted: <c>, a, b. */
        assert_string_equal(batch.keys[1].key, "a");
        assert_int_equal(batch.keys[1].index, 1);
        for (size_t k = 0; k < 3; k++)
            answers[k] = letters[batch.keys[(k + 1) % 3].answer];
        assert_string_equal(answers, rows[i].answers);
        assert_int_equal(!batch.keys[1].err, !rows[i].text);
        if (rows[i].text)
            assert_string_equal(batch.keys[1].err->text, rows[i].text);
    }
    remove_batch_reset(&batch);
}

static void test_same_key_again(void **state)
{
    static const char *const keys[] = {"b", "a", "b", "c", "b"};
    static const char doc[] = "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error>"
                              "<Deleted><Key>c</Key></Deleted></DeleteResult>";
    struct err e = ERR_INIT;

    (void)state;
    fill(keys, ARRAY_LEN(keys));
    expect_success(remove_batch_read(&batch, text_bytes(doc), &e) == 0, &e);
    assert_int_equal(batch.keys[0].answer, REMOVE_BATCH_SILENT);
    for (size_t i = 1; i <= 3; i++)
        expect_error(batch.keys[i].err, ERR_AUTH, "AccessDenied: this access key may not do that");
    assert_int_equal(batch.keys[4].answer, REMOVE_BATCH_GONE);
    remove_batch_reset(&batch);
}

static void test_answers_that_are_none(void **state)
{
    static const char *const keys[] = {"a"};
    static const struct {
        const char *doc, *text;
    } rows[] = {
            {"", "an empty answer in place of XML"},
            {"<DeleteResult><Deleted><Key>a</Key></Deleted>", "not XML: no element found at byte 45"},
            {"<DeleteResult><Deleted></Deleted></DeleteResult>", "an item of <DeleteResult> without <Key>"},
            {"<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><VersionId>a</VersionId></Deleted></DeleteResult>",
                    "an item of <DeleteResult> without <Key>"},
            {"<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>",
                    "an item of <DeleteResult> without <Key>"},
            {"<Error><Code>NotImplemented</Code></Error>", "<Error> NotImplemented in place of <DeleteResult>"},
            {"<html/>", "<html> in place of <DeleteResult>"},
            {"<!DOCTYPE a><DeleteResult/>", "XML with a DOCTYPE is refused"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        fill(keys, 1);
        assert_int_equal(remove_batch_read(&batch, text_bytes(rows[i].doc), &e), -1);
        expect_error(&e, ERR_PROTOCOL, rows[i].text);
    }
    remove_batch_reset(&batch);
}

/* A key as long as they may be, and one byte more that must not be taken for it. */
static void test_long_keys(void **state)
{
    char key[1025], doc[2048];
    const char *keys[] = {key};
    struct err e = ERR_INIT;

    (void)state;
    memset(key, 'k', 1024);
    key[1024] = '\0';
    for (int longer = 0; longer < 2; longer++) {
        fill(keys, 1);
        (void)snprintf(doc, sizeof(doc), "<DeleteResult><Deleted><Key>%s%s</Key></Deleted></DeleteResult>", key,
                longer ? "k" : "");
        expect_success(remove_batch_read(&batch, text_bytes(doc), &e) == 0, &e);
        assert_int_equal(batch.keys[0].answer, longer ? REMOVE_BATCH_SILENT : REMOVE_BATCH_GONE);
    }
    remove_batch_reset(&batch);
}

static void test_batch_without_memory(void **state)
{
    static const char doc[] = "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>";
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        enum remove_batch_fit fit;
        const char *name;
        char value[BODY_DIGEST_MAX];
        struct err e = ERR_INIT;
        int result;

        remove_batch_reset(&batch);
        failing_arm(++n);
        result = remove_batch_add(&batch, "a", 0, &fit, &e);
        if (result == 0)
            result = remove_batch_close(&batch, &e);
        if (result == 0)
            result = remove_batch_digest(&batch, &name, value, &e);
        if (result == 0)
            result = remove_batch_read(&batch, text_bytes(doc), &e);
        reached = failing_disarm();
        assert_int_equal(result, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_true(n > 2);
    remove_batch_reset(&batch);
}

/* From here on with a loop, and without a store. */

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    (void)ctx, (void)out;
    return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "no credentials today");
}

static const struct s3_conf conf = {
        .endpoint = "http://127.0.0.1:1",
        .bucket = "bucket",
        .region = "us-east-1",
        .max_attempts = 3,
        .max_connections = 1,
        .credentials = credentials,
};

struct told {
    struct s3_remove *remove;
    unsigned n_each, n_done, cancel_at;
    struct err each, done;
};

static void on_each(void *ctx, size_t index, const struct err *err)
{
    struct told *told = ctx;

    (void)index;
    told->each = *err;
    if (++told->n_each == told->cancel_at)
        s3_remove_cancel(told->remove);
}

static void on_done(void *ctx, const struct err *err)
{
    struct told *told = ctx;

    told->n_done++;
    told->done = err ? *err : ERR_INIT;
}

/* Runs it to its end. With `fail_at` that allocation fails once the loop runs; returns whether it was reached. */
static bool run(const char *const *keys, size_t n, struct told *told, size_t fail_at)
{
    const struct s3_remove_spec spec = {.keys = keys, .n = n, .ctx = told, .on_each = on_each, .on_done = on_done};
    struct err e = ERR_INIT;
    struct s3_client *c;
    uv_loop_t loop;
    bool reached = false;

    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    expect_success(c, &e);
    told->remove = s3_remove_start(c, &spec, &e);
    expect_success(told->remove, &e);
    assert_int_equal(told->n_each + told->n_done, 0);
    if (fail_at > 0)
        failing_arm(fail_at);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    if (fail_at > 0)
        reached = failing_disarm();
    s3_client_free(c);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    return reached;
}

static void test_nothing_to_do(void **state)
{
    struct told told = {.n_each = 0};

    (void)state;
    (void)run(NULL, 0, &told, 0);
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.done.kind, ERR_NONE);
}

/* A key that no request can be for is told and harms no other. */
static void test_impossible_keys(void **state)
{
    static const char *const keys[] = {"", "", ""};
    struct told told = {.n_each = 0};

    (void)state;
    (void)run(keys, 3, &told, 0);
    assert_int_equal(told.n_each, 3);
    assert_int_equal(told.each.kind, ERR_CONFIG);
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.done.kind, ERR_NONE);
}

static void test_cancelled_in_on_each(void **state)
{
    static const char *const keys[] = {"", "", ""};
    struct told told = {.cancel_at = 2};

    (void)state;
    (void)run(keys, 3, &told, 0);
    assert_int_equal(told.n_each, 2);
    assert_int_equal(told.n_done, 0);
}

/* What is wrong with all keys is said once: by batch, and one by one. */
static void test_failing_credentials(void **state)
{
    static const char *const batched[] = {"a", "b"}, *const alone[] = {" a", " b", " c", " d", " e", " f"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct told told = {.n_each = 0};

        (void)run(i ? alone : batched, i ? 6 : 2, &told, 0);
        assert_int_equal(told.n_each, 0);
        assert_int_equal(told.n_done, 1);
        expect_error(&told.done, ERR_BUSY, "no credentials today");
    }
}

static void test_cancel_never_calls_back(void **state)
{
    static const char *const keys[] = {"a", " b"};
    struct told told = {.n_each = 0};
    const struct s3_remove_spec spec = {.keys = keys, .n = 2, .ctx = &told, .on_each = on_each, .on_done = on_done};
    struct err e = ERR_INIT;
    struct s3_client *c;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    s3_remove_cancel(s3_remove_start(c, &spec, &e));
    s3_client_free(c);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(told.n_each + told.n_done, 0);
}

static void test_start_without_memory(void **state)
{
    const struct s3_remove_spec spec = {.n = 0, .on_each = on_each, .on_done = on_done};
    uv_loop_t loop;
    struct err e = ERR_INIT;
    struct s3_client *c;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    c = s3_client_new(&loop, &conf, &e);
    for (size_t n = 1; n <= 2; n++) {
        e = ERR_INIT;
        failing_arm(n);
        assert_null(s3_remove_start(c, &spec, &e));
        assert_true(failing_disarm());
        expect_error(&e, ERR_RESOURCE, "out of memory");
    }
    s3_client_free(c);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Wherever it fails in the loop, it is told once and nothing is left. */
static void test_run_without_memory(void **state)
{
    static const char *const batched[] = {"a", "b"}, *const alone[] = {" a", " b", " c", " d", " e"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        bool reached;

        do {
            struct told told = {.n_each = 0};

            reached = run(i ? alone : batched, i ? 5 : 2, &told, ++n);
            assert_int_equal(told.n_done, 1);
            assert_int_equal(told.n_each, 0);
            assert_true(told.done.kind == ERR_BUSY || (reached && told.done.kind == ERR_RESOURCE));
        } while (reached);
        assert_true(n > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_xml_carries),
            cmocka_unit_test(test_body),
            cmocka_unit_test(test_full),
            cmocka_unit_test(test_digest),
            cmocka_unit_test(test_answers),
            cmocka_unit_test(test_same_key_again),
            cmocka_unit_test(test_answers_that_are_none),
            cmocka_unit_test(test_long_keys),
            cmocka_unit_test(test_batch_without_memory),
            cmocka_unit_test(test_nothing_to_do),
            cmocka_unit_test(test_impossible_keys),
            cmocka_unit_test(test_cancelled_in_on_each),
            cmocka_unit_test(test_failing_credentials),
            cmocka_unit_test(test_cancel_never_calls_back),
            cmocka_unit_test(test_start_without_memory),
            cmocka_unit_test(test_run_without_memory),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
