<?php
declare(strict_types=1);

require_once __DIR__ . '/Instance.php';

/** What every web page does first. Ends the request where the real one does. */
function open_instance(): Instance
{
    ini_set('display_errors', '0');
    $isStatus = str_ends_with(strtok($_SERVER['REQUEST_URI'], '?'), '/status.php');
    try {
        $cloud = new Instance();
        $cloud->askRedis();
        $cloud->loadApps();
    } catch (Throwable $fault) {
        error_log((string)$fault);
        http_response_code(500);
        exit($isStatus ? '' : 'Internal Server Error');
    }
    if ($cloud->installed() && !is_file($cloud->dataFolder() . '/.ncdata')) {
        http_response_code(503);
        exit('Your data directory is invalid. Ensure there is a file called ".ncdata" in the root of the data directory.');
    }
    $host = preg_replace('/:\d+$/', '', strtolower($_SERVER['HTTP_HOST'] ?? ''));
    $trusted = ['localhost', '127.0.0.1', '[::1]', ...array_map(strtolower(...), $cloud->get('trusted_domains', []))];
    if ($cloud->installed() && !in_array($host, $trusted, true)) {
        http_response_code(400);
        if ($isStatus) {
            header('Content-Type: application/json');
            exit('{"error": "Trusted domain error.", "code": 15}');
        }
        exit('Access through untrusted domain');
    }
    return $cloud;
}

/** Pages for people (not status.php) are closed during maintenance and before an upgrade. */
function open_for_people(): Instance
{
    $cloud = open_instance();
    if (!$cloud->installed()) {
        exit('Nextcloud: create an admin account');
    }
    if ($cloud->maintenance() || $cloud->needsUpgrade()) {
        http_response_code(503);
        header('Retry-After: 120');
        if ($cloud->maintenance()) {
            header('X-Nextcloud-Maintenance-Mode: 1');
        }
        exit($cloud->maintenance() ? 'Maintenance mode' : 'Update needed');
    }
    set_exception_handler(function (Throwable $fault): void {
        error_log((string)$fault);
        http_response_code(500);
        echo 'Internal Server Error';
    });
    return $cloud;
}

/** The visitor's address, as far as `trusted_proxies` may tell. Apache's mod_remoteip has had its say before. */
function remote_address(Instance $cloud): string
{
    $address = $_SERVER['REMOTE_ADDR'] ?? '';
    $proxies = $cloud->get('trusted_proxies', []);
    if (in_array($address, $proxies, true)) {
        foreach (array_reverse(array_map(trim(...), explode(',', $_SERVER['HTTP_X_FORWARDED_FOR'] ?? ''))) as $claim) {
            if (filter_var($claim, FILTER_VALIDATE_IP) && !in_array($claim, $proxies, true)) {
                return $claim;
            }
        }
    }
    return $address;
}

/** `overwrite*` hold for all, unless `overwritecondaddr` says for whom. */
function overwritten(Instance $cloud, string $key): ?string
{
    $for = $cloud->get('overwritecondaddr', '');
    $holds = $for === '' || preg_match("/$for/", $_SERVER['REMOTE_ADDR'] ?? '') === 1;
    $value = (string)$cloud->get($key, '');
    return $holds && $value !== '' ? $value : null;
}

/** The beginning of every absolute address that is handed out: `https://cloud.example`. */
function server_path(Instance $cloud): string
{
    $by_proxy = in_array($_SERVER['REMOTE_ADDR'] ?? '', $cloud->get('trusted_proxies', []), true);
    $protocol = overwritten($cloud, 'overwriteprotocol')
        ?? ($by_proxy ? strtolower($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http') : 'http');
    $host = overwritten($cloud, 'overwritehost') ?? ($by_proxy ? $_SERVER['HTTP_X_FORWARDED_HOST'] ?? null : null);
    return "$protocol://" . ($host ?? $_SERVER['HTTP_HOST']);
}

function failed_login(Instance $cloud, string $name): void
{
    $address = remote_address($cloud);
    $cloud->log("Login failed: '$name' (Remote IP: '$address')", 2, $address);
    $cloud->attempt($address);
}
