"""Which guest is meant: by its host, kind, id and name together, and by what makes it that one guest."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from proxmox.client import GuestNow, NodeApi, errors, names
from servers.models import Server

_MAC = re.compile(r"\b(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\b", re.IGNORECASE)
_OWN = re.compile(r"net\d+|rootfs|smbios1|vmgenid|meta")


@dataclass(frozen=True)
class GuestRef:
    """A guest as a person means it. An id alone means nothing: ids are used again."""

    host: Server
    kind: str
    vmid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({'CT' if self.kind == names.LXC else 'VM'} {self.vmid})"

    @property
    def args(self) -> dict[str, Any]:
        """It as arguments of a job."""
        return {"host": self.host.pk, "kind": self.kind, "vmid": self.vmid, "name": self.name}

    @classmethod
    def of_args(cls, host: int, kind: str, vmid: int, name: str) -> "GuestRef":
        """It from arguments of a job. Raises Server.DoesNotExist."""
        return cls(Server.objects.get(pk=host, is_proxmox=True), kind, vmid, name)


def look_up(api: NodeApi, guest: GuestRef, *more_names: str) -> GuestNow:
    """The guest as it is now. Raises OtherGuest if none has this id, or one of another name."""
    try:
        now = api.guest(guest.kind, guest.vmid)
    except errors.Gone as error:
        raise errors.OtherGuest(
            guest.host.name,
            _("There is no guest %(vmid)d on %(host)s (any more). Nothing was done.")
            % {"vmid": guest.vmid, "host": guest.host},
            error.words,
        ) from error
    if now.name not in (guest.name, *more_names):
        raise errors.OtherGuest(
            guest.host.name,
            _("%(vmid)d on %(host)s is called %(found)s, not %(name)s. Nothing was done to it.")
            % {"vmid": guest.vmid, "host": guest.host, "found": now.name, "name": guest.name},
        )
    return now


def identity_of(config: dict[str, Any]) -> str:
    """What stays the same in a guest's configuration as long as it is the same guest: MACs, disk, UUIDs.

    A container that gets the id of a destroyed one has other MAC addresses, whatever it is called.
    """
    own = []
    for key in sorted(config):
        if _OWN.fullmatch(key):
            text = str(config[key])
            own += [f"{key}={mac.upper()}" for mac in _MAC.findall(text)]
            if key == "rootfs":
                own.append(f"{key}={text.partition(',')[0]}")
            elif not key.startswith("net"):
                own.append(f"{key}={text}")
    return hashlib.sha256("\n".join(own).encode()).hexdigest()


def why_kept(config: Mapping[str, Any]) -> str:
    """Why Proxmox would not destroy a guest with this configuration; empty where it would.

    A suspended one it does, though that is a lock, too.
    """
    if str(config.get("protection") or 0) != "0":
        return _("it is protected in its options")
    lock = str(config.get("lock") or "")
    return _("it is locked (%s)") % lock if lock not in {"", "suspended"} else ""


def refuse_kept(guest: GuestRef, config: Mapping[str, Any]) -> None:
    """Raise Kept where Proxmox would not destroy this guest, before anything is done to it or what belongs to it."""
    if why := why_kept(config):
        words = _("%(guest)s on %(host)s cannot be destroyed: %(why)s. Change that first.")
        said = words % {"guest": guest, "host": guest.host, "why": why}
        raise errors.Kept(guest.host.name, said)


def may_operate(user: User, guest: GuestRef) -> bool:
    """Whether this user may start and stop this guest: an admin, or an owner of the server that it is.

    The name is the one that was sent; a worker does nothing unless the guest really has it.
    """
    if user.is_admin:
        return True
    server = server_of(guest)
    return server is not None and Server.objects.visible_to(user).filter(pk=server.pk).exists()


def server_of(guest: GuestRef) -> Server | None:
    """The inventory's server that this guest is: as it was matched, or while it was never seen, by its name."""
    from proxmox.matching import names_of
    from proxmox.models import GuestSeen

    seen = GuestSeen.objects.present().filter(host=guest.host, kind=guest.kind, vmid=guest.vmid)
    if row := seen.select_related("server").first():
        return row.server if row.name == guest.name else None
    if not guest.name:
        return None
    found = [
        server
        for server in Server.objects.filter(vm_host=guest.host).order_by("name")
        if guest.name in names_of(server.name)
    ]
    exact = [server for server in found if server.name == guest.name]
    return exact[0] if exact else found[0] if len(found) == 1 else None


def page_of(guest: GuestRef) -> str:
    """The page of a guest that was seen; "" if it was not yet."""
    from proxmox.models import GuestSeen

    row = GuestSeen.objects.filter(host=guest.host, kind=guest.kind, vmid=guest.vmid, name=guest.name).first()
    return row.get_absolute_url() if row else ""
