/*
 * Reads everything in tests/vectors, which the Go tool wrote, as a restore would: master key, wrapped key, chunks,
 * etcd's SHA-256; and compares with what its README.md says the plaintext is. The argument is that folder.
 */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "base/timestamp.h"
#include "seal/digest.h"
#include "seal/key.h"
#include "seal/unseal.h"

static const char *folder;

static const struct vector {
    const char *name;
    size_t data, plain, dump; /* bytes */
    bool trailer;
    const char *sha256; /* of the plaintext */
} vectors[] = {
        {"2024-12-06T21:22:21Z", 512, 544, 584, true,
                "90f3a49f55a7b6497b19a059d739fe5f48a999675442c36b09bb4dca373b044c"},
        {"2024-12-06T21:22:22Z", 1048544, 1048576, 1048616, true,
                "1a96018906fb5f34c29d7b2ecad69e2857588ed542cb478482efa476517d8d70"},
        {"2024-12-06T21:22:23Z", 1048576, 1048608, 1048688, true,
                "0c54712da0e3b5273d69ce6c78e428a83ee546a06bf0a8216ad2cb5945b4445b"},
        {"2024-12-06T21:22:24Z", 2097664, 2097696, 2097816, true,
                "f0396bc009eca4e880c9a6549ebf5ffdf9b2bb95eee69a759e3a4356525de1aa"},
        {"2024-12-06T21:22:25Z", 3145216, 3145248, 3145368, true,
                "1be627e93098efbbae239702a74a1930142db264270f5438bd2a93a3fd22cad8"},
        {"2024-12-06T21:22:26Z", 1000, 1000, 1040, false,
                "529d132551c0d7b7f137c39fce61f608de27036f121d9967bcaa48153e76b26d"},
};

/* The file's bytes, `len` of them exactly. The caller frees. */
static uint8_t *read_file(const char *name, const char *suffix, size_t len)
{
    char path[1024];
    _cleanup_fclose_ FILE *f = NULL;
    uint8_t *data = malloc(len + 1);

    (void)snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    f = fopen(path, "rbe");
    assert_non_null(f);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, len + 1, f), len);
    return data;
}

/* The data key of a vector. The master key's file is one that everybody may read: it is no secret here. */
static struct secret *unwrap(const struct vector *v, int64_t instant)
{
    struct err e = ERR_INIT;
    _cleanup_free_ char *hex = (char *)read_file("master.key", "", 64);
    _cleanup_secret_ struct secret *master = secret_new(KEY_LEN, &e);
    struct secret *data_key;
    char name[64];
    _cleanup_free_ uint8_t *wrapped = NULL;

    assert_int_equal(sodium_hex2bin(secret_data(master), KEY_LEN, hex, 64, NULL, NULL, NULL), 0);
    (void)snprintf(name, sizeof(name), "backup-%s", v->name);
    wrapped = read_file(name, ".key", KEY_WRAPPED_LEN);
    data_key = key_unwrap(master, (struct bytes){wrapped, KEY_WRAPPED_LEN}, instant, false, &e);
    expect_success(data_key, &e);
    return data_key;
}

/* The plaintext as README.md defines it: SHA-256 of 0, 1, 2, ... and, where there is one, the trailer. */
static uint8_t *documented_plaintext(const struct vector *v)
{
    uint8_t *plain = malloc(v->data + 64), counter[8];

    assert_non_null(plain);
    for (size_t i = 0; i * 32 < v->data; i++) {
        be64_store(counter, i);
        crypto_hash_sha256(plain + i * 32, counter, sizeof(counter));
    }
    if (v->trailer)
        crypto_hash_sha256(plain + v->data, plain, v->data);
    return plain;
}

/* Decrypts the `len` bytes of the dump at `sealed` into `out`, and has the digest watch. */
static int restore(const struct secret *data_key, const uint8_t *sealed, size_t len, uint8_t *out, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = unseal_new(data_key, len, e);
    _cleanup_(cleanup_digest_free) struct digest *d = digest_new(e);
    size_t n;

    expect_success(u, e);
    expect_success(d, e);
    while ((n = unseal_next_len(u)) > 0) {
        expect_success(unseal_chunk(u, (struct bytes){sealed, n}, out, e) == 0, e);
        expect_success(digest_update(d, (struct bytes){out, n - SEAL_OVERHEAD}, e) == 0, e);
        sealed += n;
        out += n - SEAL_OVERHEAD;
    }
    assert_true(unseal_lacks_end_mark(u));
    return digest_verdict(d, e);
}

static void every_vector_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct err e = ERR_INIT;
        int64_t instant = 0;
        _cleanup_secret_ struct secret *data_key = NULL;
        _cleanup_free_ uint8_t *sealed = NULL, *plain = malloc(v->plain), *documented = documented_plaintext(v);
        char name[64], hex[65];
        uint8_t sha[32];

        (void)snprintf(name, sizeof(name), "backup-%s", v->name);
        sealed = read_file(name, ".dump", v->dump);
        assert_true(unseal_plain_size(v->dump) == v->plain);
        assert_int_equal(timestamp_parse(v->name, strlen(v->name), &instant, &e), 0);
        data_key = unwrap(v, instant);
        if (v->trailer) {
            expect_success(restore(data_key, sealed, v->dump, plain, &e) == 0, &e);
        } else {
            assert_int_equal(restore(data_key, sealed, v->dump, plain, &e), -1);
            expect_error(&e, ERR_INTEGRITY, "the snapshot of 1000 bytes ends without etcd's SHA-256");
        }
        assert_memory_equal(plain, documented, v->plain);
        crypto_hash_sha256(sha, plain, v->plain);
        assert_string_equal(sodium_bin2hex(hex, sizeof(hex), sha, sizeof(sha)), v->sha256);
    }
}

/* Cut at a border between chunks the Go tool's dumps decrypt without complaint; the digest is what notices. */
static void a_cut_at_any_border_fails_the_digest(void **state)
{
    const struct vector *v = &vectors[4];
    _cleanup_secret_ struct secret *data_key = unwrap(v, 0);
    _cleanup_free_ uint8_t *sealed = read_file("backup-2024-12-06T21:22:25Z", ".dump", v->dump),
                           *plain = malloc(v->plain);

    (void)state;
    for (size_t chunks = 1; chunks < 3; chunks++) {
        struct err e = ERR_INIT;

        assert_int_equal(restore(data_key, sealed, chunks * SEAL_SEALED_CHUNK, plain, &e), -1);
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_non_null(strstr(e.text, "ends without etcd's SHA-256"));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_vector_is_read),
            cmocka_unit_test(a_cut_at_any_border_fails_the_digest),
    };

    if (argc != 2 || sodium_init() < 0)
        return 1;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
