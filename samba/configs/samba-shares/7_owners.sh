
# Who owns what lies in a folder: given to a share's user, put on record before, and given back. Each thing is held before it
# is looked at, and what is held is given (O_PATH, see open(2)), so that another thing under its name in the meantime changes
# nothing. A device, and what is mounted here, are not ours to give; nor is a file with a second name, which may be somebody
# else's.
#
# A record is one file a share, root's alone: a line about the folder itself and the user, then 18 bytes a thing, as its number
# on the disk (inode), owner, group and mode. Numbers, no paths: what was renamed since goes back, too. Which disk it is, is
# told by the number of its device, or of its file system: the first need not be the same after the next boot.
WALK='
  use strict;
  use Fcntl qw(:mode O_NOFOLLOW);
  my $hold = O_NOFOLLOW | 010000000;
  my $entry = "Q N N n";
  my $size = length pack $entry, 0, 0, 0, 0;

  sub mount_of {
    open my $facts, "<", "/proc/self/fdinfo/" . fileno $_[0] or die "/proc: $!\n";
    for (<$facts>) { return $1 if /^mnt_id:\s*(\d+)/ }
    die "/proc does not tell what is mounted\n";
  }

  # Call work with each thing below the folder that we stand in: held, its name and facts, and what work said of the folder
  sub walk {
    my ($here, $mount, $work, $said) = @_;
    opendir my $listing, "." or die "a folder: $!\n";
    my @names = grep { $_ ne "." && $_ ne ".." } readdir $listing;
    closedir $listing;
    for my $name (@names) {
      my $thing;
      sysopen $thing, "./$name", $hold or do { next if $!{ENOENT}; die "$name: $!\n" };
      next if mount_of($thing) != $mount;
      my ($inode, $mode, $links, $uid, $gid) = (stat $thing)[1 .. 5];
      next if S_ISBLK($mode) || S_ISCHR($mode);
      my $saying = $work->($thing, $name, $inode, $mode, $links, $uid, $gid, $said);
      next if !S_ISDIR($mode);
      chdir $thing or die "$name: $!\n";
      walk($thing, $mount, $work, $saying);
      chdir $here or die "$name: $!\n";
    }
  }

  sub work_here {
    my ($work, $said) = @_;
    sysopen my $top, ".", $hold or die "the folder: $!\n";
    walk($top, mount_of($top), $work, $said);
  }

  # A number of its own, as far as it has one: ZFS, btrfs and ext4 do
  sub file_system {
    my ($number) = qx(stat -f -c %i .) =~ /^(.*)$/m;
    return $number // 0;
  }

  # The first line of a record, and a reader of the rest; nothing where there is none, or it is of another folder
  sub record {
    open my $file, "<:raw", $_[0] or return;
    my @top = split " ", scalar <$file>;
    my ($device, $inode) = stat ".";
    return if @top < 6 || $top[1] != $inode || $top[0] != $device && !($top[6] && $top[6] eq file_system());
    my $bytes;
    return (\@top, sub { read($file, $bytes, $size) == $size ? unpack $entry, $bytes : () });
  }
'

owners_of() { # of $user, by this part of Perl
  ulimit -n "$(ulimit -H -n)"
  program=$1
  shift
  perl -e "$WALK$program" "$(id -u "$user")" "$(id -g "$user")" "$@"
}

# Put on record who owns what lies here, before it is given. What is on record of this folder already stays as it is.
keep_record() {
  mkdir -p -m 0700 -- "$OWNERS" && owners_of '
    my ($user, $group, $old) = @ARGV;
    binmode STDOUT;
    my ($top, $next) = record($old);
    my %known;
    my ($device, $inode, $mode, $uid, $gid) = (stat ".")[0, 1, 2, 4, 5];
    print join(" ", $top ? @$top : ($device, $inode, $uid, $gid, $mode & 07777, $user, file_system())), "\n";
    while ($top and my @one = $next->()) { $known{$one[0]} = 1; print pack $entry, @one }
    work_here(sub {
      my ($thing, $name, $inode, $mode, $links, $uid, $gid) = @_;
      return if $uid == $user || $known{$inode} || !S_ISDIR($mode) && $links != 1;
      print pack $entry, $inode, $uid, $gid, $mode & 07777;
    });
    close STDOUT or die "the record: $!\n";
  ' "$(record_file)" >"$OWNERS/new" && sync -- "$OWNERS/new" && mv -f -- "$OWNERS/new" "$OWNERS/$user.new"
}

# The record of $user: the one of a takeover that is not proved yet, before the one that is
record_file() { if [ -f "$OWNERS/$user.new" ]; then echo "$OWNERS/$user.new"; else echo "$OWNERS/$user"; fi; }

give_all() {
  owners_of '
    my ($user, $group) = @ARGV;
    work_here(sub {
      my ($thing, $name, $inode, $mode, $links) = @_;
      return if !S_ISDIR($mode) && $links != 1;
      chown $user, $group, "/proc/self/fd/" . fileno $thing or die "$name: $!\n";
    });
  '
}

# Give what is still the user's back to whom it belonged; 1: not all of it could be. What is new since belongs to whom its folder belongs then. A
# program that ran as its owner (setuid, setgid) does so no more: its content may have been changed meanwhile.
give_back() {
  [ -f "$(record_file)" ] || return 1
  owners_of '
    my ($top, $next) = record($ARGV[2]) or die "its record is of another folder\n";
    chown 0, 0, "." and chmod 0700, "." or die "the folder: $!\n"; # so that nobody new comes in meanwhile
    my (undef, undef, $owner, $group, $mode, $user) = @$top;
    my (%was, $failed);
    while (my @one = $next->()) { $was{$one[0]} = pack "N N n", @one[1 .. 3] }
    work_here(sub {
      my ($thing, $name, $inode, $now, $links, $uid, $gid, $above) = @_;
      my @before = $was{$inode} ? unpack "N N n", $was{$inode} : (@$above, $now & 07777);
      return $above if $uid != $user;
      my $may = S_ISDIR($now) ? 07777 : 0777;
      my $held = "/proc/self/fd/" . fileno $thing;
      chown @before[0, 1], $held and (S_ISLNK($now) or chmod $before[2] & $may, $held) or warn "$name: $!\n" and $failed = 1;
      return [@before[0, 1]];
    }, [$owner, $group]);
    chown $owner, $group, "." or die "the folder: $!\n";
    chmod $mode, "." or die "the folder: $!\n";
    exit 1 if $failed;
  ' "$(record_file)"
}

forget_record() { rm -f -- "$OWNERS/$user" "$OWNERS/$user.new"; }

# From now on the share has worked: a later rollout that fails gives nothing back by itself
settle_records() {
  for record in "$OWNERS"/*.new; do
    [ ! -f "$record" ] || mv -f -- "$record" "${record%.new}"
  done
}

# "folder USER" for each that has one, "record USER THINGS SECONDS" for each of which it is known whose it was, and once
# "kept USER" for each that could not be given back
records() {
  [ ! -f "$OWNERS/kept" ] || { sed 's/^/kept /' "$OWNERS/kept" && rm -f -- "$OWNERS/kept"; }
  [ ! -f "$MADE" ] || cut -f 1 "$MADE" | sed 's/^/folder /'
  for record in "$OWNERS"/*; do
    case $record in *.new | */new | */kept) continue ;; esac
    [ ! -f "$record" ] || echo "record ${record##*/} $((($(stat -c %s "$record") - $(head -n 1 "$record" | wc -c)) / 18)) $(stat -c %Y "$record")"
  done
}
