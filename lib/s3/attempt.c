/* One attempt: curl's options and callbacks, and the watch over it. */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "s3/request_state.h"

/* An <Error> is a few hundred bytes; a proxy's page may be longer, and nobody wants to read it. */
enum { ERROR_BODY_MAX = 64 << 10, RECEIVE_BUFFER = 128 << 10, LOOKS = 4 };

/* Bytes moved: the watch over the attempt is content, and the owner is told if it is about a body. */
static void moved(struct s3_request *r, size_t bytes, bool of_body)
{
    r->moved += bytes;
    if (of_body && r->on_progress)
        http_multi_moved(&r->transfer);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct s3_request *r = ctx;

    moved(r, size * n, false);
    return s3_answer_line(&r->answer, line, size * n, &r->stopped) < 0 ? 0 : size * n;
}

/* Before the first byte of a body goes into `into`: is it the piece that was asked for? */
static int check_piece(const struct s3_request *r, struct err *e)
{
    const uint64_t want = r->range_start + r->into_done, last = r->range_start + r->into_len - 1;
    const struct s3_answer *a = &r->answer;

    if (a->status != 206) {
        /* A server that knows no ranges sends all of it: fine when all was wanted. Else nothing is known of the object.
         */
        if (want == 0 && (a->content_length == r->into_len || a->content_length == UINT64_MAX))
            return 0;
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP, a->status,
                "HTTP %d in place of the part asked for: the store, or a cache before it, ignores Range", a->status);
    }
    if (!a->has_range || a->range_first != want || a->range_last > last)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP, 206, "an answer with another range than that asked for");
    if (r->into_done > 0 && strcmp(a->etag, r->into_etag) != 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_HTTP, 206, "the object changed while it was read");
    return 0;
}

static int take_into(struct s3_request *r, const char *data, size_t len, struct err *e)
{
    if (r->into_done == r->into_begun && check_piece(r, e) < 0)
        return -1;
    if (r->into_done == 0)
        memcpy(r->into_etag, r->answer.etag, sizeof(r->into_etag));
    if (len > r->into_len - r->into_done && r->answer.status != 206)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_HTTP, r->answer.status,
                "HTTP %d with more than the part asked for: the store, or a cache before it, ignores Range",
                r->answer.status);
    if (len > r->into_len - r->into_done)
        return err_set(
                e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "the answer is longer than the %zu bytes asked for", r->into_len);
    memcpy(r->into + r->into_done, data, len);
    r->into_done += len;
    return 0;
}

static int take_body(struct s3_request *r, const char *data, size_t len, struct err *e)
{
    if (len <= r->body_limit - r->answer_body.len)
        return buf_append(&r->answer_body, data, len, e);
    return err_set(e, r->body_limit_is_integrity ? ERR_INTEGRITY : ERR_PROTOCOL, ERR_DOMAIN_NONE, 0,
            "the answer is longer than %zu bytes", r->body_limit);
}

/* Stops curl when there is enough of it; the status has said what it is. */
static int take_error_body(struct s3_request *r, const char *data, size_t len, struct err *e)
{
    const size_t room = ERROR_BODY_MAX - r->answer_body.len;

    if (buf_append(&r->answer_body, data, len < room ? len : room, e) < 0)
        return -1;
    return len > room ? -1 : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct s3_request *r = ctx;
    const size_t len = size * n;
    int result;

    moved(r, len, r->method == S3_GET);
    if (r->answer.status < 200 || r->answer.status >= 300)
        result = take_error_body(r, data, len, &r->stopped);
    else if (r->into)
        result = take_into(r, data, len, &r->stopped);
    else
        result = take_body(r, data, len, &r->stopped);
    return result < 0 ? 0 : len;
}

/*
 * TLS writes records of 16 KiB, and each would be packets of its own, the last of them short. Until the next one is
 * there the kernel keeps what does not fill a packet (tcp(7), TCP_CORK; no longer than 200 ms, which a limited rate may
 * need). The end of a body waits for nothing: it is let go before curl has it. Where curl gives up before that, it
 * closes the connection.
 */
