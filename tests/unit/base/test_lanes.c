/* A list of ten items, of which so many are worked on at a time; what runs is the item itself. */
#include "expect.h"

#include "base/cleanup.h"
#include "base/lanes.h"

enum { N = 10 };

static unsigned items[N]; /* how often each was cancelled */

struct fixture {
    struct lanes lanes;
    struct lane *lane_of[N]; /* where it runs */
    unsigned started[N];     /* how often */
    bool skips[N], fails[N];
    size_t ends_all; /* its start leaves the rest */
    unsigned most, running;
};

static int start(struct lane *lane, struct err *e)
{
    struct fixture *f = lane->owner;

    f->started[lane->index]++;
    if (lane->index == f->ends_all)
        lanes_leave_rest(lane->lanes);
    if (f->fails[lane->index])
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "item %zu", lane->index);
    if (f->skips[lane->index])
        return 0;
    f->lane_of[lane->index] = lane;
    lane->work = &items[lane->index];
    f->running++;
    f->most = f->running > f->most ? f->running : f->most;
    return 0;
}

static void cancel(void *work)
{
    ++*(unsigned *)work;
}

static struct fixture new_fixture(unsigned width)
{
    for (size_t i = 0; i < N; i++)
        items[i] = 0;
    return (struct fixture){.lanes = {.width = width, .start = start, .cancel = cancel}, .ends_all = N};
}

static void begin(struct fixture *f, size_t n)
{
    f->lanes.owner = f;
    lanes_begin(&f->lanes, n);
}

static int go_on(struct fixture *f)
{
    struct err e = ERR_INIT;
    const int at_work = lanes_go_on(&f->lanes, &e);

    assert_int_not_equal(at_work, -1);
    return at_work;
}

static void finish(struct fixture *f, size_t index)
{
    assert_ptr_equal(lane_end(f->lane_of[index]), &items[index]);
    assert_int_equal(f->lane_of[index]->index, index);
    f->running--;
}

static void each_item_is_started_once_and_no_more_than_the_width_run(void **state)
{
    static const struct {
        unsigned width;
        size_t n;
    } cases[] = {{1, N}, {3, N}, {N, N}, {LANES_MAX, N}, {4, 1}, {2, 0}};

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct fixture f = new_fixture(cases[c].width);
        const unsigned most = cases[c].width < cases[c].n ? cases[c].width : (unsigned)cases[c].n;

        begin(&f, cases[c].n);
        assert_int_equal(go_on(&f), cases[c].n > 0);
        for (size_t i = 0; i < cases[c].n; i++) {
            finish(&f, i);
            assert_int_equal(go_on(&f), i + 1 < cases[c].n);
        }
        for (size_t i = 0; i < N; i++)
            assert_int_equal(f.started[i], i < cases[c].n);
        assert_int_equal(f.most, most);
    }
}

static void what_ends_out_of_order_makes_room_for_the_next(void **state)
{
    struct fixture f = new_fixture(3);

    (void)state;
    begin(&f, 5);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 1);
    assert_int_equal(go_on(&f), 1);
    assert_ptr_equal(f.lane_of[3], f.lane_of[1]);
    finish(&f, 3);
    finish(&f, 0);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 4);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 2);
    assert_int_equal(go_on(&f), 0);
}

static void an_item_may_need_no_work(void **state)
{
    struct fixture f = new_fixture(2);

    (void)state;
    for (size_t i = 0; i < N; i++)
        f.skips[i] = i != 6;
    begin(&f, N);
    assert_int_equal(go_on(&f), 1);
    assert_int_equal(f.started[N - 1], 1);
    finish(&f, 6);
    assert_int_equal(go_on(&f), 0);
}

static void a_lane_may_work_twice_on_an_item(void **state)
{
    struct fixture f = new_fixture(1);

    (void)state;
    begin(&f, 2);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 0);
    f.lane_of[0]->work = &items[0];
    assert_int_equal(go_on(&f), 1);
    assert_int_equal(f.started[1], 0);
    finish(&f, 0);
    assert_int_equal(go_on(&f), 1);
    assert_int_equal(f.started[1], 1);
}

static void a_failure_is_told_and_the_others_still_run(void **state)
{
    struct fixture f = new_fixture(3);
    struct err e = ERR_INIT;

    (void)state;
    f.fails[1] = true;
    begin(&f, N);
    assert_int_equal(lanes_go_on(&f.lanes, &e), -1);
    expect_error(&e, ERR_RESOURCE, "item 1");
    assert_int_equal(f.started[2], 0);
    lanes_cancel(&f.lanes);
    assert_int_equal(items[0], 1);
    assert_int_equal(items[1], 0);
    assert_int_equal(go_on(&f), 0);
    assert_int_equal(f.started[2], 0);
}

static void the_rest_may_be_left(void **state)
{
    struct fixture f = new_fixture(2);

    (void)state;
    f.ends_all = 3;
    begin(&f, N);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 0);
    finish(&f, 1);
    assert_int_equal(go_on(&f), 1); /* 2 and 3, and 3 ends it */
    finish(&f, 2);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 3);
    assert_int_equal(go_on(&f), 0);
    assert_int_equal(f.started[4], 0);
}

/* Even and odd ones never run together. */
static bool is_alike(const struct lanes *l, size_t index)
{
    for (unsigned i = 0; i < l->width; i++)
        if (l->list[i].work && l->list[i].index % 2 != index % 2)
            return false;
    return true;
}

static void an_item_may_have_to_wait_for_another(void **state)
{
    struct fixture f = new_fixture(4);

    (void)state;
    f.lanes.may_start = is_alike;
    begin(&f, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(go_on(&f), 1);
        assert_int_equal(f.running, 1);
        finish(&f, i);
    }
    assert_int_equal(go_on(&f), 0);
}

static void it_can_be_cancelled_at_any_time_and_used_again(void **state)
{
    struct fixture f = new_fixture(3);

    (void)state;
    lanes_cancel(&f.lanes);
    begin(&f, N);
    assert_int_equal(go_on(&f), 1);
    finish(&f, 1);
    lanes_cancel(&f.lanes);
    lanes_cancel(&f.lanes);
    assert_int_equal(items[0], 1);
    assert_int_equal(items[1], 0);
    assert_int_equal(items[2], 1);
    begin(&f, N);
    assert_int_equal(go_on(&f), 1);
    assert_int_equal(f.started[0], 2);
    assert_int_equal(f.started[3], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_item_is_started_once_and_no_more_than_the_width_run),
            cmocka_unit_test(what_ends_out_of_order_makes_room_for_the_next),
            cmocka_unit_test(an_item_may_need_no_work),
            cmocka_unit_test(a_lane_may_work_twice_on_an_item),
            cmocka_unit_test(a_failure_is_told_and_the_others_still_run),
            cmocka_unit_test(the_rest_may_be_left),
            cmocka_unit_test(an_item_may_have_to_wait_for_another),
            cmocka_unit_test(it_can_be_cancelled_at_any_time_and_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
