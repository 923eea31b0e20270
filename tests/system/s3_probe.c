/*
 * s3_probe.c: does what it is told by lib/s3/object.h and request.h, as a test wants it.
 *
 *     s3_probe NAME=VALUE ...
 *
 * Each line on stdin is a command, its words separated by tabs; all run at once, as they come. What comes of the n-th,
 * from 1, is a line of JSON on stdout with "id": n. The end of stdin frees the client and ends the program, which fails
 * if anything is left in the loop.
 *
 *     put KEY FILE [NAME=VALUE ...]       metadata, or if-match=ETAG, if-none-match=*
 *     get KEY LIMIT [VERSION]             at most so many bytes; "body", or of a long one "sha256"
 *     range KEY START LEN [ETAG]          into memory, by s3_request_spec.into
 *     quit-range KEY START LEN BYTES      the same, cancelled by its own on_progress after so many bytes
 *     head KEY | delete KEY | delete-version KEY VERSION | create KEY | abort KEY UPLOAD
 *     list PREFIX | unfinished PREFIX     one line an item, then one with "done"
 *     versions PREFIX                     the same
 *     quit-list PREFIX N                  cancelled by its own on_object at the N-th
 *     quit-versions PREFIX N              cancelled by its own on_version at the N-th
 *     remove FILE                         the keys of the file, each with a 0 at its end; one line a key, then "done"
 *     quit-remove FILE N                  cancelled by its own on_each at the N-th
 *     cancel N                            what the N-th command started
 *     free-on-done                        the client is freed inside the next on_done
 *     close-idle | look                   `look`: clock skew, and which of libuv's handles are active
 */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "http/proxy.h"
#include "s3/object.h"
#include "s3/remove.h"
#include "s3/xml.h"

enum { COMMANDS_MAX = 4096, WORDS_MAX = 16, LINE_LIMIT = 64 << 10, FILE_LIMIT = 256 << 20, BODY_SHOWN = 64 << 10 };

struct probe {
    struct http_proxy proxy;
    uv_loop_t loop;
    uv_pipe_t input;
    struct buf line;
    struct s3_client *client;
    unsigned n_commands;
    struct secret *secret_key, *token;
    char access_key[128];
    bool free_on_done;
};

/* One command under way. */
struct command {
    struct probe *probe;
    unsigned id;
    const char *name;
    struct s3_request *request;
    struct s3_listing *listing;
    struct s3_remove *remove;
    struct buf file; /* what is sent */
    const char **keys;
    uint8_t *into; /* what is read */
    size_t into_len;
    uint64_t progress, quit_at, n_items;
};

static char **options;
static struct command *commands[COMMANDS_MAX];

static const char *option(const char *name, const char *fallback)
{
    const size_t len = strlen(name);

    for (char **o = options; *o; o++)
        if (strncmp(*o, name, len) == 0 && (*o)[len] == '=')
            return *o + len + 1;
    return fallback;
}

static uint64_t number(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "s3_probe: %s\n", what);
    exit(2);
}

static void print_text(const char *name, const char *text)
{
    printf(", \"%s\": \"", name);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == '"' || c == '\\')
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_hex(const char *name, const uint8_t *data, size_t len)
{
    printf(", \"%s\": \"", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", data[i]);
    putchar('"');
}

/* A long body by its hash alone. */
static void print_body(const uint8_t *data, size_t len)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    if (len <= BODY_SHOWN) {
        print_hex("body", data, len);
    } else {
        crypto_hash_sha256(hash, data, len);
        print_hex("sha256", hash, sizeof(hash));
    }
}

static void begin(const struct command *c, const char *event)
{
    printf("{\"id\": %u, \"event\": \"%s\"", c->id, event);
}

static void end(void)
{
    printf("}\n");
    fflush(stdout);
}

static void drop(struct command *c)
{
    commands[c->id] = NULL;
    buf_reset(&c->file);
    free(c->keys);
    free(c->into);
    free(c);
}

