"""What can be done to accounts, and what is refused."""

import pytest
from django.db import IntegrityError, transaction

from accounts import registry, services
from accounts.actors import Actor
from accounts.models import ApiToken, AuditEntry, User
from accounts.registry import PersonFacts, PersonPart
from accounts.tokens import create_token


@pytest.fixture
def actor(admin) -> Actor:
    return Actor(admin, admin.username, "203.0.113.5")


@pytest.fixture
def heard():
    """What a room that watches people was told."""
    told: list[tuple] = []
    registry.register_watcher(
        PersonPart(
            "test",
            changed=lambda user, before: told.append(("changed", user.username, before)),
            removing=lambda user: told.append(
                ("removing", user.username, User.objects.filter(pk=user.pk).exists())
            ),
        )
    )
    yield told
    del registry._parts["test"]


def test_a_person_without_a_password_cannot_sign_in(actor):
    user = services.create_user(actor, username="kim", password="")
    assert not user.has_usable_password()
    entry = AuditEntry.objects.get(verb="user.create")
    assert (entry.after or {})["password"] is False
    assert (entry.actor, entry.address) == (actor.user, "203.0.113.5")


def test_rooms_hear_of_somebody_new_of_changes_and_of_removal(actor, heard):
    kim = services.create_user(actor, username="kim", full_name="Kim")
    services.change_user(actor, kim, is_active=False)
    services.delete_user(actor, kim)
    assert heard == [
        ("changed", "kim", None),
        ("changed", "kim", PersonFacts("kim", "Kim", is_admin=False, is_active=True)),
        ("removing", "kim", True),
    ]


def test_a_change_that_changes_nothing_is_not_heard_and_leaves_no_trace(actor, heard, member):
    services.change_user(actor, member, email=member.email)
    assert heard == []
    assert not AuditEntry.objects.filter(verb="user.change").exists()


def test_the_audit_trail_holds_only_what_changed(actor, member):
    services.change_user(actor, member, full_name="Mel", email=member.email)
    entry = AuditEntry.objects.get()
    assert entry.before == {"full_name": ""}
    assert entry.after == {"full_name": "Mel"}


def test_a_room_that_refuses_undoes_the_change(actor, member):
    def refuse(_user, _before):
        raise RuntimeError("no")

    registry.register_watcher(PersonPart("test", changed=refuse))
    try:
        with pytest.raises(RuntimeError), transaction.atomic():
            services.change_user(actor, member, is_active=False)
    finally:
        del registry._parts["test"]
    assert User.objects.get(pk=member.pk).is_active
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("fields", [{"is_admin": False}, {"is_active": False}])
def test_an_admin_cannot_take_the_own_rights(actor, admin, fields):
    User.objects.create_superuser("second", "correct horse battery")
    with pytest.raises(services.NotAllowed, match="your own"):
        services.change_user(actor, admin, **fields)
    with pytest.raises(services.NotAllowed, match="your own"):
        services.delete_user(actor, admin)


@pytest.mark.parametrize("fields", [{"is_admin": False}, {"is_active": False}])
@pytest.mark.parametrize(
    "other",
    [None, {"is_active": False}, {"password": None}, {"is_admin": False}],
    ids=["alone", "other is switched off", "other has no password", "other is a member"],
)
def test_the_last_admin_who_can_sign_in_stays(admin, fields, other):
    if other is not None:
        User.objects.create_user("second", **{"password": "correct horse battery", "is_admin": True, **other})
    program = Actor.system("test")
    with pytest.raises(services.NotAllowed, match="last admin"):
        services.change_user(program, admin, **fields)
    with pytest.raises(services.NotAllowed, match="last admin"):
        services.delete_user(program, admin)
    with pytest.raises(services.NotAllowed, match="last admin"):
        services.set_password(program, admin, None)
    admin.refresh_from_db()
    assert admin.is_admin
    assert admin.is_active
    assert admin.has_usable_password()


def test_one_of_two_admins_may_go(actor):
    second = User.objects.create_superuser("second", "correct horse battery")
    services.change_user(actor, second, is_admin=False)
    services.delete_user(actor, second)
    assert not User.objects.filter(username="second").exists()


def test_what_a_deleted_person_did_stays_in_the_audit_trail(actor, member):
    services.change_user(Actor(member, member.username), member, full_name="Mel")
    services.delete_user(actor, member)
    entry = AuditEntry.objects.get(verb="user.change")
    assert (entry.actor, entry.actor_name) == (None, "mel")


def test_only_a_hash_of_a_token_is_kept(actor, admin):
    token, text = create_token(actor, admin, name="export", days=30)
    assert text.startswith("gst_")
    assert token.digest == ApiToken.digest_of(text)
    trail = " ".join(str(entry.after) for entry in AuditEntry.objects.all())
    assert text not in trail
    assert token.digest not in trail
    with pytest.raises(IntegrityError), transaction.atomic():
        create_token(actor, admin, name="export", days=None)


def test_an_audit_entry_is_never_changed(actor, admin):
    create_token(actor, admin, name="export", days=None)
    entry = AuditEntry.objects.get()
    entry.verb = "nothing"
    with pytest.raises(TypeError):
        entry.save()
