"""The demo's rows: the lab's hosts as servers, a few people with keys, and groups that let them in."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import User
from accounts.services import create_user, set_up_panel
from hosts.connecting import fingerprint_of_line
from keymanager.fetching import install
from keymanager.models import Group
from keymanager.services.groups import add_to_group, create_group
from keymanager.services.keys import add_keys
from keymanager.services.recommended import make_recommended_group
from servers.models import HostKey, Server, UnixUser
from servers.services.inventory import create_server

from .demo_services import add_backup, add_forwarding, add_share, pin_access
from .fleet import Fleet

DEMO = Actor.system("demo")
DOMAIN = "demo.example"
DEPLOY = "deploy"  # a unix user of web1 besides root
PEOPLE = {
    "grace": "Grace Hopper",
    "alan": "Alan Turing",
    "katherine": "Katherine Johnson",
}


def load(fleet: Fleet, password: str) -> None:
    """Fill an empty panel; one that has an account already is left as it is."""
    if User.objects.exists():
        return
    useradd = ["useradd", "--create-home", "--shell", "/bin/bash", DEPLOY]
    if fleet["web1"].exec(["id", DEPLOY]).returncode:
        fleet["web1"].exec(useradd).check_returncode()
    with transaction.atomic():
        admin = set_up_panel(DEMO, username="admin", password=password, full_name="Ada Lovelace")
        people = [create_user(DEMO, username=name, full_name=full) for name, full in PEOPLE.items()]
        servers = add_servers(fleet, owner=people[0])
        pin(fleet)
        for person in (admin, *people):
            add_keys(DEMO, person, public_key(f"{person.username}@laptop"))
        add_groups(people, servers)
        for server in servers.values():
            install(DEMO, server)
        add_forwarding(servers)
        add_backup(fleet, servers)
        add_share(servers)


def add_servers(fleet: Fleet, owner: User) -> dict[str, Server]:
    """The lab's hosts as rows of the inventory."""
    pve = Server(
        name=f"pve1.{DOMAIN}",
        external_ip=fleet["pve1"].address,
        internal_ip="10.0.0.1",
        is_proxmox=True,
        proxmox_node="pve1",
        external_interface="eth0",
        ssh_connection=fleet["pve1"].connection,
        notes="The Proxmox host. Its containers are reached through ports that it forwards.",
    )
    backup = Server(
        name=f"backup1.{DOMAIN}",
        external_ip=fleet["backup1"].address,
        ssh_connection=fleet["backup1"].connection,
    )
    files = Server(
        name=f"files1.{DOMAIN}",
        external_ip=fleet["files1"].address,
        ssh_connection=fleet["files1"].connection,
        samba_management=True,
        samba_base_folder="/srv/shares",
    )
    create_server(DEMO, pve, tags=["proxmox"])
    create_server(DEMO, backup, tags=["backup"])
    create_server(DEMO, files, tags=["office"], owners=[owner])
    proxy, web = (guest(fleet, name, pve) for name in ("proxy", "web1"))
    create_server(DEMO, proxy, tags=["web"])
    create_server(DEMO, web, tags=["web", "shop"], unix_users=["root", DEPLOY], owners=[owner])
    Server.objects.filter(pk=pve.pk).update(nginx_server=proxy)
    return {"pve1": pve, "backup1": backup, "files1": files, "proxy": proxy, "web1": web}


def guest(fleet: Fleet, name: str, host: Server) -> Server:
    """A container behind the Proxmox host."""
    return Server(
        name=f"{name}.{DOMAIN}",
        is_vm=True,
        vm_host=host,
        internal_ip=fleet[name].address,
        ssh_connection=fleet[name].connection,
    )


def add_groups(people: list[User], servers: dict[str, Server]) -> None:
    """The recommended groups, and one of people who may work on the shop."""
    for key in ("gestion", "users", "servers"):
        make_recommended_group(DEMO, key)
    shop: Group = create_group(DEMO, name="Shop developers", description="Deploy to the shop's web server.")
    add_to_group(DEMO, shop, "member_users", people[:2])
    deploy = UnixUser.objects.filter(server=servers["web1"], name=DEPLOY)
    add_to_group(DEMO, shop, "allowed_unix_users", deploy)


def pin(fleet: Fleet) -> None:
    """Accept the host keys of the lab's hosts: we made them ourselves, also where they were made anew."""
    for host in fleet:
        server = Server.objects.filter(name=f"{host.name}.{DOMAIN}").first()
        if server is None or server.host_keys.filter(key=host.host_key, pinned_at__isnull=False).exists():
            continue
        server.host_keys.all().delete()
        HostKey.objects.create(
            server=server,
            key=host.host_key,
            fingerprint=fingerprint_of_line(host.host_key),
            pinned_at=timezone.now(),
            pinned_by=DEMO.name,
        )
    pin_access(fleet, Server.objects.filter(name=f"pve1.{DOMAIN}").first())


def public_key(comment: str) -> str:
    """A public key whose private half nobody has: for people who are only there to be looked at."""
    public = Ed25519PrivateKey.generate().public_key()
    return f"{public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {comment}"
