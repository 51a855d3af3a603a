"""What saving a form rolls out is said before, by the same rows and rules, and nothing of it is kept."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from hosts.state import File, State
from jobs.models import Job
from servers import registry, rollouts
from servers.configs import NotWritable
from servers.foretelling import Effect, foretell
from servers.models import Rollout, Server
from servers.registry import RolloutKind, ServerPart
from servers.services import change_server, create_server, delete_server
from servers.views.foretelling import for_reader

pytestmark = pytest.mark.django_db


def greeting(server: Server) -> State | None:
    """A file with the notes of a server; none without notes."""
    if server.notes == "bad":
        raise NotWritable("these notes cannot be written.")
    if server.notes == "fault":
        raise KeyError("notes")
    if not server.notes:
        return None
    return State(
        kind="greeting", items=(File("/etc/motd", server.notes.encode(), secret="secret" in server.notes),)
    )


def changed(actor, server, before, after):
    if after and (before is None or before.notes != after.notes or before.name != after.name):
        rollouts.ask(actor, server, ["greeting"], "it changed")


@pytest.fixture(params=[False, True], ids=["open", "admins"])
def kind(request):
    """A kind of rollout of the test's own; with `True` for admins alone."""
    made = RolloutKind(
        "greeting",
        "Greeting",
        greeting,
        needs_admin=request.param,
        does=lambda server: [f"greets with {server.notes}"] if server.notes else [],
    )
    registry.register(ServerPart("greeting", kinds=(made,), changed=changed))
    yield made
    registry.unregister("greeting")


@pytest.fixture
def server(make_server, kind) -> Server:
    made = make_server("web1", notes="one")
    Job.objects.all().delete()
    return made


def body(server: Server, **more) -> dict[str, object]:
    return {"notes": "two", "version": server.version, **more}


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Server, Rollout, Job, AuditEntry))


def save(client, url: str, data: dict[str, object]):
    return client.post(url, data, content_type="application/json", headers={"accept": "application/json"})


def test_a_change_is_told_and_nothing_of_it_is_kept(server, actor):
    def change() -> None:
        row = Server.objects.get(pk=server.pk)
        row.notes = "two"
        change_server(actor, row, version=row.version)

    before = counts()
    (told,) = foretell(change)
    assert (told.ends, told.begins) == (("greets with one",), ("greets with two",))
    assert told.files == (("/etc/motd", "changed"),)
    assert "-one" in told.difference
    assert "+two" in told.difference
    assert told.sentence == "Greeting of web1: greets with one ends; greets with two begins."
    assert counts() == before
    assert Server.objects.get().notes == "one"
    assert Rollout.objects.get().wanted == 1


def test_what_is_asked_for_and_changes_nothing_is_not_told(server, actor):
    def rename() -> None:
        row = Server.objects.get(pk=server.pk)
        row.name = "web2"
        change_server(actor, row, version=row.version)

    assert foretell(rename) == []


def test_the_first_rollout_of_a_kind_begins_all_that_it_does(kind, actor):
    """Not the row that was just made alone: the host holds nothing of it yet."""
    row = Server.objects.create(name="web1", keymanager_name="web1", notes="one")
    row.name = "web2"
    (told,) = foretell(lambda: change_server(actor, row, version=row.version))
    assert (told.begins, told.files) == (("greets with one",), (("/etc/motd", "new"),))
    assert "+one" in told.difference


def test_a_new_server_and_one_that_goes(make_server, kind, actor):
    (told,) = foretell(lambda: create_server(actor, Server(name="new1", notes="hello")))
    assert (told.server, told.begins, told.ends) == ("new1", ("greets with hello",), ())
    assert told.files == (("/etc/motd", "new"),)
    assert told.url == ""
    server = make_server("old1", notes="x")
    assert foretell(lambda: delete_server(actor, Server.objects.get(pk=server.pk), "old1")) == []


def test_what_cannot_be_written_and_a_fault_of_a_kind_keep_nobody_from_saving(server, actor):
    for notes, words in (("bad", "these notes cannot be written"), ("fault", "It cannot be told")):

        def change(notes: str = notes) -> None:
            row = Server.objects.get(pk=server.pk)
            row.notes = notes
            change_server(actor, row, version=row.version)

        (told,) = foretell(change)
        assert words in told.begins[0]


