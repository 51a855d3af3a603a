"""What an nginx server left out, and why, as it says itself."""

from django.utils.translation import gettext as _

from forwarding.desired_hostnames import LEFT_OUT, sites_of
from forwarding.models import HostnameForward
from hosts.host import Host
from servers.models import Server

MOST = 500  # characters of a reason


def read(nginx: Server, host: Host) -> str:
    """Note by each hostname of this nginx server why it is left out; say so in a sentence, or nothing.

    Raises HostError.
    """
    found = _left_out(nginx, host.read(LEFT_OUT) or b"")
    rows = list(HostnameForward.objects.on_nginx(nginx))
    for row in rows:
        words = found.get(row.pk, "")
        if row.left_out != words:
            HostnameForward.objects.filter(pk=row.pk).update(left_out=words)
    told = [f"{row}: {found[row.pk]}" for row in rows if row.pk in found]
    return _("Left out: %s") % " ".join(told) if told else ""


def _left_out(nginx: Server, data: bytes) -> dict[int, str]:
    """Why hostnames are left out, by their number."""
    sites = sites_of(nginx)
    found = dict(sites.refused)
    defaults = {f"0-port-{site.port}": site.pk for site in sites.good if site.is_default}
    defaults |= {
        f"0-port-{site.https_port}": site.pk for site in sites.good if site.is_default and site.certificate
    }
    for line in data.decode(errors="replace").split("\n"):
        name, _space, words = line.partition(" ")
        words = "".join(letter if letter.isprintable() else " " for letter in words)[:MOST]
        if name.isascii() and name.isdecimal() and len(name) < 19:
            found[int(name)] = words
        elif name in defaults:
            found.setdefault(defaults[name], _("As the default redirect: %s") % words)
    return found
