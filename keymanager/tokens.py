"""The hosts' tokens: made, replaced, taken away; and the table by which the endpoint knows them."""

import hashlib
import secrets
from dataclasses import dataclass

from django.db import transaction

from accounts.actors import Actor
from accounts.audit import record
from keymanager.models import FetchToken, KeySetRevision
from keymanager.revisions import touch
from servers.models import Server


def digest_of(secret: str) -> str:
    """What the endpoint looks a token up by. A token has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _fresh() -> str:
    return f"gsk_{secrets.token_urlsafe(32)}"


def give_token(actor: Actor, server: Server) -> FetchToken:
    """The server's token, made if it has none."""
    with transaction.atomic():
        found = FetchToken.objects.filter(server=server).first()
        if found:
            return found
        secret = _fresh()
        token = FetchToken.objects.create(server=server, secret=secret, digest=digest_of(secret))
        record(actor, "fetch_token.create", server)
        touch([KeySetRevision.TOKENS])
        return token


def replace_token(actor: Actor, server: Server, *, at_once: bool = False) -> FetchToken:
    """A new token. The old one counts until the host has used the new one; with `at_once` it stops now.

    Raises FetchToken.DoesNotExist for a server without one. A second replacement before the first was used
    keeps the token that the host has, not the one in between.
    """
    with transaction.atomic():
        token = FetchToken.objects.select_for_update().get(server=server)
        token.previous_digest = "" if at_once else token.previous_digest or token.digest
        token.secret = _fresh()
        token.digest = digest_of(token.secret)
        token.save(update_fields=["secret", "digest", "previous_digest"])
        record(actor, "fetch_token.replace", server, after={"at_once": at_once})
        touch([KeySetRevision.TOKENS])
        return token


def take_token(actor: Actor, server: Server) -> None:
    """The server has no token any more; nothing when it had none."""
    with transaction.atomic():
        if FetchToken.objects.filter(server=server).delete()[0]:
            record(actor, "fetch_token.delete", server)
            touch([KeySetRevision.TOKENS])


def retire_previous(server_ids: list[int]) -> None:
    """These hosts used their new tokens: their old ones stop."""
    with transaction.atomic():
        if (
            FetchToken.objects.filter(server__in=server_ids)
            .exclude(previous_digest="")
            .update(previous_digest="")
        ):
            touch([KeySetRevision.TOKENS])


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a token stands for. `replaces`: an older token still counts, until this one has been used."""

    server_id: int
    name: str  # its keymanager name
    digest: str
    replaces: bool = False


def load_table() -> dict[str, Holder]:
    """Every token that counts, by its digest; one query."""
    table: dict[str, Holder] = {}
    rows = FetchToken.objects.values_list("digest", "previous_digest", "server_id", "server__keymanager_name")
    for digest, previous, server_id, name in rows.iterator(chunk_size=5000):
        table[digest] = Holder(server_id, name, digest, bool(previous))
        if previous:
            table[previous] = Holder(server_id, name, previous)
    return table
