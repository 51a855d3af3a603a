"""A server leaves: a last backup, then all that leads to it, then the guest itself and its row."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actors import Actor
from backups.models import Backup, BackupRun
from backups.models.runs import OPEN, RunState
from backups.services.plans import check_at_rest, delete_backup
from backups.services.runs import run_now
from backups.watching_plans import backup_holds
from forwarding.hostname_dangers import led_to
from forwarding.models import HostnameForward, PortForward
from forwarding.services.hostnames import change_hostname, delete_hostname, without
from forwarding.services.ports import delete_port_forward
from jobs.models import Job
from keymanager.models import Group
from keymanager.services.groups import PARTS, remove_from_group
from keymanager.watching import groups_of, lost_without
from pages.second_word import SecondWordNeeded, second_word
from proxmox.guests import GuestRef
from proxmox.models import GuestSeen
from proxmox.services import guests
from servers.claims import claimed
from servers.models import Server
from servers.panel import panel_on
from servers.registry import Held, sentence
from servers.services.inventory import DeleteRefused, delete_server, holds_of
from wizards.declare import Data, Later, Line, Refused, Step, StepForm, Task, TaskRun, Wizard
from wizards.following import follow_job

# The kinds of rows that a part takes away.
PART_OF = {
    "forwarding.HostnameForward": "hostnames",
    "forwarding.PortForward": "ports",
    "backups.Backup": "backups",
}
ROW_NEEDS = ("hostnames", "ports", "keys", "backups")


class WhichForm(StepForm):
    """Which server; its name is typed as well, because this cannot be undone."""

    retired = forms.ModelChoiceField(label=gettext_lazy("Server"), queryset=Server.objects.none())
    typed_name = forms.CharField(label=gettext_lazy("Type its name"), max_length=253)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["retired"].queryset = Server.objects.order_by("name")  # type: ignore[attr-defined]

    def clean(self) -> Data:
        """The right name, and nothing that others or the panel stand on."""
        data = super().clean() or {}
        server = data.get("retired")
        if server is None:
            return data
        if data.get("typed_name", "").strip().lower() != server.name:
            self.add_error("typed_name", _("This is not its name."))
        reasons = obstacles(server)
        if reasons:
            self.add_error("retired", ValidationError(reasons))
        return data


class PartsForm(StepForm):
    """What of it is done."""

    last_backup = forms.BooleanField(label=gettext_lazy("Make a last backup"), required=False)
    hostnames = forms.BooleanField(label=gettext_lazy("Take it out of hostnames"), required=False)
    ports = forms.BooleanField(label=gettext_lazy("Delete ports that lead to it"), required=False)
    keys = forms.BooleanField(label=gettext_lazy("Take it out of all groups of keys"), required=False)
    backups = forms.BooleanField(label=gettext_lazy("End its backups; copies stay"), required=False)
    guest = forms.BooleanField(label=gettext_lazy("Destroy the guest with its disks"), required=False)
    row = forms.BooleanField(label=gettext_lazy("Delete it from the inventory"), required=False)

    def clean(self) -> Data:
        """At least one part; the row goes only after all that hangs on it."""
        data = super().clean() or {}
        missing = [str(self.fields[name].label) for name in ROW_NEEDS if not data.get(name)]
        if data.get("row") and missing:
            self.add_error("row", _("This needs as well: %s.") % ", ".join(missing))
        server = Server.objects.get(pk=self.data_so_far["retired"])
        if data.get("guest") and not seen_of(server.pk):
            self.add_error("guest", _("No guest of a Proxmox host is known to be this server."))
        if data.get("keys") and (needed := lost_without(server)):
            words = _("Other servers need its keys, so give them another way in first: %s")
            self.add_error("keys", words % " ".join(needed))
        elif data.get("keys") and not (data.get("row") or data.get("guest")):
            for lost in lost_by_leaving(server):
                self.add_error("keys", lost)
        if not any(data.values()):
            raise ValidationError(_("Choose at least one part."))
        return data


def obstacles(server: Server) -> list[str]:
    """Why this server must not go: the panel, or others, stand on it."""
    panel = panel_on(server)
    found = [*([panel] if panel else []), *(said for _hostname, said in led_to(server))]
    alone = [held for held in holds_of(server) if held.label and (held.on_disk or held.label not in PART_OF)]
    return [*found, *([sentence(alone)] if alone else [])]


def goes(data: Data) -> list[Held]:
    """What is there now of what the parts that were chosen take away; with its machine, all that loses that."""
    server = Server.objects.filter(pk=data["retired"]).first()
    if server is None:
        return []
    found = [
        held
        for held in holds_of(server)
        if data.get(PART_OF.get(held.label, "row")) or (held.label and data.get("guest"))
    ]
    if data.get("guest") and (seen := seen_of(server.pk)):
        words = _("The guest %(guest)s of %(host)s, with its disks") % {"guest": seen, "host": seen.host}
        found.insert(0, Held(words, seen.get_absolute_url()))
    if data.get("keys") and not data.get("row"):
        found += groups_of(server)
    if data.get("backups"):
        found += backup_holds(Backup.objects.filter(source=server))
    return found


def check_gone(run: TaskRun) -> None:
    """Ask again right before what cannot be brought back: somebody may have made something since.

    Raises Refused with all that hangs on the server, but for what is to be left as it is.
    """
    server = server_of(run)
    if server is None:
        return
    held = [one for one in holds_of(server) if one.label and (run.data.get(PART_OF.get(one.label, "guest")))]
    if held:
        raise Refused(sentence(held))


def parts_defaults(_actor: Actor, data: Data) -> Data:
    """Everything that there is."""
    server = data["retired"]
    has_backup = Backup.objects.filter(source=server).exists()
    has_guest = seen_of(server) is not None
    every = dict.fromkeys((*ROW_NEEDS, "row"), True)
    return {**every, "last_backup": has_backup, "guest": has_guest}


def server_of(run: TaskRun) -> Server | None:
    """The server, None when its row is gone already."""
    return Server.objects.filter(pk=run.data["retired"]).first()


def last_backup(run: TaskRun) -> Later | None:
    """Run each of its backups once more. Raises Refused for one that does not end well."""
    rows = list(Backup.objects.filter(source=run.data["retired"]))
    asked = dict(run.facts.get("runs", {}))
    for backup in rows:
        if str(backup.pk) not in asked:
            with transaction.atomic():
                asked[str(backup.pk)] = run_now(run.actor, backup).pk
                run.save(runs=asked)
    found = BackupRun.objects.filter(pk__in=asked.values()).select_related("backup")
    wrong = [one for one in found if one.state not in {*OPEN, RunState.DONE}]
    if wrong:
        run.save(runs={key: pk for key, pk in asked.items() if pk not in {one.pk for one in wrong}})
        sentences = "; ".join(f"{one.backup}: {one.get_state_display()} {one.error}".strip() for one in wrong)
        raise Refused(_("The last backup did not end well: %s") % sentences)
    if any(one.state in OPEN for one in found):
        return Later(seconds=3, why=_("The backup runs."))
    return None


def leave_hostnames(run: TaskRun) -> None:
    """Delete hostnames that lead to it alone, take it out of the others. Raises Refused, and all stays."""
    server = server_of(run)
    if server is None:
        return
    with transaction.atomic():
        for hostname in HostnameForward.objects.filter(destinations__server=server).distinct():
            try:
                _leave_hostname(run.actor, hostname, server)
            except ValidationError as error:
                raise Refused(f"{hostname}: {' '.join(error.messages)}") from error
            run.log(str(hostname))


def _leave_hostname(actor: Actor, hostname: HostnameForward, server: Server) -> None:
    if others := without(hostname, server):
        change_hostname(actor, hostname, others, version=hostname.version, confirmed=True)
    else:
        delete_hostname(actor, hostname, confirmed=True)


def leave_ports(run: TaskRun) -> None:
    """Delete the ports that lead to it."""
    for rule in PortForward.objects.filter(destination=run.data["retired"]):
        run.log(str(rule))
        delete_port_forward(run.actor, rule, confirmed=True)


def leave_groups(run: TaskRun) -> None:
    """Take the server, its unix users and their keys out of all groups. Raises Refused where that locks out.

    Its own last way in may go where it goes itself.
    """
    server = server_of(run)
    if server is None:
        return
    goes = bool(run.data.get("row") or run.data.get("guest"))
    if goes and (needed := lost_without(server)):
        raise Refused(" ".join(needed))
    try:
        with transaction.atomic(), second_word(lambda _question: goes):
            _leave(run.actor, server)
    except SecondWordNeeded as error:
        raise Refused(str(error)) from error


def _leave(actor: Actor, server: Server) -> None:
    paths: dict[str, dict[str, Any]] = {
        "member_servers": {"pk": server.pk},
        "allowed_servers": {"pk": server.pk},
        "member_keys": {"unix_user__server": server},
        "allowed_unix_users": {"server": server},
    }
    for part in PARTS:
        for group in Group.objects.all() if part in paths else ():
            for row in getattr(group, part).filter(**paths[part]):
                remove_from_group(actor, group, part, row)


def lost_by_leaving(server: Server) -> list[str]:
    """What the guard of the last way in says where it leaves all groups and stays. It is tried, and undone."""
    try:
        with transaction.atomic(), second_word(lambda _question: False):
            _leave(Actor.system("retire_server"), server)
            transaction.set_rollback(True)
    except SecondWordNeeded as error:
        return error.sentences
    return []


def end_backups(run: TaskRun) -> None:
    """Delete its backups; their copies stay on the backup server and are listed there."""
    for backup in Backup.objects.filter(source=run.data["retired"]):
        run.log(str(backup))
        delete_backup(run.actor, backup)


def seen_of(server: int) -> GuestSeen | None:
    """The guest that this server is, as far as is known."""
    return GuestSeen.objects.present().filter(server=server).select_related("host").first()


def guest_of(run: TaskRun) -> GuestRef | None:
    """The same, as it is meant when it is destroyed."""
    seen = seen_of(run.data["retired"])
    return GuestRef(seen.host, seen.kind, seen.vmid, seen.name) if seen else None


def clear(do: Callable[[TaskRun], Later | None]) -> Callable[[TaskRun], Later | None]:
    """Before it begins, ask whether it and all that comes later can be done: that is not found out last of all."""

    def doing(run: TaskRun) -> Later | None:
        server = server_of(run)
        if server is not None and not run.facts:
            check_clear(run, server, at_rest=do is not last_backup)
        return do(run)

    return doing


def check_clear(run: TaskRun, server: Server, *, at_rest: bool) -> None:
    """Raise Refused with all that stands on the server by now, and what Proxmox says if it would not destroy the guest.

    With `at_rest` also NotNow of backups that are in use: they cannot end.
    """
    found = obstacles(server)
    if run.data.get("keys"):
        found += lost_without(server)
    if found:
        raise Refused(" ".join(found))
    if run.data.get("guest") and (guest := guest_of(run)):
        guests.check_destroyable(guest)
    if run.data.get("backups") and at_rest:
        for backup in Backup.objects.filter(source=server):
            check_at_rest(backup)


def destroy_guest(run: TaskRun) -> Later | None:
    """Have Proxmox destroy the guest that this server is."""
    if "guest" not in run.facts:
        guest = guest_of(run)
        if guest is None:
            run.log(_("No guest is known to be this server."))
            return None
        check_gone(run)
        run.save(guest=guest.args)
    guest = GuestRef.of_args(**run.facts["guest"])

    def start() -> Job:
        check_gone(run)  # for what is resumed days later, too
        return guests.destroy_guest(run.actor, guest, guest.name, stop_first=True)

    return follow_job(run, start)


def delete_row(run: TaskRun) -> Later | None:
    """Delete the server from the inventory."""
    server = server_of(run)
    if server is None:
        return None
    if claimed(server):  # as by what let its folders be read as root, which ends with its backups
        return Later(seconds=1, why=_("A rollout is still running on it."))
    check_gone(run)
    try:
        with second_word():  # its own last key goes with it, which is what was asked for
            delete_server(run.actor, server, server.name)
    except DeleteRefused as error:
        raise Refused(str(error)) from error
    return None


def said(text: Any) -> Any:
    """A line with the server's name in it."""
    return lambda data: str(text) % {"server": data["typed_name"]}


