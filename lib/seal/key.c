#include "seal/key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/timestamp.h"
#include "seal/nonce.h"
#include "seal/sealed_key.h"

enum {
    MASTER_DIGITS = 2 * KEY_LEN,
    MASTER_FILE_MAX = 1024, /* digits and much white space */
    MAGIC_LEN = 4,
    RANDOM_LEN = 8,
    MAC_LEN = 12,
    MAC_COMPUTED_LEN = 16, /* the shortest that BLAKE2b makes here */
};

static_assert(MAGIC_LEN + RANDOM_LEN + MAC_LEN == NONCE_LEN, "the nonce's three fields");

static const uint8_t magic[MAGIC_LEN] = {NONCE_FIRST_BYTE, 'K', '2', 0};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_hex_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The 64 digits within the file's content, without the white space around them; {NULL, 0} when that is not it. */
static struct bytes find_digits(const char *path, struct bytes file, struct err *e)
{
    static const struct bytes none = {0};
    size_t begin = 0, end = file.len;

    while (begin < end && is_space(file.data[begin]))
        begin++;
    while (end > begin && is_space(file.data[end - 1]))
        end--;
    for (size_t i = begin; i < end; i++)
        if (!is_hex_digit(file.data[i])) {
            err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, (int64_t)i, "%s: byte %zu is not a hexadecimal digit", path,
                    i + 1);
            return none;
        }
    if (end - begin != MASTER_DIGITS) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_FORMAT, 0, "%s: %zu hexadecimal digits instead of %d", path, end - begin,
                MASTER_DIGITS);
        return none;
    }
    return (struct bytes){.data = file.data + begin, .len = MASTER_DIGITS};
}

static struct secret *read_key(const char *path, bool private_only, struct err *e)
{
    _cleanup_secret_ struct secret *file = secret_read_file(path, MASTER_FILE_MAX, private_only, e);
    _cleanup_secret_ struct secret *key = NULL;
    struct bytes digits;

    if (!file)
        return NULL;
    digits = find_digits(path, (struct bytes){secret_const_data(file), secret_len(file)}, e);
    if (!digits.data)
        return NULL;
    key = secret_new(KEY_LEN, e);
    if (!key)
        return NULL;
    (void)sodium_hex2bin(secret_data(key), KEY_LEN, (const char *)digits.data, digits.len, NULL, NULL, NULL);
    return TAKE_PTR(key);
}

struct secret *key_read_master(const char *path, struct err *e)
{
    return read_key(path, true, e);
}

struct secret *key_read_brought(const char *path, struct err *e)
{
    return read_key(path, false, e);
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* So that the name survives a loss of power, too. */
static int sync_directory(int dir_fd)
{
    _cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* A file system that cannot sync a directory says EINVAL: there is no more to be done there. */
    return fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? -1 : 0;
}

/* A person has named a place that there is not: which directory he has to make. */
static int no_place(const char *path, struct err *e)
{
    bool is_missing = *path && e->domain == ERR_DOMAIN_ERRNO && e->code == ENOENT;
    _cleanup_free_ char *dir = is_missing ? path_dir(path) : NULL;

    if (!dir)
        return -1;
    return err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_ERRNO, ENOENT, "%s: directory %s does not exist; make it: mkdir -p %s",
            path, dir, dir);
}

int key_write_master(const char *path, const struct secret *master, struct err *e)
{
    enum { TEXT_LEN = MASTER_DIGITS + 1 }; /* with a line's end, which is where sodium_bin2hex puts its 0 */
    _cleanup_secret_ struct secret *text = secret_new(TEXT_LEN, e);

    assert(secret_len(master) == KEY_LEN);
    if (!text)
        return -1;
    (void)sodium_bin2hex((char *)secret_data(text), TEXT_LEN, secret_const_data(master), KEY_LEN);
    secret_data(text)[MASTER_DIGITS] = '\n';
    return key_write_text(path, text, e);
}

int key_write_text(const char *path, const struct secret *text, struct err *e)
{
    _cleanup_place_ struct path_place place = PATH_PLACE_INIT;
    _cleanup_close_ int fd = -1;

    if (path_find(path, &place, e) < 0)
        return no_place(path, e);
    if (!place.is_linked)
        fd = openat(place.dir_fd, place.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (place.is_linked || (fd < 0 && errno == EEXIST))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_ERRNO, EEXIST, "%s: exists already, and stays as it is", path);
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    (void)fchmod(fd, 0600); /* whatever the umask took away; a medium without modes may refuse */
    if (write_all(fd, secret_const_data(text), secret_len(text)) == 0 && fsync(fd) == 0 &&
            sync_directory(place.dir_fd) == 0)
        return 0;
    err_errno(e, errno, "%s", path);
    (void)unlinkat(place.dir_fd, place.name, 0);
    return -1;
}

static struct secret *new_random(struct err *e)
{
    struct secret *key = secret_new(KEY_LEN, e);

    if (key)
        randombytes_buf(secret_data(key), KEY_LEN);
    return key;
}

struct secret *key_new_master(struct err *e)
{
    return new_random(e);
}

struct secret *key_new_data(struct err *e)
{
    return new_random(e);
}

char *key_fingerprint(const struct secret *master, char out[KEY_FINGERPRINT_MAX])
{
    enum { SHOWN = 10 };
    uint8_t subkey[crypto_kdf_BYTES_MIN];
    char *p = out;

    assert(secret_len(master) == KEY_LEN);
    (void)crypto_kdf_derive_from_key(subkey, sizeof(subkey), 2, "etcdbkey", secret_const_data(master));
    for (size_t i = 0; i < SHOWN; i++)
        p += sprintf(p, "%s%02x", i && i % 2 == 0 ? "-" : "", subkey[i]);
    secret_wipe(subkey, sizeof(subkey));
    return out;
}

