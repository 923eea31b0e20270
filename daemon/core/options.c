#include "core/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/option.h"
#include "core/libraries.h"
#include "version.h"

enum { OPT_CHECK = 256, OPT_CONTROL_FD, OPT_FOR, OPT_IDLE_EXIT, IDLE_EXIT_MS = 30000 };

static const char usage[] =
        "usage: etcd-backupd [-c FILE] [--check-config] [--idle-exit DURATION]\n"
        "\n"
        "Backs up an etcd cluster to S3, encrypted, and serves etcd-backupctl.\n"
        "\n"
        "  -c, --config FILE  configuration (default: " DEFAULT_CONFIG ")\n"
        "      --check-config check the configuration and the files it names, then leave:\n"
        "                     status 0 if all is well, else 2 and a line for each thing that is not\n"
        "      --idle-exit DURATION\n"
        "                     when started by its socket and without a schedule, leave when nobody\n"
        "                     has asked for anything for so long (default: 30s)\n"
        "  -h, --help         this text\n"
        "  -V, --version      the version\n";

/* A descriptor that is open. A number that is none must not become 0, or a daemon that listens. */
static int read_fd(const char *text, int *fd)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < 0 || n > INT_MAX || fcntl((int)n, F_GETFD) < 0) {
        (void)fprintf(stderr, "etcd-backupd: --control-fd %s: no open descriptor\n", text);
        return -1;
    }
    *fd = (int)n;
    return 0;
}

static int read_purpose(const char *text, enum purpose *purpose)
{
    static const char *const words[] = {PURPOSE_WORDS};

    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *purpose = (enum purpose)i;
            return 0;
        }
    (void)fprintf(stderr, "etcd-backupd: --for %s: none of backup, change, read\n", text);
    return -1;
}

static int read_idle_exit(const char *text, uint64_t *ms)
{
    struct err e = ERR_INIT;

    if (duration_parse(text, ms, &e) == 0 && *ms > 0)
        return 0;
    (void)fprintf(stderr, "etcd-backupd: --idle-exit %s: %s\n", text, e.kind ? e.text : "more than nothing, please");
    return -1;
}

static int end_of_answer(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    (void)fputs("etcd-backupd: what was asked for could not be written to stdout\n", stderr);
    return 1;
}

int options_parse(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
            {"config", required_argument, NULL, 'c'},
            {"check-config", no_argument, NULL, OPT_CHECK},
            {"control-fd", required_argument, NULL, OPT_CONTROL_FD}, /* for etcd-backupctl -c alone, as is the next */
            {"for", required_argument, NULL, OPT_FOR},
            {"idle-exit", required_argument, NULL, OPT_IDLE_EXIT},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, 'V'},
            {0},
    };
    int c;

    *o = (struct options){.config = DEFAULT_CONFIG, .control_fd = -1, .idle_exit_ms = IDLE_EXIT_MS};
    while ((c = getopt_long(argc, argv, "c:hV", table, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = option_value(argv);
            break;
        case OPT_CHECK:
            o->check_config = true;
            break;
        case OPT_CONTROL_FD:
            if (read_fd(optarg, &o->control_fd) < 0)
                return 2;
            break;
        case OPT_FOR:
            if (read_purpose(optarg, &o->purpose) < 0)
                return 2;
            break;
        case OPT_IDLE_EXIT:
            if (read_idle_exit(optarg, &o->idle_exit_ms) < 0)
                return 2;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return end_of_answer();
        case 'V':
            (void)puts("etcd-backupd " VERSION);
            libraries_print(stdout);
            return end_of_answer();
        default:
            (void)fputs("try: etcd-backupd --help\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "etcd-backupd: '%s' is not expected here; try: etcd-backupd --help\n", argv[optind]);
        return 2;
    }
    return -1;
}
