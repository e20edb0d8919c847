#!/bin/bash
# Starts CryptPad, after what must be there before: two addresses, the login salt, registration as the owner wants it.
#   start.sh COMMAND...   the container's command
#   start.sh link         print the link that makes the first administrator; nothing once there is one
#   start.sh websocket    fail unless the websocket port takes a connection
set -euo pipefail

decrees=/cryptpad/data/decrees/decree.ndjson  # what administrators decided, a line each; CryptPad reads it when it starts
settings=/cryptpad/customize/application_config.js
quiet=${CRYPTPAD_QUIET_SECONDS:-600}
cleaning=${CRYPTPAD_CLEANING_SECONDS:-900}

die() { echo "cannot start CryptPad: $1" >&2; exit 1; }

# What would otherwise be a white page, or an error nobody understands.
check() {
    local folder origin='^https?://[a-z0-9.-]+(:[0-9]+)?$'
    [ -f "$CPAD_CONF" ] || die "config.js is not a file: put it beside compose.yaml"
    [[ $CPAD_MAIN_DOMAIN =~ $origin && $CPAD_SANDBOX_DOMAIN =~ $origin ]] \
        || die "CRYPTPAD_DOMAIN and CRYPTPAD_SANDBOX must be names"
    [ "$CPAD_MAIN_DOMAIN" != "$CPAD_SANDBOX_DOMAIN" ] || die "CRYPTPAD_DOMAIN and CRYPTPAD_SANDBOX must be two different names"
    for folder in blob block customize data datastore onlyoffice-conf www/common/onlyoffice/dist; do
        [ -w "$folder" ] || die "the folder $folder must belong to user 4001"
    done
}

# The salt is part of every password: written once, and never again.
keep_salt() {
    [ ! -s "$settings" ] || return 0
    local salt=${CRYPTPAD_LOGIN_SALT:-}
    if [ -z "$salt" ]; then
        ! compgen -G 'block/??/*' >/dev/null \
            || die "there are accounts, and their login salt is gone: bring customize/application_config.js back"
        salt=$(tr -dc 'A-Za-z0-9' </dev/urandom | head -c 64 || true)
    fi
    [[ $salt =~ ^[A-Za-z0-9]{16,}$ ]] || die "CRYPTPAD_LOGIN_SALT must be 16 letters and digits or more"
    # The frame is that of CryptPad's own customize.dist/application_config.js: browsers and the server both load it.
    cat >"$settings.new" <<END
// Written once. The login salt must stay what it is: with another one nobody can log in.
(() => {
const factory = (AppConfig) => {
    AppConfig.loginSalt = '$salt';
    AppConfig.minimumPasswordLength = 12;
    return AppConfig;
};
if (typeof(module) !== 'undefined' && module.exports) {
    module.exports = factory(require('../www/common/application_config_internal.js'));
} else if ((typeof(define) !== 'undefined' && define !== null) && (define.amd !== null)) {
    define(['/common/application_config_internal.js'], factory);
}
})();
END
    sync
    mv "$settings.new" "$settings"
}

has_admin() { grep -qs '^\["ADD_ADMIN_KEY"' "$decrees"; }

# The last word on registration, and whose it is: [true],"gardien"
restricted() { grep -so '^\["RESTRICT_REGISTRATION",\[[a-z]*\],"[^"]*"' "$decrees" | tail -n 1 | cut -d, -f2,3 || true; }

decree() {
    [ -z "$(tail -c 1 "$decrees")" ] || echo >>"$decrees"  # a power cut may have torn the last line
    echo "[\"RESTRICT_REGISTRATION\",[$1],\"gardien\",$(date +%s)000]" >>"$decrees"
}

# The first account is made by the installation page, which CryptPad's own restriction would refuse: so not before it.
settle_registration() {
    case $CRYPTPAD_REGISTRATION:$(restricted) in
        closed:'[true]'*) ;;
        closed:*) ! has_admin || decree true ;;
        open:'[true],"gardien"') decree false ;;
    esac
}

# CryptPad reads decrees at its start alone. When the administrator is there, and is done with the installation pages
# (each ends in a decree), one restart by Docker closes registration.
close_registration() {
    until has_admin && (($(date +%s) - $(stat -c %Y "$decrees") >= quiet)); do sleep 5; done
    [[ $(restricted) == '[true]'* ]] || kill -TERM $$
}

# CryptPad wants this to be somebody's daily job: what was deleted more than 15 days ago goes for good.
empty_archive() {
    sleep "$cleaning"
    while :; do
        timeout 900 node scripts/evict-archived.js || echo "cannot empty CryptPad's archive of deleted documents" >&2
        sleep 86400
    done
}

link() {
    local token
    for _ in {1..30}; do  # the pages may answer a moment before the link exists
        ! has_admin || return 0
        token=$(sed -n 's/^\["ADD_INSTALL_TOKEN",\["\([0-9a-f]*\)"\].*/\1/p' "$decrees" 2>/dev/null | tail -n 1 || true)
        if [ -n "$token" ]; then
            echo "$CPAD_MAIN_DOMAIN/install/#$token"
            return 0
        fi
        sleep 1
    done
}

websocket() {
    local answer
    exec 3<>/dev/tcp/127.0.0.1/3003
    printf '%s\r\n' 'GET /cryptpad_websocket HTTP/1.1' 'Host: localhost' 'Connection: Upgrade' 'Upgrade: websocket' \
        'Sec-WebSocket-Version: 13' 'Sec-WebSocket-Key: Z2FyZGllbiBhc2tzIG5vdw==' '' >&3
    read -r -t 5 answer <&3
    [[ $answer == *' 101 '* ]]
}

cd /cryptpad
case ${1:-} in
    link | websocket) "$1"; exit ;;
esac

check
keep_salt
settle_registration
if [ "$CRYPTPAD_OFFICE" = yes ]; then
    # Not by the image's own start, which would give up without the internet.
    timeout 3600 ./install-onlyoffice.sh --accept-license --trust-repository \
        || echo "cannot fetch OnlyOffice: CryptPad starts without its spreadsheets, and tries again at the next start" >&2
fi
if [ "$CRYPTPAD_REGISTRATION" = closed ] && ! has_admin; then
    (close_registration &)
fi
(empty_archive &)
exec bash docker-entrypoint.sh "$@"
