#include "core/s3_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "core/credentials.h"
#include "core/log.h"
#include "http/proxy.h"

struct s3_keys {
    const struct conf *conf;
    struct credentials *file;    /* while somebody needs it; with a role, for a fetch alone */
    struct cloud_source *source; /* NULL: the file is all */
    const char **process;        /* argv */
    struct http_proxy proxy;
    bool is_service; /* else who is waited for tells the person */
    bool is_failing; /* the source, as the log says */
};

static const struct conf_credentials *read_file(struct s3_keys *k, struct err *e)
{
    if (!k->file && !(k->file = credentials_new(k->conf->s3.key_auth, CONF_CREDENTIALS_S3, e)))
        return NULL;
    return credentials_get(k->file, e);
}

/* ---- a file alone ---- */

static int get_of_file(void *ctx, struct s3_credentials *out, struct err *e)
{
    const struct conf_credentials *got = read_file(ctx, e);

    if (!got)
        return -1;
    *out = (struct s3_credentials){.access_key = got->id, .secret_key = got->secret, .session_token = got->token};
    return 0;
}

/* ---- fetched ---- */

static int get_of_source(void *ctx, struct s3_credentials *out, struct err *e)
{
    const struct s3_keys *k = ctx;
    const struct cloud_credentials *got = cloud_source_get(k->source, e);

    if (!got)
        return -1;
    *out = (struct s3_credentials){
            .access_key = got->access_key, .secret_key = got->secret_key, .session_token = got->token};
    return 0;
}

static bool wait_for_source(void *ctx, struct wait_link *w)
{
    const struct s3_keys *k = ctx;

    return cloud_source_wait(k->source, w);
}

static void leave_source(void *ctx, struct wait_link *w)
{
    const struct s3_keys *k = ctx;

    cloud_source_leave(k->source, w);
}

static bool refuse_of_source(void *ctx, const char *access_key)
{
    const struct s3_keys *k = ctx;
    struct cloud_state before, now;
    bool others;

    cloud_source_state(k->source, &before);
    others = cloud_source_refused(k->source, access_key);
    cloud_source_state(k->source, &now);
    if (before.is_there && !now.is_there) /* of many requests that are refused at once the first is told */
        log_info("the store does not take the credentials any more: others are fetched from %s",
                conf_source_name(k->conf->s3.source));
    return others;
}

/* Once at the beginning and once at the end of a streak. */
static void on_fetched(void *ctx, const struct err *why)
{
    struct s3_keys *k = ctx;
    char until[TIMESTAMP_TEXT_MAX];
    struct cloud_state state;

    cloud_source_state(k->source, &state);
    if (why) {
        log_write(k->is_failing || !k->is_service ? LOG_DEBUG : LOG_ERROR, "%s; tried again, %s%s", why->text,
                state.expires > timestamp_now() ? "those that are there serve until "
                                                : "and there are none that are valid",
                state.expires > timestamp_now() ? timestamp_format(state.expires, until) : "");
    } else {
        log_write(k->is_failing ? LOG_INFO : LOG_DEBUG, "credentials from %s: fetched, %s%s", state.kind,
                state.expires ? "valid until " : "valid until they are refused",
                state.expires ? timestamp_format(state.expires, until) : "");
    }
    k->is_failing = why != NULL;
}

/* The base of another role. */
static int copy_file(void *ctx, struct cloud_credentials *out, struct err *e)
{
    struct s3_keys *k = ctx;
    const struct conf_credentials *got = read_file(k, e);
    int result = -1;

    if (got)
        result = cloud_credentials_set(out, (struct bytes){(const uint8_t *)got->id, strlen(got->id)},
                (struct bytes){secret_const_data(got->secret), secret_len(got->secret)},
                got->token ? (struct bytes){secret_const_data(got->token), secret_len(got->token)}
                           : (struct bytes){NULL, 0},
                e);
    credentials_free(TAKE_PTR(k->file));
    return result;
}