def has(part: str) -> Any:
    """Whether this part is switched on."""
    return lambda data: bool(data.get(part))


def stays(data: Data) -> list[str]:
    """What is left when all is done."""
    lines = [
        _("The copies of %(backup)s on %(server)s") % {"backup": backup, "server": backup.destination}
        for backup in Backup.objects.filter(source=data["retired"]).select_related("destination")
        if backup.may_have_copies() or data.get("last_backup")
    ]
    if not data.get("guest"):
        lines.append(_("The machine itself, as it is, with the keys that let people in"))
    lines.append(_("What the audit trail says of it, and its names in your DNS"))
    return lines


def finish(data: Data, _results: Any) -> list[Line]:
    """What became of it."""
    return [Line(_("Retired"), data["typed_name"])]


TASKS: tuple[tuple[str, Any, Any, Any], ...] = (
    (
        "last_backup",
        gettext_lazy("Last backup"),
        last_backup,
        gettext_lazy("Back up %(server)s a last time, and wait for its end"),
    ),
    (
        "hostnames",
        gettext_lazy("Hostnames"),
        leave_hostnames,
        gettext_lazy("Delete hostnames that lead to %(server)s alone; take it out of the others"),
    ),
    (
        "ports",
        gettext_lazy("Ports"),
        leave_ports,
        gettext_lazy("Delete the forwarded ports that lead to %(server)s"),
    ),
    (
        "keys",
        gettext_lazy("Groups"),
        leave_groups,
        gettext_lazy("Take %(server)s, its unix users and their keys out of all groups"),
    ),
    (
        "backups",
        gettext_lazy("Backups"),
        end_backups,
        gettext_lazy("End the backups of %(server)s; their copies stay"),
    ),
    (
        "guest",
        gettext_lazy("Guest"),
        destroy_guest,
        gettext_lazy("Destroy the guest that %(server)s is, with its disks"),
    ),
    ("row", gettext_lazy("Inventory"), delete_row, gettext_lazy("Delete %(server)s from the inventory")),
)

wizard = Wizard(
    slug="retire_server",
    name=gettext_lazy("Retire a server"),
    description=gettext_lazy(
        "Backs it up a last time, then takes away all that leads to it, and the server itself."
    ),
    icon="trash",
    needs=(gettext_lazy("a server on which nothing else stands"),),
    steps=(
        Step(
            gettext_lazy("Server"), WhichForm, text=gettext_lazy("What is taken away here cannot be undone.")
        ),
        Step(gettext_lazy("Parts"), PartsForm, parts_defaults),
    ),
    tasks=tuple(Task(slug, name, clear(do), said(line), wanted=has(slug)) for slug, name, do, line in TASKS),
    finish=finish,
    goes=goes,
    stays=stays,
)
