#!/bin/sh
# Brings unix users, Samba's passwords, folders and the include line to what the table says. All data is in the table,
# one line a share with tabs between: share, user, on|off, new|adopt, NT hash or "-", base folder, folder in it.
#   check SHARES TABLE   before they count: whether Samba takes them, and nothing of anybody else's is in the way
#   apply                make it so         look   say what is not so
#   prove                log in to every share as its user
#   back                 what the table in place says; without one, as if there never had been shares
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
umask 077
MAIN=/etc/samba/smb.conf
SHARES=/etc/smb.shares.conf
TABLE=/etc/gestion/samba/users
MADE=/var/lib/gestion/samba-folders
MARK='Gestion share '
NOTE='# Gestion keeps its shares in a file of their own:'
INCLUDE="include = $SHARES"
TAB=$(printf '\t')
FLAGS='[U          ]'
WORK=
KICK=
GONE=
MODE=$1

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

work_folder() {
  WORK=$(mktemp -d /run/gestion-samba.XXXXXX) || exit 1
  trap 'rm -rf "$WORK"' EXIT
  trap 'exit 1' HUP INT TERM
}

need() {
  for tool in testparm pdbedit smbpasswd smbcontrol smbstatus useradd; do
    command -v "$tool" >/dev/null || die "Samba is not there: $tool is missing. Install the packages samba and passwd."
  done
  [ -f "$MAIN" ] || die "There is no $MAIN. Install the package samba, or make that file."
}

# Set the fields of a share from the next line of the table at descriptor 3; false at its end
next_share() {
  while IFS=$TAB read -r share user state adopt hash base folder <&3; do
    case $share in '' | \#*) continue ;; esac
    path=$base/$folder
    return 0
  done
  return 1
}

table() {
  if [ -f "$TABLE" ]; then printf %s "$TABLE"; else printf /dev/null; fi
}

# The sections of what testparm prints on standard input, in lower case
sections() {
  sed -n 's/^\[\(.*\)\]$/\1/p' | tr '[:upper:]' '[:lower:]' | sort -u
}

comment_of() { getent passwd "$1" | cut -d: -f5; }

our_users() {
  getent passwd | awk -F: -v mark="$MARK" 'index($5, mark) == 1 { print $1 }'
}

line='^[[:space:]]*include[[:space:]]*=[[:space:]]*'
has_include() { grep -Eiq "$line/etc/smb\.shares\.conf[[:space:]]*\$" "$1"; }

# ---- check

check() {
  need
  work_folder
  check_samba
  check_sections "$1"
  while next_share; do
    check_user
    check_folder
  done 3<"$2"
}

check_samba() {
  grep -Eiv "$line\"?/etc/smb\.shares\.conf" "$MAIN" >"$WORK/main"
  testparm -s "$WORK/main" >"$WORK/out" 2>"$WORK/err" ||
    die "Samba does not accept $MAIN as it is: $(tail -n 5 "$WORK/err")"
  sections <"$WORK/out" >"$WORK/theirs"
  level=$(testparm -s --parameter-name='server min protocol' "$WORK/main" 2>/dev/null)
  case $level in
  CORE* | LANMAN* | NT1) die "$MAIN allows SMB1 (server min protocol = $level). Set it to SMB2 or more first." ;;
  esac
  case $(testparm -s --parameter-name='server role' "$WORK/main" 2>/dev/null) in
  active*) die 'This is a domain controller of Active Directory, whose users are not made this way.' ;;
  esac
}

check_sections() {
  testparm -s "$1" >"$WORK/out" 2>"$WORK/err" || die "Samba does not accept the shares: $(tail -n 5 "$WORK/err")"
  ! grep -Ei 'unknown parameter|ignoring|error|badly formed' "$WORK/err" >&2 || exit 1
  sections <"$WORK/out" | grep -vx global >"$WORK/ours"
  sed -n 's/^\[\(.*\)\]$/\1/p' "$1" | sort -u >"$WORK/meant"
  cmp -s "$WORK/ours" "$WORK/meant" || die 'Samba reads other shares than those that are meant.'
  taken=$(comm -12 "$WORK/ours" "$WORK/theirs" | tr '\n' ' ')
  [ -z "$taken" ] || die "$MAIN has shares of these names already, which are not from Gestion: $taken"
}

