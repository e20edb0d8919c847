#!/bin/sh
# The trial notebook: the command of the image (`notes serve`, `dump`, `load`, `pause`, `resume`) and its web page, called by
# busybox httpd as a CGI program.
set -eu
umask 077

DB=/data/notes.db
PAUSED=/data/paused   # while this file is there, nothing is written
TABLE="CREATE TABLE notes (id INTEGER PRIMARY KEY, made TEXT NOT NULL DEFAULT (datetime('now')), text TEXT NOT NULL);"

sql() { # [file]: runs the SQL on standard input; a missing file is an error, not a new database
  { echo '.timeout 5000'; cat; } | sqlite3 -batch -bail "file:${1:-$DB}?mode=${2:-rw}"
}

fresh() { # a new database from the SQL on standard input; takes the old one's place in one move, once it is found whole
  rm -f "$DB.new" "$DB.new-journal"
  sql "$DB.new" rwc
  [ "$(echo 'PRAGMA integrity_check; SELECT count(*) >= 0 FROM notes;' | sql "$DB.new" | tr '\n' ' ')" = "ok 1 " ]
  rm -f "$DB-journal"
  mv "$DB.new" "$DB"
}

serve() {
  if [ ! -e /data/attachments ]; then
    mkdir /data/attachments
    echo "What lies in this folder is saved, too. / Ce qui est dans ce dossier est sauvegardé aussi." \
      >"/data/attachments/read me - lisez-moi.txt"
  fi
  if [ ! -e "$DB" ]; then
    fresh <<SQL
$TABLE
INSERT INTO notes (text) VALUES
  ('Welcome! These notes live in a real database.' || char(10) || 'Bienvenue ! Ces notes vivent dans une vraie base de données.'),
  ('Write something of your own, then make a backup.' || char(10) || 'Écrivez quelque chose, puis faites une sauvegarde.'),
  ('Lose it all, then restore it: gardien brings it back.' || char(10) || 'Perdez tout, puis restaurez : gardien le fait revenir.');
SQL
  fi
  # The first process of a container has to pass the signal on, or stopping takes ten seconds.
  httpd -f -p 8080 -h /www &
  trap 'kill $!; exit 0' TERM INT
  wait $!
}

answer() { # status, kind
  # The whole status line: of a CGI program's `Status:` httpd would make one that lacks the reason.
  printf 'HTTP/1.1 %s\r\nContent-Type: %s; charset=utf-8\r\nConnection: close\r\nCache-Control: no-store\r\n' "$1" "$2"
  printf "Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'\r\n"
  printf 'X-Content-Type-Options: nosniff\r\n\r\n'
}

health() {
  paused=false
  if [ -e "$PAUSED" ]; then paused=true; fi
  if count=$(echo 'SELECT count(*) FROM notes;' | sql 2>/dev/null); then
    answer '200 OK' application/json
    printf '{"ok": true, "notes": %s, "paused": %s}\n' "$count" "$paused"
  else
    answer '503 Service Unavailable' application/json
    printf '{"ok": false, "notes": 0, "paused": %s}\n' "$paused"
  fi
}

say() { if [ "$FRENCH" ]; then printf '%s' "$2"; else printf '%s' "$1"; fi; } # English, French

words() { # status, English, French: a page with one sentence
  answer "$1" text/html
  cat <<HTML
<!doctype html><html lang="$(say en fr)"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$(say 'Trial notebook' "Carnet d'essai")</title><link rel="stylesheet" href="/style.css">
<main><p role="alert">$(say "$2" "$3")</p><p><a href="/">$(say 'Back to the notes' 'Retour aux notes')</a></p></main></html>
HTML
}

