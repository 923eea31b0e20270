#include "job/rotate/pass.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "seal/key.h"

enum { AT_A_TIME = 16, ALIKE_MAX = 2 * AT_A_TIME };

struct pass {
    struct pass_spec spec;
    struct pass_state state;
    struct lanes lanes; /* of struct rewrap */
};

static void count(struct pass *p, struct key_item *item, enum rewrap_outcome outcome, const struct err *err)
{
    bool is_own = outcome != REWRAP_FAILED || err->kind == ERR_INTEGRITY || err->kind == ERR_NOT_FOUND;
    struct rotate_result *result = p->spec.result;
    struct pass_state *s = &p->state;

    s->ended++;
    s->alike = is_own ? 0 : s->alike + 1;
    s->changed += outcome == REWRAP_ROTATED || outcome == REWRAP_BOUND || outcome == REWRAP_GONE;
    item->is_rotated = outcome == REWRAP_ROTATED || outcome == REWRAP_ALREADY || outcome == REWRAP_BOUND;
    result->rotated += outcome == REWRAP_ROTATED;
    result->bound += outcome == REWRAP_BOUND;
    result->already += outcome == REWRAP_ALREADY && p->spec.is_first;
    if (outcome == REWRAP_FAILED) {
        result->failed++;
        s->not_opened += err->domain == ERR_DOMAIN_KEY &&
                         (err->code == KEY_FAULT_DOES_NOT_OPEN || err->code == KEY_FAULT_SEALED);
        p->spec.on_failed(p->spec.ctx, &(struct unrotated){.name = item->name, .err = err});
    }
    if (s->alike >= ALIKE_MAX)
        lanes_leave_rest(&p->lanes);
}

static bool go_on(struct pass *p)
{
    struct err ignored = ERR_INIT;

    return lanes_go_on(&p->lanes, &ignored) != 0;
}

static void on_rewrapped(void *ctx, enum rewrap_outcome outcome, bool is_of_previous, const struct err *err)
{
    struct lane *lane = ctx;
    struct pass *p = lane->owner;

    p->state.is_of_previous = p->state.is_of_previous || is_of_previous;
    count(p, key_list_at(p->spec.keys, lane->index), outcome, err);
    rewrap_free(lane_end(lane));
    p->spec.on_progress(p->spec.ctx, p->state.ended);
    if (!go_on(p))
        p->spec.on_done(p->spec.ctx);
}

static int start_one(struct lane *lane, struct err *e)
{
    struct pass *p = lane->owner;
    struct key_item *item = key_list_at(p->spec.keys, lane->index);
    struct rewrap_spec spec = {
            .name = item->name,
            .instant = item->instant,
            .opener = p->spec.opener,
            .form = p->spec.form,
            .only_look = p->spec.only_looks,
            .ctx = lane,
            .on_done = on_rewrapped,
    };

    if (item->is_unreadable)
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "its name has no time stamp that can be read, to bind it to");
    else
        lane->work = rewrap_start(p->spec.core, &spec, e);
    if (!lane->work)
        count(p, item, REWRAP_FAILED, e);
    return 0;
}

static void cancel_one(void *rewrap)
{
    rewrap_free(rewrap);
}

struct pass *pass_new(const struct pass_spec *spec, struct err *e)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (!p) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    p->spec = *spec;
    p->lanes = (struct lanes){.owner = p, .width = AT_A_TIME, .start = start_one, .cancel = cancel_one};
    return p;
}

bool pass_start(struct pass *p)
{
    lanes_begin(&p->lanes, key_list_count(p->spec.keys));
    return go_on(p);
}

const struct pass_state *pass_state(const struct pass *p)
{
    return &p->state;
}

void pass_free(struct pass *p)
{
    if (!p)
        return;
    lanes_cancel(&p->lanes);
    free(p);
}
