#!/bin/bash
# The order of the real one: settings, OnlyOffice, build, start.
set -e

if [ ! -f "$CPAD_CONF" ]; then
    echo "Warning: No config file provided for cryptpad"
    cp /cryptpad/config/config.example.js "$CPAD_CONF"
    sed -i -e "s@\(httpUnsafeOrigin:\).*@\1 '$CPAD_MAIN_DOMAIN',@" \
        -e "s@// *\(httpSafeOrigin:\).*@\1 '$CPAD_SANDBOX_DOMAIN',@" "$CPAD_CONF"
fi

cd /cryptpad
if [ "$CPAD_INSTALL_ONLYOFFICE" == yes ]; then
    ./install-onlyoffice.sh --accept-license --trust-repository
fi
npm run build
exec "$@"
