reload() {
  if [ ! -d /run/systemd/system ]; then
    service smbd reload >/dev/null 2>&1 || service smbd start >/dev/null || die 'smbd does not start.'
  elif systemctl -q is-active smbd; then
    smbcontrol smbd reload-config || systemctl reload smbd || die 'smbd does not read its configuration anew.'
  elif [ -f "$TABLE" ]; then
    systemctl start smbd || die 'smbd does not start.'
  fi
  [ ! -f "$TABLE" ] || [ ! -d /run/systemd/system ] || systemctl -q is-enabled smbd || systemctl -q enable smbd
}

# Users of ours that no share needs, and folders that are none any more. Data stays, and is root's alone from then on.
forget() {
  cut -f 2 "$(table)" >"$WORK/wanted"
  while next_share; do printf '%s\t%s\n' "$user" "$path"; done 3<"$(table)" >"$WORK/folders"
  for user in $(our_users); do
    grep -qxF "$user" "$WORK/wanted" || KICK="$KICK $user" GONE="$GONE $user"
  done
  kick
  if [ -f "$MADE" ]; then
    while IFS=$TAB read -r user how path; do
      if grep -qxF "$user$TAB$path" "$WORK/folders"; then
        printf '%s\t%s\t%s\n' "$user" "$how" "$path"
      else
        (set_aside) || ! asked_back || { mkdir -p -m 0700 "$OWNERS" && echo "$user" >>"$OWNERS/kept"; }
        grep -qxF "$user" "$WORK/wanted" || forget_record
      fi
    done <"$MADE" >"$MADE.new"
    mv -f "$MADE.new" "$MADE"
  fi
  for user in $GONE; do
    pdbedit -L -w -u "$user" >/dev/null 2>&1 && smbpasswd -x "$user" >/dev/null
    userdel --force -- "$user" 2>"$WORK/err" || die "The unix user $user could not be removed: $(cat "$WORK/err")"
    ! getent group "$user" >/dev/null || groupdel -- "$user" 2>/dev/null
  done
}

# Into root's hands, or back into those of before; 1: that could not be
set_aside() {
  cd / && walk "$path" links || return 1
  ! unproved || { give_back; return; }
  [ "$(stat -c %U .)" = "$user" ] || return 1
  if [ "$how" = made ] && (cd -P .. && rmdir -- "./${path##*/}") 2>/dev/null; then return 0; fi
  chown root:root . && chmod 0700 . && chmod g-s .
  ! asked_back || give_back
}

asked_back() { case $BACK in *" $user "*) ;; *) return 1 ;; esac }
unproved() { [ "$MODE" = back ] && [ -f "$OWNERS/$user.new" ]; }

# End the connections of users whose password or access has changed
kick() {
  for user in $KICK; do
    for process in $(smbstatus -p -u "$user" 2>/dev/null | awk -v user="$user" '$2 == user && $1 ~ /^[0-9]+$/ { print $1 }'); do
      kill -TERM "$process" 2>/dev/null
    done
  done
  KICK=
}
