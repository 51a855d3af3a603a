"""What can be done to accounts; each function writes the audit trail and tells the rooms concerned."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts import audit, mailing, password_links, registry, sessions
from accounts.actors import Actor
from accounts.models import User
from accounts.tokens import end_tokens

PROFILE_FIELDS = ("full_name", "email", "time_zone")
FIELDS = ("username", *PROFILE_FIELDS, "is_admin", "is_active")


class NotAllowed(Exception):  # noqa: N818  # a refusal, not an error
    """A change that would lock people out; str() is a sentence for the page."""


def set_up_panel(actor: Actor, *, username: str, password: str, full_name: str = "", email: str = "") -> User:
    """The first account, an admin. Raises NotAllowed once there is any account."""
    with transaction.atomic():
        if User.objects.select_for_update().exists():
            raise NotAllowed(_("This panel is set up already."))
        user = User.objects.create_superuser(username, password, full_name=full_name, email=email)
        actor = Actor(user, user.username, actor.address)
        audit.record(actor, "panel.set_up", user, after=_facts(user))
        registry.tell_changed(user, None)
    return user


@transaction.atomic
def create_user(
    actor: Actor, *, username: str, password: str | None = None, invite: bool = False, **fields: Any
) -> User:
    """A new person; without a password no sign-in, but keys count. `invite`: mail a link that sets one."""
    user = User.objects.create_user(username, password or None, **fields)
    audit.record(actor, "user.create", user, after={**_facts(user), "password": bool(password)})
    registry.tell_changed(user, None)
    if invite:
        send_password_link(actor, user)
    return user


@transaction.atomic
def send_password_link(actor: Actor, user: User) -> None:
    """Mail a person a link that sets a password. Raises NotAllowed where that cannot work."""
    if not mailing.configured():
        raise NotAllowed(mailing.NOT_CONFIGURED)
    if not user.email or not user.is_active:
        raise NotAllowed(_("This person has no mail address, or is switched off."))
    audit.record(actor, "user.send_password_link", user, after={"email": user.email})
    mailing.send_link(actor, user, "reset" if user.has_usable_password() else "invite")


@transaction.atomic
def change_user(actor: Actor, user: User, **fields: Any) -> User:
    """Change a person; another role, or being switched off, ends the sessions at once.

    Being switched off ends API tokens and links for good; one who is admin no more keeps the tokens that only
    read. Another mail address is told to the old one. Raises NotAllowed where it would take one's own or the
    last admin's rights.
    """
    user = locked(user)
    before, facts = _facts(user), registry.PersonFacts.of(user)
    for name, value in fields.items():
        setattr(user, name, value)
    if facts.is_admin and facts.is_active and not (user.is_admin and user.is_active):
        refuse_own_or_last(actor, user)
    user.save(update_fields=list(fields))
    if (facts.is_admin, facts.is_active) != (user.is_admin, user.is_active):
        sessions.end_all(user)
    _end_with_change(actor, user, facts, before["email"])
    if audit.record_change(actor, "user.change", user, before, _facts(user)):
        registry.tell_changed(user, facts)
    return user


def _end_with_change(actor: Actor, user: User, facts: registry.PersonFacts, old_email: str) -> None:
    """What was given to the person as they were, and counts no more."""
    if not user.is_active:
        end_tokens(actor, user)
    elif facts.is_admin and not user.is_admin:
        end_tokens(actor, user, that_write=True)
    if not user.is_active or old_email != user.email:
        password_links.end_links(user)
    if old_email and old_email != user.email:
        mailing.tell(actor, user, "email_changed", to=old_email)


@transaction.atomic
def set_password(actor: Actor, user: User, password: str | None) -> User:
    """Set a person's password, or take it away (None). Ends all sessions and API tokens of that person."""
    user = locked(user)
    user.set_password(password)
    if password is None and user.is_admin and user.is_active:
        refuse_own_or_last(actor, user)
    end_tokens(actor, user)
    user.save(update_fields=["password"])
    sessions.end_all(user)
    audit.record(actor, "user.set_password" if password else "user.remove_password", user)
    mailing.tell(actor, user, "password_changed")
    return user


@transaction.atomic
def use_link(address: str | None, name: str, token: str, password: str) -> User | None:
    """Set a password with a link; None when it counts no more, as for the second of two at the same moment."""
    user = password_links.person_of(name, token, lock=True)
    if user is None:
        return None
    return set_password(Actor(user, user.username, address), user, password)


@transaction.atomic
def end_session(actor: Actor, user: User, number: str) -> bool:
    """End one session of a person, by its number; whether there was one."""
    found = next((row for row in user.sessions.all() if row.number == number), None)
    if found is None:
        return False
    found.delete()
    what = {"device": found.device, "address": found.address, "began_at": found.began_at}
    audit.record(actor, "session.end_other", user, before=what)
    return True


@transaction.atomic
def end_sessions(actor: Actor, user: User, *, but: str | None = None) -> int:
    """End all sessions of a person, except the one with the key `but`; returns how many."""
    ended = sessions.end_all(user, but=but)
    if ended:
        audit.record(actor, "session.end_all", user, before={"sessions": ended})
    return ended


@transaction.atomic
def delete_user(actor: Actor, user: User) -> None:
    """Delete a person and what goes with it. Raises NotAllowed for oneself and for the last admin."""
    user = locked(user)
    refuse_own_or_last(actor, user)
    registry.tell_removing(user)
    audit.record(actor, "user.delete", user, before=_facts(user))
    user.delete()


def _facts(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in FIELDS}


def locked(user: User) -> User:
    """This person as of now, locked with all admins and in one order: two who change each other do not get stuck.

    Not by their keys: whoever writes an entry of the audit trail meanwhile need not wait.
    """
    rows = User.objects.select_for_update(no_key=True)
    found = rows.filter(Q(pk=user.pk) | Q(is_admin=True, is_active=True)).order_by("pk")
    row = next((one for one in found if one.pk == user.pk), None)
    if row is None:
        raise User.DoesNotExist
    return row


def refuse_own_or_last(actor: Actor, user: User) -> None:
    """Raises NotAllowed where somebody would take the own rights, or the last admin's."""
    if actor.user is not None and actor.user.pk == user.pk:
        raise NotAllowed(_("You cannot take your own rights away. Ask another admin to do it."))
    # All admins' rows are locked, so that two admins cannot remove each other at the same moment.
    admins = User.objects.select_for_update(no_key=True).filter(is_admin=True, is_active=True).order_by("pk")
    if user.pk in {admin.pk for admin in admins} and not any(
        admin.has_usable_password() for admin in admins if admin.pk != user.pk
    ):
        raise NotAllowed(_("This is the last admin who can sign in. Make somebody else an admin first."))