page() {
  # Escaped by the database, and only here; the rest of the page is ours.
  if ! notes=$(sql 2>/dev/null <<'SQL'
SELECT '<li><p>' || replace(replace(replace(text, '&', '&amp;'), '<', '&lt;'), '>', '&gt;') ||
  '</p><time datetime="' || replace(made, ' ', 'T') || 'Z">' || made || ' UTC</time></li>' FROM notes ORDER BY id DESC;
SQL
  ); then
    words '503 Service Unavailable' 'The notes cannot be read.' 'Impossible de lire les notes.'
    return
  fi
  files=""
  for file in /data/attachments/*; do
    if [ -e "$file" ]; then files="$files<li>$(printf %s "${file##*/}" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')</li>"; fi
  done
  answer '200 OK' text/html
  cat <<HTML
<!doctype html>
<html lang="$(say en fr)">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$(say 'Trial notebook' "Carnet d'essai")</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>$(say 'Trial notebook' "Carnet d'essai")</h1>
<p>$(say 'Looked after by gardien.' 'Sous la garde de gardien.')</p>
<form method="post" action="/cgi-bin/index.cgi">
<label for="text">$(say 'A new note' 'Une nouvelle note')</label>
<textarea id="text" name="text" rows="3" maxlength="2000" required></textarea>
<button>$(say 'Keep it' 'Garder')</button>
</form>
<h2>$(say 'Notes' 'Notes')</h2>
<ul class="notes">
$notes
</ul>
<h2>$(say 'Files beside them' 'Fichiers à côté')</h2>
<ul>
$files
</ul>
</main>
</html>
HTML
}

add() {
  # A form on a stranger's page may not write here.
  case ${HTTP_SEC_FETCH_SITE:-same-origin} in
    same-origin | none) ;;
    *) words '403 Forbidden' 'This form is not ours.' "Ce formulaire n'est pas le nôtre." && return ;;
  esac
  case ${CONTENT_LENGTH:-} in
    '' | *[!0-9]* | ??????*) words '413 Content Too Large' 'This note is too long.' 'Cette note est trop longue.' && return ;;
  esac
  body=$(head -c "$CONTENT_LENGTH")
  text=$(httpd -d "${body#text=}" | tr -d '\r')
  if [ -z "$text" ]; then
    words '400 Bad Request' 'This note is empty.' 'Cette note est vide.'
    return
  fi
  # As hexadecimal: whatever was typed never becomes a part of the SQL. The switch is looked at within the write itself, so
  # that after `notes pause` nothing slips in.
  if ! kept=$(sql 2>/dev/null <<SQL
INSERT INTO notes (text) SELECT CAST(x'$(printf '%s' "$text" | xxd -p | tr -d '\n')' AS TEXT) WHERE readfile('$PAUSED') IS NULL;
SELECT changes();
SQL
  ); then
    words '503 Service Unavailable' 'The note could not be kept.' "La note n'a pas pu être gardée."
  elif [ "$kept" = 0 ]; then
    words '503 Service Unavailable' 'A backup is being made: try again in a moment.' 'Une sauvegarde est en cours : réessayez dans un instant.'
  else
    printf 'HTTP/1.1 303 See Other\r\nLocation: /\r\nConnection: close\r\n\r\n'
  fi
}

cgi() {
  FRENCH=""
  case ${HTTP_ACCEPT_LANGUAGE:-} in fr*) FRENCH=yes ;; esac
  case ${0##*/}:$REQUEST_METHOD in
    health:*) health ;;
    *:POST) add ;;
    *) page ;;
  esac
}

case ${GATEWAY_INTERFACE:+cgi}${1:-} in
  cgi*) cgi ;;
  serve) serve ;;
  # The count first: an empty file would make a dump that looks whole.
  dump) echo 'SELECT count(*) FROM notes;' | sql >/dev/null && echo .dump | sql ;;
  load) fresh ;;
  # Waits for a note being written at this moment.
  pause) : >"$PAUSED" && echo 'BEGIN IMMEDIATE; COMMIT;' | sql ;;
  resume) rm -f "$PAUSED" ;;
  *)
    echo "notes: cannot do '${1:-}': it takes serve, dump, load, pause or resume" >&2
    exit 2
    ;;
esac
