<?php
declare(strict_types=1);

/** The commands of `occ`. Each takes the cloud, its plain arguments and its options, and gives the exit code. */

function say(string $line): void
{
    echo $line, "\n";
}

/** @param list<string> $argv */
function main(array $argv): int
{
    $config = Instance::ROOT . '/config/config.php';
    if (posix_getuid() !== fileowner(is_file($config) ? $config : dirname($config))) {
        say("Console has to be executed with the user that owns the file config/config.php\nCurrent user id: " . posix_getuid());
        return 1;
    }
    $takesValue = [
        'admin-user', 'admin-pass', 'database', 'database-name', 'database-user', 'database-pass', 'database-host', 'value', 'type',
        'wopi-url', 'callback-url',
    ];
    [$arguments, $options] = [[], []];
    for ($i = 0; $i < count($argv); $i++) {
        if (preg_match('/^--([^=]+)(?:=(.*))?$/s', $argv[$i], $found)) {
            $options[$found[1]] = $found[2] ?? (in_array($found[1], $takesValue) ? $argv[++$i] ?? '' : true);
        } elseif (preg_match('/^-([a-z])$/', $argv[$i], $found)) {
            $options[$found[1]] = true;
        } else {
            $arguments[] = $argv[$i];
        }
    }
    $name = array_shift($arguments) ?? 'list';
    $cloud = new Instance();
    $commands = commands($cloud);
    if ($name === 'list') {
        array_map(say(...), array_keys($commands));
        return 0;
    }
    if (!isset($commands[$name])) {
        say("Command \"$name\" is not defined.");
        return 1;
    }
    if ($cloud->maintenance()) {
        say('Nextcloud is in maintenance mode, no apps are loaded.');
    } elseif ($cloud->needsUpgrade()) {
        say('Nextcloud or one of the apps require upgrade - only a limited number of commands are available');
    }
    try {
        if ($name !== 'status') {
            $cloud->loadApps();
        }
        return $commands[$name]($cloud, $arguments, $options);
    } catch (Throwable $fault) {
        say('An unhandled exception has been thrown:' . "\n" . $fault->getMessage());
        return 1;
    }
}

/** @return array<string, callable(Instance, list<string>, array<string, string|true>): int> those there are at this moment */
function commands(Instance $cloud): array
{
    $always = [
        'status' => status(...),
        'config:system:set' => config_set(...),
        'config:system:get' => config_get(...),
        'config:system:delete' => function (Instance $cloud, array $arguments): int {
            $cloud->set([$arguments[0] ?? '' => null]);
            return 0;
        },
    ];
    if (!$cloud->installed()) {
        return $always + ['maintenance:install' => install(...)];
    }
    $core = $always + [
        'maintenance:mode' => maintenance_mode(...),
        'maintenance:data-fingerprint' => function (Instance $cloud): int {
            $cloud->set(['data-fingerprint' => md5(random_bytes(16))]);
            return 0;
        },
        'maintenance:repair' => told('Repair steps done'),
        'maintenance:update:htaccess' => told('.htaccess has been updated'),
        'upgrade' => upgrade(...),
        'background:cron' => function (Instance $cloud): int {
            $cloud->setAppValue('core', 'backgroundjobs_mode', 'cron');
            say("Set mode for background jobs to 'cron'");
            return 0;
        },
        'db:add-missing-indices' => function (Instance $cloud): int {
            $cloud->query('ALTER TABLE oc_filecache ADD INDEX IF NOT EXISTS fs_mtime (mtime)');
            say('Done.');
            return 0;
        },
        'db:add-missing-columns' => told('Done.'),
        'db:add-missing-primary-keys' => told('Done.'),
        'app:list' => app_list(...),
        'app:update' => told('All apps are up-to-date or no updates could be found'),
        'app:install' => app_install(...),
        'app:enable' => app_enable(...),
        'app:disable' => app_disable(...),
        'config:app:set' => config_app_set(...),
        'config:app:get' => config_app_get(...),
        'config:app:delete' => function (Instance $cloud, array $arguments): int {
            $cloud->query('DELETE FROM oc_appconfig WHERE appid = ? AND configkey = ?', [$arguments[0] ?? '', $arguments[1] ?? '']);
            return 0;
        },
        'security:certificates:import' => certificate_import(...),
        'security:bruteforce:attempts' => bruteforce_attempts(...),
    ];
    if ($cloud->maintenance() || $cloud->needsUpgrade()) {
        return $core;  // the commands of apps do not exist then
    }
    if ($cloud->enabled('richdocuments')) {
        require_once __DIR__ . '/office.php';
        $core += ['richdocuments:activate-config' => activate_config(...)];
    }
    return $core + ['files:scan' => files_scan(...), 'files:scan-app-data' => told('Done.'), 'user:list' => function (Instance $cloud): int {
        foreach ($cloud->query('SELECT uid, displayname FROM oc_users ORDER BY uid') as $row) {
            say("  - {$row['uid']}: {$row['displayname']}");
        }
        return 0;
    }];
}

