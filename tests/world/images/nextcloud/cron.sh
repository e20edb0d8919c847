#!/bin/bash
# Background jobs, as www-data, for ever. The real one is busybox crond, every five minutes.
set -u
trap 'exit 0' TERM INT
while :; do
    sleep "$GARDIEN_TEST_CRON_SECONDS" &
    wait $!
    setpriv --reuid=www-data --regid=www-data --clear-groups php -f /var/www/html/cron.php &
    wait $!
done
