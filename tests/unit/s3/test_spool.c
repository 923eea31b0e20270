/* Parts on disk: their order, the size of the file, and a disk that is full, short or lying. */
#include "expect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "failing.h"
#include "s3/spool.h"

enum { SLOT = 64 << 10 };

/* A file system without O_TMPFILE. What the spool calls comes here (--wrap), under the names for large files. */
static bool no_tmpfile;
static unsigned calls;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode)
{
    if (no_tmpfile && ++calls && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open64(path, flags, mode);
}

/* A disk that is full after so many bytes, and one where every other call is interrupted or does half its work. */
static size_t disk_free = SIZE_MAX;
static bool choppy;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t n;

    if (choppy && ++calls % 2) {
        errno = EINTR;
        return -1;
    }
    if (!disk_free) {
        errno = ENOSPC;
        return -1;
    }
    len = choppy ? len / 2 + 1 : len;
    n = __real_pwrite64(fd, data, len < disk_free ? len : disk_free, offset);
    disk_free -= (size_t)n;
    return n;
}

ssize_t __real_pread64(int fd, void *data, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t len, off_t offset)
{
    if (choppy && ++calls % 2) {
        errno = EINTR;
        return -1;
    }
    return __real_pread64(fd, data, choppy ? len / 2 + 1 : len, offset);
}

struct fixture {
    uv_loop_t loop;
    char dir[32];
    struct spool *spool;
    bool done;
    struct err err; /* of the last operation */
};

static void on_done(void *ctx, const struct err *err)
{
    struct fixture *f = ctx;

    f->done = true;
    f->err = err ? *err : ERR_INIT;
}

static struct spool_spec spec_of(struct fixture *f)
{
    return (struct spool_spec){.loop = &f->loop, .dir = f->dir, .slot_size = SLOT, .max_parts = 8, .limit = 8 * SLOT};
}

static void use(struct fixture *f, struct spool_spec spec)
{
    struct err e = ERR_INIT;

    spool_free(f->spool);
    f->spool = spool_new(&spec, &e);
    expect_success(f->spool, &e);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(uv_loop_init(&f->loop), 0);
    strcpy(f->dir, "/tmp/ebd-spool-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    use(f, spec_of(f));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    calls = 0;
    no_tmpfile = choppy = false;
    disk_free = SIZE_MAX;
    spool_free(f->spool);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    /* Fails unless the spool left nothing behind. */
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void run(struct fixture *f)
{
    assert_true(spool_is_busy(f->spool));
    assert_false(f->done);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->done);
    assert_false(spool_is_busy(f->spool));
    f->done = false;
}

static uint8_t byte_of(uint32_t number)
{
    return (uint8_t)(number * 37);
}

static void put(struct fixture *f, uint32_t number, size_t len)
{
    uint8_t *data = malloc(len);

    memset(data, byte_of(number), len);
    assert_true(spool_takes(f->spool, len));
    spool_write(f->spool, number, (struct bytes){data, len}, on_done, f);
    assert_false(spool_takes(f->spool, 1));
    run(f);
    free(data);
}

static void get(struct fixture *f, uint32_t number, size_t len)
{
    uint8_t *data = calloc(1, len);

    spool_read(f->spool, number, data, on_done, f);
    run(f);
    expect_success(f->err.kind == ERR_NONE, &f->err);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], byte_of(number));
    free(data);
}

/* The spool's file, which has no name: by the descriptor that the process has open in the folder. */
static int find_file(const struct fixture *f)
{
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;

    while ((entry = readdir(fds))) {
        char path[PATH_MAX] = "", target[PATH_MAX] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strncmp(target, f->dir, strlen(f->dir)) == 0)
            found = atoi(entry->d_name);
    }
    closedir(fds);
    return found;
}

static struct stat stat_file(const struct fixture *f)
{
    struct stat st = {0};

    assert_int_equal(fstat(find_file(f), &st), 0);
    return st;
}

static void parts_come_back_lowest_number_first(void **state)
{
    static const uint32_t in[] = {3, 9, 1, 10000, 2}, out[] = {1, 2, 3, 9, 10000};
    struct fixture *f = *state;
    size_t len = 0;

    assert_int_equal(find_file(f), -1);
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        put(f, in[i], SLOT - in[i]);
    assert_int_equal(spool_waiting(f->spool), 5 * SLOT - 10015);
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        assert_int_equal(spool_first(f->spool, &len), out[i]);
        assert_int_equal(len, SLOT - out[i]);
        get(f, out[i], len);
    }
    assert_int_equal(spool_first(f->spool, &len), 0);
    assert_int_equal(spool_waiting(f->spool), 0);
    assert_int_equal(spool_total(f->spool), 5 * SLOT - 10015);
}

static void the_file_has_no_name_and_no_other_readers(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        no_tmpfile = i;
        use(f, spec_of(f));
        put(f, 1, SLOT);
        no_tmpfile = false;
        assert_int_equal(calls > 0, i);
        assert_int_equal(f->err.kind, ERR_NONE);
        assert_int_equal(stat_file(f).st_nlink, 0);
        assert_int_equal(stat_file(f).st_mode & 07777, 0600);
        get(f, 1, SLOT);
    }
}

static void the_file_is_no_longer_than_what_waits(void **state)
{
    struct fixture *f = *state;

    put(f, 1, SLOT);
    put(f, 2, SLOT);
    for (uint32_t n = 3; n < 100; n++) {
        put(f, n, SLOT);
        get(f, n - 2, SLOT);
        assert_true(stat_file(f).st_size <= 3 * SLOT);
        assert_true(stat_file(f).st_blocks * 512 <= 2 * SLOT);
    }
    get(f, 98, SLOT);
    get(f, 99, SLOT);
    assert_int_equal(stat_file(f).st_blocks, 0);
}

