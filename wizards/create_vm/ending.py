"""What is shown when all is done: how to log in, where it answers, where its copies are."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from backups.models import Backup
from forwarding.hostname_ways import ways_in
from forwarding.models import HostnameForward
from servers.models import Server
from wizards.create_vm.connections import command_for
from wizards.declare import Data, Line


def lines(data: Data, results: Mapping[str, Data]) -> list[Line]:
    """The lines, as far as those parts were switched on and are still there."""
    found: list[Line] = []
    server = Server.objects.select_related("vm_host").filter(pk=_pk(results, "server")).first()
    if server is not None:
        if command := command_for(server):
            found.append(Line(_("Log in"), command))
        found.append(Line(_("Server"), server.name, server.get_absolute_url()))
    hostname = HostnameForward.objects.select_related("host").filter(pk=_pk(results, "domain")).first()
    if hostname is not None:
        url = ways_in(hostname)[0].url
        found.append(Line(_("Web"), url, url))
    backup = Backup.objects.select_related("destination").filter(pk=_pk(results, "backup")).first()
    if backup is not None:
        text = f"{backup.destination}:{backup.destination_folder}"
        found.append(Line(_("Backup"), text, backup.get_absolute_url()))
    return found


_FACTS = {"server": "server", "domain": "hostname", "backup": "backup"}


def _pk(results: Mapping[str, Data], slug: str) -> Any:
    return results.get(slug, {}).get(_FACTS[slug]) or 0
