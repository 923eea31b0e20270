/* What people see while a job runs: a bar on a terminal, and elsewhere a line now and then. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/show.h"

/* What `call` prints to stderr, to be compared with `text`. */
#define EXPECT_SHOWN(expected, call)                                                                                   \
    do {                                                                                                               \
        _cleanup_free_ char *shown_ = NULL;                                                                            \
        size_t len_;                                                                                                   \
        FILE *before_ = stderr;                                                                                        \
                                                                                                                       \
        stderr = open_memstream(&shown_, &len_);                                                                       \
        call;                                                                                                          \
        (void)fclose(stderr);                                                                                          \
        stderr = before_;                                                                                              \
        assert_string_equal(shown_, expected);                                                                         \
    } while (0)

enum { MIB = 1 << 20 };

static int is_terminal; /* what isatty says of stderr */

int __real_isatty(int fd);
int __wrap_isatty(int fd);
int __wrap_isatty(int fd)
{
    return fd == STDERR_FILENO ? is_terminal : __real_isatty(fd);
}

/* protobuf-c's texts are not const, though nobody writes to these. */
static Control__Progress progress(const char *phase, uint64_t done, uint64_t total, uint64_t elapsed_ms)
{
    Control__Progress p = CONTROL__PROGRESS__INIT;

    p.phase = (char *)(uintptr_t)phase;
    p.done = done;
    p.total = total;
    p.elapsed_ms = elapsed_ms;
    return p;
}

static void on_a_terminal(void **state)
{
    static const struct {
        const char *phase, *unit;
        uint64_t done, total, elapsed_ms;
        const char *shown;
    } rows[] = {
            {"connecting", "", 0, 0, 5000, "connecting ..."},
            {"streaming", "", 0, 100 * MIB, 5000, "streaming  [........................] 0 B of 100.0 MiB  0 MiB/s"},
            /* A quarter in 10 s: the rest takes 30 s. */
            {"streaming", "", 25 * MIB, 100 * MIB, 10000,
                    "streaming  [######..................] 25.0 MiB of 100.0 MiB  2 MiB/s  left: 30.0s"},
            {"flushing", "", 50 * MIB, 100 * MIB, 90000,
                    "flushing   [############............] 50.0 MiB of 100.0 MiB  1 MiB/s  left: 1m30s"},
            {"flushing", "", 100 * MIB, 100 * MIB, 10000,
                    "flushing   [########################] 100.0 MiB of 100.0 MiB  10 MiB/s"},
            {"flushing", "", 200 * MIB, 100 * MIB, 10000, /* more than there is */
                    "flushing   [########################] 200.0 MiB of 100.0 MiB  20 MiB/s"},
            {"streaming", "", 1, 2, 0, "streaming  [############............] 1 B of 2 B  0 MiB/s  left: 0ms"},
            {"rotating", "keys", 1, 3, 2000, "rotating   [########................] 1 of 3 keys  left: 4.0s"},
    };
    struct show_progress s;

    (void)state;
    is_terminal = 1;
    show_progress_init(&s);
    EXPECT_SHOWN("", show_progress_clear(&s)); /* nothing stands there */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Control__Progress p = progress(rows[i].phase, rows[i].done, rows[i].total, rows[i].elapsed_ms);
        char line[200];

        p.unit = (char *)(uintptr_t)rows[i].unit;
        (void)snprintf(line, sizeof(line), "\r\033[K%s", rows[i].shown);
        EXPECT_SHOWN(line, show_progress(&s, &p));
    }
    EXPECT_SHOWN("\r\033[K", show_progress_clear(&s));
    EXPECT_SHOWN("", show_progress_clear(&s));
}

/* One every ten seconds, however often something is told; each attempt begins to count anew. */
static void elsewhere(void **state)
{
    static const struct {
        uint64_t elapsed_ms, done, total;
        const char *shown;
    } rows[] = {
            {0, 0, 0, ""},
            {9999, 0, 0, ""},
            {10000, 0, 0, "streaming\n"},
            {10001, 10 * MIB, 100 * MIB, ""},
            {19999, 10 * MIB, 100 * MIB, ""},
            {20500, 20 * MIB, 100 * MIB, "streaming: 20.0 MiB of 100.0 MiB, 1 MiB/s\n"},
            {30400, 30 * MIB, 100 * MIB, ""},
            {30500, 30 * MIB, 100 * MIB, "streaming: 30.0 MiB of 100.0 MiB, 1 MiB/s\n"},
            {100, 0, 0, ""}, /* another attempt */
            {9000, 90 * MIB, 100 * MIB, ""},
            {10000, 90 * MIB, 100 * MIB, "streaming: 90.0 MiB of 100.0 MiB, 9 MiB/s\n"},
            {10500, 90 * MIB, 100 * MIB, ""},
    };
    struct show_progress s;

    (void)state;
    is_terminal = 0;
    show_progress_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Control__Progress p = progress("streaming", rows[i].done, rows[i].total, rows[i].elapsed_ms);

        EXPECT_SHOWN(rows[i].shown, show_progress(&s, &p));
        EXPECT_SHOWN("", show_progress_clear(&s));
    }
}

/* Lines that stand beside JSON, too, whose texts nobody has cleaned. */
static void lines_are_clean(void **state)
{
    (void)state;
    EXPECT_SHOWN("note: a?[2J??b\n", show_note("a\x1b[2J\xc2\x9b"
                                               "b"));
    EXPECT_SHOWN("  | a?b??\n", show_output("a\nb\xc2\x80"));
    EXPECT_SHOWN("etcd-backupctl: ?\u00e4\n", show_failure("\x9b\u00e4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(on_a_terminal),
            cmocka_unit_test(elsewhere),
            cmocka_unit_test(lines_are_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
