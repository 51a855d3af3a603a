# What backup-run does to try the way of a backup: the run itself, by the same rsnapshot.conf, rsync and options, into a
# folder that is gone afterwards, until its first file has come over. It is read by backup-run, and started by nobody.

# So many bytes at most, and so many KiB/s: by the time that a first file is seen, not much more has come.
SMALL='--max-size=1m --bwlimit=4096'
[ ! -e "$dir/large" ] || SMALL=--bwlimit=4096 # there are only larger ones: the beginning of one is enough
LOOK_FOR=60 # seconds; in a folder of very many names there may be none by then

try_way() {
  note phase looking
  exec 5>>"$home/$w_uuid.try"
  flock -w 10 5 || finish failed busy "It is being tried already: $(holders "$home/$w_uuid.try")."
  check_destination
  destination=$base # its folder may not be there yet
  check_space
  make_scratch
  note reached place
  w_lock=$dir/rsnapshot.pid # not the one of runs: one may be at work, or begin meanwhile
  run_config
  {
    printf 'config_version\t1.2\nsnapshot_root\t%s/\n' "$w_scratch" # rsnapshot wants them before what uses them
    grep -Ev '^(config_version|snapshot_root)[[:space:]]' "$dir/conf"
  } >"$dir/conf.new"
  mv "$dir/conf.new" "$dir/conf"
  note phase copying
  pull
  if only_large; then
    : >"$dir/large"
    rm -f "$dir/rsync.pid"
    pull
  fi
  judge_try
}

only_large() { # no file came, and something is there that was left out for its size
  [ ! -e "$dir/came" ] && [ -z "$(first_file "$w_scratch/.sync/data")" ] &&
    [ "${files:-0}" -gt "$(find "$w_scratch/.sync/data" 2>/dev/null | wc -l)" ]
}

make_scratch() { # on the file system of the copies, root's alone
  w_scratch=${base%/}/.gestion-try-$w_uuid
  rm -rf --one-file-system "$w_scratch" # of a try that lost its power
  wrong=$(mkdir -m 0700 "$w_scratch" 2>&1) || {
    w_scratch=
    finish failed destination_write "Nothing can be written into $base: $wrong"
  }
}

until_a_file() { # PID FOLDER: ends rsync once a file has come over, and tells its name
  waited=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1)) came=$(first_file "$2" -size +0)
    [ ! -e "$dir/large" ] || came=$(find "$2" -type f -size +0 -printf '%P' -quit 2>/dev/null | tr '\n' '?')
    if [ -n "$came" ] || { [ "$waited" -gt $((LOOK_FOR * 5)) ] && [ -n "$(find "$2" -mindepth 1 -print -quit 2>/dev/null)" ]; }; then
      printf '%s\n' "$came" >"$dir/came"
      end_rsync "$1"
      return
    fi
  done
}

first_file() { # FOLDER TEST…: one that is whole; rsync calls one that is not .NAME.XXXXXX
  in=$1; shift
  find "$in" -type f ! -name '.*.??????' "$@" -printf '%P' -quit 2>/dev/null | tr '\n' '?'
}

cut_short() { # what rsync says of its end by us is no fault
  echo 0 >"$dir/rsync.code"
  sed -i -E '/\((32|104)\)$|^rsync error: |connection unexpectedly closed/d' "$dir/errors"
}

judge_try() { # what a run would not end with, either
  partial
  [ "$counted" = 0 ] && { [ -z "$incomplete" ] || [ "$away$shorter" != 00 ]; } ||
    finish incomplete partial "A run would not copy everything. $partial"
  if [ -e "$dir/came" ]; then came=$(cat "$dir/came"); else
    [ "${files:-0}" -gt 1 ] || finish held source_empty "$(nothing_found)"
    came=$(first_file "$w_scratch/.sync/data")
  fi
  if [ -e "$dir/large" ] && [ -n "$came" ]; then
    note began "$(printf '%s' "$came" | sed -E 's|^(.*/)?\.([^/]*)\.[^/.]{6}$|\1\2|')"
    came=
  fi
  note came "$came"
  note reached file
  finish done '' ''
}
