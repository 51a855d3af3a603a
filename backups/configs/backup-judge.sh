# How backup-run judges what it copied: why the copying ended, and what was not copied, of which kind.
# It is read by backup-run, and started by nobody.
other=source # the other end: of a restore it is the target

ended_by_us() {
  read -r why <"$dir/ended"
  case $why in
    low_space) refuse low_space "The disk of $destination was nearly full, so the copying was ended before it was." ;;
    hung) judge_hung ;;
    *) finish failed too_long "It was ended: it ran for more than $w_longest seconds." ;;
  esac
}

# By the watch or by rsync itself, whichever clock came first. A source that lets in rsync alone has no shell to look with, either.
judge_hung() { # LAST WORDS
  words="No data came for $w_stall seconds, so it was ended."
  [ "$(fact source_seen)" = no ] || finish failed hung "$words${1:+ $1}"
  said_instead
  finish failed hung "$words The login had started no shell before${stray:+: it said “$stray”}. Look at its login shell, and at .bashrc there."
}

said() { grep -qaE "$1" "$dir/errors" 2>/dev/null; }

# What rsnapshot says around the reason: how it was called, in which line, and at the end advice.
AROUND='^(ERROR: )?(-+|.* on line [0-9]+:|Errors were found in .*|rsnapshot can not continue\. .*|sure you don.*|Warning! .* failed\.)$|^rsnapshot encountered an error|^[^ ]*/rsnapshot -c |^    [a-z]+ *$'

rsnapshot_said() { # why rsnapshot failed: the first that it says, or what it started
  tail -c "+$((said_before + 1))" "$dir/output" | grep -avE "$AROUND" | head -n 3 | cut -c -300
}

cut_off() { grep -avE "$UNHEARD" "$dir/errors" | grep -qaE "$CUT"; }

told() { grep -aE "$1" "$dir/errors" | tail -n 1 | cut -c -300; }

last_words() { # what came last before the connection was gone; what follows from that alone, where there is nothing else
  grep -avE "^gestion-restore: |$FOLLOWS" "$dir/errors" | tail -n 3 | cut -c -500 | grep . ||
    grep -av '^gestion-restore:' "$dir/errors" | tail -n 3 | cut -c -500
}

fact() { sed -n "s/^$1=//p" "$dir/facts" | tail -n 1; }

# As ssh(1) says them. None of these passes by itself.
NOT_LET_IN='^[^ ]+: Permission denied \([a-z0-9@.,-]+\)\.|Too many authentication failures'
# A key here that cannot be used: of that the source knows nothing, and another one may have let in.
OWN_KEY='^Load key .*: |^no such identity: '
# What it takes instead, or besides; where the key itself was refused, publickey is among it.
NO_KEY_ALONE='^[^ ]+: Permission denied \(((password|keyboard-interactive|hostbased|gssapi[a-z-]*),?)+\)\.'
OTHER_KEY='^Host key verification failed\.|REMOTE HOST IDENTIFICATION HAS CHANGED|^No .* host key is known for '
# As PAM and passwd say it, before the connection is closed.
EXPIRED='^Your account has expired|^WARNING: Your password has expired|^Password change required'
# As ssh says of a connection that was there.
CUT='^(client_loop: |Connection (to|closed|reset)|mux_client_|Timeout, server|Shared connection|packet_write)|Connection reset by peer|Broken pipe'
# Where a host on the way (ProxyJump) led nowhere, both: what was said of a login then is of that host.
NO_ANSWER='^kex_exchange_identification: '
BEHIND_OTHERS='^Connection (closed|reset) by UNKNOWN port '
NOT_LED_ON='^channel [0-9]+: open failed: '
# What only follows from all of these.
FOLLOWS="$NO_ANSWER|$BEHIND_OTHERS|^stdio forwarding failed|^rsync: (\[[a-zA-Z]+\] )?connection unexpectedly closed|^rsync error: "
# Who has ended before rsync's first word could be handed over is told by the second.
UNHEARD='^rsync: (\[[a-zA-Z]+\] )?safe_write failed to write [0-9]+ bytes to socket'
CAME_ABOUT='\([1-9][0-9]* bytes received so far\)|^rsync: (\[sender\] )?write error: '
NO_BYTE="\(0 bytes received so far\)|$UNHEARD"
# As rsync's exit code 2, 1 and 4 say it, from its manual page.
NO_PROTOCOL='protocol version mismatch|is your shell clean'
NO_OPTION='unknown option|requires protocol [0-9]+ or higher|(ACLs|Extended attributes) are not supported|[Nn]ot supported on this (client|server)'

