<?php
declare(strict_types=1);

require __DIR__ . '/lib/web.php';

$cloud = open_instance();
if (getenv('GARDIEN_TEST_BROKEN') === 'health') {
    http_response_code(500);
    exit;
}
header('Access-Control-Allow-Origin: *');
header('Content-Type: application/json');
echo json_encode($cloud->status());
