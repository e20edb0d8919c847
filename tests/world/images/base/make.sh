#!/bin/bash
# Makes the one root file system under all images: make.sh FILE.tar
# Debian bookworm whatever the machine runs, so that the programs inside stay the same.
# shellcheck disable=SC2016  # what stands in single quotes is expanded by others
set -euo pipefail
cd "$(dirname "$0")"

suite=bookworm
# Of a newer Debian Caddy alone: bookworm's closes every websocket when its configuration changes.
packages=apache2-bin,libapache2-mod-php,php-cli,php-mysql,mariadb-server-core,mariadb-client,redis-server,rsync
packages+=,caddy/forky,prosody,nginx-light,nodejs,curl

# The machine's own Debian mirror; only the suite is ours.
mirror=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' 'Component: main' 'Created-By: Packages' | grep -v security | head -n 1)
[ -n "$mirror" ] || { echo "cannot make the base image: this machine's apt knows no Debian mirror (run apt-get update)" >&2; exit 1; }

exec mmdebstrap --quiet --format=tar --variant=minbase \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='APT::Default-Release "bookworm"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --include="$packages" \
    --essential-hook='echo mysql:x:999: >>"$1/etc/group"' \
    --essential-hook='echo mysql:x:999:999::/nonexistent:/usr/sbin/nologin >>"$1/etc/passwd"' \
    --customize-hook='upload setup.sh /tmp/setup.sh' \
    --customize-hook='chroot "$1" sh /tmp/setup.sh' \
    --customize-hook='rm "$1/tmp/setup.sh"' \
    "$suite" "$1" "deb $mirror $suite main" "deb [check-valid-until=no] $mirror forky main"
