"""What follows on other servers once the new one is as it shall be, said in the plan."""

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.actors import Actor
from servers.foretelling import foretell
from servers.models import Server
from servers.services import change_server, create_server
from wizards.create_vm.asking_machine import host_of, known_server
from wizards.declare import Data

ASKING = Actor.system("wizards")  # nothing of what is tried stays


def and_what_follows(words: str, data: Data, **given: str) -> str:
    """The line of the plan for the task that gives the server these settings, with what that has rolled out."""
    return and_what_begins(words, lambda: planned(data, **given))


def and_what_begins(words: str, change: Callable[[], object]) -> str:
    """The line of the plan for a task that makes this change, with what that has rolled out."""
    try:
        told = [one.sentence for one in foretell(change)]
    except ValidationError:  # the step says so, by its field
        return words
    return (
        _("%(words)s; this is rolled out: %(told)s") % {"words": words, "told": " ".join(told)}
        if told
        else words
    )


def planned(data: Data, **given: str) -> Server:
    """The server with these settings, to be tried: see servers.foretelling."""
    server = known_server(data)
    if server is None:
        server = create_server(ASKING, Server(name=data["name"], is_vm=True, vm_host=host_of(data)))
    for name, value in given.items():
        setattr(server, name, value)
    return change_server(ASKING, server, version=server.version)
