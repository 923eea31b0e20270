/*
 * upload_probe.c: uploads a file by lib/s3/upload.h, step by step as a test wants it.
 *
 *     upload_probe NAME=VALUE ...
 *
 * Each event of the upload is a line of JSON on stdout, with the statistics of that moment; each line on stdin is a
 * command: go, commit, abort, free, stats. With stop=BYTES it stops writing there until `go`. At the end of stdin it
 * does nothing, so that the test decides.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "s3/upload.h"

struct probe {
    uv_loop_t loop;
    uv_pipe_t input;
    char line[64];
    size_t line_len;
    struct s3_client *client;
    struct s3_upload *upload;
    struct secret *secret;
    int fd;
    uint64_t size, offset;
    uint8_t *chunk;
    uint64_t chunk_size;
    uint64_t stop; /* bytes; UINT64_MAX: does not */
    bool ended, failed;
};

static char **options;

/* What was given as NAME=..., or `fallback`. */
static const char *option(const char *name, const char *fallback)
{
    size_t len = strlen(name);

    for (char **o = options; *o; o++)
        if (strncmp(*o, name, len) == 0 && (*o)[len] == '=')
            return *o + len + 1;
    return fallback;
}

static uint64_t number(const char *name, uint64_t fallback)
{
    const char *text = option(name, NULL);

    return text ? strtoull(text, NULL, 10) : fallback;
}

static long peak_kib(void)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
            break;
    return kib;
}

/* Texts quote what servers say: in JSON a quotation mark is written otherwise. */
static const char *json(const char *text, char out[2 * ERR_TEXT_MAX])
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = 0;
    return out;
}

static void report(struct probe *p, const char *event, const struct err *err)
{
    static const char *const outcomes[] = {"absent", "unknown", "visible"};
    struct s3_upload_stats s = {0};
    char text[2 * ERR_TEXT_MAX];

    printf("{\"event\": \"%s\", \"peak_kib\": %ld", event, peak_kib());
    if (err)
        printf(", \"kind\": \"%s\", \"text\": \"%s\"", err_kind_name(err->kind), json(err->text, text));
    if (p->upload) {
        s3_upload_get_stats(p->upload, &s);
        printf(", \"written\": %" PRIu64 ", \"stored\": %" PRIu64 ", \"in_spool\": %" PRIu64 ", \"spooled\": %" PRIu64
               ", \"blocked_ms\": %" PRIu64 ", \"part_size\": %" PRIu64
               ", \"retries\": %u, \"outcome\": \"%s\", \"room\": %" PRIu64 ", \"spool_err\": \"%s\"",
                s.written, s.stored, s.in_spool, s.spooled, s.blocked_ms, s.part_size, s.retries,
                outcomes[s3_upload_outcome(p->upload)], s3_upload_room(p->upload),
                s.spool_err ? json(s.spool_err->text, text) : "");
        if (strcmp(event, "not aborted") == 0 && s3_upload_left(p->upload, 0))
            printf(", \"left\": \"%s\"", s3_upload_left(p->upload, 0));
    }
    printf("}\n");
    fflush(stdout);
}

/* An error of a call, as it were told by a callback. */
static void refused(struct probe *p, const struct err *err)
{
    p->failed = true;
    report(p, "refused", err);
}

static uint64_t next_len(const struct probe *p)
{
    uint64_t rest = p->size - p->offset;

    rest = rest < p->chunk_size ? rest : p->chunk_size;
    return p->offset < p->stop && rest > p->stop - p->offset ? p->stop - p->offset : rest;
}

static void pump(struct probe *p)
{
    struct err e;
    uint64_t len;

    while ((len = next_len(p)) && p->offset != p->stop) {
        if (s3_upload_room(p->upload) < len) {
            s3_upload_want(p->upload, len);
            return;
        }
        if (pread(p->fd, p->chunk, len, (off_t)p->offset) != (ssize_t)len)
            abort();
        if (s3_upload_write(p->upload, (struct bytes){p->chunk, len}, &e) < 0) {
            refused(p, &e);
            return;
        }
        p->offset += len;
    }
    if (p->offset == p->stop) {
        report(p, "stopped", NULL);
    } else if (!p->ended) {
        p->ended = true;
        report(p, "written", NULL);
        if (s3_upload_end(p->upload, &e) < 0)
            refused(p, &e);
    }
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    report(ctx, "retrying", retry->why);
}

static void on_room(void *ctx)
{
    pump(ctx);
}

static void on_flushed(void *ctx)
{
    report(ctx, "flushed", NULL);
}

static void on_failed(void *ctx, const struct err *err)
{
    struct probe *p = ctx;

    p->failed = true;
    report(p, "failed", err);
}

static void on_committed(void *ctx, const struct err *err)
{
    report(ctx, err ? "not committed" : "committed", err);
}

static void on_aborted(void *ctx, const struct err *err)
{
    report(ctx, err ? "not aborted" : "aborted", err);
}

