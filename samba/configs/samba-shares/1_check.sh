check() {
  need
  work_folder
  check_samba
  check_sections "$1"
  while next_share; do
    check_user
    (check_folder) || exit 1
  done 3<"$2"
}

check_samba() {
  grep -Eiv "$line\"?/etc/smb\.shares\.conf" "$MAIN" >"$WORK/main"
  testparm -s "$WORK/main" >"$WORK/out" 2>"$WORK/err" ||
    die "Samba does not accept $MAIN as it is: $(tail -n 5 "$WORK/err")"
  sections <"$WORK/out" | caseless >"$WORK/theirs"
  charset=$(testparm -s --parameter-name='unix charset' "$WORK/main" 2>/dev/null)
  level=$(testparm -s --parameter-name='server min protocol' "$WORK/main" 2>/dev/null)
  case $level in
  CORE* | LANMAN* | NT1) die "$MAIN allows SMB1 (server min protocol = $level). Set it to SMB2 or more first." ;;
  esac
  case $(testparm -s --parameter-name='server role' "$WORK/main" 2>/dev/null) in
  active*) die 'This is a domain controller of Active Directory, whose users are not made this way.' ;;
  esac
}

check_sections() {
  testparm -s "$1" >"$WORK/out" 2>"$WORK/err" || die "Samba does not accept the shares: $(tail -n 5 "$WORK/err")"
  ! grep -Ei 'unknown parameter|ignoring|error|badly formed' "$WORK/err" >&2 || exit 1
  sections <"$WORK/out" | grep -vx global >"$WORK/ours"
  sed -n 's/^\[\(.*\)\]$/\1/p' "$1" | sort -u >"$WORK/meant"
  cmp -s "$WORK/ours" "$WORK/meant" ||
    die "Samba reads other shares than those that are meant: $(comm -3 "$WORK/ours" "$WORK/meant" | tr -d '\t' | paste -sd ,)"
  case $charset in
  [Uu][Tt][Ff]-8 | [Uu][Tt][Ff]8) ;;
  *) ! grep -q '[^ -~]' "$WORK/meant" || die "$MAIN says unix charset = $charset, in which these names cannot be written. Set it to UTF-8 first." ;;
  esac
  caseless <"$WORK/meant" >"$WORK/ours"
  taken=$(comm -12 "$WORK/ours" "$WORK/theirs" | tr '\n' ' ')
  [ -z "$taken" ] || die "$MAIN has shares of these names already, which are not from Gestion: $taken"
}

check_user() {
  ANOTHER="Remove it on the server, or delete the share $share and make it under another name: a share keeps its user."
  if getent passwd "$user" >/dev/null; then
    is_ours "$user" || die "The unix user $user is there already and is none of Gestion's shares'. $ANOTHER"
  elif getent group "$user" >/dev/null; then
    die "The unix group $user is there already, so the share $share cannot have a user of that name. $ANOTHER"
  fi
}

check_folder() {
  if enter; then
    [ "$(stat -c %U .)" = "$user" ] || has_disk ||
      die "The disk of the folder $path is not mounted. $(gone_for_good)"
    [ "$adopt" = adopt ] || [ "$(stat -c %U .)" = "$user" ] ||
      die "The folder $path is there already. If the share $share may have it and all that is in it, say so on its page."
    [ "$(stat -c %U .)" = "$user" ] || (cd -P .. && roots_alone) ||
      die "Others than root may write in ${path%/*}, and could lay another folder in the place of $path: it is not taken over."
    [ "$(stat -c %U .)" = "$user" ] || check_homes
  elif grep -sqxF "$user${TAB}made$TAB$path" "$MADE" || grep -sqxF "$user${TAB}adopted$TAB$path" "$MADE"; then
    die "The folder $path of the share $share has gone. Is its disk mounted? If it shall begin empty, make the folder by hand and let the share have it."
  fi
}

gone_for_good() { echo "If it has gone for good, take it out of /etc/fstab, and remove the record of whose its things were: $(record_file)"; }

# Whether what is there is not just the place of a disk that is away: by /etc/fstab, which writes a space as \040, or, as
# no fstab has file systems of ZFS, by the record of what was taken over here
has_disk() {
  mountpoint -q -- "$path" || { ! in_fstab && ! was_elsewhere; }
}

in_fstab() {
  awk '$1 !~ /^#/ { sub("/+$", "", $2); print $2 }' /etc/fstab 2>/dev/null | grep -qxF -- "$(printf %s "$path" | sed 's/ /\\040/g')"
}

# Whether it is empty, and the record is of a folder on another disk: see 7_owners.sh for its first line
was_elsewhere() {
  [ -z "$(ls -A -- "$path")" ] && read -r device _ _ _ _ _ system <"$(record_file)" && [ -n "$system" ] || return 1
  [ "$device" != "$(stat -c %d -- "$path")" ] && [ "$system" != "$(stat -f -c %i -- "$path")" ]
} 2>/dev/null

# A unix user whose home folder is given away is let in no more: sshd(8) reads no keys in one that others may write in
check_homes() {
  here=$(pwd -P)
  lives=$(homes | while IFS= read -r line; do
    case /${line#*/} in "$here"/*) echo "${line%%/*}" && break ;; esac
  done)
  [ -z "$lives" ] || die "The home folder of the unix user $lives is in $path, and its SSH would let nobody in any more: it is not taken over."
}

# A line for each unix user who may log in: the name, and its home folder with a / at the end. /home may be a link.
homes() {
  getent passwd | while IFS=: read -r name _ _ _ _ home shell; do
    case $shell in */nologin | */false) continue ;; esac
    case $home in /*) echo "$name$(realpath -m -- "$home" 2>/dev/null)/" ;; esac
  done
}
