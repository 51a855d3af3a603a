"""The works of this room."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import works
from jobs.run import Run
from keymanager import fetch_tasks, reading  # noqa: F401 - the first registers works of its own
from keymanager.services import from_url
from servers.connect import connect
from servers.models import Server


@works.register(reading.WORK, safe_to_repeat=True, again=True)
def read_server_keys(run: Run, *, server: int) -> None:
    """Read the public keys that lie on a server; they wait for an admin's word."""
    row = Server.objects.get(pk=server)
    with connect(row) as host:
        new, wrong = reading.read_from(host, row)
    for words in wrong:
        run.log(words, "err")
    run.log(ngettext("%d new key waits for your word.", "%d new keys wait for your word.", new) % new)
    if not new and not wrong:
        run.log(_("Nothing is new."))


@works.register(from_url.WORK, safe_to_repeat=True, touches=works.NOTHING)
def fetch_keys_from_url(run: Run, *, asked: int) -> None:
    """Fetch the keys at an address; they wait for the word of who asked, and so does what went wrong."""
    error = from_url.fetch_for(asked)
    run.log(error or _("Choose from what was found."), "err" if error else "info")
