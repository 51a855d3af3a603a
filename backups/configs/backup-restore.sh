# What backup-run does with a copy that exists: say what a restore would change, restore, or verify the copy.
# It is read by backup-run, and started by nobody.
SPEC="$SPEC asked reader at checksum copy delete destination folder item known_hosts like plain protect here ssh_config target
fresh sample scratch"

# At the target, before rsync: goes to the folder step by step, and proves at each that no symbolic link led elsewhere.
# Arguments: the folder and the item in base64, "mode:uid:gid," for each part ("-,": unknown), go, new or look, then rsync's
# own; with new nothing may be there, as when somebody was asked.
# It stands between single quotes in a command for ssh, so it holds none.
TO='f=$(printf %s "$1" | base64 -d; printf x); f=${f%x}
item=; [ "$2" = - ] || { item=$(printf %s "$2" | base64 -d; printf x); item=${item%x}; }
modes=$3 how=$4; shift 4
export LC_ALL=C; umask 077; cd / || exit 97
rest=${f#/} at= n=0
refuse() { echo "gestion-restore: $1 $n" >&2; exit 97; }
if [ "$1" = unshare ]; then
  unshare -m true 2>/dev/null || refuse noview
  # A view keeps nobody from giving a file of somebody else a second name here.
  [ "$(cat /proc/sys/fs/protected_hardlinks)" = 1 ] || refuse hardlinks
fi
while [ -n "$rest" ]; do
  part=${rest%%/*} mode=${modes%%,*} made= n=$((n + 1)); modes=${modes#*,}
  case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  [ ! -L "./$part" ] || refuse link
  if [ ! -e "./$part" ]; then
    if [ "$how" = look ]; then
      empty=$(mktemp -d) && cd "$empty" || refuse unreadable
      "$@"; code=$?
      cd / && rmdir "$empty"; exit $code
    fi
    said=$(mkdir "./$part" 2>&1) || {
      printf "%s\n" "$said" >&2
      case $said in
        *"Read-only file system") refuse readonly ;;
        *"No space left on device" | *"Disk quota exceeded") refuse full ;;
      esac
      refuse unwritable
    }
    made=yes
  fi
  cd -P "./$part" 2>/dev/null || refuse nofolder
  at=$at/$part here=$(pwd -P; printf x)
  [ "${here%??}" = "$at" ] || refuse link
  # Another folder may have come in the place of the one that was made just now.
  [ -z "$made" ] || { [ -O . ] && [ -z "$(find . -mindepth 1 -print -quit)" ]; } || refuse link
  case $made$mode in yes[0-7]*) mode=${mode%,}; chown "${mode#*:}" . ; chmod "${mode%%:*}" . ;; esac
done
command -v rsync >/dev/null || refuse norsync
there=
if [ -n "$item" ]; then [ ! -e "./$item" ] && [ ! -L "./$item" ] || there=yes
else [ -z "$(find . -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ] || there=yes; fi
[ -z "$there" ] || [ "$how" != new ] || refuse occupied
[ -z "$there" ] || echo "gestion-restore: there 0" >&2
exec "$@"'

# Then, in a mount namespace of its own: a view of the folder that it stands in, in which the kernel follows no symbolic link
# (nosymfollow, see mount(8)), and rsync in there. rsync goes by paths: whoever may write in the folder could otherwise swap
# a part of one for a link meanwhile. Nobody else sees the view, and it goes with the last process in it.
VIEW='refuse() { echo "gestion-restore: noview 0" >&2; exit 97; }
v=/run/gestion-restore
mkdir -p -m 700 $v && mount -n -c --rbind . $v || refuse
mounts=$(cat /proc/self/mountinfo)
while read -r id parent device root at rest; do
  case $at in $v | $v/*) ;; *) continue ;; esac
  at=$(printf %b "$(printf %s "$at" | sed "s/\\\\\([0-7]\)/\\\\0\1/g")")
  mount -n -c -o remount,bind,nosymfollow -- "$at" || refuse
done <<EOF
$mounts
EOF
grep -q " $v [^ ]*nosymfollow" /proc/self/mountinfo || refuse
cd $v || refuse
exec "$@"'

decoded() { printf %s "$1" | base64 -d; printf x; } # the x keeps newlines at the end; the caller takes it off

find_copy() { # the copy that was made at w_at, whatever its name is by now, and hold it: nothing rotates meanwhile
  exec 6>>"$home/$w_uuid.copies"
  flock -s -w 3600 6 || finish failed busy "The copies were being rotated for an hour, by $(holders "$home/$w_uuid.copies")."
  IFS= read -r whose 2>/dev/null <"$w_destination/.gestion-backup"
  [ "$whose" = "$w_uuid" ] || finish failed marker "$w_destination does not have the marker of this backup: is its disk mounted?"
  copy=
  set +f
  for each in "$w_destination/$w_copy" "$w_destination"/*.[0-9]*; do
    [ -z "$copy" ] && [ -d "$each/data" ] && [ ! -L "$each" ] && [ ! -L "$each/data" ] || continue
    [ "$(stat -c %Y "$each")" != "$w_at" ] || copy=$each
  done
  set -f
  [ -n "$copy" ] || finish failed gone "This copy is not there any more: it was rotated away."
  copy=$(cd -P "$copy" && pwd -P)
  note copy_name "${copy##*/}"
}

