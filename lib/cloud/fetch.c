#include "cloud/fetch_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void begin_file(struct cloud_fetch *f)
{
    struct err e = ERR_INIT;

    cloud_fetch_end(f, f->conf->file(f->conf->file_ctx, &f->got, &e) < 0 ? &e : NULL);
}

static const struct kind {
    const char *name;
    void (*begin)(struct cloud_fetch *f);
} kinds[] = {
        [CLOUD_FILE] = {"file", begin_file},
        [CLOUD_INSTANCE] = {"instance", cloud_fetch_begin_instance},
        [CLOUD_CONTAINER] = {"container", cloud_fetch_begin_container},
        [CLOUD_WEB_IDENTITY] = {"web-identity", cloud_fetch_begin_web_identity},
        [CLOUD_PROCESS] = {"process", cloud_fetch_begin_process},
        [CLOUD_PROFILE] = {"profile", cloud_fetch_begin_profile},
};

const char *cloud_kind_name(enum cloud_kind kind)
{
    return kinds[kind].name;
}

static void on_closed(uv_handle_t *handle)
{
    struct cloud_fetch *f = CONTAINER_OF(handle, struct cloud_fetch, timer);

    cloud_credentials_clear(&f->got);
    secret_free(f->token);
    secret_free(f->output);
    free(f->role);
    free(f);
}

static void leave(struct cloud_fetch *f)
{
    if (!uv_is_closing((uv_handle_t *)&f->timer))
        uv_close((uv_handle_t *)&f->timer, on_closed);
}

void cloud_fetch_end(struct cloud_fetch *f, const struct err *err)
{
    struct err e = ERR_INIT;

    if (f->is_cancelled) {
        leave(f);
        return;
    }
    if (!err && f->conf->role_arn && f->conf->kind != CLOUD_WEB_IDENTITY && !f->is_assuming) {
        f->is_assuming = true;
        cloud_fetch_begin_assume(f);
        return;
    }
    if (err) {
        e = *err;
        (void)err_prepend(&e, "credentials from %s: ", cloud_kind_name(f->conf->kind));
    }
    leave(f);
    f->on_done(f->ctx, err ? NULL : &f->got, f->date, err ? &e : NULL);
}

static void on_turn(uv_timer_t *timer)
{
    struct cloud_fetch *f = CONTAINER_OF(timer, struct cloud_fetch, timer);

    f->next(f);
}

/* Never inside of the call that started it. */
static void soon(struct cloud_fetch *f, void (*next)(struct cloud_fetch *f))
{
    f->next = next;
    (void)uv_timer_start(&f->timer, on_turn, 0, 0);
}

static void on_exchanged(void *ctx, const struct http_exchange_answer *answer, const struct err *err)
{
    struct cloud_fetch *f = ctx;

    f->exchange = NULL;
    if (!err) {
        f->date = answer->date;
        f->has_asked_again = false;
        f->on_answer(f, answer);
    } else if (err_is_transient(err) && !f->has_asked_again) {
        f->has_asked_again = true;
        soon(f, f->next);
    } else {
        cloud_fetch_end(f, err);
    }
}

void cloud_fetch_ask(struct cloud_fetch *f, struct http_exchange_spec *spec, cloud_fetch_answer *on_answer,
        void (*again)(struct cloud_fetch *f))
{
    struct err e = ERR_INIT;

    spec->ctx = f;
    spec->on_done = on_exchanged;
    f->on_answer = on_answer;
    f->next = again;
    f->exchange = http_exchange_start(f->loop, spec, &e);
    if (!f->exchange)
        cloud_fetch_end(f, &e);
}

const char *cloud_fetch_variable(const struct cloud_fetch *f, const char *name)
{
    const char *value = f->conf->variable(name);

    return value && value[0] ? value : NULL;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

struct secret *cloud_fetch_read_token(struct cloud_fetch *f, const char *path)
{
    struct err e = ERR_INIT;
    /* The kubelet lets all of a pod read it. */
    _cleanup_secret_ struct secret *text = secret_read_file(path, CLOUD_FETCH_TOKEN_FILE_MAX, false, &e);
    size_t first = 0, last = text ? secret_len(text) : 0;
    struct secret *token = NULL;

    if (text) {
        const uint8_t *p = secret_const_data(text);

        while (first < last && is_space(p[first]))
            first++;
        while (last > first && is_space(p[last - 1]))
            last--;
        if (first == last)
            (void)err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: the token's file is empty", path);
        else
            token = secret_copy(p + first, last - first, &e);
    }
    if (!token)
        cloud_fetch_end(f, &e);
    return token;
}

struct cloud_fetch *cloud_fetch_start(uv_loop_t *loop, const struct cloud_conf *conf, void *ctx,
        void (*on_done)(void *ctx, struct cloud_credentials *got, int64_t date, const struct err *err), struct err *e)
{
    struct cloud_fetch *f = calloc(1, sizeof(*f));

    if (!f) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    f->loop = loop;
    f->conf = conf;
    f->ctx = ctx;
    f->on_done = on_done;
    (void)uv_timer_init(loop, &f->timer);
    soon(f, kinds[conf->kind].begin);
    return f;
}

void cloud_fetch_cancel(struct cloud_fetch *f)
{
    if (!f)
        return;
    f->is_cancelled = true;
    http_exchange_cancel(TAKE_PTR(f->exchange));
    if (f->program)
        program_stop(f->program); /* its end is ours */
    else
        leave(f);
}
