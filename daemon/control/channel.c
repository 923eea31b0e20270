#include "control/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "control/wire.h"
#include "core/log.h"

enum {
    IN_FIRST = 4000, /* bytes of `in` at first: a page, with what libsodium needs of it */
    IN_MAX = WIRE_FRAME_MAX + 4,
};

struct channel {
    struct channel_spec spec;
    uv_pipe_t pipe;
    uv_timer_t stall; /* while the other end has something to read */
    size_t left;      /* bytes that it had not read when `stall` was started */
    unsigned open_handles;
    bool closing, deaf; /* deaf: no more frames are wanted */
    enum channel_patience patience;
    struct secret *in; /* what was received and is not taken yet: a request may bring master keys */
    size_t in_len;

    struct buf out;     /* waits */
    struct buf sending; /* what uv_write has now */
    uv_write_t write;
    bool writing;
    int passed; /* a descriptor that goes with the next bytes, or -1 */
};

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *h)
{
    struct channel *c = h->data;
    struct channel_spec spec = c->spec;

    if (--c->open_handles)
        return;
    secret_free(c->in);
    buf_reset(&c->out);
    buf_reset(&c->sending);
    if (c->passed >= 0)
        close(c->passed);
    free(c);
    spec.on_closed(spec.ctx);
}

void channel_close(struct channel *c)
{
    c->closing = true;
    uv_close((uv_handle_t *)&c->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&c->stall, on_handle_closed);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct channel *c = write->data;

    c->writing = false;
    if (c->closing)
        return;
    (void)uv_timer_stop(&c->stall);
    buf_reset(&c->sending);
    if (status < 0)
        c->spec.on_gone(c->spec.ctx);
    else
        c->spec.on_written(c->spec.ctx);
}

static void on_stall(uv_timer_t *timer);

/* Whoever does not read what he asked for must not keep one of the few places for ever. */
static void expect_reading(struct channel *c)
{
    if (!c->writing || c->patience == CHANNEL_FOR_EVER || c->closing || uv_is_active((uv_handle_t *)&c->stall))
        return;
    c->left = uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe);
    (void)uv_timer_start(&c->stall, on_stall, c->patience == CHANNEL_LAST ? CHANNEL_LAST_MS : CHANNEL_STALL_MS, 0);
}

static void on_stall(uv_timer_t *timer)
{
    struct channel *c = timer->data;

    if (c->patience == CHANNEL_LAST || uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == c->left) {
        log_warning("control: closed a connection whose client does not read");
        c->spec.on_gone(c->spec.ctx);
    } else {
        expect_reading(c);
    }
}

/* libuv passes its own handles alone. The first byte and the descriptor go by our own hand: nothing of libuv's is on
 * its way now. Of a socket that takes not even that nobody reads. */
static int pass(struct channel *c)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec first = {.iov_base = c->out.data, .iov_len = 1};
    struct msghdr message = {
            .msg_iov = &first, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    uv_os_fd_t fd;
    ssize_t n;

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    (void)memcpy(CMSG_DATA(rights), &c->passed, sizeof(int));
    if (uv_fileno((uv_handle_t *)&c->pipe, &fd) < 0)
        return -1;
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    close(TAKE_FD(c->passed));
    if (n != 1) {
        log_warning("control: closed a connection whose client does not take what it asked for");
        return -1;
    }
    buf_drop_front(&c->out, 1);
    return 0;
}

int channel_pass(struct channel *c, int fd, struct err *e)
{
    c->passed = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return c->passed >= 0 ? 0 : err_errno(e, errno, "a descriptor for the client");
}

static int send_more(struct channel *c)
{
    uv_buf_t buf;

    if (c->passed >= 0 && pass(c) < 0)
        return -1;

    c->sending = c->out;
    c->out = BUF_INIT(CHANNEL_OUT_MAX);
    buf = uv_buf_init((char *)c->sending.data, (unsigned)c->sending.len);
    c->write.data = c;
    c->writing = uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written) == 0;
    return c->writing ? 0 : -1;
}

struct buf *channel_out(struct channel *c)
{
    return &c->out;
}

bool channel_is_writing(const struct channel *c)
{
    return c->writing;
}

void channel_flush(struct channel *c, enum channel_patience patience)
{
    c->patience = patience;
    if (c->closing)
        return;
    if (!c->writing && c->out.len && send_more(c) < 0)
        c->spec.on_gone(c->spec.ctx);
    else
        expect_reading(c);
}

void channel_hurry(struct channel *c)
{
    c->patience = CHANNEL_LAST;
    (void)uv_timer_stop(&c->stall);
    expect_reading(c);
}

/* ---- reading ---- */

static struct bytes received(const struct channel *c)
{
    return (struct bytes){.data = secret_const_data(c->in), .len = c->in_len};
}

static void take_frames(struct channel *c)
{
    struct bytes frame;
    struct err e = ERR_INIT;
    size_t used;
    int n;

    while (!c->deaf && !c->closing && (n = wire_next(received(c), &frame, &used, &e)) != 0) {
        if (n < 0) {
            c->deaf = true;
            c->spec.on_nonsense(c->spec.ctx, &e);
            return;
        }
        c->deaf = !c->spec.on_frame(c->spec.ctx, frame);
        c->in_len -= used;
        (void)memmove(secret_data(c->in), secret_data(c->in) + used, c->in_len);
        secret_wipe(secret_data(c->in) + c->in_len, used);
    }
}

/* Most requests are short. The longest frame fits, so there is always room for more of the one that is awaited. */
static int make_room(struct channel *c, struct err *e)
{
    size_t room = secret_len(c->in);
    struct secret *larger;

    if (c->in_len < room)
        return 0;
    room = 4 * room < IN_MAX ? 4 * room : IN_MAX;
    larger = secret_new(room, e);
    if (!larger)
        return -1;
    (void)memcpy(secret_data(larger), secret_const_data(c->in), c->in_len);
    secret_free(c->in);
    c->in = larger;
    return 0;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct channel *c = h->data;
    struct err e = ERR_INIT;

    (void)suggested;
    *buf = uv_buf_init(NULL, 0); /* then on_read gets UV_ENOBUFS */
    if (c->in_len < IN_MAX && make_room(c, &e) == 0)
        *buf = uv_buf_init((char *)secret_data(c->in) + c->in_len, (unsigned)(secret_len(c->in) - c->in_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct channel *c = stream->data;

    (void)buf;
    if (n < 0) {
        c->spec.on_gone(c->spec.ctx);
        return;
    }
    c->in_len += (size_t)n;
    if (n > 0)
        take_frames(c);
}

/* ---- the beginning ---- */

struct channel *channel_new(uv_loop_t *loop, const struct channel_spec *spec, struct err *e)
{
    struct channel *c = calloc(1, sizeof(*c));

    if (!c || !(c->in = secret_new(IN_FIRST, e))) {
        if (!c)
            err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        free(c);
        return NULL;
    }
    c->spec = *spec;
    c->passed = -1;
    c->out = BUF_INIT(CHANNEL_OUT_MAX);
    c->pipe.data = c->stall.data = c;
    (void)uv_pipe_init(loop, &c->pipe, 0);
    (void)uv_timer_init(loop, &c->stall);
    c->open_handles = 2;
    return c;
}

uv_stream_t *channel_stream(struct channel *c)
{
    return (uv_stream_t *)&c->pipe;
}

int channel_start(struct channel *c)
{
    return uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0 ? -1 : 0;
}