function told(string $words): callable
{
    return function () use ($words): int {
        say($words);
        return 0;
    };
}

function status(Instance $cloud, array $arguments, array $options): int
{
    try {
        $cloud->installed() && $cloud->query('SELECT 1');
        $database = true;
    } catch (PDOException) {
        $database = false;
    }
    if (isset($options['e']) || isset($options['exit-code'])) {
        return match (true) {
            !$database => 3,
            $cloud->needsUpgrade() => 2,
            $cloud->maintenance() => 1,
            default => 0,
        };
    }
    if (($options['output'] ?? '') === 'json') {
        say(json_encode($cloud->status()));
    } else {
        foreach ($cloud->status() as $key => $value) {
            say("  - $key: " . (is_bool($value) ? var_export($value, true) : $value));
        }
    }
    return 0;
}

function maintenance_mode(Instance $cloud, array $arguments, array $options): int
{
    if (isset($options['on'], $options['off']) || (!isset($options['on']) && !isset($options['off']))) {
        say('Maintenance mode is currently ' . ($cloud->maintenance() ? 'enabled' : 'disabled'));
        return 0;
    }
    $word = isset($options['on']) ? 'enabled' : 'disabled';
    if ($cloud->maintenance() === isset($options['on'])) {
        say("Maintenance mode already $word");
    } else {
        $cloud->set(['maintenance' => isset($options['on'])]);
        say("Maintenance mode $word");
    }
    return 0;
}

function config_set(Instance $cloud, array $arguments, array $options): int
{
    if (!$arguments || !isset($options['value'])) {
        say('Not enough arguments');
        return 1;
    }
    $value = match ($options['type'] ?? 'string') {
        'boolean', 'bool' => $options['value'] === 'true',
        'integer', 'int' => (int)$options['value'],
        default => $options['value'],
    };
    foreach (array_reverse(array_slice($arguments, 1)) as $key) {
        $value = [$key => $value];
    }
    $before = $cloud->get($arguments[0]);
    $cloud->set([$arguments[0] => is_array($value) && is_array($before) ? array_replace_recursive($before, $value) : $value]);
    say('System config value ' . implode(' => ', $arguments) . " set to {$options['value']}");
    return 0;
}

function config_get(Instance $cloud, array $arguments): int
{
    $value = $cloud->get(array_shift($arguments) ?? '');
    foreach ($arguments as $key) {
        $value = $value[$key] ?? null;
    }
    if ($value === null) {
        return 1;
    }
    foreach (is_array($value) ? $value : [$value] as $line) {
        say(is_bool($line) ? var_export($line, true) : (string)$line);
    }
    return 0;
}

function config_app_set(Instance $cloud, array $arguments, array $options): int
{
    if (count($arguments) < 2 || !is_string($options['value'] ?? null)) {
        say('Not enough arguments');
        return 1;
    }
    $cloud->setAppValue($arguments[0], $arguments[1], $options['value']);
    say("Config value '{$arguments[1]}' for app '{$arguments[0]}' is now set to '{$options['value']}'");
    return 0;
}

