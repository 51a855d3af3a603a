"""A declarative wizard for tests: each task leaves a file in a folder, and may be told to fail, wait or die there."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from django import forms

from accounts.models import User
from jobs.services import start_job, stop_job
from pages.registry import Held
from tests.waiting import wait_for
from wizards.declare import Data, Later, Line, Refused, Step, StepForm, Task, TaskRun, Wizard

TASKS = ("one", "two", "three")


class WhereForm(forms.Form):
    folder = forms.CharField(label="Folder")
    who = forms.ModelChoiceField(label="Who", queryset=User.objects.all(), required=False)
    password = forms.CharField(label="Password", widget=forms.PasswordInput, required=False)


class WhatForm(StepForm):
    title = forms.CharField(label="Title")
    number = forms.IntegerField(label="Number", min_value=1)
    with_two = forms.BooleanField(label="With two", required=False)
    kind = forms.ChoiceField(label="Kind", choices=[("a", "Kind A"), ("b", "Kind B")])

    def clean_title(self) -> str:
        title = str(self.cleaned_data["title"])
        if title == self.data_so_far["folder"]:
            raise forms.ValidationError("The title is the folder.")
        return title


def defaults(_actor: object, data: Data) -> Data:
    return {"title": f"in {data['folder']}", "number": 7, "with_two": True, "kind": "b"}


def place(run: TaskRun, name: str) -> Path:
    return Path(run.data["folder"]) / name


def told(run: TaskRun, what: str) -> bool:
    """Whether the test asks for it now; each such file is there for one time."""
    order = place(run, what)
    if not order.exists():
        return False
    order.unlink()
    return True


def obey(run: TaskRun, name: str) -> Later | None:
    if told(run, f"kill-{name}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if told(run, f"print-{name}"):
        print(f"{name} prints {run.data.get('password')}")  # noqa: T201
    if told(run, f"fail-{name}"):
        raise Refused(f"{name} was told to fail with {run.data.get('password')}.")
    if told(run, f"hang-{name}"):
        place(run, f"hung-by-{name}").touch()
    if told(run, f"break-{name}"):
        raise ZeroDivisionError
    if told(run, f"stop-{name}"):
        stop_job(run.actor, run.run.job)
        wait_for(lambda: run.run.stopping)
    if told(run, f"wait-{name}"):
        return Later(seconds=0.2, why="for a moment")
    if told(run, f"job-{name}"):
        job = start_job(run.actor, "jobs.check", f"awaited by {name}", {"seconds": 0.3, "lines": 1})
        run.save(job=job.pk)
        return Later(job=job, why="for a job")
    return None


def do(name: str) -> Callable[[TaskRun], Later | None]:
    def act(run: TaskRun) -> Later | None:
        with place(run, "calls").open("a") as calls:
            calls.write(f"{name}\n")
        run.log(f"doing {name} with {run.data.get('password')}")
        run.save(begun=True)
        place(run, f"made-{name}").touch()
        later = obey(run, name)
        if later is None:
            run.save(path=str(place(run, f"made-{name}")), after=sorted(run.results))
        return later

    return act


def undo(name: str) -> Callable[[TaskRun], Later | None]:
    def act(run: TaskRun) -> Later | None:
        with place(run, "calls").open("a") as calls:
            calls.write(f"undo {name}\n")
        place(run, f"made-{name}").unlink(missing_ok=True)
        return obey(run, f"undo-{name}")

    return act


def task(name: str) -> Task:
    return Task(
        name,
        f"Task {name}",
        do(name),
        lambda data: f"Make {name} for {data['title']}",
        undo(name),
        lambda _data: f"Remove {name}",
        (lambda data: bool(data["with_two"])) if name == "two" else (lambda _data: True),
        mends=("title", "with_two") if name == "two" else (),
        can_mend=lambda facts: "fixed" not in facts,
    )


def hangs(data: Data, _results: object) -> list[Held]:
    """What somebody has hung on it: each file whose name begins so."""
    found = sorted(path.name for path in Path(data["folder"]).glob("hung-*"))
    return [Held(f"the thing <{name}>", f"/{name}/") for name in found]


wizard = Wizard(
    slug="walk",
    name="Walk",
    description="Leaves files <behind>.",
    steps=(Step("Where", WhereForm), Step("What", WhatForm, defaults)),
    tasks=tuple(task(name) for name in TASKS),
    needs=("a folder",),
    hangs=hangs,
    finish=lambda _data, results: [Line("Made", results["three"]["path"]), Line("Site", "there", "/jobs/")],
)
