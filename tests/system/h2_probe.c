/*
 * h2_probe: one gRPC call by lib/h2, in the hands of a test.
 *
 *     h2_probe [OPTION...] ENDPOINT METHOD HEX-REQUEST
 *
 *     --ca --cert --key FILE
 *     --unary              exactly one message is expected
 *     --timeout MS         of the call
 *     --deadline MS        for the server, of one that is not unary
 *     --connect-timeout MS
 *     --quiet MS           without a byte, then a PING
 *     --window BYTES       --limit BYTES of a message
 *     --token TEXT
 *     --manual             messages are credited by hand, as they come
 *     --hold               ... and not at all, until SIGUSR1: "held BYTES" says how much so far
 *     --cancel-after N     the call is cancelled within its Nth message; --close-after N: the connection is closed
 * there
 *     --repeat N           so many calls, one after the other, on the one connection
 *     --parallel           ... all at once
 *     --linger             the connection is kept when the calls are over, until it ends by itself
 *     --count              of the messages only their number and bytes are told
 *
 * What happens is told on standard output, a line each, at once: "ready CIPHER", "message HEX", "messages N BYTES",
 * "done OK", "done KIND DOMAIN CODE TEXT", "closed KIND DOMAIN CODE TEXT". The exit status is 0 if the last call went
 * well, 1 if not, 2 for a wrong command line.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/conn.h"
#include "h2/grpc.h"

enum { CALLS_MAX = 1000 };

struct probe {
    const char *ca, *cert, *key, *method;
    uint8_t *request;
    size_t request_len;
    struct secret *token;
    uint64_t timeout, deadline, connect_timeout, quiet;
    uint32_t window;
    size_t limit;
    int unary, manual, hold, parallel, linger, count;
    unsigned long cancel_after, close_after, repeat;

    uv_loop_t loop;
    uv_signal_t go_on;
    struct h2_conn *conn;
    struct grpc_call *calls[CALLS_MAX];
    unsigned long started, ended, messages;
    uint64_t bytes;
    size_t held;
    int exit_status;
};

/* With a sanitizer's report in mind a line is never lost in a buffer. */
#define say(...) (void)(printf(__VA_ARGS__), fflush(stdout))

static void say_error(const char *what, const struct err *err)
{
    say("%s %s %d %" PRId64 " %s\n", what, err_kind_name(err->kind), err->domain, err->code, err->text);
}

static void start_call(struct probe *p);

static void end(struct probe *p)
{
    h2_conn_close(p->conn);
    p->conn = NULL;
    if (!uv_is_closing((uv_handle_t *)&p->go_on))
        uv_close((uv_handle_t *)&p->go_on, NULL);
}

static void on_message(void *ctx, struct bytes message)
{
    struct probe *p = ctx;
    struct grpc_call *call = p->calls[p->started - 1];

    p->messages++;
    p->bytes += message.len;
    if (!p->count) {
        printf("message ");
        for (size_t i = 0; i < message.len; i++)
            printf("%02x", message.data[i]);
        say("\n");
    }
    if (p->messages == p->cancel_after) {
        say("cancelled\n");
        grpc_call_cancel(call);
        p->ended++;
        if (!p->linger)
            end(p);
    } else if (p->messages == p->close_after) {
        say("closed by us\n");
        end(p);
    } else if (p->hold) {
        p->held += message.len + 5;
        say("held %zu\n", p->held);
    } else if (p->manual) {
        grpc_call_credit(call, message.len + 5);
    }
}

static void on_done(void *ctx, const struct err *err)
{
    struct probe *p = ctx;

    p->ended++;
    if (p->count)
        say("messages %lu %" PRIu64 "\n", p->messages, p->bytes);
    if (err)
        say_error("done", err);
    else
        say("done OK\n");
    p->exit_status = err != NULL;
    if (p->started < p->repeat && !p->parallel)
        start_call(p);
    else if (p->ended == p->repeat && !p->linger)
        end(p);
}

static void start_call(struct probe *p)
{
    struct err e = ERR_INIT;
    const struct grpc_call_spec spec = {
            .method = p->method,
            .request = {.data = p->request, .len = p->request_len},
            .token = p->token,
            .timeout_ms = p->timeout,
            .deadline_ms = p->deadline,
            .unary = p->unary,
            .manual_credit = p->manual || p->hold,
            .message_limit = p->limit,
            .ctx = p,
            .on_message = on_message,
            .on_done = on_done,
    };

    p->calls[p->started] = grpc_call_start(p->conn, &spec, &e);
    if (p->calls[p->started]) {
        p->started++;
        return;
    }
    say_error("not started", &e);
    p->exit_status = 1;
    if (!p->linger)
        end(p);
}

static void on_ready(void *ctx)
{
    struct probe *p = ctx;

    say("ready %s\n", h2_conn_cipher(p->conn));
}

