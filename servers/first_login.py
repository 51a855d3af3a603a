"""Logins by password: the first one to a new server, where root has no key of ours yet; and whether one can try."""

import secrets
from dataclasses import replace

from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from hosts.errors import LoginRefused
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


def tries_password(server: Server) -> str:
    """Try a password that is nobody's: "" where sshd takes none at all, else a sentence.

    Raises HostError where it cannot be reached. The host key is checked as ever.
    """
    target = replace(target_of(server), private_key="", password=secrets.token_urlsafe(24))
    host = transport().fresh(target, server.name)
    try:
        host.run(["true"], timeout=SECONDS)
    except LoginRefused as error:
        asked = {"password", "keyboard-interactive"} & set(error.methods)
        return "" if error.methods and not asked else _("sshd still lets one try a password")
    finally:
        host.close()
    return _("sshd lets in whoever asks, whatever the password")
