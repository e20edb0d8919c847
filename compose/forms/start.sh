#!/bin/bash
# What the image's own entrypoint leaves undone: the keys of encrypted answers and the uploads lie in folders that are
# saved, no new keys are made where there are answers, and no half-made database is served. Runs as www-data.
set -euo pipefail
umask 027
cd /var/www/html

keys=/data/keys
uploads=/data/upload
first_start=$keys/first-start # there until the very first start has come to its end

# The image's stop signal is WINCH. Heard when the step at hand is done: an upgrade of the tables is not cut off.
trap 'exit 143' TERM WINCH

say() { echo "forms: $*" >&2; }
die() { say "$*"; exit 1; }
database() { php /opt/forms/database.php "$1"; }
hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# In one move, and on the disk before the first answer can be: LimeSurvey itself would make them, but with a plain write.
# The third key is one that its newer versions add to the file when they miss it.
new_keys() {
    (
        umask 077
        cat >"$keys/security.php.part" <<PHP
<?php if (!defined('BASEPATH')) exit('No direct script access allowed');
// What answers and participants are encrypted with. Never change it: they could not be read any more.
\$config = array();
\$config['encryptionnonce'] = '$(hex 24)';
\$config['encryptionsecretboxkey'] = '$(hex 32)';
\$config['encryptionduplicateindexkey'] = '$(hex 32)';
return \$config;
PHP
    )
    sync "$keys/security.php.part"
    mv "$keys/security.php.part" "$keys/security.php"
}

until state=$(database state); do
    say "waiting for the database"
    sleep 2
done
if [ "$state" = unfinished ]; then
    [ -e "$first_start" ] || die "the database holds tables, but no account: was a dump loaded in part? Load it again."
    database clear
    state=empty
fi
if [ "$state" = empty ]; then
    touch "$first_start"
    [ -s "$keys/security.php" ] || new_keys
    sync "$keys"
fi
[ -s "$keys/security.php" ] \
    || die "keys/security.php is gone: the answers in the database cannot be read without it. Bring it back from a backup."
ln -sfn "$keys/security.php" application/config/security.php

# A mount would hide what the release itself keeps here (.htaccess files, folders that must exist): copy it, then link.
# Only once in a container's life, so that a new release brings its own.
if [ ! -L upload ]; then
    ! mountpoint --quiet upload || die "a folder is mounted at $PWD/upload: mount it at $uploads."
    cp -R --preserve=timestamps upload/. "$uploads/"
    rm -rf --preserve-root=all upload
    ln -s "$uploads" upload
fi

# Written anew from the settings; one that a power cut left half written would be taken for whole.
rm -f application/config/config.php

# Its steps, without its web server: that it would start whatever became of the installation, or of the tables' upgrade.
entrypoint.sh true
php application/commands/console.php updatedb >&2 \
    || die "the tables are not those of this version: see above. Nothing is served before they are."
[ "$(database state)" = used ] || die "the installation did not come to its end: it begins again."
if [ -e "$first_start" ]; then
    rm "$first_start"
    sync "$keys"
fi
exec "$@"
