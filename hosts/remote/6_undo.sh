# The undo timer

# Before the swap: from now on the host undoes by itself, after WAIT seconds or when it starts again
arm() {
  printf %s "$SCRIPT" >"$RUNS/$RUN.script" || return 1
  printf '%s\n' '# Puts back what the panel did not confirm; see the journal beside this file.' \
    "printf '%s\\n' undo $RUN | sh -c 'eval \"\$1\"' gestion \"\$(cat \"\${0%.undo}.script\")\" \"\$1\" \"\$2\"" \
    >"$RUNS/$RUN.undo" || return 1
  if [ -d "$R/run/systemd/system" ]; then
    units=$R/etc/systemd/system wants=$R/etc/systemd/system/multi-user.target.wants
    # Type=simple, or waiting for the end of the boot would wait for itself
    printf '%s\n' '[Unit]' 'Description=Put back what Gestion did not confirm' '[Service]' 'Type=simple' \
      "ExecStart=/bin/sh -c 'timeout 120 systemctl is-system-running --wait; \
exec /bin/sh /var/lib/gestion/runs/$RUN.undo'" >"$units/gestion-undo-$RUN.service" || return 1
    [ -d "$wants" ] || W=$(mkdir -p "$wants" 2>&1) || return 1
    W=$(ln -s "../gestion-undo-$RUN.service" "$wants/" 2>&1) || return 1
    sync -- "$wants" "$units" "$units/gestion-undo-$RUN.service"
  elif [ -d "$R/etc/cron.d" ]; then
    printf '%s\n' "@reboot root sh /var/lib/gestion/runs/$RUN.undo" >"$R/etc/cron.d/gestion-undo-$RUN" || return 1
  fi
  setsid sh -c 'sleep "$1"; exec sh "$2" "$3" "$4"' gestion-undo \
    "$WAIT" "$RUNS/$RUN.undo" "$R" "$OWNER" </dev/null >/dev/null 2>&1 9>&- &
  printf '%s\n' "$! $BOOT" >"$RUNS/$RUN.armed"
}

# Whether the timer of RUN still runs
armed() {
  pid= boot= command=
  [ -e "$RUNS/$RUN.armed" ] && read -r pid boot <"$RUNS/$RUN.armed" && [ "$boot" = "$BOOT" ] || return 1
  read -r command 2>/dev/null <"/proc/$pid/cmdline"
  case $command in *"$RUN"*) return 0 ;; esac
  return 1
}

disarm() {
  [ -e "$RUNS/$RUN.undo" ] || return 0
  # dash's kill takes no --. When the timer itself puts back, its sleeper became us: we are not killed.
  [ -n "${UNDOING-}" ] || ! armed || kill -9 "-$pid" 2>/dev/null
  set -- "$R/etc/systemd/system/gestion-undo-$RUN.service" "$R/etc/cron.d/gestion-undo-$RUN" \
    "$R/etc/systemd/system/multi-user.target.wants/gestion-undo-$RUN.service" "$RUNS/$RUN.undo"
  rm -f -- "$@"
}
