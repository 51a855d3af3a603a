"""Keys at an address that somebody names: fetched once, shown to who asked, and added as far as that person says."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from jobs.services import start_job
from keymanager.bad_key import BadKey
from keymanager.key_urls import FetchFailed, fetch
from keymanager.models import Key, KeysFromUrl
from keymanager.openssh import PublicKey, holds_private_key, key_lines, parse_key
from keymanager.services.keys import add_keys, why_taken
from servers.models import UnixUser

WORK = "keymanager.keys_from_url"
KEEP = timedelta(hours=1)
MOST_KEYS = 100  # at one address


@dataclass(frozen=True)
class Found:
    """One line of what lay there: the key, unless it is no good, and why it cannot be added, where it cannot."""

    number: int
    key: Key | None
    refused: str


def ask(actor: Actor, owner: User | UnixUser, url: str) -> KeysFromUrl:
    """Have a worker fetch the keys at an address, for this person or unix user; nothing counts before `add`.

    What the asker fetched before for the same owner is forgotten. Raises BadKey while another address is fetched
    for the same asker.
    """
    with transaction.atomic():
        assert actor.user is not None  # noqa: S101  # people ask, and see what was found
        asker = User.objects.select_for_update().get(pk=actor.user.pk)
        if any(row.at_work for row in waiting_for(asker).select_related("job")):
            raise BadKey(
                _("The address that you gave before is still being fetched. Wait until it is there.")
            )
        whose = {
            "asked_by": asker,
            "person": owner if isinstance(owner, User) else None,
            "unix_user": owner if isinstance(owner, UnixUser) else None,
        }
        KeysFromUrl.objects.filter(**whose).delete()
        asked = KeysFromUrl.objects.create(**whose, url=url)
        title = _("Fetch keys from %s") % urlsplit(url).hostname
        asked.job = start_job(actor, WORK, title, {"asked": asked.pk})
        asked.save(update_fields=["job"])
        audit.record(actor, "key.fetch", owner, after={"url": url})
    return asked


def waiting_for(asker: Any) -> QuerySet[KeysFromUrl]:
    """What this person asked for and may still choose from."""
    return KeysFromUrl.objects.filter(asked_by=asker.pk, asked_at__gt=timezone.now() - KEEP)


def fetch_for(pk: int) -> str:
    """Fetch what was asked for, and keep it; returns what went wrong, if anything did."""
    asked = KeysFromUrl.objects.filter(pk=pk).first()
    if asked is None:
        return ""
    error, lines = "", []
    try:
        lines = _lines(fetch(asked.url))
    except (FetchFailed, BadKey) as failure:
        error = str(failure)
    KeysFromUrl.objects.filter(pk=pk).update(error=error, lines=lines, fetched_at=timezone.now())
    return error


def _lines(text: str) -> list[dict[str, Any]]:
    if holds_private_key(text):
        raise BadKey(
            _(
                "There is a private key at this address; nothing of it was kept. Whoever can read that page can use "
                "it: make a new one, and take this one away wherever it is allowed."
            )
        )
    numbered = key_lines(text)
    if not numbered:
        raise BadKey(_("There is no key at this address: the account has none, or shows none."))
    if len(numbered) > MOST_KEYS:
        words = _("There are %(count)d lines at this address; no more than %(most)d are taken.")
        raise BadKey(words % {"count": len(numbered), "most": MOST_KEYS})
    lines: dict[str, dict[str, Any]] = {}
    for number, line in numbered:
        key, refused = _parsed(line)
        text = key.line if key else ""
        lines.setdefault(text or str(number), {"number": number, "line": text, "refused": refused})
    return list(lines.values())


def _parsed(line: str, refused: str = "") -> tuple[PublicKey | None, str]:
    """The key of a line, or why there is none."""
    if refused:
        return None, refused
    try:
        return parse_key(line), ""
    except BadKey as error:
        return None, str(error)


def found_at(actor: Actor, asked: KeysFromUrl) -> list[Found]:
    """What lay there, and what of it can be added now."""
    parsed = [(one["number"], *_parsed(one["line"], one["refused"])) for one in asked.lines]
    taken = why_taken(actor, asked.owner, [key.fingerprint for _number, key, _why in parsed if key])
    return [
        Found(number, _as_row(key), taken.get(key.fingerprint, "")) if key else Found(number, None, why)
        for number, key, why in parsed
    ]


def _as_row(key: PublicKey) -> Key:
    """As it would be kept, to be shown like one that is."""
    return Key(
        options=key.options,
        type=key.type,
        blob=key.blob,
        comment=key.comment,
        bits=key.bits,
        fingerprint=key.fingerprint,
    )


def add(actor: Actor, asked: KeysFromUrl, numbers: list[int]) -> tuple[list[Key], set[str], list[PublicKey]]:
    """Add the keys of these lines, as if they had been pasted; then the rest is forgotten. See add_keys."""
    with transaction.atomic():
        text = "\n".join(one["line"] for one in asked.lines if one["number"] in numbers)
        added = add_keys(actor, asked.owner, text, source=asked.url)
        asked.delete()
    return added


def drop(asked: KeysFromUrl) -> None:
    """Forget what was found."""
    asked.delete()


def delete_old() -> None:
    """Forget what nobody chose from in time."""
    KeysFromUrl.objects.filter(asked_at__lte=timezone.now() - KEEP).delete()
