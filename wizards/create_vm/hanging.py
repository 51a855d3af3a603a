"""What stands in the way of an undo: all that hangs on the new server, and that this wizard did not put there."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from backups.models import Backup
from forwarding.hostname_dangers import led_to
from forwarding.models import HostnameForward, PortForward
from keymanager.models import Group
from keymanager.watching import lost_without, server_holds
from proxmox.client.names import LXC
from proxmox.guests import GuestRef
from proxmox.looking import look_at
from proxmox.models import Creation, GuestSeen
from proxmox.services.guests import check_destroyable
from servers.models import Server
from servers.panel import panel_on
from servers.registry import Held, held_by_unix_user
from servers.services import holds_of
from wizards.create_vm import task_container
from wizards.declare import Data

OWN = (
    ("backup", "backup", "backups.Backup"),
    ("domain", "hostname", "forwarding.HostnameForward"),
    ("port", "rule", "forwarding.PortForward"),
    ("container", "creation", "proxmox.Creation"),
    ("nginx", "host", "servers.Server"),
)  # a task, what it remembers, the kind of row


def rows_on(server: Server) -> list[Held]:
    """What people have made that hangs on a server."""
    return [held for held in holds_of(server) if held.row or held.blocks]


def key_of(held: Held) -> list[Any]:
    """How its row is remembered, in JSON."""
    return [held.label, held.row.pk if held.row else None]


def others(data: Data, results: Mapping[str, Data]) -> list[Held]:
    """What others have made since, and what they have made of the wizard's own rows."""
    facts = results.get("server", {})
    server = Server.objects.filter(pk=facts.get("server") or 0).first()
    theirs = list(_theirs(data, results, server))
    if server is None:
        return theirs
    own = [[label, results.get(task, {}).get(name)] for task, name, label in OWN]
    known = [*own, *facts.get("hung", [])]
    users = [] if facts.get("made") else _of_new_users(server, facts)
    found = [held for held in [*rows_on(server), *users] if key_of(held) not in known]
    goes = facts.get("made") or _made(results).exists()
    needed = [*_panel(server), *_keys(server)] if goes else ()
    elsewhere = _elsewhere(server, results) if facts.get("made") else ()
    return [*found, *_changed(server, results), *needed, *_in_doubt(results), *elsewhere, *theirs]


def goes_with(server: Server, results: Mapping[str, Data]) -> list[Held]:
    """What goes with the server's row and stands in no undo's way: its keys, and groups but for the wizard's own."""
    added = [pk for task in ("groups", "groups_allowed") for pk in results.get(task, {}).get("added", ())]
    own = {group.get_absolute_url() for group in Group.objects.filter(pk__in=added)}
    return [held for held in server_holds(server) if held.url not in own]


def look(_data: Data, results: Mapping[str, Data]) -> None:
    """Have Proxmox say how its container is called now, what its notes are, and whether it could be destroyed.

    Raises ProxmoxError where it could not.
    """
    for row in _made(results):
        look_at({row.host_id, row.server.vm_host_id or 0}, vmid=row.vmid)
        check_destroyable(
            GuestRef(row.host, LXC, int(row.vmid or 0), row.hostname),
            known=partial(task_container.is_ours, hostname=row.hostname, marker=row.marker),
        )


def _made(results: Mapping[str, Data]) -> QuerySet[Creation]:
    pk = results.get("container", {}).get("creation") or 0
    return Creation.objects.filter(pk=pk, vmid__isnull=False).select_related("host", "server")


def _in_doubt(results: Mapping[str, Data]) -> Iterator[Held]:
    """Its container, where that was renamed or has lost the wizard's mark: it would stay, and nothing lead to it."""
    for row in _made(results):
        for seen in GuestSeen.objects.present().filter(host=row.host_id, kind=LXC, vmid=row.vmid or 0):
            if seen.config and (why := task_container.in_doubt(row, seen.config)):
                yield Held(why, seen.get_absolute_url())


