#!/bin/bash
# Each option is a test; all of them must hold.
set -euo pipefail

credentials=/var/lib/mysql/.my-healthcheck.cnf
client=(mariadb)
[ ! -f "$credentials" ] || client+=("--defaults-extra-file=$credentials")

# Over TCP, so that the temporary server of a first start does not count. Whether the login is right does not matter.
connect() { ! "${client[@]}" --host=localhost --protocol=tcp --execute='SELECT 1' 2>&1 | grep -qF "Can't connect"; }

innodb_initialized() {
    [ "$("${client[@]}" --batch --skip-column-names --execute="SELECT 1 FROM information_schema.ENGINES
        WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ]
}

[ $# -gt 0 ] || { echo "At least one argument required" >&2; exit 1; }
for test in "$@"; do
    case $test in
        --connect | --innodb_initialized) ;;
        *) echo "healthcheck unknown option or test '${test#--}'" >&2; exit 1 ;;
    esac
    "${test#--}" || { echo "healthcheck ${test#--} failed" >&2; exit 1; }
done
