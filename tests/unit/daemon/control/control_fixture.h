/*
 * control_fixture.h: the control socket with real connections, for tests: control.c and peer.c as they are, and in
 * place of core, jobs, listings and the log what the test looks at and decides.
 */
#pragma once

#include "expect.h"

#include <sys/socket.h>
#include <uv.h>

#include "control.pb-c.h"
#include "control/control.h"
#include "job/bucket/listing.h"
#include "timer/cycle.h"

extern uv_loop_t loop;
extern struct conf conf;
extern struct control *control;
extern char logged[1024];     /* the last line */
extern int core_users;        /* core_acquire without core_release */
extern unsigned private_gone; /* how often it was said */

/* The one job there is, and what was asked of it. */
struct control_job {
    struct jobs_state state;
    struct job_sink watcher; /* ctx NULL: nobody */
    unsigned cancelled, unwatched;
    struct backup_request backup;
    struct restore_request restore; /* its strings are those of the message, which is gone */
    struct verify_request verify;
    struct prune_request prune;
    struct rotate_request rotate; /* its keys are gone; they were: */
    uint8_t previous[KEY_LEN], next[KEY_LEN];
    const char *nobodys; /* a job that nobody asked for, and that keeps all from starting; or NULL */
    const struct jobs_waiter *waiters[4];
    struct known *known;
    char output[512];  /* of a restore, as far as it fits; the tool of a verify */
    size_t output_len; /* of a restore, all of it */
};
extern struct control_job job;

/* What the cycle says, if the control is given one. */
extern struct cycle_state cycle;
extern bool is_rotated_away; /* the master key */

/* The one listing; who asked for it. */
struct listing {
    struct listing_spec spec;
};
extern struct listing the_listing;
extern bool listing_runs, listing_is_refused;

/* What the kernel is made to say of the other end; pid 0: the truth. */
extern struct ucred other_end;
extern gid_t other_groups[2];

/* Timers run so much faster; 0: as always. */
extern uint64_t time_divisor;
extern uint64_t timer_ms; /* what the last one was to wait, before that */

/* For cmocka. Afterwards nothing may be left: no file, no handle, no watcher, no use of the core. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct control_spec fixture_spec(void);

/* Listens on "sock", as `conf` says. */
void fixture_start(void);

/* The loop turns once, without waiting. */
void fixture_turn(void);

/* Turns the loop until the job runs and is watched. */
void fixture_await_job(void);

/* What nobody asked for has ended: the first who waited for that has his turn. */
void fixture_give_turn(void);

/* The job ends, and its watcher is told. */
void fixture_end_job(const struct job_result *result, const struct err *err);

struct client {
    int fd;
    struct buf in;
    bool is_over;          /* the daemon has closed */
    Control__Reply *reply; /* the last one, valid until the next */
};

struct client client_new(void);
struct client client_on(int fd); /* which it takes */
void client_leave(struct client *c);

/* One that has said Hello and was welcomed. */
struct client client_greeted(bool wants_progress);

/* One whose backup runs; he watches it. */
struct client client_backing_up(bool wants_progress);

void client_send(struct client *c, const void *data, size_t len);
void client_ask(struct client *c, const Control__Request *m);
void client_hello(struct client *c, uint32_t version, bool wants_progress);
void client_ask_for(struct client *c, Control__Request__BodyCase what); /* one without members */
void client_ask_restore(struct client *c, const char *output);

/* Takes what there is from the socket, without the loop; whether anything came. */
bool client_read(struct client *c);

/* Turns the loop until there is a reply; NULL when the daemon has closed instead. */
const Control__Reply *client_next(struct client *c);

/* Takes the replies of this kind that come next; how many. What follows them is then c->reply, and a Done. */
unsigned client_count(struct client *c, Control__Reply__BodyCase kind);

/* Fails unless the next is of this kind. */
const Control__Reply *client_expect(struct client *c, Control__Reply__BodyCase kind);
const Control__Done *client_expect_done(struct client *c);

/* Fails unless the next is this failure and the last. */
void client_expect_failure(struct client *c, const char *kind, const char *text);