# As shells say it.
NO_PROGRAM='rsync: ([Cc]ommand )?not found|command not found: rsync|[Uu]nknown command:? .?rsync|rsync: Permission denied$'

judge() { # what rsync's exit code means, from its manual page; what does not pass by itself has a code of its own
  ! said '^gestion-source: ' || rsync_code=97
  case $rsync_code in
    0 | 24) ;;
    23) incomplete=yes ;;
    *) judge_failure ;;
  esac
  if [ "$code" = 1 ]; then finish failed rsnapshot "rsnapshot ended with code 1. $(rsnapshot_said)"; fi
}

judge_failure() {
  last=$(tail -n 3 "$dir/errors" 2>/dev/null)
  case $rsync_code in
    '') finish failed rsnapshot "rsnapshot ended with code $code before anything was copied. $(rsnapshot_said)" ;;
    30 | 35)
      [ "$(fact source_silent)" != yes ] || finish failed hung "The source did not say within 90 seconds how its folder stands: what its login starts waits for something, or a disk there does not answer. $last"
      judge_hung "$last"
      ;;
    10 | 12 | 20 | 255) judge_connection ;;
    1 | 2 | 4) judge_protocol ;;
    126 | 127)
      ! said "$NO_BYTE" || judge_connection
      no_rsync
      ;;
    97) judge_reader ;;
  esac
  ! said "$NO_BYTE" || judge_connection
  partial
  [ "$full" = 0 ] || refuse low_space "The disk of $destination is full, so the copying was ended. $partial"
  finish failed rsync "rsync ended with code $rsync_code. ${partial:-$last}"
}

judge_login() {
  far=$other
  ! said "$NO_ANSWER" || ! said "$BEHIND_OTHERS" || other="host on the way to the $far"
  ! said "$OTHER_KEY" || finish failed host_key "The $other shows another host key than the accepted one, or none is accepted. Look at its host key. $(told "$OTHER_KEY")"
  ! said "$NO_KEY_ALONE" || finish failed denied "The $other lets this user in by no SSH key alone, but asks for something else or more. Look at AuthenticationMethods and PubkeyAuthentication in sshd_config there. $(told "$NO_KEY_ALONE")"
  ! said "$NOT_LET_IN" || ! said "$OWN_KEY" || finish failed denied "The $other let root of this backup server in by no SSH key, and a key of root here cannot be used: $(told "$OWN_KEY")"
  # Which of these it is, ssh does not say: to who was not let in, the source says nothing.
  ! said "$NOT_LET_IN" || finish failed denied "The $other does not know the SSH key of root on this backup server, does not take it from here or any more, or lets this user in by none (PermitRootLogin, AllowUsers and DenyUsers in sshd_config, the login shell, who may write to ~/.ssh; the log of sshd there says it); or there is none here without a passphrase: $(told "$NOT_LET_IN")"
  judge_account
  other=$far
}