static void on_closed(void *ctx, const struct err *err)
{
    struct probe *p = ctx;

    say_error("closed", err);
    p->exit_status = 1;
    end(p);
}

static void on_go_on(uv_signal_t *handle, int number)
{
    struct probe *p = handle->data;

    (void)number;
    say("goes on after %lu messages, %" PRIu64 " bytes\n", p->messages, p->bytes);
    p->hold = 0;
    p->manual = 1;
    grpc_call_credit(p->calls[p->started - 1], p->held);
}

static int run(struct probe *p, const char *endpoint)
{
    struct endpoint ep;
    struct err e = ERR_INIT;
    const struct h2_conn_spec spec = {
            .endpoint = &ep,
            .ca_cert = p->ca,
            .client_cert = p->cert,
            .client_key = p->key,
            .connect_timeout_ms = p->connect_timeout,
            .quiet_ms = p->quiet,
            .window = p->window,
            .ctx = p,
            .on_ready = on_ready,
            .on_closed = on_closed,
    };

    if (endpoint_parse(endpoint, ENDPOINT_ETCD, &ep, &e) < 0 || !(p->conn = h2_conn_open(&p->loop, &spec, &e))) {
        say_error("not opened", &e);
        return 1;
    }
    do
        start_call(p);
    while (p->parallel && p->conn && p->started < p->repeat);
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    return p->exit_status;
}

static int parse_options(struct probe *p, int argc, char **argv)
{
    static const struct option options[] = {{"ca", 1, NULL, 'a'}, {"cert", 1, NULL, 'c'}, {"key", 1, NULL, 'k'},
            {"unary", 0, NULL, 'u'}, {"timeout", 1, NULL, 't'}, {"deadline", 1, NULL, 'd'},
            {"connect-timeout", 1, NULL, 'T'}, {"quiet", 1, NULL, 'q'}, {"window", 1, NULL, 'w'},
            {"limit", 1, NULL, 'l'}, {"token", 1, NULL, 'o'}, {"manual", 0, NULL, 'm'}, {"hold", 0, NULL, 'h'},
            {"cancel-after", 1, NULL, 'C'}, {"close-after", 1, NULL, 'X'}, {"repeat", 1, NULL, 'r'},
            {"parallel", 0, NULL, 'p'}, {"linger", 0, NULL, 'L'}, {"count", 0, NULL, 'n'}, {NULL, 0, NULL, 0}};
    struct err e = ERR_INIT;
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 1;

        switch (o) {
        case 'a':
            p->ca = optarg;
            break;
        case 'c':
            p->cert = optarg;
            break;
        case 'k':
            p->key = optarg;
            break;
        case 'u':
            p->unary = 1;
            break;
        case 't':
            p->timeout = number;
            break;
        case 'd':
            p->deadline = number;
            break;
        case 'T':
            p->connect_timeout = number;
            break;
        case 'q':
            p->quiet = number;
            break;
        case 'w':
            p->window = (uint32_t)number;
            break;
        case 'l':
            p->limit = number;
            break;
        case 'o':
            p->token = secret_copy(optarg, strlen(optarg), &e);
            break;
        case 'm':
            p->manual = 1;
            break;
        case 'h':
            p->hold = 1;
            break;
        case 'C':
            p->cancel_after = number;
            break;
        case 'X':
            p->close_after = number;
            break;
        case 'r':
            p->repeat = number < CALLS_MAX ? number : CALLS_MAX;
            break;
        case 'p':
            p->parallel = 1;
            break;
        case 'L':
            p->linger = 1;
            break;
        case 'n':
            p->count = 1;
            break;
        default:
            return -1;
        }
    }
    return argc - optind == 3 ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct probe p = {.connect_timeout = 5000, .window = 1 << 20, .limit = 4 << 20, .repeat = 1};
    size_t hex_len;
    int rc;

    (void)signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0 || parse_options(&p, argc, argv) < 0) {
        fprintf(stderr, "usage: see the head of h2_probe.c\n");
        return 2;
    }
    p.method = argv[optind + 1];
    hex_len = strlen(argv[optind + 2]);
    p.request = malloc(hex_len / 2 + 1);
    if (!p.request || sodium_hex2bin(p.request, hex_len / 2 + 1, argv[optind + 2], hex_len, NULL, &p.request_len, NULL))
        return 2;
    (void)uv_loop_init(&p.loop);
    (void)uv_signal_init(&p.loop, &p.go_on);
    p.go_on.data = &p;
    (void)uv_signal_start(&p.go_on, on_go_on, SIGUSR1);
    uv_unref((uv_handle_t *)&p.go_on);
    rc = run(&p, argv[optind]);
    end(&p);
    (void)uv_run(&p.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&p.loop) != 0) {
        say("the loop still has something open\n");
        rc = 3;
    }
    secret_free(p.token);
    free(p.request);
    return rc;
}
