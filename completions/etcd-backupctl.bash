# bash completion for etcd-backupctl(8). The options of a command are offered behind it, the common ones everywhere.
# shellcheck shell=bash

_etcd_backupctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= word i
    local common='-s --socket -c --config --json -q --quiet -h --help -V --version'
    local restore='-t --backup-timestamp -d --data-dir -e --etcdutl-path -n --name -l --initial-cluster
        -a --initial-advertise-peer-urls -o --initial-cluster-token --wal-dir --bump-revision --mark-compacted --owner
        --dry-run -u --use-etcdutl --output --allow-renamed --skip-hash-check --allow-plain --identity --data-key --allow-unvouched'
    local verify='-t --backup-timestamp --all --drill -e --etcdutl-path --allow-renamed --allow-plain --identity --allow-unvouched'
    local look='-t --backup-timestamp --file --rev --allow-renamed --allow-plain --skip-hash-check --identity --allow-unvouched'
    local ls="$look -l --long --prefixes" get="$look --output --history --binary --escaped"
    local diff="$look --to --to-rev --live" export="$look --etcdctl"
    local check='-P --policy' key_file=''
    local rotate_key='-p --previous-key --new-key --identity --allow-unvouched --dry-run --purge-versions'
    local prune='-a --max-age -i --min-count --dry-run --allow-other-keys'

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case ${COMP_WORDS[i - 1]} in
            -s | --socket | -c | --config) continue ;; # its value
        esac
        case $word in
            backup | list | status | check | restore | verify | ls | get | diff | export | prune | rotate-key | generate-key | \
                key-fingerprint)
                command=$word
                break
                ;;
        esac
    done

    # "--socket=PATH" are three words here.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $command:$previous in
        *:-s | *:--socket | *:-c | *:--config | restore:-e | verify:-e | *:--etcdutl-path | *:--output | *:--file | diff:--to | \
            rotate-key:-p | *:--previous-key | *:--new-key | *:--identity | *:--data-key)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        restore:-d | *:--data-dir | *:--wal-dir)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return
            ;;
        *:--owner)
            mapfile -t COMPREPLY < <(compgen -u -- "$current")
            return
            ;;
        *:--use-etcdutl)
            mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$current")
            return
            ;;
        restore:-[tnlao] | verify:-t | ls:-t | get:-t | diff:-t | export:-t | *:--rev | *:--to-rev | *:--prefixes | prune:-[ai] | *:--backup-timestamp | *:--name | *:--initial-* | *:--bump-revision | \
            *:--max-age | *:--min-count)
            return # something that only the user knows
            ;;
    esac

    case $command in
        '') mapfile -t COMPREPLY < <(compgen -W "$common backup list status check restore verify ls get diff export
            prune rotate-key generate-key key-fingerprint" -- "$current") ;;
        rotate-key) mapfile -t COMPREPLY < <(compgen -W "$common $rotate_key" -- "$current") ;;
        generate-key | key-fingerprint)
            [ "$command" = generate-key ] && key_file=--identity
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$common $key_file" -- "$current")
            else
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            ;;
        check | restore | verify | ls | get | diff | export | prune) mapfile -t COMPREPLY < <(compgen -W "$common ${!command}" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$common" -- "$current") ;;
    esac
}

complete -F _etcd_backupctl etcd-backupctl
