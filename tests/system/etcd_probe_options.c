#include "etcd_probe_options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    CA,
    CERT,
    KEY,
    USER,
    PASSWORD,
    QUIT_IN,
    WINDOW,
    CHUNK,
    TIMEOUT,
    STOP_AT,
    CANCEL_AT,
    AGAIN,
    ATTEMPTS,
    SESSIONS,
    ALLOCATION
};

static const struct option options[] = {{"ca", 1, NULL, CA}, {"cert", 1, NULL, CERT}, {"key", 1, NULL, KEY},
        {"user", 1, NULL, USER}, {"password-file", 1, NULL, PASSWORD}, {"quit-in", 1, NULL, QUIT_IN},
        {"window", 1, NULL, WINDOW}, {"chunk", 1, NULL, CHUNK}, {"timeout", 1, NULL, TIMEOUT},
        {"stop-at", 1, NULL, STOP_AT}, {"cancel-at", 1, NULL, CANCEL_AT}, {"again", 1, NULL, AGAIN},
        {"attempts", 1, NULL, ATTEMPTS}, {"sessions", 1, NULL, SESSIONS}, {"fail-allocation", 1, NULL, ALLOCATION},
        {NULL, 0, NULL, 0}};

static int take_text(struct probe_options *o, int option, const char *text)
{
    const char **texts[] = {[CA] = &o->conf.ca_cert,
            [CERT] = &o->conf.client_cert,
            [KEY] = &o->conf.client_key,
            [USER] = &o->user,
            [PASSWORD] = &o->password_file,
            [QUIT_IN] = &o->quit_in};

    *texts[option] = text;
    return 0;
}

static int take_number(struct probe_options *o, int option, uint64_t number)
{
    switch (option) {
    case WINDOW:
        o->conf.window = (uint32_t)number;
        return 0;
    case CHUNK:
        o->chunk = (size_t)number;
        return 0;
    case TIMEOUT:
        o->conf.request_timeout_ms = o->conf.connect_timeout_ms = number;
        return 0;
    case STOP_AT:
        o->stop_at = number;
        return 0;
    case CANCEL_AT:
        o->cancel_at = number;
        return 0;
    case AGAIN:
        o->again = (unsigned long)number;
        return 0;
    case ATTEMPTS:
        o->attempts = (unsigned long)number;
        return number > 0 ? 0 : -1;
    case SESSIONS:
        o->sessions = (unsigned long)number;
        return number > 0 ? 0 : -1;
    case ALLOCATION:
        o->fail_allocation = (size_t)number;
        return 0;
    default:
        return -1;
    }
}

/* ENDPOINT... COMMAND [FILE] */
static int take_words(struct probe_options *o, int n, char **words)
{
    static const char *const commands[] = {"status", "rotate", "snapshot"};

    if (n >= 3 && strcmp(words[n - 2], "snapshot") == 0)
        o->file = words[--n];
    if (n < 2)
        return -1;
    o->command = words[--n];
    o->conf.endpoints = (const char *const *)words;
    o->conf.n_endpoints = (size_t)n;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(o->command, commands[i]) == 0)
            return (i == 2) == (o->file != NULL) ? 0 : -1;
    return -1;
}

int probe_options_read(struct probe_options *o, int argc, char **argv)
{
    int option;

    *o = (struct probe_options){
            .conf = {.connect_timeout_ms = 10000, .request_timeout_ms = 30000},
            .chunk = 1 << 20,
            .stop_at = UINT64_MAX,
            .cancel_at = UINT64_MAX,
            .attempts = 1,
            .sessions = 1,
    };
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option >= 0 && option <= QUIT_IN ? take_text(o, option, optarg)
                                             : take_number(o, option, optarg ? strtoull(optarg, NULL, 10) : 0))
            return -1;
    }
    return take_words(o, argc - optind, argv + optind);
}
