"""What a change of a server means for its backups."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from backups.desired_plans import KIND
from backups.letting_in import missing
from backups.models import Backup, BackupSet
from backups.models.restores import AT_WORK
from backups.services.plans import ask_again, ask_sources_again
from backups.ways import NoWay, way_from
from servers.facts import ServerFacts
from servers.models import Server, UnixUser
from servers.registry import Held, each

# What the way from a backup server depends on; a host's own matter to what is reached through it.
OF_WAY = ("name", "ssh_connection", "backup_ssh_connection", "internal_ip", "vm_host_id")


def server_holds(server: Server) -> Iterable[Held]:
    """The backups that must be deleted before a server is, and the copies that are left on it."""
    url = f"{reverse('backups:backups')}?q={server.name}"
    copied = server.backups_from.select_related("source")
    yield from each(copied, _("the backup %s copies it"), url, blocks=True)
    kept = server.backups_to.select_related("source")
    yield from each(kept, _("the copies of the backup %s are there"), url, blocks=True, on_disk=True)
    restores = server.restores_to.filter(state__in=AT_WORK).select_related("backup__source")
    yield from each(restores, _("%s is being restored to it"), reverse("backups:backups"), blocks=True)
    left = server.left_backups.select_related("destination")
    words = _("copies of a deleted backup are left in %s")
    yield from each(left, words, f"{reverse('backups:left_list')}?q={server.name}", on_disk=True)


def server_folders(server: Server) -> Iterable[tuple[str, Held]]:
    """The folders on a backup server in which copies lie: see servers.registry.ServerPart."""
    for backup in server.backups_to.select_related("source"):
        text = _("the copies of the backup %s are there") % backup
        yield backup.destination_folder, Held(text, backup.get_absolute_url(), row=backup)
    for left in server.left_backups.select_related("destination"):
        text = _("copies of a deleted backup are left in %s") % left
        yield left.folder, Held(text, left.get_absolute_url(), row=left)


def backup_holds(backups: Iterable[Backup]) -> list[Held]:
    """What goes with these backups: their places in sets."""
    sets = BackupSet.objects.filter(members__backup__in=backups).distinct()
    return [Held(_("Its place in the set %s") % one, one.get_absolute_url()) for one in sets]


def unix_user_holds(unix_user: UnixUser) -> Iterable[Held]:
    """The backups that come as this unix user; those that do by keys from here would copy nothing more.

    For root that is said alone: the guard of the last way in asks about it.
    """
    for backup in _on_the_way(unix_user.server).select_related("source__vm_host", "destination"):
        try:
            hops = way_from(backup.destination, backup.source)
        except NoWay:
            continue
        if any((hop.name, hop.address.user) == (unix_user.server.name, unix_user.name) for hop in hops):
            blocks = unix_user.name != "root" and missing(backup) is None
            yield Held(_("the backup %s logs in as it") % backup, backup.get_absolute_url(), blocks, backup)


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """Roll out where the way to a source has changed."""
    if before is None or after is None:
        return
    if any(getattr(before, name) != getattr(after, name) for name in OF_WAY):
        ask_again(actor, _backup_servers(server), _("%s has changed") % server)
        ask_sources_again(actor, _read_as_root(server), _("%s has changed") % server)


def host_keys_changed(actor: Actor, server: Server) -> None:
    """Roll out where the server's accepted host keys are written."""
    ask_again(actor, _backup_servers(server), _("The accepted host keys of %s have changed") % server)


def _backup_servers(server: Server) -> list[Server]:
    """Those whose files name this server."""
    ids = _on_the_way(server).order_by().values("destination")
    return list(Server.objects.filter(pk__in=ids, rollouts__kind=KIND).order_by("pk"))


def _read_as_root(server: Server) -> list[Server]:
    """The sources that are read by sudo as another user than root, by a way that this server is on."""
    ids = _on_the_way(server).filter(as_root=True).order_by().values("source")
    return list(Server.objects.filter(pk__in=ids).order_by("pk"))


def _on_the_way(server: Server) -> QuerySet[Backup]:
    """The backups that have this server as source, as host of a source, or as the one that copies."""
    above = Q(source=server) | Q(destination=server)
    path = "source__vm_host"
    for _floor in range(3):  # a guest of a guest of a guest
        above |= Q(**{path: server})
        path += "__vm_host"
    return Backup.objects.filter(above)
