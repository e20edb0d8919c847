<?php
declare(strict_types=1);

define('BASEPATH', '.');
require __DIR__ . '/application/core/LimeSurvey.php';
require __DIR__ . '/application/core/pages.php';

ini_set('display_errors', '0');
try {
    serve(new LimeSurvey(), trim($_SERVER['PATH_INFO'] ?? '', '/'));
} catch (Throwable $fault) {
    error_log((string)$fault);
    http_response_code(500);
    echo '500: Internal Server Error: ', htmlspecialchars($fault->getMessage());
}
