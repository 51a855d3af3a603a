"""What keys add to other rooms' pages."""

from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone
from django.utils.formats import date_format

from accounts.actors import Actor
from accounts.models import User
from keymanager import shell
from keymanager.models import Group, Key, OfferedKey
from keymanager.tokens import give_token
from servers.models import Server, UnixUser
from tests.keymanager.fleets import make_key, make_server, unit

pytestmark = pytest.mark.django_db


def request_of(user):
    request = RequestFactory().get("/")
    request.user = user
    return request


def notices(user) -> list[str]:
    assert shell.section.attention
    return [str(notice.text) for notice in shell.section.attention(request_of(user))]


def hits(user, words):
    assert shell.section.search
    return list(shell.section.search(request_of(user), words))


def first_steps(user) -> list[bool]:
    assert shell.section.first_steps
    return [step.done for step in shell.section.first_steps(request_of(user))]


def test_an_admin_is_told_of_what_needs_a_look_and_a_member_of_nothing(admin, member):
    assert notices(admin) == []
    Group.objects.create(name="g").member_users.add(member)
    server = make_server("web")
    give_token(Actor.system("test"), server)
    weak = make_key(admin, "old", kind="ssh-rsa")
    Key.objects.filter(pk=weak.pk).update(bits=2048)
    OfferedKey.objects.create(unix_user=unit(server), line="x", fingerprint="f", path="/p")
    assert notices(admin) == [
        "1 person is in a group, but has no SSH key yet.",
        "1 server gets no key with which somebody could log in as root.",
        "1 SSH key is weak (RSA under 3072 bits).",
        "Keys read from web wait for your word.",
    ]
    assert notices(member) == []


def with_a_key_that_ends(owner: User) -> tuple[Server, str]:
    """A server that fetches and that this owner gets into for ten days, and the day."""
    server = make_server("web")
    give_token(Actor.system("test"), server)
    server.owners.add(owner)
    day = timezone.now() + timedelta(days=10)
    make_key(owner, "short", options=f'expiry-time="{day:%Y%m%d}Z"')
    return server, date_format(day, "Y-m-d")


def test_an_admin_is_told_before_the_last_way_in_of_others_ends_where_no_admin_gets_in(admin, member):
    _server, day = with_a_key_that_ends(member)
    assert notices(admin) == [f"The last key for root of 1 server, which no admin gets into, ends on {day}."]
    make_key(member, "long")
    assert notices(admin) == []


def test_an_admin_is_told_before_the_last_way_in_ends_by_time(admin, admin_client):
    server, day = with_a_key_that_ends(admin)
    assert notices(admin) == [f"The last key of an admin for root of 1 server ends on {day}."]
    page = admin_client.get(f"/keymanager/servers/{server.pk}/").content.decode()
    assert "(until " in page
    make_key(admin, "long", options=f'expiry-time="{timezone.now() + timedelta(days=30):%Y%m%d}Z"')
    assert notices(admin) == []
    Key.objects.all().delete()
    for options, words in (
        ('expiry-time="20200101"', "expired on "),
        ('from="10.0.0.0/8"', "only from 10.0.0.0/8"),
        ('command="backup <x>"', "runs only “backup &lt;x&gt;”"),
    ):
        made = make_key(admin, "limited", options=options)
        assert notices(admin) == ["1 server gets no key with which somebody could log in as root."], options
        assert words in admin_client.get(f"/keymanager/servers/{server.pk}/").content.decode()
        assert words in admin_client.get("/keymanager/keys/").content.decode()
        made.delete()


@pytest.mark.parametrize(
    "options", ['command="a\tb"', 'from="10.0.0.0/255.0.0.0"', 'from="!10.0.0.1"', 'permitopen="a:0"']
)
def test_a_stored_line_that_servers_would_refuse_is_shown_to_admins(admin, member, admin_client, options):
    good = make_key(admin, "good")
    bad = make_key(member, "bad", options=options)
    server = make_server("web")
    UnixUser.objects.create(server=server, name="Bad Name")
    assert notices(admin)[-2:] == [
        "1 SSH key reaches no server: its line is not one that servers take.",
        "Bad Name@web gets no keys: its name is not one that servers take.",
    ]
    page = admin_client.get("/keymanager/keys/?sent=no").content.decode()
    assert bad.fingerprint in page
    assert "Servers would refuse this line." in page
    assert good.fingerprint not in page
    rows = admin_client.get("/keymanager/keys/", headers={"Accept": "application/json"}).json()
    assert {row["fingerprint"]: row["sent"] for row in rows["rows"]} == {
        bad.fingerprint: False,
        good.fingerprint: True,
    }
    server.owners.add(member)
    page = admin_client.get(f"/keymanager/servers/{server.pk}/").content.decode()
    assert "bad (no server takes it)" in page


def test_search_finds_groups_and_keys_by_comment_and_fingerprint_for_admins(admin, member):
    key = make_key(member, "laptop-of-mel")
    Group.objects.create(name="laptops")

    def found(user, words):
        return [hit.text for hit in hits(user, words)]

    assert found(admin, "laptop") == ["laptops", f"laptop-of-mel ({member})"]
    assert found(admin, key.fingerprint) == [f"laptop-of-mel ({member})"]
    assert found(member, "laptop") == []


def test_the_search_hit_of_a_key_leads_to_a_list_that_has_it(admin, admin_client, member):
    make_key(member, "laptop-of-mel")
    [hit] = hits(admin, "laptop-of-mel")
    assert "laptop-of-mel" in admin_client.get(hit.url).content.decode()


def test_the_server_panel_shows_counts_state_and_groups(admin):
    server = make_server("web", "root", "deploy")
    make_key(unit(server), "own")
    make_key(admin, "ada")
    server.owners.add(admin)
    Group.objects.create(name="ops").allowed_servers.add(server)
    request = request_of(admin)
    part = shell.server_panel(request, server)
    html = render_to_string(part.template, {**part.context, "user": admin}, request)
    for words in ("root <strong>1</strong>", "not set up", "ops", "1 key"):
        assert words in html


def test_the_person_panel_shows_keys_groups_and_how_many_servers(admin, member):
    make_key(member, "laptop")
    group = Group.objects.create(name="ops")
    group.member_users.add(member)
    group.allowed_servers.add(make_server("web"))
    for viewer in (admin, member):
        part = shell.person_panel(request_of(viewer), member)
        html = render_to_string(part.template, {**part.context, "user": viewer}, request_of(viewer))
        for words in ("laptop", "ops", "Allowed on 1 server"):
            assert words in html
        assert ("keymanager/groups/" in html) == viewer.is_admin


def test_first_steps_are_done_when_there_is_a_key_and_a_group(admin):
    assert first_steps(admin) == [False, False]
    make_key(admin, "k")
    Group.objects.create(name="g")
    assert first_steps(admin) == [True, True]


def test_people_who_are_not_active_are_not_asked_for_keys(admin):
    Group.objects.create(name="g").member_users.add(User.objects.create(username="old", is_active=False))
    assert notices(admin) == []
