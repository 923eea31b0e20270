/*
 * A configuration file: any bytes are either a configuration whose values all lie within their limits, or one line that
 * begins with a place inside the file. What the check with libyaml lets pass never surprises libcyaml.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/parse.h"

static void check_line(const char *text)
{
    for (; *text; text++)
        FUZZ_CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_warning(void *ctx, const char *text)
{
    (void)ctx;
    FUZZ_CHECK(strncmp(text, "f.yml:", 6) == 0);
    check_line(text);
}

static void check_good(const struct conf *c)
{
    FUZZ_CHECK(c->etcd.n_endpoints <= 64); /* 0: what reads the bucket alone needs none */
    for (size_t i = 0; i < c->etcd.n_endpoints; i++)
        FUZZ_CHECK(*c->etcd.endpoints[i]);
    FUZZ_CHECK(c->n_previous_key_paths <= 16 && !c->previous_key_paths == !c->n_previous_key_paths);
    for (size_t i = 0; i < c->n_previous_key_paths; i++)
        FUZZ_CHECK(*c->previous_key_paths[i] && strlen(c->previous_key_paths[i]) < 4096);
    FUZZ_CHECK(*c->s3.endpoint && *c->s3.bucket && *c->s3.key_auth && *c->s3.region && *c->control.socket);
    FUZZ_CHECK(!c->etcd.client_cert == !c->etcd.client_key);
    FUZZ_CHECK(c->etcd.connection_timeout_ms > 0 && c->etcd.request_timeout_ms > 0 && c->etcd.retries <= 1000000);
    FUZZ_CHECK(c->s3.connection_timeout_ms > 0 && c->s3.request_timeout_ms > 0);
    FUZZ_CHECK(c->s3.parts_in_flight >= 1 && c->s3.parts_in_flight <= 16);
    FUZZ_CHECK(c->s3.part_size == 0 || (c->s3.part_size >= UINT64_C(5) << 20 && c->s3.part_size <= UINT64_C(5) << 30));
    FUZZ_CHECK(strlen(c->s3.objects_prefix) >= 1 && strlen(c->s3.objects_prefix) <= 900);
    FUZZ_CHECK(!strchr(c->s3.bucket, '/') && strlen(c->s3.bucket) <= 255);
    FUZZ_CHECK(c->log_level <= CONF_LOG_DEBUG && c->s3.addressing <= CONF_ADDRESSING_VIRTUAL);
    conf_warnings(c, check_warning, NULL);
}

/* "f.yml:LINE:COLUMN: ", and the line is one of the file's (or just behind it: what is missing may be there). */
static void check_refused(const struct err *e, const uint8_t *data, size_t len)
{
    unsigned long line, column, lines = 1;
    char *p;

    for (size_t i = 0; i < len; i++)
        lines += data[i] == '\n';
    FUZZ_CHECK(e->kind == ERR_CONFIG);
    FUZZ_CHECK(strncmp(e->text, "f.yml:", 6) == 0);
    line = strtoul(e->text + 6, &p, 10);
    FUZZ_CHECK(line >= 1 && line <= lines && *p == ':');
    column = strtoul(p + 1, &p, 10);
    FUZZ_CHECK(column >= 1 && column <= len + 1 && p[0] == ':' && p[1] == ' ' && p[2] != '\0');
    check_line(e->text);
    FUZZ_CHECK(strncmp(e->text, "f.yml:1:1: cannot be loaded", 27) != 0); /* raw.c, of libcyaml */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    struct conf *c = conf_parse("f.yml", (struct bytes){data, len}, &e);

    if (c)
        check_good(c);
    else
        check_refused(&e, data, len);
    conf_free(c);
    return 0;
}
