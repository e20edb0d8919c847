#!/bin/bash
# All checks and all tests, on Debian 12 or 13, as root, from a fresh clone:
#   ./test.sh                            everything
#   ./test.sh --full                     with the full matrices, which take long
#   ./test.sh tests/test_rules.py -k due what follows goes to pytest
# Installs what is missing and starts a Docker Engine of its own, which ends with the run. What took time (environment,
# images) is kept in GARDIEN_TEST_CACHE, by default ~/.cache/gardien-tests.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

export HOME=${HOME:-/root}
export GARDIEN_TEST_CACHE=${GARDIEN_TEST_CACHE:-$HOME/.cache/gardien-tests}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore DEBIAN_FRONTEND=noninteractive
cache=$GARDIEN_TEST_CACHE
world=tests/world

for argument in "$@"; do
    shift
    if [ "$argument" = --full ]; then
        export GARDIEN_FULL=1
    else
        set -- "$@" "$argument"
    fi
done

say() { printf '\n== %s\n' "$*"; }
die() { echo "test.sh: $*" >&2; exit 1; }

# quiet COMMAND...: says nothing unless it fails.
quiet() { "$@" >"$cache/setup.log" 2>&1 || { cat "$cache/setup.log" >&2; die "failed: $*"; }; }

packages() {
    local wanted=(attr btrfs-progs busybox-static chromium debian-archive-keyring docker-registry faketime iptables mmdebstrap
        openssh-server openssh-client openssl python3-venv shellcheck sqlite3 systemd zbar-tools) missing=() package
    for package in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "apt-get install ${missing[*]}"
    apt-get update >/dev/null 2>&1 || true  # a broken foreign source is no reason to stop; what is missing shows below
    quiet apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

# Without systemd, packages start what they bring (a system sshd, a system Docker) for good: not for a test run.
without_starting_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -d /run/systemd/system ] || [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    # In a shell of its own: its end, good or bad, takes the policy away.
    (trap 'rm -f "$policy"' EXIT; "$@")
}

# The tools gardien itself needs come from its own installer; restic is put aside, away from a gardien on this machine.
tools() {
    env -u DOCKER_HOST GARDIEN_PREFIX="$cache/tools" ./install.sh --tools >"$cache/tools.log" 2>&1 \
        || { cat "$cache/tools.log" >&2; die "install.sh --tools failed"; }
}

# restic's own server, for tests alone: the program, without the service that its package brings.
rest_server() {
    local site keys=/usr/share/keyrings/debian-archive-keyring.gpg room
    [ ! -x "$cache/tools/bin/restic-rest-server" ] || return 0
    say "restic-rest-server, from Debian trixie"
    # shellcheck disable=SC2016  # apt fills these in
    site=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(SITE)' 'Created-By: Packages' \
        | awk '$1 == "Debian" && $2 == "main" && $3 ~ /^https?:/ && !found {print $3; found = 1}')
    [ -n "$site" ] || die "no Debian package source is set up here"
    room=$(mktemp -d)
    mkdir -p "$room/lists/partial" "$room/cache/archives/partial"
    chmod -R a+rX "$room"  # apt fetches as a user of its own
    echo "deb [signed-by=$keys] $site trixie main" >"$room/sources.list"
    local private=(-o "Dir::Etc::SourceList=$room/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null
        -o Dir::Etc::PreferencesParts=- -o "Dir::State::Lists=$room/lists" -o "Dir::Cache=$room/cache"
        -o Acquire::Languages=none -o Acquire::PDiffs=false)
    quiet apt-get "${private[@]}" -o APT::Update::Error-Mode=any update
    quiet env -C "$room" apt-get "${private[@]}" download restic-rest-server
    quiet dpkg-deb -x "$room"/restic-rest-server_*.deb "$room/tree"
    quiet install -D -m 0755 "$room/tree/usr/bin/restic-rest-server" "$cache/tools/bin/restic-rest-server"
    rm -rf "$room"
}

environment() {
    local python=/usr/bin/python3 key
    key=$({ pwd; "$python" --version; cat pyproject.toml; } | sha256sum | cut -c1-16)
    venv=$cache/venv-$key
    if [ ! -e "$venv/ready" ]; then
        say "Python packages"
        rm -rf "$venv"
        "$python" -m venv "$venv"
        "$venv/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >"$venv/build.txt"
        quiet "$venv/bin/pip" install -r "$venv/build.txt" editables
        quiet "$venv/bin/pip" install -e '.[test]'
        touch "$venv/ready"
    fi
    touch "$venv"
    find "$cache" -maxdepth 1 -name 'venv-*' -mtime +14 -exec rm -rf {} +
    # Each time, without fetching anything: it compiles the translations and brings the page's scripts into this checkout.
    quiet "$venv/bin/pip" install --no-deps --no-build-isolation -e .
}