judge_connection() {
  judge_login
  ! said "$NOT_LED_ON.*prohibited" || finish failed denied "The host on the way to the $other does not lead on to it. Look at AllowTcpForwarding and PermitOpen in sshd_config there. $(told "$NOT_LED_ON")"
  last=$(last_words)
  ! said "$NO_PROGRAM" || no_rsync
  ! said "$NO_OPTION" || judge_protocol
  # The login came about, and yet nothing answered as a shell, nor as rsync.
  if [ "$(fact source_seen)" = no ] && said "$NO_BYTE"; then no_shell; fi
  if said "$NO_BYTE" && [ "$rsync_code" != 255 ] && ! cut_off; then
    said_instead
    finish failed rsync "rsync at the $other ended before it answered${stray:+: $stray}"
  fi
  [ "$rsync_code" != 20 ] || finish failed connection "The $other ended rsync in the middle, as when it shuts down. $last"
  # Of a remote program that was killed, ssh says no more than of a lost connection.
  if [ -n "$(fact source_seen)" ] || said "$CAME_ABOUT"; then finish failed connection "The connection to the $other was lost, or rsync was killed there. $last"; fi
  finish failed connection "The connection to the $other was lost or did not come about. $last"
}

judge_account() {
  ! said "$EXPIRED" || finish failed denied "The account of this user at the $other, or its password, has expired: $(told "$EXPIRED")"
}

judge_reader() { # by backup-source itself, by sudo, or by a shell that does not find it
  said 'gestion-source: |sudo|backup-source' || no_shell
  finish failed sudo "The source does not have its files read as root. $(told 'gestion-source: |sudo|backup-source' | sed 's/^gestion-source: //')"
}

WITHOUT_TERMINAL='where there is no terminal; look at .bashrc, .profile, .ssh/rc and /etc/bash.bashrc there.'

judge_protocol() {
  stray=$(fact source_said)
  [ "$(fact source_reads)" != yes ] || finish failed unclean "The login at the $other reads what is meant for rsync, as a prompt does${stray:+: it said “$stray”}. Have it ask nothing $WITHOUT_TERMINAL"
  ! said "$NO_OPTION" || finish failed old_rsync "The rsync of the $other is too old for what is asked of it, or was built without it: $(told "$NO_OPTION")"
  if said "$NO_PROTOCOL"; then
    [ "$(fact source_seen)" != no ] || no_shell
    shown='a blank line, characters that cannot be seen, or what is printed where rsync alone is started'
    [ -z "$stray" ] || shown="“$stray”"
    finish failed unclean "The login at the $other prints something, and rsync takes it for an answer: $shown. Have it print nothing $WITHOUT_TERMINAL"
  fi
  finish failed rsync "rsync ended with code $rsync_code. $last"
}

no_rsync() {
  command -v rsync >/dev/null || finish failed no_rsync "This backup server has no rsync. Install it here."
  finish failed no_rsync "The $other has no rsync that this user may start. Install it there. $(told "$NO_PROGRAM")"
}

said_instead() { # what the other end said in the place of an answer, into $stray
  stray=$(fact source_said)
  [ -n "$stray" ] || stray=$(grep -avE '^(rsync: connection|rsync error|Warning: |gestion-restore: |(\[[a-zA-Z]+\] )?io timeout after )' "$dir/errors" | tail -n 1 | cut -c -200)
}

no_shell() {
  judge_account
  said_instead
  finish failed no_shell "The $other lets this user in, but starts neither a shell nor rsync for it${stray:+: it said “$stray”}. Look at its login shell, at .bashrc, and for a forced command in sshd_config and authorized_keys there."
}

