#include "http/exchange.h"

#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "http/multi.h"
#include "http/proxy.h"

enum { LINE_MAX_LEN = 24 << 10, FIRST_ROOM = 4 << 10 };

struct http_exchange {
    struct http_multi *multi;
    struct http_multi_transfer transfer;
    struct curl_slist *lines;
    char *name;
    const char *hint;
    struct secret *body;   /* what is sent */
    struct secret *answer; /* NULL until the first byte */
    size_t answer_len;
    int64_t date;
    struct err stopped; /* why a callback of ours ended it */
    char curl_error[CURL_ERROR_SIZE];
    void *ctx;
    void (*on_done)(void *ctx, const struct http_exchange_answer *answer, const struct err *err);
};

static int no_memory(struct err *e)
{
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

static void destroy(struct http_exchange *x)
{
    http_multi_remove(&x->transfer);
    if (x->transfer.easy)
        curl_easy_cleanup(x->transfer.easy);
    for (struct curl_slist *l = x->lines; l; l = l->next)
        secret_wipe(l->data, strlen(l->data));
    curl_slist_free_all(x->lines);
    http_multi_free(x->multi);
    secret_free(x->body);
    secret_free(x->answer);
    free(x->name);
    free(x);
}
CLEANUP_FUNC(struct http_exchange *, destroy)

/* ---- the answer ---- */

/* Room for so much and a 0. */
static int grow(struct http_exchange *x, size_t need)
{
    size_t room = x->answer ? secret_len(x->answer) : FIRST_ROOM;
    struct secret *larger;

    if (need > HTTP_EXCHANGE_ANSWER_MAX)
        return err_set(&x->stopped, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "%s: the answer is longer than %d bytes", x->name,
                HTTP_EXCHANGE_ANSWER_MAX);
    if (x->answer && need < room)
        return 0;
    while (room <= need)
        room *= 2;
    larger = secret_new(room, &x->stopped);
    if (!larger)
        return -1;
    if (x->answer)
        memcpy(secret_data(larger), secret_const_data(x->answer), x->answer_len);
    secret_free(x->answer);
    x->answer = larger;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct http_exchange *x = ctx;
    const size_t len = size * n;

    if (len > HTTP_EXCHANGE_ANSWER_MAX || grow(x, x->answer_len + len) < 0) {
        if (!x->stopped.kind)
            (void)grow(x, SIZE_MAX);
        return 0;
    }
    memcpy(secret_data(x->answer) + x->answer_len, data, len);
    x->answer_len += len;
    return len;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    static const char name[] = "date:";
    struct http_exchange *x = ctx;
    const size_t len = size * n;
    char value[64];

    if (len > strlen(name) && len - strlen(name) < sizeof(value) && curl_strnequal(line, name, strlen(name))) {
        time_t date;

        (void)snprintf(value, sizeof(value), "%.*s", (int)(len - strlen(name)), line + strlen(name));
        date = curl_getdate(value, NULL);
        x->date = date > 0 ? date : 0;
    }
    return len;
}

/* ---- the end ---- */

/* curl's words for an address are good enough where nobody is to learn the URL: they name hosts alone. */
static void fail(struct http_exchange *x, CURLcode code, struct err *e)
{
    const bool certificate = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR;
    enum err_kind kind = ERR_TRANSIENT;

    if (x->stopped.kind) {
        *e = x->stopped;
        return;
    }
    if (certificate)
        kind = ERR_AUTH;
    else if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_URL_MALFORMAT)
        kind = ERR_CONFIG;
    else if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL || code == HTTP_MULTI_TOO_LARGE)
        kind = ERR_PROTOCOL;
    else if (code == CURLE_OUT_OF_MEMORY || code == CURLE_ABORTED_BY_CALLBACK)
        kind = ERR_RESOURCE;
    (void)err_set(e, kind, ERR_DOMAIN_CURL, code, "%s: %s%s%s", x->name,
            x->curl_error[0] && kind != ERR_CONFIG ? x->curl_error : curl_easy_strerror(code),
            x->hint && code == CURLE_OPERATION_TIMEDOUT ? "; " : "",
            x->hint && code == CURLE_OPERATION_TIMEDOUT ? x->hint : "");
}

