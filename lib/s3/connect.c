/*
 * The connection of an attempt. curl is never let connect by itself: it tries the addresses of one family one
 * after the other, and where it is driven by curl_multi_socket_action up to 7.88 at least it asks for no timer for the
 * second: one address that drops packets and all of the time to connect is gone. It goes in two passes:
 *
 *     1. curl resolves, and asks for a socket for each address that it would try; it gets none, and we know them. Where
 *        it has a connection that was kept, it asks for none, and that was all.
 *     2. one of them is connected to (net/race.h); curl begins again, and gets that socket.
 *
 * So all that curl knows (proxies, tunnels, names in certificates, reuse) stays as it is.
 */
#include <curl/curl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "s3/request_state.h"

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct s3_request *r = ctx;

    (void)purpose;
    if (r->ready_fd >= 0)
        return TAKE_FD(r->ready_fd);
    race_addresses_add(&r->addresses, &address->addr);
    return CURL_SOCKET_BAD;
}

static int on_opened(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx, (void)fd, (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

void s3_connect_set(struct s3_request *r)
{
    (void)curl_easy_setopt(r->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(r->easy, CURLOPT_OPENSOCKETDATA, r);
    (void)curl_easy_setopt(r->easy, CURLOPT_SOCKOPTFUNCTION, on_opened);
    /* It is not to wait with the second family until the first has been refused for a while. */
    (void)curl_easy_setopt(r->easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 1L);
    if (http_proxy_use(s3_client_proxy(r->client), r->easy) != CURLE_OK)
        r->lacks_option = true;
}

bool s3_connect_is_wanted(const struct s3_request *r, CURLcode code)
{
    return code != CURLE_OK && r->addresses.n > 0 && !r->dialed && r->answer.status == 0;
}

static void on_dialed(void *ctx, int fd, const union race_address *address, const struct err *err)
{
    struct s3_request *r = ctx;
    const struct s3_verdict_place at = s3_outcome_place(r);
    struct err e = ERR_INIT;

    r->dial = NULL;
    if (err) {
        s3_verdict_dial(&at, err, &e);
        s3_request_connected(r, &e);
        return;
    }
    r->ready_fd = fd;
    r->address = *address;
    s3_request_connected(r, NULL);
}

int s3_connect_start(struct s3_request *r, struct err *e)
{
    r->dialed = true;
    s3_client_sort_addresses(r->client, &r->addresses);
    r->dial = race_start(s3_client_loop(r->client),
            &(struct race_spec){
                    .addresses = &r->addresses,
                    .timeout_ms = s3_client_conf(r->client)->connect_timeout_ms,
                    .ctx = r,
                    .on_done = on_dialed,
            },
            e);
    return r->dial ? 0 : -1;
}

void s3_connect_forget(struct s3_request *r)
{
    race_cancel(TAKE_PTR(r->dial));
    if (r->ready_fd >= 0)
        (void)close(TAKE_FD(r->ready_fd));
}
