running() { read -r PID 2>/dev/null </run/nginx.pid && kill -0 "$PID" 2>/dev/null; }

workers() { grep -slx "PPid:[[:space:]]*$PID" /proc/[0-9]*/status; }

# Whether the old workers are gone, or only finish what they had begun
handed_over() {
  for worker in $before; do
    title=${worker%status}cmdline
    [ ! -e "$title" ] || grep -qs 'shutting down' "$title" || return 1
  done
}

# A reload that fails leaves the old workers at work, and says so in a log only; a busy server takes its time for one
load() {
  before=$(workers)
  kill -HUP "$PID" || return 1
  n=0
  until handed_over; do
    if [ "$n" = 1000 ]; then
      echo 'nginx did not load its new configuration.' >&2
      grep -sF '[emerg]' /var/log/nginx/error.log | tail -n 3 >&2
      return 1
    fi
    n=$((n + 1))
    sleep 0.03
  done
}
