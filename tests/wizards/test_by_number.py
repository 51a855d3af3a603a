"""Wizards that are classes with methods by number, in a folder of one's own; broken ones break only themselves."""

import shutil
import threading
from pathlib import Path

import pytest

from tests.jobs.working import work_off
from tests.waiting import wait_for
from tests.wizards.walking import states
from wizards import catalogue
from wizards import wizards as package
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db(transaction=True)
SAMPLE = Path(__file__).parent / "samples" / "greeting.py"


def line_of(text: str) -> int:
    return SAMPLE.read_text().split(text)[0].count("\n") + 1


CLASS_LINE = line_of("class Greeting")


def ask_and_start(client, folder) -> WizardRun:
    client.post("/wizards/new/greeting/", {"name": "Ann", "folder": str(folder), "secret": "pass-phrase"})
    run = WizardRun.objects.latest("pk")
    assert client.post(f"/wizards/runs/{run.pk}/steps/2/", {"words": "Good day"}).status_code == 302
    assert client.post(f"/wizards/runs/{run.pk}/review/").status_code == 302
    return run


def test_it_asks_does_and_keeps_its_data(admin_client, tmp_path):
    page = admin_client.get("/wizards/new/greeting/").content.decode()
    assert "Who shall be &lt;greeted&gt;?" in page
    assert '<script src="/wizards/new/greeting/script.js" defer>' in page
    run = ask_and_start(admin_client, tmp_path)
    run.refresh_from_db()
    assert run.step_values(0) == {"name": "Ann", "folder": str(tmp_path), "told": "pass-phrase"}
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    assert (tmp_path / "greeting").read_text() == "Good day"
    assert run.tasks.get(number=1).facts["data"] == {"read": "Good day"}
    assert "told" not in run.step_values(0)  # it was typed into a password field


