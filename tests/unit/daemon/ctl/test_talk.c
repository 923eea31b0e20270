/*
 * etcd-backupctl's side of the control protocol, with daemons that answer, refuse, babble, die, or take their time.
 * Each daemon is a child with the other end of a socket pair.
 */
#include "expect.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "control/wire.h"
#include "ctl/connect.h"
#include "ctl/results.h"
#include "ctl/show.h"
#include "ctl/talk.h"

/* ---- the daemon ---- */

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* The client may have left already. */
static void put(int fd, const void *data, size_t len)
{
    (void)!send(fd, data, len, MSG_NOSIGNAL);
}

static void reply(int fd, const Control__Reply *r)
{
    struct buf out = BUF_INIT(1 << 17);
    struct err e = ERR_INIT;

    if (wire_append(&out, &r->base, &e) < 0)
        _exit(1);
    put(fd, out.data, out.len);
    buf_reset(&out);
}

static void welcome(int fd)
{
    Control__Welcome m = CONTROL__WELCOME__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    r.body_case = CONTROL__REPLY__BODY_WELCOME;
    r.welcome = &m;
    reply(fd, &r);
}

static void entry(int fd, const char *name)
{
    Control__Entry m = CONTROL__ENTRY__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    m.name = text(name);
    r.body_case = CONTROL__REPLY__BODY_ENTRY;
    r.entry = &m;
    reply(fd, &r);
}

static void note(int fd, const char *s)
{
    Control__Note m = CONTROL__NOTE__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    m.text = text(s);
    r.body_case = CONTROL__REPLY__BODY_NOTE;
    r.note = &m;
    reply(fd, &r);
}

static void done(int fd, const char *kind, const char *why)
{
    Control__Done m = CONTROL__DONE__INIT;
    Control__Failure failure = CONTROL__FAILURE__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    if (kind) {
        failure.kind = text(kind);
        failure.text = text(why);
        m.failure = &failure;
    }
    r.body_case = CONTROL__REPLY__BODY_DONE;
    r.done = &m;
    reply(fd, &r);
}

/* A rotation that did not end well, and how far it came. */
static void done_with_both(int fd)
{
    Control__Done m = CONTROL__DONE__INIT;
    Control__Failure failure = CONTROL__FAILURE__INIT;
    Control__RotateResult rotate = CONTROL__ROTATE_RESULT__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    failure.kind = text("integrity");
    failure.text = text("1 key could not be rotated");
    m.failure = &failure;
    rotate.rotated = 7;
    m.result_case = CONTROL__DONE__RESULT_ROTATE;
    m.rotate = &rotate;
    r.body_case = CONTROL__REPLY__BODY_DONE;
    r.done = &m;
    reply(fd, &r);
}

static void unrotated(int fd, const char *name)
{
    Control__Unrotated m = CONTROL__UNROTATED__INIT;
    Control__Reply r = CONTROL__REPLY__INIT;

    m.name = text(name);
    r.body_case = CONTROL__REPLY__BODY_UNROTATED;
    r.unrotated = &m;
    reply(fd, &r);
}

/* The next request's kind; NOT_SET when the client has left. */
static Control__Request__BodyCase next_request(int fd)
{
    static struct buf in = {.limit = 1 << 17};
    Control__Request__BodyCase kind;
    struct bytes message;
    struct err e = ERR_INIT;
    size_t used;

    while (wire_next(buf_bytes(&in), &message, &used, &e) == 0) {
        ssize_t n;

        if (buf_reserve(&in, 4096, &e) < 0)
            _exit(1);
        n = recv(fd, in.data + in.len, in.cap - in.len, 0);
        if (n <= 0)
            return CONTROL__REQUEST__BODY__NOT_SET;
        in.len += (size_t)n;
    }
    Control__Request *m = control__request__unpack(NULL, message.len, message.data);

    if (!m)
        _exit(1);
    kind = m->body_case;
    control__request__free_unpacked(m, NULL);
    buf_drop_front(&in, used);
    return kind;
}

/* ---- in place of connect.c ---- */

static struct {
    void (*daemon)(int fd); /* what the child does; then it ends */
    bool is_private;
    int left;        /* what connect_close returns */
    bool was_waited; /* whether a private daemon was there to be waited for */
    pid_t child;
} other;