function config_app_get(Instance $cloud, array $arguments): int
{
    $value = $cloud->appValue($arguments[0] ?? '', $arguments[1] ?? '');
    if ($value !== null) {
        say($value);
    }
    return $value === null ? 1 : 0;
}

/** Where an app lies; null: nowhere. */
function app_folder(Instance $cloud, string $app): ?string
{
    $folder = Instance::ROOT . "/custom_apps/$app";
    return in_array($app, $cloud->shipped(), true) || is_dir($folder) ? $folder : null;
}

/** What the real one fetches from its store on the internet lies in the image; without the internet it cannot be had. */
function app_fetched(Instance $cloud, string $app): bool
{
    $source = "/usr/src/store/$app";
    if (!$cloud->get('has_internet_connection', true) || !is_file("$source/appinfo/info.xml")) {
        return false;
    }
    $folder = Instance::ROOT . "/custom_apps/$app";
    mkdir("$folder/appinfo", recursive: true);
    return copy("$source/appinfo/info.xml", "$folder/appinfo/info.xml");
}

function app_version(string $app): string
{
    $info = @file_get_contents(Instance::ROOT . "/custom_apps/$app/appinfo/info.xml");
    return preg_match('#<version>(.+)</version>#', (string)$info, $found) ? $found[1] : '1.0.0';
}

function app_switched_on(Instance $cloud, string $app): void
{
    $cloud->setAppValue($app, 'installed_version', app_version($app));
    $cloud->setAppValue($app, 'enabled', 'yes');
    say("$app " . app_version($app) . ' enabled');
}

function app_install(Instance $cloud, array $arguments): int
{
    $app = $arguments[0] ?? '';
    if (app_folder($cloud, $app) !== null) {
        say("$app already installed");
        return 1;
    }
    if (!app_fetched($cloud, $app)) {
        say("Error: Could not download app $app");
        return 1;
    }
    say("$app " . app_version($app) . ' installed');
    app_switched_on($cloud, $app);
    return 0;
}

function app_enable(Instance $cloud, array $arguments): int
{
    $failed = 0;
    foreach ($arguments as $app) {
        if ($cloud->enabled($app)) {
            say("$app already enabled");
        } elseif (app_folder($cloud, $app) !== null || app_fetched($cloud, $app)) {
            app_switched_on($cloud, $app);
        } else {
            say("Could not download app $app");
            $failed = 1;
        }
    }
    return $failed;
}

function app_disable(Instance $cloud, array $arguments): int
{
    foreach ($arguments as $app) {
        if ($cloud->enabled($app)) {
            $cloud->setAppValue($app, 'enabled', 'no');
            say("$app " . app_version($app) . ' disabled');
        } else {
            say("No such app enabled: $app");
        }
    }
    return 0;
}

function app_list(Instance $cloud): int
{
    $apps = array_map(basename(...), glob(Instance::ROOT . '/custom_apps/*', GLOB_ONLYDIR));
    foreach (['Enabled' => [...$cloud->shipped(), ...$apps], 'Disabled' => $apps] as $state => $candidates) {
        say("$state:");
        sort($candidates);
        foreach ($candidates as $app) {
            $cloud->enabled($app) !== ($state === 'Enabled') || say("  - $app: " . app_version($app));
        }
    }
    return 0;
}

/** What the server itself trusts when it asks other servers: its own list, and these. */
function certificate_import(Instance $cloud, array $arguments): int
{
    $path = $arguments[0] ?? '';
    if (!is_file($path)) {
        say('Certificate not found, please provide a path accessible by the web server user');
        return 1;
    }
    if (openssl_x509_read(file_get_contents($path)) === false) {
        throw new RuntimeException('Certificate could not get parsed.');
    }
    $folder = $cloud->dataFolder() . '/files_external/uploads';
    is_dir($folder) || mkdir($folder, recursive: true);
    copy($path, "$folder/" . basename($path));
    file_put_contents(dirname($folder) . '/rootcerts.crt', implode("\n", array_map(file_get_contents(...), glob("$folder/*"))));
    return 0;
}

