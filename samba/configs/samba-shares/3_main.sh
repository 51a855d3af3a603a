# A copy beside it with the same mode and owner, renamed at the end: at any moment it is the old file or the new one
have_include() {
  has_include "$MAIN" && return
  real=$(readlink -f -- "$MAIN")
  new=$real.gestion-new
  rm -f -- "$new"
  cp -a -- "$real" "$new" || die "$MAIN could not be copied."
  {
    [ -z "$(tail -c 1 -- "$real")" ] || echo
    ! tail -n 1 -- "$real" | grep -q '\\$' || echo # a line that ends so is joined with the next one
    printf '%s\n%s\n' "$NOTE" "$INCLUDE"
  } >>"$new" || die "The include line could not be written."
  put_main
}

leave_include() {
  real=$(readlink -f -- "$MAIN")
  grep -qxF "$NOTE" "$real" || return 0
  new=$real.gestion-new
  rm -f -- "$new"
  cp -a -- "$real" "$new" || die "$MAIN could not be copied."
  sed "/^$NOTE\$/{N;/\\ninclude = \\/etc\\/smb\\.shares\\.conf\$/d}" "$real" >"$new" || die "$MAIN could not be written."
  put_main
}

put_main() {
  testparm -s "$new" >/dev/null 2>"$WORK/err" || {
    rm -f -- "$new"
    die "Samba does not accept $MAIN with the include line: $(tail -n 5 "$WORK/err")"
  }
  sync -- "$new" 2>/dev/null
  mv -f -- "$new" "$real" || die "$MAIN could not be replaced."
}
