"""How to make the object that a URL's parameter names, for the test of every URL.

A new URL with a parameter of a new kind needs one line in `MAKERS`. Its key is the beginning of the route and
the parameter's name; the longest beginning that fits counts. The objects belong to somebody else: neither to
the member nor to the owner of another server. All free text in them holds the world's `mark`, which is looked for
in what others get to read; what only admins may read holds `ADMINS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.http import urlsafe_base64_encode

from accounts.models import ApiToken, Session, User
from accounts.password_links import link_for
from backups.inside_copies import token_of
from backups.models import (
    Backup,
    BackupRun,
    BackupSet,
    BackupState,
    CopyFolder,
    LeftData,
    Restore,
    Verification,
)
from fabrun.models import ScriptRun
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from githooks.models import Repository
from jobs.models import Job, JobLine, JobTouch
from keymanager.models import Departure, DepartureHost, FetchToken, Group, Key, KeysFromUrl, OfferedKey
from notifications.models import Webhook
from proxmox.models import Creation, GuestReading, GuestSeen
from samba.models import Share
from samba.passwords import secret_mark
from servers.identity import panel_identity
from servers.models import HostKey, Rollout, Server, UnixUser
from tests.keymanager.fleets import ed25519_blob
from wizards.models import WizardRun

ADMINS = "admins-mark"  # marks are long enough for no random token to hold one


@dataclass(frozen=True)
class World:
    """An admin, a member who owns nothing, the owner of another server, and a server that is neither's."""

    admin: User
    member: User
    owner: User
    server: Server
    mark: str = "alpha-mark"


def make_world() -> World:
    """Rows only; nothing is reached."""
    admin = User.objects.create_superuser("ada", "correct horse battery")
    owner = User.objects.create_user("olu", "correct horse battery")
    theirs = Server.objects.create(name="other.example.org", keymanager_name="other.example.org")
    theirs.owners.add(owner)
    UnixUser.objects.create(server=theirs, name="root")
    panel_identity()  # made when it is asked for first, also by reading
    return World(
        admin=admin,
        member=User.objects.create_user("mel", "correct horse battery"),
        owner=owner,
        server=Server.objects.create(name="web1.example.org", keymanager_name="web1.example.org"),
    )


def _as_saved(person: User) -> User:
    """The account without what a sign-in of another test, which was taken back, has left in memory."""
    return User.objects.get(pk=person.pk)


def _unix_user(world: World) -> UnixUser:
    return UnixUser.objects.get_or_create(server=world.server, name="root")[0]


def _host_key(world: World) -> HostKey:
    key = {"key": f"ssh-ed25519 {world.mark}", "fingerprint": f"SHA256:{world.mark}"}
    return HostKey.objects.get_or_create(server=world.server, key=key["key"], fingerprint=key["fingerprint"])[
        0
    ]


def _rollout(world: World) -> Rollout:
    said = {
        "diff": f"+{world.mark}",
        "why": world.mark,
        "asked_for": world.mark,
        "foreign": [f"/{world.mark}"],
    }
    return Rollout.objects.get_or_create(server=world.server, kind="samba", defaults=said)[0]


def _job(world: World) -> Job:
    known = {
        "work": "servers.check",
        "title": f"Check {world.mark}",
        "owner": world.admin,
        "actor_name": "ada",
    }
    about = {"subject_type": "servers.server", "subject_id": str(world.server.pk), "reach": "servers"}
    found, new = Job.objects.get_or_create(**known, defaults={**about, "state": "running"})
    if new:
        JobTouch.objects.create(job=found, server=world.server.pk)
        JobLine.objects.create(job=found, text=f"said {world.mark}")
    return found


def _key(world: World) -> Key:
    return Key.objects.get_or_create(
        person=world.admin, type="ssh-ed25519", blob="AAAA", bits=256, fingerprint="SHA256:x", comment=ADMINS
    )[0]


def _token(world: World) -> ApiToken:
    return ApiToken.objects.get_or_create(user=world.admin, name=ADMINS, digest="0" * 64)[0]


def _session(world: World) -> Session:
    later = timezone.now() + timedelta(days=1)
    given = {"user": world.admin, "expire_date": later, "session_data": ""}
    return Session.objects.get_or_create(session_key="a" * 32, defaults=given)[0]


