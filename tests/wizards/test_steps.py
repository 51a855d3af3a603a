"""Steps: back and forth, defaults, errors, secrets, drafts; as pages and as JSON."""

from dataclasses import replace
from typing import Any

import pytest

from accounts.actors import Actor
from accounts.models import User
from servers.models import Server
from tests.wizards.walking import answered, calls
from wizards import catalogue
from wizards.asking import from_defaults
from wizards.declare import Wizard
from wizards.models import WizardRun
from wizards.services import runs as services

pytestmark = pytest.mark.django_db


def post_json(client, url, **data):
    return client.post(url, data, content_type="application/json", headers={"accept": "application/json"})


def get_json(client, url):
    return client.get(url, headers={"accept": "application/json"})


def test_the_list_has_a_card_for_each_wizard(admin_client):
    page = admin_client.get("/wizards/").content.decode()
    assert "Leaves files &lt;behind&gt;." in page
    assert "a folder" in page
    found = get_json(admin_client, "/wizards/").json()
    walk = next(one for one in found["wizards"] if one["slug"] == "walk")
    assert walk["steps"] == ["Where", "What"]


def test_nothing_is_kept_before_the_first_answer_holds(admin_client):
    assert admin_client.get("/wizards/new/walk/").status_code == 200
    answer = admin_client.post("/wizards/new/walk/", {"folder": ""})
    assert answer.status_code == 422
    assert "This field is required." in answer.content.decode()
    assert not WizardRun.objects.exists()
    assert post_json(admin_client, "/wizards/new/walk/").json()["errors"].keys() == {"folder"}


def test_a_step_whose_form_is_djangos_own_is_as_strict_as_every_form(admin_client, admin):
    """As docs/wizards.md shows it: a program's field that there is not was passed over, and so was a hidden sign."""
    refused = post_json(admin_client, "/wizards/new/walk/", folder="/x", foldr="/y")
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["foldr"])
    hidden = admin_client.post("/wizards/new/walk/", {"folder": "a\u202eb"})
    assert "U+202E" in hidden.content.decode()
    assert not WizardRun.objects.exists()
    pk = post_json(admin_client, "/wizards/new/walk/", folder="/x", who=admin.pk).json()["id"]
    assert post_json(admin_client, f"/wizards/runs/{pk}/steps/1/", folder="/y").json()["ok"]
    values = WizardRun.objects.get(pk=pk).step_values(0)
    assert (values["folder"], values["who"]) == ("/y", admin.pk)


def test_the_address_fills_fields_in(admin_client):
    page = admin_client.get("/wizards/new/walk/?folder=%22%3E%3Cb%3Ehere").content.decode()
    assert 'value="&quot;&gt;&lt;b&gt;here"' in page


def test_defaults_follow_earlier_answers_until_they_are_changed(admin_client):
    run = answered(admin_client, "/a", title="in /a", number="9", kind="b")
    url = f"/wizards/runs/{run.pk}/steps/2/"
    assert get_json(admin_client, url).json()["initial"] == {
        "title": "in /a", "number": 9, "with_two": True, "kind": "b"
    }  # fmt: skip
    admin_client.post(f"/wizards/runs/{run.pk}/steps/1/", {"folder": "/b"})
    initial = get_json(admin_client, url).json()["initial"]
    assert initial["title"] == "in /b"  # it was left as the default was
    assert initial["number"] == 9  # that was changed
    answer = admin_client.get(f"/wizards/runs/{run.pk}/review/")
    assert answer.url == url  # must be looked at again


def test_a_field_that_rests_on_an_earlier_step_is_checked(admin_client):
    admin_client.post("/wizards/new/walk/", {"folder": "same"})
    run = WizardRun.objects.get()
    answer = admin_client.post(
        f"/wizards/runs/{run.pk}/steps/2/", {"title": "same", "number": 1, "kind": "a"}
    )
    assert answer.status_code == 422
    assert "The title is the folder." in answer.content.decode()


def test_a_secret_is_never_shown_back_and_kept_when_left_empty(admin_client):
    run = answered(admin_client, "/a")
    for url in (f"/wizards/runs/{run.pk}/steps/1/", f"/wizards/runs/{run.pk}/review/"):
        page = admin_client.get(url).content.decode()
        assert "s3cret" not in page
    assert "kept secret" in page
    assert "s3cret" not in get_json(admin_client, f"/wizards/runs/{run.pk}/steps/1/").content.decode()
    admin_client.post(f"/wizards/runs/{run.pk}/steps/1/", {"folder": "/a", "password": ""})
    run.refresh_from_db()
    assert run.step_values(0)["password"] == "s3cret words"
    wrong = admin_client.post(
        f"/wizards/runs/{run.pk}/steps/1/", {"folder": "", "password": "another-phrase"}
    )
    assert wrong.status_code == 422
    assert "another-phrase" not in wrong.content.decode()


def test_the_rest_can_be_left_to_the_defaults(admin_client):
    answer = admin_client.post("/wizards/new/walk/", {"folder": "/a", "rest": "on"})
    run = WizardRun.objects.get()
    assert answer.url == f"/wizards/runs/{run.pk}/review/"
    page = admin_client.get(answer.url).content.decode()
    assert "Make two for in /a" in page
    assert "Kind B" in page


@pytest.mark.parametrize(
    ("rest", "page"), [(True, "review"), ("on", "review"), (False, "steps"), ("false", "steps"), (0, "steps")]
)
def test_a_program_takes_the_defaults_for_the_rest_by_yes_alone(admin_client, rest, page):
    body = {"folder": "/a", "rest": rest}
    headers = {"Accept": "application/json"}
    answer = admin_client.post("/wizards/new/walk/", body, "application/json", headers=headers)
    assert f"/{page}/" in answer.json()["url"]


