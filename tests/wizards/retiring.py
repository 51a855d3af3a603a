"""“Retire a server” begun through its pages, and its jobs carried out."""

import time

from django.test import Client
from django.utils import timezone

from jobs import execute
from jobs.models import Job, JobState
from servers.models import Server
from wizards.models import WizardRun

OURS = ("wizards.carry_on", "proxmox.destroy")


def work(seconds: float = 30) -> None:
    """Carry out this wizard's jobs, and no rollout: there are no hosts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = Job.objects.filter(
            state=JobState.WAITING, work__in=OURS, not_before__lte=timezone.now()
        ).first()
        claimed = execute.claim(job.pk) if job else None
        if claimed is None:
            return
        execute.carry_out(claimed)


def begin(client: Client, server: Server, **parts: str) -> WizardRun:
    """A run for this server; with `parts`, as far as its review."""
    first = client.post("/wizards/new/retire_server/", {"retired": server.pk, "typed_name": server.name})
    assert first.status_code == 302, first.content.decode()
    run = WizardRun.objects.latest("pk")
    if parts:
        second = client.post(f"/wizards/runs/{run.pk}/steps/2/", parts)
        assert second.status_code == 302, second.content.decode()
    return run


def start(client: Client, run: WizardRun) -> None:
    """Begin with what its review shows."""
    review = f"/wizards/runs/{run.pk}/review/"
    shown = client.get(review)
    assert client.post(review, {"seen": shown.context["seen"]}).status_code == 302
