# shellcheck shell=sh disable=SC2154 # `dir` is the folder of the script that sources us
# Sourced by the scripts of this folder and by those that start servers with them: processes that cannot be left behind.
#
# Each server script has the same verbs:
#   SCRIPT run DIR [OPTIONS]      starts its servers and stays; DIR/ready appears when they serve. TERM stops all of them,
#                                 HUP starts again those that have died, on their old ports and data
#   SCRIPT start DIR [OPTIONS]    the same in the background: returns when they serve, and prints DIR/ready
#   SCRIPT restart DIR            HUP, and waits until they serve again
#   SCRIPT stop DIR               stops them and removes DIR
# A server dies with the process that started it (the kernel sees to that, PR_SET_PDEATHSIG), even by SIGKILL; whoever uses
# `run` makes that a chain by starting it with a death signal too, as server_start does.
# DIR/<server>.pid and DIR/<server>.log belong to one server; DIR/ready and DIR/state hold NAME=VALUE lines.

server_python=${PYTHON:-/usr/bin/python3}

# free_ports COUNT: that many distinct ports of 127.0.0.1 that the kernel lets us bind just now. They are taken from below the
# range of ports for outgoing connections, so that no connection can get in the way, now or at a restart.
free_ports() {
    "$server_python" -c '
import random, socket, sys
low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(10000, low) if low > 11000 else 0))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))' "$1"
}

# wait_until SECONDS COMMAND...: runs the command until it succeeds; fails when the time is over.
wait_until() {
    deadline=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt $deadline ] || return 1
        sleep 0.05
    done
}

# alive PIDFILE: whether that process runs; a zombie does not.
alive() {
    [ -s "$1" ] && grep -q '^State:.[^ZX]' "/proc/$(cat "$1")/status" 2>/dev/null
}

not_alive() { ! alive "$1"; }

spawned=

# spawn NAME COMMAND...: a server of ours in the background. Our caller is its parent, so it dies when the caller does.
spawn() {
    spawn_name=$1
    shift
    setpriv --pdeathsig KILL "$@" </dev/null >>"$dir/$spawn_name.log" 2>&1 &
    spawned="$spawned $!"
    echo $! >"$dir/$spawn_name.pid"
}

# kill_all: ends what `spawn` started. SIGKILL, since it also ends a stopped process, and the data are worthless. By number,
# since whoever ended us may have removed the folder already; a number that is not our child's any more is left alone.
kill_all() {
    for child in $spawned; do
        grep -q "^PPid:[[:space:]]$$\$" "/proc/$child/status" 2>/dev/null && kill -KILL "$child" || :
    done
    wait
}

# on_signals: what `run` does first, so that no signal comes too early.
on_signals() {
    again=
    trap 'kill_all; exit 1' TERM INT
    trap 'again=1' HUP
}

# hold FUNCTION: what `run` does once its servers serve. The function starts again what has died.
hold() {
    trap 'kill_all; exit 0' TERM INT
    while :; do
        # Something to wait for that never ends: `wait` is the one place where the shell notices a signal at once.
        setpriv --pdeathsig KILL sleep infinity &
        spawned="$spawned $!"
        [ -n "$again" ] || wait $! || :
        kill -KILL $! || :
        [ -n "$again" ] || continue
        again=
        "$1" || :
    done
}

# server_start SCRIPT DIR [OPTIONS]: `SCRIPT run` as a child of the caller, which it does not outlive.
server_start() {
    mkdir -p "$2"
    rm -f "$2/ready"
    server_script=$1
    server_dir=$2
    shift
    setpriv --pdeathsig TERM sh "$server_script" run "$@" </dev/null >"$server_dir/run.log" 2>&1 &
    echo $! >"$server_dir/run.pid"
    server_wait "$server_dir"
}

ready_or_dead() { [ -e "$1/ready" ] || ! alive "$1/run.pid"; }

server_wait() {
    wait_until 120 ready_or_dead "$1"
    [ -e "$1/ready" ] && return
    cat "$1/run.log" >&2
    echo "servers: nothing serves in $1" >&2
    return 1
}

# server_stop DIR: ends it and all of its servers; DIR stays.
server_stop() {
    alive "$1/run.pid" || return 0
    kill -TERM "$(cat "$1/run.pid")"
    wait_until 10 not_alive "$1/run.pid" || kill -KILL "$(cat "$1/run.pid")"
}

# verbs SCRIPT VERB DIR [OPTIONS]: the verbs that are the same for all; `run` is the script's own.
verbs() {
    verbs_script=$1
    verb=$2
    shift 2
    case $verb in
        start)
            mkdir -p "$1"
            rm -f "$1/ready"
            setsid sh "$verbs_script" run "$@" </dev/null >"$1/run.log" 2>&1 &
            echo $! >"$1/run.pid"
            server_wait "$1" && cat "$1/ready"
            ;;
        restart)
            rm -f "$1/ready"
            kill -HUP "$(cat "$1/run.pid")"
            server_wait "$1"
            ;;
        stop)
            server_stop "$1"
            rm -rf "$1"
            ;;
        *)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$verbs_script" >&2
            return 2
            ;;
    esac
}
