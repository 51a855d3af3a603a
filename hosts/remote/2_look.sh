# Looking

# KIND's manifest: MANIFEST = its bytes, OWNED = how many paths, o1… the paths, RUN_OWNED = the apply that wrote it
read_manifest() {
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
    MANIFEST=$RAW
  fi
  RAW=$keep
}

# SEEN = one line for each of p1…pN: "a" nothing, "d" folder, "o" other, "l" + target, "f mode owner group size hash"
inspect() {
  SEEN= i=0 files=0
  set --
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "p=\$R\$p$i"
    if [ -L "$p" ]; then t=l; elif [ -f "$p" ]; then t=f; elif [ -d "$p" ]; then t=d; elif [ -e "$p" ]; then t=o; else t=a; fi
    eval "t$i=$t"
    [ $t != f ] || set -- "$@" "$p"
  done
  stats= hashes=
  if [ $# -gt 0 ]; then
    stats=$(stat -c "%a $OWNER %s" -- "$@")
    hashes=$(sha256sum -- "$@")
  fi
  i=0
  while [ "$i" -lt "$N" ]; do
    i=$((i + 1))
    eval "t=\$t$i p=\$R\$p$i"
    case $t in
      f)
        h=${hashes%%"$NL"*} hashes=${hashes#*"$NL"} s=${stats%%"$NL"*} stats=${stats#*"$NL"}
        h=${h#\\} h=${h%% *}
        eval "h$i=\$h size$i=\${s##* }"
        SEEN="${SEEN}f $s $h$NL"
        ;;
      l)
        E=$(readlink -- "$p"; printf x)
        encode "${E%"$NL"x}"
        SEEN="${SEEN}l $E"
        ;;
      *) SEEN=$SEEN$t$NL ;;
    esac
  done
}
