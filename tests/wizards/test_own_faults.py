"""A fault in a declared wizard of somebody's own, wherever it is called, is told with its file and line."""

import json
import re

import pytest

from tests.jobs.working import work_off
from wizards.models import WizardRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
FAULTY = """
import sys
from django import forms
from jobs.models import Job
from wizards.declare import Later, Line, Step, Task, Wizard

def at(place, data):
    if data.get("at") == place:
        {}["nothing"]
    if data.get("at") == f"exit {place}":
        sys.exit(2)

class First(forms.Form):
    at = forms.CharField()

    def clean(self):
        at("clean", self.cleaned_data)

class Second(forms.Form):
    x = forms.CharField(initial="1")

def defaults(actor, data):
    at("defaults", data)
    return {}

def do(run):
    return {
        "do": lambda: True, "text": lambda: Later(seconds="x"), "number": lambda: Later(job="7"),
        "unsaved": lambda: Later(job=Job()),
        "never": lambda: Later(seconds=float("inf")), "before": lambda: Later(seconds=-1),
    }.get(run.data["at"], lambda: None)()

def says(data):
    at("says", data)
    return "Do it"

def hangs(data, results):
    at("hangs", data)
    return []

def finish(data, results):
    at("finish", data)
    return "a text" if data["at"] == "wrong finish" else [Line("At", data["at"])]

wizard = Wizard(
    slug="faulty", name="Faulty", description="-", steps=(Step("First", First), Step("Second", Second, defaults)),
    tasks=(Task("t", "T", do, says, undo=lambda run: None),), finish=finish, hangs=hangs,
)
"""


@pytest.fixture
def asked(admin_client, tmp_path, settings):
    """Asks as a program does; the answer and its status."""
    settings.WIZARDS_FOLDER = str(tmp_path)
    (tmp_path / "faulty.py").write_text(FAULTY)

    def ask(url: str, data: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
        sent = {"data": json.dumps(data), "content_type": "application/json"} if data is not None else {}
        call = admin_client.get if data is None else admin_client.post
        answer = call(url, headers={"Accept": "application/json"}, **sent)
        return answer.status_code, answer.json()

    return ask


def begun(asked, at: str) -> WizardRun:
    assert asked("/wizards/new/faulty/", {"at": at})[0] == 200
    run = WizardRun.objects.get()
    assert asked(f"/wizards/runs/{run.pk}/steps/2/", {"x": "1"})[0] == 200
    assert asked(f"/wizards/runs/{run.pk}/review/", {})[0] == 200
    work_off()
    run.refresh_from_db()
    return run


def is_told(answer, what: str = "KeyError: 'nothing'") -> None:
    status, said = answer
    assert status == 409
    assert re.fullmatch(rf"faulty\.py, line \d+: {what}", said["errors"]["__all__"][0])


@pytest.mark.parametrize(("how", "what"), [("", "KeyError: 'nothing'"), ("exit ", "SystemExit: 2")])
def test_in_its_forms_and_sentences(asked, admin_client, how, what):
    is_told(asked("/wizards/new/faulty/", {"at": f"{how}clean"}), what)
    assert not WizardRun.objects.exists()
    assert asked("/wizards/new/faulty/", {"at": f"{how}defaults"})[0] == 200
    run = WizardRun.objects.get()
    is_told(asked(f"/wizards/runs/{run.pk}/steps/2/"), what)
    page = admin_client.get(f"/wizards/runs/{run.pk}/steps/2/")
    assert page.status_code == 409
    assert "faulty.py, line" in page.content.decode()
    run.delete()
    assert asked("/wizards/new/faulty/", {"at": f"{how}says"})[0] == 200
    run = WizardRun.objects.get()
    assert asked(f"/wizards/runs/{run.pk}/steps/2/", {"x": "1"})[0] == 200
    is_told(asked(f"/wizards/runs/{run.pk}/review/"), what)
    is_told(asked(f"/wizards/runs/{run.pk}/review/", {}), what)


def test_in_what_hangs_on_it(asked):
    run = begun(asked, "hangs")
    assert run.state == "done"
    is_told(asked(f"/wizards/runs/{run.pk}/undo/"))
    WizardRun.objects.update(state="failed", undoing=True)
    assert asked(run.get_absolute_url())[0] == 200


def test_in_what_a_task_returns(asked):
    run = begun(asked, "do")
    assert (run.state, run.why) == (
        "failed",
        "The task “T” must return None, or Later to be called again.",
    )


@pytest.mark.parametrize(
    ("at", "what"),
    [
        ("text", "TypeError: Later: seconds must be a number, not 'x'"),
        ("number", "TypeError: Later: job must be a Job, not '7'"),
        ("unsaved", "ValueError: Later: job must be one that began, and this one is not saved, or deleted"),
        ("never", "ValueError: Later: seconds must be from 0 to 1000000000, not inf"),
        ("before", "ValueError: Later: seconds must be from 0 to 1000000000, not -1"),
    ],
)
def test_in_what_it_asks_to_wait_for(asked, at, what):
    run = begun(asked, at)
    assert run.state == "failed"
    assert re.fullmatch(rf"faulty\.py, line \d+: {what}", run.why)


def test_in_a_file_that_has_another_name_by_now(asked, tmp_path):
    assert asked("/wizards/new/faulty/")[0] == 200
    (tmp_path / "faulty.py").rename(tmp_path / "better.py")
    run = begun(asked, "text")
    assert re.fullmatch(r"better\.py, line \d+: TypeError: .*", run.why)


@pytest.mark.parametrize("at", ["finish", "exit finish", "wrong finish"])
def test_the_page_of_a_run_stands_without_its_last_words(asked, at):
    run = begun(asked, at)
    status, said = asked(f"/wizards/runs/{run.pk}/")
    assert (status, said["state"], said["result"]) == (200, "done", [])
