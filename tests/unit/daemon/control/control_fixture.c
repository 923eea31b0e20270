#include "control_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/wire.h"
#include "core/log.h"
#include "folder.h"
#include "job/look/live.h"

uv_loop_t loop;
struct conf conf;
static char *endpoint = (char *)(uintptr_t)("127.0.0.1:2379");

/* ---- in place of core.c ---- */

int core_users;

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

bool core_credentials_state(const struct core *c, struct cloud_state *out)
{
    (void)c;
    *out = (struct cloud_state){.kind = "instance", .is_there = true, .expires = 1700000000};
    (void)err_set(&out->trouble, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "credentials from instance: no answer");
    return true;
}

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

const char *core_bucket_url(const struct core *c)
{
    (void)c;
    return "https://s3/bucket/backup-";
}

void core_acquire(struct core *c)
{
    (void)c;
    core_users++;
}

void core_release(struct core *c)
{
    (void)c;
    assert_true(core_users > 0);
    core_users--;
}

/* No HEADs: what the metadata says stays unknown. */
struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)c;
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no store here");
    return NULL;
}

/* ---- in place of jobs.c ---- */

struct control_job job;

static int take_job(const char *name, const struct job_sink *watcher, struct err *e)
{
    if (job.state.changing.name)
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "a %s is running", job.state.changing.name);
    job.state.changing.name = name;
    job.watcher = *watcher;
    return 0;
}

int jobs_start_backup(
        struct jobs *j, const struct backup_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    job.backup = *request;
    return take_job("backup", watcher, e);
}

int jobs_start_restore(
        struct jobs *j, const struct restore_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    job.restore = *request;
    (void)snprintf(job.output, sizeof(job.output), "%s", request->output ? request->output : "");
    job.output_len = request->output ? strlen(request->output) : 0;
    return take_job("restore", watcher, e);
}

int jobs_start_verify(
        struct jobs *j, const struct verify_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    job.verify = *request;
    job.verify.tool = NULL;
    (void)snprintf(job.output, sizeof(job.output), "%s", request->tool ? request->tool : "");
    return take_job("verify", watcher, e);
}

int jobs_start_prune(struct jobs *j, const struct prune_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    job.prune = *request;
    return take_job("prune", watcher, e);
}

int jobs_start_rotate(
        struct jobs *j, const struct rotate_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    job.rotate = *request;
    assert_int_equal(secret_len(request->previous), KEY_LEN);
    (void)memcpy(job.previous, secret_const_data(request->previous), KEY_LEN);
    if (request->next) {
        assert_int_equal(secret_len(request->next), KEY_LEN);
        (void)memcpy(job.next, secret_const_data(request->next), KEY_LEN);
    }
    return take_job("rotate-key", watcher, e);
}

/* ---- in place of live.c ---- */

struct live *live_start(struct core *core, const struct live_spec *spec, struct err *e)
{
    (void)core;
    (void)spec;
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no etcd here");
    return NULL;
}

int live_next(struct live *l, struct err *e)
{
    (void)l;
    (void)e;
    return 0;
}

void live_free(struct live *l)
{
    (void)l;
}

int jobs_start_look(struct jobs *j, const struct look_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    (void)request;
    return take_job("look", watcher, e);
}

int jobs_start_check(struct jobs *j, const struct check_request *request, const struct job_sink *watcher, struct err *e)
{
    (void)j;
    (void)request;
    return take_job("check", watcher, e);
}

const char *jobs_wait(struct jobs *j, enum jobs_kind kind, const struct jobs_waiter *waiter)
{
    static const char *const names[] = {"backup", "restore", "verify", "prune", "rotate-key", "look", "check"};

    (void)j;
    if (!job.nobodys)
        return NULL;
    assert_in_range(job.state.n_waiting, 0, ARRAY_LEN(job.waiters) - 1);
    job.waiters[job.state.n_waiting] = waiter;
    job.state.waiting[job.state.n_waiting++] = names[kind];
    return job.nobodys;
}

void jobs_wait_no_more(struct jobs *j, const struct jobs_waiter *waiter)
{
    unsigned kept = 0;

    (void)j;
    for (unsigned i = 0; i < job.state.n_waiting; i++)
        if (job.waiters[i] != waiter) {
            job.waiters[kept] = job.waiters[i];
            job.state.waiting[kept++] = job.state.waiting[i];
        }
    job.state.n_waiting = kept;
}

void fixture_give_turn(void)
{
    const struct jobs_waiter *first = job.waiters[0];

    assert_int_not_equal(job.state.n_waiting, 0);
    job.nobodys = NULL;
    jobs_wait_no_more(NULL, first);
    first->on_turn(first->ctx);
}

