/*
 * etcd-backupctl: options, and which command is meant. The commands are rows of command.c.
 *
 * The common options may stand before or after the command, since runbooks of the Go tool have `-c FILE` behind it.
 */
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/inherited.h"
#include "base/option.h"
#include "ctl/answer.h"
#include "ctl/command.h"
#include "ctl/ctl.h"
#include "version.h"

enum { OPT_JSON = 1000, MAX_OPTIONS = 32 };

#define COMMON_LETTERS "s:c:qhV"

static const struct option common_options[] = {
        {"socket", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, OPT_JSON},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
};

static void print_usage(const struct command *command)
{
    (void)puts("usage: etcd-backupctl [-s SOCKET | -c FILE] [--json] [-q] COMMAND [OPTION...]\n");
    if (command) {
        (void)printf("%s%s%s: %s\n%s", command->name, command->argument ? " " : "",
                command->argument ? command->argument : "", command->help, command->usage);
    } else {
        (void)puts("Asks etcd-backupd to back up etcd, and shows what is there.\n");
        for (unsigned i = 0; i < command_count; i++)
            (void)printf("  %-15s %s\n", command_table[i].name, command_table[i].help);
    }
    (void)puts("\n  -s, --socket SOCKET  of the daemon (default: " DEFAULT_SOCKET ")\n"
               "  -c, --config FILE    no daemon: start a private one with this configuration, for this command\n"
               "      --json           results as JSON, one object a line\n"
               "  -q, --quiet          no progress, and where a backup, restore, verify or prune went well, nothing\n"
               "  -h, --help           this text; with a command, its options\n"
               "  -V, --version        the version\n"
               "\nexit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 no daemon, 4 busy, 5 integrity");
}

static int usage_error(void)
{
    (void)fputs("try: etcd-backupctl --help\n", stderr);
    return CTL_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    return NULL;
}

/* The common options and those of the command, for getopt. */
static void join_options(const struct command *command, struct option out[MAX_OPTIONS], char letters[64])
{
    size_t n = ARRAY_LEN(common_options);

    (void)memcpy(out, common_options, sizeof(common_options));
    for (const struct option *o = command ? command->options : NULL; o && o->name && n < MAX_OPTIONS - 1; o++)
        out[n++] = *o;
    out[n] = (struct option){0};
    /* "+": the first pass stops at the command. */
    (void)snprintf(letters, 64, "%s" COMMON_LETTERS "%s", command ? "" : "+", command ? command->letters : "");
}

/* Reads options up to the end, or up to the command if that is not known yet. Returns -1 to go on, else an exit status.
 */
static int read_options(int argc, char **argv, const struct command *command, struct ctl *ctl)
{
    static char program[] = "etcd-backupctl";
    struct option options[MAX_OPTIONS];
    char letters[64];
    int letter;

    argv[0] = program; /* which getopt's own lines begin with: not with a path, nor with the command */
    join_options(command, options, letters);
    while ((letter = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        const char *value = option_value(argv);

        switch (letter) {
        case 's':
            ctl->socket = value;
            ctl->socket_given = true;
            break;
        case 'c':
            ctl->config = value;
            break;
        case OPT_JSON:
            ctl->json = true;
            break;
        case 'q':
            ctl->quiet = true;
            break;
        case 'h':
            print_usage(command);
            return answer_end(CTL_DONE, true);
        case 'V':
            (void)printf("etcd-backupctl " VERSION "\nlibsodium %s, protobuf-c %s, libcrypto %s (what else is used is "
                         "the daemon's: etcd-backupd -V)\n",
                    sodium_version_string(), protobuf_c_version(), OpenSSL_version(OPENSSL_VERSION_STRING));
            return answer_end(CTL_DONE, true);
        case '?':
            return usage_error();
        default:
            if (command->set(letter, value) < 0)
                return CTL_USAGE;
        }
    }
    return -1;
}

/* Whoever has forgotten the file of -c has given the command away. */
static int which_command(const struct ctl *ctl)
{
    const char *taken = ctl->config ? ctl->config : ctl->socket_given ? ctl->socket : NULL;

    if (taken && find_command(taken))
        (void)fprintf(stderr, "etcd-backupctl: which command? '%s' was taken for the %s of %s\n", taken,
                ctl->config ? "FILE" : "SOCKET", ctl->config ? "-c" : "-s");
    else
        (void)fputs("etcd-backupctl: which command?\n", stderr);
    return usage_error();
}

/* The Go tool's users have it where they are. Only where neither a daemon nor another file can be meant; and nobody
 * else may have laid it there. */
static void find_config(struct ctl *ctl)
{
    static const char here[] = "config.yml";
    struct stat st;

    if (ctl->config || ctl->socket_given || access(ctl->socket, F_OK) == 0 || stat(here, &st) < 0)
        return;
    if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 0022))
        return;
    ctl->config = here;
    if (!ctl->quiet)
        (void)fprintf(stderr, "note: no daemon has %s: working with ./%s\n", ctl->socket, here);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.socket = DEFAULT_SOCKET};
    const struct command *command;
    int status = inherited_clean() < 0 ? CTL_FAILED : read_options(argc, argv, NULL, &ctl);

    if (status >= 0)
        return status;
    if (sodium_init() < 0) {
        (void)fputs("etcd-backupctl: libsodium does not start\n", stderr);
        return CTL_FAILED;
    }
    if (optind == argc)
        return which_command(&ctl);
    command = find_command(argv[optind]);
    if (!command) {
        (void)fprintf(stderr, "etcd-backupctl: no command '%s'\n", argv[optind]);
        return usage_error();
    }
    argc -= optind;
    argv += optind;
    optind = 0; /* getopt begins again: here options may stand between other words (getopt(3), NOTES) */
    status = read_options(argc, argv, command, &ctl);
    if (status >= 0)
        return status;
    if (command->argument && optind < argc)
        ctl.argument = argv[optind++];
    if (command->argument && command->argument[0] != '[' && (!ctl.argument || !*ctl.argument)) {
        (void)fprintf(stderr, "etcd-backupctl: %s: which %s?\n", command->name, command->argument);
        return usage_error();
    }
    if (optind < argc) {
        (void)fprintf(stderr, "etcd-backupctl: '%s' is not expected here\n", argv[optind]);
        return usage_error();
    }
    if (ctl.config && ctl.socket_given) {
        (void)fputs("etcd-backupctl: -s asks a running daemon and -c starts a private one: give one of them\n", stderr);
        return usage_error();
    }
    if (!command->asks_nobody)
        find_config(&ctl);
    return command->run(&ctl);
}