check_user() {
  if getent passwd "$user" >/dev/null; then
    [ "$(comment_of "$user")" = "$MARK$share" ] || die "The unix user $user is there already and is not the one of the share $share."
  elif getent group "$user" >/dev/null; then
    die "The unix group $user is there already, so the share $share cannot have a user of that name."
  fi
}

check_folder() {
  [ "$(realpath -m -- "$path")" = "$(realpath -m -- "$base")/$folder" ] ||
    die "$path leads through a symbolic link, which a share's folder must not."
  if [ -d "$path" ]; then
    [ "$adopt" = adopt ] || [ "$(stat -c %U -- "$path")" = "$user" ] ||
      die "The folder $path is there already. If the share $share may have it and all that is in it, say so on its page."
  elif [ -e "$path" ]; then
    die "$path is there and is no folder."
  elif grep -sqxF "$user${TAB}made$TAB$path" "$MADE" || grep -sqxF "$user${TAB}adopted$TAB$path" "$MADE"; then
    die "The folder $path of the share $share has gone. Is its disk mounted? If it shall begin empty, make the folder by hand and let the share have it."
  fi
}

# ---- apply

apply() {
  need
  work_folder
  : >"$WORK/table"
  while next_share; do
    # on the way back, what somebody else has done to one share must not keep the others from coming back
    (check_user && check_folder) || [ "$MODE" = back ] || exit 1
    (check_user && check_folder) 2>/dev/null || continue
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$share" "$user" "$state" "$adopt" "$hash" "$base" "$folder" >>"$WORK/table"
  done 3<"$(table)"
  while next_share; do
    have_user || die "The unix user $user could not be made."
    have_folder || die "The folder $path could not be given to $user."
  done 3<"$WORK/table"
  pdbedit -L -w >"$WORK/pdb" 2>/dev/null
  while next_share; do have_password; done 3<"$WORK/table"
  if [ -f "$SHARES" ]; then have_include; else leave_include; fi
  reload
  forget
  kick
}

have_user() {
  if ! getent passwd "$user" >/dev/null; then
    useradd --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --no-log-init \
      --comment "$MARK$share" --user-group -- "$user" || return 1
  fi
  [ "$(getent passwd "$user" | cut -d: -f7)" = /usr/sbin/nologin ] || usermod --shell /usr/sbin/nologin -- "$user" || return 1
  [ "$(passwd --status "$user" | cut -d' ' -f2)" = L ] || usermod --lock -- "$user"
}

have_folder() {
  how=made
  if [ ! -d "$path" ]; then
    (umask 022 && mkdir -p -- "${path%/*}" && mkdir -m 0700 -- "$path") || return 1
  elif [ "$(stat -c %U -- "$path")" != "$user" ]; then
    how=adopted
    # a file with a second name elsewhere is not ours to give
    find "$path" -xdev \( -type d -o -links 1 \) -exec chown -h -- "$user:$user" {} + || return 1
  fi
  [ "$(stat -c '%U %G' -- "$path")" = "$user $user" ] || chown -- "$user:$user" "$path" || return 1
  [ "$(stat -c %a -- "$path")" = 2770 ] || chmod 2770 -- "$path" || return 1
  if ! grep -sq "^$user${TAB}[a-z]*$TAB" "$MADE" || ! cut -f 1,3- "$MADE" | grep -qxF "$user$TAB$path"; then
    printf '%s\t%s\t%s\n' "$user" "$how" "$path" >>"$MADE"
  fi
}

# The hash and flags that Samba has of $user; empty: it knows no such user
known_hash() { awk -F: -v user="$user" '$1 == user { print $4 ":" $5 }' "$WORK/pdb"; }

