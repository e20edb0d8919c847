#!/bin/bash
# Makes the test images in the Docker Engine of DOCKER_HOST. Does nothing where they are there already.
#   build.sh                              what the shipped stacks need
#   build.sh nextcloud VERSION [BROKEN]   one more Nextcloud: 34.0.4 -> gardien-test/nextcloud:34.0.4-apache,
#                                         34.0.4 upgrade -> gardien-test/nextcloud:34.0.4-apache-upgrade
# Prints the names of the images.
set -euo pipefail
cd "$(dirname "$0")"

cache=${GARDIEN_TEST_CACHE:-${HOME:-/root}/.cache/gardien-tests}
mkdir -p "$cache"
exec 9>"$cache/images.lock"
flock 9

# fingerprint FOLDER WORD...: of all that goes into an image.
fingerprint() { { printf '%s\n' "$@"; find "$1" -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum | cut -c1-16; }

base() {
    local recipe tar
    recipe=$(fingerprint base)
    base=gardien-test/base:$recipe
    docker image inspect "$base" >/dev/null 2>&1 && return
    tar=$cache/base-$recipe.tar
    if [ ! -s "$tar" ]; then
        rm -f "$cache"/base-*.tar
        ./base/make.sh "$tar.part" >&2
        mv "$tar.part" "$tar"
    fi
    docker import "$tar" "$base" >/dev/null
}

# image FOLDER NAME [ARGUMENT=VALUE...]
image() {
    local folder=$1 name=gardien-test/$2 recipe
    shift 2
    [ -e "$folder/Dockerfile" ] || return 0
    base
    recipe=$(fingerprint "$folder" "$base" "$@")
    if [ "$(docker image inspect --format '{{index .Config.Labels "gardien.test.recipe"}}' "$name" 2>/dev/null)" != "$recipe" ]; then
        # The legacy builder needs no plugin. Its notices would only hide a real fault: shown on failure.
        DOCKER_BUILDKIT=0 docker build --network none --tag "$name" --label "gardien.test.recipe=$recipe" \
            --build-arg "BASE=$base" "${@/#/--build-arg=}" "$folder" >"$cache/build.log" 2>&1 \
            || { cat "$cache/build.log" >&2; exit 1; }
    fi
    echo "$name"
}

nextcloud() {
    local version=$1 broken=${2:-}
    case $broken in
        "" | upgrade | start | health) ;;
        *) echo "cannot build nextcloud $version: nothing known as '$broken' (upgrade, start, health)" >&2; exit 2 ;;
    esac
    image nextcloud "nextcloud:$version-apache${broken:+-$broken}" "NEXTCLOUD_VERSION=$version" "BROKEN=$broken"
}

case ${1:-all} in
    all)
        image mariadb mariadb:11.8.8
        image redis redis:7.4.11
        nextcloud 34.0.3
        image caddy caddy:2.11.4
        image cryptpad cryptpad:version-2026.2.2
        for part in web prosody jicofo jvb; do image jitsi "jitsi-$part:stable-11146-2" "PART=$part"; done
        image limesurvey limesurvey:6.17.15-260811-apache
        image collabora collabora:26.04.2.1.1
        ;;
    nextcloud)
        nextcloud "${2:?which version}" "${3:-}"
        ;;
    *)
        sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
