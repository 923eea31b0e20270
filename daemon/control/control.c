#include "control/control.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/peer.h"
#include "control/socket_file.h"
#include "core/log.h"

enum { GROUP_MAX = 4 << 20 }; /* bytes of an entry of the group database */

struct control {
    struct control_spec spec;
    uv_loop_t *loop;
    uv_pipe_t listener;
    bool listening;           /* the listener's handle is open */
    bool stopped;             /* nobody comes in any more */
    bool freed;               /* by its owner; the memory goes with the last handle */
    struct socket_file *file; /* NULL: a private daemon has none */
    gid_t group;
    bool has_group;
    struct place {
        struct peer *peer;
        uid_t uid;
        bool is_other; /* neither root nor ours */
    } places[CONTROL_PEERS];
    unsigned n_peers;
    bool told_of_flood; /* in the log, since a place became free */
    bool has_waiting;   /* a connection that came while all places were taken */
    uv_pipe_t turned_away;
    bool turning_away; /* its handle is open */
};

static void free_if_unused(struct control *c)
{
    if (!c->freed || c->listening || c->n_peers || c->turning_away)
        return;
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
        if (c->places[i].peer == peer) {
            c->told_of_flood = c->told_of_flood && !c->places[i].is_other;
            c->places[i] = c->places[--c->n_peers];
            break;
        }
    if (!c->stopped && c->has_waiting)
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

/* Why he may not come in, if so. */
static int admit(const struct control *c, uv_stream_t *stream, struct ucred *who, struct err *e)
{
    socklen_t len = sizeof(*who);
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)stream, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) < 0) {
        log_warning("control: refused a connection whose other end is not known");
    } else {
        if (who->uid == 0 || who->uid == geteuid() || (c->has_group && is_in_group(fd, who->gid, c->group)))
            return 0;
        log_warning("control: refused a connection of user %ld, process %ld", (long)who->uid, (long)who->pid);
    }
    return err_set(e, ERR_AUTH, ERR_DOMAIN_NONE, 0, "not allowed: only root, the daemon's own user%s may do this",
            c->has_group ? " and members of control.group" : "");
}

/* A place for one of the group, if there is one. */
static int take_place_of_others(struct control *c, struct place *place, const struct ucred *who, struct err *e)
{
    unsigned others = 0, of_him = 0;

    for (unsigned i = 0; i < c->n_peers; i++) {
        others += c->places[i].is_other;
        of_him += c->places[i].is_other && c->places[i].uid == who->uid;
    }
    if (others < CONTROL_OTHERS && of_him < CONTROL_OF_ONE) {
        place->uid = who->uid;
        place->is_other = true;
        return 0;
    }
    if (!c->told_of_flood)
        log_warning("control: user %ld, process %ld, and others have too many connections; more are turned away",
                (long)who->uid, (long)who->pid);
    c->told_of_flood = true;
    return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0,
            "too many connections to the daemon: %u of yours, %u of control.group; try again when one has ended",
            of_him, others);
}

static struct peer *add_peer(struct control *c, bool is_private, struct err *e)
{
    struct peer_spec spec = {
            .core = c->spec.core,
            .jobs = c->spec.jobs,
            .cycle = c->spec.cycle,
            .started = c->spec.started,
            .is_trusted = is_private,
            .is_private = is_private,
            .ctx = c,
            .on_gone = on_peer_gone,
    };
    struct peer *p = peer_new(c->loop, &spec, e);

    if (p)
        c->places[c->n_peers++] = (struct place){.peer = p};
    return p;
}

static void on_turned_away(uv_handle_t *h)
{
    struct control *c = h->data;

    c->turning_away = false;
    if (!c->stopped && c->has_waiting)
        on_connection((uv_stream_t *)&c->listener, 0);
    free_if_unused(c);
}

/* Nobody else is here whose end would bring us back to the one who waits: he is told by an end of the connection, since
 * libuv asks for no more before he was taken. */
