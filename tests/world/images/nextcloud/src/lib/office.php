<?php
declare(strict_types=1);

/** The app richdocuments ("Nextcloud Office"): whether this server and its office reach and believe each other. */

/** One question to the office, its certificate checked against what this server trusts. Throws like the real client. */
function ask_office(Instance $cloud, string $url, ?string $body = null): string
{
    $bundle = $cloud->dataFolder() . '/files_external/rootcerts.crt';
    $answer = @file_get_contents($url, false, stream_context_create([
        'http' => [
            'method' => $body === null ? 'GET' : 'POST', 'header' => 'Content-Type: application/json', 'content' => $body ?? '',
            'timeout' => 5, 'ignore_errors' => true, 'follow_location' => 0,
        ],
        // The list of public authorities that the real one brings along does not know the house's own either.
        'ssl' => ['verify_peer' => true, 'verify_peer_name' => true, 'cafile' => is_file($bundle) ? $bundle : '/dev/null'],
    ]));
    if ($answer === false) {
        throw new RuntimeException(error_get_last()['message'] ?? 'no answer');
    }
    preg_match('#^HTTP/\S+ (\d+)#', $http_response_header[0], $found);
    if ($body === null && $found[1] !== '200') {
        throw new RuntimeException("$url answers $found[1]");
    }
    return $answer;
}

/** Where the office opens a kind of document, by its discovery. */
function source_for(string $discovery, string $name): string
{
    $name = preg_quote($name, '#');
    preg_match("#<app [^>]*name=\"$name\"[^>]*>.*?<action [^>]*urlsrc=\"([^\"]+)\"#s", $discovery, $found)
        || throw new RuntimeException("Did not find $name");
    return html_entity_decode($found[1]);
}

/** richdocuments:activate-config: discovery, capabilities, and the way back; only then the address for browsers is set. */
function activate_config(Instance $cloud, array $arguments, array $options): int
{
    if (is_string($options['wopi-url'] ?? null)) {
        $cloud->setAppValue('richdocuments', 'wopi_url', $options['wopi-url']);
        say("✓ Set WOPI url to {$options['wopi-url']}");
    }
    $callback = is_string($options['callback-url'] ?? null) ? $options['callback-url'] : '';
    $cloud->setAppValue('richdocuments', 'wopi_callback_url', $callback);
    say($callback ? "✓ Set callback url to $callback" : '✓ Reset callback url autodetect');
    $office = rtrim($cloud->appValue('richdocuments', 'wopi_url') ?? '', '/');
    try {
        $discovery = ask_office($cloud, "$office/hosting/discovery");
        $source = source_for($discovery, 'application/vnd.openxmlformats-officedocument.wordprocessingml.document');
        source_for($discovery, 'Capabilities');
        say('✓ Fetched /hosting/discovery endpoint');
    } catch (Throwable $fault) {
        say("Failed to fetch discovery endpoint from $office\n{$fault->getMessage()}");
        return 1;
    }
    try {
        $server = json_decode(ask_office($cloud, "$office/hosting/capabilities"), true, flags: JSON_THROW_ON_ERROR);
        say("✓ Detected WOPI server: {$server['productName']} {$server['productVersion']}");
    } catch (Throwable $fault) {
        say("Failed to fetch capabilities endpoint from $office\n{$fault->getMessage()}");
        return 1;
    }
    $here = rtrim($callback ?: $cloud->get('overwrite.cli.url'), '/');
    $question = json_encode(['callbackUrl' => "$here/index.php/apps/richdocuments/settings/access-check"]);
    $status = json_decode(ask_office($cloud, "$office/hosting/wopiAccessCheck", $question), true)['status'] ?? 'nothing';
    if ($status !== 'Ok') {
        say("Failed to verify WOPI connectivity\nThe Collabora server could not properly reach the Nextcloud server at $here: $status");
        return 1;
    }
    say('WOPI access was verified');
    preg_match('#^https?://[^/]+#', $source, $found);
    $cloud->setAppValue('richdocuments', 'public_wopi_url', $found[0]);
    say("Collabora public URL (used in the browser to open Collabora):\n  $found[0]");
    return 0;
}