have_password() {
  known=$(known_hash)
  if [ "$state" = off ]; then
    [ -z "$known" ] || smbpasswd -x "$user" >/dev/null || die "Samba could not forget the password of $user."
    [ -z "$known" ] || KICK="$KICK $user"
  elif [ "$hash" = - ]; then
    [ -n "$known" ] || [ "$MODE" = back ] || die "$user has no password, and SAMBA_SECRET_KEY has been replaced: give the share $share a new password."
  elif [ "$known" != "$hash:$FLAGS" ]; then
    # An import takes hashes from a file, so that none is ever an argument; the file is root's, in memory
    printf '%s:%s:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:%s:%s:LCT-%08X:\n' \
      "$user" "$(id -u "$user")" "$hash" "$FLAGS" "$(date +%s)" >"$WORK/import"
    pdbedit -i "smbpasswd:$WORK/import" >/dev/null 2>"$WORK/err"
    pdbedit -L -w -u "$user" 2>/dev/null | grep -qF ":$hash:$FLAGS:" ||
      die "Samba did not take the password of $user: $(tail -n 3 "$WORK/err" | tr -d '\n' | sed "s/$hash/…/g")"
    [ -z "$known" ] || KICK="$KICK $user"
  fi
}

# A copy beside it with the same mode and owner, renamed at the end: at any moment it is the old file or the new one
have_include() {
  has_include "$MAIN" && return
  real=$(readlink -f -- "$MAIN")
  new=$real.gestion-new
  rm -f -- "$new"
  cp -a -- "$real" "$new" || die "$MAIN could not be copied."
  {
    [ -z "$(tail -c 1 -- "$real")" ] || echo
    ! tail -n 1 -- "$real" | grep -q '\\$' || echo # a line that ends so is joined with the next one
    printf '%s\n%s\n' "$NOTE" "$INCLUDE"
  } >>"$new" || die "The include line could not be written."
  put_main
}

leave_include() {
  real=$(readlink -f -- "$MAIN")
  grep -qxF "$NOTE" "$real" || return 0
  new=$real.gestion-new
  rm -f -- "$new"
  cp -a -- "$real" "$new" || die "$MAIN could not be copied."
  sed "/^$NOTE\$/{N;/\\ninclude = \\/etc\\/smb\\.shares\\.conf\$/d}" "$real" >"$new" || die "$MAIN could not be written."
  put_main
}

put_main() {
  testparm -s "$new" >/dev/null 2>"$WORK/err" || {
    rm -f -- "$new"
    die "Samba does not accept $MAIN with the include line: $(tail -n 5 "$WORK/err")"
  }
  sync -- "$new" 2>/dev/null
  mv -f -- "$new" "$real" || die "$MAIN could not be replaced."
}

reload() {
  if [ ! -d /run/systemd/system ]; then
    service smbd reload >/dev/null 2>&1 || service smbd start >/dev/null || die 'smbd does not start.'
  elif systemctl -q is-active smbd; then
    smbcontrol smbd reload-config || systemctl reload smbd || die 'smbd does not read its configuration anew.'
  elif [ -f "$TABLE" ]; then
    systemctl start smbd || die 'smbd does not start.'
  fi
  [ ! -f "$TABLE" ] || [ ! -d /run/systemd/system ] || systemctl -q is-enabled smbd || systemctl -q enable smbd
}

# Users of ours that no share needs, and folders that are none any more. Data stays, and is root's alone from then on.
forget() {
  cut -f 2 "$(table)" >"$WORK/wanted"
  while next_share; do printf '%s\t%s\n' "$user" "$path"; done 3<"$(table)" >"$WORK/folders"
  for user in $(our_users); do
    grep -qxF "$user" "$WORK/wanted" || KICK="$KICK $user" GONE="$GONE $user"
  done
  kick
  if [ -f "$MADE" ]; then
    while IFS=$TAB read -r user how path; do
      if grep -qxF "$user$TAB$path" "$WORK/folders"; then
        printf '%s\t%s\t%s\n' "$user" "$how" "$path"
      else
        set_aside
      fi
    done <"$MADE" >"$MADE.new"
    mv -f "$MADE.new" "$MADE"
  fi
  for user in $GONE; do
    pdbedit -L -w -u "$user" >/dev/null 2>&1 && smbpasswd -x "$user" >/dev/null
    userdel --force -- "$user" 2>"$WORK/err" || die "The unix user $user could not be removed: $(cat "$WORK/err")"
    ! getent group "$user" >/dev/null || groupdel -- "$user" 2>/dev/null
  done
}

