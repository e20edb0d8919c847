#!/bin/bash
# First start: accounts and the database from the environment, by a temporary server on a socket only; then the server itself.
set -euo pipefail

data=/var/lib/mysql
template=/usr/share/mysql-template
socket=/run/mysqld/mysqld.sock

say() { printf '%(%F %T)T [Entrypoint] %s\n' -1 "$*"; }
die() { say "ERROR $*" >&2; exit 1; }
# A text as SQL string literal.
sql() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }

case ${1:-} in
    -*) set -- mariadbd "$@" ;;
    mariadbd) ;;
    *) exec "$@" ;;
esac

if [ "$(id -u)" = 0 ]; then
    install -d -o mysql -g mysql /run/mysqld
    find "$data" ! -user mysql -exec chown mysql:mysql {} +
    exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
fi

# Process 1 has no default action for a signal: without this, a stop in the middle of an init takes the full grace period.
trap 'exit 143' TERM INT

temporary_server() {
    "$@" --skip-networking --loose-innodb-buffer-pool-load-at-startup=0 &
    server=$!
    for _ in {1..600}; do
        mariadb-admin --socket="$socket" --user=nobody ping >/dev/null 2>&1 && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    die "Unable to start server."
}

end_temporary_server() {
    kill "$server"
    wait "$server"
}

healthcheck_accounts() {
    local password host
    password=$(tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 || true)
    for host in 127.0.0.1 ::1 localhost; do
        echo "CREATE USER IF NOT EXISTS healthcheck@'$host'; ALTER USER healthcheck@'$host' IDENTIFIED BY '$password';"
        echo "GRANT USAGE ON *.* TO healthcheck@'$host';"
    done
    (umask 077; printf '[mariadb-client]\nuser=healthcheck\npassword=%s\nprotocol=tcp\n' "$password" >"$data/.my-healthcheck.cnf")
}

if [ ! -d "$data/mysql" ]; then
    [ -n "${MARIADB_ROOT_PASSWORD:-}" ] || die "Database is uninitialized and password option is not specified"
    say "Initializing database files"
    cp -R --preserve=mode "$template/." "$data/"
    say "Starting temporary server"
    temporary_server "$@"
    {
        echo "SET @@SESSION.SQL_LOG_BIN=0;"
        # The template carries the name of the machine it was made on, and accounts without a name.
        echo "DELETE FROM mysql.global_priv WHERE User = '' OR Host <> 'localhost';"
        echo "DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost'; FLUSH PRIVILEGES;"
        if [ -n "${MARIADB_DATABASE:-}" ]; then
            echo "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;"
        fi
        if [ -n "${MARIADB_USER:-}" ] && [ -n "${MARIADB_PASSWORD:-}" ]; then
            echo "CREATE USER $(sql "$MARIADB_USER")@'%' IDENTIFIED BY $(sql "$MARIADB_PASSWORD");"
            if [ -n "${MARIADB_DATABASE:-}" ]; then
                echo "GRANT ALL ON \`${MARIADB_DATABASE//_/\\_}\`.* TO $(sql "$MARIADB_USER")@'%';"
            fi
        fi
        healthcheck_accounts
        echo "CREATE USER root@'%' IDENTIFIED BY $(sql "$MARIADB_ROOT_PASSWORD"); GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "SET PASSWORD FOR root@'localhost' = PASSWORD($(sql "$MARIADB_ROOT_PASSWORD"));"
    } | mariadb --socket="$socket" --user=root --binary-mode
    end_temporary_server
    say "MariaDB init process done. Ready for start up."
elif [ -n "${MARIADB_AUTO_UPGRADE:-}" ]; then
    before=$(cut -d. -f1,2 "$data/mysql_upgrade_info" 2>/dev/null || true)
    now=$(mariadbd --version | sed -E 's/.*Ver ([0-9]+\.[0-9]+).*/\1/')
    if [ "$before" != "$now" ] || [ ! -f "$data/.my-healthcheck.cnf" ]; then
        say "Upgrading from ${before:-an unknown version} to $now"
        temporary_server "$@"
        export MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-}
        [ "$before" = "$now" ] || mariadb-upgrade --socket="$socket" --user=root --upgrade-system-tables
        healthcheck_accounts | mariadb --socket="$socket" --user=root
        unset MYSQL_PWD
        end_temporary_server
    fi
fi

exec "$@"
