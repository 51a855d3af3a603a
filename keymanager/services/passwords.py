"""SSH by keys alone: have a server take no passwords, and take them again."""

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actors import Actor
from accounts.audit import record
from hosts.errors import HostError
from hosts.state import State
from keymanager.desired_passwords import KIND, as_before, no_passwords
from keymanager.lockout import FOREVER, others_until
from keymanager.models import KeysOnly
from pages import second_word
from servers.first_login import tries_password
from servers.models import Contact, Rollout, Server
from servers.registry import RolloutKind
from servers.rollouts import ask
from servers.words import sentence


class NotYet(Exception):  # noqa: N818 - told to the person
    """Passwords cannot be refused now; str() says why."""


@transaction.atomic
def refuse_passwords(actor: Actor, server: Server) -> None:
    """Have its sshd take no passwords any more. Nothing where that is wanted already.

    Raises NotYet while Gestion itself does not get in by its key, SecondWordNeeded where nobody else would.
    """
    if KeysOnly.objects.filter(server=server).exists():
        return
    contact = Server.objects.values_list("contact", flat=True).get(pk=server.pk)
    if contact != Contact.OK:
        raise NotYet(_("Gestion does not get into %s by its key now. Passwords stay until it does.") % server)
    second_word.ask(second_word.SecondWordNeeded(_what_follows(server)))
    KeysOnly.objects.create(server=server, by=actor.name)
    record(actor, "passwords.refuse", server)
    ask(actor, server, [KIND], _("SSH shall take no passwords."))


def _what_follows(server: Server) -> list[str]:
    until = others_until(server.keymanager_name)
    found = [_("After this every unix user of %s needs a key to log in by SSH; the console still takes passwords.")
             % server]  # fmt: skip
    if until is None:
        found.append(_("Nobody's key from here opens root on it: only Gestion itself would get in by SSH."))
    elif until != FOREVER:
        told = date_format(timezone.localtime(until), "Y-m-d H:i")
        found.append(_("The last key from here that opens root on it ends on %s.") % told)
    return found


@transaction.atomic
def accept_passwords(actor: Actor, server: Server, *, roll_out: bool = True) -> None:
    """Have its sshd take what it took before. Nothing where it does so already.

    `roll_out` False: the server itself goes, and nothing is done on it.
    """
    if not KeysOnly.objects.filter(server=server).delete()[0]:
        return
    record(actor, "passwords.accept", server)
    if roll_out:
        ask(actor, server, [KIND], _("SSH shall take passwords as it did before."))
    else:
        Rollout.objects.filter(server=server, kind=KIND).delete()


def desired(server: Server) -> State:
    """What the server should hold of kind "ssh-passwords"."""
    wanted = KeysOnly.objects.filter(server=server).exists()
    return no_passwords(lambda: _tried(server)) if wanted else as_before()


def _tried(server: Server) -> str:
    try:
        return tries_password(server)
    except HostError as error:
        return sentence(error)


kind = RolloutKind(KIND, gettext_lazy("Passwords over SSH"), desired, order=30)
