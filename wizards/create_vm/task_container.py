"""The container: made once by the room of Proxmox, destroyed again by an undo if it is still the same one."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.models import Job, JobState
from jobs.services import JobRefusedError, stop_job
from keymanager.keysets import key_sets
from pages.second_word import second_word
from proxmox.client import errors, open_api
from proxmox.client.names import LXC
from proxmox.guests import GuestRef, identity_of
from proxmox.models import Creation, CreationState, GuestSeen
from proxmox.reading import addresses
from proxmox.services.create import Wanted, create_container, try_again
from proxmox.services.guests import destroy_guest
from servers.models import Server
from servers.registry import Held, held_by, sentence
from servers.validators import machine_name_of
from wizards.create_vm.asking_machine import host_of
from wizards.create_vm.common import server_of, with_it
from wizards.create_vm.following import and_what_follows
from wizards.declare import Data, Later, Refused, TaskRun

_AS_THEY_ARE = (
    *("template", "storage", "disk", "memory", "swap", "cores", "bridge", "name_servers"),
    *("unprivileged", "onboot", "nesting"),
)


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("make_container"))


def says(data: Data) -> str:
    """The line of the plan."""
    if not wanted(data):
        return _("Create the container")
    words = _(
        "Create and start the container on %(host)s: %(address)s, %(cores)s CPU, %(memory)s MiB of memory, "
        "%(disk)s GiB of %(storage)s, from %(template)s"
    )
    said = words % {**data, "host": host_of(data), "template": data["template"].rpartition("/")[2]}
    own = machine_name_of(data["name"])
    if own != data["name"]:
        said += _("; it calls itself %s, as host names have no underscore, and at most 64 characters") % own
    return and_what_follows(said, data, internal_ip=data["address"])


def do(task: TaskRun) -> Later | None:
    """Have it created, once; a create that has failed is tried again when the run is resumed."""
    row = creation_of(task)
    if row is None:
        with transaction.atomic():
            row = create_container(task.actor, _asked(task))
            task.save(creation=row.pk)
        return _wait(row)
    if row.open:
        return _wait(row)
    if row.state == CreationState.DONE:
        task.save(vmid=row.vmid, marker=row.marker, hostname=row.hostname)
        return None
    if not task.facts.get("told"):
        task.save(told=True)
        raise Refused(row.why or _("The container could not be created."))
    with transaction.atomic():
        if can_mend(task.facts) and _differs(row, task.data):
            row = create_container(task.actor, _asked(task))
        else:
            try_again(task.actor, row)
        task.save(creation=row.pk, told=False)
    return _wait(row)


def can_mend(facts: Data) -> bool:
    """Whether nothing of it exists yet, so that it may still become another one."""
    return not Creation.objects.filter(pk=facts.get("creation") or 0, vmid__isnull=False).exists()


def _differs(row: Creation, data: Data) -> bool:
    """Whether something else is wanted by now than this create was asked for."""
    wanted = {name: data[name] for name in ("address", *_AS_THEY_ARE)}
    wanted["gateway"] = data.get("gateway") or row.gateway
    return any(getattr(row, name) != value for name, value in wanted.items())


def creation_of(task: TaskRun) -> Creation | None:
    """The row of its create, as it is now."""
    facts = task.facts if "creation" in task.facts else task.results.get("container", {})
    rows = Creation.objects.select_related("host", "server", "job")
    return rows.filter(pk=facts.get("creation") or 0).first()


def _wait(row: Creation) -> Later:
    job = Job.objects.filter(pk=row.job_id or 0).first()
    return Later(job=job, why=_("%(host)s is creating it.") % {"host": row.host})


def _asked(task: TaskRun) -> Wanted:
    data, server = task.data, server_of(task)
    return Wanted(
        host=host_of(data),
        name=server.name,
        address=data["address"],
        gateway=data.get("gateway") or "",
        ssh_keys=first_keys(server, data),
        **{name: data[name] for name in _AS_THEY_ARE},
    )


def first_keys(server: Server, data: Data) -> str:
    """Keys for root's authorized_keys beside the panel's: none where the server fetches them by itself.

    What is in that file nobody takes away again; what the server fetches follows every change.
    """
    if data.get("fetch_keys"):
        return ""
    lines = key_sets([server.keymanager_name]).get(server.keymanager_name, {}).get("root", ())
    return "\n".join(line.text for line in lines if not line.options)


def undo_says(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does, with what others keep on its disks: what hung on the server before stands in no way."""
    facts = results.get("container", {})
    if _never_made(facts):
        return _("No container was created")
    if _is_gone(data, facts):
        return _("Its container is destroyed already; another one of its name or number stays")
    words = _("Stop and destroy the container of %(name)s on %(host)s, with everything in it")
    said = words % {"name": data["name"], "host": host_of(data)}
    server = Server.objects.filter(pk=results.get("server", {}).get("server") or 0).first()
    return with_it(said, [held for held in held_by(server) if held.on_disk]) if server else said


