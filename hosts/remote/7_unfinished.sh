# What an earlier apply left

# Read the journal of RUN; 1 if it is not whole (then nothing was staged or swapped yet)
read_journal() {
  BOOT_THEN= BEFORE= MADE=0
  {
    line && BOOT_THEN=$V && line && BEFORE=$V && line && total=$V || return 1
    while [ "$MADE" -lt "$total" ]; do
      text || return 1
      MADE=$((MADE + 1))
      eval "made$MADE=\$V"
    done
    read_job
  } <"$RUNS/$RUN.journal"
}

# Finish RUN, whose apply is dead: forward if it had committed, else back
finish() {
  [ -e "$RUNS/$RUN.journal" ] || return 1
  W= COMMAND=
  name_output
  if ! read_journal; then
    rm -f "$RUNS/$RUN".*
    return 1
  fi
  read_manifest
  if [ "$RUN_OWNED" = "$RUN" ]; then
    # the commit may have reached the disk before the renames did
    swap_in
    STATE=new STAGE=done
    record
    clean
    return 0
  fi
  W=$1
  put_back "$2"
}

# Finish all that dead applies left. LEFT = a line for each that lives on (RUN, how, words), DONE = one for each that was finished
finish_all() {
  LEFT= DONE= locked=
  for journal in "$RUNS"/*.journal; do
    [ -e "$journal" ] || continue
    RUN=${journal##*/} RUN=${RUN%.journal}
    if [ -z "$locked" ] && ! lock 0; then
      LEFT="$LEFT$RUN running $W$NL"
      return
    fi
    locked=1
    if [ -e "$RUNS/$RUN.proved" ] && armed; then
      LEFT="$LEFT$RUN waiting$NL"
    elif finish 'The apply was cut off in the middle.' interrupted; then
      encode "$W"
      DONE="$DONE$KIND $RUN $STATE $STAGE$NL$E"
    fi
  done
}
