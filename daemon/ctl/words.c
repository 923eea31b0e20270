#include "ctl/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "ctl/show.h"

int word_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    *value = true;
    if (!text)
        return 0;
    if (*text == '=') /* -u=false */
        text++;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0)
            return 0;
        *value = strcmp(text, no[i]) != 0;
        if (!*value)
            return 0;
    }
    (void)fprintf(stderr, "etcd-backupctl: '%s' is neither true nor false\n", text);
    return -1;
}

/* PREFIX-TIMESTAMP, and .dump or .key. The prefix may have any form, so it is the end that is looked at. */
static bool read_name(const char *text, int64_t *instant)
{
    size_t len = strlen(text);
    struct err ignored;

    if (len > 5 && strcmp(text + len - 5, ".dump") == 0)
        len -= 5;
    else if (len > 4 && strcmp(text + len - 4, ".key") == 0)
        len -= 4;
    for (size_t i = 1; i < len; i++)
        if (text[i - 1] == '-' && timestamp_parse(text + i, len - i, instant, &ignored) == 0)
            return true;
    return false;
}

int word_backup(const char *text, struct word_backup *backup)
{
    struct err e = ERR_INIT;

    *backup = (struct word_backup){.is_given = *text, .name = ""};
    if (!*text || timestamp_read(text, &backup->instant, &e) == 0)
        return 0;
    if (read_name(text, &backup->instant)) {
        backup->name = text;
        return 0;
    }
    show_failure(e.text);
    return -1;
}

int word_count(const char *option, const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && errno == 0 && *value > 0 && *value <= INT64_MAX)
        return 0;
    (void)fprintf(stderr, "etcd-backupctl: %s: '%s' is no whole number from 1 on\n", option, text);
    return -1;
}

char *word_path(const char *path)
{
    _cleanup_free_ char *here = NULL;
    char *whole;

    if (path[0] == '/')
        return strdup(path);
    here = getcwd(NULL, 0);
    if (here && asprintf(&whole, "%s/%s", here, path) >= 0)
        return whole;
    show_failure("cannot tell the working directory");
    return NULL;
}

char *word_program(const char *name)
{
    const char *path = getenv("PATH");
    _cleanup_free_ char *dirs = strdup(path ? path : "");
    char *rest = NULL, *file;

    if (strchr(name, '/'))
        return word_path(name);
    for (char *dir = dirs ? strtok_r(dirs, ":", &rest) : NULL; dir; dir = strtok_r(NULL, ":", &rest)) {
        if (dir[0] != '/' || asprintf(&file, "%s/%s", dir, name) < 0)
            continue;
        if (access(file, X_OK) == 0)
            return file;
        free(file);
    }
    return strdup(name);
}
