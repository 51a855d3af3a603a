"""From a server of the inventory to its API: where, as whom, with which certificate."""

from django.conf import settings
from django.utils import timezone

from proxmox.client import errors
from proxmox.client.certificate import fingerprint_of
from proxmox.client.node import NodeApi
from proxmox.client.session import READ_SECONDS, Endpoint, Login
from proxmox.models import ProxmoxAccess, default_address
from servers.models import Server


def open_api(server: Server, *, read_seconds: float = READ_SECONDS) -> NodeApi:
    """The API of a Proxmox host of the inventory; nothing is sent yet. Close it, or use it in `with`.

    `read_seconds` bounds the wait for an answer to a reading call; connecting is bounded to 4 s. Raises
    NoCredentials, and CertificateChanged while a changed certificate waits for an admin's word. A certificate
    that is not accepted is noted in the host's access, so that an admin can.
    """
    return NodeApi(
        endpoint_of(server),
        read_seconds=read_seconds,
        on_certificate=lambda pem: note_offered(server, pem),
    )


def endpoint_of(server: Server) -> Endpoint:
    """Where and as whom. Raises NoCredentials, CertificateChanged."""
    row = access_of(server)
    if row.certificate_waits:
        raise errors.CertificateChanged(
            server.name, row.offered_fingerprint, row.offered_certificate, row.fingerprint
        )
    return Endpoint(
        host=server.name,
        node=server.proxmox_node,
        address=row.address or default_address(server),
        port=row.port,
        login=login_of(row),
        fingerprint=row.fingerprint,
    )


def access_of(server: Server) -> ProxmoxAccess:
    """The server's access, read anew; an unsaved one with the defaults if there is none."""
    return ProxmoxAccess.objects.filter(server=server).first() or ProxmoxAccess(server=server)


def login_of(row: ProxmoxAccess) -> Login:
    """As whom to sign in: as the access says, or the settings. Raises NoCredentials."""
    if row.user:
        return Login(row.user, row.secret)
    login = login_of_settings()
    if login is None:
        raise errors.NoCredentials(row.server.name)
    return login


def login_of_settings() -> Login | None:
    """PROXMOX_TOKEN (`user@realm!name=secret`), or PROXMOX_USER and PROXMOX_PASS."""
    who, _sign, secret = settings.PROXMOX_TOKEN.partition("=")
    if who and secret:
        return Login(who, secret)
    if settings.PROXMOX_USER and settings.PROXMOX_PASS:
        return Login(settings.PROXMOX_USER, settings.PROXMOX_PASS)
    return None


def note_offered(server: Server, pem: str) -> None:
    """Keep a certificate that was shown and is not accepted, for an admin's word."""
    shown = {
        "offered_certificate": pem,
        "offered_fingerprint": fingerprint_of(pem),
        "offered_at": timezone.now(),
    }
    row, _made = ProxmoxAccess.objects.get_or_create(server=server)
    if shown["offered_fingerprint"] not in (row.fingerprint, row.offered_fingerprint):
        ProxmoxAccess.objects.filter(pk=row.pk).update(**shown)
