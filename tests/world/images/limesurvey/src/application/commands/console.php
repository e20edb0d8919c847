#!/usr/bin/php
<?php
declare(strict_types=1);

define('BASEPATH', '.');
require __DIR__ . '/../core/LimeSurvey.php';

/** Raises the tables to the version of the code. */
function updatedb(LimeSurvey $app): int
{
    $app->db();
    [$old, $new] = [$app->dbVersion(), $app->get('dbversionnumber')];
    if (!$old) {
        throw new RuntimeException('Database version was not found, LimeSurvey is not correctly installed.');
    }
    if ($new <= $old) {
        echo "no need update : DB is uptodate\n";
        return 0;
    }
    echo "Update from $old to $new\n";
    if (getenv('GARDIEN_TEST_BROKEN') === 'upgrade') {
        throw new RuntimeException('Please fix this error in your database and try again');
    }
    $app->query("ALTER TABLE {{surveys}} ADD COLUMN {$app->column()} INT NOT NULL DEFAULT 1");
    $app->query("UPDATE {{settings_global}} SET stg_value = ? WHERE stg_name = 'DBVersion'", [$new]);
    echo "Database has been successfully upgraded to version $new\n";
    return 0;
}

/** Tables one by one, the version last, then the first account: cut short, it cannot be begun again. */
function install(LimeSurvey $app, string $user = '', string $password = '', string $name = '', string $email = ''): int
{
    if ($email === '') {
        echo "You have to set admin/password/full name and email address on the command line\n";
        return 1;
    }
    try {
        $app->createTable('answers', 'aid INT PRIMARY KEY');
        $app->createTable('failed_login_attempts', 'ip VARCHAR(40) PRIMARY KEY, last_attempt INT NOT NULL, number_attempts INT NOT NULL');
        $app->createTable('sessions', 'id VARCHAR(32) PRIMARY KEY, data TEXT NOT NULL');
        $app->createTable('settings_global', 'stg_name VARCHAR(50) PRIMARY KEY, stg_value MEDIUMTEXT NOT NULL');
        $app->createTable('surveys', "sid INT PRIMARY KEY, active CHAR(1) NOT NULL DEFAULT 'N', title TEXT NOT NULL, {$app->column()} INT NOT NULL DEFAULT 1");
        sleep((int)getenv('GARDIEN_TEST_INSTALL_SECONDS'));
        $app->createTable('users', 'uid INT AUTO_INCREMENT PRIMARY KEY, users_name VARCHAR(64) UNIQUE, password TEXT NOT NULL, full_name VARCHAR(50), email VARCHAR(192)');
        $app->query("INSERT INTO {{settings_global}} VALUES ('DBVersion', ?)", [$app->get('dbversionnumber')]);
    } catch (PDOException $fault) {
        echo "Could not create LimeSurvey tables: {$fault->getMessage()}\n";
        return 1;
    }
    $app->query(
        'INSERT INTO {{users}} (users_name, password, full_name, email) VALUES (?, ?, ?, ?)',
        [$user, password_hash($password, PASSWORD_DEFAULT), $name, $email]
    );
    return 0;
}

try {
    $command = $argv[1] ?? '';
    in_array($command, ['updatedb', 'install'], true) || throw new RuntimeException("Unknown command $command");
    exit($command(new LimeSurvey(), ...array_slice($argv, 2)));
} catch (Throwable $fault) {
    fwrite(STDERR, "{$fault->getMessage()}\n");
    exit(1);
}
