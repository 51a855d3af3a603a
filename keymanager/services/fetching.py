"""Fetching: the script to install by hand, and the change to the next signing key."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from keymanager.desired import KIND
from keymanager.fetching import install_script, use_next_signing_key
from keymanager.tokens import give_token
from pages.second_word import SecondWordNeeded, ask
from servers.models import Rollout, RolloutState, Server

MOST_NAMED = 10


@transaction.atomic
def show_install_script(actor: Actor, server: Server) -> str:
    """The text for a root shell on the server, with its token, which is made if there is none."""
    give_token(actor, server)
    audit.record(actor, "fetch_token.show", server)
    return install_script(server)


def servers_without_next_key() -> list[str]:
    """The servers that fetch from here, but are not known to believe the prepared signing key yet."""
    in_sync = Rollout.objects.filter(kind=KIND, state=RolloutState.IN_SYNC).values("server_id")
    rows = Server.objects.filter(fetch_token__isnull=False).exclude(pk__in=in_sync).order_by("name")
    return list(rows.values_list("name", flat=True))


def sign_with_next_key(actor: Actor) -> None:
    """Sign with the prepared key. Raises SecondWordNeeded while a server would refuse what it signs."""
    waiting = servers_without_next_key()
    if waiting:
        named = ", ".join(waiting[:MOST_NAMED]) + (" …" if len(waiting) > MOST_NAMED else "")
        words = _("These servers may not know the next key yet, and then refuse new keys until they do: %s.")
        ask(SecondWordNeeded([words % named]))
    use_next_signing_key(actor)
