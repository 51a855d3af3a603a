#!/bin/sh
# One run of a backup on the backup server: look at both sides, copy, look again, rotate. It needs no panel to go on.
#   backup-run start RUN    begin it, with the work as name=value lines on standard input; again: nothing happens
#   backup-run look RUN N   how it stands, then what it said from byte N on
#   backup-run stop RUN     end it and all that it started; backup-run forget RUN  remove what is kept of it
# Nothing is rotated before every guard has let it pass. Written by Gestion, docs/backups.md says how it works.
umask 077
set -f
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
tab=$(printf '\t')
command=$1 run=$2
case $run in *[!A-Za-z0-9-]* | '') echo "no name of a run: $run" >&2; exit 64 ;; esac
home=/var/lib/gestion/backups
dir=$home/runs/$run
unit=gestion-backup-$run
sock=/run/$unit.ssh
stats=

# Where a folder lies, for this server and for the source alike: the path on standard input, name=value lines out.
# It stands between single quotes in a command for ssh, so it holds none.
# The answer begins a line of its own: what a login prints need not end one. "asked=no": the login has read the path itself.
PLACE='IFS= read -r f
echo
case $f in /*) ;; *) echo asked=no; exit ;; esac
state=folder; g=${f%/}
if ! cd "${g:-/}" 2>/dev/null; then
  if [ -f "$g" ]; then state=file; elif [ -d "$g" ]; then state=unreadable; elif [ -e "$g" ]; then state=other; else state=missing; fi
  p=$g
  until g=${g%/*} && cd "${g:-/}" 2>/dev/null; do p=$g; done
  [ $state != missing ] || [ ! -d "$p" ] || state=unreadable # one above it is closed
elif ! [ -r . ]; then state=unreadable; fi
set -f
set -- $(findmnt -n -r -o TARGET,FSTYPE,UUID,SOURCE -T . 2>/dev/null | tail -n 1)
[ $# -ge 3 ] || set -- $(stat -c %m .) $(stat -f -c "%T %i" .)
best=
[ ! -r /etc/fstab ] || while read -r d p rest; do
  case $d in "#"*) continue ;; esac
  case $p in /?*) ;; *) continue ;; esac
  case $p in *\\0*) p=$(printf %b "$p") ;; esac # fstab(5) writes a space as \040
  p=${p%/}
  case $f/ in "$p"/*) [ ${#p} -le ${#best} ] || best=$p ;; esac
done </etc/fstab
echo "state=$state"
[ $# -lt 3 ] || echo "place=$1 $2 $3"
[ $# -lt 3 ] || [ ${#best} -le ${#1} ] || echo "unmounted=$best"
[ -z "$(find . -mindepth 1 -maxdepth 1 ! -name lost+found ! -name ".gestion-try-*" -print -quit 2>/dev/null)" ] || echo entries=yes
echo seen=yes'
FACTS='^(state|place|unmounted|entries|seen|asked)='
newline='
'

note() { # NAME VALUE: a fact about this run, one line each
  case $2 in
    *"$newline"*) printf '%s=%s\n' "$1" "$(printf %s "$2" | tr '\n\r' '  ')" ;;
    *) printf '%s=%s\n' "$1" "$2" ;;
  esac >>"$dir/facts"
}

say() { printf '%s\n' "$*" >>"$dir/output"; }

SPEC='accept config destination destination_place good_bytes good_files keeps kind levels lock longest lowest need_bytes
need_inodes shrink_limit source_folder source_place stall sum uuid'

read_spec() { # into a variable w_NAME for each name of the work
  for name in $SPEC; do eval "w_$name="; done
  while IFS= read -r line; do
    for name in $SPEC; do
      [ "${line%%=*}" != "$name" ] || eval "w_$name=\${line#*=}"
    done
  done <"$dir/spec"
}

finish() { # STATE WHY WORDS: how it ended, told in one step: all of it is there, or nothing
  trap '' TERM INT HUP
  [ -z "$w_kind" ] || drop_scratch
  [ -z "$monitor" ] || kill "$monitor" 2>/dev/null
  close_connection
  note why "$2"; note words "$3"; note ended "$(date +%s)"
  uptime now
  [ -z "$began" ] || note took $((now - began))
  note state "$1" # the last: who looks just then takes a run with a state for one that has told all
  ln "$dir/facts" "$dir/result"
  exit 0
}

hold() { # WHY WORDS: wait for a person's word, unless it was given
  case " $w_accept " in
    *" $1 "*) note accepted "$1"; say "Accepted: $2" ;;
    *) say "Held: $2"; note held "$1"; printf '%s\n' "$2" >"$dir/held"; return 1 ;;
  esac
}

end_held() { finish held "$(sed -n 's/^held=//p' "$dir/facts" | tail -n 1)" "$(cat "$dir/held")"; }

refuse() { say "Held: $2"; finish held "$1" "$2"; }

look_at() { # what PLACE found, into s_state, s_place, s_unmounted, s_entries, s_seen and s_asked; no process for each
  s_state= s_place= s_unmounted= s_entries= s_seen= s_asked=
  while IFS= read -r line; do
    case $line in
      state=*) s_state=${line#*=} ;;
      place=*) s_place=${line#*=} ;;
      unmounted=*) s_unmounted=${line#*=} ;;
      entries=*) s_entries=${line#*=} ;;
      seen=*) s_seen=${line#*=} ;;
      asked=*) s_asked=${line#*=} ;;
    esac
  done <<EOF
$1
EOF
}

holders() { # FILE: the processes that hold its lock, also those that only inherited it
  held=
  set +f
  for fd in $(find /proc/[0-9]*/fd -lname "$1" 2>/dev/null); do
    grep -qs '^lock:' "${fd%/fd/*}/fdinfo/${fd##*/}" || continue
    pid=${fd#/proc/} pid=${pid%%/*}
    held="$held${held:+, }process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"
  done
  set -f
  echo "${held:-a process that cannot be seen}"
}

