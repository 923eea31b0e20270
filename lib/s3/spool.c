#include "s3/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/size.h"

enum { SUM_LEN = 32 };

struct slot {
    uint32_t number; /* of the part; 0: free */
    size_t len;
    uint8_t sum[SUM_LEN];
};

/* What the thread works on while the loop leaves it alone. */
struct operation {
    uv_work_t work;
    struct slot *slot;
    uint32_t number;
    uint8_t *data;     /* read into */
    struct bytes part; /* written from */
    int ret;
    struct err err;
    spool_done *done;
    void *ctx;
};

struct spool {
    struct spool_spec spec;
    char *dir;
    int fd; /* -1: not made yet */
    struct slot *slots;
    uint64_t waiting;
    uint64_t total;
    bool busy;
    bool stopped;
    struct err why;
    struct operation op;
};

struct spool *spool_new(const struct spool_spec *spec, struct err *e)
{
    struct spool *s = calloc(1, sizeof(*s));

    if (s) {
        s->spec = *spec;
        s->fd = -1;
        s->dir = strdup(spec->dir);
        s->slots = calloc(spec->max_parts, sizeof(*s->slots));
    }
    if (!s || !s->dir || !s->slots) {
        spool_free(s);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for a spool of %" PRIu32 " parts", spec->max_parts);
        return NULL;
    }
    s->spec.dir = s->dir;
    return s;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    assert(!s->busy);
    cleanup_close(&s->fd);
    free(s->slots);
    free(s->dir);
    free(s);
}

bool spool_is_busy(const struct spool *s)
{
    return s->busy;
}

/* The free slot nearest to the beginning, so that the file stays short; NULL when all are taken. */
static struct slot *free_slot(const struct spool *s)
{
    for (uint32_t i = 0; i < s->spec.max_parts; i++)
        if (s->slots[i].number == 0)
            return &s->slots[i];
    return NULL;
}

static struct slot *slot_of(const struct spool *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->spec.max_parts; i++)
        if (s->slots[i].number == number)
            return &s->slots[i];
    return NULL;
}

static off_t offset_of(const struct spool *s, const struct slot *slot)
{
    return (off_t)((uint64_t)(slot - s->slots) * s->spec.slot_size);
}

bool spool_takes(const struct spool *s, size_t len)
{
    return !s->busy && !s->stopped && len <= s->spec.slot_size && len <= s->spec.limit &&
           s->waiting <= s->spec.limit - len && free_slot(s) != NULL;
}

/* Here begins what runs on a thread of the pool. */

static int make_file(struct spool *s, struct err *e)
{
    char path[4096];

    /* O_EXCL: nobody can give it a name later, through /proc/self/fd (open(2)). */
    s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd >= 0)
        return 0;
    /* EISDIR and EOPNOTSUPP are how a kernel or a file system says that it has no O_TMPFILE (open(2)). */
    if (errno != EISDIR && errno != EOPNOTSUPP)
        return err_errno(e, errno, "cannot make the spool in %s", s->dir);
    if (snprintf(path, sizeof(path), "%s/.etcd-backupd-spool-XXXXXX", s->dir) >= (int)sizeof(path))
        return err_errno(e, ENAMETOOLONG, "cannot make the spool in %s", s->dir);
    s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd < 0 || unlink(path) < 0)
        return err_errno(e, errno, "cannot make the spool in %s", s->dir);
    return 0;
}

/* Whether the file system can spare `len` bytes. */
static int check_free(const struct spool *s, size_t len, struct err *e)
{
    char text[SIZE_TEXT_MAX];
    struct statvfs fs;
    uint64_t available, reserve;

    if (fstatvfs(s->fd, &fs) < 0)
        return err_errno(e, errno, "the spool in %s: cannot ask for free space", s->dir);
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    reserve = (uint64_t)fs.f_blocks * fs.f_frsize / 100 * s->spec.keep_free_percent;
    if (reserve < s->spec.keep_free)
        reserve = s->spec.keep_free;
    if (available < len || available - len < reserve)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_ERRNO, ENOSPC,
                "the spool in %s takes no more: the file system has %s free", s->dir, size_format(available, text));
    return 0;
}

static void hash(uint8_t sum[SUM_LEN], const uint8_t *data, size_t len)
{
    (void)crypto_generichash(sum, SUM_LEN, data, len, NULL, 0);
}

/* Gives the blocks of a slot back to the file system. One that cannot has them until the slot is used again. */
static void give_back(const struct spool *s, const struct slot *slot)
{
    (void)fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(s, slot), (off_t)slot->len);
}

