#include "ctl/talk.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "control/wire.h"
#include "ctl/connect.h"
#include "ctl/results.h"
#include "ctl/show.h"
#include "ctl/text.h"

struct session {
    const struct ctl *ctl;
    const struct talk *talk;
    struct connection connection;
    struct buf in;
    bool welcomed;
    bool ended;          /* Done has come */
    int64_t deadline_ms; /* of all of it, on the monotonic clock; with patience alone */
    int status;
};

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* Blocked outside ppoll, so that none is missed between looking and waiting. */
static void catch_signals(sigset_t *waiting)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t caught;

    (void)sigemptyset(&caught);
    (void)sigaddset(&caught, SIGINT);
    (void)sigaddset(&caught, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &caught, waiting);
    (void)sigdelset(waiting, SIGINT); /* whatever we inherited */
    (void)sigdelset(waiting, SIGTERM);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

void talk_release_signals(void)
{
    sigset_t caught;

    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigemptyset(&caught);
    (void)sigaddset(&caught, SIGINT);
    (void)sigaddset(&caught, SIGTERM);
    (void)sigprocmask(SIG_UNBLOCK, &caught, NULL);
}

static int send_request(struct session *s, const Control__Request *request, struct err *e)
{
    size_t len = wire_frame_size(&request->base), sent = 0;
    _cleanup_secret_ struct secret *frame = secret_new(len, e); /* it may hold master keys */

    if (!frame)
        return -1;
    wire_put_frame(secret_data(frame), &request->base);
    while (sent < len) {
        ssize_t n = send(s->connection.fd, secret_const_data(frame) + sent, len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "the daemon closed the connection");
        sent += (size_t)n;
    }
    return 0;
}

static int send_hello(struct session *s, struct err *e)
{
    Control__Hello hello = CONTROL__HELLO__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    hello.version = WIRE_VERSION;
    hello.wants_progress = s->talk->on_progress != NULL;
    request.body_case = CONTROL__REQUEST__BODY_HELLO;
    request.hello = &hello;
    return send_request(s, &request, e);
}

static int send_cancel(struct session *s, struct err *e)
{
    Control__Cancel cancel = CONTROL__CANCEL__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_CANCEL;
    request.cancel = &cancel;
    return send_request(s, &request, e);
}

static int status_of_kind(const char *kind)
{
    if (strcmp(kind, "busy") == 0)
        return CTL_BUSY;
    return strcmp(kind, "integrity") == 0 ? CTL_INTEGRITY : CTL_FAILED;
}

static void tell_failure(const struct session *s, const char *kind, const char *text)
{
    if (s->talk->on_failure) {
        s->talk->on_failure(s->talk->ctx, kind, text);
        return;
    }
    if (s->ctl->json)
        results_failure(kind, text);
    show_failure(text);
}

static void on_done(struct session *s, const Control__Done *done)
{
    s->ended = true;
    if (done->failure) {
        s->status = status_of_kind(done->failure->kind);
        tell_failure(s, done->failure->kind, done->failure->text);
    } else {
        s->status = CTL_DONE;
    }
    if ((!done->failure || done->result_case != CONTROL__DONE__RESULT__NOT_SET) && s->talk->on_done)
        s->talk->on_done(s->talk->ctx, done);
}