int connect_daemon(const struct ctl *ctl, enum purpose purpose, unsigned patience, struct connection *c, struct err *e)
{
    int pair[2];

    (void)ctl, (void)purpose, (void)patience;
    if (!other.daemon)
        return err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "nobody is there");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    other.child = fork();
    assert_true(other.child >= 0);
    if (other.child == 0) {
        close(pair[0]);
        other.daemon(pair[1]);
        _exit(0);
    }
    close(pair[1]);
    *c = (struct connection){.fd = pair[0], .private = other.is_private ? other.child : 0};
    return 0;
}

int connect_close(struct connection *c)
{
    int status;

    close(c->fd);
    other.was_waited = c->private > 0;
    assert_int_equal(waitpid(other.child, &status, 0), other.child);
    assert_int_equal(status, 0); /* the child found nothing strange */
    return other.left;
}

/* ---- whose the daemon is (--wrap) ---- */

static uid_t daemon_uid, own_uid;

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
    int r = __real_getsockopt(fd, level, option, value, len);

    if (r == 0 && option == SO_PEERCRED)
        ((struct ucred *)value)->uid = daemon_uid;
    return r;
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return own_uid;
}

/* ---- in place of what shows ---- */

static char failures[1024], json[1024], shown[4096];
static unsigned n_done;

void show_failure(const char *s)
{
    (void)snprintf(failures + strlen(failures), sizeof(failures) - strlen(failures), "%s\n", s);
}

void results_failure(const char *kind, const char *s)
{
    (void)snprintf(json + strlen(json), sizeof(json) - strlen(json), "%s: %s\n", kind, s);
}

static void show(const char *s)
{
    (void)snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "%s\n", s);
}

static void on_entry(void *ctx, const Control__Entry *e)
{
    (void)ctx;
    show(e->name);
}

static void on_note(void *ctx, const Control__Note *note)
{
    (void)ctx;
    show(note->text);
}

static void on_unrotated(void *ctx, const Control__Unrotated *u)
{
    (void)ctx;
    show(u->name);
}

static void on_done(void *ctx, const Control__Done *d)
{
    (void)ctx;
    n_done++;
    if (d->result_case != CONTROL__DONE__RESULT_ROTATE)
        return;
    assert_int_equal(d->rotate->rotated, 7);
    assert_string_equal(failures, "1 key could not be rotated\n"); /* that was told before */
}

static int ask_as(const struct ctl *ctl)
{
    const struct talk t = {.on_entry = on_entry, .on_note = on_note, .on_unrotated = on_unrotated, .on_done = on_done};
    Control__List list = CONTROL__LIST__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_LIST;
    request.list = &list;
    failures[0] = json[0] = shown[0] = '\0';
    n_done = 0;
    return talk(ctl, &request, &t);
}

static int ask(void (*daemon)(int fd))
{
    const struct ctl ctl = {.socket = "s"};

    memset(&other, 0, sizeof(other));
    other.daemon = daemon;
    return ask_as(&ctl);
}

/* ---- daemons that answer ---- */

static void is_asked(int fd)
{
    if (next_request(fd) != CONTROL__REQUEST__BODY_HELLO)
        _exit(1);
    welcome(fd);
    if (next_request(fd) != CONTROL__REQUEST__BODY_LIST)
        _exit(1);
}

static void answers(int fd)
{
    is_asked(fd);
    entry(fd, "one");
    note(fd, "slow");
    entry(fd, "two");
    done(fd, NULL, NULL);
    entry(fd, "after the end");
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(ask(answers), CTL_DONE);
    assert_string_equal(shown, "one\nslow\ntwo\n");
    assert_int_equal(n_done, 1);
    assert_string_equal(failures, "");
}

/* A byte at a time. */
static void dribbles(int fd)
{
    int pair[2];
    char c;

    is_asked(fd);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        _exit(1);
    entry(pair[0], "one");
    done(pair[0], NULL, NULL);
    close(pair[0]);
    while (read(pair[1], &c, 1) == 1)
        put(fd, &c, 1);
}

static void test_dribbles(void **state)
{
    (void)state;
    assert_int_equal(ask(dribbles), CTL_DONE);
    assert_string_equal(shown, "one\n");
}

static void is_busy(int fd)
{
    is_asked(fd);
    done(fd, "busy", "a backup is running");
}

static void finds_damage(int fd)
{
    is_asked(fd);
    done(fd, "integrity", "chunk 1");
}

static void fails(int fd)
{
    is_asked(fd);
    done(fd, "something new", "why");
}

