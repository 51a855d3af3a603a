"""Keys: add, delete, and take over what was read from a server."""

from typing import Any

from django.utils.translation import gettext as _

from accounts import audit, mailing
from accounts.actors import Actor
from accounts.models import User
from keymanager.bad_key import BadKey
from keymanager.changes import change_of_access
from keymanager.models import Key, OfferedKey
from keymanager.openssh import PublicKey, parse_keys
from keymanager.openssh_word import check_by_openssh
from keymanager.touched import names_of_people, names_of_unix_users
from servers.models import UnixUser

MOST_KEYS = 50  # of one owner; every key is a line on every server it opens


def add_keys(
    actor: Actor, owner: User | UnixUser, text: str, *, source: str = ""
) -> tuple[list[Key], set[str], list[PublicKey]]:
    """Add the keys of a text that this person or unix user does not have yet; all of them or none.

    Returns them, the keymanager names whose servers will get them, and those of the text that were repeats. `source`
    is where the text comes from, if not from this person. Raises BadKey, also where there is none to add.
    """
    parsed = parse_keys(text)
    found = _once_each(parsed)
    with change_of_access(lambda: names_of_owner(owner)) as names:
        known = set(owner.ssh_keys.values_list("fingerprint", flat=True))
        fresh = [key for key in found if key.fingerprint not in known]
        keys = [_add(actor, owner, key, source) for key in fresh or found]
        if owner.ssh_keys.count() > MOST_KEYS:
            raise BadKey(_("These would be more than %d keys. Delete old ones first.") % MOST_KEYS)
        if isinstance(owner, User):
            mailing.tell(actor, owner, "key_added")
    return keys, names, _repeats(parsed, {key.fingerprint for key in keys})


def _repeats(parsed: list[PublicKey], added: set[str]) -> list[PublicKey]:
    """What is left of them without each that was added, as it came first."""
    waiting, found = set(added), []
    for key in parsed:
        if key.fingerprint in waiting:
            waiting.remove(key.fingerprint)
        else:
            found.append(key)
    return found


def _once_each(keys: list[PublicKey]) -> list[PublicKey]:
    """Each key once, as it comes first. Raises BadKey where it comes again with other options: which ones count?"""
    once: dict[str, PublicKey] = {}
    for key in keys:
        if once.setdefault(key.fingerprint, key).options != key.options:
            raise BadKey(_("This key is there twice, with different options: %s.") % key.fingerprint)
    return list(once.values())


def delete_key(actor: Actor, key: Key) -> set[str]:
    """Delete a key; returns the keymanager names whose servers lose it. Raises LockedOut."""
    concerned = names_of_owner(key.owner)
    with change_of_access(lambda: set(concerned)) as names:
        audit.record(actor, "key.delete", key, before=_facts(key))
        key.delete()
    return names


def accept_offered_key(actor: Actor, offered: OfferedKey) -> tuple[list[Key], set[str]]:
    """Take a key that was read from a server for its unix user's. Raises BadKey."""
    with change_of_access(lambda: names_of_unix_users([offered.unix_user])) as names:
        keys = [_add(actor, offered.unix_user, key) for key in parse_keys(offered.line)]
        offered.delete()
    return keys, names


def dismiss_offered_key(actor: Actor, offered: OfferedKey) -> None:
    """Do not take it."""
    audit.record(actor, "key.dismiss", offered, before={"unix_user": str(offered.unix_user)})
    offered.delete()


def names_of_owner(owner: User | UnixUser) -> set[str]:
    """The keymanager names where the keys of a person or a unix user count now."""
    if isinstance(owner, User):
        return names_of_people([owner]) if owner.is_active else set()
    return names_of_unix_users([owner])


def _add(actor: Actor, owner: User | UnixUser, found: PublicKey, source: str = "") -> Key:
    if why := why_taken(actor, owner, [found.fingerprint]):
        raise BadKey(why[found.fingerprint])
    check_by_openssh(found)
    key = Key.objects.create(
        person=owner if isinstance(owner, User) else None,
        unix_user=owner if isinstance(owner, UnixUser) else None,
        options=found.options,
        type=found.type,
        blob=found.blob,
        comment=found.comment,
        bits=found.bits,
        fingerprint=found.fingerprint,
        added_by=actor.name,
    )
    audit.record(actor, "key.add", key, after=_facts(key) | ({"from": source} if source else {}))
    return key


def why_taken(actor: Actor, owner: User | UnixUser, fingerprints: list[str]) -> dict[str, str]:
    """Which of these keys this owner cannot get because they are here already, each with a sentence.

    A private key has one holder. Only unix users may share one: containers are cloned with their keys.
    """
    held = Key.objects.filter(fingerprint__in=fingerprints).select_related("person", "unix_user__server")
    found = ((key.fingerprint, _why(actor, owner, key)) for key in held)
    return {fingerprint: why for fingerprint, why in found if why}


def _why(actor: Actor, owner: User | UnixUser, held: Key) -> str:
    if held.owner == owner:
        return _("This key is here already: %s.") % held.fingerprint
    if isinstance(held.owner, UnixUser) and isinstance(owner, UnixUser):
        return ""
    if actor.user is not None and actor.user.is_admin:
        said = {"owner": held.owner, "key": held.fingerprint}
        return _("This key belongs to %(owner)s already: %(key)s.") % said
    words = _("This key is in use elsewhere already: %s. Everybody needs a key of their own.")
    return words % held.fingerprint


def _facts(key: Key) -> dict[str, Any]:
    return {
        "owner": str(key.owner),
        "type": key.type,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "options": key.options,
    }
