"""The works of guests: power, settings, snapshots, destroying. Each may be run again after its worker died.

A guest is looked up by id and name just before anything is done to it, and the host is looked at afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import works
from jobs.run import Run
from proxmox import observing
from proxmox.client import NodeApi, errors, names, open_api
from proxmox.guests import GuestRef, identity_of, look_up, refuse_kept, server_of
from proxmox.models import GuestReading
from proxmox.once import ask_once, asked_before
from proxmox.services.guests import CHANGE, DESTROY, POWER, READ, SHUTDOWN_SECONDS, SNAPSHOT
from servers.models import Server

# Proxmox's types of tasks, for containers and machines.
POWER_TASKS = {
    "start": ("vzstart", "qmstart"),
    "stop": ("vzstop", "qmstop"),
    "shutdown": ("vzshutdown", "qmshutdown"),
    "reboot": ("vzreboot", "qmreboot"),
}
SNAPSHOT_TASKS = {
    "make": ("vzsnapshot", "qmsnapshot"),
    "roll_back": ("vzrollback", "qmrollback"),
    "delete": ("vzdelsnapshot", "qmdelsnapshot"),
}
DESTROY_TASKS = ("vzdestroy", "qmdestroy")
POWER_SECONDS = 600.0

works.expect(errors.ProxmoxError, Server.DoesNotExist)


def _type(types: tuple[str, str], kind: str) -> str:
    return types[0] if kind == names.LXC else types[1]


@contextmanager
def _at(run: Run, guest: GuestRef) -> Iterator[NodeApi]:
    """The API of the guest's host; whatever happens, the host is looked at soon."""
    try:
        with open_api(guest.host) as api, run.on_stop(api.cut):
            yield api
    finally:
        observing.look_soon(guest.host)


def _server(host: int, kind: str, vmid: int, name: str, **_more: Any) -> list[int]:
    server = server_of(GuestRef.of_args(host, kind, vmid, name))
    return [server.pk] if server else []


@works.register(POWER, safe_to_repeat=True, again=True, touches=_server)
def power(run: Run, *, action: str, force: bool = False, **guest: Any) -> None:
    """Start, shut down, stop or reboot a guest; a guest that is as wanted already is left alone."""
    ref = GuestRef.of_args(**guest)
    with _at(run, ref) as api:
        _power(run, api, ref, action, force=force)


def _power(run: Run, api: NodeApi, ref: GuestRef, action: str, *, force: bool = False) -> None:
    name = f"power.{action}"
    if asked_before(run, name, ref.vmid) is None:
        now = look_up(api, ref)
        if action != "reboot" and now.runs == (action == "start"):
            run.log(_("%s runs already.") % ref if now.runs else _("%s is off already.") % ref)
            return
    options: dict[str, Any] = {}
    if action in {"shutdown", "reboot"}:
        options["timeout"] = SHUTDOWN_SECONDS
    if action == "shutdown":
        options["forceStop"] = force
    ask_once(
        run,
        api,
        lambda: api.power(ref.kind, ref.vmid, action, **options),
        action=name,
        vmid=ref.vmid,
        type=_type(POWER_TASKS[action], ref.kind),
        seconds=POWER_SECONDS,
        cancel=action in {"shutdown", "reboot"},
    )
    run.log(_("%(guest)s: %(state)s") % {"guest": ref, "state": look_up(api, ref).status})


@works.register(CHANGE, safe_to_repeat=True, again=True)
def change(run: Run, *, changes: dict[str, Any], digest: str = "", **guest: Any) -> None:
    """Change options of a guest, and say which of them wait for its next start."""
    ref = GuestRef.of_args(**guest)
    new_name = str(changes.get("hostname") or changes.get("name") or ref.name)
    with _at(run, ref) as api:
        look_up(api, ref, new_name)
        if wanted := missing(api.config(ref.kind, ref.vmid), changes):
            _put(run, api, ref, {option: changes[option] for option in wanted}, digest)
        else:
            run.log(_("%s is as wanted already.") % ref)
        reading = keep_reading(api, GuestRef(ref.host, ref.kind, ref.vmid, new_name))
        for option, value in reading.pending.items():
            waits = _("%(option)s = %(value)s waits for the next start of %(guest)s.")
            run.log(waits % {"option": option, "value": "–" if value is None else value, "guest": ref})


def _put(run: Run, api: NodeApi, ref: GuestRef, changes: dict[str, Any], digest: str) -> None:
    for option, value in changes.items():
        run.log(f"{option} = {'–' if value is None else value}")
    try:
        api.change_config(ref.kind, ref.vmid, changes, digest=digest)
    except (errors.NoAnswer, errors.NodeDown) as error:
        run.check_stop()
        run.log(_("%s Looking whether it was changed all the same.") % error, "err")
        run.wait(2.0)
        if missing(api.config(ref.kind, ref.vmid), changes):
            raise
        run.log(_("It was."))


def missing(config: dict[str, Any], changes: dict[str, Any]) -> list[str]:
    """The options that are not as wanted; as Proxmox writes them down: trimmed, numbers as they come."""
    return [
        option
        for option, value in changes.items()
        if str(config.get(option) if config.get(option) is not None else "").strip()
        != str("" if value is None else value).strip()
    ]


