apply() {
  need
  work_folder
  check_returns
  : >"$WORK/table"
  while next_share; do
    # on the way back, what somebody else has done to one share must not keep the others from coming back
    (check_user && check_folder) || [ "$MODE" = back ] || exit 1
    (check_user && check_folder) 2>/dev/null || continue
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$share" "$user" "$state" "$adopt" "$hash" "$base" "$folder" >>"$WORK/table"
  done 3<"$(table)"
  while next_share; do
    have_user || die "The unix user $user could not be made."
    (have_folder) || die "The folder $path could not be given to $user."
  done 3<"$WORK/table"
  pdbedit -L -w >"$WORK/pdb" 2>/dev/null
  while next_share; do have_password; done 3<"$WORK/table"
  if [ -f "$SHARES" ]; then have_include; else leave_include; fi
  reload
  forget
  kick
}

# Whose it was is on record for what is there: with the share all would stay its removed user's
check_returns() {
  [ -f "$MADE" ] || return 0
  while IFS=$TAB read -r user how path; do
    ! asked_back || [ ! -f "$(record_file)" ] || { [ -e "$path" ] && has_disk; } ||
      die "The folder $path is not there, so it cannot be given back. Is its disk mounted? $(gone_for_good)"
  done <"$MADE"
}

have_user() {
  if ! getent passwd "$user" >/dev/null; then
    useradd --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --no-log-init \
      --comment "$MARK$share" --user-group -- "$user" || return 1
    smbpasswd -x "$user" >/dev/null 2>&1 # what Samba knows of one of that name that was here before has another uid
  fi
  [ "$(comment_of "$user")" = "$MARK$share" ] || usermod --comment "$MARK$share" -- "$user" || return 1
  [ "$(getent passwd "$user" | cut -d: -f7)" = /usr/sbin/nologin ] || usermod --shell /usr/sbin/nologin -- "$user" || return 1
  [ "$(passwd --status "$user" | cut -d' ' -f2)" = L ] || usermod --lock -- "$user"
}

# Its owner changes last: what is cut off in the middle is taken over anew
have_folder() {
  how=made
  enter_or_make || return 1
  if [ -n "$MADE_NOW" ]; then
    [ "$(stat -c %U .)" = root ] && [ -z "$(find . -mindepth 1 -print -quit)" ] || return 1
    forget_record
  elif [ "$(stat -c %U .)" != "$user" ]; then
    how=adopted
    [ "$adopt" = adopt ] && (cd -P .. && roots_alone) && keep_record || return 1
    note_folder # before anything is given, so that what is cut off in the middle is given back
    give_all || return 1
  fi
  [ "$(stat -c '%U %G' .)" = "$user $user" ] || chown -- "$user:$user" . || return 1
  [ "$(stat -c %a .)" = 2770 ] || chmod 2770 . || return 1
  note_folder
}

note_folder() {
  if ! grep -sq "^$user${TAB}[a-z]*$TAB" "$MADE" || ! cut -f 1,3- "$MADE" | grep -qxF "$user$TAB$path"; then
    printf '%s\t%s\t%s\n' "$user" "$how" "$path" >>"$MADE"
  fi
}

# The hash and flags that Samba has of $user, by its list in $1; empty: it knows no such user
known_hash() { awk -F: -v user="$user" '$1 == user { print $4 ":" $5 }' "${1:-$WORK/pdb}"; }

have_password() {
  known=$(known_hash)
  if [ "$state" = off ]; then
    [ -z "$known" ] || smbpasswd -x "$user" >/dev/null || die "Samba could not forget the password of $user."
    [ -z "$known" ] || KICK="$KICK $user"
  elif [ "$hash" = - ]; then
    [ -n "$known" ] || [ "$MODE" = back ] || die "$user has no password, and SAMBA_SECRET_KEY has been replaced: give the share $share a new password."
  elif [ "$known" != "$hash:$FLAGS" ]; then
    # An import takes hashes from a file, so that none is ever an argument; the file is root's, in memory
    printf '%s:%s:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:%s:%s:LCT-%08X:\n' \
      "$user" "$(id -u "$user")" "$hash" "$FLAGS" "$(date +%s)" >"$WORK/import"
    pdbedit -i "smbpasswd:$WORK/import" >/dev/null 2>&1
    pdbedit -L -w -u "$user" >"$WORK/now" 2>/dev/null
    [ "$(known_hash "$WORK/now")" = "$hash:$FLAGS" ] || die "Samba did not take the password of $user."
    [ -z "$known" ] || KICK="$KICK $user"
  fi
}
