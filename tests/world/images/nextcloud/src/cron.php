<?php
declare(strict_types=1);

require __DIR__ . '/lib/Instance.php';

try {
    $cloud = new Instance();
    if (!$cloud->installed() || $cloud->maintenance() || $cloud->needsUpgrade()) {
        exit(0);
    }
    $cloud->loadApps();
    $cloud->setAppValue('core', 'backgroundjobs_mode', 'cron');
    $cloud->setAppValue('core', 'lastcron', (string)time());
    // Whether this run had the locks: without REDIS_HOST in its environment it has none.
    $cloud->setAppValue('core', 'lastcron_locking', $cloud->get('memcache.locking', 'none'));
} catch (Throwable $fault) {
    fwrite(STDERR, $fault->getMessage() . "\n");
    exit(1);
}
