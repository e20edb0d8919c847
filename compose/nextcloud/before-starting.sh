#!/bin/sh
# The image runs this as www-data before its web server. The configuration is copied: mounted inside `config/`, it would
# make that folder not empty before the first start, and the image would then leave out all of its own files.
set -eu
ours=/usr/local/share/gardien/gardien.config.php
there=/var/www/html/config/zz-gardien.config.php
cmp -s "$ours" "$there" && exit
cp "$ours" "${there%/*}/.zz-gardien"
mv "${there%/*}/.zz-gardien" "$there"
