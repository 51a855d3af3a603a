"""Hostnames on the lab's real nginx: rows, and an HTTP client outside."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.actors import Actor
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.hostnames import create_hostname
from forwarding.services.ports import create_port_forward
from lab import Fleet, LabHost
from servers.models import Server
from tests.forwarding.lab_rows import enlist, rule
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey

SYSTEM = Actor.system("test")


def furnish(fleet: Fleet, key: LabKey, ports: tuple[int, ...] = (80, 443)) -> dict[str, Server]:
    """The lab in the inventory; these ports of pve1 lead to its nginx server, proxy."""
    rows = enlist(fleet, key)
    rows["pve1"].nginx_server = rows["proxy"]
    rows["pve1"].save()
    for port in ports:
        create_port_forward(SYSTEM, rule(rows["pve1"], rows["proxy"], str(port)), confirmed=True)
    work_off()
    return rows


def add(
    rows: dict[str, Server],
    domain: str,
    *names: str,
    weights: tuple[int, ...] = (),
    spare: int = 0,
    **fields: object,
) -> HostnameForward:
    """Add a hostname of pve1 that leads to these servers; the last `spare` ones are spare."""
    destinations = [
        HostnameDestination(
            server=rows[name],
            weight=weights[place] if weights else 1,
            backup=place >= len(names) - spare,
        )
        for place, name in enumerate(names)
    ]
    row = HostnameForward(host=rows["pve1"], domain=domain, **fields)
    return create_hostname(SYSTEM, row, destinations, confirmed=True)


def get(host: LabHost, domain: str, port: int = 80, path: str = "/", *, tls: bool = False) -> tuple[int, str]:
    """Status and page (of a redirect: where to) that a client of this machine gets; 0 and why if none."""
    connection = http.client.HTTPConnection(host.address, port, timeout=30)
    try:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            raw = socket.create_connection((host.address, port), timeout=30)
            connection.sock = context.wrap_socket(raw, server_hostname=domain)
        usual = port == (443 if tls else 80)
        connection.request("GET", path, headers={"Host": domain if usual else f"{domain}:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location") or answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def who(host: LabHost, domain: str, port: int = 80) -> str:
    """The name of the lab host whose page comes; else the status."""
    status, page = get(host, domain, port)
    return page.partition("<title>")[2].partition("<")[0] if status == 200 else str(status)


def self_signed(*names: str) -> tuple[str, str]:
    """A certificate for these names, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def lay(host: LabHost, path: str, text: str) -> None:
    """Write a file on the host as its admin would."""
    host.exec(["sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "sh", path], text.encode()).check_returncode()


def try_again(host: LabHost) -> None:
    """The timer's turn, from its beginning: who starts what the timer has begun just now only waits for its end."""
    start = "systemctl start gestion-nginx-again.service"
    host.exec(["sh", "-c", f"{start} && {start}"], timeout=120).check_returncode()


@contextmanager
def stopped(host: LabHost) -> Iterator[None]:
    """The host's own nginx does not run meanwhile."""
    host.exec(["systemctl", "stop", "nginx"]).check_returncode()
    try:
        yield
    finally:
        host.exec(["systemctl", "start", "nginx"]).check_returncode()