static int on_reply(struct session *s, const Control__Reply *reply, struct err *e)
{
    const struct talk *t = s->talk;

    switch (reply->body_case) {
    case CONTROL__REPLY__BODY_WELCOME:
        s->welcomed = true;
        if (t->on_welcome)
            t->on_welcome(t->ctx, reply->welcome);
        break;
    case CONTROL__REPLY__BODY_PROGRESS:
        if (t->on_progress)
            t->on_progress(t->ctx, reply->progress);
        break;
    case CONTROL__REPLY__BODY_NOTE:
        if (t->on_note)
            t->on_note(t->ctx, reply->note);
        break;
    case CONTROL__REPLY__BODY_ENTRY:
        if (t->on_entry)
            t->on_entry(t->ctx, reply->entry);
        break;
    case CONTROL__REPLY__BODY_OUTPUT:
        if (t->on_output)
            t->on_output(t->ctx, reply->output->text);
        break;
    case CONTROL__REPLY__BODY_VERDICT:
        if (t->on_verdict)
            t->on_verdict(t->ctx, reply->verdict);
        break;
    case CONTROL__REPLY__BODY_PLANNED:
        if (t->on_planned)
            t->on_planned(t->ctx, reply->planned);
        break;
    case CONTROL__REPLY__BODY_UNROTATED:
        if (t->on_unrotated)
            t->on_unrotated(t->ctx, reply->unrotated);
        break;
    case CONTROL__REPLY__BODY_LIVE_KEY:
        return t->on_live_key ? t->on_live_key(t->ctx, reply->live_key, e) : 0;
    case CONTROL__REPLY__BODY_FINDING:
        if (t->on_finding)
            t->on_finding(t->ctx, reply->finding);
        break;
    case CONTROL__REPLY__BODY_DONE:
        on_done(s, reply->done);
        break;
    default:
        break;
    }
    return 0;
}

static int take_replies(struct session *s, struct err *e)
{
    struct bytes message;
    size_t used;
    int n = 0;

    while (!s->ended && (n = wire_next(buf_bytes(&s->in), &message, &used, e)) > 0) {
        Control__Reply *reply = control__reply__unpack(NULL, message.len, message.data);
        int done;

        if (!reply)
            return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the daemon sent something that is no reply");
        if (!s->ctl->json) /* which escapes them in its own way */
            text_clean_message(&reply->base);
        done = on_reply(s, reply, e);
        control__reply__free_unpacked(reply, NULL);
        if (done < 0)
            return -1;
        buf_drop_front(&s->in, used);
    }
    return n;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for bytes or a signal. Returns 1 when there are bytes, 0 after a signal. */
static int wait_for_bytes(struct session *s, const sigset_t *waiting, struct err *e)
{
    const int64_t left = s->talk->patience ? s->deadline_ms - now_ms() : 0;
    const struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    struct pollfd fd = {.fd = s->connection.fd, .events = POLLIN};
    int n = left < 0 ? 0 : ppoll(&fd, 1, s->talk->patience ? &limit : NULL, waiting);

    if (n == 0) /* also when much comes, and no answer with it */
        return err_set(
                e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the daemon has not answered for %u seconds", s->talk->patience);
    if (n > 0)
        return 1;
    return errno == EINTR ? 0 : err_errno(e, errno, "poll");
}

/* One that nobody waits for is closed. */
static void take_descriptor(const struct session *s, struct msghdr *message)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(message);
    int fd;

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(fd)))
        return;
    (void)memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    if (s->talk->on_descriptor)
        s->talk->on_descriptor(s->talk->ctx, fd);
    else
        close(fd);
}

static ssize_t receive_bytes(struct session *s)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))]; /* the kernel closes what does not fit */
    } control = {0};
    struct iovec room = {.iov_base = s->in.data + s->in.len, .iov_len = s->in.cap - s->in.len};
    struct msghdr message = {
            .msg_iov = &room, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
    ssize_t n = recvmsg(s->connection.fd, &message, MSG_CMSG_CLOEXEC);

    if (n >= 0)
        take_descriptor(s, &message);
    return n;
}

static int receive(struct session *s, struct err *e)
{
    ssize_t n;

    if (buf_reserve(&s->in, 65536, e) < 0)
        return -1;
    n = receive_bytes(s);
    if (n < 0 && errno == ECONNRESET) /* killed while something of ours was on its way */
        n = 0;
    if (n < 0)
        return errno == EINTR ? 0 : err_errno(e, errno, "reading from the daemon");
    if (n == 0)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the daemon ended before it had answered");
    s->in.len += (size_t)n;
    return take_replies(s, e);
}