static void print_error(const struct err *err)
{
    print_text("kind", err_kind_name(err->kind));
    print_text("text", err->text);
    printf(", \"domain\": %d, \"code\": %" PRId64, (int)err->domain, err->code);
}

/* The end of a command: its owner is told nothing more, and may take everything with it. */
static void finish(struct command *c)
{
    struct probe *p = c->probe;

    drop(c);
    if (p->free_on_done) {
        s3_client_free(TAKE_PTR(p->client));
        p->free_on_done = false;
    }
}

static void print_response(const struct command *c, const struct s3_response *res)
{
    printf(", \"status\": %d, \"attempts\": %u, \"last_modified\": %" PRId64, res->status, res->attempts,
            res->last_modified);
    if (res->content_length != UINT64_MAX)
        printf(", \"content_length\": %" PRIu64, res->content_length);
    print_text("etag", res->etag);
    printf(", \"metadata\": {\"\": \"\"");
    for (size_t i = 0; i < res->n_metadata; i++)
        print_text(res->metadata[i].name, res->metadata[i].value);
    printf("}");
    if (c->into)
        print_body(c->into, c->into_len);
    else
        print_body(res->body.data, res->body.len);
}

static void on_done(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct command *c = ctx;
    char upload_id[XML_UPLOAD_ID_MAX];
    struct err e = ERR_INIT;

    c->request = NULL;
    assert(!res != !err);
    begin(c, err ? "failed" : "done");
    printf(", \"progress\": %" PRIu64, c->progress);
    if (err)
        print_error(err);
    else
        print_response(c, res);
    if (res && strcmp(c->name, "create") == 0) {
        if (xml_parse_upload_id(res->body, upload_id, &e) == 0)
            print_text("upload_id", upload_id);
        else
            print_error(&e);
    }
    end();
    finish(c);
}

static void on_progress(void *ctx, uint64_t bytes)
{
    struct command *c = ctx;

    c->progress = bytes;
    if (c->quit_at == 0 || bytes < c->quit_at)
        return;
    s3_request_cancel(TAKE_PTR(c->request));
    begin(c, "quit");
    end();
    finish(c);
}

/* One more of a listing has been shown. */
static void count_item(struct command *c)
{
    if (++c->n_items != c->quit_at)
        return;
    s3_listing_cancel(TAKE_PTR(c->listing));
    begin(c, "quit");
    end();
    finish(c);
}

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    struct command *c = ctx;

    (void)e;
    begin(c, "object");
    print_text("key", o->key);
    printf(", \"size\": %" PRIu64 ", \"last_modified\": %" PRId64, o->size, o->last_modified);
    end();
    count_item(c);
    return 0;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    const struct command *c = ctx;

    (void)e;
    begin(c, "upload");
    print_text("key", u->key);
    print_text("upload_id", u->upload_id);
    printf(", \"initiated\": %" PRId64, u->initiated);
    end();
    return 0;
}

static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    struct command *c = ctx;

    (void)e;
    begin(c, "version");
    print_text("key", v->key);
    print_text("version_id", v->version_id);
    printf(", \"is_latest\": %s, \"is_delete_marker\": %s", v->is_latest ? "true" : "false",
            v->is_delete_marker ? "true" : "false");
    printf(", \"size\": %" PRIu64 ", \"last_modified\": %" PRId64, v->size, v->last_modified);
    end();
    count_item(c);
    return 0;
}

static void on_listed(void *ctx, const struct err *err)
{
    struct command *c = ctx;

    c->listing = NULL;
    c->remove = NULL;
    begin(c, err ? "failed" : "done");
    if (err)
        print_error(err);
    end();
    finish(c);
}

static void on_each(void *ctx, size_t index, const struct err *err)
{
    struct command *c = ctx;

    begin(c, "key");
    printf(", \"index\": %zu", index);
    if (err)
        print_error(err);
    end();
    if (++c->n_items == c->quit_at) {
        s3_remove_cancel(TAKE_PTR(c->remove));
        begin(c, "quit");
        end();
        finish(c);
    }
}

