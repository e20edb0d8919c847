#!/bin/sh
# Goes before the image's own /cron.sh: waits until Nextcloud is there, then sees to its apps.
set -u
# The first process of a container has no default action for a signal.
trap 'exit 143' TERM INT

as_www_data() {
    setpriv --reuid=33 --regid=33 --clear-groups "$@" &
    wait $!
}

until as_www_data php /var/www/html/occ status --exit-code >/dev/null 2>&1; do
    sleep 5 &
    wait $!
done
as_www_data sh /usr/local/share/gardien/apps.sh
exec /cron.sh