enter() { # BASE FOLDER: into a folder of a copy, never through a symbolic link
  cd -P "$1" || return 1
  base=$(pwd -P)
  [ -z "$2" ] || { cd -P "./$2" 2>/dev/null && here=$(pwd -P; printf x) && [ "${here%??}" = "$base/$2" ]; }
}

modes() { # of the folders on the way, as they are in the copy, for those that are missing at the target
  words= n=$w_plain
  while [ "$n" -gt 0 ]; do words=$words-, n=$((n - 1)); done
  rest=$folder path=$copy/data
  while [ "$w_like" = yes ] && [ -n "$rest" ]; do
    path=$path/${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
    words=$words$(stat -c %a:%u:%g "$path"),
  done
  echo "$words-,"
}

push() { # TARGET(base64) ITEM(base64 or -) HOW MODES OPTION…: rsync from here to the target; its code into $rsync_code
  to=$1 what=$2 how=$3 words=$4; shift 4
  name=$(decoded "${what#-}"); name=${name%x}
  if [ "$w_here" = yes ]; then rsh="$0 here"
  else
    printf %s "$w_ssh_config" | base64 -d >"$dir/ssh_config"
    printf %s "$w_known_hosts" | base64 -d >"$dir/known_hosts"
    rsh="ssh -F $dir/ssh_config"
  fi
  # What is verified lies in a folder that is root's alone.
  view="unshare -m --propagation private sh -c '$VIEW' gestion-view"
  [ "$w_kind" != verify ] || view=
  rm -f "$dir/rsync.code"
  {
    rsync -aHAXSx --numeric-ids --protect-args --outbuf=L --timeout="$w_stall" "$@" \
      --rsync-path="sh -c '$TO' gestion-restore $to $what $words $how $view rsync" -e "$rsh" "./$name" source:./ >"$out"
    echo $? >"$dir/rsync.code"
  } 2>&1 | { head -n 5000; cat >/dev/null; } | sed -u 's|/run/gestion-restore/|./|g' | tee -a "$dir/errors" |
    grep --line-buffered -v '^gestion-restore:' >>"$dir/output"
  read -r rsync_code <"$dir/rsync.code"
  note rsync_code "$rsync_code"
  note refused "$(sed -n 's/^gestion-restore: \([a-su-z][a-z]* [0-9]*\)$/\1/p' "$dir/errors" | tail -n 1)"
  ! grep -q '^gestion-restore: there' "$dir/errors" || note there yes
}

judge_push() { # ends it for every code that is no success
  last=$(grep -v '^gestion-restore:' "$dir/errors" | tail -n 3)
  other=target disk='the disk of the target'
  case $rsync_code in 0 | 24) return ;; esac
  partial
  [ "$rsync_code" != 23 ] || finish incomplete partial "Not everything could be restored. ${partial:-$last}"
  [ "$full" = 0 ] || finish failed rsync "The disk of the target is full, so it was ended. $partial"
  # rsync ends its ssh as soon as it has the code: the words for it may still be on their way.
  [ "$rsync_code$counted" != 110 ] || finish failed rsync "The target could not write on, as where its disk is full, and what it said of it was lost on the way (rsync's code 11). Look at the disk there."
  [ -n "$(fact refused)" ] || judge_target
  case $rsync_code in
    10 | 12 | 20 | 30 | 35 | 97 | 255) finish failed connection "The connection to the target was lost or did not come about. $(last_words)" ;;
    *) finish failed rsync "rsync ended with code $rsync_code. ${partial:-$last}" ;;
  esac
}

