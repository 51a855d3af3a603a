# How backup-run judges what it copied: why the copying ended, and what was not copied, of which kind.
# It is read by backup-run, and started by nobody.

ended_by_us() {
  read -r why <"$dir/ended"
  case $why in
    low_space) refuse low_space "The disk of $destination was nearly full, so the copying was ended before it was." ;;
    hung) finish failed hung "No data came for $w_stall seconds, so it was ended." ;;
    *) finish failed too_long "It was ended: it ran for more than $w_longest seconds." ;;
  esac
}

judge() { # what rsync's exit code means, from its manual page
  ! grep -q '^gestion-source: ' "$dir/errors" 2>/dev/null || rsync_code=97
  case $rsync_code in
    0 | 24) ;;
    23) incomplete=yes ;;
    *) last=$(tail -n 3 "$dir/errors" 2>/dev/null) ;;
  esac
  case $rsync_code in
    0 | 23 | 24) ;;
    97) finish failed sudo "The source does not have its files read as root. $(tail -n 3 "$dir/errors" | sed 's/^gestion-source: //')" ;;
    30 | 35) finish failed hung "No data came for $w_stall seconds, so it was ended. $last" ;;
    10 | 12 | 255) finish failed connection "The connection to the source was lost or did not come about. $last" ;;
    '') finish failed rsnapshot "rsnapshot ended with code $code before anything was copied. $(tail -n 3 "$dir/output")" ;;
    *) finish failed rsync "rsync ended with code $rsync_code. $last" ;;
  esac
  if [ "$code" = 1 ]; then finish failed rsnapshot "rsnapshot ended with code 1. $(tail -n 3 "$dir/output")"; fi
}

# A file that went away, also while its attributes were read, as rsync says it.
AWAY='^((file|directory) has vanished: |rsync: (\[sender\] )?(get_acl|get_xattr_names|get_xattr_data|readlink_stat|opendir|send_files failed to open)[ :].*No such file or directory \(2\)$)'
NO_SPACE='No space left on device \(28\)$|Disk quota exceeded \(122\)$'
BROKEN='Input/output error \(5\)$'
DENIED='Permission denied \(13\)$|Operation not permitted \(1\)$'

partial() { # what rsync could not copy, into $partial: counted by kind, the worst first; empty where files only went away
  partial=
  grep -aE '^(rsync|file has vanished|directory has vanished): ' "$dir/errors" >"$dir/said"
  away=$(grep -acE "$AWAY" "$dir/said")
  grep -avE "$AWAY" "$dir/said" >"$dir/wrong"
  of_kind "$NO_SPACE" 'found no space'
  of_kind "$BROKEN" 'met an error of the disk'
  of_kind "$DENIED" 'may not be read'
  grep -avE "$NO_SPACE|$BROKEN|$DENIED" "$dir/wrong" >"$dir/said"
  mv "$dir/said" "$dir/wrong"
  of_kind . 'could not be copied'
  [ -n "$partial" ] || [ "$away" != 0 ] || partial=$(tail -n 3 "$dir/errors")
  [ "$(wc -l <"$dir/errors")" -lt 5000 ] || partial="${partial:-$away vanished}; and more than can be told"
  rm -f "$dir/wrong"
}

of_kind() { # PATTERN WORDS
  count=$(grep -acE "$1" "$dir/wrong")
  [ "$count" = 0 ] || partial="$partial${partial:+; }$count $2: $(grep -aE -m 1 "$1" "$dir/wrong" | cut -c -300)"
}
