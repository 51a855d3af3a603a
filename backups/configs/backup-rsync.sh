#!/bin/sh
# What rsnapshot starts in the place of rsync in a run of Gestion; by hand it is rsync itself.
[ -n "$GESTION_RUN_FOLDER" ] || exec rsync "$@"
exec "${0%/*}/backup-run" rsync "${GESTION_RUN_FOLDER##*/}" "$@"
