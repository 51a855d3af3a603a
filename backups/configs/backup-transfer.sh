# What backup-run does in the place of rsync: asks the source how its folder stands, then copies.
# It is read by backup-run, and started by nobody.

transfer() { # in the place of rsync, started by rsnapshot: looks at the source first, over the connection that rsync takes
  read_spec
  [ "$w_kind" != try ] || . "${0%/*}/backup-try"
  rsh= from= to= reader=
  for word in "$@"; do
    case $word in --rsh=*) rsh=${word#--rsh=} ;; --rsync-path=*) reader=${word#--rsync-path=} ;; esac
    from=$to to=$word
  done
  plain=$rsh
  rsh="$rsh -o ControlMaster=auto -o ControlPath=$sock -o ControlPersist=30 -o BatchMode=yes -o ConnectTimeout=20"
  rsh="$rsh -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
  ask="sh -c '$PLACE'"
  [ -z "$reader" ] || ask="$reader look $w_uuid"
  ask_source
  [ -z "$reader" ] || case $code in 0 | 124 | 255) ;; *) code=97 ;; esac
  case $code in
    97 | 124 | 255)
      [ "$code" != 97 ] || note reached login # it was let in, and no further
      note source_said "$(stray_line)"
      [ "$code" != 255 ] || ask_the_way
      tail -n 5 "$dir/errors" | cut -b -2000 >>"$dir/output"
      if [ "$code" = 124 ]; then note source_silent yes; code=30; fi
      echo "$code" >"$dir/rsync.code"
      exit 0
      ;;
  esac
  note reached login
  check_source || exit 0
  note reached folder
  before=${to%/.sync/*}/.before/${to##*/.sync/}
  [ ! -d "$before" ] || set -- "--link-dest=$before" "$@"
  case $from in /*) ;; *) set -- "$@" "--rsh=$rsh" ;; esac
  [ "$w_kind" != try ] || set -- $SMALL "$@"
  {
    rsync --info=progress2 --stats --no-human-readable --timeout="$w_stall" "$@" >"$dir/progress" &
    pid=$!
    echo "$pid" >"$dir/rsync.pid"
    [ "$w_kind" != try ] || until_a_file "$pid" "$to" 7>&- 9>&- &
    wait "$pid"
    echo $? >"$dir/rsync.code"
    close_connection >/dev/null 2>&1 7>&- 9>&- &
  } 2>&1 | { head -c 4000000 | head -n 5000; cat >/dev/null; } | by_its_folder | tee -a "$dir/errors" >>"$dir/output"
  [ ! -e "$dir/came" ] || cut_short
  read -r code <"$dir/rsync.code"
  # Of other errors rsnapshot must not know: it would throw away what was copied so far. The run itself judges.
  case $code in 23 | 24) exit "$code" ;; esac
  exit 0
}

ask_source() { # what PLACE finds at the source, into $found, and its code; what the login prints may have no end
  printf '%s\n' "$w_source_folder" >"$dir/asked"
  (
    ulimit -f 16384 # times 512 bytes
    case $from in
      /*) exec timeout 90 sh -c "$PLACE" ;;
      *) exec timeout 90 $rsh "${from%%:*}" "$ask" 7>&- 9>&- ;;
    esac
  ) <"$dir/asked" >"$dir/looked" 2>>"$dir/errors"
  code=$?
  [ "$(stat -c %s "$dir/looked")" -lt 8388608 ] || code=0 # it was let in; that ssh came to the bound says no more
  found=$(grep -aE "$FACTS" "$dir/looked" | tail -n 9)
}

ask_the_way() { # an ssh that keeps its connection has the hosts on the way say nothing: once more without, for why
  grep -qsE '^Connection (closed|reset) by UNKNOWN port ' "$dir/errors" || return 0
  (
    ulimit -f 256 # as above: a source that speaks so itself may go on for ever
    exec timeout 60 $plain "${from%%:*}" true </dev/null >/dev/null 2>>"$dir/errors" 7>&- 9>&-
  )
}

by_its_folder() { # where sudo reads the source, its rsync knows the folder by its UUID; people do not
  [ -n "$reader" ] || exec cat
  folder=$(printf '%s' "${w_source_folder%/}" | sed 's/[\\&|]/\\&/g')
  exec sed -u -E "s|\"/$w_uuid(/)?|\"$folder\1|g"
}

stray_line() { # what the source said beside what it was asked
  grep -avE "$FACTS" "$dir/looked" | tr -d '\000-\010\013-\037\177' | grep -am 1 '[^[:space:]]' | cut -c -200
}

check_source() { # 1: held
  look_at "$found"
  note source_seen "${s_seen:-no}"
  note source_said "$(stray_line)"
  if [ "$s_asked" = no ]; then
    note source_reads yes
    echo 2 >"$dir/rsync.code"
    return 1
  fi
  if [ "$s_seen" != yes ]; then # a server that lets in rsync alone: what was copied is judged afterwards
    say "The source let nobody look at its folder: $(stray_line)"
    return 0
  fi
  source_place=$s_place unmounted=$s_unmounted
  note source_place "$source_place"
  if [ -n "$unmounted" ]; then
    hold source_unmounted "$unmounted is not mounted at the source." || return 1
  elif [ -n "$w_source_place" ] && [ "${w_source_place%% *}" != "${source_place%% *}" ]; then
    hold source_unmounted "The source folder lay on the file system ${w_source_place%% *} before, and now on ${source_place%% *}." || return 1
  fi
  case $s_state in
    folder) ;;
    file) hold source_missing "The source is a file, not a folder: back up its folder, and leave out the rest." || return 1 ;;
    other) hold source_missing "The source is no folder, but a pipe, a socket or a device." || return 1 ;;
    unreadable) hold source_missing "The source folder, or one above it, may not be entered." || return 1 ;;
    *) hold source_missing "The source folder is not there." || return 1 ;;
  esac
  [ "$s_entries" = yes ] || hold source_empty "The source folder is empty." || return 1
}
