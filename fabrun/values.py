"""What the seed's markers in a script's docstring give it ⚓: values on its connection, as `c.gestion_ip`."""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from accounts.actors import Actor
from keymanager import fetching, tokens
from servers.models import Server

NEED_GESTION, NEED_KM, NEED_USER = "NeedGestion", "NeedKM", "NeedUser"


def values_for(
    actor: Actor, server: Server, markers: Collection[str], unix_user: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The values for one server.

    [$AG:NeedGestion]: gestion_ip and gestion_name if the server is on the panel's own Proxmox host, else empty.
    [$AG:NeedKM]: keymanagerName, keyManagerUsers, and keymanager_script, which installs the fetching of keys; empty
    where the run's argument `keys` is off, so that no server counts as set up to fetch that is not.
    [$AG:NeedUser]: fab_user.
    """
    found: dict[str, Any] = {}
    if NEED_GESTION in markers:
        host = server.vm_host.name if server.vm_host else server.name
        beside = bool(settings.GESTION_VM_NAME) and host == settings.GESTION_VM_NAME.lower()
        found["gestion_ip"] = settings.GESTION_IP if beside else ""
        found["gestion_name"] = settings.GESTION_NAME if beside else ""
    if NEED_KM in markers:
        wanted = arguments.get("keys") is not False
        if wanted:
            tokens.give_token(actor, server)
        found["keymanagerName"] = server.keymanager_name
        found["keyManagerUsers"] = list(server.unix_users.values_list("name", flat=True))
        found["keymanager_script"] = fetching.install_script(server) if wanted else ""
    if NEED_USER in markers:
        found["fab_user"] = unix_user
    return found
