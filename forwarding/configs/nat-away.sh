# Lines of one table, as saved, that take out what is ours and nothing else: the jumps to our chains, then the chains.
away_from() {
  printf '*%s\n' "$1"
  sed -n -e 's/^-A \([A-Z]* .*-j GESTION-[A-Z]*\)$/-D \1/p' -e 's/^:\(GESTION-[A-Z]*\) .*/-F \1/p'
}

away() {
  for table in filter nat; do
    lines=$(iptables-save -t "$table" | away_from "$table")
    case $lines in *' GESTION-'*) ;; *) continue ;; esac
    {
      printf '%s\n' "$lines"
      printf '%s\n' "$lines" | sed -n 's/^-F /-X /p'
      printf 'COMMIT\n'
    } | iptables-restore -w 10 --noflush || return 1
  done
  rm -f /run/nat-vz
}
