#!/bin/sh
# Has the backup server read one folder of this server as root although it logs in as somebody else, and nothing more.
#   backup-source --server --sender … . /UUID/   what rsync starts here, to read the folder of that backup
#   backup-source look UUID                      where that folder lies, for the guards of a run
#   backup-source ready                          whether all of this works here
# Who may read what is in /etc/gestion/backup-source: unix user, UUID and folder, with tabs between them. sudo lets
# these users start this program with any words, so every word is looked at. Written by Gestion, see docs/backups.md.
umask 077
set -f
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
self=/usr/local/lib/gestion/backup-source
tab=$(printf '\t')

refuse() { echo "gestion-source: $1" >&2; exit 97; }

# In a mount namespace of its own: a root of its own, with the folder and the programs alone, so that no symbolic link
# in the folder, however it came there, leads to anything else. Then as nobody, with the one capability to read
# everything there is. Arguments: UUID, rsync's own words. It stands in the folder.
INSIDE='refuse() { echo "gestion-source: this server cannot show rsync the folder alone: $1" >&2; exit 97; }
v=/run/gestion-source name=$1; shift
mkdir -p -m 700 $v && mount -n -t tmpfs -o mode=0755 gestion-source $v || refuse "mount is not allowed."
mkdir "$v/$name" && mount -n -c --rbind . "$v/$name" && mount -n -o remount,bind,ro "$v/$name" || refuse "mount is not allowed."
for each in usr bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$each" ]; then ln -s "$(readlink "/$each")" "$v/$each"
  elif [ -d "/$each" ]; then mkdir "$v/$each" && mount -n --rbind "/$each" "$v/$each"; fi || refuse "/$each is not there."
done
only=-all,+dac_read_search
exec env -i PATH="$PATH" LC_ALL=C chroot $v setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
  --inh-caps=$only --ambient-caps=$only --bounding-set=$only rsync "$@"'

enter() { # UUID: into its folder, if it is one that this user may have read
  folder=
  while IFS=$tab read -r user uuid place; do
    [ "$user" != "$SUDO_USER" ] || [ "$uuid" != "$1" ] || folder=$place
  done 2>/dev/null </etc/gestion/backup-source
  [ -n "$folder" ] || refuse "$SUDO_USER may not have this read here."
}

stands_in() { # the folder, and not where a symbolic link in its place leads
  [ "$(pwd -P)" = "$folder" ] || refuse "$folder is a symbolic link, or lies behind one: back up the folder that it leads to, $(pwd -P)."
}

check_words() { # of rsync(1), as it starts itself at the other end: those that read, and none that names a file or a program
  [ "$1" = --server ] && [ "$2" = --sender ] && [ $# -gt 3 ] || refuse "it is for rsync, and only to read."
  shift 2
  while [ $# -gt 2 ]; do
    case $1 in
      --numeric-ids | --ignore-missing-args | --files-from=- | --from0 | --log-format=%i | --log-format=X) ;;
      --timeout=*[!0-9]* | --bwlimit=*[!0-9]*) refuse "$1 is not allowed." ;;
      --timeout=?* | --bwlimit=?*) ;;
      -[!-]*e.*)
        case ${1%%e.*} in -*[!ADHSXRcdgilnoprtvx]*) refuse "$1 is not allowed." ;; esac
        case ${1#*e.} in *[!A-Za-z.]*) refuse "$1 is not allowed." ;; esac
        ;;
      *) refuse "$1 is not allowed." ;;
    esac
    shift
  done
  [ "$1" = . ] || refuse "$1 is not allowed."
  name=${2#/} name=${name%/}
  [ "$2" = "/$name/" ] || refuse "$2 is not allowed."
  case $name in *[!0-9a-f-]* | '') refuse "$2 is not allowed." ;; esac
}

read_alone() { # UUID WORDS…: rsync, in a view of the current folder
  command -v rsync >/dev/null || refuse "rsync is not installed here."
  unshare -m true 2>/dev/null || refuse "this server cannot show rsync the folder alone: unshare is not allowed. In a container of Proxmox it takes the feature “nesting”."
  exec unshare -m --propagation private sh -c "$INSIDE" gestion-source "$@"
}

if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || refuse "sudo is not installed here."
  exec sudo -n "$self" "$@"
fi
case $1 in
  ready) cd /usr && read_alone ready --version ;;
  look)
    enter "$2"
    if cd -P "$folder" 2>/dev/null; then stands_in; fi
    IFS= read -r asked # the backup server says the folder, too: a login that reads took it
    case $asked in
      '') folder= ;;
      "$folder") ;;
      *) refuse "It lets $SUDO_USER read $folder, and not yet $asked, to which the backup was changed. Look at the rollout of “Read by sudo” to it." ;;
    esac
    printf '%s\n' "$folder" | exec sh "$self.place"
    ;;
  *)
    check_words "$@"
    enter "$name"
    cd -P "$folder" 2>/dev/null || refuse "$folder is not there, or is no folder."
    stands_in
    read_alone "$name" "$@"
    ;;
esac
