"""The domain that leads to the new server."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from forwarding.desired_hostnames import KIND
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.hostnames import create_hostname, delete_hostname
from wizards.create_vm import choices
from wizards.create_vm.asking_machine import host_of
from wizards.create_vm.common import rolled_out, server_of, taken_off
from wizards.declare import Data, Later, Refused, TaskRun


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("forward_domain"))


def says(data: Data) -> str:
    """The line of the plan."""
    host = host_of(data)
    if not wanted(data):
        return _("Lead a domain to it")
    text = _("%(domain)s leads to its port %(domain_port)s, by %(nginx)s") % {
        **data,
        "nginx": host.nginx_server or data["name"],
    }
    if not choices.has_web_way(host):
        text += " " + _("(no port 80 of %s leads there yet: visitors from outside need one)") % host
    return text


def do(task: TaskRun) -> Later | None:
    """Add the hostname, and wait until nginx has it."""
    host = host_of(task.data)
    if host.nginx_server is None:
        raise Refused(choices.why_no_domain(host))
    if "hostname" not in task.facts:
        hostname = HostnameForward(
            host=host, domain=task.data["domain"], destination_port=task.data["domain_port"]
        )
        with transaction.atomic():
            create_hostname(task.actor, hostname, [HostnameDestination(server=server_of(task))])
            task.save(hostname=hostname.pk)
    if later := rolled_out(task, host.nginx_server, KIND):
        return later
    row = HostnameForward.objects.filter(pk=task.facts["hostname"]).first()
    if row is not None and row.left_out:
        raise Refused(row.left_out)
    return None


def undo_says(_data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does, with the hostname as it is by now."""
    facts = results.get("domain", {})
    if "hostname" not in facts:
        return _("No hostname was added")
    row = HostnameForward.objects.filter(pk=facts["hostname"]).first()
    return _("%s leads nowhere any more") % row if row else _("Its hostname is deleted already")


def undo(task: TaskRun) -> Later | None:
    """Delete the hostname, and wait until nginx has it no more."""
    for row in HostnameForward.objects.filter(pk=task.facts.get("hostname") or 0):
        delete_hostname(task.actor, row, confirmed=True)
    host = host_of(task.data)
    return taken_off(task, host.nginx_server, KIND) if host.nginx_server else None
