# fish completion for etcd-backupd(8).
complete -c etcd-backupd -f
complete -c etcd-backupd -s c -l config -r -F -d 'configuration'
complete -c etcd-backupd -l check-config -d 'check the configuration and the files it names, then leave'
complete -c etcd-backupd -l idle-exit -x -d 'leave when nobody asks for so long'
complete -c etcd-backupd -s h -l help -d 'show the options'
complete -c etcd-backupd -s V -l version -d 'show the version'
