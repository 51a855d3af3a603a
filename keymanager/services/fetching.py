"""The script to install by hand, shown on purpose and on record."""

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from keymanager.fetching import install_script
from keymanager.tokens import give_token
from servers.models import Server


@transaction.atomic
def show_install_script(actor: Actor, server: Server) -> str:
    """The text for a root shell on the server, with its token, which is made if there is none."""
    give_token(actor, server)
    audit.record(actor, "fetch_token.show", server)
    return install_script(server)
