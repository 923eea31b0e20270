#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One line, whatever was quoted: bytes below 0x20 and DEL would break lines or drive a terminal. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int err_set(struct err *e, enum err_kind kind, enum err_domain domain, int64_t code, const char *fmt, ...)
{
    va_list ap;

    e->kind = kind;
    e->domain = domain;
    e->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    make_printable(e->text);
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
    char what[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(e, kind_of_errno(number), ERR_DOMAIN_ERRNO, number, "%s: %s", what, strerror(number));
}

int err_prepend(struct err *e, const char *fmt, ...)
{
    char context[ERR_TEXT_MAX], tail[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    memcpy(tail, e->text, sizeof(tail));
    (void)snprintf(e->text, sizeof(e->text), "%.*s%s", (int)sizeof(context) - 1, context, tail);
    make_printable(e->text);
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
