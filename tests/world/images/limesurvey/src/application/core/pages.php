<?php
declare(strict_types=1);

/** The pages below index.php. */
function serve(LimeSurvey $app, string $path): void
{
    $app->query("SELECT {$app->column()} FROM {{surveys}}");
    match (true) {
        $path === '' => surveys($app),
        $path === 'admin' => leadTo('admin/index'),
        $path === 'admin/authentication/sa/login' => logIn($app),
        $path === 'admin/index' => administration(),
        $path === 'admin/remotecontrol' => remoteControl($app),
        ctype_digit($path) => survey($app, (int)$path),
        default => http_response_code(404),
    };
}

function page(string $body): void
{
    header('Content-Type: text/html; charset=utf-8');
    echo "<!DOCTYPE html><title>LimeSurvey</title>$body";
}

/** An absolute address, made from what the request says of itself. */
function leadTo(string $path): void
{
    $secure = ($_SERVER['HTTPS'] ?? '') === 'on' || ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https';
    header(sprintf('Location: %s://%s/index.php/%s', $secure ? 'https' : 'http', $_SERVER['HTTP_HOST'], $path), true, 302);
}

/** The cookie is for HTTPS alone only where Apache itself says that it is HTTPS. */
function session(): void
{
    session_set_cookie_params(['httponly' => true, 'secure' => ($_SERVER['HTTPS'] ?? 'off') !== 'off']);
    session_start();
}

function surveys(LimeSurvey $app): void
{
    $list = '';
    foreach ($app->query("SELECT sid, title FROM {{surveys}} WHERE active = 'Y'") as $row) {
        $list .= "<li><a href='{$app->get('publicurl')}/index.php/{$row['sid']}'>" . htmlspecialchars($row['title']) . '</a>';
    }
    page("<p>The following surveys are available:<ul>$list</ul>");
}

function logIn(LimeSurvey $app): void
{
    session();
    $said = '';
    if ($_SERVER['REQUEST_METHOD'] === 'POST') {
        if (rightPassword($app, $_POST['user'] ?? '', $_POST['password'] ?? '', $said)) {
            $_SESSION['user'] = $_POST['user'];
            leadTo('admin/index');
            return;
        }
    }
    page("<p>$said<form id='loginform' method='post'><input name='user'><input name='password' type='password'></form>");
}

/** After three wrong ones an address has to wait for ten minutes. */
function rightPassword(LimeSurvey $app, string $user, string $password, string &$said): bool
{
    $ip = LimeSurvey::address();
    $before = $app->query('SELECT * FROM {{failed_login_attempts}} WHERE ip = ?', [$ip])->fetch();
    if ($before && $before['number_attempts'] >= $app->get('maxLoginAttempt') && time() < $before['last_attempt'] + $app->get('timeOutTime')) {
        $said = 'You have exceeded the number of maximum login attempts. Please wait 10 minutes before trying again.';
        return false;
    }
    $hash = $app->query('SELECT password FROM {{users}} WHERE users_name = ?', [$user])->fetchColumn();
    if ($hash !== false && password_verify($password, $hash)) {
        $app->query('DELETE FROM {{failed_login_attempts}} WHERE ip = ?', [$ip]);
        return true;
    }
    $app->query(
        'INSERT INTO {{failed_login_attempts}} VALUES (?, ?, 1)
        ON DUPLICATE KEY UPDATE last_attempt = VALUES(last_attempt), number_attempts = number_attempts + 1',
        [$ip, time()]
    );
    $said = 'Incorrect username and/or password!';
    return false;
}

function administration(): void
{
    session();
    isset($_SESSION['user']) ? page('<p>Welcome to LimeSurvey') : leadTo('admin/authentication/sa/login');
}