/* Root, or us; and the owner of the socket, whom root has given it to. */
static int check_daemon(const struct session *s, struct err *e)
{
    struct ucred daemon;
    socklen_t len = sizeof(daemon);
    struct stat st;

    if (getsockopt(s->connection.fd, SOL_SOCKET, SO_PEERCRED, &daemon, &len) < 0)
        return err_errno(e, errno, "who the daemon is");
    if (daemon.uid == 0 || daemon.uid == geteuid())
        return 0;
    if (!s->ctl->config && geteuid() == 0 && stat(s->ctl->socket, &st) == 0 && st.st_uid == daemon.uid)
        return 0;
    return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "what listens on %s runs as user %u: no keys are sent there",
            s->ctl->socket, (unsigned)daemon.uid);
}

static bool brings_secrets(const Control__Request *request)
{
    switch (request->body_case) {
    case CONTROL__REQUEST__BODY_ROTATE_KEY: /* keys, or identities */
        return true;
    case CONTROL__REQUEST__BODY_RESTORE:
        return request->restore->brought;
    case CONTROL__REQUEST__BODY_VERIFY:
        return request->verify->brought;
    case CONTROL__REQUEST__BODY_LOOK:
        return request->look->brought;
    default:
        return false;
    }
}

static int converse(struct session *s, const Control__Request *request, struct err *e)
{
    bool is_secret = brings_secrets(request), is_sent = false;
    sigset_t waiting;
    int asked_to_cancel = 0, n;

    if (protobuf_c_message_get_packed_size(&request->base) > WIRE_FRAME_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the options are longer than a daemon takes (%d bytes)",
                WIRE_FRAME_MAX);
    catch_signals(&waiting);
    /* If that fails there is still something to read: why the connection was refused, or that there is no daemon. */
    if (send_hello(s, e) == 0 && !is_secret)
        (void)send_request(s, request, e);
    while (!s->ended) {
        /* Keys are for a daemon that speaks our language, and that is whose it should be. */
        if (is_secret && s->welcomed && !is_sent) {
            if (check_daemon(s, e) < 0)
                return -1;
            is_sent = true;
            (void)send_request(s, request, e);
        }
        if (signals >= 2) {
            s->connection.private = 0; /* it takes back what there is and ends by itself */
            return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "left without waiting for the daemon to end the job");
        }
        if (signals && !asked_to_cancel++)
            (void)send_cancel(s, e); /* if that fails there is still the end to read */
        n = wait_for_bytes(s, &waiting, e);
        if (n < 0 || (n > 0 && receive(s, e) < 0))
            return -1;
    }
    return 0;
}

static enum purpose purpose_of(const Control__Request *request)
{
    switch (request->body_case) {
    case CONTROL__REQUEST__BODY_BACKUP:
    case CONTROL__REQUEST__BODY_LIVE:
        return PURPOSE_BACKUP;
    case CONTROL__REQUEST__BODY_PRUNE:
    case CONTROL__REQUEST__BODY_ROTATE_KEY:
        return PURPOSE_CHANGE;
    default:
        return PURPOSE_READ;
    }
}

int talk(const struct ctl *ctl, Control__Request *request, const struct talk *t)
{
    struct session s = {.ctl = ctl, .talk = t, .status = CTL_FAILED, .in = BUF_INIT(1 << 20)};
    struct err e = ERR_INIT;
    int left;

    s.deadline_ms = t->patience ? now_ms() + (int64_t)t->patience * 1000 : 0;
    if (connect_daemon(ctl, purpose_of(request), t->patience, &s.connection, &e) < 0) {
        tell_failure(&s, err_kind_name(e.kind), e.text);
        return e.kind == ERR_NOT_FOUND ? CTL_NO_DAEMON : CTL_FAILED;
    }
    if (converse(&s, request, &e) < 0)
        s.status = CTL_FAILED;
    left = connect_close(&s.connection);
    buf_reset(&s.in);
    if (s.ended)
        return s.status;
    if (left >= CONNECT_SIGNAL)
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "the private etcd-backupd was ended by signal %d (%s)",
                left - CONNECT_SIGNAL, strsignal(left - CONNECT_SIGNAL));
    else if (!s.welcomed && left != 0) /* a private daemon that did not start has said why */
        return left == CTL_USAGE ? CTL_USAGE : CTL_FAILED;
    tell_failure(&s, err_kind_name(e.kind), e.text);
    return s.status;
}