static void read_file(struct buf *out, const char *path)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    char chunk[16384];
    struct err e = ERR_INIT;
    size_t n;

    if (!f)
        die(path);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        if (buf_append(out, chunk, n, &e) < 0)
            die(e.text);
}

/* NAME=VALUE into its two halves. */
static bool split(char *word, struct s3_param *out)
{
    char *equals = strchr(word, '=');

    if (!equals)
        return false;
    *equals = '\0';
    *out = (struct s3_param){.name = word, .value = equals + 1};
    return true;
}

static struct s3_request *start_put(struct command *c, char **words, struct err *e)
{
    struct s3_param metadata[WORDS_MAX];
    struct s3_put_spec spec = {.key = words[1], .metadata = metadata, .ctx = c, .on_done = on_done};
    struct s3_param one;

    read_file(&c->file, words[2]);
    spec.body = buf_bytes(&c->file);
    for (char **w = words + 3; *w && split(*w, &one); w++) {
        if (strcmp(one.name, "if-match") == 0)
            spec.if_match = one.value;
        else if (strcmp(one.name, "if-none-match") == 0)
            spec.if_none_match = true;
        else
            metadata[spec.n_metadata++] = one;
    }
    return s3_put(c->probe->client, &spec, e);
}

static struct s3_request *start_range(struct command *c, char **words, struct err *e)
{
    const bool quits = strcmp(words[0], "quit-range") == 0;
    struct s3_request_spec spec = {.method = S3_GET,
            .key = words[1],
            .range_start = number(words[2]),
            .ctx = c,
            .on_done = on_done,
            .on_progress = on_progress};

    c->into_len = number(words[3]);
    c->into = calloc(1, c->into_len + 1);
    c->quit_at = quits ? number(words[4]) : 0;
    spec.into = c->into;
    spec.into_len = c->into_len;
    spec.if_match = quits ? NULL : words[4];
    return s3_request_start(c->probe->client, &spec, e);
}

static struct s3_request *start_get(struct command *c, char **words, struct err *e)
{
    const struct s3_get_spec spec = {
            .key = words[1], .limit = number(words[2]), .version_id = words[3], .ctx = c, .on_done = on_done};

    return s3_get(c->probe->client, &spec, e);
}

static struct s3_request *start_create(struct command *c, char **words, struct err *e)
{
    const struct s3_param query = {.name = "uploads", .value = ""};
    const struct s3_request_spec spec = {
            .method = S3_POST, .key = words[1], .query = &query, .n_query = 1, .ctx = c, .on_done = on_done};

    return s3_request_start(c->probe->client, &spec, e);
}

static struct s3_listing *start_listing(struct command *c, char **words, struct err *e)
{
    const struct s3_listing_spec spec = {.prefix = words[1] ? words[1] : "",
            .ctx = c,
            .on_object = on_object,
            .on_unfinished = on_unfinished,
            .on_version = on_version,
            .on_done = on_listed};

    c->quit_at = strncmp(words[0], "quit-", strlen("quit-")) == 0 ? number(words[2]) : 0;
    if (strstr(words[0], "versions"))
        return s3_list_versions(c->probe->client, &spec, e);
    if (strcmp(words[0], "unfinished") == 0)
        return s3_list_unfinished(c->probe->client, &spec, e);
    return s3_list_objects(c->probe->client, &spec, e);
}

static struct s3_remove *start_remove(struct command *c, char **words, struct err *e)
{
    struct s3_remove_spec spec = {.ctx = c, .on_each = on_each, .on_done = on_listed};

    read_file(&c->file, words[1]);
    c->quit_at = number(words[2]);
    c->keys = calloc(c->file.len + 1, sizeof(c->keys[0]));
    for (size_t i = 0; i < c->file.len; i += strlen(c->keys[spec.n++]) + 1)
        c->keys[spec.n] = (const char *)c->file.data + i;
    spec.keys = c->keys;
    return s3_remove_start(c->probe->client, &spec, e);
}