judge_target() { # as runs judge their source
  ! said '^ssh: ' || return 0 # it was not reached at all
  [ "$w_here" = yes ] || said "$NOT_LET_IN|$OTHER_KEY|$CUT" || ! said "$NO_BYTE|$NO_PROTOCOL" || ask_target
  case $rsync_code in
    1 | 2 | 4) judge_protocol ;;
    10 | 12 | 20 | 255) judge_connection ;;
    126 | 127) # which of these and the others it is, is chance where a shell ends at once
      ! said "$NO_BYTE" || judge_connection
      no_rsync
      ;;
  esac
}

ask_target() { # whether a shell answers there at all, and what its login says
  . "${0%/*}/backup-transfer"
  from=source: ask="sh -c '$PLACE'" w_source_folder=/ rsh="$rsh -o BatchMode=yes -o ConnectTimeout=20"
  ask_source
  look_at "$found"
  note source_seen "${s_seen:-no}"; note source_said "$(stray_line)"
}

open_item() { # into the folder of the copy that holds the item
  folder=$(decoded "$w_folder"); folder=${folder%x}
  item=$(decoded "${w_item#-}"); item=${item%x}
  enter "$copy/data" "$folder" || finish failed gone "This folder is not in the copy, or lies behind a symbolic link."
  [ -z "$item" ] || [ -e "./$item" ] || [ -L "./$item" ] || finish failed gone "This is not in the copy."
}

restore() {
  note phase looking
  find_copy
  open_item
  set --
  [ "$w_checksum" != yes ] || set -- "$@" --checksum
  if [ "$w_delete" = yes ]; then
    printf %s "$w_protect" | base64 -d >"$dir/protect"
    set -- "$@" --delete "--filter=. $dir/protect"
  fi
  if [ "$w_kind" = look ]; then
    out=$dir/changes
    note phase comparing
    push "$w_target" "$w_item" look "$(modes)" --dry-run -8 '--out-format=%i %n' "$@"
    count_changes
  else
    out=$dir/progress
    note phase restoring
    how=go
    [ "$w_fresh" != yes ] || how=new
    push "$w_target" "$w_item" $how "$(modes)" --info=progress2 --stats --no-human-readable "$@"
    note files "$(figure 'Number of files')"; note bytes "$(figure 'Total file size')"
    note files_transferred "$(figure 'Number of regular files transferred')"
    note bytes_transferred "$(figure 'Total transferred file size')"
    note created "$(figure 'Number of created files')"; note deleted "$(figure 'Number of deleted files')"
  fi
  judge_push
  finish done '' ''
}

