"""SSH takes no passwords any more, once keys are in place."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from keymanager.desired_passwords import KIND
from keymanager.models import KeysOnly
from keymanager.services.passwords import accept_passwords, refuse_passwords
from pages.second_word import second_word
from servers.contact import check
from servers.models import Contact
from wizards.create_vm.common import rolled_out, server_if_there, server_of
from wizards.create_vm.task_container import is_there
from wizards.declare import Data, Later, Refused, TaskRun


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("make_container") and data.get("refuse_passwords"))


def says(data: Data) -> str:
    """The line of the plan."""
    return _("Its SSH takes keys alone from then on; the console still takes the password of root")


def do(task: TaskRun) -> Later | None:
    """Log in by the key, have passwords refused, and wait until a key is let in and a password is not."""
    server = server_of(task)
    if not wanted(task.data):
        accept_passwords(task.actor, server)
        return rolled_out(task, server, KIND)
    if "refused" not in task.facts:
        with task.run.step(_("Log in to %s by the key") % server):
            contact = check(server)
        if contact != Contact.OK:
            server.refresh_from_db()
            raise Refused(server.contact_why)
        had = KeysOnly.objects.filter(server=server).exists()
        with second_word(), transaction.atomic():  # what follows, the plan has said
            refuse_passwords(task.actor, server)
            task.save(refused=True, had=had)
    return rolled_out(task, server, KIND)


def undo_says(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does."""
    facts, made = results.get("passwords", {}), results.get("server", {}).get("made")
    if "refused" not in facts:
        return _("Its SSH was not told to take keys alone")
    if facts.get("had"):
        return _("Its SSH is to take keys alone, as it was before; the container goes as it is")
    if not made and not is_there(data, results):
        return _("Its SSH is to take keys alone still: the container is there no more, and another may be")
    return _("Its SSH is not told any more to take keys alone; the container goes as it is")


def undo(task: TaskRun) -> Later | None:
    """Forget it: the container goes, so nothing is done in it."""
    server = server_if_there(task)
    told = task.facts.get("refused") and not task.facts.get(
        "had"
    )  # one that refused them before goes on doing so
    if server and told and is_there(task.data, task.results):
        accept_passwords(task.actor, server, roll_out=False)
    return None
