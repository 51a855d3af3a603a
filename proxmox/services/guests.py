"""What can be done with guests. Each is a job: Proxmox is asked by a worker, never by a page."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from jobs.models import Job
from jobs.services import start_job
from pages.second_word import SecondWordNeeded, ask
from proxmox.client import errors, names, open_api
from proxmox.guests import GuestRef, look_up, refuse_kept, server_of
from servers.panel import panel_names, panel_on
from servers.registry import held_by, some

POWER, CHANGE, READ = "proxmox.power", "proxmox.change", "proxmox.read_guest"
SNAPSHOT, DESTROY = "proxmox.snapshot", "proxmox.destroy"
ACTIONS = ("start", "shutdown", "stop", "reboot")
SHUTDOWN_SECONDS = 60  # as Proxmox's own default


def _titles() -> dict[str, str]:
    return {
        "start": _("Start %(guest)s on %(host)s"),
        "shutdown": _("Shut down %(guest)s on %(host)s"),
        "stop": _("Stop %(guest)s on %(host)s"),
        "reboot": _("Reboot %(guest)s on %(host)s"),
        "make": _("Snapshot of %(guest)s on %(host)s"),
        "roll_back": _("Roll back %(guest)s on %(host)s"),
        "delete": _("Delete a snapshot of %(guest)s on %(host)s"),
    }


def _start(actor: Actor, guest: GuestRef, work: str, title: str, **more: Any) -> Job:
    names.kind(guest.kind)
    names.vmid(guest.vmid)
    said = title % {"guest": guest, "host": guest.host}
    return start_job(actor, work, said, {**guest.args, **more}, subject=guest.host, once=True)


def _facts(guest: GuestRef, **more: Any) -> dict[str, Any]:
    return {"guest": guest.name, "kind": guest.kind, "vmid": guest.vmid, **more}


@transaction.atomic
def operate_guest(actor: Actor, guest: GuestRef, action: str, *, force: bool = False) -> Job:
    """Start, shut down, stop or reboot a guest (`action`). `force`: stop it if it does not shut down in time.

    Raises SecondWordNeeded where the panel or a host's hostnames depend on it.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action} is nothing that a guest can do.")
    if action != "start":
        ask_about_dangers(guest)
    more = {"force": True} if force and action == "shutdown" else {}
    record(actor, f"guest.{action}", guest.host, after=_facts(guest, **more))
    return _start(actor, guest, POWER, _titles()[action], action=action, **more)


@transaction.atomic
def change_guest(actor: Actor, guest: GuestRef, changes: dict[str, Any], *, digest: str = "") -> Job:
    """Set options of a guest, as Proxmox names them (None deletes one).

    With the `digest` of the configuration that was shown, nothing is changed if somebody else has meanwhile.
    """
    if not changes:
        raise ValueError("There is nothing to change.")
    record(actor, "guest.change", guest.host, after=_facts(guest, changes=changes))
    title = _("Change %(guest)s on %(host)s")
    return _start(actor, guest, CHANGE, title, changes=changes, digest=digest)


def read_guest(actor: Actor, guest: GuestRef) -> Job:
    """Have a guest's settings read, to change them."""
    return _start(actor, guest, READ, _("Read the settings of %(guest)s on %(host)s"))


@transaction.atomic
def snapshot_guest(actor: Actor, guest: GuestRef, action: str, snapshot: str, description: str = "") -> Job:
    """Make a snapshot ("make"), go back to one ("roll_back"), give one up ("delete"). Raises BadName."""
    names.snapshot(snapshot)
    if action == "roll_back":
        ask_about_dangers(guest, lost=_("What others have put on its disks since then is lost: %s."))
    record(actor, f"guest.snapshot_{action}", guest.host, after=_facts(guest, snapshot=snapshot))
    more = {"description": description} if description else {}
    return _start(actor, guest, SNAPSHOT, _titles()[action], action=action, snapshot=snapshot, **more)


@transaction.atomic
def destroy_guest(
    actor: Actor, guest: GuestRef, typed_name: str, *, stop_first: bool = False, identity: str = ""
) -> Job:
    """Destroy a guest with its disks. Its inventory's server stays.

    The worker refuses unless id and name are still those of this guest, and its `identity`
    (proxmox.guests.identity_of its configuration as it was shown) if given; and if it runs, unless
    `stop_first`. Raises ValidationError by the form's field for a wrong name, SecondWordNeeded.
    """
    if typed_name.strip() != guest.name:
        raise ValidationError({"typed_name": _("This is not its name.")})
    ask_about_dangers(guest, lost=_("With its disks is lost what others keep there: %s."))
    record(actor, "guest.destroy", guest.host, before=_facts(guest), after={"stop_first": stop_first})
    title = _("Destroy %(guest)s on %(host)s")
    return _start(actor, guest, DESTROY, title, stop_first=stop_first, identity=identity)


def check_destroyable(
    guest: GuestRef, *, known: Callable[[dict[str, Any]], bool] = lambda _config: True
) -> None:
    """Ask Proxmox, as a worker, whether it could destroy this guest, before what belongs to it is taken away.

    One that is gone, or is not `known` by its configuration, is no matter. Raises ProxmoxError.
    """
    with open_api(guest.host) as api:
        try:
            config = api.config(guest.kind, guest.vmid)
        except errors.Gone:
            return
        if not known(config):
            return
        needed = {"VM.Allocate", "VM.PowerMgmt"} if look_up(api, guest).runs else {"VM.Allocate"}
        refuse_kept(guest, config)
        held = {one for privileges in api.permissions().values() for one in privileges}
        if missing := sorted(needed - held):
            raise errors.RightsMissing(guest.host.name, api.who, f"/vms/{guest.vmid}", missing[:1], "")


def ask_about_dangers(guest: GuestRef, *, lost: str = "") -> None:
    """Raises SecondWordNeeded, unless it was given, if the panel itself or a proxy would go down.

    Also if others keep data on its disks; `lost` is the sentence that tells of them, at %s.
    """
    kept = on_disks(guest) if lost else []
    ask(SecondWordNeeded([*dangers(guest), *([lost % some(kept)] if kept else [])]))


def on_disks(guest: GuestRef) -> list[str]:
    """What others keep on its disks; of a machine that is a Proxmox host itself, also what runs on it."""
    server = server_of(guest)
    if server is None:
        return []
    runs = [_("%s runs on it") % inner for inner in server.guests.all()]
    return [*runs, *(str(held.text) for held in held_by(server) if held.on_disk)]


def dangers(guest: GuestRef) -> list[str]:
    """What others lose while this guest is off, in sentences."""
    server = server_of(guest)
    found = []
    address = server.internal_ip if server else None
    named = {*panel_names(), settings.GESTION_NAME.lower().partition(".")[0]} - {""}
    if (
        guest.name.lower() in named
        or (server and panel_on(server))
        or (address and address == settings.GESTION_IP)
    ):
        found.append(_("%s is the panel itself: nobody can start it again from here.") % guest)
    if server and server.nginx_for.exists():
        hosts = ", ".join(server.nginx_for.values_list("name", flat=True))
        found.append(
            _("%(guest)s is the nginx server of %(hosts)s: no hostname there answers without it.")
            % {"guest": guest, "hosts": hosts}
        )
    if server and (inner := list(server.guests.values_list("name", flat=True))):
        words = _("%(guest)s is the host of others, which are off while it is: %(names)s.")
        found.append(words % {"guest": guest, "names": some(inner)})
    return found