static void the_limit_counts_bytes_that_wait(void **state)
{
    struct fixture *f = *state;
    struct spool_spec spec = spec_of(f);

    spec.limit = 2 * SLOT + 10;
    use(f, spec);
    put(f, 1, SLOT);
    assert_true(spool_takes(f->spool, SLOT));
    assert_false(spool_takes(f->spool, SLOT + 1));
    put(f, 2, SLOT);
    assert_true(spool_takes(f->spool, 10));
    assert_false(spool_takes(f->spool, 11));
    get(f, 1, SLOT);
    assert_true(spool_takes(f->spool, SLOT));
    assert_null(spool_why(f->spool));

    spec.max_parts = 1;
    use(f, spec);
    put(f, 1, 1);
    assert_false(spool_takes(f->spool, 1));

    spec.limit = SLOT - 1;
    use(f, spec);
    assert_false(spool_takes(f->spool, SLOT));
}

/* The part is refused, nothing is taken any more, and what was taken before comes back. */
static void expect_refusal(struct fixture *f, uint32_t number, const char *text)
{
    uint8_t data[SLOT] = {0};

    spool_write(f->spool, number, (struct bytes){data, sizeof(data)}, on_done, f);
    run(f);
    assert_int_equal(f->err.kind, ERR_RESOURCE);
    assert_non_null(strstr(f->err.text, text));
    assert_string_equal(spool_why(f->spool)->text, f->err.text);
    assert_false(spool_takes(f->spool, 1));
}

static void it_leaves_space_to_others(void **state)
{
    struct fixture *f = *state;
    struct spool_spec spec = spec_of(f);

    spec.keep_free = (uint64_t)1 << 60;
    use(f, spec);
    expect_refusal(f, 1, "takes no more: the file system has ");
    assert_int_equal(spool_waiting(f->spool), 0);

    spec.keep_free = 0;
    spec.keep_free_percent = 100;
    use(f, spec);
    expect_refusal(f, 1, "takes no more: the file system has ");
}

static void a_folder_that_cannot_be_used_is_named(void **state)
{
    struct fixture *f = *state;
    struct spool_spec spec = spec_of(f);
    uint8_t byte = 0;

    spec.dir = "/proc/nowhere";
    use(f, spec);
    spool_write(f->spool, 1, (struct bytes){&byte, 1}, on_done, f);
    run(f);
    expect_error(&f->err, ERR_NOT_FOUND, "cannot make the spool in /proc/nowhere: No such file or directory");
    assert_false(spool_takes(f->spool, 1));
}

static void bytes_that_changed_on_disk_are_noticed(void **state)
{
    struct fixture *f = *state;
    uint8_t data[SLOT];

    put(f, 1, SLOT);
    put(f, 2, SLOT);
    assert_int_equal(pwrite(find_file(f), "x", 1, SLOT - 1), 1);
    spool_read(f->spool, 1, data, on_done, f);
    run(f);
    assert_int_equal(f->err.kind, ERR_INTEGRITY);
    assert_non_null(strstr(f->err.text, "part 1 came back from the spool in /tmp/ebd-spool-"));

    assert_int_equal(ftruncate(find_file(f), 2 * SLOT - 1), 0);
    spool_read(f->spool, 2, data, on_done, f);
    run(f);
    assert_int_equal(f->err.kind, ERR_INTEGRITY);
}

static void a_full_disk_ends_the_taking_alone(void **state)
{
    struct fixture *f = *state;

    put(f, 1, SLOT);
    put(f, 2, SLOT);
    disk_free = SLOT / 2;
    expect_refusal(f, 3, "writing to the spool in /tmp/ebd-spool-");
    assert_non_null(strstr(f->err.text, ": No space left on device"));
    /* What was written of it has been given back. */
    assert_true(stat_file(f).st_blocks * 512 <= 2 * SLOT);
    assert_int_equal(spool_waiting(f->spool), 2 * SLOT);
    get(f, 1, SLOT);
    get(f, 2, SLOT);
    assert_false(spool_takes(f->spool, 1));
}

static void writes_and_reads_may_be_short_and_interrupted(void **state)
{
    struct fixture *f = *state;

    choppy = true;
    put(f, 1, SLOT);
    put(f, 2, SLOT - 1);
    get(f, 2, SLOT - 1);
    get(f, 1, SLOT);
    assert_true(calls > 60); /* a half, a quarter, ... */
}

static void without_memory_there_is_no_spool(void **state)
{
    struct fixture *f = *state;
    struct spool_spec spec = spec_of(f);
    size_t n = 0;
    bool reached;

    do {
        struct err e = ERR_INIT;
        struct spool *s;

        failing_arm(++n);
        s = spool_new(&spec, &e);
        reached = failing_disarm();
        assert_int_equal(!s, reached);
        if (!s)
            expect_error(&e, ERR_RESOURCE, "no memory for a spool of 8 parts");
        spool_free(s);
    } while (reached);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(parts_come_back_lowest_number_first, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_file_has_no_name_and_no_other_readers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_file_is_no_longer_than_what_waits, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_limit_counts_bytes_that_wait, set_up, tear_down),
            cmocka_unit_test_setup_teardown(it_leaves_space_to_others, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_used_is_named, set_up, tear_down),
            cmocka_unit_test_setup_teardown(bytes_that_changed_on_disk_are_noticed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_full_disk_ends_the_taking_alone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(writes_and_reads_may_be_short_and_interrupted, set_up, tear_down),
            cmocka_unit_test_setup_teardown(without_memory_there_is_no_spool, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