@works.register(READ, safe_to_repeat=True, again=True)
def read(run: Run, **guest: Any) -> None:
    """Read a guest's settings, for somebody who wants to change them."""
    ref = GuestRef.of_args(**guest)
    with open_api(ref.host) as api, run.on_stop(api.cut):
        keep_reading(api, ref)


def keep_reading(api: NodeApi, ref: GuestRef) -> GuestReading:
    """Read a guest's settings and keep them. Raises OtherGuest."""
    now = look_up(api, ref)
    pending = {
        str(item["key"]): None if item.get("delete") else item.get("pending")
        for item in api.pending(ref.kind, ref.vmid)
        if item.get("delete") or "pending" in item
    }
    snapshots = [
        {name: item.get(name) for name in ("name", "description", "snaptime", "parent")}
        for item in api.snapshots(ref.kind, ref.vmid)
        if item.get("name") != "current"
    ]
    values = {
        "name": now.name,
        "runs": now.runs,
        "config": api.config(ref.kind, ref.vmid),
        "pending": pending,
        "snapshots": snapshots,
        "read_at": timezone.now(),
    }
    return GuestReading.objects.update_or_create(
        host=ref.host, kind=ref.kind, vmid=ref.vmid, defaults=values
    )[0]


@works.register(SNAPSHOT, safe_to_repeat=True, again=False)
def snapshot(run: Run, *, action: str, snapshot: str, description: str = "", **guest: Any) -> None:
    """Make a snapshot, go back to it, or give it up."""
    ref = GuestRef.of_args(**guest)
    with _at(run, ref) as api:
        look_up(api, ref)
        ask_once(
            run,
            api,
            lambda: _ask_snapshot(api, ref, action, snapshot, description),
            action=f"snapshot.{action}",
            vmid=ref.vmid,
            type=_type(SNAPSHOT_TASKS[action], ref.kind),
        )
        keep_reading(api, ref)


def _ask_snapshot(api: NodeApi, ref: GuestRef, action: str, snapshot: str, description: str) -> str:
    if action == "make":
        return api.make_snapshot(ref.kind, ref.vmid, snapshot, description)
    if action == "roll_back":
        return api.roll_back(ref.kind, ref.vmid, snapshot)
    return api.delete_snapshot(ref.kind, ref.vmid, snapshot)


@works.register(DESTROY, safe_to_repeat=True, again=False)
def destroy(run: Run, *, stop_first: bool = False, identity: str = "", **guest: Any) -> None:
    """Destroy exactly this guest: the id, the name, and what makes it this one are compared just before."""
    ref = GuestRef.of_args(**guest)
    with _at(run, ref) as api:
        before = asked_before(run, "destroy", ref.vmid)
        if before is not None and _over(run, api, ref, before.upid, before.identity):
            return
        identity = (before.identity if before else "") or identity
        with run.step(_("Make sure that it is %s") % ref):
            identity = _same(api, ref, identity)
        if look_up(api, ref).runs:
            if not stop_first:
                raise errors.GuestRuns(
                    ref.host.name, _("%s runs. It is destroyed only if you say that it may be stopped.") % ref
                )
            with run.step(_("Stop it")):
                _power(run, api, ref, "stop")
        run.check_stop()
        with run.step(_("Destroy it")):
            _same(api, ref, identity)
            _destroy(run, api, ref, identity)
        GuestReading.objects.filter(host=ref.host, kind=ref.kind, vmid=ref.vmid).delete()


def _same(api: NodeApi, ref: GuestRef, identity: str) -> str:
    """Check name and identity, as late as can be; gives the identity. Raises OtherGuest, Kept."""
    look_up(api, ref)
    config = api.config(ref.kind, ref.vmid)
    found = identity_of(config)
    if identity and found != identity:
        raise errors.OtherGuest(
            ref.host.name,
            _("%(vmid)d on %(host)s is another guest by now: its id was used again. Nothing was done to it.")
            % {"vmid": ref.vmid, "host": ref.host},
        )
    refuse_kept(ref, config)
    return found


def _over(run: Run, api: NodeApi, ref: GuestRef, upid: str, identity: str) -> bool:
    """Whether an earlier attempt has done it: the guest is gone, or its id is another's by now."""
    try:
        found = identity_of(api.config(ref.kind, ref.vmid))
    except errors.Gone:
        run.log(_("It is gone."))
        return True
    if upid and api.task(upid).went_well and found != identity:
        run.log(_("It is gone; its id is another guest's by now, which is left alone."))
        return True
    return False


def _destroy(run: Run, api: NodeApi, ref: GuestRef, identity: str) -> None:
    failed: errors.TaskFailed | None = None
    try:
        ask_once(
            run,
            api,
            lambda: api.destroy(ref.kind, ref.vmid),
            action="destroy",
            vmid=ref.vmid,
            type=_type(DESTROY_TASKS, ref.kind),
            identity=identity,
        )
    except errors.TaskFailed as error:
        failed = error
    try:
        still_there = identity_of(api.config(ref.kind, ref.vmid)) == identity
    except errors.Gone:
        still_there = False
    if failed and still_there:
        raise failed
    if still_there:
        raise errors.ProxmoxError(
            ref.host.name, _("Proxmox says that %s is destroyed, but it is still there.") % ref
        )
    if failed:
        run.log(
            _("%(error)s. The guest is gone all the same; see whether a disk was left.") % {"error": failed},
            "err",
        )
    else:
        run.log(_("%s is destroyed.") % ref)
