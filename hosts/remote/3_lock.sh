# The lock

# The lock of all applies on this host; $1: seconds to wait for it. 1: W says who has it
lock() {
  tries=$1
  until take_lock; do
    [ "$tries" -gt 0 ] || { name_holders; return 1; }
    sleep 1
    tries=$((tries - 1))
  done
}

take_lock() {
  if command -v flock >/dev/null; then
    # To open a pipe would wait for somebody at its other end
    [ ! -e "$G/lock" ] || [ -f "$G/lock" ] || return 1
    # freed by the kernel when we die; what we start does not inherit it
    exec 9>>"$G/lock" && flock -n 9
    return
  fi
  if birth $$ && (set -C; printf '%s\n' "$$ $BOOT $BIRTH" >"$G/lock.pid") 2>/dev/null; then
    trap 'rm -f "$G/lock.pid"' EXIT
    return 0
  fi
  holder= boot= born=
  read -r holder boot born <"$G/lock.pid"
  if [ "$boot" != "$BOOT" ] || ! birth "$holder" || [ "$born" != "$BIRTH" ]; then
    rm -f "$G/lock.pid"
  fi
  return 1
}

# BIRTH = when the process $1 began, see proc(5): numbers of processes come again. 1: there is none
birth() {
  stat=
  IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  set -- ${stat##*) }
  BIRTH=${20}
}

# W = who holds the lock, for people: also a process that only inherited it. What others have open is not touched: it may hang
name_holders() {
  W=
  for fd in $(find /proc/[0-9]*/fd -lname "$G/lock" 2>/dev/null); do
    holds_lock "${fd%/fd/*}/fdinfo/${fd##*/}" || continue
    fd=${fd#/proc/} comm=
    read -r comm 2>/dev/null <"/proc/${fd%%/*}/comm"
    W="${W:+$W, }process ${fd%%/*} ($comm)"
  done
  [ -f "$G/lock.pid" ] && read -r holder boot 2>/dev/null <"$G/lock.pid" && W="process $holder"
  W="$G/lock is held by ${W:-a process that cannot be seen}; if that is no rollout, end it there"
  [ ! -e "$G/lock" ] || [ -f "$G/lock" ] || W="$G/lock is no plain file; remove it there"
}

holds_lock() {
  while read -r word more; do
    case $word in lock:) return 0 ;; esac
  done 2>/dev/null <"$1"
  return 1
}
