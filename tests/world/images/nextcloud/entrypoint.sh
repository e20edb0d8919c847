#!/bin/bash
# Copy, install or upgrade what lies in /var/www/html by the rules of version.php, then start what was asked for.
set -euo pipefail

html=/var/www/html
src=/usr/src/nextcloud

# Process 1 has no default action for a signal: obey a stop at once, also while a child works.
trap 'exit 143' TERM INT
patiently() {
    "$@" &
    wait $!
}
occ() { patiently setpriv --reuid=www-data --regid=www-data --clear-groups php "$html/occ" "$@"; }
copy() { patiently rsync -rlDog --chown www-data:www-data "$@" "$src/" "$html/"; }
empty() { [ -z "$(ls -A "$1" 2>/dev/null)" ]; }
# shellcheck disable=SC2016
version() { php -r 'require $argv[1]; echo implode(".", $OC_Version);' "$1"; }
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }
hooks() {
    local script
    for script in "/docker-entrypoint-hooks.d/$1"/*.sh; do
        [ ! -x "$script" ] || patiently setpriv --reuid=www-data --regid=www-data --clear-groups "$script"
    done
}

install_new() {
    echo "New nextcloud instance"
    if [ -z "${NEXTCLOUD_ADMIN_USER:-}" ] || [ -z "${NEXTCLOUD_ADMIN_PASSWORD:-}" ] || [ -z "${MYSQL_DATABASE:-}" ] \
        || [ -z "${MYSQL_USER:-}" ] || [ -z "${MYSQL_PASSWORD:-}" ] || [ -z "${MYSQL_HOST:-}" ]; then
        echo "Next step: Access your instance to finish the web-based installation!"
        return
    fi
    hooks pre-installation
    echo "Starting nextcloud installation"
    local try=0
    until [ "$try" -gt 10 ] || occ maintenance:install -n \
        --admin-user "$NEXTCLOUD_ADMIN_USER" --admin-pass "$NEXTCLOUD_ADMIN_PASSWORD" \
        --database mysql --database-name "$MYSQL_DATABASE" --database-user "$MYSQL_USER" \
        --database-pass "$MYSQL_PASSWORD" --database-host "$MYSQL_HOST"; do
        echo "Retrying install..."
        try=$((try + 1))
        patiently sleep "$GARDIEN_TEST_RETRY_SECONDS"
    done
    if [ "$try" -gt 10 ]; then
        echo "Installing of nextcloud failed!"
        exit 1
    fi
    local index=1 domain
    for domain in ${NEXTCLOUD_TRUSTED_DOMAINS:-}; do
        occ config:system:set trusted_domains "$index" "--value=$domain"
        index=$((index + 1))
    done
    hooks post-installation
}

if [[ ${1:-} == apache* ]] && [ -n "${APACHE_DISABLE_REWRITE_IP+x}" ]; then
    rm -f /etc/apache2/conf-enabled/remoteip.conf
fi

if [[ ${1:-} == apache* ]] || [ "${NEXTCLOUD_UPDATE:-0}" = 1 ]; then
    exec 9>"$html/nextcloud-init-sync.lock"
    flock -n 9 || { echo "Another process is initializing Nextcloud. Waiting..."; patiently flock 9; }

    installed=0.0.0.0
    [ ! -f "$html/version.php" ] || installed=$(version "$html/version.php")
    image=$(version "$src/version.php")
    if newer "$installed" "$image"; then
        echo "Can't start Nextcloud because the version of the data ($installed) is higher than the docker image version ($image) and downgrading is not supported."
        exit 1
    fi
    if newer "$image" "$installed"; then
        echo "Initializing nextcloud $image ..."
        if [ "$installed" != 0.0.0.0 ]; then
            if [ "${image%%.*}" -gt $((${installed%%.*} + 1)) ]; then
                echo "Can't start Nextcloud because upgrading from $installed to $image is not supported."
                exit 1
            fi
            echo "Upgrading nextcloud from $installed ..."
        fi
        copy --delete --exclude-from=/upgrade.exclude
        for folder in config data custom_apps themes; do
            if [ ! -d "$html/$folder" ] || empty "$html/$folder"; then
                copy --include "/$folder/" --exclude '/*'
            fi
        done
        # Before the upgrade, as in the real image: when that fails, the next start sees equal versions and goes on.
        copy --include /version.php --exclude '/*'
        if [ "$installed" = 0.0.0.0 ]; then
            install_new
        else
            hooks pre-upgrade
            occ upgrade
            hooks post-upgrade
        fi
        echo "Initializing finished"
    fi
    exec 9>&-

    for file in "$src"/config/*.php; do
        cmp -s "$file" "$html/config/${file##*/}" \
            || echo "Warning: $html/config/${file##*/} differs from the latest version of this image at $file"
    done
    hooks before-starting
    if [ "$GARDIEN_TEST_BROKEN" = start ]; then
        echo "This release is broken: it never starts."
        exit 1
    fi
fi

exec "$@"
