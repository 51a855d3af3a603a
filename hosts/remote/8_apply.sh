# Apply

# The last words: state, stage, which command, what was said
answer() {
  printf '%s\n' "gestion $RUN $STATE $STAGE ${COMMAND:-0}" "$W"
  exit 0
}

nothing_done() { STATE=old STAGE=$1; answer; }

fail() {
  case $1 in staged | placed | activate | prove) ;; *) [ -n "$W" ] || W=$(df -Pk -- "$G" 2>&1) ;; esac
  put_back "$1"
  answer
}

# MADE = how many folders are missing above the targets, made1… them, outermost first
missing_folders() {
  MADE=0 j=0 known=$NL
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "folder=\$f$j"
    set --
    while [ -n "$folder" ] && [ ! -d "$R$folder" ]; do
      set -- "$folder" "$@"
      folder=${folder%/*}
    done
    for folder in "$@"; do
      MADE=$((MADE + 1))
      eval "made$MADE=\$folder"
    done
  done
}

write_journal() {
  letters= i=0
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "t=\$t$i todo=\$a$i"
    [ "$todo" = same ] || letters=$letters$t
  done
  BEFORE=$letters BOOT_THEN=$BOOT head=$BOOT$NL$letters$NL$MADE$NL j=0
  while [ "$j" -lt "$MADE" ]; do
    j=$((j + 1))
    eval "encode \"\$made$j\""
    head=$head$E
  done
  settle
  printf %s "$head$RAW" >"$RUNS/$RUN.journal"
}

# The folders new/ and old/ beside each target
make_stages() {
  set --
  j=0
  while [ "$j" -lt "$MADE" ]; do
    j=$((j + 1))
    eval "set -- \"\$@\" \"\$R\$made$j\""
  done
  if [ $# -gt 0 ]; then
    umask 022
    W=$(mkdir -p -- "$@" 2>&1) || return 1
    umask 077
  fi
  set --
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "stage=\$R\$f$j/.gestion-\$RUN"
    set -- "$@" "$stage" "$stage/new" "$stage/old"
  done
  [ $# = 0 ] || W=$(mkdir -- "$@" 2>&1)
}

# Lay the item $1, that is to be "file SIZE UMASK MODE|- OWNER:GROUP|- HASH …" or "link", beside its place
stage_item() {
  eval "p=\$p$1 d=\$d$1 todo=\$a$1 target=\${target$1-}"
  eval "folder=\$R\${f$d-}"
  new=$folder/.gestion-$RUN/new/${p##*/}
  case $todo in
    file*)
      set -- $todo
      size=$2 mask=$3 mode=$4 owner=$5
      umask "$mask"
      W=$(head -c "$size" 2>&1 >"$new") || return 1
      umask 077
      [ ! -g "$folder" ] || [ "$owner" != - ] || owner=root:root
      [ "$owner" = - ] || W=$(chown -- "$owner" "$new" 2>&1) || return 1
      [ "$mode" = - ] || W=$(chmod -- "$mode" "$new" 2>&1)
      ;;
    link*) W=$(ln -s -- "$target" "$new" 2>&1) ;;
  esac
}

stage_all() {
  i=0
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    stage_item $i || return 1
  done
  IFS= read -r V && [ "$V" = end ] || { W='The connection ended before all had come.'; return 1; }
}

# A second name for what is there, so that going back needs no room on the disk; a foreign file is copied as well
keep_old() {
  KEPT=$G/kept/$RUN j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1)) i=0
    eval "folder=\$R\$f$j"
    set --
    while [ "$i" -lt "$N" ]; do
      i=$((i + 1))
      eval "p=\$R\$p$i t=\$t$i d=\$d$i todo=\$a$i"
      case $d-$t-$todo in
        *-a-* | *-same) continue ;;
        $j-*) set -- "$@" "$p" ;;
        *) continue ;;
      esac
      case $todo in *foreign*) keep_aside || return 1 ;; esac
    done
    [ $# = 0 ] || W=$(ln -- "$@" "$folder/.gestion-$RUN/old/" 2>&1) || return 1
  done
}

