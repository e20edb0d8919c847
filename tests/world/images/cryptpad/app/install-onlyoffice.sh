#!/usr/bin/env bash
# Remembers the oldest version, fetches editors into dist/. GARDIEN_TEST_INTERNET=no: nothing can be fetched.
set -euo pipefail

here=$(cd -- "$(dirname -- "$0")" && pwd)
dist=$here/www/common/onlyoffice/dist
properties=$here/onlyoffice-conf/onlyoffice.properties

[[ " $* " == *" --accept-license "* ]] || { echo "Please review the license of OnlyOffice" >&2; exit 1; }
mkdir -p "$here/onlyoffice-conf"
[ -e "$properties" ] || echo "oldest_needed_version=v9" >"$properties"
for version in v9 x2t; do
    [ ! -e "$dist/$version/.version" ] || { echo "$version was up to date"; continue; }
    [ "${GARDIEN_TEST_INTERNET:-yes}" = yes ] || { echo "curl: (6) Could not resolve host: github.com" >&2; exit 6; }
    mkdir -p "$dist/$version"
    echo "of $version" >"$dist/$version/.version"
    echo "$version updated"
done
