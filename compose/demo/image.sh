#!/bin/sh
# Makes the trial notebook's image out of this machine's own busybox and sqlite3: no registry is asked.
# Usage: image.sh           (Debian packages: busybox-static sqlite3)
#        image.sh --made    is it there, made from these very files?
set -eu

NAME=gardien-demo:1
HERE=$(cd -- "$(dirname -- "$0")" && pwd -P)
FILES=$(cd "$HERE" && cat image.sh notes.sh style.css | sha256sum | cut -c 1-16)

if [ "${1:-}" = --made ]; then
  [ "$(docker image inspect --format '{{index .Config.Labels "gardien.files"}}' "$NAME" 2>/dev/null)" = "$FILES" ]
  exit
fi

for program in busybox sqlite3 docker ldd; do
  if ! command -v "$program" >/dev/null; then
    echo "cannot make $NAME: $program is missing. Install it (apt-get install busybox-static sqlite3), then try again." >&2
    exit 1
  fi
done
busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then
  echo "cannot make $NAME: $busybox needs other files. Install the package busybox-static, then try again." >&2
  exit 1
fi

TREE=$(mktemp -d)
trap 'rm -rf -- "$TREE"' EXIT
umask 022
chmod 0755 "$TREE"
mkdir -p "$TREE/bin" "$TREE/data" "$TREE/etc" "$TREE/www/cgi-bin"
cp "$busybox" "$TREE/bin/busybox"
for applet in sh cat head httpd ls mkdir mv rm sed tr wget xxd; do
  ln -s busybox "$TREE/bin/$applet"
done
sqlite3=$(readlink -f "$(command -v sqlite3)")
install -m 0755 "$sqlite3" "$TREE/bin/sqlite3"
# Every library sqlite3 is linked with, at the place where the loader looks for it.
ldd "$sqlite3" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$TREE${library%/*}"
  cp -L "$library" "$TREE$library"
done
install -m 0755 "$HERE/notes.sh" "$TREE/bin/notes"
install -m 0644 "$HERE/style.css" "$TREE/www/style.css"
ln -s /bin/notes "$TREE/www/cgi-bin/index.cgi"
ln -s /bin/notes "$TREE/www/cgi-bin/health"
echo 'notes:x:10001:10001::/nonexistent:/bin/sh' >"$TREE/etc/passwd"
echo 'notes:x:10001:' >"$TREE/etc/group"

tar --create --directory "$TREE" --sort=name --owner=0 --group=0 --numeric-owner . |
  docker import --change 'USER 10001:10001' --change 'EXPOSE 8080' --change 'ENV PATH=/bin HOME=/nonexistent' \
    --change 'ENTRYPOINT ["/bin/notes"]' --change 'CMD ["serve"]' \
    --change "LABEL gardien.files=$FILES" --message "gardien's trial notebook" - "$NAME"