static void on_curl_done(struct http_multi_transfer *t, CURLcode code)
{
    _cleanup_(cleanup_destroy) struct http_exchange *x = CONTAINER_OF(t, struct http_exchange, transfer);
    struct http_exchange_answer answer = {.date = x->date};
    struct err e = ERR_INIT;
    long status = 0;

    if (code != CURLE_OK) {
        fail(x, code, &e);
        x->on_done(x->ctx, NULL, &e);
        return;
    }
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = (int)status;
    if (x->answer)
        answer.body = (struct bytes){secret_const_data(x->answer), x->answer_len};
    x->on_done(x->ctx, &answer, NULL);
}

/* ---- the beginning ---- */

static bool fits_in_a_header(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int add_line(struct http_exchange *x, const char *line, struct err *e)
{
    struct curl_slist *longer = curl_slist_append(x->lines, line);

    if (!longer)
        return no_memory(e);
    x->lines = longer;
    return 0;
}

static int add_header(struct http_exchange *x, const struct http_header *h, struct err *e)
{
    _cleanup_buf_ struct buf line = BUF_INIT(LINE_MAX_LEN);

    if (!fits_in_a_header(h->value))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: a value with a line break cannot be sent as %s", x->name,
                h->name);
    if (buf_append(&line, h->name, strlen(h->name), e) < 0 || buf_append(&line, ": ", 2, e) < 0 ||
            buf_append(&line, h->value, strlen(h->value) + 1, e) < 0)
        return -1;
    return add_line(x, (const char *)line.data, e);
}

static int add_headers(struct http_exchange *x, const struct http_exchange_spec *spec, struct err *e)
{
    for (size_t i = 0; i < spec->n_headers; i++)
        if (add_header(x, &spec->headers[i], e) < 0)
            return -1;
    /* curl's own for a body: another type, and a wait for "100 Continue". */
    if (spec->body.len == 0 && add_line(x, "Content-Type:", e) < 0)
        return -1;
    return add_line(x, "Expect:", e);
}

static int check_url(const struct http_exchange *x, const struct http_exchange_spec *spec, struct err *e)
{
    CURLU *url = curl_url();
    char *host = NULL, *scheme = NULL;
    int result = 0;

    if (!url)
        return no_memory(e);
    if (curl_url_set(url, CURLUPART_URL, spec->url, 0) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        result = err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: that is no URL", x->name);
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        result = err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: a URL begins with https:// or http://", x->name);
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(url);
    return result;
}

static long milliseconds(uint64_t ms)
{
    return ms < LONG_MAX ? (long)ms : LONG_MAX;
}

static bool set_options(struct http_exchange *x, const struct http_exchange_spec *spec)
{
    CURL *easy = x->transfer.easy;
    CURLcode c = curl_easy_setopt(easy, CURLOPT_URL, spec->url);

    c |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    c |= http_proxy_use(spec->proxy, easy);
    c |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "etcd-backupd");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(spec->connect_ms));
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(spec->total_ms));
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->curl_error);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->lines);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    if (spec->ca_cert) {
        c |= curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_cert);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (strcmp(spec->method, "GET") != 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, x->body ? (const char *)secret_const_data(x->body) : "");
        c |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
    }
    return c == CURLE_OK;
}

struct http_exchange *http_exchange_start(uv_loop_t *loop, const struct http_exchange_spec *spec, struct err *e)
{
    _cleanup_(cleanup_destroy) struct http_exchange *x = calloc(1, sizeof(*x));

    if (!x || !(x->name = strdup(spec->name))) {
        (void)no_memory(e);
        return NULL;
    }
    x->ctx = spec->ctx;
    x->hint = spec->hint;
    x->on_done = spec->on_done;
    x->transfer.on_done = on_curl_done;
    x->multi = http_multi_new(loop, 1, e);
    if (!x->multi || check_url(x, spec, e) < 0 || add_headers(x, spec, e) < 0)
        return NULL;
    if (spec->body.len && !(x->body = secret_copy(spec->body.data, spec->body.len, e)))
        return NULL;
    x->transfer.easy = curl_easy_init();
    if (!x->transfer.easy || !set_options(x, spec)) {
        (void)no_memory(e);
        return NULL;
    }
    if (http_multi_add(x->multi, &x->transfer, e) < 0)
        return NULL;
    return TAKE_PTR(x);
}

void http_exchange_cancel(struct http_exchange *x)
{
    if (x)
        destroy(x);
}