# All of them, whatever the first one says. Fails if one did.
checks() {
    local scripts unit failed=0
    say "ruff, mypy, shellcheck, systemd-analyze"
    ruff check --cache-dir "$cache/ruff" --quiet . || failed=1
    ruff format --cache-dir "$cache/ruff" --quiet --check . || failed=1
    mypy --strict --cache-dir "$cache/mypy" daemon tests || failed=1
    mapfile -t scripts < <(find . -name .git -prune -o -type f \( -name '*.sh' -o -path ./.ci/run -o -name apache2-foreground \) -print)
    shellcheck "${scripts[@]}" || failed=1
    mkdir -p "$cache/units"
    for unit in systemd/*.service systemd/*.timer systemd/*.socket systemd/*.path; do
        [ -e "$unit" ] || continue
        # The program need not be installed for the unit to be right.
        sed 's#/opt/gardien/\(venv/bin/gardien\|updating/bin/python\)#/bin/true#' "$unit" >"$cache/units/${unit##*/}"
        systemd-analyze verify --man=no --recursive-errors=no "$cache/units/${unit##*/}" || failed=1
    done
    return "$failed"
}

# The processes this run started and nobody ended (a daemon of a killed test), known by their environment.
strays() {
    local process
    for process in /proc/[0-9]*; do
        case ${process#/proc/} in "$$" | "$BASHPID") continue ;; esac
        ! grep -qzxF "GARDIEN_TEST_RUN=$GARDIEN_TEST_RUN" "$process/environ" 2>/dev/null || echo "${process#/proc/}"
    done
}

clean_up() {
    local left
    trap '' INT TERM
    [ -z "${engine:-}" ] || wait "$engine" 2>/dev/null || true
    "$world/dockerd.sh" stop
    left=$(strays)
    # shellcheck disable=SC2086  # several numbers
    [ -z "$left" ] || kill -KILL $left 2>/dev/null || true
}

[ "$(id -u)" = 0 ] || die "needs root: it starts a Docker Engine, an SSH server and containers with other owners (sudo ./test.sh)"
command -v apt-get >/dev/null || die "needs Debian 12 or 13"
mkdir -p "$cache"
exec 8>"$cache/test.lock"
flock --nonblock 8 || { say "another run uses $cache: waiting for its end"; flock 8; }

without_starting_services packages
without_starting_services tools
rest_server
command -v dockerd >/dev/null || die "install.sh --tools brought no dockerd"

export GARDIEN_TEST_RUN=$$-$RANDOM
trap clean_up EXIT
trap '[ -z "${tests:-}" ] || { kill -INT "$tests"; wait "$tests"; }; exit 143' TERM
# While Python gets ready, the engine starts and the images are made.
{ "$world/dockerd.sh" start && eval "export $("$world/dockerd.sh" env)" && "$world/images/build.sh"; } >"$cache/engine.log" 2>&1 8>&- &
engine=$!

environment
export PATH=$venv/bin:$cache/tools/bin:$PATH GARDIEN_TEST_RESTIC=$cache/tools/bin/restic
checks || checks_failed=1
wait "$engine" || { cat "$cache/engine.log" >&2; die "cannot prepare the Docker Engine and the images"; }
export "$("$world/dockerd.sh" env)"

# run ARGUMENT...: pytest; its exit code.
run() {
    local code=0
    if [ -t 0 ]; then
        pytest "$@" 8>&- || code=$?
    else
        # In the background: only so does bash hear at once that it should stop. pytest then ends as on Ctrl-C.
        env --default-signal=INT pytest "$@" </dev/null 8>&- &
        tests=$!
        wait "$tests" || code=$?
        tests=
    fi
    return "$code"
}

# settle CODE ARGUMENT...: what a run of pytest means. That there is nothing to do in one of the two is no fault. What
# fails in the first does not hide what fails in the second.
settle() {
    local code=$1
    shift
    [ "$code" != 1 ] || ! again "$@" || code=0
    case $code in
        0) ran=1 ;;
        5) ;;
        1) ran=1 failed=1 ;;
        *) exit "$code" ;;
    esac
}

# again ARGUMENT...: five tests at most that failed are tried once more, with nothing beside them: hundreds of containers
# come and go on whatever machine this is. It succeeds if all pass now; they are named at the end all the same.
again() {
    local record=.pytest_cache/v/cache/lastfailed names
    names=$(python3 -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' "$record") || return 1
    [ "$(wc -l <<<"$names")" -le 5 ] || return 1
    say "once more, alone"
    run -n 0 --last-failed --last-failed-no-failures none "$@" || return 1
    wavering+="$names"$'\n'
}

say "pytest"
# More workers than cores: half of the time goes by while containers come up and time runs out on purpose.
rm -rf .pytest_cache
run -n "$(($(nproc) + 1))" -m 'not alone' "$@" && code=0 || code=$?
settle "$code" -m 'not alone' "$@"
say "pytest: what disturbs the others"
run -m alone "$@" && code=0 || code=$?
settle "$code" -m alone "$@"
[ -z "${wavering:-}" ] || say "passed only when tried once more: find out why"$'\n'"$wavering"
[ -n "${ran:-}" ] || die "no such test"
[ -z "${failed:-}" ] || exit 1
# Not before: a line too long must not hide whether the tests pass.
[ -z "${checks_failed:-}" ] || die "the tests pass, but a check above failed"