# What went away while it was read, also an attribute alone (61), as rsync says it.
AWAY='^((file|directory) has vanished: |rsync: (\[sender\] )?(get_acl|get_xattr_names|get_xattr_data|readlink_stat|opendir|send_files failed to open)[ :(].*(No such file or directory \(2\)|Not a directory \(20\)|No data available \(61\))$)'
# What became shorter while it was read is read again; if that was of no use, there is a line of CHANGED, too.
SHORTER='^rsync: (\[sender\] )?read errors mapping .*: No data available \(61\)$'
CHANGED='^ERROR: .* failed verification -- '
# What else says that something was not copied, and does not begin as rsync's other errors do.
BARE='^(ERROR: |could not make way for |cannot send file |skipping (overly long name|file with bogus|symlink with 0-length))'
# By the numbers of errno(3): the words are those of the C library where it happened, and musl (Alpine) has others.
NO_SPACE='^rsync: .*: [^"]+ \((28|122)\)$'
BROKEN='^rsync: .*: [^"]+ \((5|74|116|117|121)\)$'
READ_ONLY='^rsync: .*: [^"]+ \(30\)$'
NOT_HERE='^rsync: (\[(receiver|generator)\] )?[^"]*(set_acl|sys_acl_set_file|xal_set|setxattr).* \((7|28|34|95)\)$' # 28: no space for attributes alone
DENIED='(Permission denied \(13\)|Operation not permitted \(1\))$'
# Older ones do not say who it is, but only the side here does these.
HERE='^rsync: (\[(receiver|generator)\] |(chown|chgrp|mkstemp|mkdir|recv_generator|rename|set_acl|rsync_xal_set|symlink|mknod|delete_file|failed to set|write failed)[ :])'

partial() { # what rsync could not copy, into $partial: counted by kind, the worst first; empty where files only went away
  partial= counted=0
  grep -aE "^(rsync|file has vanished|directory has vanished): |$BARE" "$dir/errors" |
    grep -avE '^rsync: (\[[a-zA-Z]+\] )?(connection unexpectedly closed|(read|write) error: )' | once >"$dir/said"
  away=$(grep -acE "$AWAY" "$dir/said") shorter=$(grep -acE "$SHORTER" "$dir/said")
  grep -avE "$AWAY|$SHORTER" "$dir/said" >"$dir/wrong"
  of_kind "$NOT_HERE" "have ACLs or attributes that ${disk:-the disk of the copies} cannot hold"
  mildest=$partial partial= # these came over: told behind what did not
  of_kind "$NO_SPACE" 'found no space'
  full=$count
  of_kind "$BROKEN" 'met an error of the disk'
  [ "$count" = 0 ] || leave_out "$CHANGED" # a bad block fails its verification, too
  of_kind "$READ_ONLY" 'met a disk that is read-only'
  of_kind "$HERE.*$DENIED" 'may not be written'
  of_kind "$DENIED" 'may not be read'
  of_kind "$CHANGED" 'changed again and again while they were read'
  of_kind . 'could not be copied'
  [ -z "$mildest" ] || partial="$partial${partial:+; }$mildest"
  [ -n "$partial" ] || [ "$away$shorter" != 00 ] || partial=$(tail -n 3 "$dir/errors")
  [ -z "$partial" ] || [ "$away" = 0 ] || partial="$partial; $away vanished"
  [ "$(wc -l <"$dir/errors")" -lt 5000 ] || partial="${partial:-$away vanished}; and more than can be told"
  rm -f "$dir/said" "$dir/wrong"
}

once() { # a thing counts once for each cause: rsync tries again what it could not read, and asks for ACL and attributes, too
  awk '{ what = $0 }
    match($0, /sys_acl_[gs]et_file\(.*, ACL_TYPE/) || match($0, /".*"(\)? failed|: |,[0-9]| =>)/) || match($0, /".*"/) {
      what = substr($0, RSTART, RLENGTH)
      sub(/(",".*|"[^"]*)$/, "", what)
      what = what " " $NF
    }
    !(what in seen)
    { seen[what] }'
}

of_kind() { # PATTERN WORDS: counts these lines, and takes them away
  count=$(grep -acE "$1" "$dir/wrong")
  [ "$count" != 0 ] || return 0
  counted=$((counted + count))
  partial="$partial${partial:+; }$count $2: $(grep -aE -m 1 "$1" "$dir/wrong" | cut -c -300)"
  leave_out "$1"
}

leave_out() { # PATTERN: takes these lines away
  grep -avE "$1" "$dir/wrong" >"$dir/said"
  mv "$dir/said" "$dir/wrong"
}
