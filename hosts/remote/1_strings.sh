# Reading and writing strings

# RAW collects what was read, for the journal. What came last is still in TAIL: adding each line to all of it would take
# the square of its length
TAIL=
settle() { RAW=$RAW$TAIL TAIL=; }
collect() {
  TAIL=$TAIL$V$NL
  [ ${#TAIL} -lt 4000 ] || settle
}

# V = the next line
line() { IFS= read -r V && collect; }

# V = the next string; with an "r" before the number, ROOT is put before it
text() {
  line || return 1
  count=${V#r} prefix=
  [ "$count" = "$V" ] || prefix=$R
  IFS= read -r V || return 1
  while [ "$count" -gt 0 ]; do
    IFS= read -r more || return 1
    V=$V$NL$more count=$((count - 1))
  done
  collect
  V=$prefix$V
}

# E = the string $1 as it is sent
encode() {
  count=0 rest=$1
  while :; do
    case $rest in *"$NL"*) count=$((count + 1)) rest=${rest#*"$NL"} ;; *) break ;; esac
  done
  E=$count$NL$1$NL
}

safe() { case $1 in '' | *[!a-z0-9-]*) return 1 ;; esac; }
