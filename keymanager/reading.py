"""Read the public keys that lie on a server, for an admin to look at before they count."""

import shlex

from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from hosts.host import Host
from jobs.models import Job
from jobs.services import start_job
from keymanager.bad_key import BadKey
from keymanager.models import Key, OfferedKey
from keymanager.openssh import parse_keys
from servers.models import Server, UnixUser

WORK = "keymanager.read_server_keys"
MOST_BYTES = 64 * 1024  # of one server's answer, so that no server fills the panel's memory
# Names come on standard input, one a line; the answer is user, path and line, each ended by NUL, which no
# file name can hold. No login shell is started, and no link followed: a .pub could point at another's file.
# Each file is opened as its user, who may have put a link or a pipe there a moment ago.
SCRIPT = r"""
first_line() {
  if [ "$uid" = "$(id -u)" ]; then set -- head -c 20000 -- "$1"
  else set -- setpriv --reuid="$uid" --regid="$gid" --init-groups env -i PATH="$PATH" head -c 20000 -- "$1"; fi
  timeout -k 1 10 "$@" </dev/null 2>/dev/null | head -n 1 | tr -d '\000\n'
}
while IFS= read -r user; do
  IFS=: read -r _ _ uid gid _ home _ <<END
$(getent passwd -- "$user")
END
  [ -n "$home" ] || continue
  for file in "$home"/.ssh/id_*.pub; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    printf '%s\0%s\0' "$user" "$file"
    first_line "$file"
    printf '\0'
  done
done
"""


def read_server_keys(actor: Actor, server: Server) -> Job:
    """Start a job that reads ~/.ssh/id_*.pub of each unix user of the server."""
    audit.record(actor, "server_keys.read", server)
    title = _("Read the SSH keys of %s") % server
    return start_job(actor, WORK, title, {"server": server.pk}, subject=server, once=True)


def read_from(host: Host, server: Server) -> tuple[int, list[str]]:
    """Offer what lies on the host: how many keys are new, what was wrong with others. Raises HostError."""
    units = {unit.name: unit for unit in server.unix_users.all()}
    said = host.run(["sh", "-c", SCRIPT], stdin="".join(f"{name}\n" for name in units).encode()).check()
    new, wrong = 0, []
    parts = said.out[:MOST_BYTES].decode(errors="replace").split("\0")
    for user, path, line in zip(parts[0::3], parts[1::3], parts[2::3], strict=False):
        if user not in units:
            continue
        try:
            new += _offer(units[user], path, line)
        except BadKey as error:
            wrong.append(f"{shlex.quote(path)}: {error}")
    return new, wrong


def _offer(unit: UnixUser, path: str, line: str) -> int:
    key = parse_keys(line)[0]  # as if it were pasted: the file may have been written by any program
    if Key.objects.filter(unix_user=unit, fingerprint=key.fingerprint).exists():
        return 0
    _row, new = OfferedKey.objects.update_or_create(
        unix_user=unit, fingerprint=key.fingerprint, defaults={"line": key.line, "path": path[:255]}
    )
    return int(new)
