#!/bin/sh
set -eu

if [ "${1#-}" != "$1" ]; then
    set -- redis-server "$@"
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
# The real image is built with protected mode off: within the stack's network no password is asked.
[ "$1" != redis-server ] || set -- "$@" --protected-mode no
exec "$@"