struct retain_policy prune_policy(const struct conf *c)
{
    return (struct retain_policy){.max_age = PRUNE_MAX_AGE, .min_count = c->prune.min_count};
}

struct known *core_known(const struct core *c)
{
    (void)c;
    return job.known;
}

void jobs_unwatch(struct jobs *j, const void *ctx)
{
    (void)j;
    assert_ptr_equal(ctx, job.watcher.ctx);
    job.watcher.ctx = NULL;
    job.unwatched++;
}

void jobs_cancel(struct jobs *j, const void *ctx)
{
    (void)j;
    assert_ptr_equal(ctx, job.watcher.ctx);
    job.cancelled++;
}

const struct jobs_state *jobs_state(const struct jobs *j)
{
    (void)j;
    return &job.state;
}

void fixture_end_job(const struct job_result *result, const struct err *err)
{
    struct job_sink watcher = job.watcher;

    job.state.changing.name = NULL;
    job.watcher.ctx = NULL;
    assert_non_null(watcher.ctx);
    watcher.done(watcher.ctx, result, err);
}

/* ---- in place of cycle.c ---- */

struct cycle_state cycle;

void cycle_get_state(const struct cycle *c, struct cycle_state *out)
{
    (void)c;
    *out = cycle;
}

bool is_rotated_away;

void cycle_was_listed(struct cycle *c)
{
    (void)c;
}

bool cycle_refuses_backup(struct cycle *c, struct err *e)
{
    (void)c;
    if (is_rotated_away)
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "rotated away");
    return is_rotated_away;
}

/* ---- in place of listing.c ---- */

struct listing the_listing;
bool listing_runs, listing_is_refused;

struct listing *listing_start(struct core *core, const struct listing_spec *spec, struct err *e)
{
    (void)core;
    assert_true(core_users > 0);
    if (listing_is_refused) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no credentials");
        return NULL;
    }
    the_listing.spec = *spec;
    listing_runs = true;
    return &the_listing;
}

void listing_free(struct listing *l)
{
    if (!l)
        return;
    assert_true(listing_runs);
    listing_runs = false;
}

/* ---- in place of log.c ---- */

char logged[1024];

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    (void)vsnprintf(logged, sizeof(logged), fmt, ap);
    va_end(ap);
}

/* ---- what the kernel says of the other end, and the time (--wrap) ---- */

struct ucred other_end;
gid_t other_groups[2];

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (other_end.pid && name == SO_PEERCRED)
        memcpy(value, &other_end, sizeof(other_end));
    else if (other_end.pid && name == SO_PEERGROUPS)
        memcpy(value, other_groups, *len = sizeof(other_groups));
    else
        return __real_getsockopt(fd, level, name, value, len);
    return 0;
}

uint64_t time_divisor, timer_ms;

int __real_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    timer_ms = timeout;
    return __real_uv_timer_start(t, cb, time_divisor ? timeout / time_divisor : timeout, repeat);
}

/* ---- the control under test ---- */

struct control *control;
unsigned private_gone;

int fixture_setup(void **state)
{
    memset(&job, 0, sizeof(job));
    memset(&conf, 0, sizeof(conf));
    memset(&other_end, 0, sizeof(other_end));
    core_users = 0;
    private_gone = 0;
    time_divisor = 0;
    listing_runs = listing_is_refused = is_rotated_away = false;
    logged[0] = '\0';
    conf.file = (char *)(uintptr_t)("conf.yml");
    conf.control.socket = (char *)(uintptr_t)("sock");
    conf.snapshot_path = (char *)(uintptr_t)("/var/snapshot.db");
    conf.etcd.endpoints = &endpoint;
    conf.etcd.n_endpoints = 1;
    return folder_setup(state) == 0 && uv_loop_init(&loop) == 0 ? 0 : -1;
}