def _departed(world: World) -> DepartureHost:
    gone = User.objects.get_or_create(username="gone", defaults={"is_active": False})[0]
    departure = Departure.objects.get_or_create(person=gone)[0]
    return DepartureHost.objects.get_or_create(departure=departure, server=world.server)[0]


def _fetching(world: World) -> Server:
    FetchToken.objects.get_or_create(server=world.server, defaults={"digest": f"{world.server.pk:064}"})
    return world.server


def _group(world: World) -> Group:
    return Group.objects.get_or_create(name=ADMINS)[0]


def _offered_key(world: World) -> OfferedKey:
    return OfferedKey.objects.get_or_create(
        unix_user=_unix_user(world),
        line=f"ssh-ed25519 AAAA {world.mark}",
        fingerprint=f"SHA256:{world.mark}",
        path="/root/x",
    )[0]


def _keys_from_url(world: World) -> KeysFromUrl:
    return KeysFromUrl.objects.get_or_create(
        asked_by=world.admin,
        person=world.admin,
        url=f"https://git.example.org/{world.mark}.keys",
        defaults={
            "fetched_at": timezone.now(),
            "lines": [
                {"number": 1, "line": f"ssh-ed25519 {ed25519_blob(b'found')} {world.mark}", "refused": ""}
            ],
        },
    )[0]


def _webhook(_world: World) -> Webhook:
    return Webhook.objects.get_or_create(name=ADMINS, defaults={"url": "https://chat.example.org/"})[0]


def _wizard_run(world: World) -> WizardRun:
    return WizardRun.objects.get_or_create(
        slug="create_user", name="New user", about=ADMINS, owner=world.admin, actor_name="ada"
    )[0]


def _script_run(_world: World) -> ScriptRun:
    return ScriptRun.objects.get_or_create(
        script="server.setup", defaults={"seconds": 60, "actor_name": "ada", "arguments": {"what": ADMINS}}
    )[0]


def _repository(_world: World) -> Repository:
    return Repository.objects.get_or_create(key="scripts")[0]


def _host() -> Server:
    proxmox = {"is_proxmox": True, "proxmox_node": "pve1", "external_interface": "vmbr0"}
    return Server.objects.get_or_create(name="pve1", keymanager_name="pve1", defaults=proxmox)[0]


def _port(world: World) -> PortForward:
    host = _host()
    Server.objects.filter(pk=world.server.pk).update(
        is_vm=True, vm_host=host, internal_ip=f"10.0.1.{world.server.pk % 250}"
    )
    port = 20_000 + world.server.pk % 40_000
    ports = {"first_port": port, "last_port": port, "destination_first": 80, "destination_last": 80}
    said = {"note": world.mark, "answers": [_answer(world)]}
    return PortForward.objects.get_or_create(host=host, destination=world.server, **ports, defaults=said)[0]


def _answer(world: World, step: str = "guest") -> dict[str, Any]:
    return {"step": step, "ok": True, "words": f"answered {world.mark}"}


def _hostname(world: World) -> HostnameForward:
    host = _port(world).host
    guest = {"keymanager_name": "proxy1", "is_vm": True, "vm_host": host, "internal_ip": "10.0.0.3"}
    host.nginx_server = Server.objects.get_or_create(name="proxy1", defaults=guest)[0]
    host.save()
    said = {"note": world.mark, "answers": [_answer(world)]}
    found = HostnameForward.objects.get_or_create(
        host=host, domain=f"{world.mark}.example.org", defaults=said
    )[0]
    for server in (world.server, host):
        HostnameDestination.objects.get_or_create(hostname=found, server=server)
    return found


def _share(world: World) -> Share:
    samba = {"samba_management": True, "samba_base_folder": "/srv/shares"}
    Server.objects.filter(pk=world.server.pk).update(**samba)
    fields = {"user": "smb-photos", "folder": "photos", "secret_mark": secret_mark(), "comment": world.mark}
    return Share.objects.get_or_create(server=world.server, name="photos", defaults=fields)[0]