def test_a_secret_is_not_shown(server, actor):
    def change() -> None:
        Server.objects.filter(pk=server.pk).update(notes="secret word")
        rollouts.ask(actor, server, ["greeting"], "why")

    (told,) = foretell(change)
    assert "secret word" not in told.difference


def test_a_program_asks_first_and_saves_then(server, admin_client):
    url = reverse("servers:edit", args=[server.pk])
    before = counts()
    answer = save(admin_client, url, body(server, preview=True)).json()
    assert answer["ok"]
    (told,) = answer["preview"]
    assert told["title"] == "Greeting of web1"
    assert told["begins"] == ["greets with two"]
    assert told["files"] == {"/etc/motd": "changed"}
    assert "+two" in answer["difference"]
    assert counts() == before
    answer = save(admin_client, url, body(server, preview=False)).json()
    assert answer["ok"]
    assert [(one["server"], one["kind"]) for one in answer["rolls_out"]] == [("web1", "greeting")]
    assert Server.objects.get().notes == "two"


def test_a_program_that_asks_reads_its_errors_by_field(server, admin_client):
    url = reverse("servers:edit", args=[server.pk])
    answer = save(admin_client, url, body(server, preview=True, name="no name", nonsense=1))
    assert answer.status_code == 422
    assert {"name", "nonsense"} <= set(answer.json()["errors"])
    assert "preview" not in answer.json()["errors"]


def test_asking_is_an_error_where_nothing_is_told(server, admin_client):
    answer = save(admin_client, reverse("servers:check", args=[server.pk]), {"preview": True})
    assert answer.status_code == 422
    assert "preview" in answer.json()["errors"]


def typed(server: Server, **more) -> dict[str, object]:
    return {
        "name": server.name,
        "keymanager_name": server.keymanager_name,
        "notes": "two",
        "version": 1,
        **more,
    }


def test_without_scripts_a_page_tells_and_saves(server, admin_client):
    url = reverse("servers:edit", args=[server.pk])
    page = admin_client.post(url, typed(server, preview="1")).content.decode()
    assert "Nothing is changed yet" in page
    assert "greets with two begins" in page
    assert '<input type="hidden" name="notes" value="two">' in page
    assert 'name="preview"' not in page
    assert "Saved." not in admin_client.get(server.get_absolute_url()).content.decode()
    assert Server.objects.get().notes == "one"
    saved = admin_client.post(url, typed(server), follow=True).content.decode()
    assert "Saved." in saved
    assert "Being rolled out:" in saved
    assert f'<a href="{Rollout.objects.get().get_absolute_url()}">Greeting of web1</a>' in saved


def test_while_one_types_a_piece_of_the_page_tells(server, admin_client):
    url = reverse("servers:edit", args=[server.pk])
    assert 'hx-vals=\'{"preview": "1"}\'' in admin_client.get(url).content.decode()
    ask = {"hx-request": "true"}
    piece = admin_client.post(url, typed(server, preview="1"), headers=ask).content.decode()
    assert "This is rolled out:" in piece
    assert "<html" not in piece
    piece = admin_client.post(url, typed(server, notes="one", preview="1"), headers=ask).content.decode()
    assert "Nothing is rolled out." in piece
    wrong = admin_client.post(url, typed(server, name="no name", preview="1"), headers=ask)
    assert wrong.status_code == 200
    assert not wrong.content.decode().strip()
    pressed = ask | {"hx-trigger-name": "preview"}
    said = admin_client.post(
        url, typed(server, name="no name", preview="1"), headers=pressed
    ).content.decode()
    assert "It cannot be saved as it is:" in said
    assert "Name: " in said


def test_an_owner_reads_nothing_of_what_is_for_admins(server, kind, owner, actor):
    def change() -> None:
        Server.objects.filter(pk=server.pk).update(notes="two")
        rollouts.ask(actor, server, ["greeting"], "why")

    assert bool(for_reader(owner, foretell(change))) is not kind.needs_admin


def test_of_hundreds_of_lines_a_person_reads_the_first_and_how_many_more():
    effect = Effect("pve1", "nat", "", tuple(f"port {number}" for number in range(300)), (), (), "")
    assert (len(effect.shown), effect.more) == (12, 288)
    assert "and 290 more" in effect.sentence
    assert len(effect.as_json()["begins"]) == 300
