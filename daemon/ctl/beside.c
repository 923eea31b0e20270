#include "ctl/beside.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/talk.h"

/* Seconds; a status is told at once. A private daemon waits for its request meanwhile, and not much longer
 * (CONTROL_IDLE_MS). */
enum { PATIENCE = 5 };

/* No longer than a daemon's: who listens may be anybody, and they go into one message. */
enum { BUCKET_MAX = 4096, FORM_MAX = 256, TROUBLE_MAX = 512 };

static void on_done(void *ctx, const Control__Done *done)
{
    Control__Beside *out = ctx;

    if (done->result_case != CONTROL__DONE__RESULT_STATUS || strlen(done->status->bucket) > BUCKET_MAX ||
            strlen(done->status->key_form) > FORM_MAX)
        return;
    out->bucket = strdup(done->status->bucket);
    out->form = strdup(done->status->key_form);
}

static void on_failure(void *ctx, const char *kind, const char *text)
{
    Control__Beside *out = ctx;

    (void)kind;
    free(out->trouble);
    out->trouble = strndup(text, TROUBLE_MAX);
}

bool beside_ask(const char *socket, Control__Beside *out)
{
    const struct ctl running = {.socket = socket, .json = true}; /* texts as they came, to be compared */
    const struct talk t = {.ctx = out, .patience = PATIENCE, .on_failure = on_failure, .on_done = on_done};
    Control__Status status = CONTROL__STATUS__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    control__beside__init(out);
    out->socket = strdup(socket);
    out->bucket = out->form = out->trouble = NULL; /* which are sent as if they were empty */
    request.body_case = CONTROL__REQUEST__BODY_STATUS;
    request.status = &status;
    if (talk(&running, &request, &t) == CTL_NO_DAEMON)
        return false;
    if (!out->trouble && !(out->bucket && out->form)) /* nor is there memory for it, perhaps: that is no agreement */
        out->trouble = strdup("its answer is not what was asked for");
    return true;
}

void beside_forget(Control__Beside *b)
{
    free(b->socket);
    free(b->bucket);
    free(b->form);
    free(b->trouble);
    *b = (Control__Beside){0};
}
