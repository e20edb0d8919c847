<?php
declare(strict_types=1);

require __DIR__ . '/lib/web.php';

$cloud = open_for_people();
$path = $_SERVER['PATH_INFO'] ?? '/';

if ($path === '/login/v2' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    // How the apps on computers and telephones log in: they go only where these addresses lead, and only by HTTPS.
    $token = bin2hex(random_bytes(32));
    $here = server_path($cloud) . '/index.php';
    header('Content-Type: application/json');
    exit(json_encode([
        'poll' => ['token' => $token, 'endpoint' => "$here/login/v2/poll"], 'login' => "$here/login/v2/flow/$token",
    ], JSON_UNESCAPED_SLASHES));
}
if ($path === '/apps/richdocuments/settings/access-check' && $cloud->enabled('richdocuments')) {
    header('Content-Type: application/json');
    exit('[]');
}
if ($path !== '/') {
    http_response_code(404);
    exit('Page not found');
}
$users = $cloud->query('SELECT COUNT(*) FROM oc_users')->fetchColumn();
$files = $cloud->query("SELECT COUNT({$cloud->column()}) FROM oc_filecache")->fetchColumn();
header('Content-Type: text/html; charset=utf-8');
echo "<!DOCTYPE html><title>Nextcloud</title><p>$users users, $files files</p>";