/* What is left of it goes, and nothing else was left. */
int fixture_teardown(void **state)
{
    control_free(TAKE_PTR(control));
    if (uv_run(&loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(&loop) != 0)
        return -1;
    return core_users == 0 && !listing_runs && !job.watcher.ctx && !job.state.n_waiting && folder_count() == 0
                   ? folder_teardown(state)
                   : -1;
}

struct control_spec fixture_spec(void)
{
    return (struct control_spec){
            .core = (struct core *)(void *)&core_users,
            .jobs = (struct jobs *)(void *)&job,
            .started = 1733520145,
    };
}

void fixture_start(void)
{
    struct control_spec spec = fixture_spec();
    struct err e = ERR_INIT;

    control = control_listen(&spec, &e);
    expect_success(control, &e);
}

/* ---- clients ---- */

struct client client_on(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return (struct client){.fd = fd, .in = BUF_INIT(1 << 22)};
}

struct client client_new(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return client_on(fd);
}

void client_leave(struct client *c)
{
    if (c->reply)
        control__reply__free_unpacked(c->reply, NULL);
    c->reply = NULL;
    buf_reset(&c->in);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void fixture_turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

void fixture_await_job(void)
{
    while (!job.watcher.ctx)
        fixture_turn();
}

bool client_read(struct client *c)
{
    struct err e = ERR_INIT;
    ssize_t n;

    assert_int_equal(buf_reserve(&c->in, 65536, &e), 0);
    n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
    c->is_over = c->is_over || n == 0 || (n < 0 && errno == ECONNRESET);
    if (n > 0)
        c->in.len += (size_t)n;
    return n > 0;
}

const Control__Reply *client_next(struct client *c)
{
    struct bytes message;
    struct err e = ERR_INIT;
    size_t used;
    int n;

    if (c->reply)
        control__reply__free_unpacked(c->reply, NULL);
    c->reply = NULL;
    while ((n = wire_next(buf_bytes(&c->in), &message, &used, &e)) == 0 && !c->is_over) {
        fixture_turn();
        (void)client_read(c);
    }
    assert_true(n >= 0);
    if (n == 0) {
        assert_int_equal(c->in.len, 0); /* never half a frame */
        return NULL;
    }
    c->reply = control__reply__unpack(NULL, message.len, message.data);
    assert_non_null(c->reply);
    buf_drop_front(&c->in, used);
    return c->reply;
}

unsigned client_count(struct client *c, Control__Reply__BodyCase kind)
{
    const Control__Reply *r;
    unsigned n = 0;

    while ((r = client_next(c)) && r->body_case == kind)
        n++;
    assert_int_equal(r ? r->body_case : CONTROL__REPLY__BODY__NOT_SET, CONTROL__REPLY__BODY_DONE);
    return n;
}

const Control__Reply *client_expect(struct client *c, Control__Reply__BodyCase kind)
{
    static const Control__Reply nothing = CONTROL__REPLY__INIT;
    const Control__Reply *r = client_next(c);

    assert_int_equal(r ? r->body_case : CONTROL__REPLY__BODY__NOT_SET, kind);
    return r ? r : &nothing;
}

void client_send(struct client *c, const void *data, size_t len)
{
    assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), len);
}

void client_ask(struct client *c, const Control__Request *m)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 17);
    struct err e = ERR_INIT;

    assert_int_equal(wire_append(&out, &m->base, &e), 0);
    client_send(c, out.data, out.len);
}

void client_hello(struct client *c, uint32_t version, bool wants_progress)
{
    Control__Hello hello = CONTROL__HELLO__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;

    hello.version = version;
    hello.wants_progress = wants_progress;
    m.body_case = CONTROL__REQUEST__BODY_HELLO;
    m.hello = &hello;
    client_ask(c, &m);
}

void client_ask_for(struct client *c, Control__Request__BodyCase what)
{
    Control__Backup body = CONTROL__BACKUP__INIT;
    Control__List list = CONTROL__LIST__INIT;
    Control__Status status = CONTROL__STATUS__INIT;
    Control__Cancel cancel = CONTROL__CANCEL__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;

    m.body_case = what;
    if (what == CONTROL__REQUEST__BODY_BACKUP)
        m.backup = &body;
    else if (what == CONTROL__REQUEST__BODY_LIST)
        m.list = &list;
    else if (what == CONTROL__REQUEST__BODY_STATUS)
        m.status = &status;
    else
        m.cancel = &cancel;
    client_ask(c, &m);
}

void client_ask_restore(struct client *c, const char *output)
{
    Control__Restore restore = CONTROL__RESTORE__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;

    restore.output = (char *)(uintptr_t)output;
    restore.allow_plain = true;
    m.body_case = CONTROL__REQUEST__BODY_RESTORE;
    m.restore = &restore;
    client_ask(c, &m);
}

struct client client_greeted(bool wants_progress)
{
    struct client c = client_new();
    const Control__Reply *r;

    client_hello(&c, WIRE_VERSION, wants_progress);
    r = client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
    assert_int_equal(r->welcome->version, WIRE_VERSION);
    return c;
}

struct client client_backing_up(bool wants_progress)
{
    struct client c = client_greeted(wants_progress);

    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
    fixture_await_job();
    return c;
}

const Control__Done *client_expect_done(struct client *c)
{
    return client_expect(c, CONTROL__REPLY__BODY_DONE)->done;
}

void client_expect_failure(struct client *c, const char *kind, const char *text)
{
    const Control__Done *done = client_expect_done(c);

    assert_non_null(done->failure);
    assert_string_equal(done->failure->text, text);
    assert_string_equal(done->failure->kind, kind);
    assert_null(client_next(c));
}
