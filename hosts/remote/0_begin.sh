# The engine's side on the host: one constant POSIX sh script. docs/engine.md tells how it works.
#
# Started as: sh -c 'eval "$1"' gestion THIS-TEXT [ROOT [OWNER-FORMAT]]; ROOT and OWNER-FORMAT are for MemoryHost.
# Data comes on standard input and is never part of a command's text. A string is sent as two parts: a line with the
# number of newlines in it, then its text and a newline. Forks are what this costs on a small host, so shell builtins
# do what they can and each tool is called once for all files.

SCRIPT=$1 R=${2-} OWNER=${3:-'%U %G'}
G=$R/var/lib/gestion RUNS=$G/runs
NL='
'
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# The panel may vanish; we finish. A handler (not '') so that what we start has the default actions.
trap : HUP INT TERM PIPE
umask 077
BOOT=
read -r BOOT </proc/sys/kernel/random/boot_id
