"""What follows once a container is made: start it, put it into the inventory, log in to it."""

import time
from contextlib import suppress

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts.errors import HostError
from jobs.run import Run
from pages.second_word import second_word
from proxmox.client import NodeApi, wait_task
from proxmox.client.errors import NoAnswer, NodeDown, ProxmoxError, Refused, TaskFailed
from proxmox.client.names import LXC
from proxmox.making import GRACE, Making
from proxmox.models import AddressClaim, Creation
from proxmox.passwords import NoPasswordSecret, secret_mark, vm_password
from servers import rollouts
from servers.connect import suggested_connection
from servers.contact import check
from servers.first_login import log_in_first
from servers.models import Contact, HostKey, Rollout, Server
from servers.services import StaleEdit, accept_host_key, change_server

START_SECONDS = 300.0
TRIES = 2
SSH_SECONDS = 60.0  # until sshd of a fresh container answers


def start(making: Making) -> None:
    """Have the container run. Raises ProxmoxError; the container stays."""
    api, run, vmid = making.api, making.run, making.vmid
    for count in range(TRIES):
        if making.patiently(lambda: api.guest(LXC, vmid)).runs:
            return
        try:
            wait_task(api, api.power(LXC, vmid, "start"), run, seconds=START_SECONDS)
        except TaskFailed:
            if not api.guest(LXC, vmid).runs:
                raise
        except (NoAnswer, Refused) as error:
            if "already running" in error.words:
                return
            if (isinstance(error, Refused) and not isinstance(error, NodeDown)) or count + 1 == TRIES:
                raise
            _let_it_begin(api, run, vmid, error)
        else:
            return


def _let_it_begin(api: NodeApi, run: Run, vmid: int, error: ProxmoxError) -> None:
    """After a lost answer: give the start time to begin, and wait for its task if there is one."""
    run.log(_("%s Looking whether it was done all the same.") % error, "err")
    run.wait(GRACE)
    with suppress(ProxmoxError):  # the next look at the guest tells
        for task in api.tasks(vmid, "vzstart"):
            if not task.ended:
                wait_task(api, task.upid, run, seconds=START_SECONDS)


def into_inventory(actor: Actor, creation: Creation) -> Server:
    """Give the server its internal IP and its way in; the claim of the address ends here.

    What it held by a container before this one is rolled out again: nothing of that is in the new one.
    Raises ValidationError when the inventory does not allow it any more.
    """
    while True:
        server = Server.objects.select_related("vm_host").get(pk=creation.server_id)
        server.internal_ip = creation.address
        if not server.ssh_connection:
            server.ssh_connection = _connection(server, creation)
        try:
            with second_word():  # the address was chosen, and the container has it
                change_server(actor, server, version=server.version)
        except StaleEdit:
            continue  # somebody saved the server in this moment; his words stay, ours are added
        AddressClaim.objects.filter(creation=creation).delete()
        if kinds := list(Rollout.objects.filter(server=server).values_list("kind", flat=True)):
            rollouts.ask(actor, server, kinds, _("Its container is a new one."))
        return server


def _connection(server: Server, creation: Creation) -> str:
    """As the seed has it where the panel is on the same host; else empty, which is through the host."""
    if not settings.GESTION_VM_NAME or creation.host.name != settings.GESTION_VM_NAME.lower():
        return ""
    return suggested_connection(
        host=creation.host,
        internal_ip=creation.address,
        external_ip="",
        name=server.name,
        panel_host=settings.GESTION_VM_NAME,
    )


def reach(run: Run, actor: Actor, creation: Creation) -> str:
    """Log in with the panel's key; where that is refused, by root's password first, which lets the key in.

    Returns what is still in the way as a sentence; empty if nothing is.
    """
    until = time.monotonic() + SSH_SECONDS
    password_tried = False
    while True:
        server = Server.objects.select_related("vm_host").get(pk=creation.server_id)
        contact = check(server)
        if contact == Contact.OK:
            run.log(_("The panel's key opens it."))
            return ""
        server.refresh_from_db()
        shown = server.host_keys.filter(pinned_at__isnull=True, fingerprint__in=creation.fingerprints).first()
        if shown is not None:  # also in place of one that a container before this had
            _accept(run, actor, shown)
            continue
        if contact == Contact.UNPINNED:
            return _("Its SSH host key has to be accepted: Proxmox's log does not name it.")
        if contact == Contact.REFUSED and not password_tried:
            password_tried = True
            if _by_password(run, actor, creation, server):
                continue
        if contact not in {Contact.UNREACHABLE, Contact.REFUSED} or time.monotonic() > until:
            return server.contact_why or _("Gestion does not know how to reach it.")
        run.wait(1.5)


def _by_password(run: Run, actor: Actor, creation: Creation, server: Server) -> bool:
    """Log in by the generated password; whether that went well. Its host key is accepted already."""
    try:
        if creation.password_mark != secret_mark():
            return False  # VM_PASS_SECRET is another by now
        password = vm_password(creation.password_host, creation.password_server)
        run.secrets.add(password)
        log_in_first(actor, server, password)
    except (NoPasswordSecret, HostError) as error:
        run.log(_("The generated password does not open it either: %s") % error, "err")
        return False
    run.log(_("The generated password of root opened it, and the panel's key is let in now."))
    return True


def _accept(run: Run, actor: Actor, offered: HostKey) -> None:
    """Trust the key: Proxmox said its fingerprint, over a connection that was verified."""
    words = _("It shows the host key %s, which Proxmox made for it by the task's log: accepted.")
    run.log(words % offered.fingerprint)
    accept_host_key(actor, offered)