def _guest(world: World) -> GuestSeen:
    vmid = 100 + world.server.pk
    name = {"name": f"{world.mark}-ct"}
    facts = {**name, "config": {"memory": 512, "description": world.mark}, "addresses": ["10.0.0.9"]}
    found = GuestSeen.objects.get_or_create(
        host=_host(), vmid=vmid, defaults={**facts, "server": world.server}
    )[0]
    reading = {**name, "config": {"digest": "0", "description": world.mark}}
    GuestReading.objects.get_or_create(host=found.host, kind="lxc", vmid=vmid, defaults=reading)
    return found


def _creation(world: World) -> Creation:
    host = _port(world).host
    fields = {"disk": 8, "memory": 512, "swap": 0, "cores": 1, "address": "10.0.0.9", "prefix_length": 24}
    fields |= {"template": "local:vztmpl/a", "storage": "local", "bridge": "vmbr0", "state": "failed"}
    return Creation.objects.get_or_create(host=host, server=world.server, hostname="web1", defaults=fields)[0]


def _backup(world: World) -> Backup:
    destination = Server.objects.get_or_create(name="backup1", keymanager_name="backup1")[0]
    there = {"destination": destination, "destination_folder": f"/backups/{world.server.pk}"}
    what = {"source": world.server, "excludes": f"/{world.mark}-excluded", "note": world.mark}
    return Backup.objects.get_or_create(**there, defaults=what)[0]


def _run(world: World) -> BackupRun:
    said = {"state": "failed", "error": f"error {world.mark}", "output": f"rsync: {world.mark}/file"}
    return BackupRun.objects.get_or_create(backup=_backup(world), defaults={**said, "code": "rsync"})[0]


def _copy(world: World) -> Backup:
    """A backup with a copy whose top folder was read."""
    backup = _backup(world)
    BackupState.objects.get_or_create(backup=backup, defaults={"copies": [["hourly.0", 1795000000]]})
    copy = {"backup": backup, "at": 1795000000}
    entry = {"kind": "f", "mode": "0644", "user": 0, "group": 0, "size": 1, "modified": 1795000000}
    entries = {"entries": [{**entry, "path": token_of(f"{world.mark}-file".encode())}], "total": 1}
    for path in ("", "ZXRj"):
        CopyFolder.objects.get_or_create(**copy, path=path, defaults={"read_at": timezone.now(), **entries})
    return backup


def _restore(world: World) -> Restore:
    facts = {"at": 1795000000, "copy": "hourly.0", "target": world.server, "state": "done"}
    facts |= {"changes": [[">f+++++++++", f"{world.mark}-changed"]], "output": f"rsync: {world.mark}"}
    return Restore.objects.get_or_create(backup=_copy(world), target=world.server, defaults=facts)[0]


def _verification(world: World) -> Verification:
    facts = {"at": 1795000000, "copy": "hourly.0", "state": "done", "output": f"verified {world.mark}"}
    return Verification.objects.get_or_create(backup=_copy(world), defaults=facts)[0]


def _left(world: World) -> LeftData:
    destination = Server.objects.get_or_create(name="backup1", keymanager_name="backup1")[0]
    facts = {
        "destination": destination,
        "folder": f"/backups/gone{world.server.pk}",
        "of": f"{world.server}:/",
    }
    return LeftData.objects.get_or_create(uuid=UUID(int=world.server.pk), defaults=facts)[0]


