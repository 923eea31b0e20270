#include "ctl/database.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "seal/digest.h"

enum { DIGEST_STEP = 1 << 20 };

static void on_bus_error(int number)
{
    static const char line[] = "etcd-backupctl: the snapshot was changed while it was read, or its disk failed\n";

    ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1); /* the exit status says it, too */

    (void)number;
    (void)ignored;
    _exit(CTL_INTEGRITY);
}

/* What is in it goes nowhere but where it was asked to go. */
static void prepare(void)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    (void)signal(SIGBUS, on_bus_error);
}

static int open_database(struct database *d, int64_t revision, struct err *e)
{
    if (bolt_file_open(&d->file, (struct bytes){d->mapped, d->mapped_len}, e) < 0 ||
            keyspace_changes_open(&d->changes, &d->file, e) < 0 ||
            keyspace_revision_choose(&d->changes.facts, revision, &d->revision, e) < 0)
        return err_prepend(e, "%s: ", d->name);
    return 0;
}

static int map(struct database *d, int fd, const char *name, struct err *e)
{
    struct stat st;

    prepare();
    d->name = strdup(name);
    if (!d->name)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (fstat(fd, &st) < 0)
        return err_errno(e, errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: is not a file", name);
    if (st.st_size == 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s: is empty", name);
    d->mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (d->mapped == MAP_FAILED) {
        d->mapped = NULL;
        return err_errno(e, errno, "%s", name);
    }
    d->mapped_len = (size_t)st.st_size;
    return 0;
}

/* As the page of number 0: what is sealed, compressed, or something else altogether does not. */
static bool begins_like_one(const struct database *d)
{
    static const uint8_t zero[8];

    return d->mapped_len >= sizeof(zero) && memcmp(d->mapped, zero, sizeof(zero)) == 0;
}

static int check_hash(const struct database *d, struct err *e)
{
    _cleanup_(cleanup_digest_free) struct digest *digest = digest_new(e);
    const uint8_t *at = d->mapped;

    if (!digest)
        return -1;
    for (size_t left = d->mapped_len, len; left > 0 && !d->is_over; left -= len, at += len) {
        len = left < DIGEST_STEP ? left : DIGEST_STEP;
        if (digest_update(digest, (struct bytes){at, len}, e) < 0)
            return -1;
    }
    if (digest_verdict(digest, e) == 0)
        return 0;
    err_prepend(e, "%s: ", d->name);
    return err_set(e, e->kind, e->domain, e->code, "%.400s; %s", e->text,
            begins_like_one(d) ? "--skip-hash-check reads a copy of a member's database"
                               : "and it does not begin as one: a backup that is encrypted or compressed is looked "
                                 "into in its bucket, with -t");
}

static void *hash(void *ctx)
{
    struct database *d = ctx;

    (void)check_hash(d, &d->hash_err);
    return NULL;
}

/* Where there can be no thread it is done before all else. */
static void begin_hash(struct database *d)
{
    d->hash_err = ERR_INIT;
    d->is_hashing = pthread_create(&d->hasher, NULL, hash, d) == 0;
    if (!d->is_hashing)
        (void)hash(d);
}

static void wait_for_hash(struct database *d)
{
    if (d->is_hashing)
        (void)pthread_join(d->hasher, NULL);
    d->is_hashing = false;
}

int database_prove(struct database *d, struct err *e)
{
    wait_for_hash(d);
    if (d->hash_err.kind == ERR_NONE)
        return 0;
    *e = d->hash_err;
    return -1;
}

/* bbolt locks what it works on. Pages that change between a look at them and their use could be anything, so that would
 * end in wrong output, or worse. Nobody is kept from what he does: the lock is gone before anything is read. */
static int check_at_rest(int fd, const char *path, struct err *e)
{
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        (void)flock(fd, LOCK_UN);
    else if (errno == EWOULDBLOCK) /* else there are no locks there */
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s: an etcd is at work on it: look into a backup, or into what `etcdctl snapshot save` makes", path);
    return 0;
}

int database_open(struct database *d, const char *path, bool skip_hash_check, int64_t revision, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    if (check_at_rest(fd, path, e) < 0 || map(d, fd, path, e) < 0)
        return -1;
    if (!skip_hash_check)
        begin_hash(d);
    if (open_database(d, revision, e) == 0)
        return 0;
    (void)database_prove(d, e);
    return -1;
}

int database_map(struct database *d, int fd, const char *name, int64_t revision, struct err *e)
{
    return map(d, fd, name, e) < 0 ? -1 : open_database(d, revision, e);
}

void database_close(struct database *d)
{
    d->is_over = true;
    wait_for_hash(d);
    if (d->mapped)
        (void)munmap(d->mapped, d->mapped_len);
    free(d->name);
    d->mapped = NULL;
    d->name = NULL;
}