function bruteforce_attempts(Instance $cloud, array $arguments): int
{
    $address = $arguments[0] ?? '';
    if (!filter_var($address, FILTER_VALIDATE_IP)) {
        say("\"$address\" is not a valid IP address");
        return 1;
    }
    $attempts = $cloud->attempts($address);
    say("  - bypass-listed: false\n  - attempts: $attempts\n  - delay: " . ($attempts ? min(25000, 100 * 2 ** $attempts) : 0) . ' ms');
    return 0;
}

function install(Instance $cloud, array $arguments, array $options): int
{
    $host = $options['database-host'];
    $user = $options['admin-user'];
    $pdo = Instance::connect($host, $options['database-name'], $options['database-user'], $options['database-pass']);
    if ($pdo->query("SHOW TABLES LIKE 'oc_users'")->fetchColumn() && $pdo->query('SELECT COUNT(*) FROM oc_users')->fetchColumn()) {
        say('The Login is already being used');
        return 1;
    }
    $pdo->exec('CREATE TABLE IF NOT EXISTS oc_users (
        uid VARCHAR(64) NOT NULL PRIMARY KEY, displayname VARCHAR(64), password VARCHAR(255) NOT NULL, uid_lower VARCHAR(64)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin');
    $pdo->exec('CREATE TABLE IF NOT EXISTS oc_appconfig (
        appid VARCHAR(32) NOT NULL, configkey VARCHAR(64) NOT NULL, configvalue LONGTEXT, PRIMARY KEY (appid, configkey)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin');
    $pdo->exec('CREATE TABLE IF NOT EXISTS oc_storages (
        numeric_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, id VARCHAR(64) NOT NULL UNIQUE
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin');
    $pdo->exec("CREATE TABLE IF NOT EXISTS oc_filecache (
        fileid BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, storage BIGINT NOT NULL, path VARCHAR(4000), path_hash CHAR(32) NOT NULL,
        name VARCHAR(250), size BIGINT NOT NULL DEFAULT 0, mtime BIGINT NOT NULL DEFAULT 0, etag VARCHAR(40),
        {$cloud->column()} TINYINT NOT NULL DEFAULT 1, UNIQUE KEY fs_storage_path_hash (storage, path_hash)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC");
    $pdo->exec('CREATE TABLE IF NOT EXISTS oc_migrations (
        app VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL, PRIMARY KEY (app, version)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin');
    $pdo->prepare('INSERT INTO oc_migrations (app, version) VALUES (?, ?)')->execute(['core', $cloud->version]);
    $pdo->prepare('INSERT INTO oc_users (uid, displayname, password, uid_lower) VALUES (?, ?, ?, ?)')
        ->execute([$user, $user, password_hash($options['admin-pass'], PASSWORD_BCRYPT, ['cost' => 6]), strtolower($user)]);

    $instance = 'oc' . bin2hex(random_bytes(5));
    $data = Instance::ROOT . '/data';
    foreach (["$data/$user", "$data/$user/files", "$data/appdata_$instance"] as $folder) {
        is_dir($folder) || mkdir($folder);
    }
    file_put_contents("$data/.ncdata", "# Nextcloud data directory\n");
    file_put_contents("$data/index.html", '');
    file_put_contents("$data/$user/files/Readme.md", "# Welcome to Nextcloud\n");
    $cloud->set([
        'passwordsalt' => base64_encode(random_bytes(22)),
        'secret' => base64_encode(random_bytes(36)),
        'trusted_domains' => [0 => 'localhost'],
        'datadirectory' => $data,
        'dbtype' => 'mysql',
        'version' => $cloud->version,
        'overwrite.cli.url' => 'http://localhost',
        'dbname' => $options['database-name'],
        'dbhost' => $host,
        'dbtableprefix' => 'oc_',
        'dbuser' => $options['database-user'],
        'dbpassword' => $options['database-pass'],
        'installed' => true,
        'instanceid' => $instance,
    ]);
    $cloud->setAppValue('core', 'installedat', (string)microtime(true));
    $cloud->setAppValue('files', 'enabled', 'yes');
    $cloud->setAppValue('dav', 'enabled', 'yes');
    $cloud->remember($user, 'files/Readme.md');
    $cloud->log('installed');
    say('Nextcloud was successfully installed');
    return 0;
}

function upgrade(Instance $cloud): int
{
    if (!$cloud->needsUpgrade()) {
        say($cloud->maintenance() ? 'Nextcloud is in maintenance mode' : 'Nextcloud is already latest version');
        return $cloud->maintenance() ? 2 : 0;
    }
    $kept = $cloud->maintenance();
    $cloud->set(['maintenance' => true]);
    say("Turned on maintenance mode\nUpdating database schema");
    $cloud->query("ALTER TABLE oc_filecache ADD COLUMN IF NOT EXISTS {$cloud->column()} TINYINT NOT NULL DEFAULT 1");
    $broken = getenv('GARDIEN_TEST_BROKEN') === 'upgrade';
    migrate($cloud, $broken);
    if ($broken) {
        say("This release is broken: its upgrade never ends well\nUpdate failed\nMaintenance mode is kept active");
        return 5;
    }
    $cloud->query('REPLACE INTO oc_migrations (app, version) VALUES (?, ?)', ['core', $cloud->version]);
    $cloud->set(['version' => $cloud->version, 'maintenance' => $kept]);
    $cloud->log("upgraded to {$cloud->version}");
    say("Updated database\nUpdate successful\n" . ($kept ? 'Maintenance mode is kept active' : 'Turned off maintenance mode'));
    return 0;
}

/** What each version does to the data: a table of its own, and every row of the files is rewritten; or half of them. */
function migrate(Instance $cloud, bool $breaksOff): void
{
    $table = 'oc_since_' . strtr($cloud->versionString, '.', '_');
    $cloud->query("CREATE TABLE IF NOT EXISTS $table (fileid BIGINT NOT NULL PRIMARY KEY, etag VARCHAR(40)) ENGINE=InnoDB");
    $cloud->query("INSERT IGNORE INTO $table SELECT fileid, etag FROM oc_filecache");
    $half = $breaksOff ? 'WHERE fileid % 2 = 1' : '';
    $cloud->query("UPDATE oc_filecache SET etag = LEFT(SHA1(CONCAT(etag, ?)), 20) $half", [$cloud->versionString]);
}

function files_scan(Instance $cloud, array $arguments, array $options): int
{
    $path = is_string($options['path'] ?? null) ? explode('/', $options['path']) : [];
    $users = match (true) {
        isset($path[1]) => [$path[1]],  // "/anna/files/Notes": the first part is the user
        isset($options['all']) => $cloud->query('SELECT uid FROM oc_users ORDER BY uid')->fetchAll(PDO::FETCH_COLUMN),
        default => $arguments,
    };
    if (!$users) {
        say('Please specify the user id to scan, --all to scan for all users or --path=...');
        return 1;
    }
    foreach ($users as $user) {
        $home = $cloud->dataFolder() . "/$user";
        $found = [];
        if (is_dir("$home/files")) {
            $flags = FilesystemIterator::SKIP_DOTS | FilesystemIterator::CURRENT_AS_PATHNAME;
            foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator("$home/files", $flags)) as $file) {
                $path = substr($file, strlen($home) + 1);
                if (!mb_check($path)) {
                    say("Entry \"$path\" will not be accessible due to incompatible encoding");
                } elseif (is_file($file) && !is_link($file)) {
                    $found[$path] = true;
                    $cloud->remember($user, $path);
                }
            }
        }
        $known = $cloud->query('SELECT path FROM oc_filecache WHERE storage = ?', [$cloud->storage($user)])->fetchAll(PDO::FETCH_COLUMN);
        foreach (array_diff($known, array_keys($found)) as $gone) {
            $cloud->forget($user, $gone);
        }
        say("Starting scan for user $user\n" . count($found) . ' files');
    }
    return 0;
}

/** Whether a name is UTF-8, as the real one asks. */
function mb_check(string $name): bool
{
    return preg_match('//u', $name) === 1;
}
