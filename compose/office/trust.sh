#!/bin/bash
# Brings coolwsd the certificate of the house's own authority, as a folder that OpenSSL looks into. A door that is open to
# the internet has certificates that everybody believes: then there is nothing to bring.
set -u
[ "$DOOR_MODE" = home ] || exec sleep infinity

folder=/trust

# The door says it without TLS; on the network between it and this stack nobody else is.
fetch() {
    exec 3<>"/dev/tcp/$OFFICE_DOMAIN/$DOOR_HTTP_PORT" || return
    printf 'GET /.well-known/gardien/root.crt HTTP/1.0\r\nHost: %s\r\n\r\n' "$OFFICE_DOMAIN" >&3
    openssl x509 -out "$folder/.new" <&3
    local whole=$?
    exec 3>&-
    return "$whole"
}

while :; do
    if fetch 2>/dev/null; then
        if ! cmp -s "$folder/.new" "$folder/house.pem"; then
            mv "$folder/.new" "$folder/house.pem"
            openssl rehash "$folder"
            echo "The certificate of the house's own authority is here."
        fi
        sleep 3600
    else
        sleep 2
    fi
done
