"""What a server has on record of folders that were taken over: asked after each rollout of shares."""

from datetime import UTC, datetime

from django.utils.translation import gettext as _

from hosts.host import Host
from samba.desired_shares import records_command
from samba.models import FolderReturn, Share
from servers.models import Server


def read_records(server: Server, host: Host) -> str:
    """Keep which folders can be given back, and which have been; gives a sentence about those that could not.

    Raises HostError.
    """
    lines = [line.split() for line in host.run(records_command()).check().out.decode().splitlines()]
    records = {words[1]: words for words in lines if words[0] == "record"}
    for share in Share.objects.filter(server=server):
        found = records.get(share.user)
        given = (int(found[2]), datetime.fromtimestamp(int(found[3]), UTC)) if found else (None, None)
        if given != (share.given_things, share.given_at):
            Share.objects.filter(pk=share.pk).update(given_things=given[0], given_at=given[1])
    there, kept = ({words[1] for words in lines if words[0] == kind} for kind in ("folder", "kept"))
    said = []
    for row in FolderReturn.objects.filter(server=server).exclude(user__in=there):
        said.append(
            (
                _("Not all in the folder %s could be given back; what could not is root's alone.")
                if row.user in kept
                else _("The folder %s was given back.")
            )
            % row.folder
        )
        row.delete()
    return " ".join(said)