Maker = Callable[[World], Any]
MAKERS: dict[tuple[str, str], Maker] = {
    ("users/", "pk"): lambda world: world.admin.pk,
    ("password/", "name"): lambda world: urlsafe_base64_encode(str(world.owner.pk).encode()),
    ("password/", "token"): lambda world: link_for(_as_saved(world.owner), "reset").split("/")[-2],
    ("profile/sessions/", "number"): lambda world: _session(world).number,
    ("keymanager/people/<int:pk>/departure/", "pk"): lambda world: _departed(world).departure.person_id,
    ("keymanager/departures/hosts/", "pk"): lambda world: _departed(world).pk,
    ("tokens/", "pk"): lambda world: _token(world).pk,
    ("jobs/", "pk"): lambda world: _job(world).pk,
    ("notifications/webhooks/", "pk"): lambda world: _webhook(world).pk,
    ("git_hook/", "key"): lambda world: _repository(world).key,
    ("githooks/", "key"): lambda world: _repository(world).key,
    ("fabrun/runs/", "pk"): lambda world: _script_run(world).pk,
    ("wizards/runs/", "pk"): lambda world: _wizard_run(world).pk,
    ("wizards/runs/", "number"): lambda _world: 1,
    ("wizards/new/", "slug"): lambda _world: "create_user",
    ("fabrun/scripts/", "name"): lambda _world: "server.setup",
    ("servers/", "pk"): lambda world: world.server.pk,
    ("servers/<int:pk>/host-keys/", "key"): lambda world: _host_key(world).pk,
    ("servers/<int:pk>/unix-users/", "unix_user_pk"): lambda world: _unix_user(world).pk,
    ("servers/<int:pk>/rollouts/", "kind"): lambda world: _rollout(world).kind,
    ("backups/", "pk"): lambda world: _backup(world).pk,
    ("backups/runs/", "pk"): lambda world: _run(world).pk,
    ("backups/<int:pk>/copies/", "at"): lambda world: _copy(world).state.copies[0][1],
    ("backups/<int:pk>/copies/", "path"): lambda _world: "ZXRj",
    ("backups/restores/", "pk"): lambda world: _restore(world).pk,
    ("backups/verifications/", "pk"): lambda world: _verification(world).pk,
    ("backups/sets/", "pk"): lambda world: BackupSet.objects.get_or_create(name=ADMINS)[0].pk,
    ("backups/zabbix/", "measure"): lambda world: "size",
    ("backups/zabbix/", "path"): lambda world: "state/_",
    ("backups/servers/", "pk"): lambda world: world.server.pk,
    ("backups/left/", "pk"): lambda world: _left(world).pk,
    ("samba/shares/", "pk"): lambda world: _share(world).pk,
    ("samba/servers/", "pk"): lambda world: _share(world).server_id,
    ("forwarding/ports/", "pk"): lambda world: _port(world).pk,
    ("forwarding/hostnames/", "pk"): lambda world: _hostname(world).pk,
    ("forwarding/hosts/", "pk"): lambda world: _port(world).host.pk,
    ("proxmox/hosts/", "pk"): lambda world: _host().pk,
    ("proxmox/hosts/", "kind"): lambda world: _guest(world).kind,
    ("proxmox/hosts/", "vmid"): lambda world: _guest(world).vmid,
    ("proxmox/hosts/", "action"): lambda world: "start",
    ("proxmox/guests/", "pk"): lambda world: _guest(world).pk,
    ("proxmox/creations/", "pk"): lambda world: _creation(world).pk,
    ("keymanager/servers/", "pk"): lambda world: world.server.pk,
    ("keymanager/people/", "pk"): lambda world: world.admin.pk,
    ("keymanager/servers/<int:pk>/fetching/", "pk"): lambda world: _fetching(world).pk,
    ("keymanager/from-url/", "pk"): lambda world: _keys_from_url(world).pk,
    ("keymanager/offered/", "pk"): lambda world: _offered_key(world).pk,
    ("keymanager/groups/", "pk"): lambda world: _group(world).pk,
    ("keymanager/groups/", "part"): lambda world: "member_users",
    ("keymanager/groups/", "row"): lambda world: world.admin.pk,
    ("keymanager/groups/recommended/", "key"): lambda world: "users",
    ("keymanager/keys/", "pk"): lambda world: _key(world).pk,
    ("keymanager/unix-users/", "pk"): lambda world: _unix_user(world).pk,
}


def value_for(route: str, parameter: str, world: World) -> Any:
    """A value for this parameter of this route. Fails with where to add it when there is none."""
    fitting = [key for key in MAKERS if key[1] == parameter and route.startswith(key[0])]
    if not fitting:
        raise AssertionError(
            f"The URL “{route}” has a parameter “{parameter}” that the test cannot make. "
            f"Add a line to MAKERS in {__file__}: which object it names, belonging to somebody else."
        )
    return MAKERS[max(fitting, key=lambda key: len(key[0]))](world)