set_aside() {
  [ -d "$path" ] && [ ! -L "$path" ] && [ "$(stat -c %U -- "$path")" = "$user" ] || return 0
  if [ "$how" = made ] && rmdir -- "$path" 2>/dev/null; then return 0; fi
  chown root:root -- "$path" && chmod 0700 -- "$path" && chmod g-s -- "$path"
}

# End the connections of users whose password or access has changed
kick() {
  for user in $KICK; do
    for process in $(smbstatus -p -u "$user" 2>/dev/null | awk -v user="$user" '$2 == user && $1 ~ /^[0-9]+$/ { print $1 }'); do
      kill -TERM "$process" 2>/dev/null
    done
  done
  KICK=
}

# ---- look, prove

look() {
  work_folder
  : >"$WORK/differs"
  pdbedit -L -w >"$WORK/pdb" 2>/dev/null
  while next_share; do look_at_share; done 3<"$(table)" >>"$WORK/differs"
  cut -f 2 "$(table)" >"$WORK/wanted"
  for user in $(our_users); do
    grep -qxF "$user" "$WORK/wanted" || echo "The unix user $user belongs to no share any more."
  done >>"$WORK/differs"
  if [ -f "$SHARES" ]; then
    has_include "$MAIN" || echo "$MAIN does not include $SHARES."
    [ ! -d /run/systemd/system ] || systemctl -q is-active smbd || echo 'smbd does not run.'
  fi >>"$WORK/differs"
  [ ! -s "$WORK/differs" ] || {
    cat "$WORK/differs"
    exit 1
  }
}

look_at_share() {
  entry=$(getent passwd "$user") || { echo "The unix user $user is not there."; return; }
  [ "${entry##*:}" = /usr/sbin/nologin ] || echo "The unix user $user has the shell ${entry##*:}."
  [ "$(passwd --status "$user" | cut -d' ' -f2)" = L ] || echo "The unix user $user has a password of its own."
  known=$(known_hash)
  case $state,$hash in
  off,*) [ -z "$known" ] || echo "$user has a password, though the share $share is switched off." ;;
  *,-) [ -n "$known" ] || echo "$user has no password." ;;
  *) [ "$known" = "$hash:$FLAGS" ] || echo "The password of $user is not the one of the share $share." ;;
  esac
  [ -d "$path" ] || { echo "The folder $path is not there."; return; }
  [ "$(stat -c '%U %G %a' -- "$path")" = "$user $user 2770" ] ||
    echo "The folder $path is $(stat -c '%U %G %a' -- "$path"), not $user $user 2770."
}

prove() {
  look
  command -v smbclient >/dev/null || exit 0
  while next_share; do
    [ "$state" = on ] && [ "$hash" != - ] || continue
    printf 'username = %s\npassword = %s\n' "$user" "$hash" >"$WORK/login"
    smbclient "//127.0.0.1/$share" -A "$WORK/login" --pw-nt-hash -c exit </dev/null >"$WORK/out" 2>&1 && continue
    # a Samba that is not there for the host itself is no failure; that it does not know share or user is one
    case $(cat "$WORK/out") in
    *CONNECTION_REFUSED* | *IO_TIMEOUT* | *UNREACHABLE*)
      [ "$(testparm -s --parameter-name='bind interfaces only' 2>/dev/null)" = Yes ] && continue ;;
    esac
    die "The share $share does not let its user $user in: $(tail -n 1 "$WORK/out")"
  done 3<"$(table)"
}

case $MODE in
check) check "$2" "$3" ;;
apply | back) apply ;;
look) look ;;
prove) prove ;;
*) die "unknown: $MODE" ;;
esac
exit 0
