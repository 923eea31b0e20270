#include "job/check/check_members.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "etcd/snapshot.h"

enum {
    CHUNK = 64 << 10,
    QUOTA_NEAR = 90, /* per cent */
};

struct check_members {
    struct core *core;
    struct check_report *report;
    size_t i; /* the endpoint */
    unsigned good;
    struct etcd_client *client;
    struct etcd_session *session;
    struct etcd_snapshot *snapshot;
    uint64_t cluster_id;
    uv_timer_t turn;
    void *ctx;
    void (*on_done)(void *ctx);
};

static const char *endpoint(const struct check_members *m)
{
    return core_conf(m->core)->etcd.endpoints[m->i];
}

static void begin(struct check_members *m);

static void close_all(struct check_members *m)
{
    etcd_snapshot_free(TAKE_PTR(m->snapshot));
    etcd_session_close(TAKE_PTR(m->session));
    etcd_client_free(TAKE_PTR(m->client));
}

static void on_next(uv_timer_t *timer)
{
    struct check_members *m = timer->data;
    const size_t n = core_conf(m->core)->etcd.n_endpoints;

    close_all(m);
    if (++m->i < n) {
        begin(m);
        return;
    }
    if (m->good == 0)
        check_report_add(
                m->report, FINDING_FAILS, "etcd", "snapshot", "backup", "no member of %zu can be backed up from", n);
    m->on_done(m->ctx);
}

/* Not inside of what is closed. */
static void next(struct check_members *m)
{
    (void)uv_timer_start(&m->turn, on_next, 0, 0);
}

/* One that fails is a warning: another may do. */
static void fail(struct check_members *m, const char *what, const struct err *err)
{
    check_report_add(m->report, FINDING_WARNING, endpoint(m), what, "backup", "%s", err->text);
    next(m);
}

static void on_begin(void *ctx, uint64_t total)
{
    struct check_members *m = ctx;
    char size[SIZE_TEXT_MAX];

    check_report_add(m->report, FINDING_OK, endpoint(m), "snapshot", "", "allowed, %s", size_format(total, size));
    m->good++;
    next(m);
}

static void on_readable(void *ctx)
{
    (void)ctx;
}

static void on_snapshot_failed(void *ctx, const struct err *err)
{
    fail(ctx, "snapshot", err);
}

/* The server's own: that it is good, the handshake has said. */
static void tell_certificate(struct check_members *m, int64_t expires)
{
    char at[TIMESTAMP_TEXT_MAX];

    if (expires)
        check_report_add(m->report, expires < timestamp_now() + CHECK_SOON ? FINDING_WARNING : FINDING_OK, endpoint(m),
                "certificate", expires < timestamp_now() + CHECK_SOON ? "backup" : "", "its own: until %s",
                timestamp_format(expires, at));
}

/* At its quota etcd takes no more writes. */
static void tell_quota(struct check_members *m, const struct etcd_status *s)
{
    char quota[SIZE_TEXT_MAX];
    const bool is_near = s->db_size > s->db_quota / 100 * QUOTA_NEAR;

    if (s->db_quota)
        check_report_add(m->report, is_near ? FINDING_WARNING : FINDING_OK, endpoint(m), "quota", "",
                "%s, of which the database takes %.0f %%", size_format(s->db_quota, quota),
                100 * (double)s->db_size / (double)s->db_quota);
}

static void tell_status(struct check_members *m, const struct etcd_status *s)
{
    const char *role = s->is_learner ? "learner" : s->leader_id == s->member_id ? "leader" : "follower";
    char size[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX];

    check_report_add(m->report, FINDING_OK, endpoint(m), "member", "", "%s%setcd %s, %s, %s, %s of it in use", s->name,
            s->name[0] ? ", " : "", s->version, role, size_format(s->db_size, size),
            s->db_size_in_use ? size_format(s->db_size_in_use, used) : "nobody knows how much");
    tell_quota(m, s);
    tell_certificate(m, s->certificate_expires);
    if (s->alarms[0])
        check_report_add(
                m->report, FINDING_WARNING, endpoint(m), "alarm", "backup", "etcd has the alarm %s", s->alarms);
    if (!s->leader_id)
        check_report_add(m->report, FINDING_WARNING, endpoint(m), "leader", "backup", "it knows no leader");
    if (m->cluster_id && m->cluster_id != s->cluster_id)
        check_report_add(m->report, FINDING_WARNING, endpoint(m), "cluster", "backup",
                "it is of another cluster (%" PRIx64 ") than the first (%" PRIx64 ")", s->cluster_id, m->cluster_id);
    m->cluster_id = m->cluster_id ? m->cluster_id : s->cluster_id;
}

static void on_ready(void *ctx, const struct etcd_status *status)
{
    struct check_members *m = ctx;
    struct err e = ERR_INIT;
    const struct etcd_snapshot_spec spec = {
            .chunk = CHUNK,
            .ctx = m,
            .on_begin = on_begin,
            .on_readable = on_readable,
            .on_end = on_readable,
            .on_failed = on_snapshot_failed,
    };

    tell_status(m, status);
    m->snapshot = etcd_snapshot_start(m->session, &spec, &e);
    if (!m->snapshot)
        fail(m, "snapshot", &e);
}

static void on_failed(void *ctx, const struct err *err)
{
    fail(ctx, "reach", err);
}

static void begin(struct check_members *m)
{
    const struct etcd_session_spec spec = {.ctx = m, .on_ready = on_ready, .on_failed = on_failed};
    struct err e = ERR_INIT;

    m->client = core_etcd_of(m->core, m->i, &e);
    if (m->client)
        m->session = etcd_session_open(m->client, &spec, &e);
    if (!m->session)
        fail(m, "reach", &e);
}

struct check_members *check_members_start(
        struct core *core, struct check_report *report, void *ctx, void (*on_done)(void *ctx), struct err *e)
{
    struct check_members *m = calloc(1, sizeof(*m));

    if (!m) {
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    m->core = core;
    m->report = report;
    m->ctx = ctx;
    m->on_done = on_done;
    (void)uv_timer_init(core_loop(core), &m->turn);
    m->turn.data = m;
    begin(m);
    return m;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void check_members_free(struct check_members *m)
{
    if (!m)
        return;
    close_all(m);
    uv_close((uv_handle_t *)&m->turn, on_closed);
}
