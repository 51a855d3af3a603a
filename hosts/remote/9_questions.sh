# The other questions

# The paths that we own but that the panel did not name come after those it did
add_owned() {
  listed=$N names=$NL i=0
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "p=\$p$i"
    case $p in *"$NL"*) ;; *) names=$names$p$NL ;; esac
  done
  i=0 k=1
  while [ "$i" -lt "$OWNED" ]; do
    i=$((i + 1))
    # Both are in the same order, so most often the next one named is the one
    eval "p=\$o$i secret=\$secret$i q=\${p$k-} next=\${p$((k + 1))-}"
    case $p in
      "$q") k=$((k + 1)) && continue ;;
      "$next") k=$((k + 2)) && continue ;;
    esac
    ! is_listed || continue
    N=$((N + 1))
    eval "p$N=\$p want$N=\$secret"
  done
}

is_listed() {
  case $p in
    *"$NL"*)
      j=0
      while [ "$j" -lt "$listed" ]; do
        j=$((j + 1))
        eval "q=\$p$j"
        [ "$p" != "$q" ] || return 0
      done
      return 1
      ;;
  esac
  case $names in *"$NL$p$NL"*) return 0 ;; esac
  return 1
}

# INACTIVE = the words of the first look that failed; empty: what is active is what the files say
look() {
  INACTIVE=
  [ "$n_look" -gt 0 ] || return 0
  RUN=look-$$
  name_output
  run_commands look || INACTIVE=${W:-"It ended with code $code."}
  rm -f -- "$OUT"
}

plan() {
  finish_all
  line && KIND=$V && safe "$KIND" || exit 1
  line && N=$V i=0 || exit 1
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    text && eval "p$i=\$V" && line && eval "want$i=\$V" || exit 1
  done
  read_commands look || exit 1
  read_manifest
  add_owned
  inspect
  look
  set --
  i=0 room=1000000 sent=
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "t=\$t$i want=\$want$i h=\${h$i-} size=\${size$i-0} p=\$R\$p$i"
    # a secret's bytes stay where they are
    [ "$t" = f ] && [ "$want" != secret ] && [ "$want" != "$h" ] && [ "$size" -le 100000 ] || continue
    [ "$size" -le "$room" ] || continue
    room=$((room - size)) sent="$sent $i"
    set -- "$@" "$p"
  done
  encode "$LEFT"
  left=$E
  encode "$DONE"
  done=$E
  encode "$MANIFEST"
  manifest=$E
  encode "$SEEN"
  seen=$E
  encode "$INACTIVE"
  printf '%s\n' 'gestion plan' "$left$done$manifest$seen$sent$NL${E%"$NL"}"
  [ $# = 0 ] || cat -- "$@"
}

# The panel's word about RUN, which waits: keep it ("confirm") or not ("refuse")
decide() {
  line && RUN=$V && safe "$RUN" || exit 1
  text && words=$V || exit 1
  W= COMMAND=
  lock 20 || nothing_done busy
  if [ -e "$RUNS/$RUN.journal" ] && [ "$1" = confirm ] && [ -e "$RUNS/$RUN.proved" ] && read_journal; then
    name_output
    commit || fail commit
  elif [ -e "$RUNS/$RUN.journal" ]; then
    finish "$words" probe
  else
    STATE=old STAGE=undone
    ended
  fi
  answer
}

# How RUN ended, from what was recorded
ended() {
  for last in "$G/last"/*; do
    [ -e "$last" ] || continue
    run= state= stage=
    { read -r run state stage COMMAND; W=; while IFS= read -r V; do W=$W$V$NL; done; } <"$last"
    [ "$run" != "$RUN" ] || { STATE=$state STAGE=$stage; return; }
  done
  W='The host has no record of it.'
}

# The timer, or the first start after a power cut
undo() {
  line && RUN=$V && safe "$RUN" || exit 1
  UNDOING=1
  # Whoever holds the lock: as long as it is not undone, this goes on trying.
  until lock 600; do [ -e "$RUNS/$RUN.journal" ] || exit 1; done
  finish 'It was not confirmed in time.' undone
}

recover() {
  finish_all
  encode "$LEFT"
  left=$E
  encode "$DONE"
  printf %s "gestion recover$NL$left$E"
  for last in "$G/last"/*; do
    [ -e "$last" ] || continue
    all=
    while IFS= read -r V; do all=$all$V$NL; done <"$last"
    encode "${last##*/}$NL$all"
    printf %s "$E"
  done
  # a power cut may have lost the record of what was committed, but not the commit
  for owned in "$G/owned"/*; do
    run=
    [ ! -f "$owned" ] || read -r run <"$owned"
    [ -z "$run" ] || printf '%s\n' 1 "${owned##*/}" "$run new done"
  done
}

line || exit 1
case $V in
  plan | apply | undo | recover) "$V" ;;
  confirm | refuse) decide "$V" ;;
esac
