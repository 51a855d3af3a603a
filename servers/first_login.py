"""The first login to a new server, where root has a password that we know, and not our key yet."""

from dataclasses import replace

from accounts.actors import Actor
from accounts.audit import record
from servers.connect import target_of
from servers.identity import panel_identity
from servers.models import Server
from servers.transport import transport

# The key comes on standard input. A last line without its end would swallow it.
ADD = """
umask 077
IFS= read -r key && cd && mkdir -p .ssh || exit 1
file=.ssh/authorized_keys
grep -qxF -- "$key" "$file" 2>/dev/null && exit 0
[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
printf '%s\\n' "$key" >>"$file"
"""
SECONDS = 30.0


def log_in_first(actor: Actor, server: Server, password: str) -> None:
    """Log in by the password, and add the panel's key to root's authorized_keys: from then on that opens it.

    The password goes over the connection alone, and only to a host key that is accepted. Raises HostError.
    """
    target = replace(target_of(server), private_key="", password=password)
    host = transport().fresh(target, server.name)
    try:
        host.run(
            ["sh", "-c", ADD], stdin=f"{panel_identity().public_key}\n".encode(), timeout=SECONDS
        ).check()
    finally:
        host.close()
    record(actor, "server.first_login", server)
