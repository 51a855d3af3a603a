"""The new server becomes the nginx server of its host."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from forwarding.desired_hostnames import KIND
from pages.second_word import second_word
from servers.connect import connect
from servers.models import Server
from servers.services import become_nginx_server, change_server
from wizards.create_vm.asking_machine import host_of
from wizards.create_vm.common import server_if_there, server_of, taken_off
from wizards.declare import Data, Later, Refused, TaskRun

THERE = 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; command -v nginx'


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("becomes_nginx"))


def says(data: Data) -> str:
    """The line of the plan."""
    return _("It becomes the nginx server of %s, by which domains lead to its guests") % host_of(data)


def do(task: TaskRun) -> Later | None:
    """See that nginx is on it, and note it with the host."""
    if "host" in task.facts:
        return None
    server = server_of(task)
    with task.run.step(_("Look for nginx on %s") % server), connect(server) as host:
        there = host.run(["sh", "-c", THERE]).code == 0
    if not there:
        words = _(
            "nginx is not on %s. Install it there, or have the script do it (tools=… nginx), and resume this."
        )
        raise Refused(words % server)
    with second_word(), transaction.atomic():
        become_nginx_server(task.actor, server)
        task.save(host=server.vm_host_id)
    return None


def undo_says(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    if "host" not in results.get("nginx", {}):
        return _("It has not become the nginx server of %s") % host_of(data)
    return _("%s has no nginx server any more") % host_of(data)


def undo(task: TaskRun) -> Later | None:
    """The host has none any more, if it is still this one. On a server that stays, rollouts have ended before."""
    server = server_if_there(task)
    if server is None:
        return None
    if later := taken_off(task, server, KIND):
        return later
    for host in Server.objects.filter(pk=task.facts.get("host") or 0, nginx_server=server):
        host.nginx_server = None
        with second_word():
            change_server(task.actor, host, version=host.version)
    return None