def test_the_rest_stops_at_a_step_that_needs_a_person(admin_client):
    answer = admin_client.post("/wizards/new/walk/", {"folder": "x" * 3, "rest": "on"})
    assert answer.status_code == 302
    run = WizardRun.objects.get()
    run.answers["1"]["values"]["number"] = 0  # no longer a number that holds
    run.save()
    walk = catalogue.get("walk")
    assert isinstance(walk, Wizard)
    asked = from_defaults(walk, run, 1, Actor.system("x"))
    assert not asked.form.is_valid()
    refused = admin_client.post(f"/wizards/runs/{run.pk}/review/")
    assert refused.url == f"/wizards/runs/{run.pk}/steps/2/"
    assert services.deletable(run)


def test_a_chosen_row_is_its_key_and_shown_by_name(admin_client, admin):
    answered(admin_client, "/a", first={"who": admin.pk})
    run = WizardRun.objects.get()
    assert run.step_values(0)["who"] == admin.pk
    assert ["Who", str(User.objects.get())] in run.answers["0"]["shown"]


def test_a_draft_is_kept_and_can_be_continued_or_deleted(admin_client, tmp_path):
    admin_client.post("/wizards/new/walk/", {"folder": str(tmp_path)})
    run = WizardRun.objects.get()
    page = admin_client.get("/wizards/").content.decode()
    assert run.get_absolute_url() in page
    assert admin_client.get(run.get_absolute_url()).url == f"/wizards/runs/{run.pk}/steps/2/"
    assert admin_client.get(f"/wizards/runs/{run.pk}/delete/").status_code == 200
    assert admin_client.post(f"/wizards/runs/{run.pk}/delete/").status_code == 302
    assert not WizardRun.objects.exists()
    assert calls(tmp_path) == []


def test_a_started_run_takes_no_more_answers(admin_client, tmp_path):
    run = answered(admin_client, tmp_path)
    assert admin_client.post(f"/wizards/runs/{run.pk}/review/").status_code == 302
    for url, more in (("steps/1/", {"folder": "/other"}), ("review/", {})):
        assert post_json(admin_client, f"/wizards/runs/{run.pk}/{url}", **more).status_code == 409
    assert admin_client.post(f"/wizards/runs/{run.pk}/delete/").status_code == 302
    assert WizardRun.objects.get().step_values(0)["folder"] == str(tmp_path)


def test_a_run_does_not_begin_with_what_another_answers_while_it_is_checked(admin, admin_client, tmp_path):
    run = answered(admin_client, tmp_path)
    walk: Any = catalogue.get("walk")
    base: Any = walk.steps[1].form

    class Slow(base):
        def clean(self):
            row = WizardRun.objects.get(pk=run.pk)
            row.answers["1"]["values"]["number"] = 99
            row.save()
            return super().clean()

    slow = replace(walk, steps=(walk.steps[0], replace(walk.steps[1], form=Slow)))
    actor = Actor(admin, admin.username)
    with pytest.raises(services.RunRefused, match="Look over it again"):
        services.start_run(actor, slow, run)
    run.refresh_from_db()
    assert (run.state, run.tasks.count()) == ("asking", 0)
    services.start_run(actor, walk, run)  # who looks again sees the other answer
    assert WizardRun.objects.get().state == "running"


def test_programs_walk_the_same_way(admin_client, tmp_path):
    one = post_json(admin_client, "/wizards/new/walk/", folder=str(tmp_path)).json()
    two = post_json(admin_client, one["url"], title="x", number=1, kind="a", with_two=False).json()
    plan = get_json(admin_client, two["url"]).json()
    assert [(line["says"], line["wanted"]) for line in plan["tasks"]][1] == ("Make two for x", False)
    three = post_json(admin_client, two["url"]).json()
    assert get_json(admin_client, three["url"]).json()["state"] == "running"


def test_a_program_leaves_the_rest_to_the_defaults_in_every_step_of_every_form(admin_client, tmp_path):
    one = post_json(admin_client, "/wizards/new/walk/", folder=str(tmp_path), rest=True)
    assert one.status_code == 200, one.content
    assert one.json()["url"].endswith("/review/")
    assert WizardRun.objects.get().step_values(1)["number"] == 7
    host = Server.objects.create(
        name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="vmbr0"
    )
    answer = post_json(
        admin_client, "/wizards/new/create_vm/", name="a.example.org", host=host.pk, rest=True, extra=1
    )
    assert "extra" in answer.json()["errors"]
    assert "rest" not in answer.json()["errors"]


def test_the_list_of_runs_asks_a_constant_number_of_questions(admin_client, django_assert_max_num_queries):
    for number in range(60):
        WizardRun.objects.create(slug="walk", name="Walk", about=f"no {number}", actor_name="ada")
    with django_assert_max_num_queries(8):
        page = admin_client.get("/wizards/runs/").content.decode()
    assert page.count("Walk: no ") == 50
    found = get_json(admin_client, "/wizards/runs/?q=57&state=asking").json()
    assert found["total"] == 1


@pytest.mark.parametrize("url", ["/wizards/", "/wizards/new/walk/", "/wizards/runs/"])
def test_only_admins(member_client, url):
    assert member_client.get(url).status_code == 403
    assert member_client.post(url, {"folder": "x"}).status_code in {403, 405}