count_changes() { # of rsync's --itemize-changes, see its manual page
  counted=$(awk '/^\*deleting/ { d++; next } /^[<>ch].[+]+ / { n++; next } /^[<>ch]/ { c++; next } /^\.[^ ]* / { a++ }
    END { print n + 0, c + 0, d + 0, a + 0 }' "$out")
  set -- $counted
  note new "$1"; note changed "$2"; note deleted "$3"; note attributes "$4"
}

drop_scratch() { # whatever became of the verification
  [ -z "$w_scratch" ] || [ ! -d "$w_scratch" ] || [ -L "$w_scratch" ] || rm -rf --one-file-system "$w_scratch"
}

list_of() { # the files below the current folder, one a record, in their order; those of a sample alone if there is one
  if [ -s "$dir/sample" ]; then cat "$dir/sample"; else find . -type f -print0; fi | sort -z
}

facts_of() { # everything that a restore must bring back, but contents
  if [ -s "$dir/sample" ]; then
    xargs -0 -r -a "$dir/sample" stat --printf '%n %F %a %u:%g %s %y\0' | sort -z
    set -- xargs -0 -r -a "$dir/sample"
  else
    find . -type d -printf '%p %m %U:%G %T@\0' | sort -z
    find . ! -type d -printf '%p %y %m %U:%G %s %T@ %l\0' | sort -z
    find . ! -type l -print0 | sort -z >"$dir/all"
    set -- xargs -0 -r -a "$dir/all"
    printf '%s files by hard links\0' "$(find . -type f -links +1 -printf '%i\n' | sort | uniq -d | wc -l)"
  fi
  # getfacl and getfattr say names as they write them; only that both sides say the same counts.
  ! command -v getfacl >/dev/null || "$@" getfacl -n -p 2>/dev/null | tr '\n' '\0'
  ! command -v getfattr >/dev/null || "$@" getfattr -d -m - --absolute-names 2>/dev/null | tr '\n' '\0'
}

sums_of() { # NAME: the contents of the files of $dir/list, as "inode size mtime sum" lines
  xargs -0 -r -a "$dir/list" sha256sum -z >"$dir/$1.sums" 2>>"$dir/errors"
  xargs -0 -r -a "$dir/list" stat -c '%i %s %.Y' >"$dir/$1.stats" 2>>"$dir/errors"
  cut -z -c1-64 "$dir/$1.sums" | tr '\0' '\n' | paste -d ' ' "$dir/$1.stats" - >"$dir/$1"
}

numbered() { # the names of the files on these lines of the list, a few of them, in one line
  tr '\n\0' '?\n' <"$dir/list" | awk 'NR == FNR { want[$1]; next } FNR in want && shown++ < 5' "$1" - | tr '\n' ' '
}

draw_sample() { # BYTES: some files at random, in $dir/sample; names with a byte 1 are left out, it stands for newlines here
  soh=$(printf '\001')
  find . -type f ! -path "*$soh*" -printf '%s %p\0' | tr '\n\0' '\001\n' | shuf |
    awk -v most="$1" '{ size = $1; sub(/^[0-9]+ /, ""); if (total + size <= most) { total += size; print } }' |
    tr '\001\n' '\n\0' >"$dir/sample"
}

make_room() { # low space refuses before anything is written
  set -- $(space) $(du -sx --block-size=1 . | cut -f1) $(find . -xdev -printf x | wc -c)
  copied=$4 entries=$5
  note copy_bytes "$copied"; note copy_files "$entries"
  if [ "$copied" -gt "$w_sample" ]; then
    draw_sample "$w_sample"
    note sampled yes
    copied=$w_sample
  fi
  [ "$1" -ge $((copied + $3)) ] ||
    finish failed low_space "$1 bytes are free in $w_destination; this needs $copied, and $3 stay free. Nothing was done."
  [ "$2" = - ] || [ "$2" -ge $((entries + 100)) ] ||
    finish failed low_space "$2 inodes are free in $w_destination; this needs $entries. Nothing was done."
}

verify() {
  note phase looking
  exec 5>>"$home/$w_uuid.verify"
  flock -n 5 || finish failed busy "Another verification of this backup is still on: $(holders "$home/$w_uuid.verify")."
  destination=$w_destination w_here=yes
  find_copy
  drop_scratch
  enter "$copy/data" '' || finish failed gone "This copy holds nothing."
  make_room
  mkdir "$w_scratch" || finish failed scratch "$w_scratch could not be made."
  note phase restoring
  out=$dir/progress
  set -- --info=progress2 --stats --no-human-readable
  [ ! -s "$dir/sample" ] || set -- "$@" --no-recursive --from0 "--files-from=$dir/sample"
  # One folder deeper: that gets the owner and mode that it has in the copy.
  push "$(printf %s "$(cd -P "$w_scratch" && pwd -P)/data" | base64 -w 0)" - go "-," "$@"
  judge_push
  note files_transferred "$(figure 'Number of regular files transferred')"
  note bytes_transferred "$(figure 'Total transferred file size')"
  compare_restored
  compare_before
  compare_source
  drop_scratch
  finish done '' ''
}

compare_restored() {
  note phase comparing
  list_of >"$dir/list"
  sums_of copy
  facts_of >"$dir/copy.facts"
  (cd "$w_scratch/data" && sums_of restored && facts_of >"$dir/restored.facts")
  cut -d ' ' -f 4 "$dir/copy" >"$dir/a"; cut -d ' ' -f 4 "$dir/restored" >"$dir/b"
  note verified "$(wc -l <"$dir/a")"
  if ! cmp -s "$dir/a" "$dir/b" || grep -qv '^[0-9a-f]\{64\}$' "$dir/a"; then
    paste -d ' ' "$dir/a" "$dir/b" | awk '$1 != $2 || length($1) != 64 { print NR }' >"$dir/wrong"
    finish failed differs "Of what was restored, $(wc -l <"$dir/wrong") files differ from the copy: $(numbered "$dir/wrong")"
  fi
  cmp -s "$dir/copy.facts" "$dir/restored.facts" || finish failed attributes "Modes, owners, times, ACLs or attributes came back otherwise than they are in the copy: $(
    tr '\n\0' '?\n' <"$dir/restored.facts" >"$dir/b"; tr '\n\0' '?\n' <"$dir/copy.facts" | diff - "$dir/b" | grep '^[<>]' | head -n 4)"
}