# All that must be on the disk before the first rename
sync_stages() {
  set -- "$RUNS" "$RUNS/$RUN.journal"
  i=0
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "p=\$p$i d=\$d$i todo=\$a$i"
    eval "folder=\$R\${f$d-}"
    case $todo in file*) set -- "$@" "$folder/.gestion-$RUN/new/${p##*/}" ;; esac
  done
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "folder=\$R\$f$j"
    set -- "$@" "$folder/" "$folder/.gestion-$RUN/new" "$folder/.gestion-$RUN/old"
  done
  W=$(sync -- "$@" 2>&1)
}

# The new files take their places (also again, after a crash: what was moved is no more in new/)
swap_in() {
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1)) i=0
    eval "folder=\$R\$f$j"
    set --
    while [ "$i" -lt "$N" ]; do
      i=$((i + 1))
      eval "p=\$p$i d=\$d$i todo=\$a$i"
      new=$folder/.gestion-$RUN/new/${p##*/}
      case $d-$todo in
        $j-file* | $j-link*) { [ -e "$new" ] || [ -L "$new" ]; } && set -- "$@" "$new" ;;
        $j-absent*) W=$(rm -f -- "$R$p" 2>&1) || return 1 ;;
      esac
    done
    [ $# = 0 ] || W=$(mv -f -- "$@" "$folder/" 2>&1) || return 1
  done
}

# From here on it is the new state: the manifest names this run, in one rename
commit() {
  printf %s "$NEW_MANIFEST" >"$G/owned/$KIND.new" || return 1
  W=$(sync -- "$G/owned/$KIND.new" 2>&1) || return 1
  W=$(mv -f -- "$G/owned/$KIND.new" "$G/owned/$KIND" 2>&1) || return 1
  set -- "$G/owned"
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "set -- \"\$@\" \"\$R\$f$j/\""
  done
  sync -- "$@" 2>/dev/null
  STATE=new STAGE=done W=
  record
  clean
}

apply() {
  W= COMMAND= RUN=none
  read_job || { W='The connection ended before all had come.'; nothing_done transfer; }
  name_output
  [ -d "$G/last" ] || W=$(mkdir -p -- "$RUNS" "$G/owned" "$G/last" 2>&1) || nothing_done prepare
  { [ -e "$G/lock" ] && [ ! -f "$G/lock" ]; } || printf '' >>"$G/lock" || { W=$(df -Pk -- "$G" 2>&1); nothing_done prepare; }
  lock 0 || nothing_done busy
  finish_others
  read_manifest
  inspect
  [ "$MANIFEST$SEEN" = "$EXPECTED" ] || nothing_done drift
  missing_folders
  write_journal || fail journal
  make_stages || fail stage
  stage_all || fail stage
  run_commands staged || fail staged
  keep_old || fail keep
  printf '' >"$RUNS/$RUN.ready" || fail journal
  sync_stages || fail sync
  [ "$WAIT" = 0 ] || arm || fail arm
  swap_in || fail swap
  run_commands placed || fail placed
  printf '' >"$RUNS/$RUN.active" || fail journal
  run_commands activate || fail activate
  run_commands prove || fail prove
  inspect
  [ "$SEEN" = "$WANTED" ] || { W='The files are not what was written.'; fail verify; }
  if [ "$WAIT" = 0 ]; then
    commit || fail commit
  else
    printf '' >"$RUNS/$RUN.proved" || fail journal
    STATE=waiting STAGE=proof
  fi
  answer
}

# Between plan and apply another apply may have died or wait for its proof
finish_others() {
  for journal in "$RUNS"/*.journal; do
    [ ! -e "$journal" ] || { W='An earlier apply is not finished.'; nothing_done busy; }
  done
}
