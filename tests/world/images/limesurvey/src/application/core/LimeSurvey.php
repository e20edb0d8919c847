<?php
declare(strict_types=1);

/** One installation: its settings, its keys, its database. What the real application does before any page or command. */
final class LimeSurvey
{
    public const ROOT = '/var/www/html';
    private const CONFIG = self::ROOT . '/application/config';

    /** @var array<string, mixed> */
    private array $components = [];
    /** @var array<string, mixed> later ones over former ones: defaults, version.php, security.php, config.php */
    private array $config = [
        'publicurl' => '/', 'mysqlEngine' => 'MyISAM', 'encryptionnonce' => '', 'encryptionsecretboxkey' => '',
        'maxLoginAttempt' => 3, 'timeOutTime' => 600,
    ];
    private ?PDO $pdo = null;

    public function __construct()
    {
        $this->config = array_merge($this->config, require self::CONFIG . '/version.php');
        if (file_exists(self::CONFIG . '/security.php')) {
            $found = require self::CONFIG . '/security.php';
            $this->config = array_merge($this->config, is_array($found) ? $found : []);
        }
        if (!file_exists(self::CONFIG . '/config.php')) {
            throw new RuntimeException('There is no config.php: the installer would begin');
        }
        $own = require self::CONFIG . '/config.php';
        $this->components = $own['components'];
        $this->config = array_merge($this->config, $own['config']);
        if ($this->get('encryptionsecretboxkey') === '' && $this->get('encryptionnonce') === '') {
            $this->makeKeys();
        }
    }

    public function get(string $key): mixed
    {
        return $this->config[$key];
    }

    /** New keys wherever none are found, over whatever lies in the file, in a plain write: as the real one. */
    private function makeKeys(): void
    {
        if (!is_writable(self::CONFIG)) {
            throw new RuntimeException('Configuration directory is not writable');
        }
        $this->config['encryptionnonce'] = bin2hex(random_bytes(SODIUM_CRYPTO_SECRETBOX_NONCEBYTES));
        $this->config['encryptionsecretboxkey'] = bin2hex(sodium_crypto_secretbox_keygen());
        file_put_contents(self::CONFIG . '/security.php', "<?php if (!defined('BASEPATH')) exit('No direct script access allowed');\n"
            . "\$config = array();\n"
            . "\$config['encryptionnonce'] = '{$this->get('encryptionnonce')}';\n"
            . "\$config['encryptionsecretboxkey'] = '{$this->get('encryptionsecretboxkey')}';\n"
            . 'return $config;');
    }

    public function encrypt(string $text): string
    {
        return base64_encode(sodium_crypto_secretbox(
            $text, hex2bin($this->get('encryptionnonce')), hex2bin($this->get('encryptionsecretboxkey'))
        ));
    }

    public function decrypt(string $text): string
    {
        $plain = sodium_crypto_secretbox_open(
            base64_decode($text), hex2bin($this->get('encryptionnonce')), hex2bin($this->get('encryptionsecretboxkey'))
        );
        return $plain === false ? throw new RuntimeException('Wrong decryption key!') : $plain;
    }

    public function db(): PDO
    {
        $own = $this->components['db'];
        return $this->pdo ??= new PDO($own['connectionString'] . 'charset=utf8mb4', $own['username'], $own['password'], [
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        ]);
    }

    /** `{{name}}` in a statement is a table's name with its prefix. @param list<mixed> $values */
    public function query(string $statement, array $values = []): PDOStatement
    {
        $prefix = $this->components['db']['tablePrefix'];
        $query = $this->db()->prepare(preg_replace('/\{\{(\w+)\}\}/', "`$prefix\$1`", $statement));
        $query->execute($values);
        return $query;
    }

    public function createTable(string $name, string $columns): void
    {
        $engine = $this->get('mysqlEngine');
        $this->query("CREATE TABLE {{{$name}}} ($columns) ENGINE=$engine DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci");
    }

    /** 0 if there is none. */
    public function dbVersion(): int
    {
        try {
            return (int)$this->query("SELECT stg_value FROM {{settings_global}} WHERE stg_name = 'DBVersion'")->fetchColumn();
        } catch (PDOException) {
            return 0;
        }
    }

    /** The column a version of the tables adds, read by its code: new code on old tables fails. */
    public function column(): string
    {
        return 'since_' . $this->get('dbversionnumber');
    }

    /** Whom a wrong password is blamed on, and what is stored beside an answer. */
    public static function address(): string
    {
        foreach (['HTTP_CLIENT_IP', 'HTTP_X_FORWARDED_FOR'] as $header) {
            $said = explode(',', $_SERVER[$header] ?? '')[0];
            if (filter_var($said, FILTER_VALIDATE_IP)) {
                return $said;
            }
        }
        return $_SERVER['REMOTE_ADDR'];
    }
}
