# Looking

# KIND's manifest: MANIFEST = its bytes, OWNED = how many paths, o1… the paths, RUN_OWNED = the apply that wrote it
read_manifest() {
  settle
  MANIFEST= OWNED=0 RUN_OWNED=none keep=$RAW RAW=
  if [ -f "$G/owned/$KIND" ]; then
    {
      line && RUN_OWNED=$V && line && total=$V || total=0
      while [ "$OWNED" -lt "$total" ]; do
        text || break
        OWNED=$((OWNED + 1))
        eval "o$OWNED=\$V"
        line || break
        eval "secret$OWNED=\${V##* }"
      done
    } <"$G/owned/$KIND"
    settle
    MANIFEST=$RAW
  fi
  RAW=$keep
}

# $1 + number = each line of $2, in one go: cutting lines off a long text takes the square of its length
number() {
  j=0 IFS=$NL
  set -f
  for line in $2; do
    j=$((j + 1))
    eval "$1$j=\$line"
  done
  set +f
  unset IFS
}

# SEEN = one line for each of p1…pN: "a" nothing, "d" folder, "o" other, "l" + target, "f mode owner group size hash"
inspect() {
  SEEN= i=0
  set --
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "p=\$R\$p$i"
    if [ -L "$p" ]; then t=l; elif [ -f "$p" ]; then t=f; elif [ -d "$p" ]; then t=d; elif [ -e "$p" ]; then t=o; else t=a; fi
    eval "t$i=$t"
    [ $t != f ] || set -- "$@" "$p"
  done
  if [ $# -gt 0 ]; then
    number stat "$(stat -c "%a $OWNER %s" -- "$@")"
    number hash "$(sha256sum -- "$@")"
  fi
  i=0 k=0 part=
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "t=\$t$i p=\$R\$p$i"
    case $t in
      f)
        k=$((k + 1))
        eval "h=\$hash$k s=\$stat$k"
        h=${h#\\} h=${h%% *}
        eval "h$i=\$h size$i=\${s##* }"
        part="${part}f $s $h$NL"
        ;;
      l)
        E=$(readlink -- "$p"; printf x)
        encode "${E%"$NL"x}"
        part="${part}l $E"
        ;;
      *) part=$part$t$NL ;;
    esac
    [ ${#part} -lt 4000 ] || SEEN=$SEEN$part part=
  done
  SEEN=$SEEN$part
}