static void obey(struct probe *p, const char *command)
{
    if (strcmp(command, "go") == 0) {
        p->stop = UINT64_MAX;
        pump(p);
    } else if (strcmp(command, "commit") == 0) {
        s3_upload_commit(p->upload);
    } else if (strcmp(command, "abort") == 0) {
        s3_upload_abort(p->upload);
    } else if (strcmp(command, "hurry") == 0) {
        s3_upload_hurry(p->upload);
    } else if (strcmp(command, "stats") == 0) {
        report(p, "stats", NULL);
    } else if (strcmp(command, "free") == 0) {
        s3_upload_free(TAKE_PTR(p->upload));
        s3_client_free(TAKE_PTR(p->client));
        uv_close((uv_handle_t *)&p->input, NULL);
    } else {
        abort();
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char memory[256];

    (void)handle, (void)suggested;
    *buf = uv_buf_init(memory, sizeof(memory));
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct probe *p = CONTAINER_OF(stream, struct probe, input);

    if (n < 0)
        (void)uv_read_stop(stream);
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] != '\n') {
            assert(p->line_len + 1 < sizeof(p->line));
            p->line[p->line_len++] = buf->base[i];
            continue;
        }
        p->line[p->line_len] = 0;
        p->line_len = 0;
        obey(p, p->line);
    }
}

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    struct probe *p = ctx;

    (void)e;
    *out = (struct s3_credentials){.access_key = option("access_key", "testkey"), .secret_key = p->secret};
    return 0;
}

static struct s3_client *make_client(struct probe *p, struct err *e)
{
    const char *secret = option("secret_key", "testsecret");

    p->secret = secret_copy(secret, strlen(secret), e);
    if (!p->secret)
        return NULL;
    return s3_client_new(&p->loop,
            &(struct s3_conf){
                    .endpoint = option("endpoint", NULL),
                    .bucket = option("bucket", NULL),
                    .region = "us-east-1",
                    .ca_cert = option("ca", NULL),
                    .connect_timeout_ms = 10000,
                    .stall_timeout_ms = number("stall_ms", 600000),
                    .max_attempts = (unsigned)number("attempts", 3),
                    .max_connections = (unsigned)number("in_flight", 2) + 2,
                    .retry_min_ms = 10,
                    .retry_max_ms = 50,
                    .credentials_ctx = p,
                    .credentials = credentials,
            },
            e);
}

static struct s3_upload *start_upload(struct probe *p, struct err *e)
{
    return s3_upload_start(p->client,
            &(struct s3_upload_spec){
                    .key = option("key", "a/b:c+d.dump"),
                    .size = p->size + number("announce_more", 0),
                    .at_most = number("at_most", 0),
                    .part_size = number("part_size", 5 << 20),
                    .parts_in_flight = (unsigned)number("in_flight", 2),
                    .metadata = &(struct s3_param){"probe", "one two"},
                    .n_metadata = 1,
                    .spool_dir = option("spool_dir", NULL),
                    .spool_limit = number("spool_limit", (uint64_t)1 << 30),
                    .patience_ms = number("patience_ms", 0),
                    .outage_ms = number("outage_ms", 0),
                    .ctx = p,
                    .on_retry = number("outage_ms", 0) ? on_retry : NULL,
                    .on_room = on_room,
                    .on_flushed = on_flushed,
                    .on_failed = on_failed,
                    .on_committed = on_committed,
                    .on_aborted = on_aborted,
            },
            e);
}

static int start(struct probe *p, struct err *e)
{
    p->fd = open(option("file", ""), O_RDONLY | O_CLOEXEC);
    if (p->fd < 0)
        return err_errno(e, errno, "cannot open the file");
    p->size = (uint64_t)lseek(p->fd, 0, SEEK_END);
    p->chunk_size = number("chunk", (1 << 20) + 40);
    p->stop = number("stop", UINT64_MAX);
    p->chunk = malloc(p->chunk_size);
    (void)uv_pipe_init(&p->loop, &p->input, 0);
    if (uv_pipe_open(&p->input, STDIN_FILENO) < 0 || uv_read_start((uv_stream_t *)&p->input, on_alloc, on_input) < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "stdin is no pipe");
    p->client = make_client(p, e);
    if (!p->client)
        return -1;
    p->upload = start_upload(p, e);
    return p->upload ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct probe p = {.fd = -1};
    struct err e;

    (void)argc;
    options = argv + 1;
    if (sodium_init() < 0 || uv_loop_init(&p.loop) < 0)
        return 1;
    if (start(&p, &e) < 0) {
        report(&p, "not started", &e);
        return 1;
    }
    report(&p, "started", NULL);
    pump(&p);
    (void)uv_run(&p.loop, UV_RUN_DEFAULT);
    (void)close(p.fd);
    free(p.chunk);
    secret_free(p.secret);
    return uv_loop_close(&p.loop) == 0 ? 0 : 1;
}
