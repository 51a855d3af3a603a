"""What the demo's servers do: forwarded ports, a hostname, a backup, a share, and access to the Proxmox API."""

from django.utils import timezone

from accounts.actors import Actor
from backups.models import Backup
from backups.services.plans import create_backup
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from forwarding.services.hostnames import create_hostname
from forwarding.services.ports import create_port_forward
from keymanager.services.groups import add_to_group, create_group
from keymanager.services.keys import add_keys
from proxmox.models import ProxmoxAccess
from proxmox.services.access import try_access
from samba.models import Share
from samba.services.shares import create_share
from servers.models import Server

from .fleet import Fleet
from .host import LabHost
from .pve.real.api import LabApi

DEMO = Actor.system("demo")
SHOP = "shop.demo.example"


def add_forwarding(servers: dict[str, Server]) -> None:
    """Port 80 of the Proxmox host leads to its nginx server, and the shop's name from there to web1."""
    pve = Server.objects.get(pk=servers["pve1"].pk)  # with its nginx server
    web = PortForward(
        host=pve,
        destination=servers["proxy"],
        first_port=80,
        last_port=80,
        destination_first=80,
        destination_last=80,
        note="Web",
    )
    create_port_forward(DEMO, web, confirmed=True)
    shop = HostnameForward(host=pve, domain=SHOP, destination_port=80, note="The shop")
    create_hostname(DEMO, shop, [HostnameDestination(server=servers["web1"])], confirmed=True)


def add_backup(fleet: Fleet, servers: dict[str, Server]) -> None:
    """The file server's web folder is copied to the backup server, which the keymanager lets in."""
    root = servers["backup1"].unix_users.get(name="root")
    add_keys(DEMO, root, own_key(fleet["backup1"]))
    group = create_group(DEMO, name="Backup", description="Backup servers, and what they copy.")
    add_to_group(DEMO, group, "member_servers", [servers["backup1"]])
    add_to_group(DEMO, group, "allowed_servers", [servers["files1"]])
    backup = Backup(
        source=servers["files1"],
        source_folder="/var/www",
        destination=servers["backup1"],
        destination_folder="/backups/files1",
        exclude_proc_sys=False,
    )
    create_backup(DEMO, backup)


def add_share(servers: dict[str, Server]) -> None:
    """A share of the file server."""
    create_share(DEMO, Share(server=servers["files1"], name="photos", comment="Photos of the office"))


def own_key(host: LabHost) -> str:
    """The public key of a host's root, made where there is none."""
    script = (
        "[ -e ~/.ssh/id_ed25519 ] || "
        'ssh-keygen -q -t ed25519 -N "" -C "root@$(hostname)" -f ~/.ssh/id_ed25519; cat ~/.ssh/id_ed25519.pub'
    )
    done = host.exec(["sh", "-c", script])
    done.check_returncode()
    return done.stdout.decode().strip()


def pin_access(fleet: Fleet, server: Server | None) -> None:
    """Give the panel a token of the Proxmox host's API, and its certificate: we made them ourselves."""
    if server is None:
        return
    api = LabApi.of(fleet, "pve1")
    user, secret = api.token
    known = ProxmoxAccess.objects.filter(server=server).first()
    if known and (known.fingerprint, known.secret) == (api.fingerprint, secret):
        return
    ProxmoxAccess.objects.update_or_create(
        server=server,
        defaults={
            "address": api.address,
            "user": user,
            "secret": secret,
            "certificate": api.certificate_pem,
            "fingerprint": api.fingerprint,
            "accepted_by": DEMO.name,
            "accepted_at": timezone.now(),
        },
    )
    try_access(DEMO, server)
