# What apply is given, from standard input or from a journal

# Commands of group $1: n_$1 of them; each a timeout, a number of words, the words
read_commands() {
  line || return 1
  eval "n_$1=\$V"
  total=$V k=0
  while [ "$k" -lt "$total" ]; do
    k=$((k + 1))
    line || return 1
    eval "time_$1_$k=\$V"
    line || return 1
    eval "words_$1_$k=\$V"
    words=$V w=0
    while [ "$w" -lt "$words" ]; do
      w=$((w + 1))
      text || return 1
      eval "word_$1_${k}_$w=\$V"
    done
  done
}

# KIND RUN WAIT; N items p1… with d (its folder's number), a (what to do) and its details; M folders f1…; commands
read_job() {
  RAW= TAIL=
  line && KIND=$V && line && RUN=$V && line && WAIT=$V && safe "$KIND" && safe "$RUN" || return 1
  text && EXPECTED=$V && text && WANTED=$V && text && NEW_MANIFEST=$V || return 1
  line && M=$V j=0 || return 1
  while [ "$j" -lt "$M" ]; do
    j=$((j + 1))
    text || return 1
    eval "f$j=\$V"
  done
  line && N=$V j=0 || return 1
  while [ "$j" -lt "$N" ]; do
    j=$((j + 1))
    text || return 1
    eval "p$j=\$V"
    line || return 1
    eval "d$j=\${V%% *} a$j=\${V#* }"
    case $V in *' link '*) text || return 1; eval "target$j=\$V" ;; esac
  done
  for group in staged placed activate prove back always; do
    read_commands $group || return 1
  done
  line && [ "$V" = end ]
}

# Where commands' words go: /run is in memory, so a full disk does not silence them
name_output() {
  OUT=$RUNS/$RUN.out
  [ ! -d "$R/run" ] || OUT=$R/run/gestion-$RUN.out
}

# Run the commands of group $1 one after the other; COMMAND and W say which one failed and what it said
run_commands() {
  eval "total=\$n_$1" k=0
  group=$1
  while [ "$k" -lt "$total" ]; do
    k=$((k + 1)) w=0
    eval "seconds=\$time_${group}_$k words=\$words_${group}_$k"
    set --
    while [ "$w" -lt "$words" ]; do
      w=$((w + 1))
      eval "set -- \"\$@\" \"\$word_${group}_${k}_$w\""
    done
    timeout -k 5 "$seconds" "$@" </dev/null >"$OUT" 2>&1 9>&-
    code=$?
    if [ $code -ne 0 ]; then
      W=$(tail -c 4000 "$OUT" 2>&1)
      [ $code -ne 124 ] || W="$W${NL}(ended after $seconds seconds)"
      COMMAND=$k
      return 1
    fi
  done
}
