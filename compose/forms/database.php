<?php
// What start.sh asks of LimeSurvey's database. `state`: empty, unfinished (tables, and nobody who could log in) or used.
// `clear` takes the tables of an unfinished installation away, on which it could not begin again.
declare(strict_types=1);

try {
    $db = new PDO(
        'mysql:host=' . getenv('DB_HOST') . ';dbname=' . getenv('DB_NAME'),
        getenv('DB_USERNAME'),
        getenv('DB_PASSWORD'),
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
    );
    $tables = $db->query('SHOW TABLES')->fetchAll(PDO::FETCH_COLUMN);
    $accounts = in_array('lime_users', $tables, true) ? $db->query('SELECT COUNT(*) FROM lime_users')->fetchColumn() : 0;
    $state = $tables === [] ? 'empty' : ($accounts ? 'used' : 'unfinished');
    if ($argv[1] === 'clear' && $state === 'unfinished') {
        foreach ($tables as $table) {
            $db->exec("DROP TABLE `$table`");
        }
    }
    echo $argv[1] === 'state' ? "$state\n" : '';
} catch (PDOException $fault) {
    fwrite(STDERR, 'forms: ' . $fault->getMessage() . "\n");
    exit(1);
}
