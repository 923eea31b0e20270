#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/*
 * Puts `context` before `cause` into `text`. If both do not fit the context is shortened, and the cause only where
 * it would leave nothing of the context: a long path must not push out what is wrong with it.
 */
static void join(char text[ERR_TEXT_MAX], const char *context, const char *cause)
{
    static const char dots[] = "... ";
    size_t context_len = strlen(context), cause_len = strlen(cause), room = ERR_TEXT_MAX / 4;

    if (cause_len < ERR_TEXT_MAX - 1 - room)
        room = ERR_TEXT_MAX - 1 - cause_len;
    if (context_len <= room) {
        (void)snprintf(text, ERR_TEXT_MAX, "%s%s", context, cause);
    } else {
        room -= sizeof(dots) - 1;
        (void)snprintf(text, ERR_TEXT_MAX, "%.*s%s%s", (int)room, context, dots, cause);
    }
    utf8_clean(text);
}

int err_set(struct err *e, enum err_kind kind, enum err_domain domain, int64_t code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX]; /* not e->text at once: an argument may be just that */
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    utf8_clean(text);
    e->kind = kind;
    e->domain = domain;
    e->code = code;
    memcpy(e->text, text, sizeof(text));
    return -1;
}

static enum err_kind kind_of_errno(int number)
{
    switch (number) {
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EFBIG:
    case EROFS:
    case EIO:
        return ERR_RESOURCE;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EISDIR:
    case EINVAL:
    case EEXIST:
    case ENAMETOOLONG:
    case ELOOP:
        return ERR_CONFIG;
    case ECANCELED:
        return ERR_CANCELLED;
    default:
        return ERR_TRANSIENT;
    }
}

int err_errno(struct err *e, int number, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX], reason[128], cause[sizeof(reason) + 2];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    /* Not strerror, whose buffer threads share. */
    (void)snprintf(cause, sizeof(cause), ": %s", strerror_r(number, reason, sizeof(reason)));
    e->kind = kind_of_errno(number);
    e->domain = ERR_DOMAIN_ERRNO;
    e->code = number;
    join(e->text, what, cause);
    return -1;
}

int err_prepend(struct err *e, const char *fmt, ...)
{
    char context[ERR_TEXT_MAX], cause[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    memcpy(cause, e->text, sizeof(cause));
    join(e->text, context, cause);
    return -1;
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return "none";
    case ERR_TRANSIENT:
        return "transient";
    case ERR_AUTH:
        return "auth";
    case ERR_CONFIG:
        return "config";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_PROTOCOL:
        return "protocol";
    case ERR_INTEGRITY:
        return "integrity";
    case ERR_RESOURCE:
        return "resource";
    case ERR_BUSY:
        return "busy";
    case ERR_CANCELLED:
        return "cancelled";
    }
    return "unknown";
}