compare_before() { # a file that is the same inode, size and time as at an earlier verification has the same content
  known=$home/$w_uuid.sums
  [ ! -f "$known" ] || awk 'NR == FNR { sum[$1 " " $2 " " $3] = $4; next }
    ($1 " " $2 " " $3) in sum && sum[$1 " " $2 " " $3] != $4 { print FNR }' "$known" "$dir/copy" >"$dir/wrong"
  [ ! -s "$dir/wrong" ] ||
    finish failed rotten "$(wc -l <"$dir/wrong") files of the copy are not what they were when it was verified before, though nobody wrote to them: $(numbered "$dir/wrong")"
  [ -s "$dir/sample" ] || { cp "$dir/copy" "$known.new" && mv "$known.new" "$known"; }
}

compare_source() { # a file with the same size and time as at the source has the same content
  note phase source
  out=$dir/changes
  [ -r "$w_config" ] || return 0
  set -- --protect-args
  [ -z "$w_reader" ] || set -- --no-protect-args "--rsync-path=$w_reader"
  rsync -ntci -8 --ignore-missing-args --timeout="$w_stall" '--out-format=%i %n' --from0 "--files-from=$dir/list" \
    -e "ssh -F ${w_config%.conf}.ssh" "$@" "$w_asked" ./ >"$out" 2>>"$dir/output" ||
    { note source no; say "The source could not be asked for all files, so not all were compared with it."; }
  grep '^>fc\.\.\.\.\.\.\.\. ' "$out" >"$dir/wrong" || return 0
  finish failed source "$(wc -l <"$dir/wrong") files have the size and the time that they have at the source, but not the content: $(cut -c 13- "$dir/wrong" | head -n 5 | tr '\n' ' ')"
}