look_here() { look_at "$(printf '%s\n' "$destination" | sh -c "$PLACE")"; }

close_connection() {
  [ ! -S "$sock" ] || ssh -o ControlPath="$sock" -O exit source 2>/dev/null
}

check_destination() {
  destination=$w_destination known=$w_destination_place
  marker=$destination/.gestion-backup
  look_here
  place=$s_place unmounted=$s_unmounted
  case $destination in /?*) ;; *) refuse destination_root "The destination is not a folder of its own." ;; esac
  if [ "$destination/." -ef / ]; then refuse destination_root "The destination is the root folder."; fi
  case $s_state in file | other | unreadable) refuse destination_unreadable "$destination is not a folder." ;; esac
  base=$destination # what there is of its way
  until [ -d "$base" ]; do
    if [ -e "$base" ] || [ -L "$base" ]; then refuse destination_unreadable "$base is not a folder."; fi
    base=${base%/*} base=${base:-/}
  done
  if [ -n "$unmounted" ]; then
    hold destination_unmounted "$unmounted is not mounted, and $destination lies in it." || end_held
  fi
  if [ -e "$marker" ] || [ -L "$marker" ]; then
    IFS= read -r whose <"$marker"
    [ "$whose" = "$w_uuid" ] || refuse destination_other "$destination belongs to another backup ($whose)."
    if [ -n "$known" ] && [ "$known" != "$place" ]; then
      hold destination_moved "$destination is on another file system ($place) than before ($known)." || end_held
    fi
    # What rsnapshot cannot make there, it tells without the reason. This needs no space: a full disk is told by the next check.
    wrong=$(touch "$destination" 2>&1) || finish failed destination_write "Nothing can be written into $destination: $wrong"
  else
    if [ -n "$known" ]; then
      hold destination_gone "The marker of this backup is not in $destination: is its disk mounted? It lay on $known, now $place is there." || end_held
    elif [ "$s_entries" = yes ] && [ "$s_state" = folder ]; then
      hold destination_foreign "$destination is not empty and has no marker of this backup." || end_held
    fi
    [ "$w_kind" = try ] || wrong=$(mark 2>&1) || finish failed destination_write "The marker could not be written into $destination: $wrong"
  fi
  [ "$w_kind" = try ] || close_destination
  note destination_place "$place"
}

close_destination() { # in the copies, files belong to the source's users: who has such a number here must not get at them
  [ "$(stat -c '%u %a' "$destination")" != '0 700' ] || return 0
  if (cd -P "$destination" && IFS= read -r whose <./.gestion-backup && [ "$whose" = "$w_uuid" ] && chown root: . && chmod 0700 . && chmod g-s .); then
    say "$destination was open to others than root. It is root's alone now."
  else
    say "$destination is open to others than root, and could not be closed."
  fi
}

mark() {
  mkdir -p "$destination" &&
    printf '%s\n%s\n' "$w_uuid" "This folder belongs to a backup of Gestion. Put nothing else into it." >"$marker.new" &&
    sync "$marker.new" && mv "$marker.new" "$marker"
}

still_ours() { # the disk may have gone while it ran
  look_here
  IFS= read -r whose 2>/dev/null <"$marker" && [ "$whose" = "$w_uuid" ] && [ "$s_place" = "$place" ]
}

space() { # free bytes and inodes of the destination; "-" where the file system does not count inodes
  stat -f -c '%S %b %a %c %d' "$destination" | {
    read -r size blocks free inodes inodes_free
    total=$((size * blocks)) left=$((size * free))
    [ "$inodes" -gt 0 ] || inodes_free=-
    # Never to the last byte: a hundredth stays free, between 4 MiB and 1 GiB.
    reserve=$((total / 100))
    [ "$reserve" -le 1073741824 ] || reserve=1073741824
    [ "$reserve" -ge 4194304 ] || reserve=4194304
    echo "$left $inodes_free $reserve"
  }
}

check_space() {
  set -- $(space) "${w_need_bytes:-0}" "${w_need_inodes:-0}"
  note free_bytes "$1"
  [ "$2" = - ] || note free_inodes "$2"
  before_bytes=$1 before_inodes=$2
  if [ "$1" -lt $(($4 + $3)) ]; then
    hold low_space "$1 bytes are free in $destination; this run needs about $4, and $3 stay free." || end_held
  elif [ "$2" != - ] && [ "$2" -lt $(($5 + 100)) ]; then
    hold low_space "$2 inodes are free in $destination; this run needs about $5, and 100 stay free." || end_held
  fi
}

activity() { # PID: grows while rsync reads, from either side, or computes; what it sends to keep a line open is not counted
  total=0
  for each in $1 $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    [ "$(cat "/proc/$each/comm" 2>/dev/null)" = rsync ] || continue
    while read -r name value; do
      case $name in rchar: | write_bytes:) total=$((total + value)) ;; esac
    done 2>/dev/null <"/proc/$each/io"
    # Seconds of processor time; the fields after the name, which may hold anything.
    set -- $(sed 's/.*) //' "/proc/$each/stat" 2>/dev/null)
    [ $# -lt 13 ] || total=$((total + (${12} + ${13}) / 100))
  done
  echo "$total"
}

uptime() { # NAME: whole seconds that have passed, whatever becomes of the clock meanwhile
  read -r passed rest </proc/uptime
  eval "$1=${passed%.*}"
}

watch() { # end what fills the disk, gets nowhere or takes far too long, before it does harm
  uptime seen_at
  until=$((seen_at + w_longest)) last=
  while sleep 2; do
    pid=
    [ ! -s "$dir/rsync.pid" ] || read -r pid <"$dir/rsync.pid"
    [ -n "$pid" ] || continue
    set -- $(space)
    uptime now
    why= active=$(activity "$pid")
    [ "$active" = "$last" ] || { last=$active seen_at=$now; }
    if [ "$1" -lt "$3" ] || { [ "$2" != - ] && [ "$2" -lt 50 ]; }; then why=low_space; fi
    # rsync's own --timeout is content as long as it can send, and a stopped source still takes what is sent.
    [ $((now - seen_at)) -lt "$w_stall" ] || why=hung
    [ "$now" -lt "$until" ] || why=too_long
    [ -n "$why" ] || continue
    case " $w_accept " in *" $why "*) continue ;; esac
    [ -s "$dir/ended" ] || echo "$why" >"$dir/ended"
    end_rsync "$pid"
  done
}

end_rsync() { # PID: with what it started: an ssh whose other end is stopped would wait for it
  kill "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null) 2>/dev/null
}

# The lines that say from where and what: desired_plans.sum_of is of the same.
COPIED="^(backup$tab|one_fs$tab|  (HostName|Port|User) |/)"

run_config() { # the backup's own configuration, with our rsync in the place of rsync
  [ -r "$w_config" ] || finish failed no_config "$w_config is not there: the configuration was not rolled out yet. Look at the rollout of “Backups” to this server."
  if [ -n "$w_sum" ] && [ "$(cat "$w_config" "${w_config%.conf}.exclude" "${w_config%.conf}.ssh" | grep -aE "$COPIED" | sha256sum | cut -c-64)" != "$w_sum" ]; then
    finish failed no_config "This backup was changed, and that has not come here: its configuration is still the old one. Look at the rollout of “Backups” to this server."
  fi
  grep -Ev "^(cmd_rsync|sync_first|link_dest|verbose|loglevel|logfile|lockfile|stop_on_stale_lockfile)[[:space:]]" "$w_config" >"$dir/conf"
  for line in "cmd_rsync:/usr/local/lib/gestion/backup-rsync" sync_first:1 link_dest:1 verbose:2 "lockfile:$w_lock"; do
    printf '%s\t%s\n' "${line%%:*}" "${line#*:}" >>"$dir/conf"
  done
  if [ -s "$w_lock" ]; then # its process may be long gone, and its number another one's; no line end is in it
    grep -qs rsnapshot "/proc/$(cat "$w_lock")/cmdline" || rm -f "$w_lock"
  fi
}

snapshot() { # LEVEL
  said_before=$(wc -c <"$dir/output")
  rsnapshot -c "$dir/conf" "$1" >>"$dir/output" 2>&1 </dev/null
}

copy() {
  note phase copying; say "Copying."
  newest=
  set +f
  for old in "$destination"/*.0; do [ ! -d "$old" ] || newest=$old; done
  set -f
  # What an earlier run left half done shares files with the newest copy: it is read, and never written again.
  if [ -d "$destination/.sync" ] && [ -n "$newest" ]; then
    rm -rf "$destination/.before"
    mv "$destination/.sync" "$destination/.before"
  fi
  pull
}

pull() { # by rsnapshot, which starts transfer in the place of rsync
  rm -f "$dir/rsync.code"
  watch 7>&- 9>&- &
  monitor=$!
  GESTION_RUN_FOLDER=$dir snapshot sync
  code=$?
  kill "$monitor" 2>/dev/null
  monitor=
  note rsnapshot_code "$code"
  [ ! -s "$dir/held" ] || end_held
  rsync_code=
  read -r rsync_code 2>/dev/null <"$dir/rsync.code"
  note rsync_code "$rsync_code"
  figures
  [ ! -s "$dir/ended" ] || ended_by_us
  judge
}

read_stats() { stats=$(tail -c 3000 "$dir/progress" 2>/dev/null | tr '\r' '\n' | tr -d ,); }

figure() { # NAME: a number of what rsync said at its end
  [ -n "$stats" ] || read_stats
  number=
  while IFS= read -r line; do
    case $line in "$1: "*) number=${line#*: } number=${number%%[!0-9]*} ;; esac
  done <<EOF
$stats
EOF
  echo "$number"
}

figures() {
  read_stats
  files=$(figure 'Number of files') bytes=$(figure 'Total file size')
  note files "$files"; note bytes "$bytes"
  note files_transferred "$(figure 'Number of regular files transferred')"
  note bytes_transferred "$(figure 'Total transferred file size')"
  note bytes_received "$(figure 'Total bytes received')"
  set -- $(space)
  note grown_bytes $((before_bytes - $1))
  [ "$2" = - ] || [ "$before_inodes" = - ] || note grown_inodes $((before_inodes - $2))
}

nothing_found() {
  counted=0
  [ "$rsync_code" != 23 ] || partial
  if [ "$counted" != 0 ]; then
    echo "Nothing came from the source: $partial"
  elif [ "$(fact source_seen)" = yes ]; then
    echo "The source came back empty, though something is in its folder: what is left out leaves nothing of it."
  else
    echo "The source is empty: nothing was found in it."
  fi
}

check_copy() {
  note phase checking
  if [ "${files:-0}" -le 1 ]; then
    hold source_empty "$(nothing_found)" || end_held
  elif [ -n "$w_good_files" ] && [ "$w_shrink_limit" -lt 100 ]; then
    if [ $((files * 100)) -lt $((w_good_files * (100 - w_shrink_limit))) ]; then
      hold source_shrunk "The source shrank from $w_good_files to $files files, more than the $w_shrink_limit % that are allowed." || end_held
    elif [ $((bytes * 100)) -lt $((w_good_bytes * (100 - w_shrink_limit))) ]; then
      hold source_shrunk "The source shrank from $w_good_bytes to $bytes bytes, more than the $w_shrink_limit % that are allowed." || end_held
    fi
  fi
}

rotate() { # the levels that are due, the highest first, as rsnapshot(1) says
  note phase rotating
  # Nothing is moved while somebody restores from a copy.
  exec 6>>"$home/$w_uuid.copies"
  if ! flock -n 6; then
    say "Waiting until a restore or a verification has ended."
    flock -w "$w_longest" 6 || finish failed busy "The copies were held for too long by $(holders "$home/$w_uuid.copies")."
  fi
  still_ours || refuse destination_gone "$destination has gone away while this ran: is its disk still mounted?"
  for level in $w_levels; do
    below=
    for kept in $w_keeps; do # lowest first, as hourly:6
      [ "${kept%:*}" != "$level" ] || break
      below=${kept%:*}.$((${kept#*:} - 1))
    done
    # Rotated without a copy to take over, a level would only lose its oldest one.
    if [ "$level" != "$w_lowest" ] && [ ! -d "$destination/$below" ]; then
      note waits "$level"; say "$level: not yet, there is no $below to take over."
      continue
    fi
    say "Rotating: $level."
    snapshot "$level"
    code=$?
    if [ "$code" = 1 ]; then finish failed rotate "rsnapshot $level ended with code 1. $(rsnapshot_said)"; fi
    note rotated "$level"
  done
  [ ! -e "$destination/.before" ] || rm -rf "$destination/.before"
}

list_copies() {
  set --
  set +f
  for kept in $w_keeps; do
    for copy in "$destination/${kept%:*}".[0-9]*; do
      [ ! -d "$copy" ] || set -- "$@" "${copy##*/}"
    done
  done
  set -f
  [ $# = 0 ] || (cd "$destination" && stat -c 'copy=%n %Y' "$@" >>"$dir/facts")
}