static void start(struct probe *p, char **words)
{
    static const char *const names[] = {"put", "get", "range", "quit-range", "head", "delete", "delete-version",
            "create", "abort", "list", "unfinished", "versions", "quit-list", "quit-versions", "remove", "quit-remove"};
    struct command *c = calloc(1, sizeof(*c));
    struct err e = ERR_INIT;

    *c = (struct command){.probe = p, .id = p->n_commands, .file = BUF_INIT(FILE_LIMIT)};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(words[0], names[i]) == 0)
            c->name = names[i];
    if (!c->name)
        die(words[0]);
    commands[c->id] = c;
    if (strcmp(c->name, "put") == 0)
        c->request = start_put(c, words, &e);
    else if (strstr(c->name, "range"))
        c->request = start_range(c, words, &e);
    else if (strcmp(c->name, "get") == 0)
        c->request = start_get(c, words, &e);
    else if (strcmp(c->name, "create") == 0)
        c->request = start_create(c, words, &e);
    else if (strcmp(c->name, "head") == 0)
        c->request = s3_head(p->client, words[1], c, on_done, &e);
    else if (strcmp(c->name, "delete") == 0)
        c->request = s3_delete(p->client, words[1], c, on_done, &e);
    else if (strcmp(c->name, "delete-version") == 0)
        c->request = s3_delete_version(p->client, words[1], words[2], c, on_done, &e);
    else if (strcmp(c->name, "abort") == 0)
        c->request = s3_abort(p->client, words[1], words[2], c, on_done, &e);
    else if (strstr(c->name, "remove"))
        c->remove = start_remove(c, words, &e);
    else
        c->listing = start_listing(c, words, &e);
    if (c->request || c->listing || c->remove)
        return;
    begin(c, "refused");
    print_error(&e);
    end();
    drop(c);
}

static void cancel(unsigned id)
{
    struct command *c = id < COMMANDS_MAX ? commands[id] : NULL;

    if (!c)
        return;
    if (c->request)
        s3_request_cancel(c->request);
    if (c->listing)
        s3_listing_cancel(c->listing);
    if (c->remove)
        s3_remove_cancel(c->remove);
    begin(c, "cancelled");
    end();
    drop(c);
}

static void count_active(uv_handle_t *handle, void *ctx)
{
    const struct probe *p = CONTAINER_OF(handle->loop, struct probe, loop);

    if (uv_is_active(handle) && handle != (const uv_handle_t *)&p->input)
        ++*(unsigned *)ctx;
}

static void look(struct probe *p)
{
    unsigned active = 0;

    uv_walk(&p->loop, count_active, &active);
    printf("{\"id\": %u, \"event\": \"looked\", \"active\": %u, \"skew\": %" PRId64 ", \"tls\": %s", p->n_commands,
            active, s3_client_clock_skew(p->client), s3_client_is_tls(p->client) ? "true" : "false");
    end();
}

static void obey(struct probe *p, char *line)
{
    char *words[WORDS_MAX] = {NULL};
    size_t n = 0;

    for (char *word; n < WORDS_MAX - 1 && (word = strsep(&line, "\t"));)
        words[n++] = word;
    if (++p->n_commands >= COMMANDS_MAX)
        die("too many commands");
    if (strcmp(words[0], "cancel") == 0)
        cancel((unsigned)number(words[1]));
    else if (strcmp(words[0], "free-on-done") == 0)
        p->free_on_done = true;
    else if (strcmp(words[0], "close-idle") == 0)
        s3_client_close_idle(p->client);
    else if (strcmp(words[0], "look") == 0)
        look(p);
    else
        start(p, words);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    static char chunk[4096];

    (void)handle, (void)size;
    *out = uv_buf_init(chunk, sizeof(chunk));
}

static void quit(struct probe *p)
{
    for (unsigned id = 0; id < COMMANDS_MAX; id++)
        cancel(id);
    s3_client_free(TAKE_PTR(p->client));
    uv_close((uv_handle_t *)&p->input, NULL);
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
    struct probe *p = CONTAINER_OF(stream, struct probe, input);
    struct err e = ERR_INIT;

    if (n < 0) {
        quit(p);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        const bool at_end = chunk->base[i] == '\n';

        if (buf_append(&p->line, at_end ? "" : &chunk->base[i], 1, &e) < 0)
            die(e.text);
        if (at_end) {
            obey(p, (char *)p->line.data);
            p->line.len = 0;
        }
    }
}