static void turn_away(struct control *c, const struct err *why)
{
    log_warning("control: a connection was turned away: %s", why->text);
    (void)uv_pipe_init(c->loop, &c->turned_away, 0);
    c->turned_away.data = c;
    c->turning_away = true;
    (void)uv_accept((uv_stream_t *)&c->listener, (uv_stream_t *)&c->turned_away);
    uv_close((uv_handle_t *)&c->turned_away, on_turned_away);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *c = listener->data;
    struct ucred who = {.uid = (uid_t)-1};
    struct err e = ERR_INIT;
    struct place *place;
    bool is_trusted;

    /* While all places are taken, libuv keeps this one and asks for no more, and the kernel queues the others. */
    c->has_waiting = status == 0 && c->n_peers == CONTROL_PEERS;
    if (status < 0 || c->has_waiting)
        return;
    if (!add_peer(c, false, &e)) {
        c->has_waiting = c->n_peers || c->turning_away; /* for when a place, and its memory, is free */
        if (!c->has_waiting)
            turn_away(c, &e);
        return;
    }
    place = &c->places[c->n_peers - 1];
    if (uv_accept(listener, peer_stream(place->peer)) < 0) {
        peer_close(place->peer);
        return;
    }
    if (admit(c, peer_stream(place->peer), &who, &e) < 0) {
        peer_refuse(place->peer, &e);
        return;
    }
    is_trusted = who.uid == 0 || who.uid == geteuid();
    if (!is_trusted && take_place_of_others(c, place, &who, &e) < 0) {
        peer_refuse(place->peer, &e);
        return;
    }
    peer_set_trusted(place->peer, is_trusted);
    peer_start(place->peer);
}

/* ---- the socket ---- */

static int find_group(struct control *c, const char *name, struct err *e)
{
    _cleanup_free_ char *strings = NULL;
    struct group buf, *found = NULL;
    int r = ERANGE;

    for (size_t size = 1024; name && r == ERANGE && size <= GROUP_MAX; size *= 2) { /* a group can have many members */
        free(strings);
        strings = malloc(size);
        if (!strings)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        r = getgrnam_r(name, &buf, strings, size, &found);
    }
    if (!name)
        return 0;
    if (r != 0)
        return err_errno(e, r, "control.group: %s", name);
    if (!found)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "control.group: no group '%s' on this machine", name);
    c->group = found->gr_gid;
    c->has_group = true;
    return 0;
}

static int take_listener(struct control *c, int fd, const char *name, struct err *e)
{
    int n = uv_pipe_open(&c->listener, fd);

    if (n < 0)
        close(fd);
    else
        n = uv_listen((uv_stream_t *)&c->listener, CONTROL_PEERS, on_connection);
    if (n < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_UV, n, "control.socket: %s: %s", name, uv_strerror(n));
    return 0;
}

static int listen_on(struct control *c, const char *path, struct err *e)
{
    int fd = -1;

    c->file = socket_file_make(path, c->has_group ? &c->group : NULL, &fd, e);
    return c->file ? take_listener(c, fd, path, e) : -1;
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

/* One that is going to listen. */
static struct control *new_listener(const struct control_spec *spec, struct err *e)
{
    struct control *c = new_control(spec, e);

    if (!c)
        return NULL;
    (void)uv_pipe_init(c->loop, &c->listener, 0);
    c->listener.data = c;
    c->listening = true;
    if (find_group(c, core_conf(spec->core)->control.group, e) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

struct control *control_listen(const struct control_spec *spec, struct err *e)
{
    struct control *c = new_listener(spec, e);

    if (c && listen_on(c, core_conf(spec->core)->control.socket, e) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

struct control *control_serve_listener(const struct control_spec *spec, int fd, struct err *e)
{
    struct control *c = new_listener(spec, e);

    if (!c)
        close(fd);
    else if (take_listener(c, fd, "the socket of the service manager", e) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

bool control_is_used(const struct control *c)
{
    return c->n_peers > 0;
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

void control_stop(struct control *c)
{
    if (c->stopped)
        return;
    c->stopped = true;
    socket_file_remove(TAKE_PTR(c->file));
    for (unsigned i = 0; i < c->n_peers; i++)
        if (!peer_is_watching(c->places[i].peer))
            peer_end(c->places[i].peer);
    if (c->listening)
        uv_close((uv_handle_t *)&c->listener, on_listener_closed);
}

void control_free(struct control *c)
{
    if (!c)
        return;
    control_stop(c);
    c->freed = true;
    for (unsigned i = 0; i < c->n_peers; i++)
        peer_end(c->places[i].peer);
    free_if_unused(c);
}
