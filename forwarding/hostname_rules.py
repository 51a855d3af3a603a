"""The rules of hostnames: what is wrong with one, told by the form's field."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from forwarding.hostname_claims import taken
from forwarding.models import Balancing, CertificateKind, HostnameDestination, HostnameForward
from forwarding.models.hostnames import MOST_DESTINATIONS, address_of
from servers.models import Server

Problem = tuple[str, Any]
SSH = 22


def problems(
    hostname: HostnameForward, destinations: Sequence[HostnameDestination], nginx: Server | None
) -> dict[str, list[Any]]:
    """Every broken rule, by the form's field; reads other rows, so call it in the transaction that saves."""
    found = [*_own_rules(hostname), *_destination_rules(hostname, destinations)]
    if not hostname.host.is_proxmox:
        found.append(("host", _("%s is no Proxmox host.") % hostname.host))
    elif nginx is None:
        found.append(("host", _("%s has no nginx server. Set one on its page first.") % hostname.host))
    else:
        found += [*_loops(hostname, destinations, nginx), *taken(hostname, nginx)]
    by_field: dict[str, list[Any]] = {}
    for field, text in found:
        by_field.setdefault(field, []).append(text)
    return by_field


def _own_rules(hostname: HostnameForward) -> Iterator[Problem]:
    """Rules that need nothing but the hostname itself."""
    for field in ("port", "https_port") if hostname.wants_tls else ("port",):
        if getattr(hostname, field) == SSH:
            yield field, _("The nginx server itself is reached by SSH on port 22.")
    if hostname.wants_tls and hostname.port == hostname.https_port:
        yield "https_port", _("One port is either HTTP or HTTPS.")
    if hostname.force_https and not hostname.wants_tls:
        yield "force_https", _("There is no HTTPS without a certificate.")
    if hostname.is_wildcard and hostname.is_default:
        yield "is_default", _("Visitors are redirected to one name, not to “%s”.") % hostname.shown_domain
    if hostname.is_wildcard and hostname.certificate_kind == CertificateKind.ACME:
        yield (
            "certificate_kind",
            _("Certificates for “*.” names need DNS; Gestion gets them for single names. Upload one."),
        )
    if hostname.certificate_kind == CertificateKind.PATHS:
        for field in ("certificate_path", "key_path"):
            if not getattr(hostname, field):
                yield field, _("Enter the file on the nginx server.")


def _destination_rules(
    hostname: HostnameForward, destinations: Sequence[HostnameDestination]
) -> Iterator[Problem]:
    servers = [destination.server for destination in destinations]
    if not servers:
        yield "destinations", _("Choose a server that answers.")
        return
    if len(servers) > MOST_DESTINATIONS:
        yield "destinations", _("At most %d servers answer for one hostname.") % MOST_DESTINATIONS
    if len({server.pk for server in servers}) < len(servers):
        yield "destinations", _("A server is there twice; give it more weight instead.")
    spare = [destination for destination in destinations if destination.backup]
    if len(spare) == len(destinations):
        yield "destinations", _("One server at least is no spare one.")
    elif spare and hostname.balancing == Balancing.IP_HASH:
        yield "destinations", _("nginx has no spare servers where it chooses by the visitor's address.")
    for server in servers:
        if address_of(server, hostname.host_id) is None:
            yield "destinations", _no_address(server, hostname.host)


def _no_address(server: Server, host: Server) -> str:
    words = {"server": server, "host": host, "other": server.vm_host}
    if server.vm_host_id == host.pk:
        return _("%(server)s has no internal IP to lead to. Fill that in first.") % words
    return (
        _("%(server)s runs on %(other)s and has no external IP, so %(host)s does not reach it. Add it there.")
        % words
    )


def _loops(
    hostname: HostnameForward, destinations: Sequence[HostnameDestination], nginx: Server
) -> Iterator[Problem]:
    """Requests that nginx would send to itself."""
    own = {hostname.port, hostname.https_port} if hostname.wants_tls else {hostname.port}
    if hostname.destination_port in own and nginx.pk in {one.server_id for one in destinations}:
        yield "destinations", _("%s is the nginx server: it would send the requests to itself.") % nginx


def some(hostnames: Sequence[HostnameForward]) -> str:
    """A few of them by name, for a sentence."""
    names = ", ".join(str(hostname) for hostname in hostnames[:3])
    more = len(hostnames) - 3
    return (
        names
        if more <= 0
        else ngettext("%(names)s and %(more)d more", "%(names)s and %(more)d more", more)
        % {
            "names": names,
            "more": more,
        }
    )
