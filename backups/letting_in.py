"""Whether root of the backup server is let in at every hop to a source, as far as the inventory knows."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from backups.models import Backup
from backups.ways import NoWay, way_from
from keymanager.keysets import key_sets
from keymanager.models import Key, OfferedKey
from servers.models import Server


@dataclass(frozen=True)
class Missing:
    """What is missing for the backup server to be let in, and where to mend it."""

    words: str
    button: str
    url: str
    post: bool = False  # the button does something by itself


def _no_key(server: Server) -> Missing:
    if OfferedKey.objects.filter(unix_user__server=server, unix_user__name="root").exists():
        text = _("The SSH key of root on %s, with which it logs in to the sources, waits for your word.")
        url = reverse("keymanager:server_keys", args=[server.pk])
        return Missing(text % server, _("Look at its key"), url)
    text = _("The keymanager knows no SSH key of root on %s, with which it logs in to the sources.")
    url = reverse("backups:make_key", args=[server.pk])
    return Missing(text % server, _("Read it, or make one"), url, post=True)


def missing(backup: Backup) -> Missing | None:
    """The first thing that is missing on the way; None where every hop lets root of the backup server in."""
    try:
        way = way_from(backup.destination, backup.source)
    except NoWay:
        return None  # its rules say so, by the field
    servers = {server.name: server for server in Server.objects.filter(name__in=[hop.name for hop in way])}
    for hop in way:
        if not hop.host_keys and hop.name in servers:
            text = _("No host key of %s is accepted yet, so nothing logs in there.") % hop.name
            return Missing(text, _("Look at its host key"), servers[hop.name].get_absolute_url())
    keys = Key.objects.filter(unix_user__server=backup.destination, unix_user__name="root")
    prints = set(keys.values_list("fingerprint", flat=True))
    if not prints:
        return _no_key(backup.destination)
    sets = key_sets(server.keymanager_name for server in servers.values())
    for hop in way:
        lines = sets.get(servers[hop.name].keymanager_name, {}).get(hop.address.user, ())
        if not prints & {line.fingerprint for line in lines}:
            text = _(
                "The key of root on %(there)s is not among those that may log in to %(hop)s as %(user)s."
            )
            words = {"there": backup.destination, "hop": hop.name, "user": hop.address.user}
            return Missing(text % words, _("Allow it by a group"), reverse("keymanager:groups"))
    return None
