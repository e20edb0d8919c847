#!/bin/bash
# The steps of the real one, in its order, and as easy-going: whatever becomes of them, the web server is started.

refuse() { echo "Error: $*" >&2; exit 1; }

[ -n "${DB_PASSWORD:-}" ] || refuse "Missing DB_PASSWORD or DB_PASSWORD_FILE"
[ -n "${ADMIN_PASSWORD:-}" ] || refuse "Missing ADMIN_PASSWORD or ADMIN_PASSWORD_FILE"

DB_HOST=${DB_HOST:-mysql} DB_PORT=${DB_PORT:-3306}
until (exec 3<>"/dev/tcp/$DB_HOST/$DB_PORT") 2>/dev/null; do
    echo "Info: Waiting for database connection..."
    sleep "$GARDIEN_TEST_RETRY_SECONDS"
done

# As in the real image a value is put between quotes as it stands: one with a quote of its own breaks the file.
if [ -f application/config/config.php ]; then
    echo "Info: config.php already provisioned"
else
    echo "Info: Generating config.php"
    cat >application/config/config.php <<PHP
<?php if (!defined('BASEPATH')) exit('No direct script access allowed');
return [
    'components' => ['db' => [
        'connectionString' => 'mysql:host=$DB_HOST;port=$DB_PORT;dbname=${DB_NAME:-limesurvey};',
        'username' => '${DB_USERNAME:-limesurvey}',
        'password' => '$DB_PASSWORD',
        'tablePrefix' => '${DB_TABLE_PREFIX:-lime_}',
    ]],
    'config' => ['publicurl' => '${PUBLIC_URL:-}', 'mysqlEngine' => '${DB_MYSQL_ENGINE:-MyISAM}'],
];
PHP
fi

if [ -f application/config/security.php ]; then
    echo "Info: security.php already provisioned"
elif [ -n "${ENCRYPT_SECRET_BOX_KEY:-}" ]; then
    cat >application/config/security.php <<PHP
<?php if (!defined('BASEPATH')) exit('No direct script access allowed');
return ['encryptionnonce' => '${ENCRYPT_NONCE:-}', 'encryptionsecretboxkey' => '$ENCRYPT_SECRET_BOX_KEY'];
PHP
else
    echo "Warning: A security.php config will be created by the application" >&2
    echo "Warning: THIS FILE NEEDS TO BE PERSISTENT" >&2
fi

if php application/commands/console.php updatedb; then
    echo "Info: Database already provisioned"
else
    echo "Running console.php install"
    php application/commands/console.php install "${ADMIN_USER:-admin}" "$ADMIN_PASSWORD" "${ADMIN_NAME:-admin}" \
        "${ADMIN_EMAIL:-foobar@example.com}"
fi

exec "$@"
