<?php
declare(strict_types=1);

require __DIR__ . '/lib/web.php';

$cloud = open_for_people();
$users = $cloud->query('SELECT COUNT(*) FROM oc_users')->fetchColumn();
$files = $cloud->query("SELECT COUNT({$cloud->column()}) FROM oc_filecache")->fetchColumn();
header('Content-Type: text/html; charset=utf-8');
echo "<!DOCTYPE html><title>Nextcloud</title><p>$users users, $files files</p>";
