<?php
// Read by Nextcloud with every request and every command, after config.php and over it. What depends on the door is
// worked out here each time: what the image's own variables write at the first start would stay for ever.
//
// Every key is always set, if only to '': when Nextcloud writes config.php, it writes all it has read, this file's
// values included, and a key that is missing the next time would be taken from there.
$CONFIG = (function (): array {
    $name = strtolower(getenv('NEXTCLOUD_DOMAIN') ?: 'localhost');
    $public = $name . getenv('DOOR_SUFFIX');
    // Who asks for that name has come through the door, so over HTTPS. Who asks for another one sits at this machine.
    $asked = preg_replace('/:\d+$/', '', strtolower($_SERVER['HTTP_HOST'] ?? ''));
    $by_door = $asked === $name && $name !== 'localhost';
    return [
        'trusted_domains' => ['localhost', $name],
        'overwrite.cli.url' => "https://$public",
        'overwriteprotocol' => $by_door ? 'https' : '',
        'overwritehost' => $by_door ? $public : '',
        // Apache has put the visitor's own address in place already (mod_remoteip). One entry, even an idle one, and
        // Nextcloud no longer warns of the X-Forwarded-Host that every proxy sends.
        'trusted_proxies' => ['127.0.0.1'],
        // Heavy background jobs only from 2 to 6 o'clock UTC: after the nightly backup.
        'maintenance_window_start' => 2,
        // A preview costs memory by the square of its size, and one worker for as long as it takes.
        'preview_max_x' => 2048,
        'preview_max_y' => 2048,
        'preview_concurrency_new' => 1,
        'preview_concurrency_all' => 4,
    ];
})();