char *key_mark(const struct secret *previous, struct bytes wrapped, char out[KEY_MARK_MAX])
{
    enum { MARK_LEN = 16 };
    uint8_t k_mark[KEY_LEN], mac[MARK_LEN];
    size_t len;

    assert(secret_len(previous) == KEY_LEN);
    (void)crypto_kdf_derive_from_key(k_mark, sizeof(k_mark), 3, "etcdbkey", secret_const_data(previous));
    (void)crypto_generichash(mac, sizeof(mac), wrapped.data, wrapped.len, k_mark, sizeof(k_mark));
    secret_wipe(k_mark, sizeof(k_mark));
    len = strlen(key_fingerprint(previous, out));
    out[len++] = '/';
    (void)sodium_bin2hex(out + len, KEY_MARK_MAX - len, mac, sizeof(mac));
    return out;
}

bool key_has_mark(const struct secret *previous, struct bytes wrapped, const char *mark)
{
    char right[KEY_MARK_MAX];

    (void)key_mark(previous, wrapped, right);
    return strlen(mark) == strlen(right) && sodium_memcmp(mark, right, strlen(right)) == 0;
}

/* m of the header's formula: what only the holder of the master key can compute for a nonce's r and an instant. */
static void compute_binding(
        const struct secret *master, const uint8_t r[RANDOM_LEN], int64_t instant, uint8_t m[MAC_COMPUTED_LEN])
{
    uint8_t k_bind[KEY_LEN];
    crypto_generichash_state state;
    char timestamp[TIMESTAMP_TEXT_MAX];

    timestamp_format(instant, timestamp);
    (void)crypto_kdf_derive_from_key(k_bind, sizeof(k_bind), 1, "etcdbkey", secret_const_data(master));
    (void)crypto_generichash_init(&state, k_bind, sizeof(k_bind), MAC_COMPUTED_LEN);
    (void)crypto_generichash_update(&state, r, RANDOM_LEN);
    (void)crypto_generichash_update(&state, (const uint8_t *)timestamp, TIMESTAMP_TEXT_LEN);
    (void)crypto_generichash_final(&state, m, MAC_COMPUTED_LEN);
    secret_wipe(k_bind, sizeof(k_bind));
    secret_wipe(&state, sizeof(state));
}

int key_wrap(const struct secret *master, const struct secret *data_key, int64_t instant, uint8_t out[KEY_WRAPPED_LEN],
        struct err *e)
{
    uint8_t m[MAC_COMPUTED_LEN];

    assert(secret_len(master) == KEY_LEN && secret_len(data_key) == KEY_LEN);
    memcpy(out, magic, MAGIC_LEN);
    randombytes_buf(out + MAGIC_LEN, RANDOM_LEN);
    compute_binding(master, out + MAGIC_LEN, instant, m);
    memcpy(out + MAGIC_LEN + RANDOM_LEN, m, MAC_LEN);
    if (crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_LEN, NULL, secret_const_data(data_key), KEY_LEN, NULL, 0,
                NULL, out, secret_const_data(master)) != 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libsodium failed to wrap the data key");
    return 0;
}

static bool has_magic(struct bytes wrapped)
{
    return memcmp(wrapped.data, magic, MAGIC_LEN) == 0;
}

bool key_is_bound_to(const struct secret *master, struct bytes wrapped, int64_t instant)
{
    uint8_t m[MAC_COMPUTED_LEN];

    assert(secret_len(master) == KEY_LEN);
    if (wrapped.len != KEY_WRAPPED_LEN || !has_magic(wrapped))
        return false;
    compute_binding(master, wrapped.data + MAGIC_LEN, instant, m);
    return sodium_memcmp(m, wrapped.data + MAGIC_LEN + RANDOM_LEN, MAC_LEN) == 0;
}

/* What can be said of a wrapped key without any key. */
static int check_shape(struct bytes wrapped, struct err *e)
{
    char whom[SEALED_KEY_WHOM_MAX];

    if (sealed_key_is(wrapped))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SEALED,
                "sealed to %s: no master key opens it, but an identity of theirs", sealed_key_whom(wrapped, whom));
    if (wrapped.len != KEY_WRAPPED_LEN)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SHAPE, "the key object has %zu bytes instead of %d",
                wrapped.len, KEY_WRAPPED_LEN);
    if (wrapped.data[0] == NONCE_FIRST_BYTE && !has_magic(wrapped))
        return err_set(
                e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SHAPE, "the key object was written by a newer version");
    return 0;
}

struct secret *key_unwrap(
        const struct secret *master, struct bytes wrapped, int64_t instant, bool allow_renamed, struct err *e)
{
    _cleanup_secret_ struct secret *data_key = NULL;
    char name[TIMESTAMP_TEXT_MAX];

    assert(secret_len(master) == KEY_LEN);
    if (check_shape(wrapped, e) < 0)
        return NULL;
    data_key = secret_new(KEY_LEN, e);
    if (!data_key)
        return NULL;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_data(data_key), NULL, NULL, wrapped.data + NONCE_LEN,
                wrapped.len - NONCE_LEN, NULL, 0, wrapped.data, secret_const_data(master)) != 0) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN,
                "wrong master key, or the key object is damaged");
        return NULL;
    }
    if (has_magic(wrapped) && !allow_renamed && !key_is_bound_to(master, wrapped, instant)) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_BOUND_ELSEWHERE,
                "the key is bound to another instant than %s: the backup was renamed, or its key exchanged",
                timestamp_format(instant, name));
        return NULL;
    }
    return TAKE_PTR(data_key);
}
