<?php
// Read at run time, also by cron and occ: a container without REDIS_HOST works without the locks.
if (getenv('REDIS_HOST')) {
    $CONFIG = [
        'memcache.locking' => '\OC\Memcache\Redis',
        'redis' => ['host' => getenv('REDIS_HOST'), 'port' => (int)(getenv('REDIS_HOST_PORT') ?: 6379)],
    ];
}
