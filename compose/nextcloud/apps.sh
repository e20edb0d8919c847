#!/bin/sh
# Brings the apps that a practice needs into Nextcloud, as www-data. `cron` does so at each of its starts, every backup's
# included: where no app store could be reached they come when it can. What is there is left as it is, switched off or not.
set -u
cd /var/www/html || exit 1

# One at a time, in whatever container: all of them mount this very file.
exec 9<"$0"
flock 9

bring() {
    php occ config:app:get "$1" installed_version >/dev/null 2>&1 || php occ app:install --no-interaction "$1"
}

missing=0
bring calendar || missing=1
bring contacts || missing=1

# Forms follows its setting when that has changed; whoever switches the app by hand in between is not overruled.
wanted=${NEXTCLOUD_FORMS:-no}
if [ "$(php occ config:app:get gardien forms 2>/dev/null || echo no)" != "$wanted" ]; then
    if [ "$wanted" = yes ]; then
        bring forms && php occ app:enable forms
    else
        php occ app:disable forms
    fi && php occ config:app:set gardien forms --value="$wanted" || missing=1
fi
exit "$missing"
