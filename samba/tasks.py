"""The works of this room."""

from django.utils.translation import ngettext

from jobs import works
from jobs.run import Run
from samba.looking import WORK, look_into
from servers.connect import connect
from servers.models import Server


@works.register(WORK, safe_to_repeat=True, again=True)
def look_into_base_folder(run: Run, *, server: int) -> None:
    """Look what lies in the base folder of a Samba server; changes nothing there."""
    row = Server.objects.get(pk=server)
    with connect(row) as host:
        count = len(look_into(row, host).entries)
    run.log(ngettext("%d name lies there.", "%d names lie there.", count) % count)
