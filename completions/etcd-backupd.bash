# bash completion for etcd-backupd(8).
# shellcheck shell=bash

_etcd_backupd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}

    # "--config=FILE" are three words here.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $previous in
        -c | --config)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --idle-exit) ;;
        *) mapfile -t COMPREPLY < <(compgen -W '-c --config --check-config --idle-exit -h --help -V --version' -- "$current") ;;
    esac
}

complete -F _etcd_backupd etcd-backupd
