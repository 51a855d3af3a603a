"""What an nginx server should hold so that hostnames lead to their servers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _

from forwarding.configs import FOLDER as CONFIGS
from forwarding.configs import configured
from forwarding.models import CertificateKind, HostnameForward
from forwarding.nginx_sites import (
    CERTIFICATES,
    FOLDER,
    Certificate,
    Site,
    Upstream,
    confs,
    ngnix_conf,
    site_conf,
)
from forwarding.services.certificates import pair_of
from hosts.state import STAGED, Command, File, Item, Link, State
from servers.models import Server

KIND = "nginx"
AVAILABLE = "/etc/nginx/sites-available/ngnix.conf"
ENABLED = "/etc/nginx/sites-enabled/ngnix.conf"
SCRIPT = "/usr/local/sbin/gestion-nginx"
CHOSEN = "/etc/nginx/gestion/enabled.conf"  # the sites that nginx takes, as the script wrote it
LEFT_OUT = "/var/lib/gestion/nginx/left-out"
UNITS = "/etc/systemd/system"
SECONDS = 180  # to try many sites, some of whose names take long not to be found


@dataclass(frozen=True)
class Sites:
    """The hostnames of one nginx server, and why some of them (by number) cannot be served; `left_out` names them."""

    good: tuple[Site, ...]
    refused: dict[int, str]
    left_out: tuple[str, ...]


def sites_of(nginx: Server) -> Sites:
    """Read the active rows of an nginx server; one that cannot be served never keeps the others from it."""
    rows = (
        HostnameForward.objects.on_nginx(nginx)
        .filter(active=True)
        .select_related("host", "stored_certificate")
    )
    good, refused, left_out = [], {}, []
    for row in rows.prefetch_related("destinations__server").order_by("pk"):
        try:
            good.append(_written(site_of(row)))
        except ValueError as error:
            refused[row.pk] = _("It cannot be written for nginx: %s.") % error
            left_out.append(f"{row}: {refused[row.pk]}")
    return Sites(tuple(good), refused, tuple(left_out))


def _written(site: Site) -> Site:
    """The site itself; ValueError if one of its files could not be written."""
    for _name, _text in confs([site]):
        pass
    return site


def site_of(row: HostnameForward) -> Site:
    """One row as nginx serves it; ValueError where it cannot."""
    prefetch_related_objects([row], "destinations__server")
    upstreams = []
    for to in row.destinations.all():
        to.hostname = row
        if to.address:
            upstreams.append(Upstream(to.address, to.weight, to.backup))
    if upstreams and all(upstream.backup for upstream in upstreams):  # the others have no address
        upstreams = [Upstream(upstream.address, upstream.weight) for upstream in upstreams]
    return Site(
        pk=row.pk,
        domain=row.domain,
        upstreams=tuple(upstreams),
        port=row.port,
        https_port=row.https_port,
        destination_port=row.destination_port,
        balancing=row.balancing,
        max_fails=row.max_fails,
        fail_timeout=row.fail_timeout,
        websockets=row.websockets,
        body_size=row.body_size,
        force_https=row.force_https,
        is_default=row.is_default,
        certificate=_certificate(row),
    )


def _certificate(row: HostnameForward) -> Certificate | None:
    """None for plain HTTP, and as long as the certificate is still to come."""
    if row.certificate_kind == CertificateKind.PATHS:
        return Certificate(row.certificate_path, row.key_path)
    pair = pair_of(row)
    if pair is None:
        return None
    folder = f"{CERTIFICATES}/{row.pk:d}"
    return Certificate(f"{folder}.pem", f"{folder}.key", (pair.chain, pair.key))


def text_of(row: HostnameForward) -> str:
    """The hostname's own file on the nginx server; empty where it has none."""
    try:
        return site_conf(site_of(row)) if row.active else ""
    except ValueError:
        return ""


def desired(nginx: Server) -> State:
    """What the server should hold of kind "nginx"; nothing once no active hostname is served by it."""
    sites = sites_of(nginx)
    return state(sites.good, sites.left_out)


def does(nginx: Server) -> Iterator[str]:
    """Which names the server answers to, and for whom, in words: see servers.registry.RolloutKind."""
    for site in sites_of(nginx).good:
        ports = [str(port) for port in (site.port, site.https_port if site.certificate else None) if port]
        upstreams = ", ".join(f"{one.address}:{site.destination_port}" for one in site.upstreams)
        yield _("%(domain)s (%(ports)s) to %(to)s") % {
            "domain": site.domain or "*",
            "ports": ", ".join(ports),
            "to": upstreams or "–",
        }


def state(sites: Iterable[Site], left_out: tuple[str, ...] = ()) -> State:
    """The state of an nginx server that serves these sites."""
    sites = tuple(sites)
    back = (Command(("sh", "-c", _away()), timeout=SECONDS),)
    if not sites:
        return State(kind=KIND, items=(), activate=back, left_out=left_out)
    return State(
        kind=KIND,
        items=tuple(_items(sites)),
        checks=(Command(("sh", STAGED(SCRIPT), "check"), always=True),),
        activate=(Command((SCRIPT, "apply"), timeout=SECONDS),),
        looks=(Command((SCRIPT, "status")),),
        proofs=(Command((SCRIPT, "status")),),
        put_back=back,
        left_out=left_out,
    )


def _items(sites: tuple[Site, ...]) -> Iterable[Item]:
    yield File(AVAILABLE, ngnix_conf().encode())
    yield Link(ENABLED, AVAILABLE)
    yield File(SCRIPT, _script(), mode=0o755)
    for unit in ("gestion-nginx.service", "gestion-nginx-again.service", "gestion-nginx-again.timer"):
        yield File(f"{UNITS}/{unit}", _config(unit))
    # Wanted by nginx itself: so that it runs before every start, and its failure keeps nobody from starting.
    yield Link(f"{UNITS}/nginx.service.wants/gestion-nginx.service", "../gestion-nginx.service")
    yield Link(f"{UNITS}/timers.target.wants/gestion-nginx-again.timer", "../gestion-nginx-again.timer")
    for name, text in confs(sites):
        yield File(f"{FOLDER}/sites/{name}.conf", text.encode())
    for site in sites:
        if site.certificate and site.certificate.pem:
            chain, key = site.certificate.pem
            yield File(site.certificate.chain_path, chain)
            yield File(site.certificate.key_path, key, mode=0o600, secret=True)


@cache
def _config(name: str) -> bytes:
    return (CONFIGS / name).read_bytes()


@cache
def _script() -> bytes:
    return configured("gestion-nginx.j2").encode()


@cache
def _away() -> str:
    """Makes our hostnames what the files in place say; without files of ours there are none."""
    return (_config("nginx-load.sh") + _config("nginx-away.sh")).decode()
