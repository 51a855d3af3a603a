# Putting back

# Remove the stage folders, and what else is named
remove_stages() {
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "set -- \"\$R\$f$j/.gestion-\$RUN\" \"\$@\""
  done
  [ $# = 0 ] || rm -rf -- "$@"
}

# Remove all that this apply left beside its result, the journal last
clean() {
  disarm
  remove_stages "$OUT" "$RUNS/$RUN".[!j]* "$RUNS/$RUN.journal"
}

# Put the item $1 back as it was; its file in place is kept aside if it is neither the old nor our new one
put_back_item() {
  eval "p=\$R\$p$1 d=\$d$1 todo=\$a$1"
  [ "$todo" != same ] || return 0
  eval "folder=\$R\$f$d"
  name=${p##*/}
  was=${BEFORE%"${BEFORE#?}"} BEFORE=${BEFORE#?}
  old=$folder/.gestion-$RUN/old/$name
  if [ "$was" = a ]; then
    { [ -e "$p" ] || [ -L "$p" ]; } || return 0
    keep_stranger && W=$(rm -f -- "$p" 2>&1)
  elif [ -e "$old" ] || [ -L "$old" ]; then
    is_old && return 0
    keep_stranger && W=$(mv -f -- "$old" "$folder/" 2>&1)
  fi
}

# Whether $p is still what it was; mv would refuse two names of one file
is_old() {
  [ -L "$old" ] || { [ "$p" -ef "$old" ] && [ ! -L "$p" ]; return; }
  [ -L "$p" ] && [ "$(readlink -- "$p"; printf x)" = "$(readlink -- "$old"; printf x)" ]
}

# Somebody wrote to $p after our swap: keep that before it is replaced
keep_stranger() {
  [ -f "$p" ] && [ ! -L "$p" ] || return 0
  case $todo in
    file*)
      hash=$(sha256sum -- "$p")
      hash=${hash#\\} hash=${hash%% *}
      case $todo in *" $hash "*) return 0 ;; esac
      ;;
  esac
  keep_aside
}

# Copy $p, with all its attributes, below the folder KEPT
keep_aside() {
  above=${p#"$R"} above=$KEPT${above%/*}
  W=$(mkdir -p -- "$above" 2>&1) && W=$(cp -a -- "$p" "$above/" 2>&1)
}

# The old files come back; 1 if one of them could not
put_back_files() {
  KEPT=$G/kept/$RUN bad=0 words= j=0 letters=$BEFORE
  while [ "$j" -lt "$N" ]; do
    j=$((j + 1))
    put_back_item "$j" || { bad=1 words="$words$p: $W$NL"; }
  done
  BEFORE=$letters W=$words
  [ $bad = 0 ] || return 1
  set --
  j=0
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    eval "set -- \"\$@\" \"\$R\$f$j/\""
  done
  sync -- "$@" 2>/dev/null
  return 0
}

# Folders that we made, deepest last in MADE
remove_made() {
  j=$MADE
  while [ "$j" -gt 0 ]; do
    eval "rmdir -- \"\$R\$made$j\"" 2>/dev/null
    j=$((j - 1))
  done
}

# Whole: files, then (if activation had begun, or the host was started anew since) their activation and proofs.
# STATE becomes old or broken. $1 is why.
put_back() {
  first=$W which=${COMMAND-} STATE=old STAGE=$1
  if [ -e "$RUNS/$RUN.ready" ] && ! put_back_files; then
    STATE=broken
    W="$first${NL}Putting back: $W"
    record
    return 1
  fi
  if [ -e "$RUNS/$RUN.active" ] || { [ -e "$RUNS/$RUN.ready" ] && [ "$BOOT_THEN" != "$BOOT" ]; }; then
    if ! { run_commands back && run_commands placed && run_commands always; }; then
      STATE=broken
      first="$first${NL}The old files are back, but activating them failed: $W"
    fi
  fi
  W=$first COMMAND=$which
  remove_stages
  remove_made
  record
  clean
}

# How the apply of KIND ended, for who asks later
record() { printf '%s\n' "$RUN $STATE $STAGE ${COMMAND:-0}" "$W" >"$G/last/$KIND"; }