@pytest.fixture
def beside(tmp_path, monkeypatch) -> Path:
    """The folder of the panel's own wizards, for this process alone: others list and copy the real one meanwhile."""
    folder = tmp_path / "wizards"
    shutil.copytree(package.__path__[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(package, "__path__", [str(folder)])
    monkeypatch.setattr(catalogue, "_files", {})
    return folder


def test_a_file_beside_the_panels_own_is_found_and_followed(admin_client, beside):
    path = beside / "beside.py"
    path.write_text(SAMPLE.read_text().replace("class Greeting", "class Beside"))
    assert admin_client.get("/wizards/new/beside/").status_code == 200
    path.write_text(SAMPLE.read_text().replace("class Greeting", "class BesideX"))
    assert admin_client.get("/wizards/new/beside/").status_code == 404
    assert "beside" not in catalogue.catalogue().wizards
    path.unlink()
    assert not [found for found in catalogue.catalogue().wizards if found.startswith("beside")]


def test_its_forms_refuse_what_cannot_be_seen_as_all_others_do(admin_client, tmp_path):
    body = {"name": "Ann\u202e", "folder": str(tmp_path), "secret": "pass-phrase"}
    answer = admin_client.post("/wizards/new/greeting/", body)
    assert answer.status_code == 422
    assert "U+202E" in answer.content.decode()
    assert not WizardRun.objects.exists()


def test_its_script_comes_as_a_file_of_the_panel(admin_client, member_client):
    answer = admin_client.get("/wizards/new/greeting/script.js")
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content == b"document.title = 'from the wizard';"
    assert member_client.get("/wizards/new/greeting/script.js").status_code == 403


def test_earlier_answers_are_in_the_next_step_and_on_the_way_back(admin_client, tmp_path):
    admin_client.post("/wizards/new/greeting/", {"name": "Ann", "folder": str(tmp_path)})
    run = WizardRun.objects.get()
    assert "Hello Ann" in admin_client.get(f"/wizards/runs/{run.pk}/steps/2/").content.decode()
    assert 'value="Ann"' in admin_client.get(f"/wizards/runs/{run.pk}/steps/1/").content.decode()
    assert admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", {}).status_code == 422


def test_false_stops_it_and_it_resumes(admin_client, tmp_path):
    (tmp_path / "no").touch()
    run = ask_and_start(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("failed", ["done", "failed"])
    assert run.why == "The task said that the wizard should not go on."
    (tmp_path / "no").unlink()
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work_off()
    run.refresh_from_db()
    assert run.state == "done"


def test_a_task_that_was_cut_off_asks_a_person_before_it_runs_again(admin_client, tmp_path):
    run = ask_and_start(admin_client, tmp_path)
    task = run.tasks.get(number=0)
    task.facts, task.state = {"begun": True}, "running"
    task.save()
    work_off()
    run.refresh_from_db()
    assert run.state == "failed"
    assert "ended in the middle of this task" in run.why
    admin_client.post(f"/wizards/runs/{run.pk}/resume/")
    work_off()
    run.refresh_from_db()
    assert run.state == "done"


BROKEN = {
    "syntax": ("def (:\n", "broken.py, line 1: SyntaxError"),
    "import": ("\nimport no_such_module\n", "broken.py, line 2: ModuleNotFoundError"),
    "ends": ("raise SystemExit(3)\n", "broken.py, line 1: SystemExit"),
    "counts": (SAMPLE.read_text().replace("_nb_step = 2", "_nb_step = 3"),
               f"broken.py, line {CLASS_LINE}: Greeting: _steps_names must be a list of _nb_step = 3 names."),
    "method": (SAMPLE.read_text().replace("def do_task_2", "def do_task_3"),
               f"broken.py, line {CLASS_LINE}: Greeting: the method do_task_2 is missing."),
    "name": (SAMPLE.read_text().replace('_name = "Greeting"', ""),
             f"broken.py, line {CLASS_LINE}: Greeting: _name is missing or no str."),
    "declared": ("from wizards.declare import Wizard\nw = Wizard('x', 'X', '', (), ())\n",
                 "broken.py, line 2: ValueError: x: tasks need slugs"),
    "slug": ("from wizards.declare import *\nw = Wizard('New disk', 'X', '', (), (Task('t', 'T', print, str),))\n",
             "broken.py, line 2: ValueError: New disk: a slug has"),
    "class name": (SAMPLE.read_text().replace("Greeting(", "Grüßen("),
                   f"broken.py, line {CLASS_LINE}: Grüßen: the name of the class has letters"),
}  # fmt: skip


ENDLESS = {
    "a loop": "\nwhile True:\n    pass\n",
    "a loop in a function": "import time\ndef f():\n    while True: time.sleep(0.01)\nf()\n",
    "a call that waits": "import time\ntime.sleep(10**6)\n",
    "a pipe without a writer": "import os\nos.mkfifo(__file__ + '.pipe')\nopen(__file__ + '.pipe').read()\n",
    "a call that counts": "\nsum(range(10**14))\n",
    "a lock": "import threading\nthreading.Semaphore(0).acquire()\n",
    "one that catches errors": "import time\nwhile True:\n    try: time.sleep(0.01)\n    except Exception: pass\n",
}


def test_files_that_go_on_for_ever_are_ended_and_named(admin_client, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "SECONDS", 5.0)  # which are enough for the good one on any machine
    settings.WIZARDS_FOLDER = str(tmp_path)
    names = {f"endless{number}.py": text for number, text in enumerate(ENDLESS.values())}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "last.py").write_text(SAMPLE.read_text().replace("class Greeting", "class Last"))
    answer = admin_client.get("/wizards/", headers={"accept": "application/json"}).json()
    assert answer["broken"].keys() == names.keys()
    for name, why in answer["broken"].items():
        assert why.startswith(f"{name}, line ")
        assert "not read to its end" in why
    assert "last" in {one["slug"] for one in answer["wizards"]}


def test_a_file_that_is_written_anew_while_it_is_tried_is_not_read_untried(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "SECONDS", 2.0)
    settings.WIZARDS_FOLDER = str(tmp_path)
    began, enough = tmp_path / "began", tmp_path / "enough"
    endless = f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\n"
    endless += f"while not pathlib.Path({str(enough)!r}).exists():\n    time.sleep(0.05)\n"
    (tmp_path / "edited.py").write_text(endless)
    found: list[dict[str, str]] = []
    reader = threading.Thread(target=lambda: found.append(catalogue.catalogue().broken), daemon=True)
    reader.start()
    try:
        wait_for(began.exists, 60)
        (tmp_path / "edited.py").write_text(f"{endless}# saved once more\n")
        reader.join(60)
        assert "not read to its end" in found[0]["edited.py"]
        (tmp_path / "edited.py").write_text(SAMPLE.read_text().replace("class Greeting", "class Edited"))
        assert "edited" in catalogue.catalogue().wizards
    finally:
        enough.touch()
        reader.join(60)


def test_what_could_not_be_read_for_a_while_is_tried_again(settings, tmp_path, monkeypatch):
    settings.WIZARDS_FOLDER = str(tmp_path)
    text = SAMPLE.read_text().replace("class Greeting", "class Later")
    (tmp_path / "later.py").write_text(f"open({str(tmp_path / 'not_there_yet')!r})\n{text}")
    assert "No such file" in catalogue.catalogue().broken["later.py"]
    (tmp_path / "not_there_yet").touch()
    assert "later.py" in catalogue.catalogue().broken
    monkeypatch.setattr(catalogue, "AGAIN_SECONDS", 0.0)
    assert "later" in catalogue.catalogue().wizards


ENDS = {
    "exits": ("import os\nos._exit(0)\n", "ends the process that reads it"),
    "fills the memory": ("\nx = [bytes(10**9) for _ in range(10**6)]\n", "line 2: MemoryError"),
    "asks": ("\ninput('sure?')\n", "line 2: EOFError"),
    "prints": ("print('x' * 10**7)\n1/0\n", "line 2: ZeroDivisionError"),
    "leaves a process": ("import subprocess\nsubprocess.Popen(['sleep', '1000'])\n1/0\n", "line 3: Zero"),
    "leaves a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n1/0\n",
        "line 3: ZeroDivisionError",
    ),
    "doubles itself": ("import os\nos.fork()\n1/0\n", "line 3: ZeroDivisionError"),
    "becomes another program": ("import os\nos.execvp('true', ['true'])\n", "ends the process that reads it"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_file_that_would_take_the_panel_with_it_takes_a_process_of_its_own(
    admin_client, settings, tmp_path, kind
):
    text, words = ENDS[kind]
    settings.WIZARDS_FOLDER = str(tmp_path)
    (tmp_path / "bad.py").write_text(text)
    (tmp_path / "a_good_one.py").write_text(SAMPLE.read_text().replace("class Greeting", "class Good"))
    answer = admin_client.get("/wizards/", headers={"accept": "application/json"}).json()
    assert list(answer["broken"]) == ["bad.py"]
    assert words in answer["broken"]["bad.py"]
    assert "good" in {one["slug"] for one in answer["wizards"]}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_breaks_only_itself_and_says_where(admin_client, settings, tmp_path, kind):
    text, words = BROKEN[kind]
    settings.WIZARDS_FOLDER = str(tmp_path)
    (tmp_path / "broken.py").write_text(text)
    (tmp_path / "sound.py").write_text(SAMPLE.read_text().replace("class Greeting", "class Sound"))
    answer = admin_client.get("/wizards/", headers={"accept": "application/json"}).json()
    assert answer["broken"]["broken.py"].startswith(words)
    assert "sound" in {one["slug"] for one in answer["wizards"]}
    assert "broken.py" in admin_client.get("/wizards/").content.decode()


def test_a_step_that_raises_says_which_line(admin_client, settings, tmp_path):
    settings.WIZARDS_FOLDER = str(tmp_path)
    step = "    def display_step_1(self, request):\n"
    text = SAMPLE.read_text().replace(step, step + "        1 / 0\n")
    (tmp_path / "odd.py").write_text(text)
    answer = admin_client.get("/wizards/new/greeting/")
    assert answer.status_code == 409
    assert f"odd.py, line {line_of(step) + 1}: ZeroDivisionError: division by zero" in answer.content.decode()
    (tmp_path / "odd.py").write_text(SAMPLE.read_text())  # mended while the panel runs
    assert admin_client.get("/wizards/new/greeting/").status_code == 200


def test_what_a_task_returns_must_be_what_was_agreed(admin_client, settings, tmp_path):
    settings.WIZARDS_FOLDER = str(tmp_path)
    text = SAMPLE.read_text().replace('return (True, {"path": str(path)})', 'return {"path": path}')
    (tmp_path / "odd.py").write_text(text)
    run = ask_and_start(admin_client, tmp_path)
    work_off()
    run.refresh_from_db()
    assert run.why == "odd.py: do_task_1 must return (True, a dict) or (False, None)."


def test_a_run_whose_wizard_is_gone_says_so(admin_client, settings, tmp_path):
    run = ask_and_start(admin_client, tmp_path)
    settings.WIZARDS_FOLDER = ""
    work_off()
    run.refresh_from_db()
    assert run.state == "failed"
    assert "There is no wizard “greeting” (any more)." in run.why
    assert admin_client.get(run.get_absolute_url()).status_code == 200
    assert "greeting" not in catalogue.catalogue().wizards


OF_NO_EXCEPTION = [
    "raise KeyboardInterrupt",
    "import asyncio; raise asyncio.CancelledError",
    "raise GeneratorExit",
]


@pytest.mark.parametrize("way", ["sys.exit(3)", "sys.exit()", *OF_NO_EXCEPTION])
def test_a_task_that_would_end_the_worker_fails_alone(admin_client, settings, tmp_path, way):
    settings.WIZARDS_FOLDER = str(tmp_path)
    task = "    def do_task_1(self):\n"
    (tmp_path / "odd.py").write_text(SAMPLE.read_text().replace(task, f"{task}        import sys; {way}\n"))
    run = ask_and_start(admin_client, tmp_path)
    (job,) = work_off()
    run.refresh_from_db()
    assert (job.state, run.state) == ("failed", "failed")
    assert f"odd.py, line {line_of(task) + 1}: " in run.why


WITHIN = {
    "while it is shown": ("    def display_step_1(self, request):\n", "        "),
    "while it is kept": ("    def save_step_1(self, form):\n", "        "),
    "in the form's own rules": ('    name = forms.CharField(label="Name")\n', "    def clean(self): "),
}


@pytest.mark.parametrize("words", ["raise SystemExit(3)", "1 / 0", *OF_NO_EXCEPTION])
@pytest.mark.parametrize("where", WITHIN)
def test_a_step_that_would_end_the_panel_is_an_error_of_its_file(
    admin_client, settings, tmp_path, where, words
):
    settings.WIZARDS_FOLDER = str(tmp_path)
    line, before = WITHIN[where]
    (tmp_path / "odd.py").write_text(SAMPLE.read_text().replace(line, f"{line}{before}{words}\n"))
    answer = admin_client.post("/wizards/new/greeting/", {"name": "Ann", "folder": "x"})
    assert answer.status_code == 409
    assert f"odd.py, line {line_of(line) + 1}: " in answer.content.decode()
