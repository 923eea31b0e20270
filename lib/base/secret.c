#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

struct secret {
    size_t len;
    uint8_t *data; /* sodium_malloc: guard pages on both sides, MADV_DONTDUMP */
};

static bool open_files_are_allowed;

void secret_allow_open_files(void)
{
    open_files_are_allowed = true;
}

struct secret *secret_new(size_t len, struct err *e)
{
    _cleanup_secret_ struct secret *s = calloc(1, sizeof(*s));

    if (s)
        s->data = sodium_malloc(len ? len : 1);
    if (!s || !s->data) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a secret of %zu bytes", len);
        return NULL;
    }
    /* sodium_malloc locks too, but does not say when it could not. */
    if (sodium_mlock(s->data, len ? len : 1) != 0) {
        err_errno(e, errno, "cannot lock memory for a secret (RLIMIT_MEMLOCK)");
        e->kind = ERR_RESOURCE; /* EPERM and EAGAIN too */
        return NULL;
    }
    s->len = len;
    memset(s->data, 0, len);
    return TAKE_PTR(s);
}

struct secret *secret_copy(const void *data, size_t len, struct err *e)
{
    struct secret *s = secret_new(len, e);

    if (s && len)
        memcpy(s->data, data, len);
    return s;
}

int secret_clone(const struct secret *from, struct secret **to, struct err *e)
{
    *to = from ? secret_copy(secret_const_data(from), secret_len(from), e) : NULL;
    return from && !*to ? -1 : 0;
}

static int check_file(int fd, const char *path, bool private_only, off_t *size, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(e, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: not a regular file", path);
    if (private_only && !open_files_are_allowed && (st.st_mode & 0007))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: holds a secret but is open to all users (mode %04o); use chmod o-rwx", path,
                (unsigned)st.st_mode & 07777);
    *size = st.st_size;
    return 0;
}

/* The file's first bytes, at most `room`. */
static struct secret *read_at_most(int fd, const char *path, size_t room, struct err *e)
{
    _cleanup_secret_ struct secret *s = secret_new(room, e);
    size_t len = 0;

    while (s && len < room) {
        ssize_t n = pread(fd, s->data + len, room - len, (off_t)len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(e, errno, "%s", path);
            return NULL;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (s)
        secret_truncate(s, len);
    return TAKE_PTR(s);
}

struct secret *secret_read_file(const char *path, size_t max, bool private_only, struct err *e)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    _cleanup_secret_ struct secret *s = NULL;
    size_t room;
    off_t size = 0;

    if (fd < 0) {
        err_errno(e, errno, "%s", path);
        return NULL;
    }
    /* One byte more than there should be, to notice a longer file. Locked memory is scarce, 64 KiB in many containers:
     * no more than the file has is asked for, unless it has grown since. */
    if (check_file(fd, path, private_only, &size, e) < 0)
        return NULL;
    room = size > 0 && (uintmax_t)size < max ? (size_t)size : max;
    s = read_at_most(fd, path, room + 1, e);
    if (s && s->len > room && room < max) {
        secret_free(TAKE_PTR(s));
        s = read_at_most(fd, path, max + 1, e);
    }
    if (s && s->len > max) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: longer than %zu bytes", path, max);
        return NULL;
    }
    return TAKE_PTR(s);
}

uint8_t *secret_data(struct secret *s)
{
    return s->data;
}

const uint8_t *secret_const_data(const struct secret *s)
{
    return s->data;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

void secret_truncate(struct secret *s, size_t len)
{
    sodium_memzero(s->data + len, s->len - len);
    s->len = len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && sodium_memcmp(a->data, b->data, a->len) == 0;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    sodium_free(s->data); /* wipes; NULL is fine */
    free(s);
}

void secret_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}
