<?php
declare(strict_types=1);

require __DIR__ . '/lib/web.php';

/** remote.php/dav/files/<user>/<path>: PUT, GET, DELETE, MKCOL, with a password. Enough of WebDAV to use the cloud as a person does. */
function serve(Instance $cloud): void
{
    $name = $_SERVER['PHP_AUTH_USER'] ?? '';
    $hash = $cloud->query('SELECT password FROM oc_users WHERE uid = ?', [$name])->fetchColumn();
    if ($hash === false || !password_verify($_SERVER['PHP_AUTH_PW'] ?? '', $hash)) {
        !isset($_SERVER['PHP_AUTH_USER']) || failed_login($cloud, $name);
        http_response_code(401);
        header('WWW-Authenticate: Basic realm="Nextcloud"');
        return;
    }
    $raw = preg_replace('#^.*?/remote\.php#', '', strtok($_SERVER['REQUEST_URI'], '?'));
    $parts = array_map(rawurldecode(...), explode('/', trim($raw, '/')));
    if (array_slice($parts, 0, 3) !== ['dav', 'files', $name] || array_intersect($parts, ['.', '..', ''])) {
        http_response_code(404);
        return;
    }
    $path = implode('/', ['files', ...array_slice($parts, 3)]);
    $file = $cloud->dataFolder() . "/$name/$path";
    switch ($_SERVER['REQUEST_METHOD']) {
        case 'PUT':
            $new = !file_exists($file);
            if (!is_dir(dirname($file))) {
                http_response_code(409);
                return;
            }
            $part = "$file.ocTransferId" . random_int(1, PHP_INT_MAX) . '.part';
            copy('php://input', $part) && rename($part, $file) || throw new RuntimeException("cannot write $path");
            if (isset($_SERVER['HTTP_X_OC_MTIME'])) {
                touch($file, (int)$_SERVER['HTTP_X_OC_MTIME']);
            }
            $cloud->remember($name, $path);
            http_response_code($new ? 201 : 204);
            return;
        case 'GET':
            $known = $cloud->query(
                "SELECT {$cloud->column()} FROM oc_filecache WHERE storage = ? AND path_hash = ?", [$cloud->storage($name), md5($path)]
            )->fetchColumn();
            if ($known === false || !is_file($file)) {
                http_response_code(404);
                return;
            }
            header('Content-Type: application/octet-stream');
            readfile($file);
            return;
        case 'DELETE':
            if (is_file($file)) {
                unlink($file);
                $cloud->forget($name, $path);
                http_response_code(204);
            } else {
                http_response_code(404);
            }
            return;
        case 'MKCOL':
            http_response_code(@mkdir($file) ? 201 : 405);
            return;
        default:
            http_response_code(405);
    }
}

serve(open_for_people());
