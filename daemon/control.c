#include "control.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "log.h"
#include "peer.h"

struct control {
    struct control_spec spec;
    uv_loop_t *loop;
    uv_pipe_t listener;
    bool listening; /* the listener's handle is open */
    bool freed;     /* by its owner; the memory goes with the last handle */
    char *path;     /* of the socket; NULL: none to remove */
    gid_t group;
    bool has_group;
    struct peer *peers[CONTROL_PEERS];
    unsigned n_peers;
    bool has_waiting; /* a connection that came while all places were taken */
};

static void free_if_unused(struct control *c)
{
    if (!c->freed || c->listening || c->n_peers)
        return;
    free(c->path);
    free(c);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct control *c = h->data;

    c->listening = false;
    free_if_unused(c);
}

static void on_connection(uv_stream_t *listener, int status);

static void on_peer_gone(void *ctx, struct peer *peer)
{
    struct control *c = ctx;

    for (unsigned i = 0; i < c->n_peers; i++)
        if (c->peers[i] == peer) {
            c->peers[i] = c->peers[--c->n_peers];
            break;
        }
    if (!c->freed && c->has_waiting)
        on_connection((uv_stream_t *)&c->listener, 0);
    if (!c->freed && c->spec.on_private_gone)
        c->spec.on_private_gone(c->spec.ctx);
    else
        free_if_unused(c);
}

/* ---- who may come in ---- */

static bool is_in_group(int fd, gid_t primary, gid_t wanted)
{
    gid_t groups[256];
    socklen_t len = sizeof(groups);

    if (primary == wanted)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof(groups[0]); i++)
        if (groups[i] == wanted)
            return true;
    return false;
}

static bool is_admitted(const struct control *c, uv_stream_t *stream, bool *is_trusted)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)stream, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    *is_trusted = peer.uid == 0 || peer.uid == geteuid();
    return *is_trusted || (c->has_group && is_in_group(fd, peer.gid, c->group));
}

static struct peer *add_peer(struct control *c, bool is_private, struct err *e)
{
    struct peer_spec spec = {
            .core = c->spec.core,
            .jobs = c->spec.jobs,
            .started = c->spec.started,
            .is_trusted = is_private,
            .is_private = is_private,
            .ctx = c,
            .on_gone = on_peer_gone,
    };
    struct peer *p = peer_new(c->loop, &spec, e);

    if (p)
        c->peers[c->n_peers++] = p;
    return p;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *c = listener->data;
    struct err e = ERR_INIT;
    bool is_trusted = false;
    struct peer *p;

    /* While all places are taken, libuv keeps this one and asks for no more, and the kernel queues the others. */
    c->has_waiting = status == 0 && c->n_peers == CONTROL_PEERS;
    if (status < 0 || c->has_waiting)
        return;
    p = add_peer(c, false, &e);
    if (!p)
        return;
    if (uv_accept(listener, peer_stream(p)) < 0) {
        peer_close(p);
        return;
    }
    if (!is_admitted(c, peer_stream(p), &is_trusted)) {
        err_set(&e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "not allowed: only root, the daemon's own user%s may do this",
                c->has_group ? " and members of control.group" : "");
        log_warning("control: refused a connection");
        peer_refuse(p, &e);
        return;
    }
    peer_set_trusted(p, is_trusted);
    peer_start(p);
}

/* ---- the socket ---- */

static int find_group(struct control *c, const char *name, struct err *e)
{
    struct group buf, *found = NULL;
    char strings[16384];

    if (!name)
        return 0;
    if (getgrnam_r(name, &buf, strings, sizeof(strings), &found) != 0 || !found)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.group: no group '%s' on this machine", name);
    c->group = found->gr_gid;
    c->has_group = true;
    return 0;
}

/* A socket file without a daemon behind it refuses connections, and goes. One that answers belongs to somebody. */
static int remove_stale(const char *path, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "control.socket: %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.socket: %s exists and is not a socket", path);
    (void)strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, errno, "control.socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN)
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "another etcd-backupd listens on %s", path);
    if (errno != ECONNREFUSED)
        return err_errno(e, errno, "control.socket: %s", path);
    if (unlink(path) < 0)
        return err_errno(e, errno, "control.socket: removing the stale %s", path);
    return 0;
}

static int bind_and_listen(struct control *c, const char *path, struct err *e)
{
    mode_t before;
    int n;

    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.socket: %s is too long for a socket", path);
    before = umask(0177); /* never open to others, not even between bind and chmod */
    n = uv_pipe_bind(&c->listener, path);
    (void)umask(before);
    if (n < 0)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_UV, n, "control.socket: %s: %s", path, uv_strerror(n));
    c->path = strdup(path);
    if (c->has_group && (chown(path, (uid_t)-1, c->group) < 0 || chmod(path, 0660) < 0))
        return err_errno(e, errno, "control.socket: %s", path);
    n = uv_listen((uv_stream_t *)&c->listener, CONTROL_PEERS, on_connection);
    if (n < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_UV, n, "control.socket: %s: %s", path, uv_strerror(n));
    return 0;
}

static struct control *new_control(const struct control_spec *spec, struct err *e)
{
    struct control *c = calloc(1, sizeof(*c));

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->spec = *spec;
    c->loop = core_loop(spec->core);
    return c;
}

struct control *control_listen(const struct control_spec *spec, struct err *e)
{
    const struct conf_control *conf = &core_conf(spec->core)->control;
    struct control *c = new_control(spec, e);

    if (!c)
        return NULL;
    (void)uv_pipe_init(c->loop, &c->listener, 0);
    c->listener.data = c;
    c->listening = true;
    if (find_group(c, conf->group, e) < 0 || remove_stale(conf->socket, e) < 0 ||
            bind_and_listen(c, conf->socket, e) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

struct control *control_serve_fd(const struct control_spec *spec, int fd, struct err *e)
{
    struct control *c = new_control(spec, e);
    struct peer *p = c ? add_peer(c, true, e) : NULL;

    if (!p) {
        free(c);
        return NULL;
    }
    if (uv_pipe_open((uv_pipe_t *)peer_stream(p), fd) < 0) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "descriptor %d is no control connection", fd);
        control_free(c);
        return NULL;
    }
    peer_start(p);
    return c;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    c->freed = true;
    if (c->path)
        (void)unlink(c->path);
    for (unsigned i = c->n_peers; i-- > 0;)
        peer_close(c->peers[i]);
    if (c->listening)
        uv_close((uv_handle_t *)&c->listener, on_listener_closed);
    else
        free_if_unused(c);
}