def _theirs(data: Data, results: Mapping[str, Data], server: Server | None) -> Iterator[Held]:
    """Its container where that is another server's machine by now: linked to it, or the row was made anew."""
    facts = results.get("container", {})
    row = _made(results).first() or Creation(
        **{name: facts.get(name) for name in ("vmid", "marker", "hostname")}
    )
    at = GuestSeen.objects.present().filter(
        host=data["host"], kind=LXC, vmid=row.vmid or 0, server__isnull=False
    )
    for seen in at.exclude(server=server).select_related("server"):
        if task_container.is_ours(seen.config, row.hostname, str(row.marker)):
            words = _("container %(guest)s is the machine of %(server)s by now")
            yield Held(words % {"guest": seen, "server": seen.server}, seen.get_absolute_url())


def _elsewhere(server: Server, results: Mapping[str, Data]) -> Iterator[Held]:
    """Its machine where that is another guest by now: restored under another id, or moved to another host."""
    words = _(
        "container %(vmid)d of %(host)s is not there, and %(guest)s of %(there)s is the machine of %(server)s by now: "
        "an undo would leave it as it is, with nothing that knows of it. Destroy it yourself, or keep it apart"
    )
    if "destroy" in results.get("container", {}):
        return  # it was there when this undo began, and has been destroyed since
    for row in _made(results):
        at = GuestSeen.objects.present().filter(host=row.host_id, vmid=row.vmid or 0)
        if any(task_container.is_ours(seen.config, row.hostname, row.marker) for seen in at):
            continue
        marked = Q(name=row.hostname, config__description__icontains=row.marker)
        for seen in GuestSeen.objects.present().filter(marked | Q(server=server)).exclude(pk__in=at):
            told = {"vmid": row.vmid, "host": row.host, "server": server, "guest": seen, "there": seen.host}
            yield Held(words % told, seen.get_absolute_url())


def _of_new_users(server: Server, facts: Data) -> list[Held]:
    """What keeps the unix users on the list that the wizard has added to a server that was there before."""
    rows = server.unix_users.filter(pk__in=facts.get("new_users", ())).select_related("server")
    return [held for row in rows for held in held_by_unix_user(row) if held.blocks]


def _panel(server: Server) -> Iterator[Held]:
    """The panel, where it was moved there: who undoes would end it, and nothing from here brings it back."""
    if said := panel_on(server):
        yield Held(said.rstrip("."), server.get_absolute_url())
    for hostname, said in led_to(server):
        yield Held(said.rstrip("."), hostname.get_absolute_url())


def _keys(server: Server) -> list[Held]:
    """Its keys, where others cannot do without them: they go with it."""
    words = _("other servers need its keys: %s")
    url = reverse("keymanager:server_keys", args=[server.pk])
    return [Held(words % said.rstrip("."), url) for said in lost_without(server)]


def _changed(server: Server, results: Mapping[str, Data]) -> list[Held]:
    """The wizard's hostname, port, backup and nginx server, where others need them, too, by now."""
    hostname = results.get("domain", {}).get("hostname") or 0
    served = HostnameForward.objects.filter(host=results.get("nginx", {}).get("host") or 0)
    led = served.exclude(pk=hostname).exclude(destinations__server=server)  # these hang on it anyway
    found = [Held(_("the hostname %s is led by it") % row, row.get_absolute_url(), row=row) for row in led]
    for row in HostnameForward.objects.filter(pk=hostname):
        if row.destinations.exclude(server=server).exists():
            text = _("the hostname %s leads to other servers, too") % row
            found.append(Held(text, row.get_absolute_url(), row=row))
    for rule in PortForward.objects.filter(pk=results.get("port", {}).get("rule") or 0):
        if rule.destination_id != server.pk:
            text = _("the forwarded port %s leads to another server") % rule
            found.append(Held(text, rule.get_absolute_url(), row=rule))
    for backup in Backup.objects.filter(pk=results.get("backup", {}).get("backup") or 0):
        if backup.source_id != server.pk:
            text = _("the backup of %s is of another server") % backup
            found.append(Held(text, backup.get_absolute_url(), row=backup))
    return found
