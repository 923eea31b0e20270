#include "s3/lock.h"

#include <stdio.h>

#include "s3/request.h"

static const char *const modes[] = {"", "GOVERNANCE", "COMPLIANCE"};

size_t s3_lock_headers(const struct s3_lock *lock, char until[TIMESTAMP_TEXT_MAX], struct s3_param *out)
{
    if (lock->mode == S3_LOCK_NONE)
        return 0;
    out[0] = (struct s3_param){"x-amz-object-lock-mode", modes[lock->mode]};
    out[1] = (struct s3_param){"x-amz-object-lock-retain-until-date", timestamp_format(lock->until, until)};
    return S3_LOCK_HEADERS_MAX;
}

size_t s3_lock_body(const struct s3_lock *lock, char out[S3_LOCK_BODY_MAX])
{
    char until[TIMESTAMP_TEXT_MAX];

    return (size_t)snprintf(out, S3_LOCK_BODY_MAX,
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
            "<RetainUntilDate>%s</RetainUntilDate></Retention>",
            modes[lock->mode], timestamp_format(lock->until, until));
}
