#include "scratch.h"

#include "expect.h"

#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/parse.h"

static char folder[64];

const char scratch_minimal[] = "etcd_client:\n"
                               "  endpoints: [\"127.0.0.1:2379\"]\n"
                               "s3_client:\n"
                               "  endpoint: s3.example.com\n"
                               "  bucket: bbb\n"
                               "  auth: {key_auth: keys.yml}\n";

int scratch_setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-conf.XXXXXX");
    return sodium_init() >= 0 && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int scratch_teardown(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

void scratch_write(const char *name, const void *data, size_t len, mode_t mode)
{
    _cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
}

void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text), 0600);
}

struct conf *scratch_load(const char *text)
{
    struct err e = ERR_INIT;
    struct conf *c = conf_parse("test.yml", (struct bytes){(const uint8_t *)text, strlen(text)}, &e);

    expect_success(c, &e);
    return c;
}

void scratch_expect_refused(const struct scratch_refused *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err e = ERR_INIT;
        struct conf *c = conf_parse("f.yml", (struct bytes){(const uint8_t *)cases[i].text, strlen(cases[i].text)}, &e);

        if (c)
            fail_msg("this loads:\n%s", cases[i].text);
        expect_error(&e, ERR_CONFIG, cases[i].line);
    }
}
