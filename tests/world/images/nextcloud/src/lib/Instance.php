<?php
declare(strict_types=1);

/** One installed cloud: its settings (config/config.php), its code's version (version.php), its database, its files. */
final class Instance
{
    public const ROOT = '/var/www/html';
    private const CONFIG = self::ROOT . '/config/config.php';

    /** @var array<string, mixed> config.php, with the other config/*.config.php over it */
    private array $config;
    public readonly string $version;
    public readonly string $versionString;
    private ?PDO $pdo = null;

    public function __construct()
    {
        $this->config = self::settingsIn(self::CONFIG);
        $others = glob(self::ROOT . '/config/*.config.php') ?: [];
        natsort($others);
        foreach ($others as $file) {
            $this->config = array_merge($this->config, self::settingsIn($file));
        }
        require self::ROOT . '/version.php';
        $this->version = implode('.', $OC_Version);
        $this->versionString = $OC_VersionString;
    }

    /** `require`, so that the web server sees the file through its opcode cache: late, as the real one does. */
    private static function settingsIn(string $file): array
    {
        $CONFIG = [];
        if (is_file($file)) {
            require $file;
        }
        return $CONFIG;
    }

    public function get(string $key, mixed $default = null): mixed
    {
        return $this->config[$key] ?? $default;
    }

    /**
     * Writes config.php with all that was read, what came from the other files included: as the real one does.
     *
     * @param array<string, mixed> $changes a value of null removes its key
     */
    public function set(array $changes): void
    {
        $this->config = array_filter(array_merge($this->config, $changes), fn ($value) => $value !== null);
        $part = self::CONFIG . '.part';
        $file = fopen($part, 'w') ?: throw new RuntimeException('Cannot write into "config" directory');
        chmod($part, 0640);
        fwrite($file, "<?php\n\$CONFIG = " . var_export($this->config, true) . ";\n");
        fflush($file);
        fsync($file);
        fclose($file);
        rename($part, self::CONFIG);
    }

    public function installed(): bool
    {
        return (bool)$this->get('installed', false);
    }

    public function maintenance(): bool
    {
        return (bool)$this->get('maintenance', false);
    }

    public function needsUpgrade(): bool
    {
        return $this->installed() && version_compare($this->version, $this->get('version', '0'), '>');
    }

    public function major(): int
    {
        return (int)$this->version;
    }

    public function dataFolder(): string
    {
        return $this->get('datadirectory', self::ROOT . '/data');
    }

    public function db(): PDO
    {
        return $this->pdo ??= self::connect(
            $this->get('dbhost'), $this->get('dbname'), $this->get('dbuser'), $this->get('dbpassword')
        );
    }

    public static function connect(string $host, string $name, string $user, string $password): PDO
    {
        return new PDO("mysql:host=$host;dbname=$name;charset=utf8mb4", $user, $password, [
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
            PDO::ATTR_TIMEOUT => 5,
        ]);
    }

    /** @param list<mixed> $values */
    public function query(string $statement, array $values = []): PDOStatement
    {
        $query = $this->db()->prepare($statement);
        $query->execute($values);
        return $query;
    }

    public function setAppValue(string $app, string $key, string $value): void
    {
        $this->query('REPLACE INTO oc_appconfig (appid, configkey, configvalue) VALUES (?, ?, ?)', [$app, $key, $value]);
    }

    public function appValue(string $app, string $key): ?string
    {
        $value = $this->query('SELECT configvalue FROM oc_appconfig WHERE appid = ? AND configkey = ?', [$app, $key])->fetchColumn();
        return $value === false ? null : (string)$value;
    }

    public function enabled(string $app): bool
    {
        return in_array($app, $this->shipped(), true) || $this->appValue($app, 'enabled') === 'yes';
    }

    /** @return list<string> apps that are part of Nextcloud itself */
    public function shipped(): array
    {
        return json_decode(file_get_contents(self::ROOT . '/core/shipped.json'), true)['shippedApps'];
    }

