# fish completion for etcd-backupctl(8).
set -l commands backup list status restore verify prune rotate-key generate-key key-fingerprint
set -l none "not __fish_seen_subcommand_from $commands"

complete -c etcd-backupctl -f
complete -c etcd-backupctl -s s -l socket -r -F -d 'socket of the daemon'
complete -c etcd-backupctl -s c -l config -r -F -d 'no daemon: start a private one with this configuration'
complete -c etcd-backupctl -l json -d 'results as JSON, one object a line'
complete -c etcd-backupctl -s q -l quiet -d 'no progress, and nothing where all went well'
complete -c etcd-backupctl -s h -l help -d 'show the options'
complete -c etcd-backupctl -s V -l version -d 'show the version'

complete -c etcd-backupctl -n $none -a backup -d 'take a snapshot of etcd and store it'
complete -c etcd-backupctl -n $none -a list -d 'show the backups in the bucket'
complete -c etcd-backupctl -n $none -a status -d 'show what the daemon is doing'
complete -c etcd-backupctl -n $none -a restore -d 'read a backup back'
complete -c etcd-backupctl -n $none -a verify -d 'say which backups are good'
complete -c etcd-backupctl -n $none -a prune -d 'delete old backups'
complete -c etcd-backupctl -n $none -a rotate-key -d 'wrap all keys by another master key'
complete -c etcd-backupctl -n $none -a generate-key -d 'make a master key in a new file'
complete -c etcd-backupctl -n $none -a key-fingerprint -d 'of the master key in a file'

set -l both '__fish_seen_subcommand_from restore verify'
complete -c etcd-backupctl -n $both -s t -l backup-timestamp -x -d 'the backup of this instant'
complete -c etcd-backupctl -n $both -s e -l etcdutl-path -r -F -d 'etcdutl, or etcdctl of 3.4'
complete -c etcd-backupctl -n $both -l allow-renamed -d 'accept renamed objects'
complete -c etcd-backupctl -n $both -l allow-plain -d 'accept one that is not encrypted'

set -l restore '__fish_seen_subcommand_from restore'
complete -c etcd-backupctl -n $restore -s d -l data-dir -x -a '(__fish_complete_directories)' -d 'the data directory to make'
complete -c etcd-backupctl -n $restore -s n -l name -x -d 'of the member'
complete -c etcd-backupctl -n $restore -s l -l initial-cluster -x -d 'NAME=URL of all members'
complete -c etcd-backupctl -n $restore -s a -l initial-advertise-peer-urls -x -d 'URLs of this member'
complete -c etcd-backupctl -n $restore -s o -l initial-cluster-token -x -d 'the same on all members'
complete -c etcd-backupctl -n $restore -l wal-dir -x -a '(__fish_complete_directories)' -d 'a directory for the log'
complete -c etcd-backupctl -n $restore -l bump-revision -x -d 'raise the revision by so much'
complete -c etcd-backupctl -n $restore -l mark-compacted -d 'mark the revisions before as compacted'
complete -c etcd-backupctl -n $restore -l owner -x -a '(__fish_complete_users)' -d 'whose the directory will be'
complete -c etcd-backupctl -n $restore -s u -l use-etcdutl -x -a 'true false' -d 'false: leave the snapshot in a file'
complete -c etcd-backupctl -n $restore -l output -r -F -d 'the file, or where it may lie while it is unpacked'
complete -c etcd-backupctl -n $restore -l skip-hash-check -d 'accept a snapshot without SHA-256'
complete -c etcd-backupctl -n '__fish_seen_subcommand_from restore prune rotate-key' -l dry-run -d 'show, and do nothing'

complete -c etcd-backupctl -n '__fish_seen_subcommand_from verify' -l all -d 'every backup of the prefix'
complete -c etcd-backupctl -n '__fish_seen_subcommand_from verify' -l drill -d 'also unpack it'

complete -c etcd-backupctl -n '__fish_seen_subcommand_from prune' -s a -l max-age -x -d 'older ones may go'
complete -c etcd-backupctl -n '__fish_seen_subcommand_from prune' -s i -l min-count -x -d 'so many stay'

set -l rotate '__fish_seen_subcommand_from rotate-key'
complete -c etcd-backupctl -n $rotate -s p -l previous-key -r -F -d 'the master key in use so far'
complete -c etcd-backupctl -n $rotate -l new-key -r -F -d 'the new one; default: the configured one'
complete -c etcd-backupctl -n $rotate -l purge-versions -d 'remove old versions of the keys after success'
complete -c etcd-backupctl -n '__fish_seen_subcommand_from generate-key key-fingerprint' -F
complete -c etcd-backupctl -n '__fish_seen_subcommand_from prune' -l allow-other-keys -d 'also beside backups of other keys'