static void fill_packets(struct s3_request *r, bool more_comes)
{
    const int on = more_comes;

    /* For the first piece curl has not told us the socket; one that is alone is not worth it. */
    if (more_comes == r->fills_packets || r->transfer.fd < 0)
        return;
    r->fills_packets = more_comes;
    (void)setsockopt(r->transfer.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static size_t on_send(char *out, size_t size, size_t n, void *ctx)
{
    struct s3_request *r = ctx;
    size_t len = size * n;

    if (len > r->body.len - r->sent)
        len = r->body.len - r->sent;
    if (len > 0)
        memcpy(out, r->body.data + r->sent, len);
    r->sent += len;
    fill_packets(r, r->sent < r->body.len);
    moved(r, len, true);
    return len;
}

/* curl begins again on another connection when a kept one turns out to be dead. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct s3_request *r = ctx;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->body.len)
        return CURL_SEEKFUNC_CANTSEEK;
    r->sent = (size_t)offset;
    r->fills_packets = false; /* a new one does not */
    return CURL_SEEKFUNC_OK;
}

static int on_connected(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct s3_request *r = ctx;

    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    /* curl sends it again on its own when a kept connection breaks before the answer begins. */
    if (r->connected)
        r->resent++;
    r->connected = true;
    moved(r, 1, false);
    return CURL_PREREQFUNC_OK;
}

void s3_attempt_text(struct s3_request *r, CURLoption option, const char *text)
{
    if (curl_easy_setopt(r->easy, option, text) != CURLE_OK)
        r->lacks_option = true;
}

static void set_connection(struct s3_request *r)
{
    const struct s3_conf *conf = s3_client_conf(r->client);
    CURL *easy = r->easy;

    s3_attempt_text(r, CURLOPT_URL, (const char *)r->url.data);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    s3_attempt_text(r, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (conf->ca_cert) {
        s3_attempt_text(r, CURLOPT_CAINFO, conf->ca_cert);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        /* The file is read for each connection: certificates are replaced while we run. */
        (void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    }
    if (conf->connect_timeout_ms > 0)
        (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                conf->connect_timeout_ms < LONG_MAX ? (long)conf->connect_timeout_ms : LONG_MAX);
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, r->fresh ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Cancelling does not wait for a name server that does not answer. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->curl_error);
    s3_connect_set(r);
    s3_attempt_text(r, CURLOPT_USERAGENT, "etcd-backupd");
}

static void set_callbacks(struct s3_request *r)
{
    CURL *easy = r->easy;

    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    /* What a proxy answers to CONNECT is not the store's word. */
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->lines);
    if (r->into)
        (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
}

/* A body is uploaded by the same callbacks whatever the method; curl calls that PUT unless told otherwise. */
static void set_method(struct s3_request *r)
{
    CURL *easy = r->easy;

    if (r->method == S3_PUT || r->method == S3_POST) {
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)r->send_rate);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, r);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, r);
    } else if (r->method == S3_HEAD) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (r->method == S3_POST || r->method == S3_DELETE)
        s3_attempt_text(r, CURLOPT_CUSTOMREQUEST, s3_headers_method(r->method));
}

static void forget_last(struct s3_request *r)
{
    s3_answer_reset(&r->answer);
    r->answer_body.len = 0;
    r->curl_error[0] = '\0';
    r->stopped = ERR_INIT;
    /* A kept connection that broke after it was used: curl wanted another, and all is sent again. */
    if (r->dialed && r->connected)
        r->resent++;
    r->addresses.n = 0;
    r->connected = false;
    r->fills_packets = false;
    r->sent = 0;
    r->moved = r->seen_moved = 0;
    r->seen_unsent = 0;
    r->seen_change_ms = uv_now(s3_client_loop(r->client));
    /* Without an ETag nobody could say whether the rest is of the same version. */
    if (!r->into_etag[0])
        r->into_done = 0;
    r->into_begun = r->into_done;
    r->used_skew = s3_client_used_skew(r->client);
}

int s3_attempt_start(struct s3_request *r, struct err *e)
{
    forget_last(r);
    if (s3_headers_make(r, e) < 0)
        return -1;
    if (r->easy)
        curl_easy_reset(r->easy);
    else
        r->easy = curl_easy_init();
    if (!r->easy)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    r->lacks_option = false;
    set_connection(r);
    set_callbacks(r);
    set_method(r);
    if (r->lacks_option)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcurl refuses an option: out of memory");
    r->transfer.easy = r->easy;
    return http_multi_add(s3_client_multi(r->client), &r->transfer, e);
}

uint64_t s3_attempt_look_ms(const struct s3_request *r)
{
    const uint64_t stall = s3_client_conf(r->client)->stall_timeout_ms;

    return stall > LOOKS ? stall / LOOKS : 1;
}

/* Bytes that the kernel has from us and that have not arrived: while they get fewer, a slow line is at work although
 * curl has nothing to do (tcp(7), SIOCOUTQ). */
static int unsent(const struct s3_request *r)
{
    int bytes = 0;

    return r->transfer.fd >= 0 && ioctl(r->transfer.fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

bool s3_attempt_stalled(struct s3_request *r)
{
    const uint64_t now = uv_now(s3_client_loop(r->client)), limit = s3_client_conf(r->client)->stall_timeout_ms;
    const int left = unsent(r);

    /* While it connects, curl's own time-out watches. */
    if (!r->connected || r->moved != r->seen_moved || left != r->seen_unsent) {
        r->seen_moved = r->moved;
        r->seen_unsent = left;
        r->seen_change_ms = now;
        return false;
    }
    if (now - r->seen_change_ms < limit)
        return false;
    (void)err_set(&r->stopped, ERR_TRANSIENT, ERR_DOMAIN_CURL, CURLE_OPERATION_TIMEDOUT,
            "no byte to or from %s for %llu s", s3_client_shown(r->client),
            (unsigned long long)((now - r->seen_change_ms + 500) / 1000));
    return true;
}