run() {
  monitor= incomplete= began= rsync_code=
  exec 9>>"$dir/alive"
  # Not -n: whoever looks holds it for a moment.
  flock -w 10 9 && [ ! -e "$dir/result" ] || exit 0
  . "${0%/*}/backup-judge"
  read_spec
  if [ -n "$w_kind" ]; then # no run, but something with a copy that exists
    . "${0%/*}/backup-restore"
    . "${0%/*}/backup-try"
    read_spec
  fi
  : >"$dir/facts"
  trap 'if [ -e "$dir/stop" ]; then finish stopped stopped "It was stopped."
    else finish failed shutdown "The backup server ended it, as when it shuts down."; fi' TERM INT HUP
  started=$(date +%s)
  note started "$started"
  uptime began
  case $w_kind in
    '') ;;
    try) try_way ;;
    verify) verify ;;
    *) restore ;;
  esac
  note phase looking
  exec 7>>"$home/$w_uuid.lock"
  # The run before this one has it until its last process is gone.
  flock -w 10 7 || finish failed busy "Another run of this backup is still on: $(holders "$home/$w_uuid.lock")."
  check_destination
  case " $w_levels " in
    *" $w_lowest "*)
      check_space
      run_config
      copy
      check_copy
      ;;
    *) run_config ;;
  esac
  rotate
  list_copies
  if [ "$rsync_code" = 23 ] || [ "$rsync_code" = 24 ]; then
    partial
    [ "$away" = 0 ] || say "$away files vanished while they were copied."
    [ "$shorter" = 0 ] || say "$shorter files became shorter while they were copied, and were read again."
    [ -z "$incomplete" ] || [ -z "$partial" ] || finish incomplete partial "Not everything was copied. $partial"
  fi
  finish done '' ''
}

