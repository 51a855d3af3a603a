"""The sample wizard, answered and started through the pages."""

from pathlib import Path
from typing import Any

from django.test import Client

from wizards.models import WizardRun


def answered(client: Client, folder: Path | str, **more: Any) -> WizardRun:
    """A draft with all steps answered."""
    first = {"folder": str(folder), "password": "s3cret words", **more.pop("first", {})}
    answer = client.post("/wizards/new/walk/", first)
    assert answer.status_code == 302, answer.content
    run = WizardRun.objects.latest("pk")
    second = {"title": "A walk", "number": "3", "with_two": "on", "kind": "a", **more}
    answer = client.post(f"/wizards/runs/{run.pk}/steps/2/", {k: v for k, v in second.items() if v})
    assert answer.status_code == 302, answer.content
    return run


def started(client: Client, folder: Path | str, **more: Any) -> WizardRun:
    """A run whose job waits for a worker."""
    run = answered(client, folder, **more)
    answer = client.post(f"/wizards/runs/{run.pk}/review/")
    assert answer.status_code == 302, answer.content
    run.refresh_from_db()
    assert run.state == "running"
    return run


def calls(folder: Path) -> list[str]:
    """Which tasks were called, in order."""
    path = folder / "calls"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def made(folder: Path) -> list[str]:
    """What is there of the tasks' work."""
    return sorted(path.name for path in folder.glob("made-*"))


def states(run: WizardRun) -> list[str]:
    """The states of the tasks, in order."""
    return list(run.tasks.order_by("number").values_list("state", flat=True))
