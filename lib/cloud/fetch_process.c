/* A program that prints credentials. Its output goes into locked memory; what it says to stderr, into the error. */
#include <string.h>

#include "cloud/document.h"
#include "cloud/fetch_state.h"

enum { LIMIT_MS = 60000, OUTPUT_MAX = 64 << 10, OUTPUT_FIRST = 4 << 10 };

static void on_line(void *ctx, const char *line)
{
    (void)ctx, (void)line; /* the last is in the error */
}

/* A program that says too much is refused in the end: it may be in the middle of something. */
static void on_output(void *ctx, const uint8_t *data, size_t len)
{
    struct cloud_fetch *f = ctx;
    struct err e = ERR_INIT;
    size_t room = f->output ? secret_len(f->output) : 0, want = room ? room : OUTPUT_FIRST;
    struct secret *larger;

    if (f->output_len > OUTPUT_MAX || len > OUTPUT_MAX - f->output_len) {
        f->output_len = OUTPUT_MAX + 1;
        return;
    }
    while (want < f->output_len + len)
        want *= 2;
    if (want > room) {
        larger = secret_new(want, &e);
        if (!larger) {
            f->output_len = OUTPUT_MAX + 1;
            return;
        }
        if (f->output)
            memcpy(secret_data(larger), secret_const_data(f->output), f->output_len);
        secret_free(f->output);
        f->output = larger;
    }
    memcpy(secret_data(f->output) + f->output_len, data, len);
    f->output_len += len;
}

static void on_done(void *ctx, const struct err *err)
{
    struct cloud_fetch *f = ctx;
    struct bytes text = {NULL, f->output_len};
    struct err e = ERR_INIT;

    f->program = NULL;
    if (err) {
        cloud_fetch_end(f, err);
        return;
    }
    if (f->output)
        text.data = secret_const_data(f->output);
    if (f->output_len > OUTPUT_MAX)
        (void)err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0,
                "the program printed more than %d bytes, or more than there is locked memory for", OUTPUT_MAX);
    else if (!f->output)
        (void)err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the program printed nothing");
    else if (cloud_document_parse(text, CLOUD_DOCUMENT_PROCESS, &f->got, &e) < 0)
        (void)err_prepend(&e, "what the program printed: ");
    f->date = 0;
    cloud_fetch_end(f, e.kind ? &e : NULL);
}

void cloud_fetch_run(struct cloud_fetch *f, const char *const *args)
{
    const struct program_spec spec = {
            .args = args,
            .inherit_fd = -1,
            .limit_ms = LIMIT_MS,
            .ctx = f,
            .on_line = on_line,
            .on_output = on_output,
            .on_done = on_done,
    };
    struct err e = ERR_INIT;

    f->program = program_start(f->loop, &spec, &e);
    if (!f->program)
        cloud_fetch_end(f, &e);
}

void cloud_fetch_begin_process(struct cloud_fetch *f)
{
    cloud_fetch_run(f, f->conf->process);
}