begin() {
  mkdir -p "$dir" && exec 8>>"$dir/lock" || exit 1
  flock -w 30 8 || { echo "$dir/lock is held by $(holders "$dir/lock")" >&2; exit 1; }
  cat >"$dir/spec.new"
  [ ! -e "$dir/began" ] || return 0
  mv "$dir/spec.new" "$dir/spec"
  find "$home/runs" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
  if ! { [ -d /run/systemd/system ] && systemd-run --quiet --collect --unit="$unit" --description="Backup of Gestion, run $run" \
    -p KillMode=control-group -p TimeoutStopSec=20 "$0" run "$run" 2>/dev/null 8>&-; }; then
    setsid "$0" run "$run" </dev/null >/dev/null 2>&1 8>&- &
    echo $! >"$dir/group"
  fi
  # Until it holds its lock it would be taken for dead; a host that is at much else may need a while.
  tries=0
  while [ ! -e "$dir/facts" ] && [ "$tries" -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  cat /proc/sys/kernel/random/boot_id >"$dir/began.new" && mv "$dir/began.new" "$dir/began"
}

look() {
  [ -e "$dir/began" ] || { echo known=no; return 0; }
  echo known=yes
  # Alive is asked before the result: one that ends in between is not taken for dead.
  if [ -e "$dir/alive" ] && ! flock -n "$dir/alive" true; then echo alive=yes; else echo alive=no; fi
  read -r boot <"$dir/began"
  read -r now </proc/sys/kernel/random/boot_id
  [ "$boot" = "$now" ] && echo boot=same || echo boot=other
  if [ -e "$dir/result" ]; then cat "$dir/result"; else cat "$dir/facts" 2>/dev/null; fi
  progress=
  [ ! -s "$dir/progress" ] || progress=$(tail -c 400 "$dir/progress" | tr '\r' '\n' | grep '%' | tail -n 1)
  echo "progress=$progress"
  echo output:
  tail -c "+$(($1 + 1))" "$dir/output" 2>/dev/null | head -c 65536
}

end() {
  [ -e "$dir/began" ] && [ ! -e "$dir/result" ] || return 0
  : >"$dir/stop"
  if [ -s "$dir/group" ]; then
    read -r group <"$dir/group"
    kill -TERM "-$group" 2>/dev/null
    timeout 20 flock "$dir/alive" true || kill -KILL "-$group" 2>/dev/null
  else
    systemctl stop "$unit" 2>/dev/null
  fi
  flock -w 20 "$dir/alive" true
}

case $command in
  start) begin ;;
  run) run ;;
  look) look "${3:-0}" ;;
  stop) end ;;
  forget)
    scratch=$(sed -n 's/^scratch=//p' "$dir/spec" 2>/dev/null)
    case $scratch in */.verify) rm -rf --one-file-system "$scratch" ;; esac
    rm -rf "$dir"
    ;;
  here) shift 2; exec sh -c "$*" ;; # in the place of ssh, for a target that is this server itself
  rsync) shift 2; . "${0%/*}/backup-transfer"; transfer "$@" ;;
  *) echo "usage: backup-run start|look|stop|forget RUN" >&2; exit 64 ;;
esac