static void test_failures(void **state)
{
    const struct ctl ctl = {.socket = "s", .json = true};

    (void)state;
    assert_int_equal(ask(is_busy), CTL_BUSY);
    assert_string_equal(failures, "a backup is running\n");
    assert_int_equal(n_done, 0);
    assert_int_equal(ask(finds_damage), CTL_INTEGRITY);
    assert_int_equal(ask(fails), CTL_FAILED);
    assert_string_equal(failures, "why\n");
    assert_string_equal(json, "");
    (void)ask_as(&ctl);
    assert_string_equal(json, "something new: why\n");
    assert_string_equal(failures, "why\n");
}

static void comes_half_way(int fd)
{
    is_asked(fd);
    unrotated(fd, "x.key");
    done_with_both(fd);
}

/* The status is the failure's, and the result is shown all the same. */
static void test_failure_with_a_result(void **state)
{
    (void)state;
    assert_int_equal(ask(comes_half_way), CTL_INTEGRITY);
    assert_string_equal(shown, "x.key\n");
    assert_int_equal(n_done, 1);
}

/* Whoever is not let in is told why, however fast the daemon closes. */
static void refuses(int fd)
{
    done(fd, "auth", "only root");
}

static void test_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(refuses), CTL_FAILED);
        assert_string_equal(failures, "only root\n");
    }
}

/* ---- who asks for itself ---- */

static void on_failure(void *ctx, const char *kind, const char *s)
{
    (void)snprintf(ctx, 200, "%s: %s", kind, s);
}

static void says_nothing(int fd)
{
    is_asked(fd);
    while (next_request(fd) != CONTROL__REQUEST__BODY__NOT_SET) /* until it has left */
        ;
}

static void says_too_much(int fd)
{
    struct timeval limit = {.tv_usec = 10000};
    char c;

    is_asked(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    while (recv(fd, &c, 1, 0) < 0) /* until it has left */
        note(fd, "and");
}

/* What went wrong is taken and not shown, also that no answer comes. */
static void test_failure_is_taken(void **state)
{
    static const struct {
        void (*daemon)(int fd);
        int status;
        const char *taken;
    } rows[] = {
            {NULL, CTL_NO_DAEMON, "not-found: nobody is there"},
            {refuses, CTL_FAILED, "auth: only root"},
            {says_nothing, CTL_FAILED, "transient: the daemon has not answered for 1 seconds"},
            {says_too_much, CTL_FAILED, "transient: the daemon has not answered for 1 seconds"},
    };
    const struct ctl ctl = {.socket = "s", .json = true};
    Control__List list = CONTROL__LIST__INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char taken[200] = "";
        const struct talk t = {.ctx = taken, .patience = 1, .on_failure = on_failure};
        Control__Request request = CONTROL__REQUEST__INIT;

        memset(&other, 0, sizeof(other));
        other.daemon = rows[i].daemon;
        request.body_case = CONTROL__REQUEST__BODY_LIST;
        request.list = &list;
        failures[0] = json[0] = '\0';
        assert_int_equal(talk(&ctl, &request, &t), rows[i].status);
        assert_string_equal(taken, rows[i].taken);
        assert_string_equal(failures, "");
        assert_string_equal(json, "");
    }
}

/* ---- master keys ---- */

/* Whatever came after the Hello. */
static bool is_quiet(int fd)
{
    char c;

    return recv(fd, &c, 1, 0) == 0;
}

static void takes_keys(int fd)
{
    char c;

    if (next_request(fd) != CONTROL__REQUEST__BODY_HELLO)
        _exit(1);
    if (recv(fd, &c, 1, MSG_DONTWAIT) >= 0) /* before it was welcomed */
        _exit(2);
    welcome(fd);
    if (next_request(fd) != CONTROL__REQUEST__BODY_ROTATE_KEY)
        _exit(3);
    done(fd, NULL, NULL);
}

static void does_not_welcome(int fd)
{
    if (next_request(fd) != CONTROL__REQUEST__BODY_HELLO)
        _exit(1);
    done(fd, "protocol", "another version");
    _exit(is_quiet(fd) ? 0 : 2);
}

static void welcomes_and_gets_nothing(int fd)
{
    if (next_request(fd) != CONTROL__REQUEST__BODY_HELLO)
        _exit(1);
    welcome(fd);
    _exit(is_quiet(fd) ? 0 : 2);
}

