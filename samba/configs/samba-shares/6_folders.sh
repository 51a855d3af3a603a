# Folders of shares. Others may write in them and on the way to them, and lay a symbolic link there at any moment: so no work
# is done by a path. Each step is taken, then proved, and the work is done on the folder that we stand in.

# Go along $1 from here. A symbolic link is followed only with "links" as $2, and only where nobody but root can have laid it.
# 1: a part is not there, and MISSING is the rest of the way, this part first
walk() {
  MISSING=$1 hops=0
  while [ -n "$MISSING" ]; do
    part=${MISSING%%/*}
    case $MISSING in */*) rest=${MISSING#*/} ;; *) rest= ;; esac
    if [ -L "./$part" ]; then
      hops=$((hops + 1))
      [ "$2" = links ] && [ "$hops" -lt 20 ] && roots_alone ||
        die "$path leads through a symbolic link, which a share's folder must not."
      target=$(readlink -- "./$part") rest=$target/$rest
      case $target in /*) cd / ;; esac
    elif [ -n "$part" ] && [ ! -e "./$part" ]; then
      return 1
    else
      step
    fi
    MISSING=$rest
  done
}

step() {
  case $part in
  '' | .) return ;;
  ..) cd -P .. && return ;;
  esac
  [ -d "./$part" ] || die "$path is there and is no folder."
  at=$(pwd -P)
  cd -P "./$part" 2>/dev/null && [ "$(pwd -P)" = "${at%/}/$part" ] ||
    die "$path leads through a symbolic link, which a share's folder must not."
}

# Whether only root can change what lies here; an ACL that lets others write shows as the group's w
roots_alone() {
  case $(stat -c '%u %A' .) in
  '0 '?????w* | '0 '????????w*) return 1 ;;
  '0 '*) return 0 ;;
  esac
  return 1
}

# Go to the folder of the share; 1: it is not there
enter() { cd / && walk "$base" links && walk "$folder" none; }

# The same, and make what is missing on the way: MADE_NOW tells
enter_or_make() {
  MADE_NOW= tries=0
  until enter; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] && (umask 022 && mkdir -- "./${MISSING%%/*}") || return 1
    MADE_NOW=yes
  done
}
