
# What lies in the base folder $1, for people to choose from; all of it, by name. Each with 10 fields that end with NUL: name,
# folder|link|other, owner, mode, whether something is mounted there, how many things lie in it, how many of them would stay
# whose they are, yes where that is only a part, whose they are, and a unix user whose home folder is in it (see homes).
# First "safe" where nobody but root may write here.
list() {
  path=$1
  cd / && walk "$1" links || die "The folder $1 is not there."
  if roots_alone; then printf 'safe\0'; else printf 'open\0'; fi
  user=root
  owners_of '
    my $left = 200_000; # things that are counted, in all
    my %names;
    my ($here, @homes) = ($ARGV[2], map { [split m{/}, $_, 2] } split /\n/, $ARGV[3]);
    my $name_of = sub { $names{$_[0]} //= (getpwuid $_[0])[0] // $_[0] };
    my $lives_in = sub {
      for my $home (@homes) { return $home->[0] if index("/$home->[1]", "$here/$_[0]/") == 0 }
      return "";
    };
    binmode STDOUT;
    sysopen my $top, ".", $hold or die "the folder: $!\n";
    my $base = mount_of($top);
    opendir my $listing, "." or die "the folder: $!\n";
    for my $name (sort grep { $_ ne "." && $_ ne ".." } readdir $listing) {
      sysopen my $thing, "./$name", $hold or next;
      my ($mode, $uid) = (stat $thing)[2, 4];
      my ($things, $stay, %whose) = (0, 0);
      my $part = "";
      if (S_ISDIR($mode)) {
        chdir $thing or next;
        eval {
          work_here(sub {
            my ($held, $sub, $inode, $its, $links, $owner) = @_;
            die "enough\n" if $left-- <= 0;
            $things++;
            if (S_ISDIR($its) || $links == 1) { $whose{$owner}++ } else { $stay++ }
          });
          1;
        } or $part = "yes";
        chdir $top or die "the folder: $!\n";
      }
      my @most = sort { $whose{$b} <=> $whose{$a} || $a <=> $b } keys %whose;
      my $said = join ", ", map { $name_of->($_) . " $whose{$_}" } @most > 4 ? @most[0 .. 3] : @most;
      $said .= ", ..." if @most > 4;
      print join("\0", $name, S_ISDIR($mode) ? "folder" : S_ISLNK($mode) ? "link" : "other", $name_of->($uid),
        sprintf("%04o", $mode & 07777), mount_of($thing) != $base ? "yes" : "", $things, $stay, $part, $said, $lives_in->($name)), "\0";
    }
  ' "$(pwd -P)" "$(homes)"
}