static int ask_with_keys(void (*daemon)(int fd), const struct ctl *ctl)
{
    const struct talk t = {.on_done = on_done};
    uint8_t key[32] = {1};
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    memset(&other, 0, sizeof(other));
    other.daemon = daemon;
    rotate.previous_key = (ProtobufCBinaryData){sizeof(key), key};
    request.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    request.rotate_key = &rotate;
    failures[0] = json[0] = shown[0] = '\0';
    n_done = 0;
    return talk(ctl, &request, &t);
}

/* They are sent to a daemon that has welcomed us, and runs as root, as us, or as whom root has given the socket to. */
static void test_keys(void **state)
{
    static const struct {
        uid_t own, daemon;
        bool owns_socket, is_private, is_sent;
    } rows[] = {
            {0, 0, false, false, true}, {1000, 0, false, false, true}, {1000, 1000, false, false, true},
            {0, 4711, true, false, true}, {0, 4711, false, false, false}, {1000, 4711, true, false, false},
            {0, 4711, true, true, false}, /* one that we started ourselves is no other user's */
    };
    char path[] = "/tmp/test-talk.XXXXXX", text[200];
    int fd;

    (void)state;
    if (getuid() != 0) /* only root may give a file away */
        skip();
    fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct ctl ctl = {.socket = path, .config = rows[i].is_private ? "c" : NULL};

        own_uid = rows[i].own;
        daemon_uid = rows[i].daemon;
        assert_int_equal(fchown(fd, rows[i].owns_socket ? rows[i].daemon : 0, 0), 0);
        if (rows[i].is_sent) {
            assert_int_equal(ask_with_keys(takes_keys, &ctl), CTL_DONE);
            assert_int_equal(n_done, 1);
            assert_string_equal(failures, "");
        } else {
            assert_int_equal(ask_with_keys(welcomes_and_gets_nothing, &ctl), CTL_FAILED);
            (void)snprintf(text, sizeof(text), "what listens on %s runs as user 4711: no keys are sent there\n", path);
            assert_string_equal(failures, text);
        }
        assert_int_equal(ask_with_keys(does_not_welcome, &ctl), CTL_FAILED);
        assert_string_equal(failures, "another version\n");
    }
    assert_int_equal(unlink(path), 0);
    close(fd);
}

/* ---- texts of strangers ---- */

static void shows_off(int fd)
{
    is_asked(fd);
    entry(fd, "\x1b[2Jbackup\nroot# \xc2\x9b.dump");
    note(fd, "gr\u00fc\u00dfe\x07");
    done(fd, "auth", "no\x1b[A");
}

static void test_strangers(void **state)
{
    const struct ctl ctl = {.socket = "s", .json = true};

    (void)state;
    assert_int_equal(ask(shows_off), CTL_FAILED);
    assert_string_equal(shown, "?[2Jbackup?root# ??.dump\ngr\u00fc\u00dfe?\n");
    assert_string_equal(failures, "no?[A\n");
    (void)ask_as(&ctl); /* results.c escapes in its own way */
    assert_string_equal(shown, "\x1b[2Jbackup\nroot# \xc2\x9b.dump\ngr\u00fc\u00dfe\x07\n");
}

/* ---- daemons that do not answer ---- */

static void leaves_at_once(int fd)
{
    (void)fd;
}

static void leaves_later(int fd)
{
    is_asked(fd);
    entry(fd, "one");
}

static void sends_nothing_in_a_frame(int fd)
{
    is_asked(fd);
    put(fd, "\0\0\0\0", 4);
    (void)next_request(fd);
}

static void sends_a_huge_frame(int fd)
{
    is_asked(fd);
    put(fd, "\x7f\xff\xff\xff", 4);
    (void)next_request(fd);
}

static void babbles(int fd)
{
    is_asked(fd);
    put(fd, "\0\0\0\3\xff\xff\xff", 7);
    (void)next_request(fd);
}

static void test_no_answer(void **state)
{
    static const struct {
        void (*daemon)(int fd);
        const char *text;
    } rows[] = {
            {leaves_later, "the daemon ended before it had answered\n"},
            {sends_nothing_in_a_frame, "control message of 0 bytes\n"},
            {sends_a_huge_frame, "control message of 2147483647 bytes\n"},
            {babbles, "the daemon sent something that is no reply\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(ask(rows[i].daemon), CTL_FAILED);
        assert_string_equal(failures, rows[i].text);
    }
    /* Whether our request was still taken, or the kernel threw it away, is a matter of chance. */
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(leaves_at_once), CTL_FAILED);
        assert_string_equal(failures, "the daemon ended before it had answered\n");
    }
    assert_int_equal(ask(NULL), CTL_NO_DAEMON);
    assert_string_equal(failures, "nobody is there\n");
}

