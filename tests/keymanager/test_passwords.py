"""Servers whose SSH shall take no passwords: who may say so when, and what becomes of it."""

import pytest

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from hosts.probes import failing
from hosts.state import AskProbe, File
from keymanager.desired_passwords import KIND, PATH
from keymanager.models import Group, KeysOnly
from keymanager.services.keys import add_keys
from keymanager.services.passwords import NotYet, accept_passwords, desired, refuse_passwords
from lab.demo_fleet import public_key
from pages.second_word import FIELD, SecondWordNeeded, second_word
from servers.models import Contact, PanelIdentity, Rollout, Server, UnixUser
from servers.services import delete_server

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
JSON = {"accept": "application/json"}


@pytest.fixture
def server() -> Server:
    server = Server.objects.create(name="web1", keymanager_name="web1", contact=Contact.OK)
    UnixUser.objects.create(server=server, name="root")
    return server


def test_it_is_asked_before_with_what_follows_and_rolled_out(admin_client, server) -> None:
    url = f"/keymanager/servers/{server.pk}/passwords/refuse/"
    answer = admin_client.post(url, headers=JSON)
    assert answer.status_code == 409
    words = " ".join(answer.json()["errors"][FIELD])
    assert "every unix user of web1 needs a key" in words
    assert "only Gestion itself would get in" in words
    assert not KeysOnly.objects.exists()
    assert "every unix user" in admin_client.post(url).content.decode()
    assert admin_client.post(url, {FIELD: "on"}).url == server.get_absolute_url()
    assert Rollout.objects.get(server=server).kind == KIND
    assert AuditEntry.objects.filter(verb="passwords.refuse", object_id=str(server.pk)).exists()
    page = admin_client.get(server.get_absolute_url()).content.decode()
    assert "to be refused" in page
    assert "Take them again" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", ""),
        ('from="10.0.0.1"', "only Gestion itself would get in"),
        ('expiry-time="20990101Z"', "ends on 2099-01-01 "),
    ],
)
def test_who_else_has_a_key_for_root_is_said_also_where_the_panels_own_opens_it(
    server, options, said
) -> None:
    PanelIdentity.objects.create(pk=1, private_key="-", public_key=public_key("gestion"))
    panel = Group.objects.create(name="Gestion", includes_panel=True)
    panel.allowed_servers.add(server)
    ada = User.objects.create_superuser("ada", "correct horse battery")
    add_keys(SYSTEM, ada, f"{options} {public_key('ada')}".strip())
    server.owners.add(ada)
    with pytest.raises(SecondWordNeeded) as asked:
        refuse_passwords(SYSTEM, server)
    assert len(asked.value.sentences) == 1 + bool(said)
    assert said in str(asked.value)


@pytest.mark.parametrize("contact", [one for one in Contact if one != Contact.OK])
def test_passwords_stay_until_the_panel_gets_in_by_its_key(admin_client, server, contact) -> None:
    Server.objects.update(contact=contact)
    with second_word(), pytest.raises(NotYet, match="by its key"):
        refuse_passwords(SYSTEM, server)
    url = f"/keymanager/servers/{server.pk}/passwords/refuse/"
    answer = admin_client.post(url, {FIELD: "on"}, headers=JSON)
    assert (answer.status_code, KeysOnly.objects.exists()) == (409, False)


def test_taken_back_the_file_goes_and_sshd_is_told(admin_client, server) -> None:
    with second_word():
        refuse_passwords(SYSTEM, server)
    (file,) = desired(server).items
    assert isinstance(file, File)
    assert (file.path, b"PasswordAuthentication no\n" in file.content) == (PATH, True)
    assert desired(server).can_cut_off
    assert admin_client.post(f"/keymanager/servers/{server.pk}/passwords/accept/").status_code == 302
    after = desired(server)
    assert (after.items, len(after.activate)) == ((), 1)
    assert Rollout.objects.get(server=server).wanted == 2
    verbs = list(AuditEntry.objects.filter(verb__startswith="passwords.").values_list("verb", flat=True))
    assert sorted(verbs) == ["passwords.accept", "passwords.refuse"]


def test_said_twice_it_is_done_once(server) -> None:
    accept_passwords(SYSTEM, server)
    assert not Rollout.objects.exists()
    with second_word():
        refuse_passwords(SYSTEM, server)
        refuse_passwords(SYSTEM, server)
    assert Rollout.objects.get().wanted == 1


def test_a_server_that_was_never_asked_is_let_be_and_one_that_goes_takes_it_along(server) -> None:
    assert not Rollout.objects.exists()
    with second_word():
        refuse_passwords(SYSTEM, server)
        delete_server(SYSTEM, server, server.name)
    assert not KeysOnly.objects.exists()


def test_only_admins(member_client, server) -> None:
    server.owners.add(*User.objects.all())
    for what in ("refuse", "accept"):
        url = f"/keymanager/servers/{server.pk}/passwords/{what}/"
        assert member_client.post(url, {FIELD: "on"}).status_code == 403


def test_a_probe_that_asks_is_asked_twice_at_most() -> None:
    asked: list[str] = []

    def ask(*answers: str) -> AskProbe:
        left = list(answers)

        def say() -> str:
            asked.append(left[0])
            return left.pop(0)

        return AskProbe(say)

    assert failing((ask("no", ""),), 10) == ""
    assert failing((ask("no", "still no", ""),), 10) == "still no"
    assert asked == ["no", "", "no", "still no"]
