#include "h2/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "h2/dial.h"

enum {
    READ_SIZE = 256 * 1024,
    RECORD_SIZE = 16 * 1024, /* plaintext of a TLS record, at most (RFC 8446, section 5.1) */
    OUT_MAX = 1 << 20,
};

/* What the socket did not take at once. It has its own life, since the loop lets go of it only later. */
struct pending {
    uv_write_t req;
    struct buf data;
    struct h2_wire *wire; /* NULL: closed meanwhile */
};

struct h2_wire {
    struct h2_wire_spec spec;
    bool secure; /* plaintext may flow */
    bool heard;  /* anything at all has arrived */
    bool reset;  /* writing failed: the connection did not end in good order, whatever reading says */
    bool busy;   /* in a callback of the loop: freed at its end */
    bool closed;
    bool failed;
    struct buf out;
    struct pending *pending;
    uint8_t *in;    /* READ_SIZE */
    uint8_t *plain; /* RECORD_SIZE; with TLS */
};

static void destroy(struct h2_wire *w)
{
    if (w->plain)
        secret_wipe(w->plain, RECORD_SIZE);
    else if (w->in)
        secret_wipe(w->in, READ_SIZE);
    free(w->plain);
    free(w->in);
    if (w->out.data)
        secret_wipe(w->out.data, w->out.cap);
    buf_reset(&w->out);
    free(w);
}

/* Callbacks of the loop stand between these two. */
static void enter(struct h2_wire *w)
{
    w->busy = true;
}

static void leave(struct h2_wire *w)
{
    w->busy = false;
    if (w->closed)
        destroy(w);
}

static void fail(struct h2_wire *w, const struct err *e)
{
    if (w->closed || w->failed)
        return;
    w->failed = true;
    (void)uv_read_stop(w->spec.stream);
    w->spec.on_failed(w->spec.ctx, e);
}

/* The server has gone. Its last words, such as the alert that says why, may still wait to be read, and reading tells in
 * any case: so this is not where it ends. */
static bool reading_will_tell(struct h2_wire *w, int status)
{
    w->reset = w->reset || status == UV_EPIPE || status == UV_ECONNRESET;
    return w->reset;
}

static void pending_free(struct pending *p)
{
    secret_wipe(p->data.data, p->data.cap);
    buf_reset(&p->data);
    free(p);
}

static void on_written(uv_write_t *req, int status)
{
    struct pending *p = CONTAINER_OF(req, struct pending, req);
    struct h2_wire *w = p->wire;
    struct err e = ERR_INIT;

    pending_free(p);
    if (!w)
        return;
    w->pending = NULL;
    enter(w);
    if (status < 0 && !reading_will_tell(w, status)) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_UV, status, "the connection is lost: %s", uv_strerror(status));
        fail(w, &e);
    } else if (!w->failed) {
        w->spec.on_drained(w->spec.ctx);
    }
    leave(w);
}

/* Hands `out` without its first `done` bytes over to the loop. */
static int write_rest(struct h2_wire *w, size_t done, struct err *e)
{
    struct pending *p = calloc(1, sizeof(*p));
    uv_buf_t b;
    int rc;

    if (!p)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    p->data = w->out;
    p->wire = w;
    w->out = BUF_INIT(OUT_MAX);
    b = uv_buf_init((char *)p->data.data + done, (unsigned)(p->data.len - done));
    rc = uv_write(&p->req, w->spec.stream, &b, 1, on_written);
    if (rc < 0) {
        pending_free(p);
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, rc, "the connection is lost: %s", uv_strerror(rc));
    }
    w->pending = p;
    return 0;
}

int h2_wire_flush(struct h2_wire *w, struct err *e)
{
    uv_buf_t b = uv_buf_init((char *)w->out.data, (unsigned)w->out.len);
    int n;

    if (w->out.len == 0 || w->pending)
        return 0;
    n = uv_try_write(w->spec.stream, &b, 1);
    if (reading_will_tell(w, n))
        n = (int)w->out.len;
    if (n < 0 && n != UV_EAGAIN)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, n, "the connection is lost: %s", uv_strerror(n));
    if (n < 0)
        n = 0;
    if ((size_t)n < w->out.len)
        return write_rest(w, (size_t)n, e);
    secret_wipe(w->out.data, w->out.len);
    w->out.len = 0;
    return 0;
}

size_t h2_wire_gathered(const struct h2_wire *w)
{
    return w->out.len;
}

bool h2_wire_is_blocked(const struct h2_wire *w)
{
    return w->pending != NULL;
}

int h2_wire_write(struct h2_wire *w, struct bytes data, struct err *e)
{
    return w->spec.tls ? h2_tls_write(w->spec.tls, data, e) : buf_append(&w->out, data.data, data.len, e);
}

