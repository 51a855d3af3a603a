look() {
  work_folder
  : >"$WORK/differs"
  pdbedit -L -w >"$WORK/pdb" 2>/dev/null
  while next_share; do look_at_share; done 3<"$(table)" >>"$WORK/differs"
  cut -f 2 "$(table)" >"$WORK/wanted"
  for user in $(our_users); do
    grep -qxF "$user" "$WORK/wanted" || echo "The unix user $user belongs to no share any more."
  done >>"$WORK/differs"
  if [ -f "$SHARES" ]; then
    has_include "$MAIN" || echo "$MAIN does not include $SHARES."
    [ ! -d /run/systemd/system ] || systemctl -q is-active smbd || echo 'smbd does not run.'
  fi >>"$WORK/differs"
  [ ! -s "$WORK/differs" ] || {
    cat "$WORK/differs"
    exit 1
  }
}

look_at_share() {
  entry=$(getent passwd "$user") || { echo "The unix user $user is not there."; return; }
  [ "${entry##*:}" = /usr/sbin/nologin ] || echo "The unix user $user has the shell ${entry##*:}."
  [ "$(passwd --status "$user" | cut -d' ' -f2)" = L ] || echo "The unix user $user has a password of its own."
  known=$(known_hash)
  case $state,$hash in
  off,*) [ -z "$known" ] || echo "$user has a password, though the share $share is switched off." ;;
  *,-) [ -n "$known" ] || echo "$user has no password." ;;
  *) [ "$known" = "$hash:$FLAGS" ] || echo "The password of $user is not the one of the share $share." ;;
  esac
  [ -d "$path" ] || { echo "The folder $path is not there."; return; }
  [ "$(stat -c '%U %G %a' -- "$path")" = "$user $user 2770" ] ||
    echo "The folder $path is $(stat -c '%U %G %a' -- "$path"), not $user $user 2770."
}

prove() {
  look
  ! command -v smbclient >/dev/null || prove_logins
  settle_records
}

prove_logins() {
  while next_share; do
    [ "$state" = on ] && [ "$hash" != - ] || continue
    printf 'username = %s\npassword = %s\n' "$user" "$hash" >"$WORK/login"
    smbclient "//127.0.0.1/$share" -A "$WORK/login" --pw-nt-hash -c exit </dev/null >"$WORK/out" 2>&1 && prove_comments && continue
    # a Samba that is not there for the host itself is no failure; that it does not know share or user is one
    case $(cat "$WORK/out") in
    *CONNECTION_REFUSED* | *IO_TIMEOUT* | *UNREACHABLE*)
      [ "$(testparm -s --parameter-name='bind interfaces only' 2>/dev/null)" = Yes ] && continue ;;
    esac
    die "The share $share does not let its user $user in: $(tail -n 1 "$WORK/out")"
  done 3<"$(table)"
}

# What Samba must be tricked into showing (see samba/configs) is looked at as a client sees it; once for all shares
prove_comments() {
  [ -z "$LISTED" ] && grep -qF '%%mm' "$SHARES" || return 0
  smbclient -L 127.0.0.1 -g -A "$WORK/login" --pw-nt-hash </dev/null >"$WORK/listed" 2>/dev/null || return 0
  LISTED=yes
  perl -e '
    my ($shares, $listed) = map { open my $file, "<", $_ or die "$_: $!\n"; local $/; <$file> } @ARGV;
    my %shown = map { /^Disk\|([^|]*)\|(.*)$/ ? ($1, $2) : () } split /\n/, $listed;
    while ($shares =~ /^\[(.*)\]\n   comment = (.*%%mm.*)$/mg) {
      my ($share, $meant) = ($1, $2 =~ s/%%mm//r);
      next if !defined $shown{$share} || $shown{$share} eq $meant;
      die "This Samba shows the comment of $share as $shown{$share}, not as $meant. Change the comment.\n";
    }
  ' "$SHARES" "$WORK/listed" || exit 1
}