static int write_all(const struct spool *s, struct bytes part, off_t offset, struct err *e)
{
    while (part.len) {
        ssize_t n = pwrite(s->fd, part.data, part.len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(e, n < 0 ? errno : EIO, "writing to the spool in %s", s->dir);
        part.data += n;
        part.len -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int write_part(struct spool *s, struct err *e)
{
    struct operation *op = &s->op;

    if ((s->fd < 0 && make_file(s, e) < 0) || check_free(s, op->part.len, e) < 0)
        return -1;
    if (write_all(s, op->part, offset_of(s, op->slot), e) < 0) {
        give_back(s, op->slot);
        return -1;
    }
    hash(op->slot->sum, op->part.data, op->part.len);
    return 0;
}

static int read_part(struct spool *s, struct err *e)
{
    struct operation *op = &s->op;
    uint8_t sum[SUM_LEN];
    size_t have = 0;

    while (have < op->slot->len) {
        ssize_t n = pread(s->fd, op->data + have, op->slot->len - have, offset_of(s, op->slot) + (off_t)have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "reading part %" PRIu32 " from the spool in %s", op->number, s->dir);
        if (n == 0)
            break;
        have += (size_t)n;
    }
    hash(sum, op->data, have);
    if (have < op->slot->len || memcmp(sum, op->slot->sum, SUM_LEN) != 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "part %" PRIu32 " came back from the spool in %s with other bytes than went in", op->number, s->dir);
    give_back(s, op->slot);
    return 0;
}

static void work_write(uv_work_t *work)
{
    struct spool *s = CONTAINER_OF(work, struct spool, op.work);

    s->op.ret = write_part(s, &s->op.err);
}

static void work_read(uv_work_t *work)
{
    struct spool *s = CONTAINER_OF(work, struct spool, op.work);

    s->op.ret = read_part(s, &s->op.err);
}

/* Here it ends. */

static void after_write(uv_work_t *work, int status)
{
    struct spool *s = CONTAINER_OF(work, struct spool, op.work);

    s->busy = false;
    (void)status; /* only a cancelled operation has one, and nobody cancels */
    if (s->op.ret < 0) {
        s->op.slot->number = 0;
        s->waiting -= s->op.part.len;
        s->stopped = true;
        s->why = s->op.err;
        s->op.done(s->op.ctx, &s->why);
        return;
    }
    s->total += s->op.part.len;
    s->op.done(s->op.ctx, NULL);
}

static void after_read(uv_work_t *work, int status)
{
    struct spool *s = CONTAINER_OF(work, struct spool, op.work);
    struct err err = s->op.err;

    s->busy = false;
    (void)status;
    s->op.slot->number = 0;
    s->waiting -= s->op.slot->len;
    s->op.done(s->op.ctx, s->op.ret < 0 ? &err : NULL);
}

static void start(struct spool *s, uv_work_cb work, uv_after_work_cb after)
{
    s->busy = true;
    /* Fails only without a work callback (uv_queue_work). */
    (void)uv_queue_work(s->spec.loop, &s->op.work, work, after);
}

void spool_write(struct spool *s, uint32_t number, struct bytes part, spool_done *done, void *ctx)
{
    struct slot *slot = free_slot(s);

    assert(spool_takes(s, part.len) && number > 0);
    slot->number = number;
    slot->len = part.len;
    s->waiting += part.len;
    s->op = (struct operation){.slot = slot, .number = number, .part = part, .done = done, .ctx = ctx};
    start(s, work_write, after_write);
}

uint32_t spool_first(const struct spool *s, size_t *len)
{
    const struct slot *first = NULL;

    for (uint32_t i = 0; i < s->spec.max_parts; i++) {
        const struct slot *slot = &s->slots[i];

        if (slot->number && (!first || slot->number < first->number))
            first = slot;
    }
    if (!first)
        return 0;
    *len = first->len;
    return first->number;
}

void spool_read(struct spool *s, uint32_t number, uint8_t *into, spool_done *done, void *ctx)
{
    struct slot *slot = slot_of(s, number);

    assert(!s->busy && slot && number > 0);
    s->op = (struct operation){.slot = slot, .number = number, .data = into, .done = done, .ctx = ctx};
    start(s, work_read, after_read);
}

uint64_t spool_waiting(const struct spool *s)
{
    return s->waiting;
}

uint64_t spool_total(const struct spool *s)
{
    return s->total;
}

const struct err *spool_why(const struct spool *s)
{
    return s->stopped ? &s->why : NULL;
}