    /** @return array<string, mixed> what status.php and `occ status` say */
    public function status(): array
    {
        return [
            'installed' => $this->installed(),
            'maintenance' => $this->maintenance(),
            'needsDbUpgrade' => $this->needsUpgrade(),
            'version' => $this->version,
            'versionstring' => $this->versionString,
            'edition' => '',
            'productname' => 'Nextcloud',
            'extendedSupport' => false,
        ];
    }

    /** Outside maintenance the real one loads its apps first, and these read the database. */
    public function loadApps(): void
    {
        if (!$this->installed() || $this->maintenance()) {
            return;
        }
        $this->query("SELECT configvalue FROM oc_appconfig WHERE appid = 'core'")->fetchAll();
    }

    /** Sessions and locks live in Redis: without it no page can be served. */
    public function askRedis(): void
    {
        !$this->get('redis') || $this->redis('PING') === 'PONG' || throw new RuntimeException('Redis went away');
    }

    /** One command to Redis, answered with a status, a number or a text (null: none). */
    public function redis(string ...$words): string|int|null
    {
        $redis = $this->get('redis');
        $socket = @fsockopen($redis['host'], $redis['port'], $code, $why, 2) ?: throw new RuntimeException("Redis: $why");
        fwrite($socket, '*' . count($words) . "\r\n" . implode('', array_map(fn ($word) => '$' . strlen($word) . "\r\n$word\r\n", $words)));
        $line = rtrim((string)fgets($socket), "\r\n");
        $rest = substr($line, 1);
        $answer = match ($line[0] ?? '') {
            '+' => $rest,
            ':' => (int)$rest,
            '$' => $rest === '-1' ? null : stream_get_contents($socket, (int)$rest),
            default => throw new RuntimeException("Redis: $line"),
        };
        fclose($socket);
        return $answer;
    }

    /** Failed log-ins of one address. Where Redis is the cache, the real one keeps them there, and nowhere else. */
    public function attempts(string $address): int
    {
        return (int)$this->redis('GET', "bruteforce/$address");
    }

    public function attempt(string $address): void
    {
        $this->redis('INCR', "bruteforce/$address");
        $this->redis('EXPIRE', "bruteforce/$address", (string)(12 * 3600));
    }

    /** The column a major version adds is read by its code, so that new code on an old schema fails. */
    public function column(): string
    {
        return 'since_' . $this->major();
    }

    public function storage(string $user): int
    {
        $this->query('INSERT IGNORE INTO oc_storages (id) VALUES (?)', ["home::$user"]);
        return (int)$this->query('SELECT numeric_id FROM oc_storages WHERE id = ?', ["home::$user"])->fetchColumn();
    }

    /** Writes the row of one file that lies in the data folder; `$path` as in the database: `files/...`. */
    public function remember(string $user, string $path): void
    {
        $file = $this->dataFolder() . "/$user/$path";
        $column = $this->column();
        $this->query(
            "INSERT INTO oc_filecache (storage, path, path_hash, name, size, mtime, etag, $column) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
            ON DUPLICATE KEY UPDATE size = VALUES(size), mtime = VALUES(mtime), etag = VALUES(etag)",
            [$this->storage($user), $path, md5($path), basename($path), filesize($file), filemtime($file), bin2hex(random_bytes(10))]
        );
    }

    public function forget(string $user, string $path): void
    {
        $this->query('DELETE FROM oc_filecache WHERE storage = ? AND path_hash = ?', [$this->storage($user), md5($path)]);
    }

    public function log(string $message, int $level = 1, string $address = ''): void
    {
        $line = json_encode([
            'time' => date('c'), 'remoteAddr' => $address, 'level' => $level, 'message' => $message, 'version' => $this->version,
        ], JSON_UNESCAPED_SLASHES);
        file_put_contents($this->dataFolder() . '/nextcloud.log', "$line\n", FILE_APPEND);
    }
}
