#!/bin/bash
# A Docker Engine for the tests alone, beside any other on this machine.
#   dockerd.sh start   start it, wait until it answers (does nothing if it does already)
#   dockerd.sh revive  start it again after it was killed, with the containers it had
#   dockerd.sh stop    remove its containers, networks and volumes, then end it; images stay for the next run
#   dockerd.sh env     print DOCKER_HOST=..., for `export "$(dockerd.sh env)"`
# GARDIEN_TEST_CACHE says which, GARDIEN_TEST_NETWORKS where its containers' addresses lie, GARDIEN_TEST_DOCKERD what else
# it is told.
set -euo pipefail

cache=${GARDIEN_TEST_CACHE:-${HOME:-/root}/.cache/gardien-tests}
mkdir -p "$cache"
cache=$(realpath "$cache")
data=$cache/docker
# Short, since a socket's path is limited to 107 bytes; one for each cache folder.
run=/run/gardien-test-$(printf %s "$cache" | sha256sum | cut -c1-8)
networks=${GARDIEN_TEST_NETWORKS:-10.213.0.0/16}
pidfile=$run/docker.pid
log=$run/docker.log
export DOCKER_HOST=unix://$run/docker.sock

# The process of a pidfile, if it lives and is ours: its number may long belong to another one.
ours() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$run" && echo "$pid"
}

end() {
    local pid=$1
    kill "$pid" 2>/dev/null || return 0
    for _ in {1..200}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# Where another engine runs, the firewall drops what crosses a bridge: our own networks need one rule. $1: -I or -D.
firewall() {
    local rule=(FORWARD -s "$networks" -d "$networks" -m comment --comment "${run##*/}" -j ACCEPT)
    if iptables --wait --check "${rule[@]}" 2>/dev/null; then
        [ "$1" = -I ] || iptables --wait -D "${rule[@]}"
    elif [ "$1" = -I ]; then
        iptables --wait -I "${rule[@]}"
    fi
}

# A killed run leaves containers, and the engine would start them again.
sweep() {
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null 2>&1 || true
    docker network prune --force >/dev/null 2>&1 || true
    docker volume ls --quiet | xargs --no-run-if-empty docker volume rm --force >/dev/null 2>&1 || true
    docker image prune --force >/dev/null 2>&1 || true  # only those without a name
}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

start() {
    local pid keep=${1:-} more
    read -ra more <<<"${GARDIEN_TEST_DOCKERD:-}"
    mkdir -p "$run" "$data"
    exec 9>"$run/lock"
    flock 9
    if ours "$pidfile" >/dev/null && answers; then
        return
    fi
    ! pid=$(ours "$pidfile") || end "$pid"
    # What a killed engine leaves behind; its containers go on until the new one has looked at them.
    ! pid=$(ours "$run/exec/containerd/containerd.pid") || end "$pid"
    # Its number too: where nobody buries the dead, the engine would take a dead containerd for a living one.
    rm -f "$pidfile" "$run/docker.sock" "$run/exec/containerd/containerd.pid"
    # No default bridge and no chains of its own: two engines would share both. Containers reach each other over the
    # bridge of their network, and published ports go through the engine's own proxy. A name nobody here has fails at once.
    firewall -I
    setsid dockerd --host "$DOCKER_HOST" --data-root "$data" --exec-root "$run/exec" --pidfile "$pidfile" \
        --containerd-namespace gardien-test --containerd-plugins-namespace gardien-test-plugins \
        --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
        --default-address-pool base="$networks",size=27 --dns 127.0.0.1 --dns-opt timeout:1 --dns-opt attempts:1 \
        "${more[@]}" </dev/null >"$log" 2>&1 9>&- &
    pid=$!
    for _ in {1..300}; do
        if answers; then
            [ -n "$keep" ] || sweep
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "cannot start the Docker Engine of the tests:" >&2
    tail -n 20 "$log" >&2
    return 1
}

stop() {
    local pid
    if pid=$(ours "$pidfile"); then
        ! answers || sweep
        end "$pid"
    fi
    ! pid=$(ours "$run/exec/containerd/containerd.pid") || end "$pid"
    firewall -D
    rm -rf "$run"
}

case ${1:-} in
    start) start ;;
    revive) start keep ;;
    stop) stop ;;
    env) echo "DOCKER_HOST=$DOCKER_HOST" ;;
    *)
        sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