/* The lines of a file: access key, secret key, and perhaps a session token. Read each time, as the daemon does. */
static int read_credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    struct probe *p = ctx;
    const char *path = option("credentials", NULL);
    char line[3][1024] = {"testkey", "testsecret", ""};
    _cleanup_fclose_ FILE *f = path ? fopen(path, "re") : NULL;

    if (path && !f)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no credentials");
    for (size_t i = 0; f && i < 3 && fgets(line[i], sizeof(line[i]), f); i++)
        line[i][strcspn(line[i], "\n")] = '\0';
    secret_free(p->secret_key);
    secret_free(p->token);
    (void)snprintf(p->access_key, sizeof(p->access_key), "%.127s", line[0]);
    p->secret_key = secret_copy(line[1], strlen(line[1]), e);
    p->token = secret_copy(line[2], strlen(line[2]), e);
    if (!p->secret_key || !p->token)
        die(e->text);
    *out = (struct s3_credentials){.access_key = p->access_key, .secret_key = p->secret_key, .session_token = p->token};
    return 0;
}

static struct s3_client *make_client(struct probe *p)
{
    static const char *const addressings[] = {
            [S3_ADDRESSING_AUTO] = "auto", [S3_ADDRESSING_PATH] = "path", [S3_ADDRESSING_VIRTUAL] = "virtual"};
    struct s3_conf conf = {
            .endpoint = option("endpoint", "localhost"),
            .bucket = option("bucket", "bucket"),
            .region = option("region", "us-east-1"),
            .ca_cert = option("ca", NULL),
            .connect_timeout_ms = number(option("connect_timeout", "10000")),
            .stall_timeout_ms = number(option("stall_timeout", "60000")),
            .max_attempts = (unsigned)number(option("attempts", "4")),
            .max_connections = (unsigned)number(option("connections", "4")),
            .retry_min_ms = number(option("retry_min", "10")),
            .retry_max_ms = number(option("retry_max", "50")),
            .credentials_ctx = p,
            .credentials = read_credentials,
    };
    _cleanup_secret_ struct secret *password = NULL;
    struct s3_client *client;
    struct err e = ERR_INIT;

    if (option("proxy_password", NULL))
        password = secret_copy(option("proxy_password", ""), strlen(option("proxy_password", "")), &e);
    if (http_proxy_set(&p->proxy, option("proxy", NULL), option("proxy_user", NULL), password, &e) < 0)
        die(e.text);
    conf.proxy = &p->proxy;
    for (size_t i = 0; i < ARRAY_LEN(addressings); i++)
        if (strcmp(option("addressing", "auto"), addressings[i]) == 0)
            conf.addressing = (enum s3_addressing)i;
    client = s3_client_new(&p->loop, &conf, &e);
    if (!client) {
        printf("{\"id\": 0, \"event\": \"refused\"");
        print_error(&e);
        end();
    }
    return client;
}

int main(int argc, char **argv)
{
    static struct probe p;

    (void)argc;
    p.line = BUF_INIT(LINE_LIMIT);
    options = argv + 1;
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0 || uv_loop_init(&p.loop) < 0)
        return 2;
    p.client = make_client(&p);
    if (p.client) {
        if (uv_pipe_init(&p.loop, &p.input, 0) < 0 || uv_pipe_open(&p.input, 0) < 0 ||
                uv_read_start((uv_stream_t *)&p.input, on_alloc, on_input) < 0)
            return 2;
    }
    uv_run(&p.loop, UV_RUN_DEFAULT);
    http_proxy_reset(&p.proxy);
    if (uv_loop_close(&p.loop) < 0)
        die("something is left in the loop");
    buf_reset(&p.line);
    secret_free(p.secret_key);
    secret_free(p.token);
    return p.client ? 2 : 0;
}