/** A questionnaire: its form, and what somebody answers, with a file if they like. */
function survey(LimeSurvey $app, int $sid): void
{
    if ($app->query("SELECT COUNT(*) FROM {{surveys}} WHERE sid = ? AND active = 'Y'", [$sid])->fetchColumn() == 0) {
        http_response_code(404);
        return;
    }
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        page("<form method='post' enctype='multipart/form-data'><textarea name='answer'></textarea><input name='file' type='file'></form>");
        return;
    }
    // PHP drops what is larger than it may take: an answer without its words is none.
    if (!isset($_POST['answer']) || ($_FILES['file']['error'] ?? UPLOAD_ERR_NO_FILE) === UPLOAD_ERR_INI_SIZE) {
        http_response_code(400);
        echo 'Sorry, this file is too large.';
        return;
    }
    $stored = '';
    if (isset($_FILES['file'])) {
        // First into tmp, then to its place, then into the database, as the real one.
        $stored = 'fu_' . bin2hex(random_bytes(8));
        $tmp = LimeSurvey::ROOT . "/tmp/upload/$stored";
        $folder = LimeSurvey::ROOT . "/upload/surveys/$sid/files";
        move_uploaded_file($_FILES['file']['tmp_name'], $tmp) || throw new RuntimeException('cannot take the file');
        is_dir($folder) || mkdir($folder, 0777, true) || throw new RuntimeException('cannot make the folder');
        rename($tmp, "$folder/$stored") || throw new RuntimeException('Error moving file to target destination');
    }
    $app->query(
        "INSERT INTO {{survey_$sid}} (submitdate, ipaddr, answer, file) VALUES (NOW(), ?, ?, ?)",
        [LimeSurvey::address(), $app->encrypt($_POST['answer']), $stored]
    );
    page('<p>Thank you!');
}

/** JSON-RPC with some of the names of the real one, where it is off unless switched on. */
function remoteControl(LimeSurvey $app): void
{
    $ask = json_decode(file_get_contents('php://input'), true);
    [$method, $words] = [$ask['method'], array_values($ask['params'])];
    if ($method === 'get_session_key') {
        $said = '';
        $key = bin2hex(random_bytes(16));
        if (rightPassword($app, $words[0], $words[1], $said)) {
            $app->query('INSERT INTO {{sessions}} VALUES (?, ?)', [$key, $words[0]]);
        } else {
            $key = ['status' => $said];
        }
        $result = $key;
    } elseif ($app->query('SELECT COUNT(*) FROM {{sessions}} WHERE id = ?', [array_shift($words)])->fetchColumn() == 0) {
        $result = ['status' => 'Invalid session key'];
    } else {
        $result = match ($method) {
            'add_survey' => addSurvey($app, ...$words),
            'activate_survey' => activateSurvey($app, ...$words),
            'export_responses' => exportResponses($app, ...$words),
            'get_uploaded_files' => uploadedFiles($app, ...$words),
        };
    }
    header('Content-Type: application/json');
    echo json_encode(['id' => $ask['id'] ?? 1, 'result' => $result, 'error' => null]);
}

function addSurvey(LimeSurvey $app, int $sid, string $title): int
{
    $app->query('INSERT INTO {{surveys}} (sid, title) VALUES (?, ?)', [$sid, $title]);
    return $sid;
}

/** A questionnaire's answers have a table of their own, made when it opens. */
function activateSurvey(LimeSurvey $app, int $sid): array
{
    $app->createTable("survey_$sid", 'id INT AUTO_INCREMENT PRIMARY KEY, submitdate DATETIME, ipaddr TEXT, answer MEDIUMTEXT NOT NULL, file TEXT NOT NULL');
    $app->query("UPDATE {{surveys}} SET active = 'Y' WHERE sid = ?", [$sid]);
    return ['status' => 'OK'];
}

/** @return list<array{ipaddr: string, answer: string}> */
function exportResponses(LimeSurvey $app, int $sid): array
{
    return array_map(
        fn (array $row) => ['ipaddr' => $row['ipaddr'], 'answer' => $app->decrypt($row['answer'])],
        $app->query("SELECT ipaddr, answer FROM {{survey_$sid}} ORDER BY id")->fetchAll()
    );
}

/** @return array<string, string> stored name => content in base 64; empty where the file is gone */
function uploadedFiles(LimeSurvey $app, int $sid): array
{
    $files = [];
    foreach ($app->query("SELECT file FROM {{survey_$sid}} WHERE file <> ''")->fetchAll(PDO::FETCH_COLUMN) as $name) {
        $files[$name] = base64_encode((string)@file_get_contents(LimeSurvey::ROOT . "/upload/surveys/$sid/files/$name"));
    }
    return $files;
}