/* The handshake as far as it goes. What it wants to send, an alert included, is sent. Returns 1 when it is through. */
static int handshake(struct h2_wire *w, struct err *e)
{
    int rc = h2_tls_handshake(w->spec.tls, e);
    struct err ignored = ERR_INIT;

    if (rc < 0) {
        (void)h2_wire_flush(w, &ignored);
        return -1;
    }
    if (h2_wire_flush(w, e) < 0)
        return -1;
    return rc;
}

/* Works off the ciphertext: all of it, since what TLS has buffered is invisible to the loop. */
static int feed_tls(struct h2_wire *w, struct bytes data, struct err *e)
{
    ssize_t n = 1;

    h2_tls_input(w->spec.tls, data);
    if (!w->secure) {
        int rc = handshake(w, e);

        if (rc <= 0)
            return rc;
        w->secure = true;
        w->spec.on_secure(w->spec.ctx);
    }
    while (!w->closed && !w->failed && n > 0) {
        n = h2_tls_read(w->spec.tls, w->plain, RECORD_SIZE, e);
        if (n > 0)
            w->spec.on_data(w->spec.ctx, (struct bytes){.data = w->plain, .len = (size_t)n});
    }
    if (n < 0)
        return -1;
    /* TLS itself may have answered: with the refusal of a HelloRequest. */
    return w->closed || w->failed ? 0 : h2_wire_flush(w, e);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct h2_wire *w = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)w->in, READ_SIZE);
}

/* Whether what libuv calls an end was a reset. Two may hide it: a write of ours that the kernel told first, and libuv,
 * which after a short read that came with POLLHUP says UV_EOF and never asks the socket. */
static bool was_reset(const struct h2_wire *w)
{
    uv_os_fd_t fd;
    int error = 0;
    socklen_t len = sizeof(error);

    if (w->reset)
        return true;
    return uv_fileno((uv_handle_t *)w->spec.stream, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == ECONNRESET;
}

static int read_error(const struct h2_wire *w, ssize_t status, struct err *e)
{
    /* TLS spoken to a server that does not, or the other way round, mostly ends like this. */
    const char *doubt = !w->heard ? " without a word: does it speak TLS on this port?" : "";
    const char *without_tls = !w->heard ? " without a word: does it want TLS on this port?" : "";

    if (status == UV_EOF && was_reset(w))
        status = UV_ECONNRESET;
    if (status != UV_EOF)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, status, "the connection is lost: %s", uv_strerror((int)status));
    if (!w->secure)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, status,
                "the server closed the connection during the TLS handshake%s", doubt);
    return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, status, "the server closed the connection%s", without_tls);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct h2_wire *w = stream->data;
    struct err e = ERR_INIT;
    int rc = 0;

    (void)b;
    if (n == 0)
        return;
    enter(w);
    w->heard = w->heard || n > 0;
    if (n < 0)
        rc = read_error(w, n, &e);
    else if (w->spec.tls)
        rc = feed_tls(w, (struct bytes){.data = w->in, .len = (size_t)n}, &e);
    else
        w->spec.on_data(w->spec.ctx, (struct bytes){.data = w->in, .len = (size_t)n});
    if (rc < 0)
        fail(w, &e);
    leave(w);
}

static int start(struct h2_wire *w, struct err *e)
{
    int rc;

    w->in = malloc(READ_SIZE);
    w->plain = w->spec.tls ? malloc(RECORD_SIZE) : NULL;
    if (!w->in || (w->spec.tls && !w->plain))
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
    w->spec.stream->data = w;
    rc = uv_read_start(w->spec.stream, on_alloc, on_read);
    if (rc < 0)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_UV, rc, "the connection is lost: %s", uv_strerror(rc));
    w->secure = !w->spec.tls;
    if (!w->secure && (h2_tls_begin(w->spec.tls, &w->out, e) < 0 || handshake(w, e) < 0))
        return -1;
    return 0;
}

struct h2_wire *h2_wire_open(const struct h2_wire_spec *spec, struct err *e)
{
    struct h2_wire *w = calloc(1, sizeof(*w));

    if (!w) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        h2_dial_close_stream(spec->stream);
        return NULL;
    }
    w->spec = *spec;
    w->out = BUF_INIT(OUT_MAX);
    if (start(w, e) < 0) {
        h2_wire_close(w);
        return NULL;
    }
    return w;
}

void h2_wire_close(struct h2_wire *w)
{
    if (!w || w->closed)
        return;
    w->closed = true;
    if (w->secure && w->spec.tls)
        h2_tls_bye(w->spec.tls);
    if (!w->pending && w->out.len) {
        uv_buf_t b = uv_buf_init((char *)w->out.data, (unsigned)w->out.len);

        (void)uv_try_write(w->spec.stream, &b, 1);
    }
    if (w->pending)
        w->pending->wire = NULL;
    h2_dial_close_stream(w->spec.stream);
    if (!w->busy)
        destroy(w);
}
