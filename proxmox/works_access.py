"""The work that tries an access: does it answer, does it let us in, what may we do."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import works
from jobs.run import Run
from proxmox import rights
from proxmox.client import NodeApi, errors, open_api
from proxmox.models import ProxmoxAccess
from proxmox.services.access import TRY
from servers.models import Server


@works.register(TRY, safe_to_repeat=True, again=True)
def try_access(run: Run, *, server: int) -> None:
    """Sign in, read version, node, guests and rights, and keep what was found."""
    host = Server.objects.get(pk=server, is_proxmox=True)
    found: dict[str, Any] = {"tried_as": "", "tried_code": "", "tried_words": ""}
    try:
        with open_api(host) as api, run.on_stop(api.cut):
            found["tried_as"] = api.who
            found |= _look(run, api)
        if not api.endpoint.fingerprint:  # one that a CA vouches for has taken the place of what was offered
            found |= {"offered_certificate": "", "offered_fingerprint": "", "offered_at": None}
    except errors.ProxmoxError as error:
        run.check_stop()
        found |= {"tried_code": error.code, "tried_words": str(error)}
        if not isinstance(error, errors.CertificateUnknown):
            raise
        run.log(str(error), "err")  # now it is an admin's turn; a notice tells him, no failed job need
    finally:
        if not run.stopping:
            row, _made = ProxmoxAccess.objects.get_or_create(server=host)
            ProxmoxAccess.objects.filter(pk=row.pk).update(tried_at=timezone.now(), **found)


def _look(run: Run, api: NodeApi) -> dict[str, Any]:
    with run.step(_("Sign in")):
        version = api.version()
        run.log(_("Proxmox VE %(version)s lets %(who)s in.") % {"version": version.text, "who": api.who})
    found: dict[str, Any] = {"pve_version": version.text}
    with run.step(_("Read the rights")):
        table = api.permissions()
        for path in rights.paths(api.node, version.major):
            table |= {path: api.permissions(path).get(path, [])}
        found["rights"] = table
        lacking = [right for right in rights.compare(api.node, version.major, table) if not right.is_there]
        for right in lacking:
            run.log(
                _("%(privilege)s is missing on %(path)s")
                % {"privilege": right.need.privilege, "path": right.need.path},
                "err",
            )
    with run.step(_("List the guests")):
        guests = api.guests()
        found["guests_seen"] = len(guests)
        run.log(_("%d guests are seen.") % len(guests))
    return found