/* ---- private daemons ---- */

static int ask_private(void (*daemon)(int fd), int left)
{
    const struct ctl ctl = {.config = "c"};

    memset(&other, 0, sizeof(other));
    other.daemon = daemon;
    other.is_private = true;
    other.left = left;
    return ask_as(&ctl);
}

static void test_private(void **state)
{
    (void)state;
    assert_int_equal(ask_private(answers, 0), CTL_DONE);
    assert_true(other.was_waited);
    assert_int_equal(ask_private(leaves_at_once, CTL_USAGE), CTL_USAGE);
    assert_string_equal(failures, ""); /* it has said itself what is wrong with the configuration */
    assert_int_equal(ask_private(leaves_at_once, 127), CTL_FAILED);
    assert_string_equal(failures, "");
    assert_int_equal(ask_private(leaves_later, CONNECT_SIGNAL + SIGKILL), CTL_FAILED);
    assert_string_equal(failures, "the private etcd-backupd was ended by signal 9 (Killed)\n");
    assert_int_equal(ask_private(leaves_at_once, CONNECT_SIGNAL + SIGSEGV), CTL_FAILED);
    assert_string_equal(failures, "the private etcd-backupd was ended by signal 11 (Segmentation fault)\n");
    assert_int_equal(ask_private(leaves_later, 0), CTL_FAILED);
    assert_string_equal(failures, "the daemon ended before it had answered\n");
}

/* ---- signals ---- */

static void cancels(int fd)
{
    is_asked(fd);
    kill(getppid(), SIGINT);
    if (next_request(fd) != CONTROL__REQUEST__BODY_CANCEL)
        _exit(1);
    done(fd, "cancelled", "cancelled");
}

/* Does not care; the client goes. */
static void goes_on(int fd)
{
    is_asked(fd);
    kill(getppid(), SIGTERM);
    if (next_request(fd) != CONTROL__REQUEST__BODY_CANCEL)
        _exit(1);
    kill(getppid(), SIGINT);
    if (next_request(fd) != CONTROL__REQUEST__BODY__NOT_SET)
        _exit(1);
}

/* Waits until a process sleeps ('S'), or is stopped ('T'). */
static void await_state(pid_t pid, char wanted)
{
    char path[64], stat[256], *state;
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    do {
        f = fopen(path, "r");
        if (!f)
            _exit(1);
        n = fread(stat, 1, sizeof(stat) - 1, f);
        (void)fclose(f);
        stat[n] = '\0';
        state = strrchr(stat, ')');
        if (!state)
            _exit(1);
    } while (state[2] != wanted);
}

/* The signal wakes a client that waits; when it gets to cancelling, all has been said, and nobody listens. */
static void has_ended_already(int fd)
{
    pid_t client = getppid();

    is_asked(fd);
    await_state(client, 'S');
    kill(client, SIGSTOP);
    await_state(client, 'T');
    done(fd, NULL, NULL);
    close(fd);
    kill(client, SIGINT);
    kill(client, SIGCONT);
}

/* In a child: what is known of signals stays there. */
static int in_child(int (*test)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0)
        _exit(test());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int is_cancelled(void)
{
    return ask(cancels) == CTL_FAILED && strcmp(failures, "cancelled\n") == 0 ? 0 : 1;
}

static int is_too_late(void)
{
    return ask(has_ended_already) == CTL_DONE && failures[0] == '\0' && n_done == 1 ? 0 : 1;
}

static int is_left(void)
{
    int status = ask_private(goes_on, 0);

    /* A private daemon takes back what there is without being waited for. */
    return status == CTL_FAILED && !other.was_waited &&
                           strcmp(failures, "left without waiting for the daemon to end the job\n") == 0
                   ? 0
                   : 1;
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(in_child(is_cancelled), 0);
    assert_int_equal(in_child(is_too_late), 0);
    assert_int_equal(in_child(is_left), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_answers),
            cmocka_unit_test(test_dribbles),
            cmocka_unit_test(test_failures),
            cmocka_unit_test(test_failure_with_a_result),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_failure_is_taken),
            cmocka_unit_test(test_keys),
            cmocka_unit_test(test_strangers),
            cmocka_unit_test(test_no_answer),
            cmocka_unit_test(test_private),
            cmocka_unit_test(test_signals),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
