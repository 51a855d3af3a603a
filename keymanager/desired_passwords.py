"""What a server should hold whose sshd takes no passwords: a file of its own, before all that says otherwise.

sshd_config(5): the first value of a keyword counts, but for those in a Match block, which count before all. So the file
has a name that sorts first, and what stands in Match blocks is looked for. Files in sshd_config.d are read where
sshd_config says so (Include, since OpenSSH 8.2); what counts in the end, sshd itself says (sshd -T).
"""

from collections.abc import Callable

from hosts.state import STAGED, AskProbe, Command, File, State

KIND = "ssh-passwords"
PATH = "/etc/ssh/sshd_config.d/00-gestion-no-passwords.conf"
# ChallengeResponseAuthentication: until OpenSSH 8.7 a keyword of its own, since then another name of the one above it.
TEXT = """\
# Written by Gestion; what is changed here is put back. SSH takes keys alone. The console still takes passwords.
PasswordAuthentication no
KbdInteractiveAuthentication no
ChallengeResponseAuthentication no
"""
_SSHD = 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"\n'
READS = _SSHD + 'exec sshd -t -f "$1"'
# Whether sshd would take a password, by what its files say now. Words for people go to standard error.
TAKES_NONE = (
    _SSHD
    + r"""
dir=/etc/ssh/sshd_config.d main=/etc/ssh/sshd_config
said=$(sshd -T -C user=root,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22 2>&1) ||
  { printf '%s\n' "$said" >&2; exit 1; }
words='passwordauthentication|kbdinteractiveauthentication|challengeresponseauthentication'
yes=$(printf '%s\n' "$said" | grep -E "^($words) yes" | head -n 1)
if [ -n "$yes" ] && ! grep -qiE '^[[:space:]]*include[[:space:]=].*sshd_config\.d' "$main"; then
  echo "its sshd does not read $dir, since $main has no Include for it (OpenSSH 8.2 and later have):" \
    "write “PasswordAuthentication no” and “KbdInteractiveAuthentication no” into $main by hand" >&2
  exit 1
elif [ -n "$yes" ]; then
  echo "sshd still says “$yes”: something before the Include in $main, or a file that sorts first in $dir, says so" >&2
  exit 1
fi
set -- "$main"
for file in "$dir"/*.conf; do [ ! -f "$file" ] || set -- "$@" "$file"; done
blocks=$(awk -F '[ \t="]+' -v words="^($words)\$" '
  FNR == 1 { block = 0 }
  { at = $1 == "" ? 2 : 1; word = tolower($at); value = tolower($(at + 1)) }
  word == "match" { block = 1 }
  block && word ~ words && value == "yes" { print FILENAME ", line " FNR }' "$@") || exit 1
[ -z "$blocks" ] || { echo "a Match block takes passwords all the same:" $blocks >&2; exit 1; }
"""
)
# Whoever is logged in stays so. An sshd that systemd starts for each connection reads its files each time.
RELOAD = r"""
for unit in ssh sshd; do
  systemctl is-active -q "$unit.service" 2>/dev/null && exec systemctl reload "$unit.service"
done
for unit in ssh sshd; do systemctl is-active -q "$unit.socket" 2>/dev/null && exit 0; done
for unit in ssh sshd; do [ ! -x "/etc/init.d/$unit" ] || exec "/etc/init.d/$unit" reload; done
echo "nothing here knows how to reload sshd" >&2
exit 1
"""
_reload = Command(("sh", "-c", RELOAD), timeout=60)
_takes_none = Command(("sh", "-c", TAKES_NONE))


def no_passwords(tried: Callable[[], str]) -> State:
    """The state. `tried` tries a password from outside: "" if there is no way to, else what is wrong.

    It can cut us off, so the host undoes it unless the panel comes in by its key over a new connection.
    """
    return State(
        kind=KIND,
        items=(File(PATH, TEXT.encode()),),
        checks=(
            Command(("sh", "-c", READS, "sh", STAGED(PATH))),
            Command(_takes_none.argv, in_place=True),
        ),
        activate=(_reload,),
        looks=(_takes_none,),
        proofs=(_takes_none,),
        probes=(AskProbe(tried),),
        can_cut_off=True,
        put_back=(_reload,),
    )


def as_before() -> State:
    """The state of a server that had the file: it goes, and sshd takes what it took before."""
    return State(kind=KIND, items=(), activate=(_reload,))
