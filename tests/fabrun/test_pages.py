"""A script runs where it was told to, and an empty choice never means “all”."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from fabrun.models import ScriptRun, ServerRun
from fabrun.services import run_script
from jobs.models import Job
from servers.models import Server, Tag
from servers.services import holds_of

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}
URL = "/fabrun/scripts/greet.hello/"


@pytest.fixture
def servers(db) -> list[Server]:
    tag = Tag.objects.create(name="web")
    rows = [
        Server.objects.create(name=f"web{number}.example.org", keymanager_name=f"web{number}.example.org")
        for number in range(3)
    ]
    rows[1].tags.add(tag)
    rows[2].tags.add(tag)
    return rows


def test_it_runs_on_the_chosen_servers_and_those_of_a_tag_once_each(admin_client, folder, servers):
    data = {
        "servers": [servers[1].pk],
        "tags": ["web"],
        "arg_name": "x'; rm -rf /",
        "arg_times": "2",
        "seconds": "60",
    }
    answer = admin_client.post(URL, data, headers=JSON)
    assert answer.status_code == 200, answer.content
    run = ScriptRun.objects.get()
    assert [part.server_name for part in run.parts.all()] == ["web1.example.org", "web2.example.org"]
    assert run.arguments == {"name": "x'; rm -rf /", "times": 2, "loud": False}
    assert Job.objects.filter(work="fabrun.run").count() == 2
    assert (AuditEntry.objects.get(verb="script.run").after or {})["servers"] == [
        "web1.example.org",
        "web2.example.org",
    ]


def test_a_box_whose_default_is_none_stays_none_where_it_is_not_ticked(admin_client, folder, servers):
    words = "c, must: bool, may: bool | None = None, n: int | None = None"
    (folder / "box.py").write_text(f"from fabric import task\n@task\ndef go({words}): pass\n")
    chosen = {"servers": [servers[0].pk], "seconds": "60"}
    for given, expected in (
        ({"arg_n": "0"}, {"must": False, "n": 0}),
        ({"arg_must": "on", "arg_may": "on"}, {"must": True, "may": True}),
    ):
        answer = admin_client.post("/fabrun/scripts/box.go/", {**chosen, **given})
        assert answer.status_code == 302, answer.content
        assert ScriptRun.objects.latest("pk").arguments == expected


@pytest.mark.parametrize("given", [{}, {"arg_target": ""}, {"arg_target": "x", "arg_word": ""}])
def test_an_argument_that_is_left_empty_is_the_scripts_none_and_no_empty_text(
    admin_client, folder, servers, given
):
    text = "from fabric import task\n@task\ndef go(c, target=None, word='w'): pass\n"
    (folder / "none.py").write_text(text)
    data = {"servers": [servers[0].pk], **given}
    answer = admin_client.post(
        "/fabrun/scripts/none.go/", data, content_type="application/json", headers=JSON
    )
    assert answer.status_code == 200, answer.content
    expected = {"target": given.get("arg_target"), "word": given.get("arg_word", "w")}
    assert ScriptRun.objects.get().arguments == {
        name: value for name, value in expected.items() if value or name == "word"
    }


@pytest.mark.parametrize(
    "chosen", [{}, {"servers": ["999999"]}, {"tags": ["nothing"]}, {"servers": ["all"]}, {"servers": [""]}]
)
def test_an_empty_or_unknown_choice_is_refused_and_nothing_runs(admin_client, folder, servers, chosen):
    answer = admin_client.post(URL, {**chosen, "arg_name": "x", "seconds": "60"}, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"].keys() & {"servers", "tags"}
    assert not ScriptRun.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("arg_name", ""), ("arg_times", "often"), ("seconds", "0"), ("seconds", "-1"), ("seconds", "")],
)
def test_a_wrong_argument_is_told_by_the_field(admin_client, folder, servers, field, value):
    data = {"servers": [servers[0].pk], "arg_name": "x", "arg_times": "1", "seconds": "60", field: value}
    answer = admin_client.post(URL, data, headers=JSON)
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not ScriptRun.objects.exists()


@pytest.mark.parametrize("name", ["-x", "a b", "root;id", "../x", "", "x\ny"])
def test_a_unix_user_that_is_none_is_refused(admin_client, folder, servers, name):
    data = {"servers": [servers[0].pk], "unix_user": name, "seconds": "60"}
    answer = admin_client.post("/fabrun/scripts/greet.user_only/", data, headers=JSON)
    assert answer.status_code == 422
    assert "unix_user" in answer.json()["errors"]


def test_a_service_called_without_servers_runs_nothing(folder, actor):
    with pytest.raises(ValueError, match="No servers"):
        run_script(actor, "greet.hello", [], arguments={}, seconds=60)
    assert not ScriptRun.objects.exists()


def test_a_script_that_is_gone_is_not_found_and_not_run_again(admin_client, folder, servers, actor):
    run = run_script(actor, "greet.hello", servers, arguments={"name": "x"}, seconds=60)
    (folder / "greet.py").unlink()
    assert admin_client.get(URL).status_code == 404
    assert admin_client.post(f"/fabrun/runs/{run.pk}/again/", headers=JSON).status_code == 409
    assert ScriptRun.objects.count() == 1


def test_of_a_script_whose_file_cannot_be_read_any_more_it_is_said_why(admin_client, folder, servers, actor):
    run = run_script(actor, "greet.hello", servers[:1], arguments={"name": "you"}, seconds=60)
    (folder / "greet.py").write_text("from fabric.api import env, run\n\ndef hello():\n    run('uptime')\n")
    again = admin_client.post(f"/fabrun/runs/{run.pk}/again/", headers=JSON)
    page = admin_client.get(URL, headers=JSON)
    assert (again.status_code, page.status_code) == (409, 404)
    for said in (again.content.decode(), page.content.decode()):
        assert "greet.py" in said
        assert "Fabric 1" in said
    assert "Fabric 1" in admin_client.get(URL, follow=True).content.decode()


def test_run_again_takes_the_same_servers_and_arguments(admin_client, folder, servers, actor):
    run = run_script(actor, "greet.hello", servers[:2], arguments={"name": "x"}, seconds=60)
    servers[0].delete()
    answer = admin_client.post(f"/fabrun/runs/{run.pk}/again/", headers=JSON)
    fresh = ScriptRun.objects.get(pk=answer.json()["run"])
    assert (fresh.arguments, [part.server_name for part in fresh.parts.all()]) == (
        {"name": "x"},
        ["web1.example.org"],
    )


def test_stop_ends_what_waits(admin_client, folder, servers, actor):
    run = run_script(actor, "greet.hello", servers, arguments={"name": "x"}, seconds=60)
    assert admin_client.post(f"/fabrun/runs/{run.pk}/stop/", headers=JSON).status_code == 200
    assert set(ServerRun.objects.values_list("job__state", flat=True)) == {"stopped"}
    assert admin_client.post(f"/fabrun/runs/{run.pk}/stop/", headers=JSON).status_code == 409
    assert admin_client.get("/fabrun/runs/", headers=JSON).json()["rows"][0]["stopped"] == len(servers)
    shown = admin_client.get("/fabrun/runs/").content.decode()
    assert f">stopped on {len(servers)}<" in shown
    assert ">done<" not in shown
    Job.objects.update(state="done")
    assert ">done<" in admin_client.get("/fabrun/runs/").content.decode()
    ServerRun.objects.update(job=None)  # the jobs are kept no more: nobody knows
    assert ">done<" not in admin_client.get("/fabrun/runs/").content.decode()


def test_a_server_on_which_a_script_is_at_work_is_not_deleted(admin_client, folder, servers, actor):
    run = run_script(actor, "greet.hello", servers[:1], arguments={"name": "x"}, seconds=60)
    (held,) = (one for one in holds_of(servers[0]) if one.blocks)
    assert "greet.hello" in held.text
    assert held.url == run.get_absolute_url()
    form = {"name": servers[0].name}
    answer = admin_client.post(f"/servers/{servers[0].pk}/delete/", form, headers=JSON)
    assert answer.status_code == 409
    assert "greet.hello" in answer.text
    admin_client.post(f"/fabrun/runs/{run.pk}/stop/", headers=JSON)
    assert admin_client.post(f"/servers/{servers[0].pk}/delete/", form, headers=JSON).status_code == 200
    assert ServerRun.objects.get().server is None


def test_the_list_of_runs_takes_the_same_queries_however_long_it_is(admin_client, folder, servers, actor):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin_client.get("/fabrun/runs/").status_code == 200
        return len(captured)

    run_script(actor, "greet.hello", servers, arguments={"name": "x"}, seconds=60)
    few = queries()
    for _number in range(5):
        run_script(actor, "greet.hello", servers, arguments={"name": "x"}, seconds=60)
    assert queries() == few


def test_a_broken_file_is_shown_where_the_scripts_are(admin_client, folder):
    (folder / "broken.py").write_text("x = <b>\n")
    page = admin_client.get("/fabrun/").content.decode()
    assert "broken.py" in page
    assert "greet.hello" in page
    assert "x = <b>" not in page


def test_what_a_docstring_has_between_backticks_is_code_on_each_page(admin_client, folder):
    text = "from fabric import task\n@task\ndef go(c, units=''):\n    'Runs `units` <b>.'\n"
    (folder / "units.py").write_text(text)
    for url in ("/fabrun/", "/fabrun/scripts/units.go/"):
        page = admin_client.get(url).content.decode()
        assert "<p>Runs <code>units</code> &lt;b&gt;.</p>" in page
    asked = admin_client.get("/fabrun/", headers=JSON).json()["scripts"]
    assert "Runs `units` <b>." in {script["doc"] for script in asked}