def is_there(data: Data, results: Mapping[str, Data]) -> bool:
    """Whether the machine behind the server is still the one that the run made; else it may be one made by hand."""
    facts = results.get("container", {})
    return not _never_made(facts) and not _is_gone(data, facts)


def _never_made(facts: Data) -> bool:
    """Whether Proxmox was not asked for it, or its create has failed, which leaves nothing."""
    row = Creation.objects.filter(pk=facts.get("creation") or 0).first()
    return "creation" not in facts or (row is not None and row.vmid is None and not row.open)


def _is_gone(data: Data, facts: Data) -> bool:
    """Whether it was seen, and nothing that it could be is there by now: one that was only renamed is named before."""
    made = Creation.objects.filter(pk=facts.get("creation") or 0).first()
    vmid = facts.get("vmid") or (made.vmid if made else 0)
    seen = GuestSeen.objects.filter(host=data["host"], kind=LXC, vmid=vmid or 0)
    there = [
        row
        for row in seen.present()
        if made or is_ours(row.config, facts.get("hostname", ""), facts.get("marker", ""))
    ]
    return seen.exists() and not there


def undo(task: TaskRun) -> Later | None:
    """Destroy what this wizard had created, and nothing else: id, name, our mark and identity are compared."""
    row = creation_of(task)
    if row is not None and row.open:
        if row.job is not None and not row.job.ended:
            if row.job.stop_asked_at is None:
                _stop(task, row.job)
            return Later(job=row.job, why=_("The create is being stopped."))
        return Later(seconds=1)
    if (job := Job.objects.filter(pk=task.facts.get("destroy") or 0).first()) is not None:
        if not job.ended:
            return Later(job=job, why=_("It is being destroyed."))
        task.save(destroy=None, destroy_said=job.error, destroyed=job.state == JobState.DONE)
    guest = _guest(task, row)
    identity = _identity(guest, task, row) if guest else None
    if identity is None:
        _nobody_wants(row)
    if guest is None or not identity:
        return None
    if said := task.facts.get("destroy_said"):
        task.save(destroy_said="")  # a resumed undo tries again
        raise Refused(said)
    with second_word(), transaction.atomic():
        job = destroy_guest(task.actor, guest, guest.name, stop_first=True, identity=identity)
        task.save(destroy=job.pk)
    return Later(job=job, why=_("It is being destroyed."))


def _nobody_wants(row: Creation | None) -> None:
    """That it failed is no trouble any more: the row of a server that was there before stays."""
    if row is not None:
        Creation.objects.filter(pk=row.pk, state=CreationState.FAILED).update(state=CreationState.STOPPED)


def _stop(task: TaskRun, job: Job) -> None:
    try:
        stop_job(task.actor, job)
    except JobRefusedError:
        task.log(_("The create has ended in this moment."))


def _guest(task: TaskRun, row: Creation | None) -> GuestRef | None:
    vmid = (row.vmid if row else None) or task.facts.get("vmid")
    hostname = (row.hostname if row else "") or task.facts.get("hostname", "")
    if not vmid or not hostname:
        return None
    return GuestRef(host_of(task.data), LXC, int(vmid), str(hostname))


def _identity(guest: GuestRef, task: TaskRun, row: Creation | None) -> str | None:
    """What makes it this one container; None if nothing or another has its id by now, empty if it is half made."""
    try:
        with task.run.step(_("Look what %s has") % guest.host), open_api(guest.host) as api:
            config = api.config(guest.kind, guest.vmid)
    except errors.Gone:
        return None
    marker = (row.marker if row else "") or task.facts.get("marker", "")
    if not is_ours(config, guest.name, marker):
        if row is not None and (why := in_doubt(row, config)):
            raise Refused(sentence([Held(why, "")]))
        return "" if config.get("lock") == "create" else None
    return identity_of(config)


def is_ours(config: Data, hostname: str, marker: str) -> bool:
    """Whether a configuration has the name and the mark with which the container was made."""
    return marker in str(config.get("description", "")).split() and config.get("hostname") == hostname


def in_doubt(row: Creation, config: Data) -> str:
    """Why an undo would neither destroy it nor may pass it over; empty where it is ours, or plainly another by now.

    People rename containers and write notes of their own: then it is there still, with an address that looks free.
    """
    alike = (
        config.get("hostname") == row.hostname,
        row.marker in str(config.get("description", "")),
        row.address in addresses(config),
    )
    if not any(alike) or is_ours(config, row.hostname, row.marker):
        return ""
    words = _(
        "container %(vmid)d of %(host)s has another name or other notes by now, so an undo would not destroy it. "
        "Destroy it yourself, or call it “%(name)s” and write “%(mark)s” into its notes"
    )
    return words % {"vmid": row.vmid, "host": row.host, "name": row.hostname, "mark": row.marker}
