#!/usr/bin/env bash
# Sets up what Gestion needs on this machine, and only what is missing:
#   ./setup.sh run     Python and front-end packages, to run the panel
#   ./setup.sh demo    … and what the lab's real hosts need (Debian packages; as root)
#   ./setup.sh test    … and what the tests need
# The Makefile calls it. Nothing is fetched later, at run time.
set -euo pipefail
cd "$(dirname "$0")"

for_run=(make python3-venv)
for_lab=(lxc mmdebstrap iptables iproute2 procps openssh-client curl)
for_test=(git rsync sudo postgresql redis-server chromium-headless-shell fonts-dejavu-core pebble caddy docker.io docker-compose)

case "${1:-}" in
run) wanted=("${for_run[@]}") ;;
demo) wanted=("${for_run[@]}" "${for_lab[@]}") ;;
test) wanted=("${for_run[@]}" "${for_lab[@]}" "${for_test[@]}") ;;
*) sed -n '2,6s/^# \?//p' "$0" >&2; exit 2 ;;
esac

say() { printf '%s\n' "setup: $*" >&2; }

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
    done
}

install_packages() {
    # Postgres, Redis and LXC are for us to start when we need them, not for the machine to start at once. A policy of
    # ours that is there already was left by a set-up that was killed.
    local policy=/usr/sbin/policy-rc.d mark='# of Gestion, while it sets up'
    if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    # What was interrupted goes on first: apt-get refuses to work until then.
    dpkg --configure -a >/dev/null
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

debian_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        say "this is not Debian: have these yourself: ${wanted[*]}"
        return
    fi
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ]; then
        say "installing Debian packages: ${missing[*]}"
        install_packages "${missing[@]}"
    else
        say "missing Debian packages (what needs them is left out; as root: apt install ${missing[*]})"
    fi
}

base_python() {
    # Debian's before another one in PATH: python3-venv above is its, and it runs a tenth faster than one of pyenv.
    if /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo /usr/bin/python3
    else
        echo python3
    fi
}

python_packages() {
    local mark=.venv/installed
    if [ -x .venv/bin/python ] && cat requirements.txt requirements-dev.txt | cmp -s - "$mark"; then return; fi
    say "installing Python packages into .venv"
    # Without its mark, it was left half made: nobody knows which packages are whole.
    [ -x .venv/bin/python ] && [ -e "$mark" ] || "${PYTHON:-$(base_python)}" -m venv --clear .venv
    rm -f "$mark"
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements.txt -r requirements-dev.txt
    cat requirements.txt requirements-dev.txt >"$mark"
}

front_end() {
    local mark=node_modules/installed
    if cmp -s package-lock.json "$mark"; then return; fi
    say "installing the front end into node_modules"
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm ci --silent --ignore-scripts
    cp package-lock.json "$mark"
}

debian_packages
python_packages
front_end
