/*
 * purpose.h: what etcd-backupctl starts a private daemon for, in its option --for. Who only reads the bucket, on a
 * machine that may have lost the rest, needs less of the configuration than who makes a backup.
 */
#pragma once

enum purpose {
    PURPOSE_BACKUP, /* all of it; also to see what etcd has now */
    PURPOSE_CHANGE, /* change the bucket: no file of etcd's */
    PURPOSE_READ,   /* as above, and secrets that all users can read are worth a warning and no refusal */
};

#define PURPOSE_WORDS "backup", "change", "read"