static int make_source(struct s3_keys *k, uv_loop_t *loop, bool keeps_fresh, struct err *e)
{
    static const enum cloud_kind kinds[] = {
            [CONF_SOURCE_FILE] = CLOUD_FILE,
            [CONF_SOURCE_INSTANCE] = CLOUD_INSTANCE,
            [CONF_SOURCE_CONTAINER] = CLOUD_CONTAINER,
            [CONF_SOURCE_WEB_IDENTITY] = CLOUD_WEB_IDENTITY,
            [CONF_SOURCE_PROCESS] = CLOUD_PROCESS,
            [CONF_SOURCE_PROFILE] = CLOUD_PROFILE,
    };
    const struct conf_s3 *s3 = &k->conf->s3;
    struct cloud_source_spec spec = {.keeps_fresh = keeps_fresh, .ctx = k, .on_fetched = on_fetched};

    k->process = calloc(s3->n_process + 1, sizeof(*k->process));
    if (!k->process)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    for (size_t i = 0; i < s3->n_process; i++)
        k->process[i] = s3->process[i];
    spec.conf = (struct cloud_conf){
            .kind = kinds[s3->source],
            .region = s3->region,
            .role_arn = s3->role_arn,
            .role_session_name = s3->role_session_name,
            .external_id = s3->external_id,
            .token_file = s3->token_file,
            .sts_endpoint = s3->sts_endpoint,
            .proxy = &k->proxy,
            .instance_endpoint = s3->instance_endpoint,
            .ca_cert = s3->ca_cert,
            .process = k->process,
            .profile = s3->profile,
            .shared_credentials_file = s3->shared_credentials_file,
            .variable = getenv,
            .file_ctx = k,
            .file = copy_file,
    };
    k->source = cloud_source_new(loop, &spec, e);
    return k->source ? 0 : -1;
}

static int set_proxy(struct s3_keys *k, struct err *e)
{
    const struct conf_s3 *s3 = &k->conf->s3;
    _cleanup_(cleanup_credentials_free) struct credentials *file = NULL;
    const struct conf_credentials *got = NULL;

    if (s3->proxy && s3->proxy_auth &&
            (!(file = credentials_new(s3->proxy_auth, CONF_CREDENTIALS_ETCD, e)) || !(got = credentials_get(file, e))))
        return -1;
    return http_proxy_set(&k->proxy, s3->proxy, got ? got->id : NULL, got ? got->secret : NULL, e);
}

struct s3_keys *s3_keys_new(uv_loop_t *loop, const struct conf *conf, bool keeps_fresh, struct err *e)
{
    _cleanup_(cleanup_s3_keys_free) struct s3_keys *k = calloc(1, sizeof(*k));

    if (!k) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    k->conf = conf;
    k->is_service = keeps_fresh;
    if (set_proxy(k, e) < 0)
        return NULL;
    if ((conf->s3.source != CONF_SOURCE_FILE || conf->s3.role_arn) && make_source(k, loop, keeps_fresh, e) < 0)
        return NULL;
    return TAKE_PTR(k);
}

int s3_keys_use(struct s3_keys *k, struct s3_conf *out, struct err *e)
{
    out->credentials_ctx = k;
    out->proxy = &k->proxy;
    if (k->source) {
        out->credentials = get_of_source;
        out->credentials_wait = wait_for_source;
        out->credentials_leave = leave_source;
        out->credentials_refused = refuse_of_source;
        return 0;
    }
    out->credentials = get_of_file;
    return read_file(k, e) ? 0 : -1; /* what is wrong with it is said now, not at the first request */
}

void s3_keys_inherit(struct s3_keys *k, struct s3_keys *before)
{
    const char *file = k->conf->s3.key_auth, *file_before = before->conf->s3.key_auth;

    if (k->source && before->source && (file == file_before || (file && file_before && strcmp(file, file_before) == 0)))
        cloud_source_inherit(k->source, before->source);
}

void s3_keys_rest(struct s3_keys *k)
{
    credentials_free(TAKE_PTR(k->file));
}

bool s3_keys_state(const struct s3_keys *k, struct cloud_state *out)
{
    if (k->source)
        cloud_source_state(k->source, out);
    return k->source != NULL;
}

void s3_keys_free(struct s3_keys *k)
{
    if (!k)
        return;
    cloud_source_free(k->source);
    http_proxy_reset(&k->proxy);
    credentials_free(k->file);
    free(k->process);
    free(k);
}
