# The lock

# The lock of all applies on this host; $1: seconds to wait for it
lock() {
  tries=$1
  until take_lock; do
    [ "$tries" -gt 0 ] || return 1
    sleep 1
    tries=$((tries - 1))
  done
}

take_lock() {
  if command -v flock >/dev/null; then
    # freed by the kernel when we die; what we start does not inherit it
    exec 9>>"$G/lock" && flock -n 9
    return
  fi
  if (set -C; printf '%s\n' "$$ $BOOT" >"$G/lock.pid") 2>/dev/null; then
    trap 'rm -f "$G/lock.pid"' EXIT
    return 0
  fi
  holder= boot=
  read -r holder boot <"$G/lock.pid"
  if [ "$boot" != "$BOOT" ] || ! kill -0 "$holder" 2>/dev/null; then
    rm -f "$G/lock.pid"
  fi
  return 1
}
