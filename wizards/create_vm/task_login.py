"""Getting in: the first login, the forwarded port, the connection strings."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from forwarding.desired_ports import KIND
from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward, delete_port_forward
from proxmox import first_start
from servers.contact import check
from servers.models import Contact, Rollout, Server
from servers.services import StaleEdit, change_server
from servers.validators import normal_connection
from wizards.create_vm import task_container
from wizards.create_vm.asking_machine import host_of
from wizards.create_vm.common import rolled_out, server_of
from wizards.create_vm.connections import SSH
from wizards.create_vm.following import ASKING, and_what_begins, and_what_follows, planned
from wizards.declare import Data, Later, Refused, TaskRun


def says_first(data: Data) -> str:
    """The line of the plan."""
    return _("Log in for the first time, with the panel's key or the generated password of root")


def do_first(task: TaskRun) -> Later | None:
    """Log in; from then on the panel's own key opens it."""
    row = task_container.creation_of(task)
    if row is None:
        raise Refused(_("Its container is not known any more."))
    with task.run.step(_("Log in to %s") % row.server):
        remark = first_start.reach(task.run, task.actor, row)
    if remark:
        raise Refused(remark)
    return None


def wanted_port(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("forward_ssh"))


def says_port(data: Data) -> str:
    """The line of the plan."""
    if not wanted_port(data):
        return _("Forward a port to its SSH")
    host = host_of(data)
    said = _("Port %(ssh_port)s of %(host)s leads to its SSH") % {**data, "host": host}
    if Rollout.objects.filter(server=host, kind=KIND).exists():
        return said  # that is all that begins
    return and_what_begins(
        said,
        lambda: create_port_forward(ASKING, _rule(data, planned(data, internal_ip=data["address"]))),
    )


def do_port(task: TaskRun) -> Later | None:
    """Add the rule, and wait until the host has it."""
    host = host_of(task.data)
    if "rule" not in task.facts:
        rule = _rule(task.data, server_of(task))
        with transaction.atomic():
            create_port_forward(task.actor, rule)
            task.save(rule=rule.pk)
    return rolled_out(task, host, KIND)


def _rule(data: Data, server: Server) -> PortForward:
    port = data["ssh_port"]
    return PortForward(
        host=host_of(data),
        destination=server,
        first_port=port,
        last_port=port,
        destination_first=SSH,
        destination_last=SSH,
        note="SSH",
    )


def undo_says_port(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does, with the rule as it is by now."""
    facts = results.get("port", {})
    if "rule" not in facts:
        return _("No port was forwarded")
    rule = PortForward.objects.filter(pk=facts["rule"]).first()
    if rule is None:
        return _("Its forwarded port is deleted already")
    return _("Port %(port)s of %(host)s leads nowhere any more") % {"port": rule.ports, "host": rule.host}


def undo_port(task: TaskRun) -> Later | None:
    """Delete the rule, and wait until the host has it no more."""
    rule = PortForward.objects.select_related("host", "destination").filter(pk=task.facts.get("rule") or 0)
    for row in rule:
        delete_port_forward(task.actor, row, confirmed=True)
    return rolled_out(task, host_of(task.data), KIND)


def says_connection(data: Data) -> str:
    """The line of the plan."""
    words = {"gestion": data.get("ssh_connection") or _("through the host")}
    words["backup"] = data.get("backup_connection") or words["gestion"]
    said = _("Gestion reaches it by “%(gestion)s”, the backup server by “%(backup)s”") % words
    return and_what_follows(said, data, **wanted_connections(data))


def do_connection(task: TaskRun) -> Later | None:
    """Write both connection strings, and log in by them."""
    server = _write(task)
    if not task.data.get("make_container"):
        return None  # nobody knows yet whether it runs; the panel looks by itself
    with task.run.step(_("Log in to %s by its connection") % server):
        contact = check(server)
    if contact != Contact.OK:
        server.refresh_from_db()
        tries = task.facts.get("tries", 0) + 1
        task.save(tries=tries % 10)
        if tries < 10:
            return Later(seconds=2, why=server.contact_why)
        raise Refused(server.contact_why)
    return None


def wanted_connections(data: Data) -> dict[str, str]:
    """The connection strings as they are written, by the server's fields."""
    wanted = {"ssh_connection": "ssh_connection", "backup_ssh_connection": "backup_connection"}
    return {field: normal_connection(data.get(name) or "") for field, name in wanted.items()}


def _write(task: TaskRun) -> Server:
    wanted = wanted_connections(task.data)
    while True:
        server = server_of(task)
        if {field: getattr(server, field) for field in wanted} == wanted:
            return server
        for field, value in wanted.items():
            setattr(server, field, value)
        try:
            return _change(task, server)
        except _Again:
            continue


class _Again(Exception):  # noqa: N818 - says what to do
    """Somebody saved the server in this moment; his words stay, ours are added."""


def _change(task: TaskRun, server: Server) -> Server:
    try:
        return change_server(task.actor, server, version=server.version)
    except StaleEdit as error:
        raise _Again from error
