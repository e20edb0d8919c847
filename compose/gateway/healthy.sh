#!/bin/sh
# Asks the door as a visitor would, under every name it answers to: {"names without a valid certificate": "a b"}.
# Fails if the door is shut altogether.
set -eu

curl --silent --show-error --max-time 5 --output /dev/null "http://127.0.0.1:${DOOR_HTTP_PORT:-80}/"

# What is believed: the authorities of the image, the house's own, those that the owner added.
believed=/tmp/believed.pem
cat /etc/ssl/certs/ca-certificates.crt /data/caddy/pki/authorities/local/root.crt /etc/caddy/authorities/* \
    >"$believed" 2>/dev/null || true

port=${DOOR_HTTPS_PORT:-443}
without=
for name in $(curl --silent --show-error --fail --max-time 5 http://localhost:2019/config/apps/http/servers |
    grep -o '"host":\[[^]]*\]' | sed 's/"host"://' | tr -d '"[]' | tr ',' '\n' | sort -u); do
    # The name in the handshake is what is tried. The one in the request is nobody's: no application is bothered.
    curl --silent --max-time 10 --output /dev/null --cacert "$believed" --resolve "$name:$port:127.0.0.1" \
        --header 'Host: nobody.invalid' "https://$name:$port/" || without="${without:+$without }$name"
done
printf '{"names without a valid certificate": "%s"}\n' "$without"
