#!/bin/sh
# Brings unix users, Samba's passwords, folders and the include line to what the table says. All data is in the table,
# one line a share with tabs between: share, user, on|off, new|adopt, NT hash or "-", base folder, folder in it.
#   check SHARES TABLE   before they count: whether Samba takes them, and nothing of anybody else's is in the way
#   apply [USER...]      make it so, and give what was taken over for these users back to whom it belonged
#   look                 say what is not so
#   prove                log in to every share as its user
#   back [USER...]       what the table in place says; without one, as if there never had been shares. What was taken over
#                        and never proved is given back as well
#   records              which users have folders, and what is on record of those that were taken over
#   list FOLDER          what lies in a base folder
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
umask 077
MAIN=/etc/samba/smb.conf
SHARES=/etc/smb.shares.conf
TABLE=/etc/gestion/samba/users
MADE=/var/lib/gestion/samba-folders
OWNERS=/var/lib/gestion/samba-owners
MARK='Gestion share '
NOTE='# Gestion keeps its shares in a file of their own:'
INCLUDE="include = $SHARES"
TAB=$(printf '\t')
FLAGS='[U          ]'
WORK=
LISTED=
KICK=
GONE=
MODE=$1
BACK=" $* "

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
  for tool in testparm pdbedit smbpasswd smbcontrol smbstatus useradd perl; do
    command -v "$tool" >/dev/null || die "Samba is not there: $tool is missing. Install the packages samba, passwd and perl-base."
  done
  [ -f "$MAIN" ] || die "There is no $MAIN. Install the package samba, or make that file."
}

# Set the fields of a share from the next line of the table at descriptor 3; false at its end
next_share() {
  while IFS=$TAB read -r share user state adopt hash base folder <&3; do
    [ -n "$folder" ] || continue
    path=$base/$folder
    return 0
  done
  return 1
}

table() {
  if [ -f "$TABLE" ]; then printf %s "$TABLE"; else printf /dev/null; fi
}

# The sections of what testparm prints on standard input
sections() { sed -n 's/^\[\(.*\)\]$/\1/p' | sort -u; }

# Names as Samba compares them, without regard to case, also that of letters beyond ASCII
caseless() { perl -CS -ne 'no warnings; print lc' | sort -u; }

comment_of() { getent passwd "$1" | cut -d: -f5; }

is_ours() { case $(comment_of "$1") in "$MARK"?*) ;; *) return 1 ;; esac }

our_users() {
  getent passwd | awk -F: -v mark="$MARK" 'index($5, mark) == 1 { print $1 }'
}

line='^[[:space:]]*include[[:space:]]*=[[:space:]]*'
has_include() { grep -Eiq "$line/etc/smb\.shares\.conf[[:space:]]*\$" "$1"; }
