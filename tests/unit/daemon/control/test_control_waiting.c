/* Requests that meet a job which nobody asked for: they wait for its end, and their turn. */
#include "control_fixture.h"

#include <string.h>
#include <unistd.h>

static uint8_t keys[2][KEY_LEN] = {"the previous key, of 32 bytes...", "and another, of thirty-two bytes"};

static void expect_note(struct client *c, const char *text)
{
    const Control__Note *note = client_expect(c, CONTROL__REPLY__BODY_NOTE)->note;

    assert_string_equal(note->text, text);
    assert_true(note->passing);
}

/* One whose backup waits. */
static struct client client_waiting(void)
{
    struct client c = client_greeted(false);

    job.nobodys = "prune";
    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
    expect_note(&c, "waiting for the prune that is running");
    assert_null(job.state.changing.name);
    return c;
}

static void end_backup(struct client *c)
{
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    assert_int_equal(client_expect_done(c)->result_case, CONTROL__DONE__RESULT_BACKUP);
    assert_null(client_next(c));
    client_leave(c);
}

static void test_turn(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_waiting();
    client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS); /* of no use here, and passed over */
    for (unsigned i = 0; i < 100; i++)
        fixture_turn();
    fixture_give_turn();
    assert_string_equal(job.state.changing.name, "backup");
    end_backup(&c);
}

/* What is asked for again waits no less: somebody may have come before, or the timer. */
static void test_waits_again(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_waiting();
    fixture_give_turn();
    assert_string_equal(job.state.changing.name, "backup");
    end_backup(&c);
    c = client_waiting();
    fixture_give_turn();
    end_backup(&c);
}

/* The request is kept as it came, with its keys. */
static void test_keys(void **state)
{
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;
    struct client c;

    (void)state;
    fixture_start();
    job.nobodys = "backup";
    c = client_greeted(false);
    rotate.previous_key = (ProtobufCBinaryData){.data = keys[0], .len = KEY_LEN};
    rotate.new_key = (ProtobufCBinaryData){.data = keys[1], .len = KEY_LEN};
    m.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    m.rotate_key = &rotate;
    client_ask(&c, &m);
    expect_note(&c, "waiting for the backup that is running");
    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP); /* another message takes nothing of it away */
    for (unsigned i = 0; i < 100; i++)
        fixture_turn();
    fixture_give_turn();
    assert_memory_equal(job.previous, keys[0], KEY_LEN);
    assert_memory_equal(job.next, keys[1], KEY_LEN);
    fixture_end_job(&(struct job_result){.rotate = &(struct rotate_result){.rotated = 1}}, NULL);
    assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_ROTATE);
    client_leave(&c);
}

/* What would be refused is refused at once; and again when the turn comes, since much may be another by then. */
static void test_refused(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    job.nobodys = "prune";
    c = client_greeted(false);
    client_ask_restore(&c, "not-absolute");
    client_expect_failure(&c, "config", "not-absolute: not an absolute path");
    client_leave(&c);
    c = client_waiting();
    job.state.changing.name = "verify"; /* somebody's */
    fixture_give_turn();
    client_expect_failure(&c, "busy", "a verify is running");
    client_leave(&c);
    job.state.changing.name = NULL;
}

/* Whoever cancels, leaves, or talks nonsense waits no more, and those behind him do. */
static void test_taken_back(void **state)
{
    struct client c, other;

    (void)state;
    fixture_start();
    for (unsigned way = 0; way < 3; way++) {
        c = client_waiting();
        other = client_waiting();
        assert_int_equal(job.state.n_waiting, 2);
        if (way == 0) {
            client_ask_for(&c, CONTROL__REQUEST__BODY_CANCEL);
            client_expect_failure(&c, "cancelled", "cancelled");
        } else if (way == 1) {
            client_send(&c, "\0\0\0\1\xff", 5);
            client_expect_failure(&c, "protocol", "a message that is none of the control protocol");
        }
        client_leave(&c);
        while (job.state.n_waiting == 2)
            fixture_turn();
        fixture_give_turn();
        assert_string_equal(job.state.changing.name, "backup");
        end_backup(&other);
        assert_int_equal(job.cancelled, 0);
    }
}

static void test_status(void **state)
{
    struct client c, asking;
    const Control__Done *done;

    (void)state;
    fixture_start();
    c = client_waiting();
    asking = client_greeted(false);
    client_ask_for(&asking, CONTROL__REQUEST__BODY_STATUS);
    done = client_expect_done(&asking);
    assert_int_equal(done->status->n_waiting, 1);
    assert_string_equal(done->status->waiting[0], "backup");
    client_leave(&asking);
    client_leave(&c);
    while (job.state.n_waiting)
        fixture_turn();
}

static void test_stop(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_waiting();
    control_stop(control);
    assert_int_equal(job.state.n_waiting, 0);
    client_expect_failure(&c, "cancelled", "the daemon is stopping: what was asked for has not begun");
    client_leave(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_turn, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_waits_again, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_keys, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_taken_back, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_status, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_stop, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
